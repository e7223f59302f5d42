# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Control groups of the test hosts, with version 1 hierarchies or version 2 alone.
#
# A host's groups are called docker-migrate.INSTANCE.HOST and lie below the group of whoever ran
# "hosts up" (version 1) or at the top (version 2, where a group with processes cannot have groups
# with controllers below it). STATE/HOST/cgroups lists them: "CONTROLLERS FOLDER".

# The mount point of the version 1 hierarchy with controllers $1 and, behind it, this process' place in it.
cgroup_own() {
	local c=${1%%,*} own mp root
	own=$(awk -F: -v c="$1" '$2 == c { print $3 }' /proc/self/cgroup)
	read -r root mp < <(awk -v c="$c" '{
		for (i = 7; i <= NF && $i != "-"; i++);
		if ($(i + 1) == "cgroup" && ("," $(i + 3) ",") ~ ("," c ",")) { print $4, $5; exit }
	}' /proc/self/mountinfo) || return 1
	[ "$root" = / ] || own=${own#"$root"}
	echo "$mp${own%/}"
}

# Version 2: give the groups below $1 the controllers that it has.
cgroup_pass_on() {
	local c all
	read -r -a all <"$1/cgroup.controllers"
	for c in "${all[@]}"; do echo "+$c" >"$1/cgroup.subtree_control" || true; done 2>/dev/null
}

# Make the groups of host $1 and list them.
cgroup_make() {
	local name=docker-migrate.$INSTANCE.$1 list=$STATE/$1/cgroups c d top
	: >"$list"
	while IFS=: read -r _ c _; do
		[ -n "$c" ] || continue
		top=$(cgroup_own "$c") || continue
		d=$top/$name
		echo "$c $d" >>"$list"
		mkdir "$d"
		case ,$c, in *,cpuset,*)
			cat "$top/cpuset.cpus" >"$d/cpuset.cpus"
			cat "$top/cpuset.mems" >"$d/cpuset.mems"
			;;
		esac
		case ,$c, in *,memory,*) echo "$MEMORY" >"$d/memory.limit_in_bytes" ;; esac
	done </proc/self/cgroup
	[ ! -s "$list" ] || return 0
	top=$(awk '$(NF - 2) == "cgroup2" { print $5; exit }' /proc/self/mountinfo)
	[ -n "$top" ] || die "no control groups are mounted on this machine"
	d=$top/$name
	echo "cgroup2 $d" >"$list"
	cgroup_pass_on "$top"
	mkdir "$d"
	echo "$MEMORY" >"$d/memory.max" || die "the memory controller is not available to $d"
}

# Put this shell into the groups of host $1. Must come before "unshare -C" and "nsenter -C":
# otherwise /proc/PID/cgroup says "/../.." and CRIU cannot find the groups.
cgroup_enter() {
	local d
	while read -r _ d; do
		[ ! -d "$d/init" ] || d=$d/init
		echo "$BASHPID" >"$d/cgroup.procs"
	done <"$STATE/$1/cgroups"
}

# Version 2, once the host is up: its processes move to a leaf, so that the engine can use the controllers.
cgroup_settle() {
	local c d p
	read -r c d <"$STATE/$1/cgroups"
	[ "$c" = cgroup2 ] || return 0
	mkdir -p "$d/init"
	while read -r p; do echo "$p" >"$d/init/cgroup.procs"; done <"$d/cgroup.procs"
	cgroup_pass_on "$d"
}

# Mount the hierarchies on $2 as host $1 sees them; runs in the host's cgroup namespace.
cgroup_mount() {
	local c o
	if grep -q '^cgroup2 ' "$STATE/$1/cgroups"; then
		mount -t cgroup2 cgroup2 "$2"
		return
	fi
	mount -t tmpfs -o mode=755 tmpfs "$2"
	while read -r c _; do
		o=$c
		case $c in name=*) o=none,$c ;; esac
		mkdir "$2/${c#name=}"
		mount -t cgroup -o "$o" cgroup "$2/${c#name=}"
	done <"$STATE/$1/cgroups"
}

# The top folders of all groups of this instance, or of its host $1.
cgroup_tops() {
	find /sys/fs/cgroup -type d -name "docker-migrate.$INSTANCE.${1:-*}" -prune 2>/dev/null
}

# Kill everything in the groups of this instance (or of its host $1) and remove them.
# Processes in a frozen version 1 group die when it is thawed, so the kill comes first.
cgroup_destroy() {
	local tops=() f p n
	mapfile -t tops < <(cgroup_tops "${1-}")
	[ ${#tops[@]} -gt 0 ] || return 0
	for n in $(seq 100); do
		while read -r p; do [ "$p" = 0 ] || kill -9 "$p" 2>/dev/null || true; done \
			< <(find "${tops[@]}" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u)
		while read -r f; do echo THAWED >"$f" || true; done 2>/dev/null \
			< <(find "${tops[@]}" -name freezer.state 2>/dev/null)
		while read -r f; do echo 0 >"$f" || true; done 2>/dev/null \
			< <(find "${tops[@]}" -name cgroup.freeze 2>/dev/null)
		find "${tops[@]}" -depth -type d -exec rmdir {} + 2>/dev/null || true
		mapfile -t tops < <(cgroup_tops "${1-}")
		[ ${#tops[@]} -gt 0 ] || return 0
		[ "$n" -lt 3 ] || sleep 0.1
	done
	die "control groups are still in use: ${tops[*]}"
}
