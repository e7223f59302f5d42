#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The manual and the programs agree: the options in a program's table, in its --help and in its
# page are the same, with the same arguments; every page is clean for mandoc; and what the pages
# refer to is there.
# shellcheck source=tests/cli/lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"

# is WHAT WANTED GOT
is() {
	if [[ $2 == "$3" ]]; then ok "$1"; else not_ok "$1" "wanted: \"$2\", got: \"$3\""; fi
}

# These print a line an option, "--name" or "--name argument".
common() { printf -- '%s\n' --help --version; }

# The table of bin/NAME.c: {KEY, "name", "ARG" or NULL, ...
in_table() {
	sed -n '/^static const struct dm_opt opts/,/^};/p' "$1" | tr '\n' ' ' |
		grep -Eo "\{('.'|[A-Z_]+), *\"[a-z-]+\", *(\"[A-Z]+\"|NULL)" |
		sed -E 's/^\{[^,]*, *"([a-z-]+)", *"?([A-Z]+)"?$/--\1 \L\2/; s/ null$//'
	common
}

# The options that the script dm-migrate takes; those before the line "case $opt" have no argument.
in_script() {
	sed -n '/^while /,/^done/p' "$1" | awk '
		/case \$opt in/ { arg = " *" }
		/^\t+(-h \| )?--[a-z-]+( \| --[a-z-]+)*\)/ {
			sub(/\).*/, "")
			n = split($0, word, /[ \t|]+/)
			for (i = 1; i <= n; i++) if (word[i] ~ /^--./) print word[i] arg
		}'
}

in_help() {
	grep -Eo '^ +(-[a-z], )?--[a-z-]+( [A-Z]+)?' "$1" | sed -E 's/^ +(-[a-z], )?(--[a-z-]+)/\2/; s/ ([A-Z]+)$/ \L\1/'
}

in_page() {
	sed -nE 's/^\.It (Fl [a-z] , )?Fl -([a-z-]+)( Ar ([a-z]+))?$/--\2 \4/p' "$1" | sed 's/ $//'
}

# same WHAT WANTED GOT: two lists of options
same() {
	local differ
	if [[ -z $2 ]]; then
		not_ok "$1" "no options found"
	elif differ=$(diff <(sort <<<"$2") <(sort <<<"$3")); then
		ok "$1"
	else
		not_ok "$1" "$differ"
	fi
}

# Any argument, since the script has no names for them.
any() { sed 's/ .*/ */'; }

for name in dm-fsdiff dm-predump dm-ship dm-restore dm-rollback dm-migrate; do
	program=$BUILD/$name page=$ROOT/man/$name.1
	[[ $name != dm-migrate ]] || program=$ROOT/bin/$name
	expect 0 "$name --help" "$program" --help
	help=$(in_help "$T/out")
	if [[ $name == dm-migrate ]]; then
		same "$name: the script and --help have the same options" "$(in_script "$program")" "$(any <<<"$help")"
	else
		same "$name: the table and --help have the same options" "$(in_table "$ROOT/bin/$name.c")" "$help"
	fi
	same "$name: --help and the page have the same options" "$help" "$(in_page "$page")"
	missing=$(sed '/^\.Sh DESCRIPTION/,$d' "$page" | grep -Eo 'Fl -[a-z-]+' | sed 's/^Fl /-/' | sort -u |
		comm -23 - <(cut -d ' ' -f 1 <<<"$help" | sort -u))
	is "$name: the synopsis has no other option" "" "$missing"
	is "$name --version" "$name (docker-migrate) $(sed -n 's/^#define DM_VERSION "\(.*\)"/\1/p' "$ROOT/lib/base/opt.h")" \
		"$("$program" --version)"
done

missing=$(comm -23 <("$ROOT/bin/dm-migrate" --help >"$T/out" && in_help "$T/out" | sort) \
	<(for p in fsdiff predump ship restore rollback; do in_page "$ROOT/man/dm-$p.1"; done | sort -u))
is "dm-migrate hands on all options but its own" $'--dry-run\n--quiet\n--ssh cmd' "$missing"

# items MACRO SECTION...: what the lists in these sections of docker-migrate(7) are about
items() {
	local macro=$1 section
	shift
	for section; do
		sed -n "/^\.S[hs] $section\$/,/^\.S[hs] /p" "$ROOT/man/docker-migrate.7"
	done | sed -n "s/^\.It $macro \([^ ]*\).*/\1/p" | sort -u
}
code() { cat "$ROOT"/lib/*/*.c "$ROOT"/bin/*.c | tr -s '\n\t ' ' '; }
same "the journal's events are in docker-migrate(7)" \
	"$(code | grep -Eo 'dm_record_event\([^,]+, "[a-z]+"' | cut -d '"' -f 2 | sort -u)" \
	"$(items Cm 'Events on the source' 'Events on the target')"
same "the environment is in docker-migrate(7)" \
	"$(code | grep -Eo 'getenv\("[A-Z_]+"' | cut -d '"' -f 2 | grep -v ^CRTOOLS | sort -u)" "$(items Ev ENVIRONMENT)"
same "what dm-restore --have prints is in docker-migrate(7)" \
	"$(tr -s '\n\t ' ' ' <"$ROOT/lib/container/have.c" |
		grep -Eo 'set_new\( ?o, "[a-z_]+"|\{"[a-z]+", "/' | cut -d '"' -f 2 | sort -u)" "$(items Cm HOSTS)"

for page in "$ROOT"/man/*.[1-8]; do
	missing=$(sed -nE 's/^\.Xr ((dm|docker)-[a-z]+) ([1-8]).*/\1.\3/p' "$page" | sort -u |
		while read -r other; do [[ -e $ROOT/man/$other ]] || echo "$other"; done)
	is "${page##*/}: the pages that it names are there" "" "$missing"
	if command -v mandoc >/dev/null; then
		is "${page##*/}: mandoc is content" "" "$(mandoc -Tlint -Wwarning "$page" 2>&1)"
	else
		echo "skip - ${page##*/}: mandoc is content: it is not installed"
	fi
done

finish
