# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For the tests of the programs; to be sourced first. A test prints "ok - what" or "not ok - what"
# for each thing it looks at, calls "finish" as its last command and so exits with 0 only when
# all went well. It gets
#   ROOT    the project's folder         BUILD   the folder of the built programs, absolute
#   T       a fresh folder, removed at the end, whatever happens
#   mine    an array for the pids of its own background processes; they are killed at the end

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${BUILD:-build}
[[ $BUILD == /* ]] || BUILD=$ROOT/$BUILD
T=$(mktemp -d "${TMPDIR:-/tmp}/dm-test.XXXXXX") || exit 1
mine=()
passed=0 failed=0 skipped=0 finished=

ok() {
	echo "ok - $1"
	passed=$((passed + 1))
}

# not_ok WHAT [WHY]
not_ok() {
	echo "not ok - $1"
	[[ -z ${2:-} ]] || echo "# ${2//$'\n'/$'\n'# }"
	failed=$((failed + 1))
}

# skip WHAT REASON: it cannot be tried here.
skip() {
	echo "skip - $1: $2"
	skipped=$((skipped + 1))
}

# check WHAT COMMAND...: ok when the command exits with 0.
check() {
	local what=$1
	shift
	if "$@"; then ok "$what"; else not_ok "$what" "failed: $*"; fi
}

# expect CODE WHAT COMMAND...: ok when the command exits with CODE. Its output is left in $T/out
# and its messages in $T/err.
expect() {
	local want=$1 what=$2 got=0
	shift 2
	"$@" >"$T/out" 2>"$T/err" || got=$?
	if [[ $got == "$want" ]]; then
		ok "$what"
	else
		not_ok "$what" "exit $got, not $want: $*: $(head -c 600 "$T/err" | tr -d '\0')"
	fi
}

# says WHAT PATTERN: ok when the messages of the last "expect" match the extended pattern.
says() {
	if grep -Eq -- "$2" "$T/err"; then
		ok "$1"
	else
		not_ok "$1" "no \"$2\" in: $(head -c 600 "$T/err" | tr -d '\0')"
	fi
}

# one_line WHAT: ok when the messages of the last "expect" are one line.
one_line() {
	check "$1" [ "$(wc -l <"$T/err")" = 1 ]
}

# engine_start WHAT-IS-TRIED [INSPECT-DOCUMENT]: a stand-in for Docker's engine (engine.py tells what
# it is), with a state folder and a folder of pending restores for the programs, all below $T and
# fresh; $E is the engine's own folder. It has one image, that of make_stream.
engine_start() {
	local python
	engine_stop
	E=$T/engine
	export DOCKER_HOST=unix://$T/sock DM_STATE=$T/state DM_RUN=$T/run
	rm -rf "$E" "$DM_STATE" "$DM_RUN" "$T/sock"
	python=$(command -v python3) || { skip "$1" "no python3" && finish; }
	mkdir "$E"
	: >"$E/log"
	echo "sha256:$(printf '1%.0s' {1..64}) tiny:1" >"$E/images"
	[[ -z ${2:-} ]] || cp "$2" "$E/inspect.json"
	"$python" "$ROOT/tests/cli/engine.py" "$T/sock" "$E" &
	engine=$!
	mine+=("$engine")
	for _ in {1..200}; do
		[[ -S $T/sock ]] && return
		sleep 0.05
	done
	not_ok "the engine's stand-in starts"
	finish
}
engine=

engine_stop() {
	local pid rest=()
	[[ -n $engine ]] || return 0
	{ kill "$engine" && wait "$engine"; } 2>/dev/null
	for pid in "${mine[@]}"; do
		[[ $pid == "$engine" ]] || rest+=("$pid")
	done
	mine=(${rest[@]+"${rest[@]}"})
	engine=
}

# asked PATTERN: how many requests to the engine match the extended pattern.
asked() {
	grep -Ec -- "$1" "$E/log"
}

finish() {
	finished=yes
	exit $((failed > 0 || passed + skipped == 0))
}

cleanup() {
	local code=$? pid
	for pid in ${mine[@]+"${mine[@]}"}; do
		# the pid of one that has ended may be somebody else's by now
		grep -q "^PPid:[[:space:]]*$$\$" "/proc/$pid/status" && kill -KILL "$pid" && wait "$pid"
	done 2>/dev/null
	rm -rf "$T"
	if [[ -z $finished ]]; then
		echo "not ok - the test ended early (exit $code)"
		exit 1
	fi
	echo "# ${0##*/}: $passed passed, $failed failed"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
