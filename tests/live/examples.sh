#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each of examples/ does what it says.
# shellcheck disable=SC2016 # dollars for the hosts' shells
. "$(dirname "$0")/lib.sh"
for h in a b; do
	"$HOSTS" in "$h" rm -rf /srv/examples /srv/ex.*
	"$HOSTS" put "$h" "$ROOT/examples" /srv/examples
done
cleanup_examples() {
	a nft delete table inet far 2>/dev/null
	for h in a b; do "$HOSTS" in "$h" sh -c 'rm -rf /srv/examples /srv/ex.*'; done
}
trap 'cleanup_examples; cleanup' EXIT

# example CODE HOST NAME ARGUMENT...: ok when it ends with CODE; its messages are in $T/err
example() {
	local code=$1 host=$2 name=$3
	shift 3
	expect "$code" "$name $*, on $host" "$HOSTS" in "$host" "/srv/examples/$name" "$@" </dev/null
}

# whole WHAT HOST OTHER: tree runs on HOST and not on OTHER, and has lost nothing
reports() { "$HOSTS" in "$1" docker logs tree 2>&1 | grep -c rounds; }
more_than() { [[ $(reports "$2") -gt $1 ]]; }
whole() {
	local n
	is "$1: it runs on $2 alone" "running false " "$(state "$2" tree) $(state "$3" tree)"
	n=$(reports "$2")
	"$HOSTS" in "$2" docker kill -s USR1 tree >/dev/null
	wait_until 10 more_than "$n" "$2"
	"$HOSTS" in "$2" docker logs tree 2>&1 | tail -n 1 >"$T/report"
	has "$1: nothing is lost" '"wrong":0,"bad":0' "$T/report"
}
newest() { "$HOSTS" in "$1" sh -c 'ls -t /var/lib/docker-migrate/source | head -n 1'; } # migration on HOST

a docker run -d --name tree work /usr/local/sbin/tree >/dev/null

# One stage alone: nothing moves.
example 0 a ready.sh b a
is "both are ready" "b: ready a: ready" "$(paste -sd ' ' "$T/out")"
b mv /usr/sbin/criu /usr/sbin/criu.gone
example 1 a ready.sh b a
b mv /usr/sbin/criu.gone /usr/sbin/criu
has "the one that lacks CRIU is not" '^b: not ready' "$T/out"
has "the other is" '^a: ready' "$T/out"
example 0 a check.sh tree b
example 3 a check.sh tree a
says "a host is no target for itself" 'the target is this host'
example 0 a disk.sh tree /srv/ex.disk
has "it lists the layer" 'tree \{"tree":"layer"' "$T/out"
has "and no memory" '^end 0: ' "$T/out"
is "the file is for its owner only" 600 "$(a stat -c %a /srv/ex.disk)"
example 2 a disk.sh tree /srv/ex.disk
example 0 a memory.sh tree --max-rounds 2
says "it tells the prediction" 'predicted blackout: '
whole "after one stage" a b
a sh -c 'mkdir /srv/ex.folder && echo hello >/srv/ex.folder/file'
example 0 a copy-folder.sh /srv/ex.folder b /srv/ex.copy
is "the folder is there" hello "$(b cat /srv/ex.copy/file)"

# A pipeline of one's own.
example 0 a by-hand.sh tree b
whole "by hand" b a
expect 0 "with-pv.sh, on a terminal of b" b script -qec "/srv/examples/with-pv.sh tree a 50m" /dev/null </dev/null
has "pv tells its rate" 'tree: .*/s' "$T/out"
whole "with pv" a b
example 0 a with-zstd.sh tree b
whole "with zstd" b a
example 0 b save.sh tree /srv/ex.saved
is "it is frozen" "paused true" "$(state b tree)"
example 0 b restore.sh /srv/ex.saved "$(newest b)" tree a
whole "saved and restored" a b
if "$HOSTS" in c true 2>/dev/null; then
	# only c reaches b
	a nft 'table inet far { chain out { type filter hook output priority 0; ip daddr 10.99.0.2 tcp dport 22 reject; }; }'
	expect 255 "b cannot be reached" a ssh -o ConnectTimeout=2 b true
	example 0 a over-jump.sh tree c b
	a nft delete table inet far
	whole "over a jump host" b a
else
	skip "over a jump host" "there is no host c"
	moves a b tree
fi

# What came to no known end is settled.
stages='dm-fsdiff --id $1 tree && dm-predump --id $1 tree && dm-fsdiff --id $1 --delta tree &&
	dm-predump --id $1 --final tree'
# (that the target has said hello, without which nobody is frozen, is put into the journal by hand)
hello='echo "{\"event\":\"target\"}" >>/var/lib/docker-migrate/source/$1/journal'
b sh -c "{ dm-fsdiff --id \$1 tree && $hello && ${stages#*&&}; } >/dev/null" - cut-$$ 2>/dev/null
is "cut before its end, it is frozen" "paused true" "$(state b tree)"
example 5 b settle.sh cut-$$ tree a
whole "it runs on" b a
b sh -c "{ $stages && dm-fsdiff --id \$1 --delta --last tree; } | ssh a dm-restore | grep --line-buffered hello |
	dm-rollback --id \$1 --ask false --patience 1 tree" - lost-$$ 2>/dev/null
is "without the result, it is frozen" "paused true" "$(state b tree)"
example 0 b settle.sh lost-$$ tree a
whole "it is given up here" a b

# All of a host. t2 is in the way of the first attempt.
a docker run -d --name t2 work /usr/local/sbin/tree >/dev/null
b docker create --name t2 work >/dev/null
example 1 a evacuate.sh root@b /srv/ex.log
is "each is reported" "t2: refused tree: moved" "$(sort "$T/out" | paste -sd ' ')"
says "the messages have names" $'^t2\tdm-fsdiff: .* already'
b docker rm t2 >/dev/null
example 0 a evacuate.sh root@b /srv/ex.log
is "in the end all have moved" "t2: moved tree: moved" "$(sort "$T/out" | paste -sd ' ')"
is "nothing was done twice" 3 "$(a sed 1d /srv/ex.log/joblog | wc -l)"
is "there is a report of each" 2 "$(a sh -c 'python3 -m json.tool /srv/ex.log/tree.json >/dev/null && ls /srv/ex.log/*.json | wc -l')"
has "the bandwidth was shared out" '--limit-rate 50000000' <(a cat /srv/ex.log/joblog)
is "all run there" "t2 tree" "$(b docker ps --format '{{.Names}}' | sort | paste -sd ' ')"
whole "evacuated" b a

# The very command of the unit, as systemd would run it: systemd does not run in the test hosts.
command=$(sed -n 's/^ExecStop=//p' "$ROOT/examples/standby.service")
check "the unit has a command" test -n "$command"
expect 0 "the unit's command" "$HOSTS" in b env STANDBY=root@a sh -c "$command" </dev/null
is "all run on the stand-by" "t2 tree" "$(a docker ps --format '{{.Names}}' | sort | paste -sd ' ')"
whole "moved to the stand-by" a b

# Ansible, over ssh from this machine.
if command -v ansible-playbook >/dev/null; then
	echo "a ansible_user=root ansible_ssh_private_key_file=$T/key" >"$T/inventory"
	a cat .ssh/id_ed25519 >"$T/key"
	a cat .ssh/known_hosts >"$T/known"
	chmod 600 "$T/key"
	play() {
		ANSIBLE_HOME=$T/ansible ANSIBLE_LOCAL_TEMP=$T/ansible ANSIBLE_PIPELINING=1 DM_HOSTS=$DM_HOSTS \
			ANSIBLE_SSH_CONTROL_PATH="$T/control" \
			ANSIBLE_SSH_ARGS="-F none -o ControlMaster=auto -o ControlPersist=3 -o UserKnownHostsFile=$T/known -o ProxyCommand='$HOSTS in %h nc %h %p'" \
			ansible-playbook -i "$T/inventory" -e standby=root@b "$ROOT/examples/evacuate.yml" </dev/null
	}
	b docker create --name t2 work >/dev/null
	expect 2 "the playbook, with an obstacle" play
	has "it is reported" 't2: refused' "$T/out"
	has "the other one moves" 'tree: moved' "$T/out"
	whole "moved by Ansible" b a
	is "the one that is refused runs on" "running false" "$(state a t2)"
	ssh -o ControlPath="$T/control" -O exit a 2>/dev/null
else
	skip "the playbook" "ansible-playbook is not installed"
fi
for h in a b; do empty $h; done
clean a
clean b
finish
