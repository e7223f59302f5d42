#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ctrl-C at many moments: before LAST the container runs on at the source; after it, it runs on
# exactly one of the two hosts.
. "$(dirname "$0")/lib.sh"

a docker run -d --name work work /usr/local/sbin/workload --size 64M --rate 20M --set 8M >/dev/null
wait_until 20 eval 'a docker logs work 2>&1 | grep -q ready'

# interrupt AFTER SIGNAL: start a move in a process group of its own, and signal the group
interrupt() {
	local code=0
	# shellcheck disable=SC2016 # for the host's shell
	a bash -c 'set -m; dm-migrate work root@b & p=$!; sleep '"$1"'; kill -'"$2"' -- -$p; wait $p' >"$T/log" 2>&1 || code=$?
	return $code
}

for t in 0.1 0.4 0.7 0.9 1.0 1.1 1.2 1.3 1.4 1.6 1.8; do
	code=0
	interrupt "$t" INT || code=$?
	# the pipeline's last part settles it after the script has gone
	check "ctrl-C after $t s: it is settled" wait_until 30 eval \
		'[[ -z $(a pgrep dm-) && -z $(b pgrep dm-restore) ]]'
	on_a=$(state a work) on_b=$(state b work)
	case "$on_a/$on_b" in
	"running false/" | "/running false") ok "ctrl-C after $t s: it runs once (a: ${on_a:-no}, b: ${on_b:-no})" ;;
	*) not_ok "ctrl-C after $t s: it runs once" "a: $on_a, b: $on_b, $(tail -n 5 "$T/log")" ;;
	esac
	clean a
	clean b
	[[ -z $on_b ]] || break
done
host=a
[[ -z $on_b ]] || host=b
"$HOSTS" in $host docker kill -s USR1 work >/dev/null
check "its memory is whole" wait_until 20 eval '"$HOSTS" in $host docker logs work 2>&1 | grep "\"check\"" | grep -q "\"bad\":0"'
finish
