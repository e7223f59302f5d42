#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Do workload and redis-writer see what they are there to see? Every kind of damage is done to
# them here, and has to be found.
#   test.sh [FOLDER]   of the two programs; without it they are compiled for the test
set -u
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d)
pids=()
fails=0

finish() {
	local p
	for p in "${pids[@]}"; do
		kill -CONT "$p" 2>/dev/null
		kill -9 "$p" 2>/dev/null
	done
	wait 2>/dev/null
	rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 130' INT TERM

check() { # NAME COMMAND... : does the command succeed?
	local name=$1
	shift
	if "$@"; then
		echo "ok - $name"
	else
		echo "not ok - $name"
		fails=$((fails + 1))
		sed 's/^/# /' "$tmp/out" | tail -n 5
	fi
}

wait_for() { # PATTERN: in the output, for at most 20 s
	local i
	for ((i = 0; i < 2000; i++)); do
		grep -q -e "$1" "$tmp/out" && return
		sleep 0.01
	done
	return 1
}

field() { # EVENT NAME: the number in the last such line, without its fraction
	grep -e "\"event\":\"$1\"" "$tmp/out" | tail -n 1 |
		sed -n "s/.*\"$2\":\(-\{0,1\}[0-9]*\).*/\1/p"
}

between() { # VALUE LOW HIGH
	[ -n "$1" ] && [ "$1" -ge "$2" ] && [ "$1" -le "$3" ]
}

# --- workload

start() { # OPTIONS...
	: >"$tmp/out"
	"$bin/workload" --size 8M "$@" >"$tmp/out" 2>&1 &
	pid=$!
	pids+=("$pid")
	wait_for '"event":"ready"'
}

verify() { # a full check, whose number of bad things is printed
	local number
	number=$(($(grep -c '"event":"check"' "$tmp/out") + 1))
	kill -USR1 "$pid"
	wait_for "\"check\":$number" && field check bad
}

ended() { # STATUS: did it end so on SIGTERM, with a last line?
	local status
	kill -TERM "$pid"
	wait "$pid"
	status=$?
	[ "$status" -eq "$1" ] && grep -q '"event":"final"' "$tmp/out"
}

peek() { # ADDRESS COUNT: bytes of its memory to stdout
	dd if="/proc/$pid/mem" bs=1 skip="$1" count="$2" 2>/dev/null
}

poke() { # ADDRESS: stdin into its memory
	dd of="/proc/$pid/mem" bs=1 seek="$1" conv=notrunc 2>/dev/null
}

spoil() { # ADDRESS: change one byte
	if [ "$(peek "$1" 1 | od -An -tu1 | tr -d ' ')" = 88 ]; then printf Y; else printf X; fi | poke "$1"
}

unharmed() {
	start --set 2M --rate 20M --shm 2M --threads 3 --file "$tmp/lines" --log "$tmp/log"
	sleep 0.5
	[ "$(verify)" = 0 ] && [ "$(verify)" = 0 ] && ended 0 || return 1
	between "$(field check pages)" 2048 2048 && between "$(field check generations)" 3000 20000 &&
		between "$(field check ticks)" 100 5000 && between "$(field check lines)" 10 1000 &&
		[ "$(grep -c '"event":"check"' "$tmp/log")" = 2 ]
}
cold_byte() {
	start --set 1M
	spoil $(($(field ready private) + 1500 * 4096 + 4000))
	[ "$(verify)" = 1 ] && [ "$(verify)" = 1 ] && [ "$(field bad page)" = 1500 ] &&
		[ "$(field bad first_byte)" = 4000 ] && ended 3
}
hot_byte() { # a page that is written all the time must not hide it
	start --set 4K --rate 4M
	spoil $(($(field ready private) + 100))
	[ "$(verify)" = 1 ] && [ "$(field bad page)" = 0 ] && ended 3
}
shared_byte() {
	start --shm 4M
	spoil $(($(field ready shared) + 4096 + 7))
	[ "$(verify)" = 1 ] && grep -q '"region":"shared","page":1,' "$tmp/out" && ended 3
}
zero_page() {
	start
	head -c 4096 /dev/zero | poke $(($(field ready private) + 3 * 4096))
	[ "$(verify)" = 1 ] && [ "$(field bad bytes)" -gt 2000 ] && ended 3
}
stale_page() {
	start --set 4K --rate 100K
	kill -STOP "$pid"
	peek "$(field ready private)" 4096 >"$tmp/page"
	kill -CONT "$pid"
	sleep 0.5
	kill -STOP "$pid"
	poke "$(field ready private)" <"$tmp/page"
	kill -CONT "$pid"
	[ "$(verify)" = 1 ] && grep -q '"whole":true' "$tmp/out" &&
		[ "$(field bad found)" -lt "$(field bad expected)" ] && ended 3
}
stale_both() { # page and table are of the same, older time
	start --set 4K --rate 100K
	kill -STOP "$pid"
	peek "$(field ready private)" 4096 >"$tmp/page"
	peek "$(field ready private_table)" 4 >"$tmp/gen"
	kill -CONT "$pid"
	sleep 0.5
	kill -STOP "$pid"
	poke "$(field ready private)" <"$tmp/page"
	poke "$(field ready private_table)" <"$tmp/gen"
	kill -CONT "$pid"
	[ "$(verify)" = 1 ] && grep -q 'do not add up' "$tmp/out" && ended 3
}
stopped() {
	start --shm 1M
	sleep 0.2
	kill -USR2 "$pid"
	wait_for '"event":"reset"' || return 1
	kill -STOP "$pid"
	sleep 0.3
	kill -CONT "$pid"
	sleep 0.1
	verify >/dev/null
	between "$(field check longest_gap_ms)" 295 3000 &&
		between "$(field check longest_gap_mono_ms)" 295 3000 &&
		grep -q '"gaps":\[.*{"at":[0-9.]*,"ms":[0-9.]*}' "$tmp/out" || return 1
	kill -USR2 "$pid"
	sleep 0.1
	[ "$(verify)" = 0 ] && between "$(field check longest_gap_ms)" 0 294 && ended 0
}
no_false_gap() { # a full check of 512 MiB takes 0.1 s, but is no pause; a busy machine may make one
	local i
	start --size 512M --rate 100M --set 64M
	for ((i = 0; i < 10; i++)); do
		kill -USR2 "$pid"
		sleep 0.05
		[ "$(verify)$(verify)" = 00 ] || return 1 # the second reports on the first
		between "$(field check longest_gap_ms)" 0 40 && break
	done
	[ "$i" -lt 10 ] && ended 0
}
child_dead() {
	start --shm 1M
	kill -9 "$(pgrep -P "$pid")"
	[ "$(verify)" = 1 ] && grep -q 'the child is dead' "$tmp/out" && ended 3
}
file_longer() {
	start --file "$tmp/lines"
	echo 0 >>"$tmp/lines"
	[ "$(verify)" = 1 ] && ended 3
}
file_older() { # as if the last piece of the disk had not come over
	start --file "$tmp/lines"
	sleep 0.2
	kill -STOP "$pid"
	truncate -s -16 "$tmp/lines"
	kill -CONT "$pid"
	[ "$(verify)" = 1 ] && ended 3
}

workload_tests() {
	check "workload: nothing is wrong when nothing was done" unharmed
	check "workload: a byte in a cold page" cold_byte
	check "workload: a byte in a page that is being written" hot_byte
	check "workload: a byte in shared memory" shared_byte
	check "workload: a page of zeros" zero_page
	check "workload: an older page" stale_page
	check "workload: an older page with an older table" stale_both
	check "workload: a stop of 300 ms is clocked, and forgotten on request" stopped
	check "workload: a full check is no pause" no_false_gap
	check "workload: a dead child" child_dead
	check "workload: a file with too much in it" file_longer
	check "workload: a file that lacks its last line" file_older
}

# --- redis-writer

serve() { # NAME: start a server on a free port, which goes to $port; its socket is $tmp/NAME
	local i
	for ((i = 0; i < 20; i++)); do
		port=$((20000 + RANDOM % 12000))
		redis-server --port "$port" --bind 127.0.0.1 --save '' --dir "$tmp" \
			--unixsocket "$tmp/$1" >"$tmp/$1.log" 2>&1 &
		server=$!
		for ((j = 0; j < 500; j++)); do
			grep -q 'eady to accept connections' "$tmp/$1.log" && break 2
			kill -0 "$server" 2>/dev/null || break
			sleep 0.01
		done
	done
	pids+=("$server")
	[ -S "$tmp/$1" ]
}

write() { # ADDRESS OPTIONS...: in the background
	: >"$tmp/out"
	rm -f "$tmp/state"
	"$bin/redis-writer" "$@" --state "$tmp/state" >"$tmp/out" 2>&1 &
	pid=$!
	pids+=("$pid")
}

acked() { # the number in the state file
	sed -n 's/^acked \([0-9]*\).*/\1/p' "$tmp/state" 2>/dev/null
}

wait_acked() { # MORE than N
	local i
	for ((i = 0; i < 2000; i++)); do
		[ "$(acked || true)" ] && [ "$(acked)" -gt "$1" ] && return
		sleep 0.01
	done
	return 1
}

read_back() { # ADDRESS OPTIONS...: and compare with "CHECKED MISSING WRONG"
	"$bin/redis-writer" check "$@" >"$tmp/check" 2>&1
	status=$?
	cat "$tmp/check" >>"$tmp/out"
	found=$(sed -n 's/.*"checked":\([0-9]*\),"missing":\([0-9]*\),"wrong":\([0-9]*\).*/\1 \2 \3/p' "$tmp/check")
}

write_ends() {
	kill -TERM "$pid"
	wait "$pid" && [ "$(acked)" = "$(field final acked)" ]
}

all_there() {
	write "127.0.0.1:$port" --depth 8 --size 300
	wait_acked 1000 && write_ends || return 1
	read_back "127.0.0.1:$port" --state "$tmp/state" --size 300
	[ "$status $found" = "0 $(acked) 0 0" ] || return 1
	read_back "$tmp/a" --upto 1000 --size 300
	[ "$status $found" = "0 1000 0 0" ]
}
key_deleted() {
	write "$tmp/a" --count 1000
	wait "$pid"
	redis-cli -s "$tmp/a" del k:500 >/dev/null
	read_back "$tmp/a" --upto 1000
	[ "$status $found" = "1 1000 1 0" ] && grep -q '"first_missing":500' "$tmp/check"
}
key_wrong() {
	write "$tmp/a" --count 1000
	wait "$pid"
	redis-cli -s "$tmp/a" setrange k:7 63 Z >/dev/null
	redis-cli -s "$tmp/a" append k:8 0 >/dev/null
	read_back "$tmp/a" --upto 1000
	[ "$status $found" = "1 1000 0 2" ] && grep -q '"first_wrong":7' "$tmp/check"
}
beyond() {
	redis-cli -s "$tmp/a" flushall >/dev/null
	write "$tmp/a" --count 1000
	wait "$pid"
	read_back "$tmp/a" --upto 1001
	[ "$status $found" = "1 1001 1 0" ]
}
killed() {
	local n
	redis-cli -s "$tmp/a" flushall >/dev/null
	write "$tmp/a" --depth 4
	wait_acked 1000
	kill -9 "$pid"
	wait "$pid" 2>/dev/null
	read_back "$tmp/a" --state "$tmp/state"
	[ "$status $found" = "0 $(acked) 0 0" ] || return 1
	n=$(redis-cli -s "$tmp/a" dbsize) # the ones that were under way may be there
	between "$((n - $(acked)))" 0 8
}
server_stops() { # shorter than the patience: the connection is kept
	write "127.0.0.1:$port" --timeout 10000
	wait_acked 100
	kill -USR2 "$pid"
	sleep 0.1
	kill -STOP "$server"
	sleep 0.3
	kill -CONT "$server"
	wait_acked "$(acked)" && write_ends &&
		between "$(field final longest_gap_ms)" 295 3000 && [ "$(field final connects)" = 1 ]
}
disconnected() {
	write "127.0.0.1:$port" --depth 4
	wait_acked 100
	redis-cli -s "$tmp/a" client kill type normal >/dev/null
	sleep 0.1
	wait_acked "$(acked)" && write_ends && [ "$(field final connects)" -ge 2 ] || return 1
	read_back "$tmp/a" --state "$tmp/state"
	[ "$status $found" = "0 $(acked) 0 0" ]
}
refused() { # an error is no acknowledgement
	local n
	redis-cli -s "$tmp/a" flushall >/dev/null
	write "127.0.0.1:$port"
	wait_acked 100
	redis-cli -s "$tmp/a" config set min-replicas-to-write 1 >/dev/null
	sleep 0.3
	n=$(acked)
	[ "$n" = "$(redis-cli -s "$tmp/a" dbsize)" ] || return 1
	redis-cli -s "$tmp/a" config set min-replicas-to-write 0 >/dev/null
	wait_acked "$n" && write_ends && [ "$(field final refused)" -ge 1 ]
}
moved() { # from a server that falls silent to another, which lacks what came before
	local first=$port silent=$server n
	redis-cli -s "$tmp/a" flushall >/dev/null
	serve b || return 1
	write "127.0.0.1:$first,127.0.0.1:$port" --timeout 200 --rate 2000
	wait_acked 100
	kill -STOP "$silent"
	sleep 0.1
	n=$(acked)
	wait_acked "$n" && write_ends || return 1
	kill -CONT "$silent"
	read_back "127.0.0.1:$port" --state "$tmp/state"
	between "$(field final longest_gap_ms)" 200 5000 && [ "$status $found" = "1 $(acked) $n 0" ]
}
no_server() { # nothing is acknowledged, and a check cannot succeed
	kill "$server"
	wait "$server"
	write "127.0.0.1:$port" --seconds 1
	wait "$pid"
	[ "$(field final acked)" = 0 ] || return 1
	read_back "127.0.0.1:$port" --upto 1
	[ "$status" = 1 ] || return 1
	read_back "127.0.0.1:$port" --state "$tmp/state"
	[ "$status" = 1 ]
}

redis_tests() {
	check "redis-writer: all is there, over TCP and a unix socket" all_there
	check "redis-writer: a deleted key" key_deleted
	check "redis-writer: wrong values" key_wrong
	check "redis-writer: a key that was never written" beyond
	check "redis-writer: killed, and its count holds" killed
	check "redis-writer: a server stopped for 300 ms" server_stops
	check "redis-writer: a broken connection" disconnected
	check "redis-writer: refused writes do not count" refused
	check "redis-writer: the server moved" moved
	check "redis-writer: no server" no_server
}

bin=${1-}
if [ -z "$bin" ]; then
	bin=$tmp
	"$here/build" "$bin" || exit 1
fi
: >"$tmp/out"
workload_tests
if command -v redis-server >/dev/null; then
	serve a || { echo "not ok - redis-server does not start"; exit 1; }
	redis_tests
else
	echo "ok - redis-writer # SKIP redis-server is not installed"
fi
[ "$fails" -eq 0 ]
