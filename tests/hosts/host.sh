# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# One test host. STATE/HOST holds: up and work (the overlay's), disk (its plain folders),
# cgroups, pid ("PID STARTTIME" of its init), version, boot_id.

# The start time of process $1, which with the pid names it for good. Fails if it is dead.
start_time() {
	local s
	s=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	read -r -a s <<<"${s##*) }"
	[ "${s[0]}" != Z ] || return 1
	echo "${s[19]}"
}

host_alive() {
	local pid started
	read -r pid started 2>/dev/null <"$STATE/$1/pid" && [ "$(start_time "$pid")" = "$started" ]
}

host_pid() {
	local pid
	host_alive "$1" || die "$1 is not up (instance '$INSTANCE')"
	read -r pid _ <"$STATE/$1/pid"
	echo "$pid"
}

hosts_made() {
	local h
	for h in a b c; do [ ! -d "$STATE/$h" ] || echo "$h"; done
}

hosts_up() {
	local h
	for h in $(hosts_made); do ! host_alive "$h" || echo "$h"; done
}

host_memory() {
	local f
	f=$(awk '$1 == "cgroup2" { print $2 "/memory.current" } ("," $1 ",") ~ /,memory,/ { print $2 "/memory.usage_in_bytes" }' \
		"$STATE/$1/cgroups")
	echo "$(($(cat "$f") >> 20))M"
}

# Make host $1 with engine $2: its folders, and what differs between hosts. $3: experimental engine.
host_make() {
	local d=$STATE/$1 up=$STATE/$1/up f engine='"storage-driver": "overlay2"'
	mkdir -p "$d/work" "$d/root" "$up/etc/docker" "$up/etc/ssh/sshd_config.d" "$up/usr/local/sbin" "$up/var/log"
	mkdir -m 700 "$up/root" "$up/root/.ssh"
	for f in $PLAIN; do mkdir -p "$d/disk/$f"; done
	chmod 710 "$d/disk/var/lib/docker"
	if [ "$(stat -f -c %T "$d")" = overlayfs ]; then
		die "$CACHE is on an overlay file system, and overlays cannot be stacked so: set DM_CACHE to a folder on a plain disk"
	fi
	echo "$2" >"$d/version"
	echo "$1" >"$up/etc/hostname"
	tr -d - </proc/sys/kernel/random/uuid >"$up/etc/machine-id"
	printf '127.0.0.1 localhost\n10.99.0.1 a\n10.99.0.2 b\n10.99.0.3 c\n' >"$up/etc/hosts"
	[ -z "$3" ] || engine="$engine, \"experimental\": true"
	echo "{ $engine }" >"$up/etc/docker/daemon.json"
	ssh-keygen -q -t ed25519 -N '' -C "root@$1" -f "$up/etc/ssh/ssh_host_ed25519_key"
	printf 'HostKey /etc/ssh/ssh_host_ed25519_key\nUsePAM no\nMaxStartups 100\nMaxSessions 100\n' \
		>"$up/etc/ssh/sshd_config.d/hosts.conf"
	ssh-keygen -q -t ed25519 -N '' -C "root@$1" -f "$up/root/.ssh/id_ed25519"
	install -m 755 "$HERE/services" "$up/usr/local/sbin/services"
}

# Let all hosts of the instance know each other.
hosts_meet() {
	local h o
	for h in $(hosts_made); do
		for o in $(hosts_made); do
			cat "$STATE/$o/up/root/.ssh/id_ed25519.pub" >>"$STATE/$h/up/root/.ssh/authorized_keys"
			echo "$o,10.99.0.$(net_number "$o") $(cut -d ' ' -f 1-2 "$STATE/$o/up/etc/ssh/ssh_host_ed25519_key.pub")" \
				>>"$STATE/$h/up/root/.ssh/known_hosts"
		done
	done
}

# Start host $1, plug it in, start its services.
host_boot() {
	[ -d "$STATE/$1" ] || die "no host '$1' in instance '$INSTANCE'"
	! host_alive "$1" || die "$1 is up already"
	cgroup_make "$1"
	cat /proc/sys/kernel/random/uuid >"$STATE/$1/boot_id"
	(
		cgroup_enter "$1"
		exec setsid unshare -m -p -f --kill-child -n -u -i -C \
			"$BASH" "$HERE/hosts" _host "$1" >"$STATE/$1/log" 2>&1 </dev/null 9>&-
	) &
	disown
	host_wait "$1"
	cgroup_settle "$1"
	net_plug "$1"
	host_in "$1" /usr/local/sbin/services start
}

# Wait until the init of $1 (or the switch) has said that it runs.
host_wait() {
	local n
	for n in $(seq 200); do
		[ ! -s "$STATE/$1/pid" ] || return 0
		sleep 0.05
	done
	cat "$STATE/$1/log" >&2
	die "$1 did not start"
}

# Wait until the engine of host $1 answers.
host_ready() {
	host_in "$1" /usr/local/sbin/services wait || die "the engine of $1 did not start"
}

# Say that this init runs; /proc is still the machine's, so this is the machine's number for it.
init_runs() {
	local s
	read -r -a s </proc/self/stat
	echo "${s[0]} ${s[21]}" >"$STATE/$1/pid.new"
	mv "$STATE/$1/pid.new" "$STATE/$1/pid"
}

switch_init() {
	ip link set lo up
	init_runs switch
	exec sleep infinity
}

# The first process of host $1, in its new namespaces.
host_init() {
	local d=$STATE/$1 r=$STATE/$1/root root f
	root=$(root_path "$(cat "$d/version")")
	mount --make-rprivate /
	mount -t overlay overlay -o "lowerdir=$root,upperdir=$d/up,workdir=$d/work" "$r"
	for f in $PLAIN; do
		mkdir -p "$r/$f"
		mount --bind "$d/disk/$f" "$r/$f"
	done
	mount -t sysfs sysfs "$r/sys"
	mount -t tmpfs -o mode=755,size=1g tmpfs "$r/run"
	host_dev "$r/dev"
	cgroup_mount "$1" "$r/sys/fs/cgroup"
	init_runs "$1"
	mount -t proc proc "$r/proc"
	mount --bind "$d/boot_id" "$r/proc/sys/kernel/random/boot_id"
	hostname "$1"
	ip link set lo up
	mkdir -p "$r/old"
	cd "$r" || die "no folder $r"
	pivot_root . old
	umount -l /old
	rmdir /old
	mount --make-rshared /
	# bash, because it reaps the processes that lose their parents
	exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$BASH" -c 'while :; do sleep 1d & wait $!; done'
}

# Devices of a host, in folder $1. No disks, no loops: nothing to leave behind.
host_dev() {
	local n
	mount -t tmpfs -o mode=755,size=1m tmpfs "$1"
	mkdir "$1/pts" "$1/shm" "$1/mqueue" "$1/net"
	for n in null zero full random urandom tty kmsg fuse userfaultfd net/tun; do
		[ ! -c "/dev/$n" ] || cp -a "/dev/$n" "$1/$n"
	done
	mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$1/pts"
	mount -t tmpfs -o "mode=1777,size=$SHM" tmpfs "$1/shm"
	mount -t mqueue mqueue "$1/mqueue"
	ln -s pts/ptmx "$1/ptmx"
	ln -s /proc/self/fd "$1/fd"
	ln -s /proc/self/fd/0 "$1/stdin"
	ln -s /proc/self/fd/1 "$1/stdout"
	ln -s /proc/self/fd/2 "$1/stderr"
}

# Become a command (default: a shell) in host $1. It gets TERM when this process dies.
host_exec() {
	local h=${1?in: HOST} pid
	shift
	[ $# -gt 0 ] || set -- bash -l
	pid=$(host_pid "$h")
	cgroup_enter "$h"
	exec nsenter -t "$pid" -r -w -m -p -n -u -i -C -- /usr/bin/setpriv --pdeathsig TERM \
		/usr/bin/env -i -C /root HOME=/root USER=root LANG=C.UTF-8 ${TERM:+"TERM=$TERM"} \
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@" 9>&-
}

# Run a command in host $1.
host_in() { (host_exec "$@"); }

# Copy $2 of this machine to $3 in host $1, as cp would. Not through /proc/PID/root:
# a link to an absolute path in there would lead back to this machine.
host_put() {
	local h=${1?put: HOST} from=${2?put: SOURCE} to=${3?put: TARGET}
	# shellcheck disable=SC2016
	tar -C "$(dirname "$from")" -cf - "$(basename "$from")" |
		host_in "$h" sh -c 't=$(mktemp -d) && tar -C "$t" -xpf - && cp -a "$t/$1" "$2"; s=$?; rm -rf "$t"; exit $s' \
			put "$(basename "$from")" "$to"
}

# Cut the power of host $1: everything in it dies at once, its disk stays.
host_crash() {
	[ -d "$STATE/$1" ] || die "no host '$1' in instance '$INSTANCE'"
	cgroup_destroy "$1"
	rm -f "$STATE/$1/pid"
}
