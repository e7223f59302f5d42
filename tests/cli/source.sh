#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# dm-fsdiff and dm-predump with a stand-in for the engine and a real process, in a cgroup and a
# network namespace of its own: the stages in their order and out of it, the rounds, what cannot be
# moved, and a final stage that fails after the freeze and lets it run on.
# shellcheck disable=SC2317 # functions are called through "expect"
# shellcheck source=tests/cli/lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"

id=$(printf 'cd%.0s' {1..32})
ct=/containers/$id
ship=$BUILD/dm-ship

fsdiff() { timeout 60 "$BUILD/dm-fsdiff" --id "$@"; }
predump() { timeout 60 "$BUILD/dm-predump" --id "$@"; }
full_disk() { "$@" >/dev/full; }
no_stdout() { "$@" >&-; }

cgroup=/sys/fs/cgroup/freezer
[[ -d $cgroup ]] || cgroup=/sys/fs/cgroup
cgroup=$cgroup/dm-test-$$
end() {
	local code=$? pid
	while read -r pid; do
		kill -KILL "$pid"
	done <"$cgroup/cgroup.procs"
	[[ ! -e $cgroup/freezer.state ]] || echo THAWED >"$cgroup/freezer.state"
	for _ in {1..50}; do
		rmdir "$cgroup" 2>/dev/null && break
		sleep 0.05
	done
	(exit "$code")
	cleanup
}
if ! mkdir "$cgroup" 2>/dev/null || ! command -v nft >/dev/null || ! command -v curl >/dev/null || ! unshare -n true 2>/dev/null; then
	rmdir "$cgroup" 2>/dev/null
	skip "the stages on the source" "it takes root, cgroups, nft and curl"
	finish
fi
trap end EXIT

unshare -n sleep 1000 &
pid=$!
disown "$pid"
echo "$pid" >"$cgroup/cgroup.procs"
until [[ $(readlink "/proc/$pid/ns/net") != "$(readlink /proc/self/ns/net)" && $(<"/proc/$pid/comm") == sleep ]]; do
	sleep 0.02
done

# The programs that are asked for; they are never used.
mkdir "$T/bin"
for name in criu runc; do
	printf '#!/bin/sh\necho "%s, not really"\n' $name >"$T/bin/$name"
	chmod +x "$T/bin/$name"
done
PATH=$T/bin:$PATH

mkdir -p "$T/upper/dir" "$T/vol"
echo "of the layer" >"$T/upper/file"
echo "of the volume" >"$T/vol/data"
cat >"$T/inspect" <<END
{"Id": "$id", "Name": "/victim", "Image": "sha256:$(printf '1%.0s' {1..64})",
 "State": {"Running": true, "Paused": false, "Pid": $pid},
 "Config": {"Image": "tiny:1"},
 "HostConfig": {"RestartPolicy": {"Name": "always"}, "Runtime": "runc", "NetworkMode": "none"},
 "GraphDriver": {"Name": "overlay2", "Data": {"UpperDir": "$T/upper"}},
 "Mounts": [{"Type": "volume", "Name": "vol", "Source": "$T/vol", "Destination": "/data",
   "Driver": "local", "RW": true}],
 "NetworkSettings": {"Networks": {"none": {}}}, "TestCgroup": "$cgroup"}
END

# fresh: a new engine, and no records
fresh() {
	engine_start "the stages on the source" "$T/inspect"
	rm -rf "$T"/[0-9]
}
record() { echo "$DM_STATE/source/${1:-m-1}"; }

# The stages in their order.
fresh
expect 0 "--check" fsdiff m-1 --check victim
check "... sends nothing" [ ! -s "$T/out" ]
expect 0 "the setup" fsdiff m-1 victim
mv "$T/out" "$T/0"
says "... the layer is told" '^dm-fsdiff: layer: '
says "... the volume is told" '^dm-fsdiff: volume vol: '
expect 0 "the rounds" predump m-1 --rule seed --min-pages 0 --max-growth 100000 --max-rounds 3 victim
mv "$T/out" "$T/1"
check "... three of them" [ "$(grep -c '^dm-predump: round [1-3]: [1-9][0-9]* pages, ' "$T/err")" = 3 ]
says "... and no more" '^dm-predump: round 3: .*; the last round allowed$'
says "... a prediction" '^dm-predump: predicted blackout: [0-9.]+ s$'
expect 0 "rounds again" predump m-1 --rule seed victim
mv "$T/out" "$T/2"
says "... take up where they stopped: few pages are left at once" '^dm-predump: round 1: .*; few pages are left$'
echo "changed since" >>"$T/upper/file"
expect 0 "the delta" fsdiff m-1 --delta victim
mv "$T/out" "$T/3"
cat "$T"/[0-3] >"$T/all"
expect 4 "they make a stream, without its end" "$ship" --list <"$T/all"
says "... which is all that it lacks" 'it ends before its last segment'
for line in 'segment 0 setup id m-1 ' '  container /victim ' '  image \{"id":"sha256:1+","name":"tiny:1"\}' \
	'  end of image: 22 bytes' '  tree \{"tree":"layer","delta":false\}' \
	'  tree \{"tree":"volume","delta":false,"volume":"vol"\}' 'segment 1 rounds id m-1 ' '  round 3' \
	'segment 2 rounds id m-1 ' 'segment 3 delta id m-1 ' '  tree \{"tree":"layer","delta":true\}'; do
	check "... it holds: ${line#  }" grep -Eq "^$line" "$T/out"
done
check "the engine changed nothing" [ "$(asked '^(POST|DELETE)')" = 0 ]
check "nobody was stopped" [ "$(awk '/^State/ { print $2 }' "/proc/$pid/status")" = S ]

# The last stage wants it frozen.
expect 3 "--last of what runs" fsdiff m-1 --delta --last victim
says "... is told" 'container victim is not frozen: dm-predump --final comes before --last'
check "... nothing is decided" [ ! -e "$(record)/decision" ]
cat "$T/all" "$T/out" >"$T/more"
expect 4 "... and the stream says so" "$ship" --list <"$T/more"
says "... in its own words" 'the sender gave up: container victim is not frozen'
expect 3 "what comes after a stage that failed" predump m-1 --final --work "$T/work" victim
says "... is told" 'the stage before this one \(delta\) did not succeed'
check "... and changes nothing" [ "$(asked '^(POST|DELETE)')" = 0 ]

# Out of their order.
expect 3 "the setup again" fsdiff m-1 victim
says "... is told" 'migration m-1 has begun before; take another id'
for stage in "fsdiff m-2 --delta" "fsdiff m-2 --delta --last" "predump m-2" "predump m-2 --final"; do
	# shellcheck disable=SC2086 # to be split
	expect 3 "$stage before the setup" $stage victim
	says "... is told" 'no migration m-2 is known on this host as source'
	check "... nothing is sent" [ ! -s "$T/out" ]
done
expect 3 "of an unknown container" fsdiff m-2 nobody
says "... is told" 'container nobody: there is none of that name'

# Output that fails.
expect 1 "the setup, full disk" full_disk fsdiff m-3 victim
says "... is told" 'write stream: No space left on device'
expect 3 "what comes after it" predump m-3 victim
says "... is told" 'the stage before this one \(setup\) did not succeed'
expect 1 "the setup, closed stdout" no_stdout fsdiff m-4 victim
says "... is told" 'write stream: Bad file descriptor'
check "... and nothing else was written to" sh -c \
	"! grep -aq dmstream '$(record m-4)'/* && grep -c event '$(record m-4)/journal' | grep -qx 3"
expect 2 "the setup, to a terminal" script -qec "'$BUILD/dm-fsdiff' --id m-5 victim </dev/null" /dev/null
expect 0 "... has not used up the id" fsdiff m-5 victim
expect 2 "rounds, to a terminal" script -qec "'$BUILD/dm-predump' --id m-5 victim </dev/null" /dev/null
expect 0 "... have not used up their turn" predump m-5 victim
fsdiff m-6 victim >/dev/null 2>&1
"$BUILD/dm-predump" --id m-6 --rule seed --min-pages 0 --max-growth 100000 --max-rounds 60 victim 2>"$T/err" | true
check "a reader that goes away is told" grep -q 'write stream: Broken pipe' "$T/err"

# The image by layers: the target has an image that shares the lowest two of four. The third one is
# the first one again, so its file is needed.
digest() { printf "$1%.0s" {1..64}; }
one=$(digest a) two=$(digest b) four=$(digest c) other=$(digest d)
new=$T/new old=$T/old
mkdir -p "$new/blobs/sha256" "$old/v1" "$old/v2" "$old/v3" "$old/v4"
for layer in "$one 1" "$two 2" "$four 4"; do
	head -c 3000 /dev/zero | tr '\0' "${layer#* }" | tee "$new/blobs/sha256/${layer% *}" >"$old/v${layer#* }/layer.tar"
done
ln -s ../v1/layer.tar "$old/v3/layer.tar"
echo '[{"Layers":["v1/layer.tar","v2/layer.tar","v3/layer.tar","v4/layer.tar"]}]' >"$old/manifest.json"
echo '[{"Layers":["these are not looked at"]}]' >"$new/manifest.json"
tar -C "$new" -cf "$T/new.tar" blobs manifest.json
tar -C "$old" -cf "$T/old.tar" v1 v2 v3 v4 manifest.json
tar -C "$old" -cf "$T/odd.tar" v1 v2 v3 v4
mkdir -m 700 "$T/stage"

# by_layers VERSION ARCHIVE: the setup of a container with that image, after the target has told
# what it has; the archive that is sent is left in $T/sent
by_layers() {
	rm -f "$T/sent"
	engine_start "the image by layers"
	echo "sha256:$other other:1" >"$E/images"
	echo "sha256:$other sha256:$one sha256:$two sha256:$other" >"$E/rootfs"
	"$BUILD/dm-restore" --check --have --stage "$T/stage" 2>/dev/null | sed 's/stand-in/another/;s/"obstacles":\[[^]]*\]/"obstacles":[]/' >"$T/have"
	fresh
	echo "$1" >"$E/version"
	cp "$T/$2.tar" "$E/archive"
	echo "sha256:$(digest 1) sha256:$one sha256:$two sha256:$one sha256:$four" >"$E/rootfs"
	expect 0 "... what the target has is compared" fsdiff m-1 --check --have "$T/have" victim
	expect 0 "$2 archive of engine $1" fsdiff m-1 victim
	cp "$T/out" "$T/stream"
	cp "$T/err" "$T/said"
	expect 4 "... its stream" "$ship" --list <"$T/stream"
	python3 - "$T/stream" >"$T/sent" <<-'END'
		import struct, sys
		stream = open(sys.argv[1], "rb").read()
		at = 120
		while at < len(stream):
		    kind, _, size, _ = struct.unpack_from("<HHIQ", stream, at)
		    if kind == 5:
		        sys.stdout.buffer.write(stream[at + 16:at + 16 + size])
		    at += 16 + size
	END
}
# sent FILE...: the archive that was sent holds these
sent() {
	check "... it holds what it should" [ "$(tar -tf "$T/sent" | grep -v '/$' | tr '\n' ' ')" = "$* " ]
}

by_layers 25.0.0 new
check "the layers are told as a tree" grep -q "\"layers\":{\"sha256:$one\":{\"sha256:$two\":{\"sha256:$other\":{}}}}" "$T/have"
check "... the stream tells which are left out" \
	grep -Eq "^  image \{.*\"left_out\":\[\"sha256:$two\"\]\}" "$T/out"
sent "blobs/sha256/$one" "blobs/sha256/$four" manifest.json
check "... the engine was asked for it once" [ "$(asked '^GET /images/.*/get$')" = 1 ]
by_layers 24.0.9+more old
sent v1/layer.tar v3/layer.tar v4/layer.tar manifest.json
check "... a link leads to its layer" [ "$(tar -xOf "$T/sent" v1/layer.tar | head -c 3)" = 111 ]
check "... the engine was asked for it twice" [ "$(asked '^GET /images/.*/get$')" = 2 ]
by_layers 24.0.9 odd
check "... it is sent whole" cmp "$T/sent" "$T/odd.tar"
check "... which is told" grep -q 'it is sent whole, since' "$T/said"
check "... the stream does not tell of layers" [ "$(grep -c left_out "$T/out")" = 0 ]
by_layers 26.1.5 old
check "... it is sent whole" cmp "$T/sent" "$T/old.tar"
check "... which is told" grep -q 'all of its layers, since' "$T/said"

# What an estimate takes off for the two layers: steps of size 0 may be layers.
estimate() { # HISTORY BYTES
	fresh
	echo "sha256:$(digest 1) sha256:$one sha256:$two sha256:$one sha256:$four" >"$E/rootfs"
	echo "$1" >"$E/history"
	expect 0 "an estimate, steps of $1" fsdiff m-2 --check --estimate --json --have "$T/have" victim
	check "... of the image" grep -q "\"image\":$2," "$T/out"
}
estimate "100 200 300 400" 700
estimate "0 100 200 0 300 400" 700
estimate "100 0 300 400" 900
estimate "0 100 0 0 400" 1000
estimate "" 1000
estimate "900 900 900 900" 0

# Nobody is frozen while the target has not been heard of.
fresh
mkdir -m 700 "$T/work"
fsdiff m-1 victim >"$T/0" 2>/dev/null
predump m-1 --final --work "$T/work" victim >"$T/out" 2>"$T/err" &
stage=$!
mine+=("$stage")
sleep 1
check "a final stage waits for the target" kill -0 "$stage"
check "... and freezes nobody meanwhile" [ "$(asked '/pause$')" = 0 ]
echo thaw >"$(record m-1)/decision" # it is given up
code=0
wait "$stage" || code=$?
check "... it ends when the move is given up" [ "$code" = 1 ]
says "... and tells that" 'the move was given up meanwhile'
check "... nobody was frozen" [ "$(asked '/pause$')" = 0 ]

# target_of ID: the target of migration ID has said hello
target_of() { echo '{"event":"target","time":1.5,"id":"'"$1"'","machine":"M","nonce":"N"}' >>"$(record "$1")/journal"; }

# A final stage that fails when the container is frozen: there is no runc that knows it.
fresh
rm -rf "$T/work" && mkdir -m 700 "$T/work"
fsdiff m-1 victim >"$T/0" 2>/dev/null
target_of m-1
expect 3 "a final stage that fails" predump m-1 --final --work "$T/work" victim
says "... is told" "container victim: runc's state of it was not found"
cat "$T/0" "$T/out" >"$T/more"
expect 4 "... the stream says so" "$ship" --list <"$T/more"
says "... in its own words" "the sender gave up: container victim: runc's state of it was not found"
want="POST $ct/update {\"RestartPolicy\":{\"Name\":\"no\"}}|POST $ct/pause|POST $ct/unpause|"
want+="POST $ct/update {\"RestartPolicy\":{\"Name\":\"always\"}}|"
check "... it was frozen, and runs on with its restart policy" \
	[ "$(grep -v ^GET "$E/log" | tr '\n' '|')" = "$want" ]
check "... the journal has it all" [ "$(sed -n 's/.*"event":"\([a-z]*\)".*/\1/p' "$(record)/journal" | tail -n 4 |
	tr '\n' ' ')" = "freezing frozen thawing thawed " ]
check "... it runs" [ "$(awk '/^State/ { print $2 }' "/proc/$pid/status")" = S ]
check "... its link is open" [ -z "$(nsenter -n -t "$pid" nft list tables)" ]
check "... decided: thaw" grep -qx thaw "$(record)/decision"
check "... nobody holds it" [ -z "$(ls "$DM_STATE/claims")" ]
for _ in {1..50}; do
	[[ -z $(ls "$T/work") ]] && break
	sleep 0.1
done
check "... the dump is removed" [ -z "$(ls "$T/work")" ]
for stage in "fsdiff m-1 --delta" "fsdiff m-1 --delta --last" "predump m-1" "predump m-1 --final"; do
	# shellcheck disable=SC2086 # to be split
	expect 3 "$stage after that" $stage victim
	says "... is told" 'migration m-1 is over: it was decided "thaw"'
done
expect 0 "another migration may try" fsdiff m-2 victim

# While it is frozen: the link is cut, and who asks for a thaw gets one.
fresh
fsdiff m-1 victim >/dev/null 2>&1
target_of m-1
echo "POST /unpause\$ 500 not now" >"$E/fail"
expect 3 "a final stage that cannot be undone" predump m-1 --final --work "$T/work" victim
says "... is told" 'container victim may still be frozen: thaw: .*not now'
check "... it is frozen" [ "$(cat "$cgroup/freezer.state" 2>/dev/null || grep -o 'frozen 1' "$cgroup/cgroup.events")" != THAWED ]
check "... this migration holds it" [ "$(readlink "$DM_STATE/claims/$id")" = m-1 ]
rm "$E/fail"
expect 5 "dm-rollback thaws it" timeout 60 "$BUILD/dm-rollback" --id m-1 --settle victim
check "... it runs" [ "$(awk '/^State/ { print $2 }' "/proc/$pid/status")" = S ]
check "... its link is open" [ -z "$(nsenter -n -t "$pid" nft list tables)" ]
check "... nobody holds it" [ -z "$(ls "$DM_STATE/claims")" ]
echo "POST /pause\$ 500 not now" >"$E/fail"
fsdiff m-2 victim >/dev/null 2>&1
target_of m-2
expect 1 "a container that cannot be paused" predump m-2 --final --work "$T/work" victim
says "... is told" 'freeze: engine: POST .*/pause: 500: not now'
check "... its link is open" [ -z "$(nsenter -n -t "$pid" nft list tables)" ]
check "... it has its restart policy" [ "$(grep -v ^GET "$E/log" | tail -n 1)" = \
	"POST $ct/update {\"RestartPolicy\":{\"Name\":\"always\"}}" ]
rm "$E/fail"

# A process that docker exec started would be lost.
sleep 1000 &
other=$!
echo "$other" >"$cgroup/cgroup.procs"
expect 3 "--check with a process of docker exec" fsdiff m-3 --check victim
says "... is told" "victim: process $other was started by docker exec and would be lost"
kill -KILL "$other"
wait "$other" 2>/dev/null
expect 0 "--check without it" fsdiff m-3 --check victim

# by_hand [DECISION]: frozen as a final stage leaves it, and nobody there any more
by_hand() {
	fresh
	mkdir -p "$(record)" "$DM_STATE/claims" && chmod 700 "$(record)" "$DM_STATE/claims"
	ln -s m-1 "$DM_STATE/claims/$id"
	cat >"$(record)/journal" <<-END
		{"event":"begin","time":1.5,"seed":"0000000000000007","container":"$id","name":"victim"}
		{"event":"freezing","time":2.5,"restart":{"Name":"always"}}
		{"event":"frozen","time":3.5,"since":3.25}
	END
	[[ -z ${1:-} ]] || echo "$1" >"$(record)/decision"
	curl -s --unix-socket "$T/sock" -X POST "http://engine/v1.45$ct/pause"
	nsenter -n -t "$pid" nft 'add table inet docker_migrate; add table arp docker_migrate'
	: >"$E/log"
}
target='"id":"m-1","machine":"M","boot":"B","nonce":"N"'
answer() { # STATE
	printf '{"receipt":"%s",%s}\n' hello "$target" "result\",\"state\":\"$1" "$target" >"$T/in"
}
rollback() { timeout 60 "$BUILD/dm-rollback" --id m-1 "$@" victim <"$T/in"; }
thawed() {
	check "... it is unpaused, then gets its restart policy back" [ "$(grep -v ^GET "$E/log" | tr '\n' '|')" = \
		"POST $ct/unpause|POST $ct/update {\"RestartPolicy\":{\"Name\":\"always\"}}|" ]
	check "... its link was open by then" sh -c "! grep -q docker_migrate '$E/at-unpause'"
	check "... it runs" [ "$(awk '/^State/ { print $2 }' "/proc/$pid/status")" = S ]
	check "... nobody holds it" [ -z "$(ls "$DM_STATE/claims")" ]
}
still_frozen() {
	check "... it is not touched" [ -z "$(grep -v ^GET "$E/log")" ]
	check "... its link is cut" [ -n "$(nsenter -n -t "$pid" nft list tables)" ]
	check "... this migration holds it" [ "$(readlink "$DM_STATE/claims/$id")" = m-1 ]
}

# dm-rollback, with what the target says, or does not.
for word in failed refused; do
	by_hand last
	answer "$word"
	expect 5 "the target says $word" rollback
	says "... is told" 'container victim runs on here: '
	thawed
done
by_hand
: >"$T/in"
expect 5 "it says nothing, before LAST" rollback
says "... is told" 'container victim runs on here: the move did not come to its end'
thawed
by_hand last
expect 6 "it says nothing, after LAST" rollback
still_frozen
by_hand last
answer running
sed -i '2s/"N"/"X"/' "$T/in"
expect 6 "another says running" rollback
still_frozen
by_hand last
expect 5 "--thaw" rollback --thaw
thawed

# A release: what ran is dead before the engine thaws it.
by_hand last
answer running
expect 0 "the target says running" rollback
says "... is told" 'victim is released here; it is stopped, as victim.migrated-cdcdcdcdcdcd$'
check "... it was killed before it was thawed" grep -q '^ShdPnd:.*0000000000000100$' "$E/at-unpause"
check "... and its link was cut" grep -q '^table inet docker_migrate' "$E/at-unpause"
check "... it is dead" [ ! -e "/proc/$pid" ]
check "... it has no restart policy, another name, and is off its networks" \
	[ "$(grep -v ^GET "$E/log" | tr '\n' '|')" = "POST $ct/update {\"RestartPolicy\":{\"Name\":\"no\"}}|POST $ct/unpause|POST $ct/rename?name=victim.migrated-cdcdcdcdcdcd|POST /networks/none/disconnect {\"Container\":\"$id\",\"Force\":true}|" ]
check "... nobody holds it" [ -z "$(ls "$DM_STATE/claims")" ]
finish
