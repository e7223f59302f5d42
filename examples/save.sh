#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Save CONTAINER, as it runs, into FILE, and list what is in it. The container stays frozen: until
# you say what becomes of it, it may be started from the file (restore.sh).
#   save.sh CONTAINER FILE
set -eu
[ $# = 2 ] || { sed -n 's/^#   /usage: /p' "$0" >&2; exit 2; }
ct=$1 file=$2 id=save-$(date +%s)
[ ! -e "$file" ] || { echo "$file exists" >&2; exit 2; }

umask 077 # the file will hold all that is in the container's memory
{
	dm-fsdiff --id "$id" --save "$ct" &&
		dm-predump --id "$id" "$ct" &&
		dm-fsdiff --id "$id" --delta "$ct" &&
		dm-predump --id "$id" --final "$ct" &&
		dm-fsdiff --id "$id" --delta --last "$ct"
} | dm-ship --codec zstd:3 >"$file" || echo "writing $file failed" >&2

# Only a complete stream is listed with exit code 0.
if dm-ship --list <"$file"; then
	cat <<-END

		$ct is frozen. To start it on HOST, and give it up here:
		    $(dirname "$0")/restore.sh $file $id $ct HOST
		To let it run on here (and never restore the file again):
		    dm-rollback --thaw --id $id $ct
	END
else
	rm -f "$file"
	dm-rollback --thaw --id "$id" "$ct" # exit code 5: it runs on here
fi
