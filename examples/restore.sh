#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Start on HOST what save.sh has saved into FILE as migration ID, then give CONTAINER up here.
#   restore.sh FILE ID CONTAINER HOST
set -eu
[ $# = 4 ] || { sed -n 's/^#   /usage: /p' "$0" >&2; exit 2; }
file=$1 id=$2 ct=$3 host=$4

ssh "$host" 'dm-ship -d | dm-restore --saved' <"$file" || echo "exit code $?" >&2

# What counts is the target's record, whatever was seen of the attempt. After --refuse it is
# certain: it runs there, or it never will.
# shellcheck disable=SC2029 # the id is to be put in here
case $(ssh "$host" "dm-restore --refuse $id" </dev/null) in
*'"state":"running"'*) exec dm-rollback --release --id "$id" "$ct" ;;
*'"state":"failed"'* | *'"state":"refused"'*)
	echo "$ct does not run on $host and stays frozen here; try another host, or:" >&2
	;;
*) echo "$host does not tell; ask it again before you do anything. Only if it does not run there:" >&2 ;;
esac
echo "    dm-rollback --thaw --id $id $ct" >&2
exit 1
