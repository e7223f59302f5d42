#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A pipeline of one's own: zstd packs for the link, on all CPUs, where others have dm-ship. Any
# program will do that hands on every byte, and soon: the stream itself has checksums and an end
# mark, and dm-restore looks at them. The rest is as in by-hand.sh, which explains the stages.
#   with-zstd.sh CONTAINER HOST
set -eu
[ $# = 2 ] || { sed -n 's/^#   /usage: /p' "$0" >&2; exit 2; }
ct=$1 host=$2 id=zstd-$(date +%s)
ssh="ssh -o ConnectTimeout=15 -o ServerAliveInterval=5 -o ServerAliveCountMax=3"

pack() { zstd -q -c -T0 -1; }
# zstd -d holds back less than 132 KiB, but the target must answer before the stream ends. So here
# is a frame of 132 KiB that zstd skips.
push() { printf '\120\052\115\030\000\020\002\000' && head -c 135168 /dev/zero; }

dm-fsdiff --id "$id" --paths "$ct" | $ssh "$host" dm-restore --check --have --paths - |
	dm-fsdiff --id "$id" --check --have - "$ct"
# A stage does not run if the one before it failed, whatever the shell thinks.
{
	dm-fsdiff --id "$id" "$ct" | pack
	push
	dm-predump --id "$id" "$ct" | pack
	dm-fsdiff --id "$id" --delta "$ct" | pack
	dm-predump --id "$id" --final "$ct" | pack
	dm-fsdiff --id "$id" --delta --last "$ct" | pack
} | $ssh "$host" 'zstd -q -d -c | dm-restore' |
	dm-rollback --id "$id" --ask "$ssh $host dm-restore --refuse $id" "$ct"
