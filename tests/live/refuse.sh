#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What cannot be carried is refused by name, before anything is sent.
. "$(dirname "$0")/lib.sh"

refused() { # WHAT PATTERN DOCKER-RUN-OPTIONS...
	local what=$1 pattern=$2
	shift 2
	a docker run -d --name no "$@" >/dev/null
	sleep 0.3
	expect 3 "$what is refused" a dm-migrate no root@b
	says "$what is named" "$pattern"
	is "$what: it runs on" "running false" "$(state a no)"
	is "$what: nothing came" "" "$(b docker ps -aq)"
	a docker rm -f no >/dev/null
}
sleeper=(work sleep 1000)

refused "a terminal" 'terminal' -t "${sleeper[@]}"
refused "the host's network" 'network is shared \(host\)' --network host "${sleeper[@]}"
a docker run -d --name other "${sleeper[@]}" >/dev/null
refused "another container's network" 'network is shared \(container:' --network container:other "${sleeper[@]}"
a docker rm -f other >/dev/null
refused "the host's pid namespace" 'pid namespace is shared' --pid host "${sleeper[@]}"
refused "the host's IPC namespace" 'IPC namespace is shared' --ipc host "${sleeper[@]}"
refused "a shareable /dev/shm" '/dev/shm is shareable' --ipc shareable "${sleeper[@]}"
refused "docker run --rm" 'removed when it stops' --rm "${sleeper[@]}"
refused "an annotation for CRIU" 'org.criu.config' --annotation org.criu.config=/evil "${sleeper[@]}"
a docker network create onlya >/dev/null
refused "a network that the target lacks" 'no network named onlya' --network onlya "${sleeper[@]}"
a docker network rm onlya >/dev/null

a docker run -d --name no "${sleeper[@]}" >/dev/null
a docker exec -d no sleep 500
sleep 0.3
expect 3 "a docker exec session is refused" a dm-migrate no root@b
says "and named" 'docker exec'
b docker run -d --name no "${sleeper[@]}" >/dev/null
expect 3 "a name that is taken is refused" a dm-migrate no root@b
says "and named" 'container named no already'
empty b
a docker pause no >/dev/null
expect 3 "a paused container is refused" a dm-migrate no root@b
says "and named" 'paused already'
is "it stays paused" "paused true" "$(state a no)"
a docker unpause no >/dev/null
a docker kill no >/dev/null
expect 3 "a stopped container is refused" a dm-migrate no root@b
says "and named" 'does not run'
expect 3 "a container that does not exist is refused" a dm-migrate nobody root@b
says "and named" 'none of that name'
a docker rm -f no >/dev/null

a docker run -d --name no -p 6379:6379 redis redis-server --protected-mode no >/dev/null
sleep 0.5
a sh -c 'sleep 60 | redis-cli -h 127.0.0.1' >/dev/null &
mine+=($!)
sleep 0.5
expect 3 "an open connection is refused" a dm-migrate no root@b
says "and named" 'TCP connections are open'
is "it runs on" "running false" "$(state a no)"
expect 3 "a target that does not answer is refused" a dm-migrate no root@nowhere.invalid
is "it runs on" "running false" "$(state a no)"
clean a
clean b
finish
