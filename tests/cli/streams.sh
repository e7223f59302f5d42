#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The streams in tests/streams were written once and are never made again: what reads streams must
# read them as ever, and what writes streams must write the very same. Whoever changes the format
# gives it a new version, and adds streams of that.
# shellcheck source=tests/cli/lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"

streams=$ROOT/tests/streams
make=$BUILD/tests/make_stream ship=$BUILD/dm-ship
declare -A made=(
	[tiny]=""
	[rich]="--id rich.1 --seed 18446744073709551615 --name /a-rich_one --volume data --image --pages
		--memory 123456789"
	[saved]="--id saved --saved --bare"
)

for name in tiny rich saved; do
	file=$streams/$name.stream
	expect 0 "$name is readable" "$ship" --list <"$file"
	if diff "$streams/$name.list" "$T/out" >"$T/diff"; then
		ok "$name is listed as ever"
	else
		not_ok "$name is listed as ever" "$(head -n 20 "$T/diff")"
	fi
	"$ship" <"$file" >"$T/shipped"
	expect 0 "$name is readable, wrapped" "$ship" --list <"$T/shipped"
	check "$name is listed as ever, wrapped" cmp -s "$streams/$name.list" "$T/out"
	# shellcheck disable=SC2086 # to be split
	"$make" ${made[$name]} >"$T/new"
	check "$name is written as ever" cmp "$file" "$T/new"
done

# Each of them, damaged: cut, lengthened, changed, in another order.
file=$streams/tiny.stream
length=$(stat -c %s "$file")
bad=
for ((i = 0; i < length; i += 17)); do
	head -c "$i" "$file" | "$ship" --list >/dev/null 2>"$T/err"
	[[ ${PIPESTATUS[1]} == 4 && $(wc -l <"$T/err") == 1 ]] || bad+=" $i"
done
check "cuts: exit 4 and one line${bad:+; not at$bad}" [ -z "$bad" ]
cat "$file" "$file" >"$T/twice"
expect 4 "the same stream twice" "$ship" --list <"$T/twice"
cat "$file" "$streams/saved.stream" >"$T/two"
expect 4 "another stream behind it" "$ship" --list <"$T/two"
expect 4 "one byte behind it" "$ship" --list < <(cat "$file" && echo)
expect 4 "without its first byte" "$ship" --list < <(tail -c +2 "$file")

# A name of a container that would write to the terminal is shown without its control bytes.
"$make" --name $'x\e[31m\x07y' | "$ship" --list >"$T/out"
check "control bytes are not shown" grep -q 'container x?\[31m?y ' "$T/out"
finish
