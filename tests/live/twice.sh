#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The same container twice at once: only one migration holds it frozen. Two containers at once:
# both move.
. "$(dirname "$0")/lib.sh"

a docker run -d --name tree work /usr/local/sbin/tree >/dev/null
sleep 0.5
stage() { # TOOL [OPTION...]: its output is thrown away
	"$HOSTS" in a bash -c '"$@" >/dev/null' - "$@"
}

for id in one-$$ two-$$; do
	expect 0 "migration $id begins" stage dm-fsdiff --id "$id" --save tree
	expect 0 "its rounds" stage dm-predump --id "$id" tree
done
expect 0 "one freezes" stage dm-predump --id one-$$ --final tree
is "it is frozen" "paused true" "$(state a tree)"
expect 3 "two may not freeze" stage dm-predump --id two-$$ --final tree
says "and is told who holds it" 'held by migration one-'
is "it is still frozen" "paused true" "$(state a tree)"
expect 3 "two cannot end its stream" stage dm-fsdiff --id two-$$ --delta --last tree
expect 5 "settling two changes nothing" a dm-rollback --settle --id two-$$ tree
is "it is still frozen" "paused true" "$(state a tree)"
expect 5 "settling one thaws it" a dm-rollback --settle --id one-$$ tree
is "it runs on" "running false" "$(state a tree)"
expect 3 "one is over" stage dm-fsdiff --id one-$$ --delta --last tree

# two whole moves of it at once: at most one gets through
migrate a b tree &
first=$!
code=0
"$HOSTS" in a dm-migrate tree root@b >"$T/log2" 2>&1 </dev/null || code=$?
other=0
wait $first || other=$?
check "not both say that they moved it ($code, $other)" test "$code" != 0 -o "$other" != 0
case "$(state a tree)/$(state b tree)" in
"running false/" | "/running false") ok "it runs on one host" ;;
*) not_ok "it runs on one host" "a: $(state a tree), b: $(state b tree)" ;;
esac
empty a
empty b

# two containers at once
for n in 1 2; do a docker run -d --name t$n work /usr/local/sbin/tree >/dev/null; done
sleep 0.5
"$HOSTS" in a dm-migrate t1 root@b >"$T/log1" 2>&1 </dev/null &
first=$!
moves a b t2
other=0
wait $first || other=$?
is "the other moves, too" 0 "$other"
is "both run" "running false running false" "$(state b t1) $(state b t2)"
clean a
clean b
finish
