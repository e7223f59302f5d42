#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# dm-restore with small streams that are cut, one of them at every byte: nothing is ever started,
# and what was made is removed again.
[[ -w /dev/shm ]] && export TMPDIR=/dev/shm # thousands of records are synced
# shellcheck source=tests/cli/lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"
shopt -s extglob

make=$BUILD/tests/make_stream
"$make" --mine --bare >"$T/stream-bare"
"$make" --mine --volume vol --image --pages >"$T/stream-rich"

# cuts STREAM FROM STEP: cut at FROM, FROM + STEP, ...; prints a line for each that goes wrong
cuts() {
	local i code out err stream=$1 length
	length=$(stat -c %s "$stream")
	for ((i = $2; i < length; i += $3)); do
		head -c "$i" "$stream" |
			DM_STATE=$T/state/$i "$BUILD/dm-restore" --stage "$T/stage" >"$T/out" 2>"$T/err"
		code=$?
		out=$(<"$T/out") err=$(<"$T/err")
		[[ $code == 4 ]] || echo "$i: exit $code: $err"
		[[ $err == "dm-restore: stream: it "@(is empty|ends )* && $err != *$'\n'* ]] ||
			echo "$i: it says: $err"
		if ((i < 120)); then # not even the head came
			[[ -z $out && ! -e $T/state/$i ]] || echo "$i: a record, or a receipt: $out"
		else
			[[ $out == '{"receipt":"hello",'*$'}\n{"receipt":"result","state":"failed",'*'"reason":"stream: it ends '*\} ]] ||
				echo "$i: receipts: $out"
			[[ $(<"$T/state/$i/target/tiny/decision") == failed ]] || echo "$i: another decision"
			rm -r "$T/state/$i"
		fi
		out=("$T"/stage/*)
		[[ ! -e ${out[0]} ]] || echo "$i: left in the stage: ${out[*]}"
	done
}

# undone WHAT: of what the cuts brought, nothing is left
undone() {
	local left
	[[ $(asked "^POST /$1/create") -gt 50 ]] || echo "hardly any of the $1 are made"
	[[ $(asked "^POST /$1/create") == "$(asked "^DELETE /$1/")" ]] || echo "not all $1 are removed again"
	left=("$E"/layers/* "$E"/volumes/* "$DM_RUN"/restore/*)
	for f in "${left[@]}"; do
		[[ ! -e $f ]] || echo "left: $f"
	done
	[[ $(asked '/start') == 0 ]] || echo "something is started"
}

# Three at a time, each with an engine of its own.
whole=$T
worker() { # NAME STREAM FROM STEP
	mine=()
	T=$whole/$1
	mkdir "$T"
	trap - EXIT
	engine_start "cuts"
	{
		cuts "$whole/stream-$2" "$3" "$4"
		undone containers
		[[ $2 == bare ]] || undone volumes
	} >"$T/wrong" 2>&1
	engine_stop
}
worker even bare 0 2 &
mine+=("$!")
worker odd bare 1 2 &
mine+=("$!")
worker rich rich 3 131 &
mine+=("$!")
wait "${mine[@]}"
mine=()
T=$whole
check "a cut at every byte of $(stat -c %s "$T/stream-bare"): exit 4, nothing is started, all is undone" \
	[ ! -s "$T/even/wrong" -a ! -s "$T/odd/wrong" -a -e "$T/even/wrong" -a -e "$T/odd/wrong" ]
check "with an image, a volume and pages, too" [ ! -s "$T/rich/wrong" -a -e "$T/rich/wrong" ]
cat "$T"/*/wrong | head -n 20 | sed 's/^/# /'

# The same streams, whole, would have been started.
for stream in bare rich; do
	engine_start "the whole stream"
	echo running >"$E/start"
	expect 0 "the whole stream is started ($stream)" "$BUILD/dm-restore" --stage "$T/stage" \
		<"$T/stream-$stream"
	check "once ($stream)" [ "$(asked '/start$')" = 1 ]
done
finish
