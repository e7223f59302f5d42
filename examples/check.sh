#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What keeps CONTAINER from moving to HOST, and what would be sent? Nothing is changed on either.
#   check.sh CONTAINER HOST
set -eu
[ $# = 2 ] || { sed -n 's/^#   /usage: /p' "$0" >&2; exit 2; }

# The target prints what it is and has, also at the paths that are mounted into the container, as a
# line of JSON; dm-fsdiff names every obstacle.
dm-fsdiff --id check --paths "$1" |
	ssh "$2" dm-restore --check --have --paths - |
	dm-fsdiff --id check --check --have - --estimate "$1"
echo "nothing keeps $1 from moving to $2"
