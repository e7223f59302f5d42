#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An image whose lowest layers the target has: only the others travel, in both directions. What
# comes of a layer that is damaged, and of one that vanishes from the target meanwhile.
# shellcheck disable=SC2016 # for the hosts' shells
. "$(dirname "$0")/lib.sh"

# without_images HOST: those that this test makes
without_images() {
	"$HOSTS" in "$1" sh -c 'docker rm -f make
		docker rmi -f $(docker images --format "{{.Repository}}" "layers-*"); docker image prune -f' >/dev/null 2>&1
}

# layer HOST BASE IMAGE: IMAGE is BASE and a layer of 4 MB on it
layer() {
	"$HOSTS" in "$1" sh -c 'docker run --name make "$1" sh -c "head -c 4000000 /dev/urandom >/$2"
		docker commit make "$2"; docker rm make' - "$2" "$3" >/dev/null 2>&1
}

# built HOST BASE IMAGE STEP...: IMAGE is BASE and what these steps of a Dockerfile make of it
built() {
	local host=$1 base=$2 image=$3
	shift 3
	printf '%s\n' "FROM $base" "$@" | "$HOSTS" in "$host" docker build -q -t "$image" - >/dev/null 2>&1
}

copied() { # FROM TO IMAGE: with the engine's own means
	"$HOSTS" in "$1" docker save "$3" | "$HOSTS" in "$2" docker load >/dev/null
}

id_of() { # HOST IMAGE
	"$HOSTS" in "$1" docker image inspect -f '{{.Id}}' "$2" 2>/dev/null
}

sum() { # HOST IMAGE: of the files that layer() made
	"$HOSTS" in "$1" docker run --rm "$2" sh -c 'cat /layers-* | sha256sum'
}

# sends FROM TO IMAGE PERCENT: a container of IMAGE moves, and at most PERCENT of what "docker save"
# gives travel
sends() {
	local sent all
	empty "$1"
	empty "$2"
	"$HOSTS" in "$1" docker run -d --name it "$3" /usr/local/sbin/tree >/dev/null
	moves "$1" "$2" it --report /tmp/report
	sent=$("$HOSTS" in "$1" cat /tmp/report | jq .bytes.image)
	all=$("$HOSTS" in "$1" docker save "$3" | wc -c)
	echo "# image $3 from $1 to $2: $sent bytes sent, $all by docker save: $((sent * 100 / all)) %"
	check "... of its image at most $4 % travel" [ "$((sent * 100 / all))" -le "$4" ]
	same "... it is the same image" "$(id_of "$1" "$3")" "$("$HOSTS" in "$2" docker inspect -f '{{.Image}}' it)"
	empty "$2"
}

# loads FROM TO IMAGE: what dm-restore relies on. TO has the lower two of three layers; its engine
# checks the third, in archives of both kinds that lack the two.
loads() {
	local new=$T/new old=$T/old layers id
	rm -rf "$new" "$old"
	mkdir -p "$new" "$old/v3"
	id=$(id_of "$1" "$3")
	"$HOSTS" in "$1" docker save "$id" | tar -C "$new" -x
	mapfile -t layers < <(jq -r '.[0].Layers[]' "$new/manifest.json")
	rm "$new/${layers[0]}" "$new/${layers[1]}"
	cp "$new/${layers[2]}" "$old/v3/layer.tar"
	cp "$new/$(jq -r '.[0].Config' "$new/manifest.json")" "$old/config.json"
	echo '[{"Config":"config.json","Layers":["v1/layer.tar","v2/layer.tar","v3/layer.tar"]}]' >"$old/manifest.json"
	for kind in new old; do
		tar -C "$T/$kind" -c . | "$HOSTS" in "$2" docker load >"$T/out" 2>&1
		same "$2 loads the $kind kind without layers that it has" "$id" "$(id_of "$2" "$id")"
		"$HOSTS" in "$2" docker rmi "$id" >/dev/null
		[[ $kind == new ]] && layer=$new/${layers[2]} || layer=$old/v3/layer.tar
		echo forged >>"$layer"
		tar -C "$T/$kind" -c . | "$HOSTS" in "$2" docker load >"$T/out" 2>&1
		has "... not with another layer in place of the third" 'invalid diffID for layer 2' "$T/out"
		is "... which is not there then" "" "$(id_of "$2" "$id")"
	done
}

without_images a
without_images b
for way in "a b" "b a"; do
	from=${way% *} to=${way#* }
	layer "$from" work "layers-half"
	copied "$from" "$to" layers-half
	layer "$from" layers-half layers-whole
	loads "$from" "$to" layers-whole
	"$HOSTS" in "$from" docker run -d --name it layers-whole /usr/local/sbin/tree >/dev/null
	expect 0 "--dry-run" "$HOSTS" in "$from" dm-migrate --dry-run --json it "root@$to"
	check "... counts the layers that the target lacks" [ "$(jq .would_send.image "$T/out")" = 4000000 ]
	sends "$from" "$to" layers-whole 60
	has "... the layers are told" 'image layers-whole:latest: 3.8 MiB .*, without 2 of its 3 layers' "$T/log"
	same "... with the same files in it" "$(sum "$from" layers-whole)" "$(sum "$to" layers-whole)"

	# A layer of "again" comes once more at the top; and an image whose layers are all there.
	twice='RUN echo twice >/twice && touch -d "1970-01-01 00:00:00" /twice'
	built "$from" layers-half layers-again "$twice" 'RUN rm /twice'
	copied "$from" "$to" layers-again
	built "$from" layers-again layers-top 'RUN head -c 4000000 /dev/urandom >/layers-top' "$twice"
	sends "$from" "$to" layers-top 60
	has "... the layers are told" ', without 3 of its 6 layers' "$T/log"
	same "... with the same files in it" "$(sum "$from" layers-top)" "$(sum "$to" layers-top)"
	built "$from" layers-top layers-label 'LABEL b=1'
	sends "$from" "$to" layers-label 1
	has "... the layers are told" ', without 6 of its 6 layers' "$T/log"

	# A name that is taken keeps its meaning.
	layer "$from" layers-half layers-name
	"$HOSTS" in "$to" docker tag work layers-name
	sends "$from" "$to" layers-name 60
	same "... a name that is taken keeps its meaning" "$(id_of "$to" work)" "$(id_of "$to" layers-name)"
	without_images a
	without_images b
done

# The end of the layer's archive is zeros, which the engine of a keeps: another byte there spoils the
# digest, but no file.
layer a work layers-half
copied a b layers-half
layer a layers-half layers-bad
damage() {
	cd /var/lib/docker/image/overlay2/layerdb/sha256 || return
	for d in *; do
		if [ "$(cat "$d/diff")" = "$1" ]; then
			zcat "$d/tar-split.json.gz" | sed '$s/AAAAAAAA\(=*"\)/ABAAAAAA\1/' | gzip >/tmp/new
			cat /tmp/new >"$d/tar-split.json.gz"
		fi
	done
}
bad=$(a docker image inspect -f '{{json .RootFS.Layers}}' layers-bad | jq -r '.[-1]')
a bash -c "$(declare -f damage); damage $bad"
a docker run -d --name bad layers-bad /usr/local/sbin/tree >/dev/null
expect 5 "a layer that is damaged fails the move" migrate a b bad
has "... is told" "engine: GET /images/.*/get: 500: could not verify layer data for: $bad" "$T/log"
is "... the container runs on" "running false" "$(state a bad)"
is "... the image is not on the target" "" "$(id_of b layers-bad)"
empty a

# An image of the target vanishes after it has told what it has.
layer a layers-half layers-more
a sh -c 'printf "%s\n" "#!/bin/sh" "case \$* in *dm-ship*) ssh -n b docker rmi -f layers-half >&2 ;; esac" \
	"exec ssh \"\$@\"" >/tmp/vanish && chmod +x /tmp/vanish'
a docker run -d --name more layers-more /usr/local/sbin/tree >/dev/null
expect 5 "a layer that vanishes fails the move" migrate a b more --ssh /tmp/vanish
has "... is told" 'load image, without 2 layers that were here when the move began: ' "$T/log"
is "... the container runs on" "running false" "$(state a more)"
is "... the image is not on the target" "" "$(id_of b layers-more)"
moves a b more
has "... and the next move brings it" 'image layers-more:latest: 7.6 MiB .*, without 1 of its 3 layers' "$T/log"
empty b
empty a
without_images a
without_images b
clean a
clean b
finish
