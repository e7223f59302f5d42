#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# dm-restore with a stand-in for the engine: bad streams, foreign segments, what is in the way, what
# fails, and what becomes of it in the record, in the receipts and at the engine.
# shellcheck disable=SC2317 # functions are called through "expect"
# shellcheck source=tests/cli/lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"

make=$BUILD/tests/make_stream
stage=$T/stage

restore() { timeout 60 "$BUILD/dm-restore" --stage "$stage"; }
no_stdout() { restore >&-; }
no_stdin() { restore <&-; }
full_disk() { restore >/dev/full; }

# stream FILE OPTION...: make one, with files that are ours to own
stream() {
	local file=$1
	shift
	"$make" --mine "$@" >"$T/$file"
}

# fresh [WORD...]: a new engine, that does this at the start of a container
fresh() {
	engine_start "dm-restore"
	rm -rf "$stage"
	echo "${*:-running}" >"$E/start"
}

# decided WORD [ID]
decided() {
	check "... the record says $1" grep -qx "$1" "$DM_STATE/target/${2:-tiny}/decision"
}

# undone STARTS: nothing is left of what came, and so many starts were asked for
undone() {
	check "... $1 starts" [ "$(asked '/start$')" = "$1" ]
	check "... containers are removed again" [ -z "$(ls "$E/layers" 2>/dev/null)" ]
	check "... volumes are removed again" [ -z "$(ls "$E/volumes" 2>/dev/null)" ]
	check "... the stage is empty" [ -z "$(ls "$stage" 2>/dev/null)" ]
	check "... no plan is left" [ -z "$(ls "$DM_RUN/restore" 2>/dev/null)" ]
	check "... no marker is left" [ -z "$(ls "$DM_STATE/unborn" 2>/dev/null)" ]
}

# failed_as PATTERN [STARTS]: after "expect": it failed with that message, the receipt has it, too,
# and all is undone
failed_as() {
	says "... it is told" "$1"
	one_line "... in one line"
	check "... the receipt says failed, and why" grep -Eq \
		'^\{"receipt":"result","state":"failed",.*"reason":".+"\}$' "$T/out"
	undone "${2:-0}"
	decided failed
}

stream good --volume vol

# What is no stream at all leaves no record.
fresh
head -c 5000 /dev/urandom >"$T/noise"
head -c 5000 /dev/zero >"$T/zeros"
"$BUILD/dm-ship" <"$T/good" >"$T/shipped"
stream id --id ../x
for file in /dev/null "$T/noise" "$T/zeros" "$T/shipped" "$T/id" /etc/passwd; do
	expect 4 "fed with ${file##*/}" restore <"$file"
	one_line "... one line"
	check "... no receipt" [ ! -s "$T/out" ]
done
check "no record is made, and nothing is asked of the engine" \
	[ ! -e "$DM_STATE" -a -z "$(grep -v '^GET /version$' "$E/log")" ]
check "the stage is empty" [ -z "$(ls "$stage")" ]

# Segments: their lengths are in the listing; an END takes 48 bytes.
stream foreign --volume vol --seed 8
stream other --volume vol --id other
from=0 n=0
while read -r size; do
	size=$((size + 48))
	for kind in good foreign other; do
		tail -c +$((from + 1)) "$T/$kind" | head -c "$size" >"$T/$kind.$n"
	done
	from=$((from + size)) n=$((n + 1))
done < <("$BUILD/dm-ship" --list <"$T/good" | sed -n 's/^end .*records, \([0-9]*\) bytes.*/\1/p')
check "the stream has four segments" [ "$n" = 4 ]
# parts NAME...: the good stream's segments by number, or others by name
parts() {
	local p
	for p in "$@"; do
		[[ $p == [0-9] ]] && p=good.$p
		cat "$T/$p"
	done >"$T/parts"
}
for line in "0" "0 1" "0 1 2" "0 1 3" "0 3" "0 2 1 3" "0 1 1 2 3" "0 0 1 2 3" "0 1 2 3 3" \
	"0 1 2 3 2" "0 foreign.1 2 3" "0 1 foreign.2 3" "0 1 2 foreign.3" "0 1 2 3 good" "0 1 2 3 noise"; do
	fresh
	# shellcheck disable=SC2086 # to be split
	parts $line
	expect 4 "segments $line" restore <"$T/parts"
	failed_as '^dm-restore: stream: '
done
fresh
parts 1 2 3
expect 4 "without the first segment" restore <"$T/parts"
check "... no receipt, no record" [ ! -s "$T/out" -a ! -e "$DM_STATE" ]

for line in "--wrong|digests differ" "--missing --pages|never arrived"; do
	fresh
	# shellcheck disable=SC2086 # to be split
	stream bad ${line%|*}
	expect 4 "a stream made with ${line%|*}" restore <"$T/bad"
	failed_as "${line#*|}"
done

# A whole one: as the runtime finds it, and what is there afterwards.
fresh
stream rich --volume vol --pages --image
: >"$E/images"
expect 0 "a whole stream" restore <"$T/rich"
says "... is told" '^dm-restore: container tiny runs here$'
check "... the first receipt is a hello" sh -c "head -n 1 '$T/out' | grep -q '^{\"receipt\":\"hello\"'"
check "... the second is what it has used" sh -c "sed -n 2p '$T/out' | grep -q '^{\"tool\":\"dm-restore\"'"
check "... the third is the result" sh -c "sed -n 3p '$T/out' | grep -q '\"result\",\"state\":\"running\"'"
check "... there are no others" [ "$(wc -l <"$T/out")" = 3 ]
decided running
check "... the image was loaded" grep -qx 'POST /images/load?quiet=1 what docker save says' "$E/log"
check "... the container was made under its name, with our runtime and without restart" grep -q \
	'^POST /containers/create?name=tiny .*"RestartPolicy":{"Name":"no"},"Runtime":"docker-migrate"' "$E/log"
check "... its restart policy came last" [ "$(grep -v ^GET "$E/log" | tail -n 1)" = \
	"POST /containers/$(printf %064d 1)/update {\"RestartPolicy\":{\"Name\":\"always\"}}" ]
check "... its volume came first, with its labels" \
	[ "$(grep -E '^POST /(volumes|containers)/create' "$E/log" | head -n 1)" = \
	'POST /volumes/create {"Name":"vol","Driver":"local","Labels":{"for":"tests"}}' ]
check "... files of the layer are in place" \
	[ "$(cat "$E"/layers/*/diff/{hello,late})" = $'from the source\nat the last moment' ]
check "... files of the volume are in place" grep -qx 'of the volume' "$E/volumes/vol/_data/data"
check "... CRIU's images are in the stage" grep -qx 'not a real image' "$E/staged/images/inventory.img"
{
	for letter in a a b a; do head -c 4096 /dev/zero | tr '\0' $letter; done
	head -c 4096 /dev/zero
} >"$T/pages"
check "... and pages, each in its newest version" cmp -s "$T/pages" "$E/staged/level-0/pages-1.img"
check "... the plan names them" grep -q "\"images\": \"$stage/stage-tiny/images\"" "$E/plan"
check "... the stage is empty again" [ -z "$(ls "$stage")" ]
check "... nothing is removed" [ "$(asked '^DELETE')" = 0 ]
expect 0 "asked later" "$BUILD/dm-restore" --refuse tiny
check "... it says running" grep -q '"state":"running"' "$T/out"

# The same id again, and then the same names: what is there stays as it is.
before=$(wc -l <"$E/log")
expect 3 "the same id again" restore <"$T/rich"
says "... is told" 'migration tiny has come here before; take another id'
check "... no receipt" [ ! -s "$T/out" ]
decided running
check "... nothing is asked of the engine" \
	[ "$(tail -n +$((before + 1)) "$E/log")" = "GET /version" ]
stream second --volume vol --id second
expect 3 "a volume of that name is here" restore <"$T/second"
says "... is told" 'volume vol exists here already'
decided failed second
stream third --id third
expect 3 "a container of that name is here" restore <"$T/third"
says "... is told" 'already in use'
decided failed third
check "both stay" [ "$(asked '^DELETE')" = 0 -a -e "$E/volumes/vol/_data/data" ]

# What fails at the engine.
while IFS='|' read -r what fail pattern; do
	fresh
	echo "$fail" >"$E/fail"
	expect 1 "$what" restore <"$T/good"
	failed_as "$pattern"
done <<-'END'
	the engine makes no volume|POST ^/volumes/create 500 no space for it|no space for it
	the engine makes no container|POST ^/containers/create 400 bad parameter|bad parameter
	the engine cannot tell of the image|GET ^/images/ 500 the store is locked|the store is locked
	the engine cannot tell of the container|GET ^/containers/0 500 no memory|no memory
END
fresh
: >"$E/images"
expect 3 "an image that is not here, and does not come" restore <"$T/good"
failed_as 'image tiny:1 is not here, and was not sent'
fresh
: >"$E/images"
echo 'POST ^/images/load 500 no space for layers' >"$E/fail"
expect 1 "an image that is not taken" restore <"$T/rich"
failed_as 'no space for layers'
fresh
echo 'DELETE . 500 it is busy' >"$E/fail"
expect 4 "what cannot be removed" restore < <(head -c 6000 "$T/good")
says "... the container is told" 'container 000000000000 is left behind: .*it is busy'
says "... the volume is told" 'volume vol is left behind: .*it is busy'
decided failed

# The start, and what the record says of it.
fresh fail
expect 1 "the start fails" restore <"$T/good"
failed_as 'the start failed, as it was told to' 1
fresh failed fail
expect 1 "the runtime decides failed" restore <"$T/good"
failed_as 'the start failed, as it was told to' 1
fresh cold
expect 1 "the engine starts it without our runtime" restore <"$T/good"
failed_as 'without our runtime' 1
fresh running fail
expect 0 "it runs, though the engine says no" restore <"$T/good"
says "... both are told" 'the container runs, though: .*the start failed'
check "... nothing is removed" [ "$(asked '^DELETE')" = 0 ]
decided running
fresh running
echo 'POST /update$ 500 not now' >"$E/fail"
expect 0 "it runs, but its restart policy cannot be set" restore <"$T/good"
says "... is told" 'without its restart policy: .*not now'
check "... nothing is removed" [ "$(asked '^DELETE')" = 0 ]
decided running

# A container that is said to be larger than the machine.
fresh
stream huge --volume vol --memory 4000000000000000
expect 3 "not enough room" restore <"$T/huge"
failed_as '4092.7 TiB are needed for the memory'
check "... nothing was made" [ "$(asked '/create')" = 0 ]

# Staging folders.
fresh
mkdir -m 755 "$T/open"
: >"$T/file"
mkdir -m 700 "$T/real" && ln -s real "$T/link"
for line in "3|$T/open|must be mode 0700" "1|$T/file|Not a directory" "1|$T/link|folder $T/link" \
	"1|$T/link/|folder $T/link" "1|$T/file/x|make folder $T/file" "1|/proc/no/such|make folder /proc/no" \
	"2|$(printf '/x%.0s' {1..3000})|path too long"; do
	IFS='|' read -r code stage pattern <<<"$line"
	expect "$code" "stage ${stage:0:40}" restore <"$T/good"
	says "... is told" "$pattern"
	check "... no receipt" [ ! -s "$T/out" ]
done
stage=$T/stage
check "no record was made" [ ! -e "$DM_STATE" ]
fresh
DM_STATE=$T/file expect 1 "a file as the state folder" restore <"$T/good"
check "... no receipt" [ ! -s "$T/out" ]
check "... nothing was made" [ "$(asked '/create')" = 0 ]

# Descriptors.
fresh
expect 1 "closed stdout" no_stdout <"$T/good"
says "... is told" 'write receipt: Bad file descriptor'
undone 0
decided failed
fresh
expect 1 "full stdout" full_disk <"$T/good"
says "... is told" 'write receipt: No space left on device'
undone 0
decided failed
fresh
expect 1 "closed stdin" no_stdin
says "... is told" 'read stream: Bad file descriptor'
check "... no record" [ ! -e "$DM_STATE" ]

# An interrupt in the middle of the stream.
for sig in TERM INT HUP; do
	fresh
	mkfifo "$T/pipe"
	"$BUILD/dm-restore" --stage "$stage" <"$T/pipe" >"$T/out" 2>"$T/err" &
	pid=$!
	mine+=("$pid")
	exec 9>"$T/pipe"
	head -c 6000 "$T/good" >&9
	for _ in {1..100}; do
		[[ $(asked '^GET /containers/0') == 1 ]] && break
		sleep 0.05
	done
	kill -"$sig" "$pid"
	# a background process of a script is born deaf to SIGINT, but the program listens
	wait "$pid"
	check "SIG$sig in the middle of the stream: exit 4" [ $? = 4 ]
	exec 9>&-
	rm "$T/pipe"
	failed_as 'stream: it ends too early'
done

# Asking: what is not decided can be refused, and what was begun under another boot has failed.
fresh
record=$DM_STATE/target/asked
hello() { # BOOT
	rm -rf "$record" && mkdir -p "$record" && chmod 700 "$record"
	echo "{\"event\":\"hello\",\"time\":1.5,\"id\":\"asked\",\"machine\":\"M\",\"boot\":\"$1\",\"nonce\":\"N\"}" \
		>"$record/journal"
}
boot=$(</proc/sys/kernel/random/boot_id)
hello "$boot"
expect 0 "--status of what is not decided" "$BUILD/dm-restore" --status asked
check "... says starting" [ "$(<"$T/out")" = \
	"{\"receipt\":\"result\",\"state\":\"starting\",\"id\":\"asked\",\"machine\":\"M\",\"boot\":\"$boot\",\"nonce\":\"N\"}" ]
check "... and decides nothing" [ ! -e "$record/decision" ]
expect 0 "--refuse of what is not decided" "$BUILD/dm-restore" --refuse asked
check "... says refused" grep -q '"state":"refused"' "$T/out"
decided refused asked
expect 0 "--status of what is refused" "$BUILD/dm-restore" --status asked
check "... says refused" grep -q '"state":"refused"' "$T/out"
for task in status refuse; do
	hello 00000000-0000-0000-0000-000000000000
	expect 0 "--$task of another boot" "$BUILD/dm-restore" --$task asked
	check "... says failed" grep -q '"state":"failed"' "$T/out"
	decided failed asked
	hello 00000000-0000-0000-0000-000000000000
	echo running >"$record/decision"
	expect 0 "--$task of what ran in another boot" "$BUILD/dm-restore" --$task asked
	check "... says running" grep -q '"state":"running"' "$T/out"
done
check "none of this needs the engine" [ ! -s "$E/log" ]

# A stream that was saved in a file: nobody asks the source.
stream saved --saved --id saved
fresh
expect 3 "a saved stream" restore <"$T/saved"
says "... is not taken without --saved" '--saved restores it, once it is certain that the container runs nowhere else'
check "... leaves no record" [ ! -e "$DM_STATE/target/saved" ]
undone 0
saved() { timeout 60 "$BUILD/dm-restore" --stage "$stage" --saved; }
mkdir -p "$DM_STATE/source/saved" && chmod 700 "$DM_STATE/source/saved"
echo thaw >"$DM_STATE/source/saved/decision"
expect 3 "a saved stream whose container was let run on here" saved <"$T/saved"
says "... is not taken" 'the container was let run on here after it had been saved'
undone 0
echo last >"$DM_STATE/source/saved/decision"
echo '{"event":"thawing","time":1.5}' >"$DM_STATE/source/saved/journal"
expect 3 "one that was let run on after its stream was complete" saved <"$T/saved"
says "... is not taken" 'the container was let run on here after it had been saved'
echo '{"event":"releasing","time":1.5}' >"$DM_STATE/source/saved/journal"
echo full >"$E/images" # its image is not here
expect 3 "a saved stream that fails" saved <"$T/saved"
decided failed saved
echo "sha256:$(printf '1%.0s' {1..64}) tiny:1" >"$E/images"
expect 0 "a saved stream, with --saved" saved <"$T/saved"
decided running saved
check "... the attempt that failed is on record, too" grep -qx failed "$DM_STATE/target/saved.1/decision"
expect 3 "the same stream a second time" saved <"$T/saved"
says "... is refused" 'has come here before'
check "... and leaves the record" grep -qx running "$DM_STATE/target/saved/decision"
check "... the stage is empty" [ -z "$(ls "$stage")" ]

# What was staged is kept on demand.
fresh
keep() { timeout 60 "$BUILD/dm-restore" --stage "$stage" --keep-images; }
stream kept --pages --id kept
expect 0 "with --keep-images" keep <"$T/kept"
says "... it is told where they are" "CRIU's images are kept in $stage/stage-kept$"
check "... they are there" [ -s "$stage/stage-kept/images/inventory.img" -o -n "$(ls "$stage/stage-kept/images")" ]
check "... for root alone" [ "$(stat -c %a "$stage/stage-kept")" = 700 ]
finish
