#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Migration ID of CONTAINER to HOST came to no known end: the power failed, or all was killed.
# dm-rollback alone settles it, whatever has happened: it asks HOST, which refuses if it has not
# decided yet, and then gives the container up here, or lets it run on. May be run again.
#   settle.sh ID CONTAINER HOST
# The newest ids:  ls -t /var/lib/docker-migrate/source | head
set -eu
[ $# = 3 ] || { sed -n 's/^#   /usage: /p' "$0" >&2; exit 2; }

exec dm-rollback --settle --id "$1" --ask "ssh $3 dm-restore --refuse $1" "$2"
# 0: it runs on HOST. 5: it runs on here. 6: HOST does not answer; the container stays frozen.
