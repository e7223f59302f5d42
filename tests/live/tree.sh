#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A process tree with threads, pipes, shared memory and a deleted file that is still open.
. "$(dirname "$0")/lib.sh"

reports() { # HOST: how many there are
	"$HOSTS" in "$1" docker logs tree 2>&1 | grep -c rounds
}

more_than() { # NUMBER HOST
	[[ $(reports "$2") -gt $1 ]]
}

report() { # HOST: the workload's own report, as one line
	local n
	n=$(reports "$1")
	"$HOSTS" in "$1" docker kill -s USR1 tree >/dev/null
	wait_until 10 more_than "$n" "$1"
	"$HOSTS" in "$1" docker logs tree 2>&1 | tail -n 1
}

number() { # LINE NAME
	sed -n "s/.*\"$2\":\([0-9]*\).*/\1/p" <<<"$1"
}

a docker run -d --name tree work /usr/local/sbin/tree >/dev/null
sleep 1
before=$(report a)
for way in "a b" "b a"; do
	# shellcheck disable=SC2086
	moves $way tree
	to=${way#* }
	after=$(report "$to")
	is "no number got lost in the pipes" "0" "$(number "$after" wrong)"
	is "shared memory and the deleted file are whole" "0" "$(number "$after" bad)"
	check "it goes on where it stopped" test "$(number "$after" rounds)" -gt "$(number "$before" rounds)"
	is "every number made its trip" "$(number "$after" expected)" "$(number "$after" rounds)"
	check "the child's thread counts on" test "$(number "$after" child)" -gt "$(number "$before" child)"
	before=$after
	from=${way% *}
	"$HOSTS" in "$from" sh -c 'docker rm $(docker ps -aq)' >/dev/null
	clean a
	clean b
done
finish
