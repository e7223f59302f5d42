#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# dm-restore is killed when the container has been made but not started: what it leaves behind
# never starts from cold, and the source runs on.
. "$(dirname "$0")/lib.sh"

a docker run -d --name tree work /usr/local/sbin/tree >/dev/null
sleep 0.5
# after the first segments the stream stands still, until dm-restore is dead
b sh -c 'mkfifo /srv/cold.fifo'
a sh -c 'dm-fsdiff --id cold-'$$' tree' >"$T/first" 2>"$T/log"
"$HOSTS" put b "$T/first" /srv/cold.first
b sh -c 'dm-restore </srv/cold.fifo >/srv/cold.out 2>&1 & echo $! >/srv/cold.pid; exec 3>/srv/cold.fifo; cat /srv/cold.first >&3; sleep 1; kill -9 $(cat /srv/cold.pid)'
is "what it made is there" tree "$(b docker ps -a --format '{{.Names}}')"
expect 1 "docker start does not start it" b docker start tree
says "and says why" 'must not start from cold'
is "it never ran" created "$(b docker inspect -f '{{.State.Status}}' tree)"
is "asked, the target refuses" refused "$(b dm-restore --refuse cold-$$ | sed 's/.*"state":"\([a-z]*\)".*/\1/')"
expect 5 "the source goes on" a dm-rollback --settle --id cold-$$ tree
is "it runs on at the source" "running false" "$(state a tree)"
b sh -c 'docker rm tree; rm -rf /dev/shm/docker-migrate/stage-* /srv/cold.*' >/dev/null
moves a b tree
check "what was moved well can be started again" b docker restart -t 1 tree
clean b
finish
