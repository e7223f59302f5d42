#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The part of runtime.sh that runs in a test host; it owns the host's engine.
# shellcheck disable=SC2317
[ -e /srv/runtime-test/dm-runtime ] || {
	echo "runtime-inside.sh: this is a part of runtime.sh" >&2
	exit 2
}
# shellcheck source=tests/cli/lib.sh
. /srv/runtime-test/tests/cli/lib.sh

PENDING=/run/docker-migrate/restore STATE=/var/lib/docker-migrate/target
RUNC_ROOT=/run/docker/runtime-runc/moby
HOLD=/run/runtime-test.hold # while it stands, "start" and "create" of the slow runtime wait
N=0

# leave the host as it was
if [ "${1-}" = leave ]; then
	finished=yes
	rm -f $HOLD /usr/local/sbin/slow-runtime
	docker rm -f c1 c2 >/dev/null 2>&1
	docker network rm span >/dev/null 2>&1
	[ ! -e /srv/runtime-test/daemon.json ] || cp /srv/runtime-test/daemon.json /etc/docker/daemon.json
	kill -HUP "$(cat /run/docker.pid)"
	rm -rf /srv/dump /srv/images /srv/evil* /srv/runtime-test /run/docker-migrate/done/* "${PENDING:?}"/* "${STATE:?}"/runtime-test-*
	exit 0
fi

# ---- the engine gets two runtimes: ours, and ours behind a script that can hold it up

install -m 755 /srv/runtime-test/dm-runtime /usr/local/sbin/dm-runtime
cat >/usr/local/sbin/slow-runtime <<-S
	#!/bin/sh
	case " \$* " in *" start "*) while [ -e $HOLD ]; do sleep 0.05; done ;; esac
	exec dm-runtime "\$@"
S
chmod 755 /usr/local/sbin/slow-runtime
cp /etc/docker/daemon.json /srv/runtime-test/
cat >/etc/docker/daemon.json <<-'S'
	{ "storage-driver": "overlay2", "runtimes": {
	  "docker-migrate": {"path": "/usr/local/sbin/dm-runtime"},
	  "slow": {"path": "/usr/local/sbin/slow-runtime"} } }
S
kill -HUP "$(cat /run/docker.pid)"
for _ in $(seq 50); do
	docker info -f '{{.Runtimes}}' | grep -q slow && break
	sleep 0.1
done
docker network inspect span >/dev/null 2>&1 || docker network create --subnet 172.30.0.0/16 span >/dev/null
for d in /run/docker-migrate $PENDING /var/lib/docker-migrate $STATE; do
	[ -d "$d" ] || mkdir -m 700 "$d"
done

# ---- how a container is dumped and restored

# Counts on stdout and in /tmp/n; a second process counts in /tmp/m.
# shellcheck disable=SC2016
COUNT='(j=0; while :; do j=$((j+1)); echo $j >/tmp/m.new; mv /tmp/m.new /tmp/m; sleep 0.05; done) & i=0
while :; do i=$((i+1)); echo $i; echo $i >/tmp/n.new; mv /tmp/n.new /tmp/n; [ ! -e /tmp/exit ] || exit 7; sleep 0.05; done'

clear_away() {
	rm -f $HOLD
	docker rm -f c1 c2 >/dev/null 2>&1
}

upper() { docker inspect -f '{{.GraphDriver.Data.UpperDir}}' "$1"; }

# dump NAME [DOCKER OPTION]... -- COMMAND...: run it, freeze it, keep its images and files, remove it.
dump() {
	local name=$1 options=() pid
	shift
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	clear_away
	rm -rf "/srv/dump/$name"
	mkdir -p "/srv/dump/$name/images"
	docker run -d --name c1 --hostname c1 "${options[@]}" runtime-test "$@" >/dev/null
	sleep "${SETTLE:-0.8}"
	pid=$(docker inspect -f '{{.State.Pid}}' c1)
	docker pause c1 >/dev/null
	if [ -n "${CUT:-}" ]; then # as on a source: cut the link, and CRIU needs no lock of its own
		dm-runtime _cut "$pid"
		echo "network-lock skip" >/srv/dump/criu.conf
	else
		: >/srv/dump/criu.conf
	fi
	CRIU_CONFIG_FILE=/srv/dump/criu.conf runc --root $RUNC_ROOT checkpoint --leave-running --tcp-established \
		--image-path "/srv/dump/$name/images" --work-path "/srv/dump/$name/work" \
		"$(docker inspect -f '{{.Id}}' c1)" || tail -n 5 "/srv/dump/$name/work/dump.log"
	docker logs c1 2>&1 | tail -n 1 >"/srv/dump/$name/last"
	cp -a "$(upper c1)" "/srv/dump/$name/upper"
	docker rm -f c1 >/dev/null
}

# pending NAME [DOCKER OPTION]...: make container c2 for that dump, and a pending restore.
# TCP, LIMIT and RUNTIME may be set. Sets ID, PLAN (the folder) and RECORD.
pending() {
	local name=$1
	shift
	clear_away
	N=$((N + 1))
	docker create --name c2 --hostname c1 --runtime "${RUNTIME:-docker-migrate}" "$@" \
		runtime-test bash -c "${COMMAND:-$COUNT}" >/dev/null || return 1
	ID=$(docker inspect -f '{{.Id}}' c2)
	mkdir -p "$(upper c2)"
	cp -a "/srv/dump/$name/upper/." "$(upper c2)"
	rm -rf /srv/images
	cp -a "/srv/dump/$name/images" /srv/images
	PLAN=$PENDING/$ID RECORD=$STATE/runtime-test-$N
	rm -rf "$RECORD" "$PLAN"
	mkdir -m 700 "$PLAN" "$RECORD"
	printf '{"migration":"runtime-test-%s","state":"/var/lib/docker-migrate","images":"/srv/images","limit_seconds":%s,
		"log_limit_bytes":%s,"tcp":"%s","runc":"runc"}\n' $N "${LIMIT:-20}" "${LOG:-67108864}" "${TCP:-refuse}" >"$PLAN/plan.json"
}

word() { cat "$RECORD/decision" 2>/dev/null; }
n() { cat "$(upper c2)/tmp/n"; }
running() { [ "$(docker inspect -f '{{.State.Running}}' c2)" = true ]; }

# Processes of container c2, of CRIU and of runc restore that are still there.
remains() { grep -ls "$ID" /proc/[0-9]*/cgroup /proc/[0-9]*/cmdline | grep -v "^/proc/\($$\|self\)/" | cut -d / -f 3 | while read -r p; do
	grep -qs -e containerd-shim -e slow-runtime "/proc/$p/cmdline" || { [ -r "/proc/$p/stat" ] && ! grep -q ') Z ' "/proc/$p/stat" && tr '\0' ' ' <"/proc/$p/cmdline" && echo; }
done; }
none_left() {
	local _
	for _ in $(seq 40); do
		[ -n "$(remains)" ] || return 0
		sleep 0.1
	done
	remains
	return 1
}
# Nothing of the container ran: its files are as they were.
nothing_ran() {
	sleep 0.4
	[ "$(n)" = "$(cat "/srv/dump/$1/upper/tmp/n")" ] && ! running
}
supervisor() { # its pid: the one that has the socket open and listens
	local p
	for p in $(pgrep -x dm-runtime); do
		[ "$(ps -o sid= -p "$p" | tr -d ' ')" = "$p" ] && echo "$p"
	done
}
shim() { pgrep -f "^/usr/bin/containerd-shim.*$ID"; }
until_it() { # SECONDS COMMAND...
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}
is_waiting() { grep -q '"root":{"pid":[1-9]' "$PLAN/procs.json" 2>/dev/null; }
is_going() { grep -qs "post-setup-namespaces" "$PLAN/work/restore.log"; }

# expect_failure WHAT DUMP: c2 is dead, the decision is "failed", nothing is left.
expect_failure() {
	check "$1: nothing ran" nothing_ran "$2"
	check "$1: the decision is ${WORD:-failed}" test "$(word)" = "${WORD:-failed}"
	echo "# $(cat "$PLAN/failed")"
	check "$1: nothing is left" none_left
	check "$1: the marker stands" test -e "$PLAN/failed"
	check "$1: result.json says so" grep -q '"rc":1' "$PLAN/result.json"
	check "$1: no mount is left" sh -c '! grep criu /proc/mounts'
}

# ---- it goes on

goes_on() { # WHAT DUMP
	local last
	last=$(cat "/srv/dump/$2/last")
	if docker start c2 >"$T/out" 2>"$T/err"; then ok "$1: docker start"; else not_ok "$1: docker start" "$(cat "$T/err" "$PLAN/failed")"; fi
	sleep 0.4
	check "$1: it runs" running
	check "$1: its output goes on" sh -c "docker logs c2 2>&1 | head -n 1 | awk '{ exit !(\$1 >= $last && \$1 <= $last + 1) }'"
	check "$1: its files go on" sh -c "[ \$(docker exec c2 cat /tmp/n) -gt $last ]"
	check "$1: the decision is running" test "$(word)" = running
	check "$1: the folder has moved away" test ! -e "$PLAN" -a -e "${PLAN/restore/done}/result.json"
}

containerd=$(pgrep -x containerd)
echo 400 >"/proc/$containerd/oom_score_adj" # the shims get it from there; the containers must not
dump count --network none -- bash -c "$COUNT"
pending count --network none
goes_on "network none" count
check "the shim has another" test "$(cat "/proc/$(shim)/oom_score_adj")" -gt 300
check "two processes run" sh -c 'docker exec c2 sh -c "cat /tmp/m; sleep 0.3; cat /tmp/m" | uniq | wc -l | grep -qx 2'
check "the link is open" sh -c "! nsenter -t \$(docker inspect -f '{{.State.Pid}}' c2) -n nft list ruleset | grep -q docker_migrate"
check "no supervisor is left" test -z "$(supervisor)"
check "its oom score is 0" grep -qx 0 "/proc/$(docker inspect -f '{{.State.Pid}}' c2)/oom_score_adj"
# shellcheck disable=SC2016
check "so is that of all its shells" test "$(docker exec c2 sh -c 'for p in /proc/[0-9]*; do ! grep -qsx bash $p/comm || cat $p/oom_score_adj; done' | sort | uniq -c | tr -s ' ')" = " 2 0"
check "times are in order" sh -c "sed 's/.*started\":\([0-9.]*\).*setup\":\([0-9.]*\).*go\":\([0-9.]*\).*resumed\":\([0-9.]*\).*/\1 \2 \3 \4/' '${PLAN/restore/done}/result.json' | awk '{ exit !(\$1 < \$2 && \$2 < \$3 && \$3 < \$4 && \$4 < \$3 + 5) }'"

echo 0 >"/proc/$containerd/oom_score_adj"

# ---- and is an ordinary container

check "pause" docker pause c2
a=$(n)
sleep 0.3
check "it is paused" test "$a" = "$(n)"
check "unpause" docker unpause c2
check "update" docker update --memory 200m --memory-swap 200m c2
check "stats" docker stats --no-stream c2
expect 0 "stop" docker stop -t 1 c2
check "stopped by the signal" test "$(docker inspect -f '{{.State.ExitCode}}' c2)" = 137
check "its logs are whole" sh -c 'docker logs c2 >/dev/null'
expect 0 "start, cold" docker start c2
sleep 0.4
check "it began anew" test "$(n)" -lt 20
check "restart" docker restart -t 0 c2
check "kill" docker kill c2
check "exit code of kill" test "$(docker wait c2)" = 137
check "rm" docker rm c2
pending count --network none
goes_on "removed while it runs" count
check "rm -f" docker rm -f c2
check "nothing is left of it" none_left

# its own end, and the engine's policies
pending count --network none
docker start c2 >/dev/null
docker exec c2 touch /tmp/exit
check "its exit code" test "$(docker wait c2)" = 7
check "its log ends with it" sh -c 'timeout 5 docker logs -f c2 >/dev/null'
pending count --network none --restart on-failure:1
docker start c2 >/dev/null
last=$(n)
docker exec c2 sh -c 'touch /tmp/exit'
check "restart policy: it ends" until_it 5 sh -c '[ "$(docker inspect -f "{{.RestartCount}}" c2)" = 1 ]'
check "restart policy: it began anew, cold" until_it 5 sh -c "[ \$(cat $(upper c2)/tmp/n) -lt $last ]"

# shellcheck disable=SC2016
COMMAND='while read -r x; do echo "got $x"; done'
SETTLE=0.3 dump stdin --network none -i -- bash -c "$COMMAND"
pending stdin --network none -i
(sleep 1; echo one; sleep 0.5; echo two; sleep 0.5) | timeout 20 docker start -a -i c2 >"$T/out" 2>&1
check "stdin and stdout" grep -qx "got two" "$T/out"
check "the end of stdin" until_it 5 sh -c '[ "$(docker inspect -f "{{.State.Status}}" c2)" = exited ]'
unset COMMAND

# ---- options that need care

pending count --network none --ulimit core=-1 --ulimit nofile=1024:2048 --annotation org.criu.config=/srv/evil.conf --label x='@number-0:5'
printf 'action-script /srv/evil.sh\nlog-file /srv/evil.log\n' >/srv/evil.conf
printf '#!/bin/sh\ntouch /srv/evil.ran\n' >/srv/evil.sh
chmod 755 /srv/evil.sh
rm -f /srv/evil.ran /srv/evil.log
goes_on "numbers of 64 bits, an annotation" count
check "the container's own CRIU configuration is not obeyed" test ! -e /srv/evil.ran -a ! -e /srv/evil.log
pending count --network none -t
expect 1 "a terminal is refused" docker start c2
says "and named" "terminal"
WORD=failed expect_failure "terminal" count

# ---- the network

CUT=1 dump net --network span --ip 172.30.0.77 -- bash -c "$COUNT"
RUNTIME=slow pending net --network span --ip 172.30.0.77
touch $HOLD
docker start c2 >/dev/null 2>&1 &
start=$!
check "it waits for start" until_it 10 is_waiting
sleep 0.5
root=$(sed 's/.*"root":{"pid":\([0-9]*\).*/\1/' "$PLAN/procs.json")
# shellcheck disable=SC2016
ruleset=$(nsenter -t "$root" -n nft list ruleset)
check "while it waits its link is cut" grep -q 'table arp docker_migrate' <<<"$ruleset"
check "it has its address" sh -c "nsenter -t $root -n ip addr | grep -q 172.30.0.77"
sleep 2.5 # newer engines announce the address themselves, three times in two seconds
ip neigh flush all
check "it answers nobody, not even ARP" sh -c '! ping -c 1 -W 1 172.30.0.77'
check "the address is not resolved" sh -c '! ip neigh show 172.30.0.77 | grep -q lladdr'
ip neigh flush all
rm -f $HOLD
check "it starts" wait "$start"
check "then it answers" ping -c 1 -W 1 172.30.0.77
check "the table is gone" sh -c "! nsenter -t $root -n nft list ruleset | grep -q docker_migrate"

# A connection that the other side has half closed: CRIU rebuilds it with a packet of its own.
# shellcheck disable=SC2016
COMMAND='exec 3<>/dev/tcp/172.30.0.1/7000; while :; do sleep 0.1; [ -e /tmp/say ] && echo hello >&3 && rm /tmp/say; done'
tcp() { # WHAT: dump and restore with that connection
	python3 - <<-'P' >"$T/heard" &
		import socket
		s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		s.bind(("172.30.0.1", 7000)); s.listen(1); s.settimeout(40)
		c = s.accept()[0]; c.settimeout(40); c.shutdown(socket.SHUT_WR)
		print(c.recv(100).decode(), flush=True)
	P
	server=$!
	mine+=("$server")
	sleep 0.5
	dump tcp --network span --ip 172.30.0.77 --mac-address 02:42:ac:1e:00:4d -- bash -c "$COMMAND"
	TCP=keep pending tcp --network span --ip 172.30.0.77 --mac-address 02:42:ac:1e:00:4d
	if docker start c2 2>"$T/err" >/dev/null; then ok "$1: docker start"; else not_ok "$1: docker start" "$(cat "$T/err")"; fi
	check "$1: it is in CLOSE-WAIT" sh -c "nsenter -t \$(docker inspect -f '{{.State.Pid}}' c2) -n ss -tn | grep -q CLOSE-WAIT"
	docker exec c2 touch /tmp/say
	check "$1: it still sends" until_it 10 grep -q hello "$T/heard"
	kill "$server" 2>/dev/null
	wait "$server" 2>/dev/null
}
CUT=1 tcp "half-closed connection"
TCP=refuse pending tcp --network span --ip 172.30.0.77
expect 1 "a connection is refused unless told" docker start c2
says "by CRIU's own words" "TCP"
check "that is decided as failed" test "$(word)" = failed
TCP=close pending tcp --network span --ip 172.30.0.77
expect 0 "a connection is closed when told" docker start c2
check "there is none any more" sh -c "! nsenter -t \$(docker inspect -f '{{.State.Pid}}' c2) -n ss -tn | grep -q 7000"
unset COMMAND

# ---- a failed restore is never a cold start

pending count --network none --restart always
truncate -s 10 /srv/images/core-1.img
rm -f "$(upper c2)/tmp/n"
cp /srv/dump/count/upper/tmp/n "$(upper c2)/tmp/n"
expect 1 "broken image, --restart always: docker start fails" docker start c2
says "docker shows why" "dm-runtime: "
expect_failure "broken image" count
sleep 2
check "the engine's own attempts do not start it" nothing_ran count
expect 1 "another docker start is refused" docker start c2
says "with the reason and the folder" "does not start afresh while $PLAN"
check "rm -f of it" docker rm -f c2

# ---- the decision is lost

RUNTIME=slow pending count --network none
touch $HOLD
docker start c2 >"$T/out" 2>"$T/err" &
start=$!
until_it 10 is_waiting
echo refused >"$RECORD/decision"
rm -f $HOLD
wait $start
check "refused before pre-resume: docker start fails" test $? = 1
says "and tells" "another decision stands: refused"
WORD=refused expect_failure "refused" count
check "it was at the very end" grep -q "pre-resume" "$PLAN/work/restore.log"

pending count --network none
echo refused >"$RECORD/decision"
expect 1 "refused before create: docker start fails" docker start c2
says "and tells" "decided already: refused"

dump host --network none --pid host -- bash -c "$COUNT"
RUNTIME=slow pending host --network none --pid host
touch $HOLD
docker start c2 >"$T/out" 2>"$T/err" &
start=$!
until_it 10 is_waiting
rm -f $HOLD
wait $start
check "without a process namespace: docker start" test $? = 0
check "it runs" running
RUNTIME=slow pending host --network none --pid host
touch $HOLD
docker start c2 >"$T/out" 2>"$T/err" &
start=$!
until_it 10 is_waiting
echo refused >"$RECORD/decision"
rm -f $HOLD
wait $start
check "without a process namespace, refused: docker start fails" test $? = 1
WORD=refused expect_failure "no process namespace" host

# ---- it does not end

# Page images that are cut off make CRIU loop and write 100 MB of log in a second.
pending count --network none
for f in /srv/images/pages-*.img; do truncate -s 4096 "$f"; done
LOGSIZE() { stat -c %s "$PLAN/work/restore.log"; }
before=$SECONDS
expect 1 "cut-off pages: docker start fails" docker start c2
says "with a limit" "bytes into its log"
check "in time" test $((SECONDS - before)) -lt 30
check "the log is small again" test "$(LOGSIZE)" -le 65536
expect_failure "cut-off pages" count

stuck() { # make the restore wait in its pages, after go; sets start
	local f
	pending count --network none
	for f in /srv/images/pages-*.img; do
		rm "$f"
		mkfifo "$f"
	done
	docker start c2 >"$T/out" 2>"$T/err" &
	start=$!
	until_it 10 is_going
	sleep 0.3
}
LIMIT=2 stuck
wait $start
check "over the time: docker start fails" test $? = 1
says "and tells" "longer than 2 s"
expect_failure "over the time" count

# ---- aborted, or left alone

RUNTIME=slow pending count --network none
touch $HOLD
docker start c2 >"$T/out" 2>"$T/err" &
start=$!
until_it 10 is_waiting
expect 1 "kill while it waits" dm-runtime --root $RUNC_ROOT kill "$ID" 9
check "decides" test "$(word)" = failed
check "and ends it" none_left
rm -f $HOLD
wait $start
check "docker start fails" test $? = 1
says "and tells" "aborted"
expect_failure "aborted while it waits" count

stuck
dm-runtime --root $RUNC_ROOT delete --force "$ID"
check "delete after go ends it" none_left
wait $start
check "docker start fails" test $? = 1
expect_failure "aborted after go" count

stuck
docker rm -f c2 >"$T/rm" 2>&1 &
rm=$!
sleep 1
kill -KILL "$(supervisor)"
wait $start
check "kill -9 of the supervisor after go: docker start fails" test $? = 1
check "docker rm -f gets its turn" wait $rm
check "the decision is failed" test "$(word)" = failed
check "nothing is left" none_left

RUNTIME=slow pending count --network none
touch $HOLD
docker start c2 >"$T/out" 2>"$T/err" &
start=$!
until_it 10 is_waiting
kill -KILL "$(supervisor)"
rm -f $HOLD
wait $start
check "kill -9 of the supervisor while it waits: docker start fails" test $? = 1
says "and tells" "supervisor died"
expect_failure "supervisor killed while it waits" count

pending count --network none
rm /srv/images/inventory.img
mkfifo /srv/images/inventory.img
docker start c2 >"$T/out" 2>"$T/err" &
start=$!
until_it 10 test -e "$PLAN/procs.json"
sleep 0.5
kill -KILL "$(supervisor)"
wait $start
check "kill -9 of the supervisor before the hook: docker start fails" test $? = 1
expect_failure "supervisor killed before the hook" count

stuck
kill -KILL "$(sed 's/.*"root":{"pid":\([0-9]*\).*/\1/' "$PLAN/procs.json")"
wait $start
check "the root task is killed: docker start fails" test $? = 1
expect_failure "root task killed" count

stuck
before=$SECONDS
kill -KILL "$(pgrep -x criu | head -n 1)"
wait $start
check "CRIU is killed: docker start fails" test $? = 1
check "CRIU is killed: that is seen at once" test $((SECONDS - before)) -lt 5
expect_failure "CRIU killed" count

RUNTIME=slow pending count --network none
touch $HOLD
docker start c2 >"$T/out" 2>"$T/err" &
start=$!
until_it 10 is_waiting
kill -KILL "$(shim)"
check "the shim is killed: it ends by itself" until_it 10 test -e "$PLAN/result.json"
rm -f $HOLD
wait $start
check "the shim is killed: docker start fails" test $? = 1
expect_failure "shim killed" count

for signal in KILL TERM; do
	RUNTIME=slow pending count --network none
	touch $HOLD
	docker start c2 >"$T/out" 2>"$T/err" &
	start=$!
	until_it 10 is_waiting
	kill -$signal "$(cat /run/docker.pid)"
	sleep 1
	rm -f $HOLD
	wait $start
	/usr/local/sbin/services restart
	until_it 20 sh -c 'case $(docker inspect -f "{{.State.Status}}" c2) in created | exited) ;; *) false ;; esac' || docker inspect -f '{{json .State}}' c2
	if [ $signal = KILL ]; then
		check "the engine is killed while it waits: it ends" until_it 30 test -e "$PLAN/result.json"
		expect_failure "engine killed" count
	else # it lets start come to its end before it stops its containers
		check "the engine stops while it waits: the restore has ended one way" until_it 30 sh -c \
			"[ '$(word)' = running -a -e ${PLAN/restore/done}/result.json ] || [ '$(word)' = failed -a -e $PLAN/failed ]"
	fi
done

pending count --network none
rm /srv/images/inventory.img
mkfifo /srv/images/inventory.img
docker start c2 >"$T/out" 2>"$T/err" &
start=$!
sleep 1
check "ahead of its inventory it waits in create" test ! -e "$PLAN/result.json" -a -e "$PLAN/sock"
cat /srv/dump/count/images/inventory.img >/srv/images/inventory.img
wait $start
check "ahead: docker start" test $? = 0
check "ahead: it runs" running
check "ahead: the decision is running" test "$(word)" = running

clear_away
finish
