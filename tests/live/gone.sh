#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The container is killed, or removed, while it stands frozen in the middle of a move: that is told
# as it is, and nothing of the migration stays.
. "$(dirname "$0")/lib.sh"

frozen() { # ID: begin and freeze
	a docker run -d --name gone --restart always work /usr/local/sbin/tree >/dev/null
	sleep 0.5
	a sh -c "for o in '' --delta; do dm-fsdiff --id $1 --save \$o gone; [ -n \"\$o\" ] || dm-predump --id $1 gone; done >/dev/null;
		dm-predump --id $1 --final gone >/dev/null" 2>"$T/log"
	is "it is frozen" "paused true" "$(state a gone)"
}

frozen kill-$$
a docker kill gone >/dev/null
expect 5 "killed, it is settled" a dm-rollback --settle --id kill-$$ gone
says "the message tells that it is stopped" 'is stopped here'
is "its restart policy is back" always "$(a docker inspect -f '{{.HostConfig.RestartPolicy.Name}}' gone)"
empty a

frozen rm-$$
id=$(a docker inspect -f '{{.Id}}' gone)
# removed while dm-rollback waits for receipts
a sh -c "(sleep 1; docker rm -f gone >/dev/null) | dm-rollback --id rm-$$ gone" 2>"$T/err"
says "removed, the message tells that it is gone" 'is gone here'
is "no claim is left" "" "$(a sh -c "ls /var/lib/docker-migrate/claims | grep $id")"

a docker run -d --name short work sleep 9999 >/dev/null
moves a b short
has "a container that ends as it is restored is told" 'has ended since, with exit code 0' "$T/log"
clean a
clean b
finish
