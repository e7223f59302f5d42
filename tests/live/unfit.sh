#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The target fails in the middle, in many ways: the container runs on at the source, with nothing
# lost, and nothing runs or stays on the target.
. "$(dirname "$0")/lib.sh"

a docker run -d --name tree --restart always work /usr/local/sbin/tree >/dev/null
sleep 0.5

reports() { # how many there are
	a docker logs tree 2>&1 | grep -c rounds
}

more_than() { # NUMBER
	[[ $(reports) -gt $1 ]]
}

# stays WHAT: the failed move left everything as it was
stays() {
	is "$1: it runs on at the source" "running false" "$(state a tree)"
	is "$1: its restart policy is back" always "$(a docker inspect -f '{{.HostConfig.RestartPolicy.Name}}' tree)"
	is "$1: there is none on the target" "" "$(b docker ps -aq)"
	local n
	n=$(reports)
	a docker kill -s USR1 tree >/dev/null
	wait_until 10 more_than "$n"
	a docker logs tree 2>&1 | tail -n 1 >"$T/report"
	has "$1: nothing is lost" '"wrong":0,"bad":0' "$T/report"
	is "$1: it is the process that was started first" 0 "$(a docker inspect -f '{{.RestartCount}}' tree)"
	clean a
	clean b
}

fails() { # WHAT CODE [OPTION...]
	local what=$1 want=$2 code=0
	shift 2
	migrate a b tree "$@" || code=$?
	is "$what: exit code" "$want" "$code"
	sed 's/^/# /' "$T/log" | tail -n 3
	stays "$what"
}

# CRIU ends in mid-restore: a wrapper that lets version and check pass
b sh -c 'mv /usr/sbin/criu /usr/sbin/criu.real && printf "#!/bin/sh\ncase \$1 in swrk) sleep 0.2; exit 1;; esac\nexec /usr/sbin/criu.real \"\$@\"\n" >/usr/sbin/criu && chmod +x /usr/sbin/criu'
fails "CRIU fails" 5
b mv /usr/sbin/criu.real /usr/sbin/criu

# CRIU never comes to an end
b sh -c 'mv /usr/sbin/criu /usr/sbin/criu.real && printf "#!/bin/sh\ncase \$1 in swrk) exec sleep 1000;; esac\nexec /usr/sbin/criu.real \"\$@\"\n" >/usr/sbin/criu && chmod +x /usr/sbin/criu'
fails "CRIU hangs" 5 --limit 3
b mv /usr/sbin/criu.real /usr/sbin/criu

# the runtime is gone, and that is seen before; or it fails, and that is not
b mv /usr/local/sbin/dm-runtime /usr/local/sbin/dm-runtime.gone
fails "the runtime is missing" 3
has "which is told" "the engine's runtime docker-migrate is missing: /usr/local/sbin/dm-runtime" "$T/log"
b ln -s /bin/false /usr/local/sbin/dm-runtime
fails "the runtime fails" 5
b mv /usr/local/sbin/dm-runtime.gone /usr/local/sbin/dm-runtime

# no room for the memory
b sh -c 'mkdir -m 700 /tmp/small && mount -t tmpfs -o size=1m,mode=700 tmpfs /tmp/small'
fails "no room in the staging folder" 3 --stage /tmp/small
b umount /tmp/small

# the target's memory images are damaged while they lie there
b sh -c 'mv /usr/sbin/criu /usr/sbin/criu.real && printf "#!/bin/sh\ncase \$1 in swrk) for f in /dev/shm/docker-migrate/stage-*/level-0/pages-1.img; do truncate -s 4096 \$f; done;; esac\nexec /usr/sbin/criu.real \"\$@\"\n" >/usr/sbin/criu && chmod +x /usr/sbin/criu'
fails "page images are cut short" 5 --limit 10
b mv /usr/sbin/criu.real /usr/sbin/criu

# the network that the container needs is gone, after the check
a docker network create tonet >/dev/null
b docker network create tonet >/dev/null
a docker network connect tonet tree
b sh -c 'mv /usr/local/sbin/dm-ship /usr/local/sbin/dm-ship.real && printf "#!/bin/sh\ndocker network rm tonet >/dev/null\nexec dm-ship.real \"\$@\"\n" >/usr/local/sbin/dm-ship && chmod +x /usr/local/sbin/dm-ship'
fails "a network is missing" 5
b mv /usr/local/sbin/dm-ship.real /usr/local/sbin/dm-ship
a docker network disconnect tonet tree
a docker network rm tonet >/dev/null

# and after all that it still moves
moves a b tree
finish
