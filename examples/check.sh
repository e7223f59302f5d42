#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What keeps CONTAINER from moving to HOST? Nothing is sent; a record of the question stays.
#   check.sh CONTAINER HOST
set -eu
[ $# = 2 ] || { sed -n 's/^#   /usage: /p' "$0" >&2; exit 2; }

# The target prints what it is and has, as a line of JSON; dm-fsdiff names every obstacle.
ssh "$2" dm-restore --check --have </dev/null |
	dm-fsdiff --id "check-$(date +%s)" --check --have - "$1"
echo "nothing keeps $1 from moving to $2"
