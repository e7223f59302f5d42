# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The root file systems of the test hosts: built once, kept in the cache folder.

ROOT_PACKAGES="ca-certificates docker.io docker-cli containerd runc rsync openssh-server openssh-client
iproute2 iptables nftables kmod procps python3 redis-server redis-tools busybox-static attr acl
gcc libc6-dev make pkgconf libarchive-dev zlib1g-dev libzstd-dev libxxhash-dev libjansson-dev
libcurl4-openssl-dev libprotobuf-c-dev protobuf-c-compiler libarchive-tools zstd pv parallel
iputils-ping strace netcat-openbsd"
# What root "podman" has besides: 120 MB that ordinary tests do not need.
ROOT_PODMAN="podman netavark aardvark-dns"

# The suite of engine $1.
root_suite() {
	case $1 in
	26 | podman) echo trixie ;;
	28) echo sid ;;
	*) die "no root for engine '$1': 26, 28 or podman" ;;
	esac
}

# The folder of root $1. The recipe's sum is part of it, so a changed recipe is a new root.
root_path() {
	local sum
	root_suite "$1" >/dev/null
	sum=$({ echo "$ROOT_PACKAGES $ROOT_PODMAN" && declare -f root_suite root_apt root_fill; } | cksum)
	echo "$CACHE/root-$1-${sum%% *}"
}

# The Debian mirror that this machine's apt uses.
root_mirror() {
	local m
	m=$({
		cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
			awk '$1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /^https?:/) { print $i; break } }'
		awk 'tolower($1) == "uris:" { print $2 }' /etc/apt/sources.list.d/*.sources 2>/dev/null
	} | grep -E '/debian/?$' | head -n 1)
	[ -n "$m" ] || die "no Debian mirror found in this machine's apt configuration"
	echo "$m"
}

# Give apt's proxies to programs that only know the environment.
root_proxy() {
	local p v
	for p in http https; do
		v=$(apt-config dump --format '%v%n' "Acquire::$p::Proxy" | head -n 1)
		if [ -n "$v" ] && [ "$v" != DIRECT ]; then
			declare -n env=${p}_proxy
			env=${env:-$v}
			export "${p}_proxy"
			unset -n env
		fi
	done
}

root_apt() { # in root $1, arguments
	local r=$1
	shift
	chroot "$r" env DEBIAN_FRONTEND=noninteractive LC_ALL=C \
		apt-get -q -y -o APT::Sandbox::User=root -o Acquire::Check-Valid-Until=false \
		-o Acquire::Check-Date=false -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 --no-install-recommends "$@"
}

# Fill folder $2 with root $1. Runs in mount and process namespaces of its own,
# so that nothing outlives it.
root_fill() {
	local r=$2 suite mirror packages
	suite=$(root_suite "$1")
	mirror=$(root_mirror)
	mount --make-rprivate /
	say "root $1: debootstrap $suite" >&7
	debootstrap --variant=minbase --include=ca-certificates "$suite" "$r" "$mirror"
	printf '#!/bin/sh\nexit 101\n' >"$r/usr/sbin/policy-rc.d" # no service starts while packages are installed
	chmod 755 "$r/usr/sbin/policy-rc.d"
	cp -L /etc/resolv.conf "$r/etc/resolv.conf"
	mount -t proc proc "$r/proc"
	echo "deb $mirror $suite main" >"$r/etc/apt/sources.list"
	if [ "$suite" != sid ]; then
		# CRIU from unstable, because kernels from 6.16 on need 4.2. Nothing else may come from there
		# but the libraries that it asks for.
		echo "deb [check-valid-until=no] $mirror sid main" >"$r/etc/apt/sources.list.d/sid.list"
		printf 'Package: *\nPin: release a=unstable\nPin-Priority: 50\n' >"$r/etc/apt/preferences.d/sid"
	fi
	say "root $1: packages" >&7
	root_apt "$r" update
	read -r -d '' -a packages <<<"$ROOT_PACKAGES" || true
	root_apt "$r" install "${packages[@]}"
	# shellcheck disable=SC2086 # a list of words
	[ "$1" != podman ] || root_apt "$r" install $ROOT_PODMAN
	root_apt "$r" -t sid install criu
	root_apt "$r" clean
	umount "$r/proc"
	rm -rf "$r"/var/lib/apt/lists/* "$r"/etc/ssh/ssh_host_* "$r/usr/sbin/policy-rc.d" "$r/etc/resolv.conf"
	: >"$r/etc/resolv.conf"
	: >"$r/etc/machine-id"
}

# Build root $1 unless it is there.
root_build() {
	local root work log
	root=$(root_path "$1")
	[ ! -d "$root" ] || return 0
	mkdir -p "$CACHE"
	(
		exec 8>"$CACHE/root-$1.lock"
		flock 8
		[ ! -d "$root" ] || exit 0 # somebody else built it meanwhile
		work=$CACHE/build-$1 log=$CACHE/root-$1.log
		rm -rf "$work"
		command -v debootstrap >/dev/null || {
			say "installing debootstrap"
			apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install debootstrap >/dev/null
		}
		root_proxy
		if ! unshare -m -p -f --mount-proc --kill-child \
			"$BASH" "$HERE/hosts" _root_fill "$1" "$work" 7>&1 8>&- >"$log" 2>&1 </dev/null; then
			tail -n 25 "$log" >&2
			rm -rf "$work"
			die "root $1 could not be built; all of it is in $log"
		fi
		mv "$work" "$root"
		say "root $1: ready in $SECONDS s, $(du -sm "$root" | cut -f 1) MB in $root"
	)
}

# Build the given roots (default: all), side by side.
root_build_all() {
	local v p=() bad=0
	[ $# -gt 0 ] || set -- 26 28
	for v in "$@"; do root_suite "$v" >/dev/null; done
	for v in "$@"; do
		root_build "$v" &
		p+=($!)
	done
	for v in "${p[@]}"; do wait "$v" || bad=1; done
	return $bad
}
