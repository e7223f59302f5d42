#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The command lines of dm-fsdiff, dm-predump, dm-restore and dm-rollback, each alone and without an
# engine: what is wrong is told in the right words, with the right exit code, and nothing is touched.
# shellcheck disable=SC2317 # functions are called through "expect"
# shellcheck source=tests/cli/lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"

export DOCKER_HOST=unix://$T/no-engine DM_STATE=$T/state DM_RUN=$T/run
full_disk() { "$@" >/dev/full; }
no_stdout() { "$@" >&-; }
no_stdin() { "$@" <&-; }

declare -A options=(
	[fsdiff]="--id --delta --last --check --have --estimate --json --tcp --binds --bind --paths --save"
	[predump]="--id --final --rule --budget --max-rounds --min-pages --max-growth --tcp --work"
	[restore]="--check --have --paths --stage --limit --log-limit --saved --keep-images --status --refuse --install-runtime --remove-runtime"
	[rollback]="--id --ask --patience --settle --thaw --release --report --figures --json"
)
# A command line that would do something, if there were an engine.
declare -A good=(
	[fsdiff]="--id m-1 it"
	[predump]="--id m-1 it"
	[restore]="--stage $T/stage"
	[rollback]="--id m-1 it"
)
declare -A wrong=(
	[fsdiff]="|it|--id m-1|--id m-1 one two|--id m-1 --last it|--id m-1 --have f it|--id|
		--id m-1 --tcp x it|--id m-1 --tcp= it|--id m-1 --check --delta it|--id m-1 --json it|--id m-1 --binds all it|--id m-1 --bind /x it|--id m-1 --bind x=copy it|--id m-1 --delta --estimate it|--delta=1 --id m-1 it"
	[predump]="|it|--id m-1|--id m-1 one two|--id m-1 --rule x it|--id m-1 --rule= it|
		--id m-1 --budget 0 it|--id m-1 --budget 3600001 it|--id m-1 --budget 1s it|
		--id m-1 --budget -1 it|--id m-1 --max-rounds 0 it|--id m-1 --max-rounds 61 it|
		--id m-1 --min-pages x it|--id m-1 --min-pages 99999999999 it|
		--id m-1 --max-growth 1e3 it|--id m-1 --max-growth 100001 it|--id m-1 --tcp open it"
	[restore]="operand|--have|--paths x|--check --paths x|--status|--refuse|--stage|--check --install-runtime|--install-runtime --remove-runtime|
		--status a --refuse b|--check --status a|--limit 0|--limit 86401|--limit x|
		--log-limit x|--log-limit 1.5M|--log-limit=|--install-runtime --refuse x|--remove-runtime --check"
	[rollback]="|it|--id m-1|--id m-1 one two|--id m-1 --settle --thaw it|
		--id m-1 --thaw --release it|--id m-1 --settle --release it|--id m-1 --patience x it|
		--id m-1 --patience -1 it|--id m-1 --patience 1000001 it|--ask"
)

for name in fsdiff predump restore rollback; do
	tool=$BUILD/dm-$name
	for help in --help -h; do
		expect 0 "$name $help" "$tool" $help
		check "$name $help says nothing on stderr" [ ! -s "$T/err" ]
		check "$name $help tells the usage" grep -q "^usage: dm-$name " "$T/out"
	done
	for option in ${options[$name]} --help --version; do
		check "$name --help names $option" grep -Eq -- "^ +(-[a-z], )?$option( |\$)" "$T/out"
	done
	n=$(grep -Ec '^ +(-[a-z], )?--' "$T/out")
	check "$name --help names no others" [ "$n" = $(($(wc -w <<<"${options[$name]}") + 2)) ]
	expect 0 "$name --version" "$tool" --version
	check "$name --version is one line" grep -Eq "^dm-$name \(docker-migrate\) [0-9.]+$" "$T/out"
	expect 1 "$name --help, full disk" full_disk "$tool" --help
	says "$name --help, full disk: it is told" "^dm-$name: write standard output: "
	expect 1 "$name --help, closed stdout" no_stdout "$tool" --help
	says "$name --help, closed stdout: it is told" "^dm-$name: write standard output: "

	for bad in --unknown -x --idd=x; do
		expect 2 "$name $bad" "$tool" $bad
		says "$name $bad: it is named" "^dm-$name: unknown option $bad"
		says "$name $bad: --help is named" "^dm-$name: try: dm-$name --help$"
	done
	IFS='|' read -r -d '' -a lines <<<"${wrong[$name]}"
	for line in "${lines[@]}"; do
		[[ $name == restore && -z ${line//[$'\n\t ']/} ]] && continue
		read -r -d '' line <<<"$line" # without the blanks around it
		# shellcheck disable=SC2086 # to be split
		expect 2 "$name ${line:-without anything}" "$tool" $line </dev/null
		check "... and nothing on stdout" [ ! -s "$T/out" ]
	done
	check "$name made nothing" [ ! -e "$DM_STATE" -a ! -e "$DM_RUN" -a ! -e "$T/stage" ]

	# shellcheck disable=SC2086 # to be split
	expect 3 "$name without an engine" "$tool" ${good[$name]} </dev/null
	one_line "$name without an engine: one line"
	says "$name without an engine: the socket is named" \
		"^dm-$name: Docker does not answer on $T/no-engine: "
	check "$name without an engine: nothing on stdout" [ ! -s "$T/out" ]
	# shellcheck disable=SC2086 # to be split
	DOCKER_HOST=tcp://127.0.0.1:1 expect 3 "$name with an engine over TCP" "$tool" ${good[$name]} </dev/null
	says "$name with an engine over TCP: refused" "only unix:// sockets are supported"
	# shellcheck disable=SC2086 # to be split
	expect 3 "$name with closed stdin" no_stdin "$tool" ${good[$name]}
	# shellcheck disable=SC2086 # to be split
	expect 3 "$name with closed stdout" no_stdout "$tool" ${good[$name]} </dev/null
	check "$name without an engine made nothing" [ ! -e "$DM_STATE" -a ! -e "$DM_RUN" -a ! -e "$T/stage" ]
done

for name in fsdiff predump rollback; do
	for id in '' . .. ../x /x a/b 'a b' -x .x "$(printf 'x%.0s' {1..65})" $'a\nb' 'ü'; do
		expect 2 "$name --id='${id//$'\n'/?}'" "$BUILD/dm-$name" --id="$id" it </dev/null
		says "... is named as what is wrong" "^dm-$name: --id: "
	done
done
for task in status refuse; do
	for id in '' . ../x /etc a/b "$(printf 'x%.0s' {1..65})"; do
		[[ -n $id ]] || continue
		expect 2 "restore --$task=$id" "$BUILD/dm-restore" --$task="$id"
	done
	expect 3 "restore --$task of an unknown migration" "$BUILD/dm-restore" --$task m-1
	says "... says so" "no migration m-1 is known on this host as target"
	one_line "... in one line"
done
check "no record is made by asking" [ ! -e "$DM_STATE" ]

# State folders that cannot be used.
: >"$T/file"
DM_STATE=$T/file expect 1 "a file as the state folder" "$BUILD/dm-restore" --status m-1
one_line "... is told in one line"
mkdir -p "$T/open/target/m-1"
chmod -R 755 "$T/open"
DM_STATE=$T/open expect 3 "a record that others can read" "$BUILD/dm-restore" --status m-1
says "... is refused" "$T/open/target/m-1: must be mode 0700"
chmod 700 "$T/open/target/m-1"
DM_STATE=$T/open expect 0 "a record that they cannot" "$BUILD/dm-restore" --status m-1
ln -s m-1 "$T/open/target/link"
DM_STATE=$T/open expect 1 "a link in a record's place" "$BUILD/dm-restore" --status link
finish
