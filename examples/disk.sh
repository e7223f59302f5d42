#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What of CONTAINER is on disk? dm-fsdiff alone writes its configuration, image, volumes and writable
# layer into FILE, and dm-ship lists them. The container runs on all the time.
#   disk.sh CONTAINER FILE
set -eu
[ $# = 2 ] || { sed -n 's/^#   /usage: /p' "$0" >&2; exit 2; }
ct=$1 file=$2 id=disk-$(date +%s)

set -C     # a file that exists is left alone
umask 077 # what the container keeps secret is in there, too
dm-fsdiff --id "$id" --save "$ct" >"$file"

# It ends with 4 and says that the stream ends too early, since there is nothing after this segment.
dm-ship --list <"$file" || [ $? = 4 ]

# Close the record. The container was never frozen, so it "runs on here": exit code 5.
dm-rollback --settle --id "$id" "$ct" || [ $? = 5 ]
