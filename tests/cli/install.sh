#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# dm-restore --install-runtime and --remove-runtime with a stand-in for the engine: what becomes of
# its configuration, what keeps the runtime there, and that the engine is told.
# shellcheck disable=SC2317 # functions are called through "expect"
# shellcheck source=tests/cli/lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"

restore=$BUILD/dm-restore
export DM_DAEMON_JSON=$T/etc/daemon.json
ours="{\"path\":\"$BUILD/dm-runtime\"}"
others='{"crun":{"path":"/usr/bin/crun","runtimeArgs":["-v"]}}'

# fresh CONFIGURATION [INSPECT-DOCUMENT]: an engine that has read it, and its pid file in it
fresh() {
	engine_start "the runtime's entry" "${2:-}"
	echo "$engine" >"$T/pid"
	rm -rf "${T:?}/etc"
	mkdir "${T:?}/etc"
	config "$1"
	kill -HUP "$engine"
	sleep 0.2
}

# config TEXT: write it, as one object with the pid file's place
config() { echo "{\"pidfile\":\"$T/pid\"${1:+,$1}}" >"$DM_DAEMON_JSON"; }

# now_has TEXT: it is the configuration now, but for blanks
now_has() {
	check "... the configuration is as it should be" \
		[ "$(tr -d ' \n' <"$DM_DAEMON_JSON")" = "{\"pidfile\":\"$T/pid\"${1:+,$1}}" ]
}

# lists PATTERN: GET /info says so of our runtime
lists() {
	check "... the engine has $1" grep -Eq "$1" \
		<(python3 - "$T/sock" <<-'END'
			import json, socket, sys
			s = socket.socket(socket.AF_UNIX)
			s.connect(sys.argv[1])
			s.sendall(b"GET /info HTTP/1.0\r\n\r\n")
			text = b"".join(iter(lambda: s.recv(65536), b"")).split(b"\r\n\r\n")[1]
			print(json.loads(text)["Runtimes"].get("docker-migrate", {}).get("path", "none"))
		END
		)
}

# Added to what is there, and taken out again.
for before in '"debug":true' "\"debug\":true,\"runtimes\":$others" '"runtimes":{}' ''; do
	fresh "$before"
	chmod 640 "$DM_DAEMON_JSON"
	expect 0 "--install-runtime with {${before:0:40}}" "$restore" --install-runtime
	case $before in
	*crun*) now_has "${before%\}},\"docker-migrate\":$ours}" ;;
	*{}) now_has "\"runtimes\":{\"docker-migrate\":$ours}" ;;
	*) now_has "${before:+$before,}\"runtimes\":{\"docker-migrate\":$ours}" ;;
	esac
	lists "^$BUILD/dm-runtime\$"
	expect 0 "... again" "$restore" --install-runtime
	expect 0 "--remove-runtime with {${before:0:40}}" "$restore" --remove-runtime
	check "... says nothing" [ ! -s "$T/out" -a ! -s "$T/err" ]
	case $before in
	*runtimes*) now_has "$before" ;;
	*) now_has "${before:+$before,}\"runtimes\":{}" ;;
	esac
	lists '^none$'
	check "... the file's mode stays" [ "$(stat -c %a "$DM_DAEMON_JSON")" = 640 ]
	stamp=$(stat -c %i:%z "$DM_DAEMON_JSON")
	expect 0 "... again" "$restore" --remove-runtime
	check "... changes nothing" [ "$(stat -c %i:%z "$DM_DAEMON_JSON")" = "$stamp" ]
done

# keeps CODE WHAT PATTERN: --remove-runtime fails, says so in one line, and changes nothing
keeps() {
	local stamp
	stamp=$(stat -c %i:%z "$DM_DAEMON_JSON")
	expect "$1" "--remove-runtime: $2" "$restore" --remove-runtime
	says "... is told" "$3"
	one_line "... in one line"
	check "... changes nothing" [ "$(stat -c %i:%z "$DM_DAEMON_JSON")" = "$stamp" ]
}

# Containers that have it, running or not; one that has another does not count.
installed="\"runtimes\":{\"docker-migrate\":$ours}"
inspect() { # NAME RUNTIME
	echo "{\"Id\":\"$(printf 'f%.0s' {1..64})\",\"Name\":\"/$1\",\"State\":{\"Running\":false,\"Paused\":false,
		\"Pid\":0},\"HostConfig\":{\"Runtime\":\"$2\"}}" >"$T/inspect"
}
inspect old docker-migrate
fresh "$installed" "$T/inspect"
keeps 3 "a container has it" '^dm-restore: 1 container still has the runtime docker-migrate: old$'
echo running >"$E/start"
"$BUILD/tests/make_stream" --mine >"$T/stream"
"$restore" --stage "$T/stage" <"$T/stream" >/dev/null 2>&1
keeps 3 "two have it" '^dm-restore: 2 containers still have the runtime docker-migrate: old, tiny$'
echo "GET ^/containers/0 404 it has gone" >"$E/fail"
keeps 3 "two, of which one goes" ': 1 container still has .*: old$'
echo "GET ^/containers/f+/json 500 it is locked" >"$E/fail"
keeps 1 "a container cannot be looked at" 'it is locked'
echo "GET ^/containers/json 500 all is locked" >"$E/fail"
keeps 1 "containers cannot be listed" 'all is locked'
lists "^$BUILD/dm-runtime\$"
inspect "$(printf 'long%.0s' {1..240})" docker-migrate
fresh "$installed" "$T/inspect"
keeps 3 "a container with a very long name" '^dm-restore: 1 container still has the runtime docker-migrate: (long){190}'
inspect other runc
fresh "$installed" "$T/inspect"
expect 0 "--remove-runtime: a container has another" "$restore" --remove-runtime
now_has '"runtimes":{}'
lists '^none$'

# An engine would not start with a default that is gone.
fresh "\"default-runtime\":\"docker-migrate\",$installed"
keeps 3 "it is the default" "the runtime docker-migrate is the engine's default"
config "$installed"
keeps 3 "it is the engine's default, but not the file's" "the runtime docker-migrate is the engine's default"
fresh "$installed"
config "\"default-runtime\":\"docker-migrate\",$installed"
keeps 3 "it is the file's default, but not the engine's" "the runtime docker-migrate is the engine's default"

# Half done, or undone by hand.
fresh "$installed"
config '"runtimes":{}'
expect 0 "--remove-runtime: out of the file by hand, without a reload" "$restore" --remove-runtime
lists '^none$'
fresh "$installed"
config ''
keeps 3 "the engine does not have it from the file" "the engine has the runtime docker-migrate, but not from $DM_DAEMON_JSON"
fresh ''
config "$installed"
expect 0 "--remove-runtime: in the file, but never read" "$restore" --remove-runtime
now_has '"runtimes":{}'
lists '^none$'
fresh "$installed"
rm "$T/pid"
expect 1 "--remove-runtime: an engine that cannot be told" "$restore" --remove-runtime
says "... is told" "$DM_DAEMON_JSON is changed, but the engine could not be told to read it \($T/pid\): reload it yourself"
echo "$engine" >"$T/pid"
expect 0 "... again, when it can" "$restore" --remove-runtime
lists '^none$'

# A runtime of that name which is not ours stays.
other='"runtimes":{"docker-migrate":{"path":"/opt/dm-runtime"}}'
fresh "$other"
expect 0 "--remove-runtime: another program has the name" "$restore" --remove-runtime
says "... is told" "in $DM_DAEMON_JSON stays: it is /opt/dm-runtime, not $BUILD/dm-runtime"
now_has "$other"
lists '^/opt/dm-runtime$'

# What cannot be read as a configuration.
fresh ''
for text in '{' '[]' '"x"' '{"a":1,"a":2}'; do
	echo "$text" >"$DM_DAEMON_JSON"
	expect 1 "--remove-runtime with $text" "$restore" --remove-runtime
	one_line "... in one line"
	expect 1 "--install-runtime with $text" "$restore" --install-runtime
	check "... it is as it was" [ "$(<"$DM_DAEMON_JSON")" = "$text" ]
done
DM_DAEMON_JSON=etc/x expect 2 "--remove-runtime with a path that is not absolute" "$restore" --remove-runtime

# Without an engine there is nothing to do, or no knowing who needs it.
config "$installed"
engine_stop
keeps 3 "no engine, but it is in the file" "$DM_DAEMON_JSON has the runtime docker-migrate, which containers may need: Docker does not answer"
for text in '{}' ''; do
	echo "$text" >"$DM_DAEMON_JSON"
	expect 0 "--remove-runtime: no engine, and the file is \"$text\"" "$restore" --remove-runtime
done
config "$other"
expect 0 "--remove-runtime: no engine, and another program has the name" "$restore" --remove-runtime
says "... is told" "stays: it is /opt/dm-runtime"
rm -r "${T:?}/etc"
expect 0 "--remove-runtime: no engine, and no file" "$restore" --remove-runtime
check "... makes none" [ ! -e "$T/etc" ]
# as when a package is removed from a folder that is to become a host
no_proc() { unshare -m sh -c 'mount -t tmpfs none /proc && exec "$@"' - "$@"; }
what="--remove-runtime: no engine, no file and no /proc"
if grep -qa __asan_init "$restore"; then
	skip "$what" "a program with that sanitizer needs /proc"
elif no_proc true 2>"$T/err"; then
	expect 0 "$what" no_proc "$restore" --remove-runtime
else
	skip "$what" "$(head -n 1 "$T/err")"
fi
finish
