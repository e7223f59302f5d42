#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Bind mounts: a folder and a file that the target must have, a folder that is copied, one that is
# refused; and no room on the target.
. "$(dirname "$0")/lib.sh"

count='n=0; while :; do n=$((n + 1)); echo $n >/copied/count; echo $n >/shared/count; sleep 0.05; done'
counts() { # HOST FILE: the number in it grows
	local before
	before=$("$HOSTS" in "$1" cat "$2")
	sleep 0.5
	[[ -n $before && $("$HOSTS" in "$1" cat "$2") -gt $before ]]
}
dirs=(/srv/copy-$$/deep /srv/share-$$)
a mkdir -p "${dirs[@]}"
a sh -c "echo one >/srv/share-$$.conf; dd if=/dev/urandom of=${dirs[0]}/big bs=1M count=3 2>/dev/null
	ln ${dirs[0]}/big ${dirs[0]}/second; mkdir -m 1777 ${dirs[0]}/sub; chmod 750 ${dirs[0]}"
run=(-v "${dirs[0]}:/copied" -v "${dirs[1]}:/shared" -v "/srv/share-$$.conf:/etc/it.conf:ro" redis sh -c "$count")
a docker run -d --name binds "${run[@]}" >/dev/null
sleep 0.5

expect 3 "what the target lacks" a dm-migrate binds root@b
for d in "${dirs[@]}" /srv/share-$$.conf; do
	says "$d is named" "the target lacks $d, which is mounted at"
done
b sh -c "mkdir /srv/share-$$ && mkdir /srv/share-$$.conf && mkdir -p ${dirs[0]}/taken"
expect 3 "what the target has, but not like this" a dm-migrate --bind "/copied=copy" binds root@b
says "a file and a folder" "/srv/share-$$.conf is a file here and a folder on the target"
says "a folder to copy to" "the target has ${dirs[0]} already, and it is not an empty folder"
expect 3 "a path that is no mount" a dm-migrate --bind /none=copy binds root@b
says "is named" 'it has no bind mount /none'
expect 3 "--binds refuse" a dm-migrate --binds refuse binds root@b
says "names them" "bind mount of ${dirs[1]} at /shared"
b sh -c "rmdir /srv/share-$$.conf && echo two >/srv/share-$$.conf && rm -r /srv/copy-$$"
is "it runs on" "running false" "$(state a binds)"

# the target fails after the folder has come: it is removed again
b sh -c 'mv /usr/local/sbin/dm-runtime /usr/local/sbin/dm-runtime.gone && ln -s /bin/false /usr/local/sbin/dm-runtime'
code=0
migrate a b binds --bind "${dirs[0]}=copy" || code=$?
b mv /usr/local/sbin/dm-runtime.gone /usr/local/sbin/dm-runtime
is "a move that fails" 5 "$code"
is "leaves no folder" "" "$(b sh -c "ls -d /srv/copy-$$ 2>/dev/null")"
check "and the container runs on" counts a "${dirs[0]}/count"

moves a b binds --bind "${dirs[0]}=copy"
check "it writes into the copied folder" counts b "${dirs[0]}/count"
check "and into the one that was there" counts b "${dirs[1]}/count"
same "the copied folder is the same" "$(a sh -c "cd ${dirs[0]} && rm count && find . -printf '%p %m %s %n %U:%G %T@\n' | grep -v '^\. ' | sort; sha256sum big")" \
	"$(b sh -c "docker pause binds >/dev/null; cd ${dirs[0]} && find . ! -name count -printf '%p %m %s %n %U:%G %T@\n' | grep -v '^\. ' | sort; sha256sum big; docker unpause binds >/dev/null")"
is "its mode, too" 750 "$(b stat -c %a "${dirs[0]}")"
is "the file is the target's" two "$(b docker exec binds cat /etc/it.conf)"
is "and what was not copied did not travel" "" "$(b docker exec binds sh -c 'ls /shared | grep -v count')"
empty a
empty b

# no room for the files
a docker run -d --name binds -v "${dirs[0]}:/copied" work sleep 1000 >/dev/null
a truncate -s 8T "${dirs[0]}/huge"
expect 3 "no room on the target" a dm-migrate --binds copy binds root@b
says "is told before anything is sent" "the target's disk: 8.0 TiB are needed, and [0-9.]+ .iB are left"
a rm -r "/srv/copy-$$" "/srv/share-$$" "/srv/share-$$.conf"
b rm -r "/srv/copy-$$" "/srv/share-$$" "/srv/share-$$.conf"
clean a
clean b
finish
