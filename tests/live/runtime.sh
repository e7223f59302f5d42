#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# dm-runtime with real engines: containers are dumped and restored on the same host, once with
# Docker 26 and once with 28. Uses the running test hosts of instance $DM_HOSTS if there are any;
# else starts its own and stops them at the end.
#   runtime.sh [HOST...]      (default: a b)
HERE=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/cli/lib.sh
. "$HERE/../cli/lib.sh"
HOSTS=$ROOT/tests/hosts/hosts
export DM_HOSTS=${DM_HOSTS:-runtime}
[ $# -gt 0 ] || set -- a b

started=
if [ -z "$("$HOSTS" status)" ]; then
	"$HOSTS" up --a 26 --b 28 || exit 1
	started=1
fi
for h in "$@"; do
	"$HOSTS" in "$h" rm -rf /srv/runtime-test
	"$HOSTS" in "$h" mkdir -p /srv/runtime-test/tests
	"$HOSTS" put "$h" "$ROOT/tests/cli" /srv/runtime-test/tests/cli
	"$HOSTS" put "$h" "$ROOT/tests/live" /srv/runtime-test/tests/live
	"$HOSTS" put "$h" "$BUILD/dm-runtime" /srv/runtime-test/dm-runtime
	"$HOSTS" image "$h" runtime-test /usr/bin/bash >/dev/null
	"$HOSTS" in "$h" bash /srv/runtime-test/tests/live/runtime-inside.sh >"$T/$h" 2>&1
	code=$?
	cat "$T/$h"
	check "host $h: all well" test "$code" = 0
	"$HOSTS" in "$h" bash /srv/runtime-test/tests/live/runtime-inside.sh leave >/dev/null 2>&1
done
[ -z "$started" ] || "$HOSTS" down
finish
