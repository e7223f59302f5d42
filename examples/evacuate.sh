#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Move all running containers of this host to HOST, JOBS at a time (2) and with RATE bytes a second
# (100000000) in all. GNU parallel does it; FOLDER keeps its list, its log and a report of each move.
# With the same FOLDER again it goes on where it was cut off, and tries again what failed.
#   evacuate.sh HOST FOLDER [JOBS [RATE]]
set -eu
[ $# -ge 2 ] || { sed -n 's/^#   /usage: /p' "$0" >&2; exit 2; }
host=$1 dir=$2 jobs=${3:-2} rate=${4:-100000000}

mkdir -p "$dir"
[ -e "$dir/list" ] || docker ps --format '{{.Names}}' >"$dir/list"

# An interrupt is handed on to the moves, and each is waited for until it is settled.
trap : INT
parallel --quote --jobs "$jobs" --joblog "$dir/joblog" --resume-failed --tag --line-buffer \
	--termseq INT,600000 \
	dm-migrate --quiet --tcp close --limit-rate "$((rate / jobs))" --report "$dir/{}.json" {} "$host" \
	:::: "$dir/list" || true

# What became of each? The last line of its number in the log counts; 7 is the exit code, 8 a signal.
awk -F '\t' '
	BEGIN { word["0 0"] = "moved"; word["3 0"] = "refused"; word["5 0"] = "failed, runs on here" }
	NR == FNR { end[$1] = $7 " " $8; next }
	{
		what = !(FNR in end) ? "no result" : end[FNR] in word ? word[end[FNR]] : \
			"LOOK AFTER IT: exit code and signal are " end[FNR]
		print $0 ": " what
		bad += what != "moved"
	}
	END { exit bad > 0 }' "$dir/joblog" "$dir/list"
