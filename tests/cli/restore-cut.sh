#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# dm-restore with a small stream that is cut at every byte: nothing is ever started, and what was
# made is removed again.
# shellcheck source=tests/cli/lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"

make=$BUILD/tests/make_stream
"$make" --bare --mine --volume vol >"$T/stream"
length=$(stat -c %s "$T/stream")

# cuts FROM STEP: cut at FROM, FROM + STEP, ...; prints a line for each that goes wrong
cuts() {
	local i code out err
	for ((i = $1; i < length; i += $2)); do
		head -c "$i" "$T/stream" |
			DM_STATE=$T/state/$i "$BUILD/dm-restore" --stage "$T/stage" >"$T/out" 2>"$T/err"
		code=$?
		out=$(<"$T/out") err=$(<"$T/err")
		[[ $code == 4 ]] || echo "$i: exit $code: $err"
		[[ $err == "dm-restore: stream: it "*(is empty|ends )* && $err != *$'\n'* ]] ||
			echo "$i: it says: $err"
		if ((i < 120)); then # not even the head came
			[[ -z $out && ! -e $T/state/$i ]] || echo "$i: a record, or a receipt: $out"
		else
			[[ $out == '{"receipt":"hello",'*$'}\n{"receipt":"result","state":"failed",'*"\"reason\":\"stream: it ends "*\} ]] ||
				echo "$i: receipts: $out"
			[[ $(<"$T/state/$i/target/tiny/decision") == failed ]] || echo "$i: another decision"
			rm -r "$T/state/$i"
		fi
		out=("$T"/stage/*)
		[[ ! -e ${out[0]} ]] || echo "$i: left in the stage: ${out[*]}"
	done
	[[ $(asked '^POST /containers/create') -gt 100 ]] || echo "hardly a container is made"
	[[ $(asked '^POST /containers/create') == "$(asked '^DELETE /containers/[0-9a-f]{64}\?force=1')" ]] ||
		echo "not every container is removed again"
	[[ $(asked '^POST /volumes/create') -gt 100 ]] || echo "hardly a volume is made"
	[[ $(asked '^POST /volumes/create') == "$(asked '^DELETE /volumes/vol$')" ]] ||
		echo "not every volume is removed again"
	[[ $(asked '/start') == 0 ]] || echo "something is started"
	out=("$E"/layers/* "$E"/volumes/*)
	[[ ! -e ${out[0]} && ! -e ${out[1]} ]] || echo "folders are left: ${out[*]}"
	out=("$DM_RUN"/restore/*)
	[[ ! -e ${out[0]} ]] || echo "plans are left: ${out[*]}"
}

# Two at a time, each with an engine of its own.
shopt -s extglob
whole=$T
worker() {
	mine=()
	T=$whole/$1
	mkdir "$T" && cp "$whole/stream" "$T/stream"
	trap - EXIT
	engine_start "cuts"
	cuts "$1" 2 >"$T/wrong" 2>&1
	kill "${mine[@]}"
}
worker 0 &
first=$!
mine+=("$first")
worker 1 &
second=$!
mine+=("$second")
wait "$first" "$second"
mine=()
T=$whole
cat "$T/0/wrong" "$T/1/wrong" >"$T/wrong"
check "a cut at every byte of $length: exit 4, nothing is started, all is undone" [ ! -s "$T/wrong" ]
head -n 20 "$T/wrong" | sed 's/^/# /'

# The same stream, whole, would have been started.
engine_start "the whole stream"
echo running >"$E/start"
expect 0 "the whole stream is started" "$BUILD/dm-restore" --stage "$T/stage" <"$T/stream"
check "once" [ "$(asked '/start$')" = 1 ]
finish
