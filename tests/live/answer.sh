#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The target's answer gets lost: the source asks; without any answer the container stays frozen,
# and the command that the message names settles it.
. "$(dirname "$0")/lib.sh"

# An ssh that loses the result of a move on its way back; /srv/deaf makes it lose all answers, too.
a sh -c 'cat >/srv/lossy && chmod +x /srv/lossy' <<'S'
#!/bin/bash
case $* in
*"dm-ship -d"*) ssh "$@" | grep --line-buffered -v '"result"' ;;
*--refuse*) [ ! -e /srv/deaf ] || exit 255; exec ssh "$@" ;;
*) exec ssh "$@" ;;
esac
S

begin() {
	a docker run -d --name tree work /usr/local/sbin/tree >/dev/null
	sleep 0.5
}

whole() { # HOST
	"$HOSTS" in "$1" docker kill -s USR1 tree >/dev/null
	sleep 1
	"$HOSTS" in "$1" docker logs tree 2>&1 | tail -n 1 | grep -q '"wrong":0,"bad":0'
}

begin
moves a b tree --ssh /srv/lossy
is "the result was asked for: it runs on b" "running false" "$(state b tree)"
is "and is released on a" "" "$(state a tree)"
empty a
empty b

begin
b sh -c 'mv /usr/sbin/criu /usr/sbin/criu.real && printf "#!/bin/sh\ncase \$1 in swrk) exit 1;; esac\nexec /usr/sbin/criu.real \"\$@\"\n" >/usr/sbin/criu && chmod +x /usr/sbin/criu'
code=0
migrate a b tree --ssh /srv/lossy || code=$?
b mv /usr/sbin/criu.real /usr/sbin/criu
is "a failure that was asked for: exit code" 5 "$code"
is "it runs on at the source" "running false" "$(state a tree)"
check "and is whole" whole a
is "it is not on b" "" "$(state b tree)"

# nobody answers
settle() { # what the message says
	sed -n 's/.*this settles it: //p' "$T/log" >"$T/command"
	check "the message names a command" grep -q '^dm-rollback --settle ' "$T/command"
	code=0
	"$HOSTS" in a bash -s <"$T/command" >"$T/settled" 2>&1 || code=$?
}

a touch /srv/deaf
code=0
migrate a b tree --ssh /srv/lossy --patience 1 || code=$?
is "no answer: exit code" 6 "$code"
is "it stays frozen on a" "paused true" "$(state a tree)"
is "it runs on b" "running false" "$(state b tree)"
settle
is "as long as nobody answers, the command changes nothing" 6 "$code"
is "it stays frozen on a" "paused true" "$(state a tree)"
a rm /srv/deaf
settle
is "the command, later, settles it" 0 "$code"
is "it is released on a" "" "$(state a tree)"
is "it runs on b" "running false" "$(state b tree)"
check "and is whole" whole b
empty a
empty b

# the same, and the target never ran it
begin
a touch /srv/deaf
b sh -c 'mv /usr/sbin/criu /usr/sbin/criu.real && printf "#!/bin/sh\ncase \$1 in swrk) exit 1;; esac\nexec /usr/sbin/criu.real \"\$@\"\n" >/usr/sbin/criu && chmod +x /usr/sbin/criu'
code=0
migrate a b tree --ssh /srv/lossy --patience 1 || code=$?
b mv /usr/sbin/criu.real /usr/sbin/criu
is "no answer about a failure: exit code" 6 "$code"
is "it stays frozen on a" "paused true" "$(state a tree)"
a rm /srv/deaf
settle
is "the command thaws it" 5 "$code"
is "it runs on at the source" "running false" "$(state a tree)"
check "and is whole" whole a
a rm -f /srv/lossy
clean a
clean b
finish
