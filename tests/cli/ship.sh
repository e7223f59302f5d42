#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# dm-ship by its command line: what goes in comes out, or it says so with the right exit code.
# shellcheck disable=SC2317 # functions are called through "expect"
# shellcheck source=tests/cli/lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"

ship=$BUILD/dm-ship
bounded() { timeout 60 "$ship" "$@"; }
full_disk() { bounded "$@" >/dev/full; }
no_stdin() { bounded "$@" <&-; }
no_stdout() { bounded "$@" >&-; }
no_stderr() { bounded "$@" 2>&-; }

# round_trip WHAT FILE OPTION...
round_trip() {
	local what=$1 file=$2
	shift 2
	if "$ship" "$@" <"$file" >"$T/packed" && "$ship" -d <"$T/packed" >"$T/back" &&
		cmp -s "$file" "$T/back"; then
		ok "round trip, $what"
	else
		not_ok "round trip, $what"
	fi
}

# Takes a while, so it runs beside the rest: 6.5 s or so, to see one line after 5 s.
head -c 650000 /dev/urandom >"$T/slow"
{
	"$ship" --codec none --limit-rate 100000 --progress <"$T/slow" >"$T/slow.out" 2>"$T/slow.err"
	echo $? >"$T/slow.code"
} &
slow=$!
mine+=("$slow")

: >"$T/empty"
printf x >"$T/one"
for _ in {1..20}; do
	head -c 500K /dev/urandom
	head -c 700K /dev/zero
	seq 100000
done >"$T/mixed"
for codec in none zlib zlib:9 zstd zstd:19; do
	round_trip "nothing, $codec" "$T/empty" --codec "$codec"
	round_trip "one byte, $codec" "$T/one" --codec "$codec"
	[[ $codec == *9 ]] && continue
	round_trip "32 MB of noise, zeros and text, $codec" "$T/mixed" --codec "$codec"
done
size=$("$ship" <"$T/mixed" | wc -c)
check "it packs without being asked" [ "$size" -lt $(($(stat -c %s "$T/mixed") * 6 / 10)) ]
size=$("$ship" <"$T/slow" | wc -c)
check "noise grows by no more than frames" [ "$size" -lt 651000 ]
tar -C "$ROOT" -c lib | "$ship" | "$ship" -d | tar -t >"$T/names"
check "tar through both sides" grep -q lib/base/err.h "$T/names"

# A line must come out at the other end while the input stays open.
coproc PIPE { "$ship" | "$ship" -d; }
# shellcheck disable=SC2154 # coproc sets it
mine+=("$PIPE_PID")
answers=
for i in 1 2 3; do
	echo "line $i" >&"${PIPE[1]}"
	read -r -t 10 line <&"${PIPE[0]}" && [[ $line == "line $i" ]] && answers+=$i
done
check "what is read is sent when the input pauses" [ "$answers" = 123 ]
eval "exec ${PIPE[1]}>&-"

# A small stream of three frames: packed, not packed, end.
{
	head -c 3000 /dev/zero
	sleep 0.2
	echo abc
} | tee "$T/small.plain" | "$ship" >"$T/small"
length=$(stat -c %s "$T/small")
check "the small stream is one of three frames" [ "$length" -gt 148 -a "$length" -lt 250 ]

bad=
for ((i = 0; i < length; i++)); do
	head -c "$i" "$T/small" | bounded -d >"$T/out" 2>"$T/err"
	code=${PIPESTATUS[1]}
	head -c "$(stat -c %s "$T/out")" "$T/small.plain" | cmp -s - "$T/out" &&
		[[ $code == 4 ]] && grep -Eq "^dm-ship: bad input at byte $i: .*(truncated|empty)" "$T/err" &&
		[[ $(wc -l <"$T/err") == 1 ]] || bad+=" $i"
done
check "a cut at every byte: exit 4, and the place" [ -z "$bad" ]
[[ -z $bad ]] || echo "# at:$bad"

escaped=$(od -An -v -tx1 "$T/small" | tr -d '\n' | sed 's/ /\\x/g')
bad='' same=0
for ((i = 0; i < length; i++)); do
	for bit in 1 2 4 8 16 32 64 128; do
		printf -v byte '\\x%02x' $((16#${escaped:4*i+2:2} ^ bit))
		printf %b "${escaped:0:4*i}$byte${escaped:4*i+4}" | bounded -d >"$T/out" 2>"$T/err"
		case ${PIPESTATUS[1]} in
		0) cmp -s "$T/small.plain" "$T/out" && same=$((same + 1)) || bad+=" $i/$bit" ;;
		4) head -c "$(stat -c %s "$T/out")" "$T/small.plain" | cmp -s - "$T/out" &&
			grep -q "^dm-ship: bad input at byte " "$T/err" || bad+=" $i/$bit" ;;
		*) bad+=" $i/$bit" ;;
		esac
	done
done
check "every bit flipped: exit 4 or the right bytes" [ -z "$bad" ]
[[ -z $bad ]] || echo "# at:$bad"
check "nearly every flipped bit is found" [ "$same" -lt 20 ]

cat "$T/small" "$T/small" >"$T/twice"
expect 0 "two streams, one behind the other" bounded -d <"$T/twice"
check "both of them come out" cmp -s "$T/out" <(cat "$T/small.plain" "$T/small.plain")
{ cat "$T/small" && echo "and then something else that is no stream"; } >"$T/tail"
expect 4 "something behind the end" bounded -d <"$T/tail"
says "the end's place is named" "byte $length: not a stream"
{ cat "$T/small" && echo; } >"$T/tail"
expect 4 "one byte behind the end" bounded -d <"$T/tail"
expect 4 "noise to unwrap" bounded -d <"$T/slow"
says "noise is not a stream" "byte 0: not a stream"
expect 4 "nothing to unwrap" bounded -d </dev/null
expect 4 "zeros to unwrap" bounded -d </dev/zero

# Reading and writing that fail.
expect 1 "full disk, wrapping" full_disk <"$T/mixed"
says "full disk is told" "write standard output: No space left"
expect 1 "full disk, unwrapping" full_disk -d <"$T/small"
says "full disk is told" "write standard output: No space left"
expect 1 "closed stdout" no_stdout <"$T/mixed"
says "closed stdout is told" "write standard output: Bad file"
expect 1 "closed stdin" no_stdin
says "closed stdin is told" "read standard input: Bad file"
expect 1 "folder as stdin" bounded <"$T"
says "folder as stdin is told" "read standard input: Is a directory"
expect 0 "closed stderr, with progress" no_stderr --progress <"$T/mixed"
check "closed stderr leaves the stream whole" cmp -s <("$ship" -d <"$T/out") "$T/mixed"
bounded --codec none <"$T/mixed" 2>"$T/err" | head -c 100 >"$T/out"
check "reader that goes: exit 1" [ "${PIPESTATUS[0]}" = 1 ]
says "reader that goes is told" "write standard output: Broken pipe"
"$ship" <"$T/mixed" 2>"$T/ignored" | bounded -d 2>"$T/err" | head -c 100 >"$T/out"
check "reader that goes, unwrapping: exit 1" [ "${PIPESTATUS[1]}" = 1 ]

# Options.
expect 0 "--help" bounded --help
check "--help tells of all options" [ "$(grep -E -- '--(decode|codec|limit-rate|progress|list) .* ' "$T/out" | grep -vc usage)" = 5 ]
expect 1 "--help to a full disk" full_disk --help
expect 0 "--version" bounded --version
check "--version tells it" grep -q '^dm-ship .*[0-9]' "$T/out"
for wrong in --unknown -x --codec --codec=lz4 --codec=zstd:20 --limit-rate=0 --limit-rate=x \
	--limit-rate operand "-d --codec=none" "--list -d" "--list --progress"; do
	# shellcheck disable=SC2086 # to be split
	expect 2 "usage: $wrong" bounded $wrong </dev/null
done
expect 2 "to a terminal" script -qec "'$ship' </dev/null" /dev/null

# Progress, not on a terminal.
expect 0 "--progress" bounded --progress <"$T/mixed"
says "--progress tells in, out, rate, time and ratio" \
	'^dm-ship: in all [0-9.]+ MiB in, [0-9.]+ MiB out, [0-9.]+ .?i?B/s, 0:00:[0-9]+, ratio [0-9.]+$'
check "--progress: one line for a short run" [ "$(wc -l <"$T/err")" = 1 ]
expect 0 "--decode --progress" bounded -d --progress <"$T/small"
says "--decode --progress tells the ratio the same way" ' 2.9 KiB out, .*, ratio 1[0-9]\.'

# The rate: what came out cannot be more than the time allows, nor much less than it.
from=$(date +%s%N)
size=$(timeout 3 "$ship" --codec none --limit-rate 1M </dev/zero | wc -c)
budget=$((($(date +%s%N) - from) * 1048576 / 1000000000))
check "--limit-rate is not exceeded" [ "$size" -le $((budget + 1048576 / 20)) ]
check "--limit-rate is used" [ "$size" -ge $((budget / 2)) ]

# The same verdict for a migration stream, wrapped or not.
for file in empty one slow; do
	"$ship" --list <"$T/$file" >"$T/raw.out" 2>"$T/raw.err"
	raw=$?
	"$ship" <"$T/$file" | "$ship" --list >"$T/out" 2>"$T/err"
	check "--list of what is no migration stream: exit 4 ($file)" [ "$raw ${PIPESTATUS[1]}" = "4 4" ]
	check "--list says the same of it, wrapped ($file)" cmp -s "$T/err" "$T/raw.err"
done
head -c 70 "$T/small" >"$T/cut" # in the first frame
expect 4 "--list of a cut shipped stream" bounded --list <"$T/cut"
says "--list names the place" "byte 70: the stream is truncated"

# Memory stays bounded, on both sides, over 1 GiB. peak PID WHAT: the most it ever held.
peak() {
	local kib
	kib=$(awk '/^VmHWM/ { print $2 }' "/proc/$1/status")
	check "$2: under 64 MiB of memory (${kib} KiB)" [ "${kib:-999999}" -lt 65536 ]
}
mkfifo "$T/in" "$T/outlet"
"$ship" <"$T/in" >"$T/zeros" &
pid=$!
mine+=("$pid")
exec 9>"$T/in"
head -c 1G /dev/zero >&9
peak "$pid" "wrapping 1 GiB of zeros"
exec 9>&-
check "wrapping 1 GiB of zeros" wait "$pid"
check "zeros become small" [ "$(stat -c %s "$T/zeros")" -lt 1000000 ]
"$ship" -d <"$T/in" >"$T/outlet" 9>&- &
pid=$!
mine+=("$pid")
exec 9>"$T/in" 8<"$T/outlet"
cat "$T/zeros" >&9
check "they come back" cmp -s <(head -c 1G <&8) <(head -c 1G /dev/zero)
peak "$pid" "unwrapping 1 GiB of zeros"
exec 9>&-
check "unwrapping 1 GiB of zeros" wait "$pid"
exec 8<&-

wait "$slow" # tells nothing: it may have ended long ago, and its pid be used again
check "the slow run ends well" grep -qx 0 "$T/slow.code"
check "it is whole" cmp -s <("$ship" -d <"$T/slow.out") "$T/slow"
check "it told once on its way, and at the end" [ "$(grep -c 'in, ' "$T/slow.err")" = 2 ]
check "the rate it told is right" grep -Eq 'in all 634.8 KiB in.* ([5-9][0-9]|10[0-2])\.[0-9] KiB/s' "$T/slow.err"

# Figures for a report.
head -c 300000 /dev/zero >"$T/plain"
"$ship" --report-fd 3 <"$T/plain" >"$T/wrapped" 3>"$T/figures"
check "--report-fd, wrapping: what came in and went out" grep -Eq \
	"^\{\"tool\":\"dm-ship\",.*\"stage\":\"wrap\",\"in\":300000,\"out\":$(stat -c %s "$T/wrapped")\}\$" "$T/figures"
"$ship" -d --report-fd 3 <"$T/wrapped" >"$T/again" 3>"$T/figures"
check "--report-fd, unwrapping" grep -Eq \
	"\"stage\":\"unwrap\",\"in\":$(stat -c %s "$T/wrapped"),\"out\":300000\}\$" "$T/figures"
head -c 100 "$T/wrapped" | "$ship" -d --report-fd 3 >"$T/again" 3>"$T/figures" 2>"$T/err"
check "of what failed there are none" [ ! -s "$T/figures" ]
for n in 2 99 x; do
	expect 2 "--report-fd $n" "$ship" --report-fd "$n" </dev/null
done
finish
