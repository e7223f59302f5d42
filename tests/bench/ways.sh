# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The ways to move a container NAME, which runs on host a, to host b, as a user's script on host a
# would. Each function runs in host a, gets the name, and says on standard error how its time went.
# What it leaves on the disks is in /srv/moved or goes with the containers.

# shellcheck disable=SC2034 # it is for those who read this in
WAYS="stock podman-zstd podman-none ours"

now() { echo $(($(date +%s%N) / 1000000)); }

# Which engine runs the container, before and after.
way_engine() {
	case $1 in podman-*) echo podman ;; *) echo docker ;; esac
}

# Docker's own: the target has the container already, created; the disk is left out, in its favour:
# the workload writes no files.
way_stock() {
	local from to t0 t1 t2
	from=/var/lib/docker/containers/$(docker inspect -f '{{.Id}}' "$1")/checkpoints
	to=/var/lib/docker/containers/$(ssh -n b docker inspect -f "'{{.Id}}'" "$1")/checkpoints
	t0=$(now)
	docker checkpoint create "$1" c1 >/dev/null
	t1=$(now)
	rsync -a "$from/c1" "b:$to/"
	t2=$(now)
	ssh -n b docker start --checkpoint c1 "$1" >/dev/null
	echo "checkpoint $((t1 - t0)) ms, copy $((t2 - t1)) ms, start $(($(now) - t2)) ms" >&2
}

way_podman() { # NAME COMPRESSION
	local t0 t1 t2
	t0=$(now)
	podman container checkpoint --compress "$2" -e /srv/moved/c1.tar "$1" >/dev/null
	t1=$(now)
	scp -q /srv/moved/c1.tar b:/srv/moved/
	t2=$(now)
	ssh -n b podman container restore -i /srv/moved/c1.tar >/dev/null
	echo "checkpoint $((t1 - t0)) ms, copy $((t2 - t1)) ms, restore $(($(now) - t2)) ms" >&2
}
way_podman-zstd() { way_podman "$1" zstd; }
way_podman-none() { way_podman "$1" none; }

way_ours() { dm-migrate --quiet "$1" root@b; }
