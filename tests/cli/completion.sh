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

# What is offered for an argument is what --help lists there, and the tools take it.
offered() {
	# shellcheck source=bin/dm-migrate.bash-completion
	bash -c '. "$1"; _dm_choices dm-x "$2" "" | sort' - "$ROOT/bin/dm-migrate.bash-completion" "$1"
}
listed() { # TOOL OPTION
	sed -nE "s/^ +$2 [A-Z]+ +(.*: )?//p" "$T/$1.help" |
		sed -E 's/;.*|, for.*| \(default\)|\[:LEVEL\]//g; s/, | or /\n/g' | sort
}
for what in "dm-migrate --tcp MODE" "dm-fsdiff --tcp MODE" "dm-predump --tcp MODE" "dm-migrate --codec CODEC" \
	"dm-ship --codec CODEC" "dm-migrate --rule RULE" "dm-predump --rule RULE"; do
	read -r tool option kind <<<"$what"
	if [[ "$(listed "$tool" "$option")" == "$(offered "$kind")" ]]; then
		ok "$tool $option: what --help lists"
	else
		not_ok "$tool $option: what --help lists" "$(offered "$kind") but $(listed "$tool" "$option")"
	fi
done
while read -r kind; do
	case $kind in
	MS | N | PERCENT | SECONDS | SIZE) ok "$kind is a number" ;;
	*) check "$kind: the completion knows what that is" grep -Eq "^	(.*\| )?$kind\b.*\) " "$ROOT/bin/dm-migrate.bash-completion" ;;
	esac
done < <(grep -hEo '^ +(-[a-z], )?--[a-z-]+ [A-Z]+ ' "$T"/*.help | grep -Eo '[A-Z]+ $' | sort -u)

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
