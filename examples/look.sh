#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What do the stages before the freeze send? CONTAINER runs on all the time, and moves nowhere.
#   look.sh CONTAINER
set -eu
[ $# = 1 ] || { sed -n 's/^#   /usage: /p' "$0" >&2; exit 2; }
id=look-$(date +%s)

# Each program writes one segment, and dm-ship lists them: configuration, image, layer and volumes;
# memory, in rounds; what has changed on disk meanwhile. It ends with 4 and says that the stream
# ends too early, since there is no final segment.
{
	dm-fsdiff --id "$id" "$1" &&
		dm-predump --id "$id" --max-rounds 3 "$1" &&
		dm-fsdiff --id "$id" --delta "$1"
} | dm-ship --list || [ $? = 4 ]

# Close the record. The container was never frozen, so it "runs on here": exit code 5.
dm-rollback --settle --id "$id" "$1" || [ $? = 5 ]
