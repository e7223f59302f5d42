# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For the tests between two hosts; to be sourced first, after which tests/cli/lib.sh is in force,
# too. The hosts of instance $DM_HOSTS run with our programs installed ("tests/live/setup"), and
# each test begins and ends with both of them empty.

# shellcheck source=tests/cli/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../cli/lib.sh"
HOSTS=$ROOT/tests/hosts/hosts

a() { "$HOSTS" in a "$@"; }
b() { "$HOSTS" in b "$@"; }

# empty HOST: remove all containers and volumes
empty() {
	# shellcheck disable=SC2016 # for the host's shell
	"$HOSTS" in "$1" sh -c 'c=$(docker ps -aq); [ -z "$c" ] || { docker unpause $c; docker rm -f -v $c; }
		v=$(docker volume ls -q); [ -z "$v" ] || docker volume rm $v' >/dev/null 2>&1
}

# migrate FROM TO CONTAINER [OPTION...]: the move; its messages are left in $T/log
migrate() {
	local from=$1 to=$2 ct=$3
	shift 3
	"$HOSTS" in "$from" dm-migrate "$@" "$ct" "root@$to" >"$T/log" 2>&1 </dev/null
}

# moves FROM TO CONTAINER [OPTION...]: ok when the move ends well
moves() {
	local code=0
	migrate "$@" || code=$?
	if [[ $code == 0 ]]; then
		ok "$3 moves from $1 to $2"
	else
		not_ok "$3 moves from $1 to $2" "exit $code: $(tail -n 5 "$T/log")"
	fi
}

# state HOST CONTAINER: "running false" (State.Status, State.Paused), or nothing
state() {
	"$HOSTS" in "$1" docker inspect -f '{{.State.Status}} {{.State.Paused}}' "$2" 2>/dev/null
}


is() { # WHAT WANTED GOT
	if [[ $2 == "$3" ]]; then ok "$1"; else not_ok "$1" "wanted \"$2\", got \"$3\""; fi
}

# same WHAT ONE OTHER: equal, and not empty
same() {
	is "$1" "${2:-something}" "$3"
}

# has WHAT PATTERN FILE
has() {
	if grep -Eq -- "$2" "$3"; then
		ok "$1"
	else
		not_ok "$1" "no \"$2\" in: $(tail -n 5 "$3")"
	fi
}

# clean HOST: nothing of a migration is left on it
clean() {
	local left
	left=$("$HOSTS" in "$1" sh -c '
		ls -d /dev/shm/docker-migrate/*-* /run/docker-migrate/restore/* 2>/dev/null
		pgrep -a "criu|dm-|runc" | grep -v pgrep
		grep -l FROZEN /sys/fs/cgroup/freezer/docker/*/freezer.state 2>/dev/null')
	is "nothing is left behind on $1" "" "$left"
}

# wait_until SECONDS COMMAND...: until it succeeds
wait_until() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.1
	done
}

empty a
empty b
