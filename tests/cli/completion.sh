#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Completion in bash: lines are typed into a real one, on a terminal of its own. What it offers is
# what --help names and what the tools accept. With the package bash-completion and without it.
# shellcheck source=tests/cli/lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"

tools="dm-migrate dm-fsdiff dm-predump dm-ship dm-restore dm-rollback"
package=/usr/share/bash-completion/bash_completion
program() { [[ $1 == dm-migrate ]] && echo "$ROOT/bin/$1" || echo "$BUILD/$1"; }

# Programs of these names that know --help, and otherwise write down how they were called.
mkdir -p "$T/bin" "$T/home/.ssh" "$T/state/source/m-old" "$T/state/target/m-there" "$T/files/folder"
: >"$T/files/file"
for tool in $tools; do
	"$(program "$tool")" --help >"$T/$tool.help"
	printf '#!/bin/sh\n[ "$1" != --help ] || exec cat %s\necho "%s $*" >>%s\n' \
		"$T/$tool.help" "$tool" "$T/calls" >"$T/bin/$tool"
done
printf '#!/bin/sh\n[ "$1" = ps ] && printf "web\\nworker\\n"\n' >"$T/bin/docker"
printf 'alpha,10.0.0.1 ssh-ed25519 A\nbeta ssh-ed25519 B\n|1|hashed= ssh-ed25519 C\n' >"$T/home/.ssh/known_hosts"
chmod +x "$T/bin"/*

# typed COMPLETION-FILE... <LINES: type them into a bash that has read these files; what was called
# is then in $T/calls
typed() {
	local file
	: >"$T/calls"
	printf 'bind "set bell-style none"\n' >"$T/rc"
	for file; do echo ". $file" >>"$T/rc"; done
	cat >"$T/lines"
	echo exit >>"$T/lines"
	(cd "$T/files" && env -i HOME="$T/home" PATH="$T/bin:$PATH" TERM=dumb DM_STATE="$T/state" INPUTRC=/dev/null \
		XDG_DATA_DIRS="$T/usr/share" timeout 60 script -qec "bash --rcfile $T/rc -i" /dev/null \
		<"$T/lines" >"$T/screen" 2>&1)
}

# Each case is "LINE|CALL": LINE, with ~ where Tab is pressed (at its end) or * where all choices are
# asked for, makes CALL. cases WHAT COMPLETION-FILE... <CASES
cases() {
	local what=$1 n=0 line
	shift
	cat >"$T/cases"
	sed $'s/|.*//; s/~$/\t/; s/\*$/\e*/' "$T/cases" | typed "$@"
	while IFS= read -r line; do
		n=$((n + 1))
		if [[ "$(sed -n "${n}p" "$T/calls" | sed 's/ $//')" == "${line#*|}" ]]; then
			ok "$what: ${line%|*}"
		else
			not_ok "$what: ${line%|*}" "wanted: ${line#*|}, got: $(sed -n "${n}p" "$T/calls")"
		fi
	done <"$T/cases"
	check "$what: no complaint" eval '! grep -aE "^(bash|sed|grep): " "$T/screen"'
}

plain() {
	cat <<-'E'
		dm-migrate w*|dm-migrate web worker
		dm-migrate web a~|dm-migrate web alpha
		dm-migrate web root@b~|dm-migrate web root@beta
		dm-migrate web alpha w~|dm-migrate web alpha w
		dm-migrate --qui~|dm-migrate --quiet
		dm-migrate --quiet wo~|dm-migrate --quiet worker
		dm-migrate --tcp *|dm-migrate --tcp close refuse
		dm-migrate --tcp=c~|dm-migrate --tcp=close
		dm-migrate --tcp=close --codec=zstd:3 we~|dm-migrate --tcp=close --codec=zstd:3 web
		dm-migrate --ssh "ssh -J a" web be~|dm-migrate --ssh ssh -J a web beta
		dm-migrate --budget w~|dm-migrate --budget w
		dm-migrate --binds=*|dm-migrate --binds=copy refuse require
		dm-migrate --bind /a=copy wo~|dm-migrate --bind /a=copy worker
		dm-migrate --bind=/a=copy wo~|dm-migrate --bind=/a=copy worker
		dm-migrate --nonsense~|dm-migrate --nonsense
		dm-migrate --a/=w~|dm-migrate --a/=w
		dm-fsdiff --have fi~|dm-fsdiff --have file
		dm-fsdiff --id m-1 wo~|dm-fsdiff --id m-1 worker
		dm-predump --rule=*|dm-predump --rule=budget seed
		dm-ship --codec *|dm-ship --codec none zlib zstd
		dm-ship w~|dm-ship w
		dm-ship --codec zstd:3~|dm-ship --codec zstd:3
		dm-restore --stage=fo~|dm-restore --stage=folder/
		dm-restore --refuse m~|dm-restore --refuse m-there
		dm-rollback --id m~|dm-rollback --id m-old
	E
}
cases "by itself" "$ROOT/bin/dm-migrate.bash-completion" < <(plain)

# The options are those of --help, all of them.
for tool in $tools; do echo "$tool --*|"; done | sed $'s/\*|$/\e*/' | typed "$ROOT/bin/dm-migrate.bash-completion"
for tool in $tools; do
	want=$(grep -Eo '^ +(-[a-z], )?--[a-z-]+' "$T/$tool.help" | grep -o -- '--.*' | sort | tr '\n' ' ')
	got=$(grep "^$tool " "$T/calls" | tr ' ' '\n' | sed 1d | sort | tr '\n' ' ')
	if [[ $want == "${got# }" ]]; then ok "$tool: all options"; else not_ok "$tool: all options" "wanted: $want, got: $got"; fi
done

# offered TOOL OPTION: the words for its argument
offered() {
	# shellcheck source=bin/dm-migrate.bash-completion
	bash -c '. "$1" && _dm_choices "$2" "$(_dm_argument "$3" <"$4")" ""' - \
		"$ROOT/bin/dm-migrate.bash-completion" "$1" "$2" "$T/$1.help"
}

# The tools take each word that is offered (3: there is no engine), no word is missing, and dm-migrate,
# which hands these options on, offers the same.
export DOCKER_HOST=unix://$T/no-engine
while read -r want tool option words rest; do
	check "$tool $option: $words" [ "$(offered "$tool" "$option" | sort | paste -sd ,)" = "$words" ]
	check "dm-migrate $option: the same" [ "$(offered "$tool" "$option")" = "$(offered dm-migrate "$option")" ]
	for word in ${words//,/ }; do
		# shellcheck disable=SC2086 # to be split
		expect "$want" "$tool takes $option $word" "$BUILD/$tool" "$option" "$word" $rest </dev/null
	done
done <<-'E'
	3 dm-fsdiff --tcp close,refuse --id m-1 it
	3 dm-fsdiff --binds copy,refuse,require --id m-1 it
	3 dm-predump --tcp close,refuse --id m-1 --final it
	3 dm-predump --rule budget,seed --id m-1 it
	0 dm-ship --codec none,zlib,zstd
E

# A new kind of argument has to be looked at; what --help calls a default is one of several words.
while read -r kind; do
	case $kind in
	MOUNT | MS | N | PERCENT | SECONDS | SIZE) ok "$kind is the user's own" ;;
	*) check "$kind: the completion knows what that is" grep -Eq "^	(.*\| )?$kind\b.*\) " "$ROOT/bin/dm-migrate.bash-completion" ;;
	esac
done < <(grep -hEo '^ +(-[a-z], )?--[a-z-]+ [A-Z]+ ' "$T"/*.help | grep -Eo '[A-Z]+ $' | sort -u)
for tool in $tools; do
	while read -r option; do
		check "$tool $option: a choice" [ "$(offered "$tool" "$option" | wc -l)" -gt 1 ]
	done < <(grep -E ' \(default\)( or|,)' "$T/$tool.help" | grep -Eo -- '--[a-z-]+')
done

# Installed, the package loads it when a tool's name is typed.
expect 0 "make install" make -s -C "$ROOT" -o all BUILD="$BUILD" DESTDIR="$T" PREFIX=/usr install
for tool in $tools; do
	check "$tool has its file" cmp -s "$ROOT/bin/dm-migrate.bash-completion" "$T/usr/share/bash-completion/completions/$tool"
done
if [[ -r $package ]]; then
	cases "with bash-completion" "$package" < <(plain)
else
	skip "with bash-completion" "it is not installed"
fi
expect 0 "make uninstall" make -s -C "$ROOT" DESTDIR="$T" PREFIX=/usr uninstall
check "... leaves no file" [ -z "$(find "$T/usr" ! -type d)" ]
finish
