#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A stream cut at many points, and streams put together wrongly, start nothing and leave nothing.
. "$(dirname "$0")/lib.sh"

# save ID FILE: a whole stream of the container, into a file on host a
a docker run -d --name cut -v cutdata:/data work /usr/local/sbin/tree >/dev/null
sleep 0.3
cat >"$T/save" <<-'S'
	set -e
	id=$1 f=$2
	dm-fsdiff --id $id --save cut >$f.0
	dm-predump --id $id cut >$f.1
	dm-fsdiff --id $id --delta cut >$f.2
	dm-predump --id $id --final cut >$f.3
	dm-fsdiff --id $id --delta --last cut >$f.4
	dm-rollback --id $id --thaw cut || [ $? = 5 ]
S
a bash -s one-$$ /srv/one <"$T/save" 2>"$T/log"
is "the source runs on after a save" "running false" "$(state a cut)"
a sh -c 'cat /srv/one.*' >"$T/stream"
a sh -c 'cat /srv/one.0 /srv/one.1 /srv/one.3 /srv/one.4' >"$T/missing"
a sh -c 'cat /srv/one.0 /srv/one.2 /srv/one.1 /srv/one.3 /srv/one.4' >"$T/order"
a sh -c 'cat /srv/one.0 /srv/one.1 /srv/one.1 /srv/one.2 /srv/one.3 /srv/one.4' >"$T/twice"
a bash -s two-$$ /srv/two <"$T/save" 2>"$T/log"
a sh -c 'cat /srv/one.0 /srv/one.1 /srv/one.2 /srv/two.3 /srv/two.4' >"$T/foreign"
"$HOSTS" put b "$T" /srv/cut
size=$(stat -c %s "$T/stream")
a dm-ship --list <"$T/stream" >"$T/list"
has "the stream can be listed to its end" 'last$' "$T/list"

nothing() { # WHAT
	is "$1: no container, no volume" "" "$(b sh -c 'docker ps -aq; docker volume ls -q')"
}

# the records of the attempt before are removed, since an id is taken once
feed() { # COMMAND that prints a stream
	b sh -c "rm -rf /var/lib/docker-migrate/target; $1 | dm-restore --saved" >"$T/out" 2>"$T/err"
}

points=20
for ((i = 0; i <= points; i++)); do
	n=$((size * i / points))
	((i < points)) || n=$((size - 1))
	code=0
	feed "head -c $n /srv/cut/stream" || code=$?
	is "cut after $n of $size bytes: exit code" 4 "$code"
	nothing "cut after $n bytes"
done
for f in missing order twice foreign; do
	code=0
	feed "cat /srv/cut/$f" || code=$?
	is "segments $f: exit code" 4 "$code"
	nothing "segments $f"
done
clean b

code=0
feed "cat /srv/cut/stream" || code=$?
is "the whole stream starts it" 0 "$code"
is "it runs on the target" "running false" "$(state b cut)"
b docker kill -s USR1 cut >/dev/null
check "and is whole" wait_until 10 eval 'b docker logs cut 2>&1 | grep -q "\"wrong\":0,\"bad\":0"'
expect 3 "the same stream again is refused" b sh -c 'dm-restore --saved </srv/cut/stream'
is "it still runs" "running false" "$(state b cut)"
b rm -rf /srv/cut
clean b
finish
