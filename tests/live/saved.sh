#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A container is saved into a file, and goes on from it later: on another host, and on the same one.
# One that was let run on after it had been saved is not started from the file beside itself.
. "$(dirname "$0")/lib.sh"

file=/srv/saved-$$
# save ID: the container into $file; it stays frozen
save() {
	a bash -o pipefail -c "umask 077; { dm-fsdiff --id $1 --save kept && dm-predump --id $1 kept &&
		dm-fsdiff --id $1 --delta kept && dm-predump --id $1 --final kept &&
		dm-fsdiff --id $1 --delta --last kept; } | dm-ship >$file"
}
restore() { # HOST [OPTION...]
	local host=$1
	shift
	"$HOSTS" in "$host" bash -o pipefail -c "dm-ship -d <$file | dm-restore $*"
}
counted() { # HOST: how far the shell in the container has come, and what its volume says
	"$HOSTS" in "$1" docker exec kept sh -c 'cat /count; cat /v/count' | tr '\n' ' '
}
going() { # HOST: it counts on
	local before
	before=$(counted "$1")
	sleep 0.5
	[[ $(counted "$1") != "$before" && $(counted "$1") == *' '* ]]
}

count='n=0; while :; do n=$((n + 1)); echo $n >/count; echo $n >/v/count; sleep 0.05; done'
a docker run -d --name kept -v kept:/v redis sh -c "$count" >/dev/null
sleep 1

# let run on: the file must not become a second one here
expect 0 "it is saved" save snap-$$
is "it is frozen" "paused true" "$(state a kept)"
expect 0 "the file is whole" a sh -c "dm-ship --list <$file"
has "it says that it was saved" ' saved ' "$T/out"
is "it is for root alone" 600 "$(a stat -c %a $file)"
expect 5 "it is let run on" a dm-rollback --thaw --id snap-$$ kept
check "it does" going a
expect 3 "its file is not restored beside it" restore a --saved
says "why is told" 'was let run on here after it had been saved'
check "it is not disturbed" going a

# given up, restored on the same host: the old container's name is free, its volume must go first
expect 0 "it is saved again" save same-$$
before=$(a cat "$(a docker volume inspect -f '{{.Mountpoint}}' kept)/count")
expect 0 "it is given up" a dm-rollback --release --id same-$$ kept
expect 3 "without --saved the file is not taken" restore a
expect 3 "nor while the old volume is there" restore a --saved
says "which is named" 'volume kept'
a sh -c 'docker rm $(docker ps -aqf name=kept) && docker volume rm kept' >/dev/null
expect 0 "once it is gone, it is restored" restore a --saved
check "it goes on" going a
check "from where it was" test "$(a docker exec kept cat /v/count)" -ge "$before"
expect 3 "the same file a second time" restore a --saved
says "is refused" 'has come here before'
check "what runs is not disturbed" going a
empty a

# on another host, later
a docker run -d --name kept -v kept:/v redis sh -c "$count" >/dev/null
sleep 1
expect 0 "another is saved" save other-$$
expect 0 "and given up" a dm-rollback --release --id other-$$ kept
a cat $file | b sh -c "umask 077; cat >$file"
expect 0 "it is restored on the other host" restore b --saved
check "it goes on there" going b
a rm -f $file
b rm -f $file
clean a
clean b
finish
