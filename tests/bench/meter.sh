# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the test hosts a and b use; to be sourced, with "hosts" set to that program. Each host is a
# control group of its own, so nothing that runs beside them is counted.
# shellcheck disable=SC2034,SC2154 # "hosts" and "tmp" are set, and "watcher" is used, where this is read in

# CPU seconds that both hosts have used so far.
meter_cpu() {
	local h
	for h in a b; do
		"$hosts" in $h sh -c 'cat /sys/fs/cgroup/cpuacct/cpuacct.usage 2>/dev/null ||
			sed -n "s/^usage_usec \(.*\)/\1000/p" /sys/fs/cgroup/cpu.stat'
	done | awk '{ns += $1} END {printf "%.3f\n", ns / 1e9}'
}

# Bytes that both hosts have put on the link so far, headers and all.
meter_sent() {
	local h
	for h in a b; do "$hosts" in $h cat /sys/class/net/eth0/statistics/tx_bytes; done |
		awk '{n += $1} END {printf "%.0f\n", n}'
}

# Start to watch the memory of host $1: of processes and of files in memory (tmpfs), not the cache
# of the disk. Looks ten times a second; the pid is then in $watcher.
meter_watch() {
	"$hosts" in "$1" bash -s >"$tmp/memory-$1" <<-'END' &
		f=/sys/fs/cgroup/memory/memory.stat processes=total_rss files=total_shmem
		[ -e "$f" ] || f=/sys/fs/cgroup/memory.stat processes=anon files=shmem
		peak=0 first=
		exec 3<> <(:) # nothing ever comes out of it: a sleep without a process
		while :; do
			now=0
			while read -r name bytes; do
				case $name in "$processes" | "$files") ((now += bytes)) ;; esac
			done <"$f"
			: "${first:=$now}"
			if ((now > peak)); then peak=$now && echo "$(((peak - first) >> 20))"; fi
			read -r -t 0.1 -u 3 || :
		done
	END
	watcher=$!
}

# The most that it has seen on host $1, in MiB above what there was in the beginning.
meter_peak() { tail -n 1 "$tmp/memory-$1"; }
