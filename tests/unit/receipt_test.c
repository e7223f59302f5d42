/* SPDX-License-Identifier: Apache-2.0 */
/* Receipts: what the target says of itself, and whom the source believes. */
#include "test.h"

#include "base/json.h"
#include "container/have.h"
#include "handover/receipt.h"
#include "tool.h"

static struct dm_err err;

/* A record on that side, below a fresh state folder. */
static struct dm_record *record(enum dm_side side)
{
	struct dm_record *r;

	setenv("DM_STATE", fresh_folder(), 1);
	r = dm_record_open(side, "m-1", true, &err);
	MUST(r);
	return r;
}

TEST(a_hello_tells_who_the_target_is)
{
	struct dm_record *r = record(DM_TARGET), *s;
	json_t *hello = dm_receipt_hello(r, "m-1", NULL, &err), *o = NULL, *other;
	char machine[64], boot[64];

	REQUIRE(hello && dm_have_identity(machine, boot, &err) == 0);
	CHECK(machine[0] && strlen(boot) == 36);
	CHECK_STR(dm_json_str(hello, "receipt", "?"), "hello");
	CHECK_STR(dm_json_str(hello, "id", "?"), "m-1");
	CHECK_STR(dm_json_str(hello, "machine", "?"), machine);
	CHECK_STR(dm_json_str(hello, "boot", "?"), boot);
	CHECK_INT(strspn(dm_json_str(hello, "nonce", ""), "0123456789abcdef"), 32);
	CHECK_INT(dm_record_find(r, "hello", &o, &err), 1); /* it is on disk before it is told */
	CHECK_STR(dm_json_str(o, "nonce", "?"), dm_json_str(hello, "nonce", ""));
	CHECK(!json_object_get(hello, "event"));
	CHECK(!dm_receipt_hello(r, "m-1", NULL, &err));
	CHECK_INT(err.code, DM_UNFIT);
	CHECK_STR(err.msg, "migration m-1 has come here before; take another id");
	s = record(DM_TARGET);
	other = dm_receipt_hello(s, "m-1", NULL, &err);
	CHECK(strcmp(dm_json_str(other, "nonce", ""), dm_json_str(hello, "nonce", "")) != 0);
	json_decref(other);
	json_decref(o);
	json_decref(hello);
	dm_record_close(r);
	dm_record_close(s);
}

TEST(a_result_tells_what_the_record_has)
{
	struct dm_record *r = record(DM_TARGET);
	json_t *hello = dm_receipt_hello(r, "m-1", NULL, &err), *o;
	char standing[DM_WORD_MAX];

	o = dm_receipt_result(r, NULL, &err);
	CHECK_STR(dm_json_str(o, "receipt", "?"), "result");
	CHECK_STR(dm_json_str(o, "state", "?"), "starting");
	CHECK_STR(dm_json_str(o, "nonce", "?"), dm_json_str(hello, "nonce", ""));
	CHECK_STR(dm_json_str(o, "machine", "?"), dm_json_str(hello, "machine", ""));
	CHECK_STR(dm_json_str(o, "boot", "?"), dm_json_str(hello, "boot", ""));
	CHECK_STR(dm_json_str(o, "id", "?"), "m-1");
	CHECK(!json_object_get(o, "reason") && !json_object_get(o, "container"));
	json_decref(o);
	dm_record_event(r, "created", json_pack("{s:s}", "container", "abc"), &err);
	dm_record_decide(r, "failed", standing, &err);
	o = dm_receipt_result(r, "no \"room\"\nleft", &err);
	CHECK_STR(dm_json_str(o, "state", "?"), "failed");
	CHECK_STR(dm_json_str(o, "reason", "?"), "no \"room\"\nleft");
	CHECK_STR(dm_json_str(o, "container", "?"), "abc");
	json_decref(o);
	json_decref(hello);
	dm_record_close(r);
}

TEST(a_reason_need_not_be_utf_8)
{
	struct dm_record *r = record(DM_TARGET);
	json_t *hello = dm_receipt_hello(r, "m-1", NULL, &err), *o;
	char *text;

	o = dm_receipt_result(r, "open \xff\xfe: No such file", &err);
	text = o ? dm_json_text(o, &err) : NULL;
	CHECK(text && strstr(text, "\"state\":\"starting\""));
	free(text);
	json_decref(o);
	json_decref(hello);
	dm_record_close(r);
}

TEST(a_receipt_is_one_line)
{
	json_t *o = json_pack("{s:s}", "reason", "one\ntwo");
	struct capture c = capture_begin(1);
	char *text;
	int ret = dm_receipt_print(o, &err);

	text = capture_end(c);
	CHECK_INT(ret, 0);
	CHECK_STR(text, "{\"reason\":\"one\\ntwo\"}\n");
	free(text);
	json_decref(o);
}

TEST(a_record_of_another_boot_is_stale)
{
	struct dm_record *r = record(DM_TARGET);
	json_t *o;

	CHECK_INT(dm_receipt_stale(r, &err), 0);
	o = dm_receipt_hello(r, "m-1", NULL, &err);
	CHECK_INT(dm_receipt_stale(r, &err), 0);
	json_object_set_new(o, "boot", json_string("00000000-0000-0000-0000-000000000000"));
	dm_record_event(r, "hello", o, &err);
	CHECK_INT(dm_receipt_stale(r, &err), 1);
	dm_record_close(r);
}

/* Whether a receipt with key changed to value (NULL: left out) is believed. */
static int known(struct dm_record *r, const char *key, const char *value)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "receipt", "result", "state",
			      "running", "id", "m-1", "machine", "M", "boot", "B", "nonce", "N");
	int ret;

	if (key && value)
		json_object_set_new(o, key, json_string(value));
	else if (key)
		json_object_del(o, key);
	err.msg[0] = '\0';
	ret = dm_receipt_known(r, o, &err);
	json_decref(o);
	return ret;
}

TEST(only_the_journalled_target_is_believed)
{
	static const char *const keys[] = {"id", "machine", "nonce"};
	struct dm_record *r = record(DM_SOURCE);

	CHECK_INT(known(r, NULL, NULL), 0); /* nobody has said hello yet */
	CHECK(err.msg[0]);
	dm_record_event(r, "target",
			json_pack("{s:s, s:s, s:s, s:s, s:s}", "receipt", "hello", "id", "m-1",
				  "machine", "M", "boot", "B", "nonce", "N"),
			&err);
	CHECK_INT(known(r, NULL, NULL), 1);
	CHECK_INT(known(r, "boot", "C"), 1); /* it may have crashed and come back */
	CHECK_INT(known(r, "state", "failed"), 1);
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		CHECK_INT(known(r, keys[i], "other"), 0);
		CHECK_STR(err.msg, "the answer is not from the target of this migration");
		CHECK_INT(known(r, keys[i], ""), 0);
		CHECK_INT(known(r, keys[i], NULL), 0);
	}
	dm_record_close(r);
}

TEST(a_target_that_said_too_little_is_not_believed)
{
	struct dm_record *r = record(DM_SOURCE);

	dm_record_event(r, "target", json_pack("{s:s, s:s}", "id", "m-1", "machine", "M"), &err);
	CHECK_INT(known(r, NULL, NULL), 0);
	CHECK_INT(known(r, "nonce", NULL), 0);
	dm_record_close(r);
}
