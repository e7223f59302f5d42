#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# How much does CONTAINER write into its memory, and how long would it stand still on a move?
# dm-predump alone reads the memory in rounds and says so; what it sends is thrown away. The
# container runs on all the time. OPTIONS are those of dm-predump.
#   memory.sh CONTAINER [OPTIONS]
set -eu
[ $# -gt 0 ] || { sed -n 's/^#   /usage: /p' "$0" >&2; exit 2; }
ct=$1 id=memory-$(date +%s)
shift

# dm-fsdiff begins every migration, so it comes first here, too.
dm-fsdiff --id "$id" "$ct" >/dev/null
dm-predump --id "$id" "$@" "$ct" >/dev/null || echo "exit code $?" >&2

# Close the record. The container was never frozen, so it "runs on here": exit code 5.
dm-rollback --settle --id "$id" "$ct" || [ $? = 5 ]
