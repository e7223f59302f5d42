#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Files of the writable layer and of a volume, changed, added and deleted before and during a move.
. "$(dirname "$0")/lib.sh"

a docker volume create --label dm.test=yes data >/dev/null
a docker run -d --name files -v data:/data -v /anon --tmpfs /scratch --restart unless-stopped work sh -c '
	n=0
	while :; do n=$((n + 1)); echo $n >/data/number; echo $n >>/log; mv /data/number /data/latest; sleep 0.01; done' >/dev/null
a docker exec files sh -c '
	echo one >/data/one; echo two >/two; mkdir -p /dir/deep; echo x >/dir/deep/x; ln /two /dir/hard
	ln -s ../nowhere /dir/soft; mkfifo /data/fifo; chmod 4711 /two; chown 12:34 /data/one
	echo spare >/anon/spare; rm /bin/vi; echo shm >/dev/shm/s; echo tmp >/scratch/t; touch -d "2001-02-03 04:05:06" /dir/deep; mkdir /data/sub'
number=$(a docker exec files cat /data/latest)
moves a b files

is "a file of the volume" one "$(b docker exec files cat /data/one)"
is "its owner" "12 34" "$(b docker exec files stat -c '%u %g' /data/one)"
is "a file of the layer, with suid" "4711 two" "$(b docker exec files sh -c 'stat -c %a /two | tr "\n" " "; cat /two')"
is "a hard link is one" "2" "$(b docker exec files stat -c %h /dir/hard)"
is "a symbolic link" "../nowhere" "$(b docker exec files readlink /dir/soft)"
is "a folder's time" "2001-02-03 04:05:06" "$(b docker exec files stat -c %y /dir/deep | cut -c1-19)"
check "a fifo" b docker exec files test -p /data/fifo
check "an empty folder" b docker exec files test -d /data/sub
check "a file deleted from the image stays deleted" b docker exec files test ! -e /bin/vi
is "an anonymous volume" spare "$(b docker exec files cat /anon/spare)"
is "a file on tmpfs" tmp "$(b docker exec files cat /scratch/t)"
is "a file in /dev/shm" shm "$(b docker exec files cat /dev/shm/s)"
is "the volume's label" yes "$(b docker volume inspect -f '{{index .Labels "dm.test"}}' data)"
is "the restart policy" unless-stopped "$(b docker inspect -f '{{.HostConfig.RestartPolicy.Name}}' files)"
later=$(b docker exec files cat /data/latest)
check "it counted on ($number, now $later)" test "$later" -gt "$number"
# every number up to the last one is in the log, once, in order
check "the log that it wrote all the time has no gap" b docker exec files awk '$1 != NR {exit 1}' /log

is "the source is stopped" "exited false" "$(a sh -c 'docker inspect -f "{{.State.Status}} {{.State.Paused}}" $(docker ps -aq)')"
is "the source does not restart by itself" no "$(a sh -c 'docker inspect -f "{{.HostConfig.RestartPolicy.Name}}" $(docker ps -aq)')"
expect 3 "coming back is refused while the volume is there" b dm-migrate files root@a
says "the volume is named" "volume named data already"
clean a
clean b
finish
