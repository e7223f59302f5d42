#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# dm-ship knows nothing of containers: copy FOLDER to HOST, packed and checked on the way.
#   copy-folder.sh FOLDER HOST TARGET-FOLDER
set -eu
[ $# = 3 ] || { sed -n 's/^#   /usage: /p' "$0" >&2; exit 2; }

# The name of the folder goes through a shell there, so it must be a plain one.
case $3 in *[!A-Za-z0-9/._-]* | -*) echo "$3: a plain name, please" >&2; exit 2 ;; esac
# shellcheck disable=SC2029
tar -C "$1" -cf - . | dm-ship --progress | ssh "$2" "mkdir -p $3 && dm-ship -d | tar -C $3 -xpf -"
