#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# dm-rollback with a record made by hand and a stand-in for the engine: what it does with the frozen
# container after each answer, after none, and after those that are not the target's.
# shellcheck disable=SC2119,SC2120,SC2317 # functions are called through "expect"
# shellcheck source=tests/cli/lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"

id=$(printf 'ab%.0s' {1..32})
ct=/containers/$id
export PATH=$BUILD:$PATH

# The container has stopped meanwhile, so neither cgroups nor networks are touched; source.sh has one
# that runs.
container() { # PAUSED
	cat <<-END
		{"Id": "$id", "Name": "/victim", "State": {"Running": $1, "Paused": $1, "Pid": 0},
		 "HostConfig": {"RestartPolicy": {"Name": "no"}},
		 "NetworkSettings": {"Networks": {"bridge": {}, "my net": {}}}}
	END
}

target='"id":"m-1","machine":"M","boot":"B","nonce":"N"'
r_hello="{\"receipt\":\"hello\",$target}"
r_running="{\"receipt\":\"result\",\"state\":\"running\",$target}"
r_failed="{\"receipt\":\"result\",\"state\":\"failed\",\"reason\":\"no room left\",$target}"
r_refused="{\"receipt\":\"result\",\"state\":\"refused\",$target}"
r_starting="{\"receipt\":\"result\",\"state\":\"starting\",$target}"

# frozen [DECISION]: a record as the stages leave it
frozen() {
	container false >"$T/inspect"
	engine_start "dm-rollback" "$T/inspect"
	record=$DM_STATE/source/m-1
	mkdir -p "$record" && chmod 700 "$record"
	cat >"$record/journal" <<-END
		{"event":"begin","time":1.5,"seed":"0000000000000007","container":"$id","name":"victim"}
		{"event":"freezing","time":2.5,"restart":{"Name":"on-failure","MaximumRetryCount":3}}
		{"event":"frozen","time":3.5,"since":3.25}
	END
	[[ -z ${1:-} ]] || echo "$1" >"$record/decision"
	answers
}

# answers [LINE...]: what comes on stdin
answers() {
	: >"$T/in"
	(($#)) && printf '%s\n' "$@" >"$T/in"
	return 0
}

rollback() { timeout 60 dm-rollback --id m-1 "$@" victim <"$T/in"; }
no_stdin() { timeout 60 dm-rollback --id m-1 victim <&-; }

# requests WHAT LINE...: these were asked of the engine, in this order, besides what it was read from
requests() {
	local what=$1 got
	shift
	got=$(grep -v '^GET ' "$E/log" | tr '\n' '|')
	if [[ $got == "$(printf '%s|' "$@")" || (-z $got && $# == 0) ]]; then
		ok "$what"
	else
		not_ok "$what" "asked for: $got"
	fi
}
thawed() {
	requests "... it gets its restart policy back" \
		"POST $ct/update {\"RestartPolicy\":{\"Name\":\"on-failure\",\"MaximumRetryCount\":3}}"
	journal thawing thawed settled
}
released() {
	requests "... it is released: no restart, another name, off its networks" \
		"POST $ct/update {\"RestartPolicy\":{\"Name\":\"no\"}}" \
		"POST $ct/rename?name=victim.migrated-abababababab" \
		"POST /networks/bridge/disconnect {\"Container\":\"$id\",\"Force\":true}" \
		"POST /networks/my net/disconnect {\"Container\":\"$id\",\"Force\":true}"
	journal releasing released settled
	says "... its new name is told" 'victim is released here; it is stopped, as victim.migrated-abababababab$'
}
untouched() { requests "... it is not touched"; }

# journal EVENT...: these are the events since the freeze, but for "target"
journal() {
	local got
	got=$(sed -n '4,$s/.*"event":"\([a-z]*\)".*/\1/p' "$record/journal" | grep -v target | tr '\n' ' ')
	check "... the journal has $*" [ "$got" = "$* " ]
}
decided() {
	check "... decided: $1" grep -qx "$1" "$record/decision"
}
unsettled() {
	expect 6 "$@"
	says "... it stays frozen, and the command that settles it is told" \
		'it stays frozen here; once the target can be asked, this settles it: dm-rollback --settle .*--id m-1 victim$'
	untouched
	decided last
}

# What the target answers.
frozen last
answers "$r_hello" "$r_running"
expect 0 "running" rollback
released
decided last
check "... the target is journalled" grep -q '"nonce":"N".*"event":"target"' "$record/journal"
says "... the pause is told" 'it stood still for [0-9.]+ s'
for line in failed refused; do
	answer=r_$line
	frozen last
	answers "$r_hello" "${!answer}"
	expect 5 "$line" rollback
	says "... is told" 'container victim is stopped here \(docker start starts it\): (no room left|the target did not take it)$'
	thawed
	decided last
done
frozen # a failure comes before LAST: the stages to come must be kept from freezing it again
answers "$r_hello" "$r_failed"
expect 5 "failed, before LAST" rollback
thawed
decided thaw
frozen thaw
answers "$r_hello" "$r_running"
expect 6 "running, though it was thawed here" rollback
says "... is told" 'victim was thawed here, and the target says that it runs there, too: stop one of them'
untouched

# No result.
frozen
expect 5 "nothing, before LAST" rollback
thawed
decided thaw
frozen
answers "$r_hello"
expect 5 "hello alone, before LAST" rollback
thawed
decided thaw
frozen
expect 5 "closed stdin, before LAST" no_stdin
thawed
frozen last
answers "$r_hello"
unsettled "hello alone, after LAST" rollback
frozen last
unsettled "nothing, after LAST" rollback
frozen last
answers "$r_hello" "$r_starting"
unsettled "starting, and no more" rollback
frozen last
answers "$r_hello"
printf %s "$r_running" >>"$T/in"
unsettled "a result that is cut off before its end of line" rollback
frozen last
answers "$r_hello" "$r_running"
truncate -s -20 "$T/in"
unsettled "a result that is cut off" rollback

# Who is believed.
for wrong in "${r_running/\"N\"/\"X\"}" "${r_running/\"M\"/\"X\"}" "${r_running/m-1/m-2}" "${r_running/,\"nonce\":\"N\"/}"; do
	frozen last
	answers "$r_hello" "$wrong"
	unsettled "running, from another: ${wrong#*state*,}" rollback
	says "... is told" 'the answer is not from the target of this migration'
	frozen
	answers "$r_hello" "${wrong/running/failed}"
	expect 5 "failed, from another, before LAST: it is thawed for another reason" rollback
	says "... is told" 'is stopped here .*: the move did not come to its end'
done
frozen last
answers "$r_running"
unsettled "running, but nobody ever said hello" rollback
frozen last
answers "${r_hello/\"N\"/\"X\"}" "$r_hello" "$r_running"
unsettled "a second hello does not take the first one's place" rollback
frozen last
answers "${r_hello/m-1/m-2}" "$r_hello" "$r_running"
expect 0 "a hello of another migration is passed over" rollback
released
frozen last
answers "$r_hello" "${r_running/\"B\"/\"C\"}"
expect 0 "the target after a boot is the same target" rollback
released

# What else may stand there.
frozen last
answers "" "rubbish" "{}" "[1]" '{"receipt":"other"}' "{\"receipt\":\"result\",\"state\":\"\",$target}" "$r_hello" \
	"$(head -c 300000 /dev/zero | tr '\0' x)" "{\"x\":\"$(head -c 70000 /dev/zero | tr '\0' y)\"}" "" "$r_running"
expect 0 "rubbish before the result" rollback
released
frozen last
answers "$r_hello" "$r_running" "$r_failed"
expect 0 "the first result counts" rollback
released

# Asking. The command is the shell's; what it prints besides receipts is passed over.
frozen last
answers "$r_hello"
expect 0 "asked: running" rollback --ask "echo Welcome >&2; echo '{}'; echo '${r_running/\"B\"/\"C\"}'; echo bye"
released
frozen last
answers "$r_hello"
expect 5 "asked: failed" rollback --ask "echo '$r_failed'"
thawed
decided last
frozen last
answers "$r_hello"
expect 5 "asked: refused" rollback --ask "echo '$r_refused'"
thawed
frozen
answers "$r_hello"
expect 5 "not asked, before LAST" rollback --ask "touch $T/asked; echo '$r_running'"
check "... the command is not run" [ ! -e "$T/asked" ]
thawed
while IFS='|' read -r what command; do
	frozen last
	answers "$r_hello"
	unsettled "asked: $what" rollback --patience 0 --ask "$command"
done <<-END
	nothing|true
	rubbish|head -c 5000 /dev/urandom
	rubbish in braces|echo '{"receipt":'
	starting|echo '$r_starting'
	running, from another|echo '${r_running/\"N\"/\"X\"}'
	a failure that says running|echo '$r_running'; exit 255
	a missing program|no-such-program-here
END
frozen last
answers "$r_hello"
from=$(date +%s%N)
unsettled "asked with patience" rollback --patience 3 --ask "echo x >>'$T/times'"
check "... for that long" [ $((($(date +%s%N) - from) / 1000000)) -ge 2900 ]
check "... again and again" [ "$(wc -l <"$T/times")" -ge 3 ]
frozen last
answers "$r_hello"
expect 0 "an answer that comes late" rollback --patience 20 \
	--ask "if [ -e '$T/late' ]; then echo '$r_running'; else touch '$T/late'; exit 255; fi"
released

# The command that settles it can be pasted into a shell, whatever is in the one that asks.
frozen last
answers "$r_hello"
ask="cat '$T/an'\"sw\"'er'; : \$HOME \\\\ ; it=5"
expect 6 "nobody answers" rollback --patience 0 --ask "$ask"
command=$(sed -n 's/.*this settles it: //p' "$T/err")
echo "$r_running" >"$T/answer"
expect 0 "the command that was told settles it" timeout 60 sh -c "$command"
released
frozen last
answers "$r_hello"
expect 6 "nobody answers" rollback
command=$(sed -n 's/.*this settles it: //p' "$T/err")
expect 6 "without one to ask, the command that was told asks nobody" timeout 60 sh -c "$command"

# What was settled once is not touched again.
frozen last
answers "$r_hello" "$r_running"
rollback 2>/dev/null
for task in --settle --release --thaw; do
	: >"$E/log"
	expect 0 "$task after a release" timeout 60 dm-rollback --id m-1 $task "$id"
	untouched
done
frozen
rollback 2>/dev/null
for task in --settle --release --thaw; do
	: >"$E/log"
	expect 5 "$task after a thaw" timeout 60 dm-rollback --id m-1 $task victim
	untouched
done

# The operator's word.
frozen last
expect 5 "--thaw" rollback --thaw
says "... is told" 'is stopped here .*: the operator said so'
thawed
decided last
frozen
expect 0 "--release" rollback --release
released
frozen
expect 5 "--settle before LAST" rollback --settle
thawed
decided thaw
frozen last
unsettled "--settle after LAST" rollback --settle
frozen last
answers "$r_hello"
unsettled "a hello" rollback
expect 0 "--settle that asks" rollback --settle --ask "echo '$r_running'"
released
for task in --settle --thaw --release; do
	expect 3 "$task of an unknown migration" timeout 60 dm-rollback --id m-9 $task "$id"
	says "... is told" 'no migration m-9 is known on this host as source'
done
expect 3 "of an unknown container" timeout 60 dm-rollback --id m-1 nobody
says "... is told" 'container nobody: there is none of that name'

# A container that was never frozen, or is gone, or was claimed by another migration.
frozen
sed -i 2,3d "$record/journal"
expect 5 "nothing, and it was never frozen" rollback
untouched
decided thaw
container true >"$T/inspect"
engine_start "dm-rollback" "$T/inspect"
mkdir -p "$record" && chmod 700 "$record"
answers
expect 5 "nothing, and it was paused by somebody else" rollback
says "... is told" 'container victim is paused here, but not by this migration: '
untouched
frozen
echo "GET ^$ct/json 404 No such container" >"$E/fail"
expect 5 "nothing, and the container is gone" rollback
says "... is told" 'container victim is gone here: '
untouched
journal thawing thawed settled
frozen last
echo "GET ^$ct/json 404 No such container" >"$E/fail"
answers "$r_hello" "$r_running"
expect 0 "running, and the container is gone here" rollback
untouched
journal releasing released settled
frozen
mkdir -m 700 "$DM_STATE/claims"
ln -s m-1 "$DM_STATE/claims/$id"
expect 5 "a thaw" rollback
check "... gives the claim back" [ ! -L "$DM_STATE/claims/$id" ]
frozen
mkdir -m 700 "$DM_STATE/claims"
ln -s m-2 "$DM_STATE/claims/$id"
expect 5 "a thaw" rollback
check "... leaves another's claim" [ -L "$DM_STATE/claims/$id" ]

# The engine fails on the way: nothing is said to be settled, and the next try goes on.
frozen
echo 'POST /update$ 500 not today' >"$E/fail"
expect 1 "a thaw that fails" rollback
says "... is told" "thaw: engine: POST $ct/update: 500: not today"
check "... is not settled" sh -c "! grep -qE 'settled|thawed' '$record/journal'"
rm "$E/fail"
expect 5 "the next try" rollback --settle
check "... ends it" grep -q '"event":"settled"' "$record/journal"
check "... with its restart policy" sh -c "grep -v '^GET' '$E/log' | tail -n 1 | grep -q on-failure"
frozen
echo "GET ^$ct/json 500 no memory" >"$E/fail"
expect 1 "an engine that cannot tell" rollback
says "... is told" 'thaw: engine: GET .*: 500: no memory'
untouched
for path in update rename; do
	frozen last
	answers "$r_hello" "$r_running"
	echo "POST /$path 500 not today" >"$E/fail"
	expect 1 "a release that fails at $path" rollback
	says "... is told" "release: engine: POST $ct/$path.*: 500: not today"
	check "... is not settled" sh -c "! grep -qE 'settled|released' '$record/journal'"
	rm "$E/fail"
	expect 0 "the next try" rollback
	check "... ends it" grep -q '"event":"settled"' "$record/journal"
	check "... and never lets it run" [ "$(asked unpause)" = 0 ]
done

# What it tells programs.
frozen last
answers "$r_hello" '{"tool":"dm-restore","stage":"restore","seconds":1,"cpu":0.5,"memory":4096}' \
	"{\"receipt\":\"result\",\"state\":\"running\",\"since\":1,$target}"
echo '{"tool":"dm-ship","stage":"wrap","seconds":2,"cpu":1,"memory":8192,"in":500,"out":300}' >"$T/figures"
echo '{"tool":"dm-fsdiff","stage":"setup","bytes":{"files":7,"frame":5}}' >"$record/figures"
expect 0 "with --json and --report" rollback --json --report "$T/report" --figures "$T/figures"
check "... the receipts are handed on" [ "$(grep -c '^{"receipt":' "$T/out")" = 3 ]
check "... the last line tells how it ended" [ "$(tail -n 1 "$T/out")" = \
	'{"receipt":"settled","id":"m-1","outcome":"moved","code":0}' ]
tr -d ' \n' <"$T/report" >"$T/flat"
for part in '"outcome":"moved","code":0,' '"released_as":"victim.migrated-abababababab"' '"link":300' \
	'"files":7,' '"stream":12' '"tool":"dm-restore","stage":"restore","seconds":1,"cpu":0.5,"memory":4096,"host":"target"' \
	'"in":500,"out":300,"host":"source"'; do
	check "... the report has $part" grep -qF "$part" "$T/flat"
done
frozen last
answers "$r_hello" "$r_failed"
expect 5 "a report of what failed" rollback --report -
check "... goes to standard output" grep -q '"outcome": "rolled back"' "$T/out"
check "... with the reason" grep -q '"message": ".*no room left"' "$T/out"
frozen last
answers "$r_hello" "$r_running"
expect 0 "a report and figures that are not to be had" rollback --report /nonexistent/report --figures /nonexistent/figures
says "... are told" 'write report /nonexistent/report: No such file'
released
finish
