/* SPDX-License-Identifier: Apache-2.0 */
#include "handover/receipt.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "container/have.h"

static const char *const keys[] = {"id", "machine", "boot", "nonce"};

json_t *dm_receipt_hello(struct dm_record *r, const char *id, json_t *versions, struct dm_err *err)
{
	char machine[64], boot[64], nonce[33];
	uint64_t random[2];
	json_t *hello = NULL;
	int n;

	n = dm_record_find(r, "hello", NULL, err);
	if (n > 0)
		dm_fail(err, DM_UNFIT, "migration %s has come here before; take another id", id);
	if (n != 0 || dm_have_identity(machine, boot, err))
		goto out;
	if (getrandom(random, sizeof(random), 0) != sizeof(random)) {
		dm_fail_errno(err, "get random bytes");
		goto out;
	}
	snprintf(nonce, sizeof(nonce), "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
	hello = json_pack("{s:s, s:s, s:s, s:s, s:s, s:O*}", "receipt", "hello", "id", id,
			  "machine", machine, "boot", boot, "nonce", nonce, "versions", versions);
	if (hello && dm_record_event(r, "hello", json_copy(hello), err)) {
		json_decref(hello);
		hello = NULL;
	}
out:
	json_decref(versions);
	return hello;
}

json_t *dm_receipt_result(struct dm_record *r, const char *reason, struct dm_err *err)
{
	char state[DM_WORD_MAX] = "starting";
	json_t *hello = NULL, *created = NULL, *o = NULL;
	struct stat st;

	if (dm_record_find(r, "hello", &hello, err) < 0 ||
	    dm_record_find(r, "created", &created, err) < 0 ||
	    dm_record_decision(r, state, err) < 0)
		goto out;
	o = json_pack("{s:s, s:s}", "receipt", "result", "state", state);
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		json_object_set_new(o, keys[i], json_string(dm_json_str(hello, keys[i], "")));
	if (created)
		json_object_set_new(o, "container",
				    json_string(dm_json_str(created, "container", "")));
	if (fstatat(dm_record_dir(r), "decision", &st, 0) == 0)
		json_object_set_new(o, "since",
				    json_real(dm_clock() - (double)st.st_mtim.tv_sec -
					      (double)st.st_mtim.tv_nsec / 1e9));
	if (reason)
		json_object_set_new(o, "reason", json_string(reason));
out:
	json_decref(hello);
	json_decref(created);
	return o;
}

int dm_receipt_stale(struct dm_record *r, struct dm_err *err)
{
	char machine[64], boot[64];
	json_t *hello = NULL;
	int n = dm_record_find(r, "hello", &hello, err), stale;

	if (n <= 0)
		return n;
	if (dm_have_identity(machine, boot, err)) {
		json_decref(hello);
		return -1;
	}
	stale = strcmp(boot, dm_json_str(hello, "boot", "")) != 0;
	json_decref(hello);
	return stale;
}

int dm_receipt_print(const json_t *receipt, struct dm_err *err)
{
	char *text = dm_json_text(receipt, err), *line = NULL;
	int n, ret = 0;

	if (!text)
		return -1;
	n = asprintf(&line, "%s\n", text);
	free(text);
	if (n < 0)
		return dm_fail(err, DM_FAILURE, "write receipt: out of memory");
	if (dm_write_full(STDOUT_FILENO, line, (size_t)n))
		ret = dm_fail_errno(err, "write receipt");
	free(line);
	return ret;
}

int dm_receipt_known(struct dm_record *r, const json_t *receipt, struct dm_err *err)
{
	json_t *target = NULL;
	int n = dm_record_find(r, "target", &target, err);

	if (n < 0)
		return -1;
	for (size_t i = 0; n == 1 && i < sizeof(keys) / sizeof(*keys); i++) {
		/* after a crash the target has another boot-id, but the same record */
		if (!strcmp(keys[i], "boot"))
			continue;
		if (strcmp(dm_json_str(target, keys[i], "?"), dm_json_str(receipt, keys[i], "!")))
			n = 0;
	}
	json_decref(target);
	if (n == 0)
		dm_fail(err, DM_FAILURE, "the answer is not from the target of this migration");
	return n;
}
