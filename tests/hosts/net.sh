# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The network of the test hosts: a switch in a network namespace of its own.
#
# Every host has two wires into it: eth0 (10.99.0.N, bridge "sw0") and eth1, which has no address
# (bridge "sw1"): tests may plug it into an engine's bridge to make a network that spans hosts.
# Nothing is ever made in the machine's own network namespace.

in_switch() { nsenter -t "$(host_pid switch)" -n -- "$@"; }

net_number() {
	case $1 in a) echo 1 ;; b) echo 2 ;; c) echo 3 ;; *) die "no host '$1': a, b or c" ;; esac
}

# Start the switch: a process that keeps the namespace.
net_up() {
	local s
	mkdir "$STATE/switch"
	cgroup_make switch
	(
		cgroup_enter switch
		exec setsid unshare -n "$BASH" "$HERE/hosts" _switch >"$STATE/switch/log" 2>&1 </dev/null 9>&-
	) &
	disown
	host_wait switch
	for s in 0 1; do
		in_switch ip link add "sw$s" type bridge
		in_switch ip link set "sw$s" up
	done
}

# Plug host $1 in.
net_plug() {
	local n s
	n=$(net_number "$1")
	for s in 0 1; do
		in_switch ip link add "$1$s" type veth peer name "eth$s" address "02:00:0a:63:0$s:0$n" netns "$(host_pid "$1")"
		in_switch ip link set "$1$s" master "sw$s" up
	done
	host_in "$1" ip addr add "10.99.0.$n/24" dev eth0
	host_in "$1" ip link set eth0 up
	host_in "$1" ip link set eth1 up
}

# Pull or plug the wires (default: both) of host $1; $2 is down or up.
net_link() {
	local s
	net_number "$1" >/dev/null
	case $2 in up | down) ;; *) die "link: 'up' or 'down', not '$2'" ;; esac
	case ${3-} in eth0) s=0 ;; eth1) s=1 ;; '') s="0 1" ;; *) die "link: 'eth0' or 'eth1', not '$3'" ;; esac
	for s in $s; do in_switch ip link set "$1$s" "$2"; done
}

# Limit every wire, both ways, to rate $1 (as tc writes it), or not ("off").
net_shape() {
	local h s q
	for h in $(hosts_up); do
		for s in 0 1; do
			for q in "host_in $h tc qdisc" "in_switch tc qdisc"; do
				local dev=eth$s
				[ "${q%% *}" = host_in ] || dev=$h$s
				if [ "$1" = off ]; then
					$q del dev "$dev" root 2>/dev/null || true
				else
					$q replace dev "$dev" root tbf rate "$1" burst 256kb latency 50ms
				fi
			done
		done
	done
}
