#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# HOST can be reached from JUMP only: ssh goes there first. The stream is encrypted all the way, JUMP
# cannot read it. --ssh takes any command that reaches a host, so the options that give up on a
# silent link have to be in it.
#   over-jump.sh CONTAINER JUMP HOST
set -eu
[ $# = 3 ] || { sed -n 's/^#   /usage: /p' "$0" >&2; exit 2; }

exec dm-migrate --ssh "ssh -J $2 -o ServerAliveInterval=5 -o ServerAliveCountMax=3" "$1" "$3"
