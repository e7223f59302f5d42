#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The link is cut while the container is frozen: its kernel answers nobody; it is back with the
# thaw, and on the target once the container runs there.
. "$(dirname "$0")/lib.sh"

a docker run -d --name net -p 7000:7000 work sh -c 'while :; do echo hello | nc -l -p 7000; done' >/dev/null
sleep 0.5
ip=$(a docker inspect -f '{{.NetworkSettings.IPAddress}}' net)
reached() { # a frozen process would still be: the kernel takes connections for it
	a python3 -c "import socket; socket.create_connection((\"$ip\", 7000), 1)" 2>/dev/null
}
arp() { # does it answer ARP?
	a sh -c "ip neigh flush dev docker0; python3 -c 'import socket; s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b\"x\", (\"$ip\", 9))'; sleep 0.5; ip neigh show $ip | grep -q lladdr"
}
tables() { # of nftables in the container's network namespace
	a sh -c 'nsenter -t $(docker inspect -f "{{.State.Pid}}" net) -n nft list tables | grep -c docker_migrate'
}

check "it is reached before" reached
check "it answers ARP before" arp
for step in "dm-fsdiff --id cut-$$ --save" "dm-predump --id cut-$$" "dm-predump --id cut-$$ --final"; do
	# shellcheck disable=SC2086
	a sh -c "$step net >/dev/null" 2>"$T/log" || not_ok "$step" "$(tail -n 2 "$T/log")"
done
is "it is frozen" "paused true" "$(state a net)"
check "frozen, it is not reached" eval '! reached'
check "frozen, it does not answer ARP" eval '! arp'
expect 5 "thaw" a dm-rollback --id cut-$$ --thaw net
check "thawed, it is reached" reached
check "thawed, it answers ARP" arp
is "no table is left in its namespace" 0 "$(tables)"

moves a b net
check "on the target it is reached at its published port" wait_until 5 eval \
	'[[ $(b python3 -c "import socket; print(socket.create_connection((\"10.99.0.2\", 7000), 1).recv(99).decode())" 2>/dev/null) == hello* ]]'
is "no table is left in its namespace there" 0 "$(b sh -c 'nsenter -t $(docker inspect -f "{{.State.Pid}}" net) -n nft list tables | grep -c docker_migrate')"
clean a
clean b
finish
