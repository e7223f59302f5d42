#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a move tells programs: the report of one that went well, of one that was refused, and of one
# that was rolled back; --json; and --dry-run, which changes nothing.
. "$(dirname "$0")/lib.sh"

schema=$ROOT/man/docker-migrate-report.schema.json
valid() { # FILE: it is as the schema wants it
	/usr/bin/python3 - "$schema" "$1" <<-'END'
		import json, jsonschema, sys
		schema, report = (json.load(open(f)) for f in sys.argv[1:])
		jsonschema.validate(report, schema)
	END
}
get() { # FILE EXPRESSION over r
	/usr/bin/python3 -c 'import json, sys; r = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$@"
}
holds() { # FILE EXPRESSION over r: it is true
	/usr/bin/python3 -c 'import json, sys; r = json.load(open(sys.argv[1])); sys.exit(not eval(sys.argv[2]))' "$@"
}
records() { # everything that either host keeps of migrations
	a find /var/lib/docker-migrate /dev/shm/docker-migrate 2>/dev/null
	b find /var/lib/docker-migrate /dev/shm/docker-migrate 2>/dev/null
}

empty a
empty b
b docker rmi lonely >/dev/null 2>&1 # it is to be sent
a docker run -d --name told -v told:/v lonely /usr/local/sbin/tree >/dev/null
a docker run -d --name tty -t work sleep 9999 >/dev/null

records >"$T/before"
expect 0 "a dry run" a dm-migrate --dry-run --json told root@b
cp "$T/out" "$T/dry"
check "... tells what it found, by the schema" valid "$T/dry"
is "... that nothing is in the way" "fit []" "$(get "$T/dry" 'r["outcome"], r["obstacles"]' | tr -d "(',)")"
check "... what would be sent: image, memory, layer, volume" holds "$T/dry" \
	'r["would_send"]["image"] > 0 < r["would_send"]["memory"] and len(r["would_send"]["files"]) == 2'
says "... and says so to people" 'would send: volume told'
records >"$T/after"
check "... no record stays" diff "$T/before" "$T/after"
is "... the container runs on" "running false" "$(state a told)"

expect 3 "an obstacle" a sh -c 'dm-migrate --report /tmp/report tty root@b'
a cat /tmp/report >"$T/report"
check "... its report is as the schema wants it" valid "$T/report"
has "... and names it" 'terminal' "$T/report"

expect 0 "a move" a dm-migrate --json --report /tmp/report told root@b
cp "$T/out" "$T/lines"
cp "$T/err" "$T/messages"
a cat /tmp/report >"$T/report"
check "its report is as the schema wants it" valid "$T/report"
is "it tells the outcome" "moved 0 told" "$(get "$T/report" 'r["outcome"], r["code"], r["container"]["name"]' | tr -d "(',)")"
is "the hosts" "a b" "$(get "$T/report" 'r["source"]["hostname"], r["target"]["hostname"]' | tr -d "(',)")"
check "the parts of the stream add up" holds "$T/report" \
	'sum(v for k, v in r["bytes"].items() if k not in ("stream", "link")) == r["bytes"]["stream"]'
check "image, files and memory were sent" holds "$T/report" 'min(r["bytes"][k] for k in ("image", "files", "memory", "criu")) > 0'
check "dm-ship had all of the stream" holds "$T/report" \
	'{t["in"] for t in r["tools"] if t["stage"] == "wrap"} == {t["out"] for t in r["tools"] if t["stage"] == "unwrap"} == {r["bytes"]["stream"]}'
is "every tool tells what it used, on both sides" \
	"source:dm-fsdiff:delta source:dm-fsdiff:last source:dm-fsdiff:setup source:dm-predump:final source:dm-predump:rounds source:dm-ship:wrap target:dm-restore:restore target:dm-ship:unwrap" \
	"$(get "$T/report" '" ".join(sorted(t["host"] + ":" + t["tool"] + ":" + t["stage"] for t in r["tools"]))')"
check "freeze, blackout and total fit into each other" holds "$T/report" '0 < r["freeze"] < r["blackout"] < r["total"]'
check "people read the same" grep -q "stood still for $(get "$T/report" '"%.2f" % r["blackout"]') s" "$T/messages"
is "--json prints receipts, and how it ended" "hello,result,settled" \
	"$(/usr/bin/python3 -c 'import json, sys; print(",".join(filter(None, (json.loads(l).get("receipt") for l in sys.stdin))))' <"$T/lines")"

# rolled back: the link ends at once when the stream is to go over it
a sh -c "cat >/tmp/ssh && chmod 755 /tmp/ssh" <<-'END'
	#!/bin/sh
	case $2 in *dm-ship*) exit 255 ;; esac
	exec ssh "$@"
END
a docker run -d --name back work sleep 9999 >/dev/null
expect 5 "a move that is given up" a dm-migrate --report /tmp/report --ssh /tmp/ssh back root@b
a cat /tmp/report >"$T/report"
check "... its report is as the schema wants it" valid "$T/report"
is "... and tells the outcome" "rolled back 5" "$(get "$T/report" 'r["outcome"], r["code"]' | tr -d "(',)")"
a rm -f /tmp/report /tmp/ssh
empty b
b docker rmi lonely >/dev/null
clean a
clean b
finish
