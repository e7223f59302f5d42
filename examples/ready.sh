#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Can these hosts receive containers? dm-restore alone looks, and names what is missing.
#   ready.sh HOST...
set -eu
[ $# -gt 0 ] || { sed -n 's/^#   /usage: /p' "$0" >&2; exit 2; }

bad=0
for host; do
	if ssh "$host" dm-restore --check </dev/null; then
		echo "$host: ready"
	else
		echo "$host: not ready (exit code $?)"
		bad=1
	fi
done
exit $bad
