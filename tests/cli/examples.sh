#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What can be said of examples/ without hosts: each tells its usage, README.md has it and the tests
# between two hosts run it; systemd reads the unit; evacuate.sh reports whatever may happen.
# shellcheck source=tests/cli/lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"

for example in "$ROOT"/examples/*; do
	name=${example##*/}
	# shellcheck disable=SC2016 # Markdown
	check "$name is in README.md" grep -qF "| \`$name\` |" "$ROOT/README.md"
	check "$name is run by a test" grep -q "[ /]$name\b" "$ROOT/tests/live/examples.sh"
	check "$name is short" [ "$(wc -l <"$example")" -le 50 ]
	[[ $name == *.sh ]] || continue
	expect 2 "$name without arguments" "$example"
	says "... tells its usage" "^usage: $name "
done

if command -v systemd-analyze >/dev/null; then
	expect 0 "systemd reads the unit" systemd-analyze verify "$ROOT/examples/standby.service"
	check "... and has nothing to say" [ ! -s "$T/err" ]
else
	skip "systemd reads the unit" "there is no systemd-analyze"
fi

command -v parallel >/dev/null || { skip "evacuate.sh" "there is no GNU parallel" && finish; }

# Stand-ins: "docker ps" names the containers in $list; a move ends as the container's name says.
mkdir "$T/bin"
cat >"$T/bin/docker" <<'E1'
#!/bin/sh
[ -z "$list" ] || printf '%s\n' $list
E1
cat >"$T/bin/dm-migrate" <<'E1'
#!/bin/sh
for host; do container=${before-} before=$host; done
echo "$container" >>calls
case $container in
slow*)
	trap 'echo "$container: interrupted" >>calls' INT
	for i in 1 2 3 4 5 6 7 8; do sleep 0.1; done
	[ ! -e again ] || exit 0
	echo "$container: settled" >>calls
	exit 5
	;;
killed) kill -9 $$ ;;
*) exit "${container#c}" ;;
esac
E1
chmod +x "$T"/bin/*
cd "$T" || exit 1
export PATH=$T/bin:$PATH
evacuate() { list=$1 "$ROOT/examples/evacuate.sh" root@b "${@:2}"; }

expect 1 "all kinds of ends" evacuate "c0 c3 c5 c6 killed" log
sed -i 's/are 0 9$/are 137 0/' out # it depends on the shell who tells of the signal
check "each is reported" cmp -s out - <<-'E1'
	c0: moved
	c3: refused
	c5: failed, runs on here
	c6: LOOK AFTER IT: exit code and signal are 6 0
	killed: LOOK AFTER IT: exit code and signal are 137 0
E1
rm calls
expect 1 "the same again" evacuate "never asked" log
check "what has moved is left alone" [ "$(sort calls | paste -sd ' ')" = "c3 c5 c6 killed" ]
expect 0 "nothing to move" evacuate "" none
check "it says nothing" [ ! -s out ]

# An interrupt from the keyboard goes to the whole group.
rm calls
list="slow1 slow2 slow3 slow4" setsid env --default-signal=INT "$ROOT/examples/evacuate.sh" root@b cut >out 2>err &
mine+=($!)
for _ in {1..100}; do
	[[ $(wc -l <calls) != 2 ]] || break
	sleep 0.05
done 2>/dev/null
kill -INT -- -$!
wait $!
check "interrupted: exit code" [ $? = 1 ]
check "two moves were interrupted, and waited for" [ "$(grep -c interrupted calls) $(grep -c settled calls)" = "2 2" ]
check "no other one began" [ "$(grep -c ':' calls) $(wc -l <calls)" = "4 6" ]
check "it reports" [ "$(grep -c 'slow[1-4]: no result' out)" = 4 ]
: >again
expect 0 "it goes on" evacuate "never asked" cut
check "all have moved" [ "$(grep -c 'slow[1-4]: moved' out)" = 4 ]
finish
