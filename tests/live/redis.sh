#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A Redis with 300 MB under writes, from Docker 26 to Docker 28 and back: no acknowledged write is
# lost, and the container is an ordinary one afterwards.
. "$(dirname "$0")/lib.sh"

a docker run -d --name web -p 6379:6379 redis redis-server --protected-mode no --enable-debug-command yes --save '' >/dev/null
sleep 0.5
a docker exec web redis-cli debug populate 300000 filler 1000 >/dev/null
"$HOSTS" in a redis-writer write 10.99.0.1:6379,10.99.0.2:6379 --rate 2000 --state /srv/state >"$T/writer" 2>&1 &
mine+=($!)
sleep 1
for way in "a b" "b a"; do
	from=${way% *} to=${way#* }
	# shellcheck disable=SC2086
	moves $way web --tcp close
	grep -E 'round|final|blackout|frozen' "$T/log" | sed 's/^/# /'
	sleep 1
	is "docker ps on $to" "web" "$("$HOSTS" in "$to" docker ps --format '{{.Names}}')"
	is "docker ps on $from" "" "$("$HOSTS" in "$from" docker ps --format '{{.Names}}')"
	a cat /srv/state | b tee /srv/state >/dev/null
	expect 0 "every acknowledged write is on $to" "$HOSTS" in "$to" redis-writer check 127.0.0.1:6379 --state /srv/state
	sed 's/^/# /' "$T/out"
	is "the filler is there" "OK" "$("$HOSTS" in "$to" sh -c 'test $(docker exec web redis-cli exists filler:0 filler:299999) = 2 && echo OK')"
	"$HOSTS" in "$from" sh -c 'docker rm $(docker ps -aq)' >/dev/null
	done

is "docker exec works" PONG "$(a docker exec web redis-cli ping)"
a timeout 20 docker logs -f --since 0s web >"$T/follow" 2>&1 &
mine+=($!)
a docker exec web redis-cli shutdown nosave >/dev/null 2>&1
check "docker logs -f shows what it says" wait_until 10 grep -q 'bye bye' "$T/follow"
check "it ends when it is told to" wait_until 10 eval '[[ $(state a web) == "exited false" ]]'
is "its exit code" 0 "$(a docker inspect -f '{{.State.ExitCode}}' web)"
check "docker start starts it afresh" a docker start web
check "and it answers" wait_until 10 eval '[[ $(a docker exec web redis-cli ping 2>/dev/null) == PONG ]]'
check "docker restart" a docker restart -t 5 web
check "docker stop" a docker stop -t 5 web
clean a
clean b
finish
