#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# dm-runtime without an engine: runc and CRIU are a script that does what they do, stage by stage.
# shellcheck disable=SC2317,SC2119,SC2120
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
RUNTIME=$BUILD/dm-runtime
export DM_RUN=$T/run DM_RUNC=$T/runc T
umask 077
mkdir -p "$T/run/restore" "$T/state/target" "$T/images"

# ---- the script: its arguments go to $T/calls; $T/how says what is to go wrong

cat >"$T/runc" <<'S'
#!/bin/bash
printf '[%s]' "$@" >>"$T/calls"
echo >>"$T/calls"
how=$(cat "$T/how" 2>/dev/null)
verb= id= work=
for a; do
	case $prev in --work-path) work=$a ;; esac
	case $a in restore | create | start | kill | delete | state | exec) [ -n "$verb" ] || verb=$a ;; esac
	prev=$a id=$a
done
[ "$verb" = restore ] || { echo "runc: $verb"; cat; exit "${CODE:-0}"; }

script=$(sed -n 's/^action-script //p' "$CRIU_CONFIG_FILE")
stage() { # as CRIU runs its script: without stdin
	(unset CRTOOLS_INIT_PID; [ -z "$root" ] || export CRTOOLS_INIT_PID=$root
	CRTOOLS_SCRIPT_ACTION=$1 exec "$script" <&- >>"$work/restore.log" 2>&1)
}
criu() {
	root=
	mkdir -p "$work"
	[ "$how" = no-log ] || echo "(00.001) Error (criu/util.c:1): rlimit: Can't setup RLIMIT_NOFILE for self" >"$work/restore.log"
	case $how in broken) echo "(00.002)      1: Error (criu/x.c:2): the core is broken
(00.003) Error (criu/y.c:3): Restoring FAILED." >>"$work/restore.log"; return 1 ;; esac
	[ "$how" = no-script ] || stage pre-restore || return 1
	[ "$how" != stuck-before ] || sleep 100
	sleep 1000 </dev/null >/dev/null 2>&1 &
	root=$!
	echo $root >"$T/root"
	echo "{\"ociVersion\":\"1.0\",\"id\":\"$id\",\"pid\":$root}" | "$script" _hook "$DM_RESTORE_DIR" || { kill -9 $root; return 1; }
	[ "$how" != stuck ] || sleep 100
	[ "$how" != dies ] || kill -9 $BASHPID
	[ "$how" != runaway ] || while :; do head -c 1000000 /dev/zero | tr '\0' x >>"$work/restore.log"; sleep 0.01; done
	[ "$how" != missing ] || echo "(00.1) Error (criu/pagemap.c:203): Missing 7f00 in parent pagemap" >>"$work/restore.log"
	[ "$how" != refused ] || echo refused >"$T/state/target/m/decision"
	[ "$how" != other-root ] || root=$$
	if [ "$how" != silent ]; then stage pre-resume; fi
	[ "$how" != supervisor-dies ] || kill -9 "$(ps -o ppid= -p $$)"
	[ "$how" != fails-late ] || return 1
	kill -0 $root 2>/dev/null && ! grep -q ') Z' "/proc/$root/stat" && touch "$T/it-ran" || return 1
	stage post-resume
}
criu &
wait $!
S
chmod 755 "$T/runc"

ID=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
P=$T/run/restore/$ID DONE=$T/run/done/$ID
CONFIG='{"ociVersion":"1.0.2","process":{"terminal":false,"rlimits":[{"hard":18446744073709551615,"soft":18446744073709551615}]},"annotations":{"org.criu.config":"/evil","x":"@number-0:5"},"linux":{"namespaces":[{"type":"pid"}]}}'

# fresh [KEY VALUE]...: a pending restore, with more members of the plan.
fresh() {
	local more=
	stop_root
	rm -rf "$T/run" "$T/state/target/m" "$T/bundle" "$T/calls" "$T/how" "$T/it-ran" "$T/pid" "$T/root" "$T/log"
	mkdir -p "$P" "$T/state/target/m" "$T/bundle"
	while [ $# -gt 0 ]; do
		more="$more,\"$1\":$2"
		shift 2
	done
	echo "{\"migration\":\"m\",\"state\":\"$T/state\",\"images\":\"$T/images\",\"runc\":\"${FAKE:-$T/runc}\"$more}" >"$P/plan.json"
	echo "$CONFIG" >"$T/bundle/config.json"
}
stop_root() { [ ! -s "$T/root" ] || kill -9 "$(cat "$T/root")" 2>/dev/null || true; }
create() { "$RUNTIME" --root "$T/rr" --log "$T/log" --log-format json "$@" create --bundle "$T/bundle" --pid-file "$T/pid" "$ID" </dev/null; }
start() { "$RUNTIME" --root "$T/rr" --log "$T/log" --log-format=json start "$ID"; }
word() { cat "$T/state/target/m/decision" 2>/dev/null; }
supervisor() { # the session leader among those that work for us
	local p s
	for p in /proc/[0-9]*; do
		[ "$(readlink "$p/exe")" = "$(readlink -f "$RUNTIME")" ] && grep -qzs "DM_RUN=$DM_RUN" "$p/environ" &&
			read -r -a s <"$p/stat" && [ "${s[5]}" = "${s[0]}" ] && echo "${s[0]}"
	done 2>/dev/null
}
root_dead() { [ ! -s "$T/root" ] || ! kill -0 "$(cat "$T/root")" 2>/dev/null || grep -q ') Z' "/proc/$(cat "$T/root")/stat"; }
no_supervisor() { [ -z "$(supervisor)" ]; }
until_it() { local _; for _ in $(seq "$(($1 * 20))"); do "${@:2}" && return 0; sleep 0.05; done; return 1; }
failed_well() { # WHAT WORD: dead, decided, told
	check "$1: the root task is dead" root_dead
	check "$1: it did not run" test ! -e "$T/it-ran"
	check "$1: the decision is ${2:-failed}" test "$(word)" = "${2:-failed}"
	check "$1: the marker stands" test -s "$P/failed"
	check "$1: result.json tells" grep -q '"rc":1' "$P/result.json"
	check "$1: no supervisor is left" until_it 5 no_supervisor
}

# ---- what is not ours goes to runc as it is

fresh
rm -rf "$P"
expect 0 "pass: odd arguments" "$RUNTIME" --root '/a b' '' state 'x
y' </dev/null
check "pass: they arrived as they were" test "$(cat "$T/calls")" = '[--root][/a b][][state][x
y]'
for verb in create start kill delete exec; do
	: >"$T/calls"
	CODE=7 expect 7 "pass: $verb, nothing pending" "$RUNTIME" --log x $verb $ID </dev/null
	check "pass: $verb arrived" test "$(cat "$T/calls")" = "[--log][x][$verb][$ID]"
done
check "pass: stdin and stdout" test "$(echo in | "$RUNTIME" exec $ID)" = 'runc: exec
in'
DM_RUNC=/nonexistent/runc expect 127 "pass: no runc" "$RUNTIME" state x
says "pass: and it is named" "start /nonexistent/runc: No such file"
expect 0 "pass: an id that is a path" "$RUNTIME" create ../x </dev/null
fresh
for verb in start kill delete; do
	: >"$T/calls"
	expect 0 "pass: $verb before the create of a pending restore" "$RUNTIME" $verb $ID </dev/null
	check "pass: $verb arrived" grep -q "$verb" "$T/calls"
done
check "pass: and nothing was decided" test -z "$(word)"

# ---- a restore

fresh tcp '"close"' criu '["ghost-limit 100M"]' runc_options '["--ext-unix-sk"]'
expect 0 "create" create --systemd-cgroup
check "create: runc got it all" grep -qF "[--root][$T/rr][--log][$T/log][--log-format][json][--systemd-cgroup][restore][--detach][--no-subreaper][--bundle][$T/bundle][--image-path][$T/images][--work-path][$P/work][--file-locks][--ext-unix-sk][$ID]" "$T/calls"
check "create: CRIU's configuration" test "$(cat "$P/criu.conf")" = "action-script $(readlink -f "$RUNTIME")
tcp-close
ghost-limit 100M"
check "create: the pid file, without a newline" test "$(od -An -c "$T/pid" | tr -d ' \n')" = "$(cat "$T/root")"
check "create: the marker stands" test -e "$P/failed"
check "create: nothing is decided yet" test -z "$(word)"
check "config: numbers and strings as before, our hook, no annotation" grep -qF \
	"{\"ociVersion\":\"1.0.2\",\"process\":{\"terminal\":false,\"rlimits\":[{\"hard\":18446744073709551615,\"soft\":18446744073709551615}]},\"annotations\":{\"x\":\"@number-0:5\"},\"linux\":{\"namespaces\":[{\"type\":\"pid\"}]},\"hooks\":{\"createRuntime\":[{\"path\":\"$(readlink -f "$RUNTIME")\",\"args\":[\"dm-runtime\",\"_hook\",\"$P\"],\"env\":[\"PATH=$PATH\"]}]}}" "$T/bundle/config.json"
expect 0 "start" start
check "start: it runs" test -e "$T/it-ran"
check "start: the root task lives" kill -0 "$(cat "$T/root")"
check "start: decided" test "$(word)" = running
check "start: the folder has moved" test ! -e "$P" -a -e "$DONE/resumed" -a ! -e "$DONE/failed"
check "start: result.json" grep -q "{\"rc\":0,\"error\":\"\",\"pid\":$(cat "$T/root"),\"times\":{\"started\":[0-9.]*,\"setup\":[0-9.]*,\"go\":[0-9.]*,\"resumed\":[0-9.]*}}" "$DONE/result.json"
: >"$T/calls"
expect 0 "the next create is an ordinary one" create
check "it went to runc" grep -q '\[create\]' "$T/calls"
stop_root

fresh tcp '"keep"'
expect 0 "create once more" create
check "the supervisor holds none of the container's pipes" test "$(readlink "/proc/$(supervisor)/fd/"{0,1,2} | sort -u)" = /dev/null
check "tcp: keep" grep -qF '[--tcp-established]' "$T/calls"
expect 0 "start after that" start
stop_root

CONFIG='{"hooks":{"prestart":[{"path":"/old"}],"createRuntime":[{"path":"/older"}]},"linux":{"namespaces":[{"type":"network"}]}}'
fresh
expect 0 "create with a network of its own" create
check "the cut is the first hook, the report the last" grep -Eq \
	'^\{"hooks":\{"prestart":\[\{"path":"[^"]*","args":\["dm-runtime","_cut"\],"env":\["PATH=[^"]*"\]\},\{"path":"/old"\}\],"createRuntime":\[\{"path":"/older"\},\{"path":"[^"]*","args":\["dm-runtime","_hook","[^"]*"\]' "$T/bundle/config.json"
expect 0 "it is aborted by kill" "$RUNTIME" kill $ID KILL </dev/null
failed_well "aborted"
check "aborted: then runc had its turn" grep -qF '[kill]' "$T/calls"
expect 1 "aborted: start fails" start
says "aborted: and says why" "it was aborted"
for ns in '{"type":"network","path":"/proc/1/ns/net"}' '{"type":"pid"}'; do
	CONFIG="{\"linux\":{\"namespaces\":[$ns]}}"
	fresh
	expect 0 "create with the network of others: $ns" create
	check "it is not cut" sh -c "! grep -q _cut $T/bundle/config.json"
	expect 0 "it starts" start
	stop_root
done
CONFIG='{"linux":{"namespaces":[{"type":"network"}]}}'
fresh
mkdir "$T/bin"
for f in bash sed cat sleep mkdir; do ln -s "$(command -v $f)" "$T/bin/$f"; done
PATH=$T/bin expect 3 "without nft it is refused" create
says "and the package is named" "nftables"
CONFIG='{"linux":{}}'

# ---- what goes wrong

wrong() { # HOW CODE WHAT PATTERN [WORD]: create, then start, which is to fail
	fresh limit_seconds 1 log_limit_bytes 3000000
	echo "$1" >"$T/how"
	expect 0 "$3: create" create
	expect "$2" "$3: start fails" start
	says "$3: says why" "$4"
	failed_well "$3" "${5:-failed}"
	check "$3: the engine can read it" grep -Eq "^\{\"level\":\"error\",\"msg\":\"dm-runtime: .*\",\"time\":\"[0-9TZ:-]*\"\}$" "$T/log"
	expect 3 "$3: another create is refused" create
	says "$3: with the reason and the folder" "does not start afresh while $P"
}
wrong refused 1 "the decision is lost" "another decision stands: refused" refused
wrong missing 1 "a page is missing" 'says "in parent pagemap"'
wrong no-log 1 "CRIU writes no log" "CRIU.s log .*restore.log"
wrong other-root 1 "CRIU has another root task" "the root task"
wrong stuck 1 "it takes too long" "longer than 1 s"
wrong runaway 1 "the log grows" "more than 3000000 bytes"
check "the log was cut" test "$(stat -c %s "$P/work/restore.log")" -le 65536
wrong dies 1 "CRIU dies" "ended before the decision"

fresh
echo silent >"$T/how"
expect 0 "CRIU goes on without asking: create" create
expect 1 "CRIU goes on without asking: start fails" start
says "it says so" "ended before the decision"
check "the root task is dead" root_dead
check "that is decided as failed" test "$(word)" = failed

fresh
echo fails-late >"$T/how"
expect 0 "CRIU fails after the decision: create" create
expect 1 "CRIU fails after the decision: start fails" start
says "it says so" "decided already that it runs here"
check "the decision stays" test "$(word)" = running
check "the root task is dead" until_it 5 root_dead
expect 3 "another create is refused" create

fresh
echo broken >"$T/how"
expect 1 "broken images: create fails" create
says "with CRIU's first reason" "the core is broken"
failed_well "broken images"

fresh
echo no-script >"$T/how"
expect 1 "CRIU does not call the script: create fails" create
says "it says so" "did not call our script"
failed_well "no script"

FAKE=/nonexistent/runc fresh
expect 1 "no runc: create fails" create
says "and it is named" "start /nonexistent/runc: No such file"
failed_well "no runc"

fresh
expect 0 "its folder is removed: create" create
rm -rf "$P"
check "its folder is removed: it ends by itself" until_it 5 no_supervisor
check "its folder is removed: the root task is dead" root_dead
check "its folder is removed: decided as failed" test "$(word)" = failed

fresh limit_seconds 1
echo stuck-before >"$T/how"
expect 1 "CRIU makes no process: create fails" create
says "it says so" "made no process within 1 s"
failed_well "CRIU makes no process"

fresh wait_seconds 1
expect 0 "nobody calls start: create" create
check "nobody calls start: it ends by itself" until_it 5 test -e "$P/result.json"
failed_well "nobody calls start"
expect 1 "nobody calls start: a late start fails" start
says "and says why" "nobody called start within 1 s"

fresh
echo stuck-before >"$T/how"
"$RUNTIME" --root "$T/rr" create --bundle "$T/bundle" --pid-file "$T/pid" "$ID" </dev/null >/dev/null 2>&1 &
created=$!
mine+=("$created")
check "create is killed: it had begun" until_it 5 grep -qs '"pid":[1-9]' "$P/procs.json"
kill -9 $created
{ wait $created; } 2>/dev/null
check "create is killed: it ends by itself" until_it 5 test -e "$P/result.json"
failed_well "create is killed"

fresh
expect 0 "the supervisor is killed while it waits: create" create
kill -9 "$(supervisor)"
expect 1 "the supervisor is killed while it waits: start fails" start
says "it says so" "supervisor died"
failed_well "the supervisor is killed while it waits"

fresh
echo stuck >"$T/how"
expect 0 "the supervisor is killed after go: create" create
(until_it 5 grep -qs GO "$T/go" || sleep 0.5; kill -9 "$(supervisor)") &
expect 1 "the supervisor is killed after go: start fails" start
failed_well "the supervisor is killed after go"

fresh
echo supervisor-dies >"$T/how"
expect 0 "the supervisor is killed after the decision: create" create
expect 0 "the supervisor is killed after the decision: start succeeds" start
check "the decision is running" test "$(word)" = running
check "the root task lives" kill -0 "$(cat "$T/root")"
check "the folder has moved" test ! -e "$P" -a -e "$DONE/result.json"

fresh
expect 0 "start is killed: create" create
echo stuck >"$T/how" # too late for this one: it was read in the beginning
expect 0 "abort by delete" "$RUNTIME" delete --force $ID </dev/null
failed_well "abort by delete"
check "delete went to runc" grep -qF "[delete][--force][$ID]" "$T/calls"

# A success whose last step was lost heals itself.
fresh
expect 0 "lost last step: create" create
expect 0 "lost last step: start" start
mv "$DONE" "$P"
echo x >"$P/failed"
expect 0 "lost last step: the next create is an ordinary one" create
check "lost last step: it is runc's" grep -qF '[create]' "$T/calls"
check "lost last step: the folder has moved" test ! -e "$P" -a -e "$DONE"

# ---- plans and folders that are no good

bad() { # WHAT PATTERN: create is refused, nothing begins
	expect "${CODE:-3}" "$1: create is refused" create
	says "$1: says why" "$2"
	check "$1: runc was not called" test ! -e "$T/calls"
}
fresh
chmod 750 "$P"
bad "folder open to others" "must be mode 0700"
fresh
rm "$P/plan.json"
CODE=1 bad "no plan" "plan.json: No such file"
check "no plan: it stays refused" test -e "$P/failed"
fresh
echo '{"migration":"m"' >"$P/plan.json"
CODE=1 bad "half a plan" "plan.json: bad JSON"
fresh migration '"../m"'
CODE=1 bad "a key twice" "duplicate"
for plan in '{"migration":"../m","images":"/x"}|no id of a migration' '{"migration":"m","images":"x"}|absolute path' \
	'{"migration":"m","images":"/x","tcp":"maybe"}|none of refuse, close, keep' '{"migration":"m","images":"/x","limit_seconds":0}|limit is below 1' \
	'{"migration":"m","images":"/x","criu":["a\nb"]}|control bytes' '{"migration":"m","images":"/x","criu":"a"}|must be an array'; do
	fresh
	echo "${plan%|*}" >"$P/plan.json"
	bad "plan ${plan%|*}" "${plan#*|}"
done
fresh
rmdir "$T/state/target/m"
bad "no record" "no migration m is known"
fresh
echo refused >"$T/state/target/m/decision"
bad "decided already" "decided already: refused"
check "decided already: the word stays" test "$(word)" = refused
CONFIG='{"process":{"terminal":true}}'
fresh
bad "a terminal" "terminal"
check "a terminal: decided as failed" test "$(word)" = failed
fresh
rm "$T/bundle/config.json"
CODE=1 bad "no config.json" "config.json: No such file"
stop_root
finish
