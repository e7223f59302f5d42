#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A pipeline of one's own: pv shows the progress, and sends RATE bytes a second at most (pv knows
# k, m and g). The rest is as in by-hand.sh, which explains the stages.
#   with-pv.sh CONTAINER HOST RATE
set -eu
[ $# = 3 ] || { sed -n 's/^#   /usage: /p' "$0" >&2; exit 2; }
ct=$1 host=$2 rate=$3 id=pv-$(date +%s)
ssh="ssh -o ConnectTimeout=15 -o ServerAliveInterval=5 -o ServerAliveCountMax=3"

dm-fsdiff --id "$id" --paths "$ct" | $ssh "$host" dm-restore --check --have --paths - |
	dm-fsdiff --id "$id" --check --have - "$ct"
{
	dm-fsdiff --id "$id" "$ct" &&
		dm-predump --id "$id" "$ct" &&
		dm-fsdiff --id "$id" --delta "$ct" &&
		dm-predump --id "$id" --final "$ct" &&
		dm-fsdiff --id "$id" --delta --last "$ct"
} | dm-ship | pv -N "$ct" -brat -L "$rate" | $ssh "$host" 'dm-ship -d | dm-restore' |
	dm-rollback --id "$id" --ask "$ssh $host dm-restore --refuse $id" "$ct"
