#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An image that the target lacks travels, once; a name that means another image there is left alone.
. "$(dirname "$0")/lib.sh"

b docker rmi -f lonely >/dev/null 2>&1
a docker run -d --name l1 lonely /usr/local/sbin/tree >/dev/null
moves a b l1
has "the image was sent" 'image lonely:latest: [0-9]' "$T/log"
is "it has its name on the target" lonely "$(b docker inspect -f '{{.Config.Image}}' l1)"
same "it is the same image" "$(a docker image inspect -f '{{.Id}}' lonely)" "$(b docker image inspect -f '{{.Id}}' lonely)"

a docker run -d --name l2 lonely /usr/local/sbin/tree >/dev/null
moves a b l2
has "the second time it is there" 'lonely: the target has it' "$T/log"

empty b
b docker rmi lonely >/dev/null
b docker tag redis lonely
other=$(b docker image inspect -f '{{.Id}}' lonely)
a docker run -d --name l3 lonely /usr/local/sbin/tree >/dev/null
moves a b l3
same "a name that is taken keeps its meaning" "$other" "$(b docker image inspect -f '{{.Id}}' lonely)"
same "the container has its own image" "$(a docker image inspect -f '{{.Id}}' lonely)" "$(b docker inspect -f '{{.Image}}' l3)"
empty b
b docker rmi lonely >/dev/null
clean b
finish
