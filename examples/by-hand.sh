#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The pipeline of dm-migrate, spelled out: move CONTAINER to HOST over ssh.
#   by-hand.sh CONTAINER HOST
set -eu
[ $# = 2 ] || { sed -n 's/^#   /usage: /p' "$0" >&2; exit 2; }
ct=$1 host=$2 id=hand-$(date +%s)

# A frozen container must not wait for ever when the link goes silent.
alive='-o ConnectTimeout=15 -o ServerAliveInterval=5 -o ServerAliveCountMax=3'

# Every obstacle, before anything is sent. The target also tells what it has at the paths that are
# mounted into the container.
dm-fsdiff --id "$id" --paths "$ct" | ssh "$host" dm-restore --check --have --paths - |
	dm-fsdiff --id "$id" --check --have - "$ct"

# The stages on the source, one after the other, each only if the one before it ended well.
# 1. configuration, image, volumes, writable layer; the container runs
# 2. its memory, in rounds, until little is left; it runs
# 3. what has changed on disk meanwhile; it runs
# 4. freeze it, dump it, send what is left of its memory; it stands still from here on
# 5. the last changes on disk, and the end of the stream
# dm-ship packs all that for the link; dm-restore receives it and starts the container. What it
# prints are receipts, on which dm-rollback acts: it releases the container here, or lets it run
# on. If no receipt comes, it asks.
# shellcheck disable=SC2086 # a list of words
{
	dm-fsdiff --id "$id" "$ct" &&
		dm-predump --id "$id" "$ct" &&
		dm-fsdiff --id "$id" --delta "$ct" &&
		dm-predump --id "$id" --final "$ct" &&
		dm-fsdiff --id "$id" --delta --last "$ct"
} | dm-ship --progress |
	ssh $alive "$host" 'dm-ship -d | dm-restore' |
	dm-rollback --id "$id" --ask "ssh $alive $host dm-restore --refuse $id" "$ct"
# The exit code is that of dm-rollback: 0 moved, 5 it runs on here, 6 unknown.
