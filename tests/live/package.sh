#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The Debian package: two builds give the same bytes; it installs on both hosts, and a container
# moves with its programs alone; it is not removed while a container needs it; and when it is
# purged, the hosts are as they were.
. "$(dirname "$0")/lib.sh"

# The programs that the other tests use are out of the way meanwhile, and so are all records.
aside() { # HOST
	"$HOSTS" in "$1" sh -c 'dm-restore --remove-runtime && mkdir /usr/local/aside &&
		mv /usr/local/sbin/dm-* /usr/local/aside &&
		rm -rf /var/lib/docker-migrate /run/docker-migrate /dev/shm/docker-migrate'
}
back() { # HOST
	empty "$1"
	"$HOSTS" in "$1" sh -c 'rm -rf /var/lib/docker-migrate /run/docker-migrate
		dpkg -P docker-migrate
		rm -rf /var/lib/docker-migrate /dev/shm/docker-migrate
		mv /usr/local/aside/dm-* /usr/local/sbin/ && rmdir /usr/local/aside
		dm-restore --install-runtime' >/dev/null 2>&1
}
finally() {
	local code=$?
	back a
	back b
	(exit "$code")
	cleanup
}
trap finally EXIT

# What is on a host's disk, below /etc with its contents, and which folders are in memory. What
# Docker, dpkg and CRIU keep for themselves is left out.
listing() { # HOST
	"$HOSTS" in "$1" sh -c '
		find / -xdev \( -path /var/lib/dpkg -o -path /var/log -o -path /tmp \) -prune -o -printf "%p %y %m %U %l\n"
		find /etc -type f -exec md5sum {} +
		find /run /dev/shm /var/lib/dpkg/info -mindepth 1 -maxdepth 1 ! -name criu.kdat' | sort
}

# dpkg's messages are left in $T/log
package() { # HOST dpkg's arguments
	"$HOSTS" in "$1" dpkg "${@:2}" >"$T/log" 2>&1
}

# stays HOST WHAT PATTERN...: removing it fails, the reason is told, and it is installed as before
stays() {
	local host=$1 what=$2 pattern
	shift 2
	if package "$host" -r docker-migrate; then not_ok "$what: it stays" "removed"; else ok "$what: it stays"; fi
	for pattern; do has "... because of that" "$pattern" "$T/log"; done
	is "... as it was" installed "$("$HOSTS" in "$host" dpkg-query -f '${db:Status-Status}' -W docker-migrate)"
	expect 0 "... with its programs" "$HOSTS" in "$host" /usr/sbin/dm-restore --version
}

runtime() { # HOST: where the engine has ours
	"$HOSTS" in "$1" docker info -f '{{with index .Runtimes "docker-migrate"}}{{.Path}}{{end}}'
}

# Two builds: of the tree as it is, and elsewhere and without git, from the source archive if that is
# the same.
if [[ ! -e $ROOT/.git || -n $(git -C "$ROOT" status --porcelain 2>&1) ]]; then
	SOURCE_DATE_EPOCH=$(date +%s)
	export SOURCE_DATE_EPOCH
	mkdir "$T/source"
	tar -C "$ROOT" -cf - --exclude=./build --exclude=./.git . | tar -C "$T/source" -xf -
else
	make -s -C "$ROOT" BUILD="$T" dist
	cp "$T"/docker-migrate-*.tar.gz "$T/first.tar.gz"
	make -s -C "$ROOT" BUILD="$T" dist
	check "two source archives have the same bytes" cmp "$T/first.tar.gz" "$T"/docker-migrate-*.tar.gz
	tar -C "$T" -xf "$T/first.tar.gz"
	mv "$T"/docker-migrate-*/ "$T/source"
fi
expect 0 "make deb" make -s -C "$ROOT" BUILD="$T/one" deb
sleep 1
expect 0 "make deb, elsewhere and without git" make -s -C "$T/source" BUILD="$T/source/out" deb
deb=("$T"/one/*.deb)
check "two packages have the same bytes" cmp "${deb[0]}" "$T"/source/out/*.deb
dpkg-deb -c "${deb[0]}" >"$T/content"
is "all in it belongs to root" "" "$(grep -v '^[-dl][-rwx]* root/root ' "$T/content")"
is "it has nothing outside /usr" "" "$(grep -v ' \./usr/\|^d.* \./$' "$T/content")"

for h in a b; do
	check "$h: the programs of the other tests go aside" aside "$h"
	listing "$h" >"$T/$h.before"
	"$HOSTS" put "$h" "${deb[0]}" /tmp/docker-migrate.deb
	if package "$h" -i /tmp/docker-migrate.deb; then ok "$h: it installs"; else not_ok "$h: it installs" "$(<"$T/log")"; fi
	listing "$h" >"$T/$h.installed"
	for p in dm-fsdiff dm-predump dm-ship dm-restore dm-rollback dm-migrate; do
		same "$h: $p is the package's, and runs" "/usr/sbin/$p $p (docker-migrate) $("$BUILD/dm-ship" --version | cut -d ' ' -f 3)" \
			"$("$HOSTS" in "$h" sh -c "command -v $p; $p --version" | tr '\n' ' ' | sed 's/ $//')"
	done
	is "$h: it has told the engine nothing" "" "$(runtime "$h")"
	is "$h: nothing is new but its own files" "" "$(comm -13 "$T/$h.before" "$T/$h.installed" |
		grep -Ev "^(/usr/sbin/dm-|/usr/share/[a-z/0-9-]*/dm-|/usr/share/(man|doc|lintian|bash-completion)/|/var/lib/dpkg/info/docker-migrate\.)")"
done

# A move with nothing but the package; then the target's is needed.
expect 3 "its dm-restore --check names what is missing" b dm-restore --check
says "... the runtime" 'the engine lacks the runtime docker-migrate'
check "dm-restore --install-runtime" b dm-restore --install-runtime
is "the engine has the package's runtime" /usr/sbin/dm-runtime "$(runtime b)"
expect 0 "dm-restore --check is content" b dm-restore --check
a docker run -d --name tree work /usr/local/sbin/tree >/dev/null
moves a b tree
is "it runs there" "running false" "$(state b tree)"
stays b "a container has its runtime" '1 container still has the runtime docker-migrate: tree'
is "... it runs on" "running false" "$(state b tree)"
check "the same package can be installed over it" package b -i /tmp/docker-migrate.deb
b docker stop -t 0 tree >/dev/null
b docker create --name other --runtime docker-migrate work /usr/local/sbin/tree >/dev/null
stays b "two have it that do not run" '2 containers still have the runtime docker-migrate: (tree, other|other, tree)$' \
	'docker ps -aq'
expect 3 "dm-restore --remove-runtime refuses" b dm-restore --remove-runtime
says "... and names them" '2 containers still have'
is "the engine still has the runtime" /usr/sbin/dm-runtime "$(runtime b)"
expect 0 "they can still be started" b docker start other
b docker rm -f tree other >/dev/null

# On the source: a container that is held frozen.
a docker start "$(a docker ps -aqf name=tree)" >/dev/null
a docker rename "$(a docker ps -aqf name=tree)" held
a /usr/share/doc/docker-migrate/examples/save.sh held /srv/saved >"$T/saved" 2>&1
id=$(sed -n 's/.*--thaw --id \([^ ]*\) held$/\1/p' "$T/saved")
is "a container is held frozen" "paused true" "$(state a held)"
stays a "it is held frozen" "migration ${id:-none} holds container $(a docker inspect -f '{{.Id}}' held)" \
	"dm-rollback --settle .*--id ${id:-none} "
is "... it is still frozen" "paused true" "$(state a held)"
a dm-rollback --thaw --id "$id" held >/dev/null 2>&1
is "it runs on" "running false" "$(state a held)"
a rm /srv/saved

# On the target: one that is arriving.
b sh -c 'mkdir -m 700 -p /var/lib/docker-migrate/target/arriving &&
	printf "{\"event\":\"hello\",\"time\":1.5,\"id\":\"arriving\",\"machine\":\"M\",\"boot\":\"%s\",\"nonce\":\"N\"}\n" \
		"$(cat /proc/sys/kernel/random/boot_id)" >/var/lib/docker-migrate/target/arriving/journal'
stays b "one is arriving" 'migration arriving is bringing a container here' 'dm-restore --refuse arriving'
expect 0 "it is refused" b dm-restore --refuse arriving

# Removed, then purged; and purged at once.
check "b: it is removed" package b -r docker-migrate
is "b: the engine has no such runtime" "" "$(runtime b)"
is "b: the programs are gone" "" "$(b sh -c 'command -v dm-restore dm-migrate; ls /usr/sbin/dm-*' 2>/dev/null)"
check "b: the records are not" b test -d /var/lib/docker-migrate/target/arriving
b mkdir /var/lib/docker-migrate/claims
b ln -s some-id /var/lib/docker-migrate/claims/0123
if package b -P docker-migrate; then not_ok "b: no purge while a claim stands"; else ok "b: no purge while a claim stands"; fi
has "... because of that" 'containers that are held frozen' "$T/log"
b rm /var/lib/docker-migrate/claims/0123
check "b: it is purged" package b -P docker-migrate
check "a: it is purged at once" package a -P docker-migrate
empty a
empty b
for h in a b; do
	listing "$h" >"$T/$h.after"
	is "$h: nothing is left, nothing is missing" "" "$(diff "$T/$h.before" "$T/$h.after")"
done

# Other programs of the same name keep what is theirs.
check "a: it is installed again" package a -i /tmp/docker-migrate.deb
a sh -c 'mv /usr/local/aside/dm-restore /usr/local/sbin/ && mkdir -p /var/lib/docker-migrate/source'
check "a: it is purged beside another dm-restore" package a -P docker-migrate
has "... which is told" 'stays, it is used by /usr/local/sbin/dm-restore' "$T/log"
check "... the records stay" a test -d /var/lib/docker-migrate/source
a rm /tmp/docker-migrate.deb
b rm /tmp/docker-migrate.deb
finish
