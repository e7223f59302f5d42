/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/docker.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"

enum { ANSWER_MAX = 32 << 20, MESSAGE_MAX = 64 << 10 };

struct dm_engine {
	CURL *curl;
	char socket[256];
	char api[16];	  /* "/v1.45", or nothing before it is known */
	char version[64]; /* of the engine */
};

/* One transfer: where its bytes go to and come from. */
struct transfer {
	struct dm_engine *e;
	struct dm_buf answer; /* of JSON, or of an error's message */
	dm_engine_sink *sink;
	dm_engine_source *source;
	void *ctx;
	struct dm_err *err;
	int failed; /* the sink or the source did */
};

static size_t on_answer(char *p, size_t one, size_t n, void *ctx)
{
	struct transfer *t = ctx;
	long status = 0;

	(void)one;
	curl_easy_getinfo(t->e->curl, CURLINFO_RESPONSE_CODE, &status);
	if (t->sink && status < 400) {
		if (t->sink(t->ctx, p, n, t->err)) {
			t->failed = 1;
			return 0;
		}
		return n;
	}
	if (dm_buf_add(&t->answer, p, n, t->err)) {
		t->failed = 1;
		return 0;
	}
	return n;
}

static size_t on_upload(char *p, size_t one, size_t n, void *ctx)
{
	struct transfer *t = ctx;
	long got = t->source(t->ctx, p, one * n, t->err);

	if (got < 0) {
		t->failed = 1;
		return CURL_READFUNC_ABORT;
	}
	return (size_t)got;
}

/* The message in an answer of the engine: {"message": "..."}, or the text itself. */
static void fail_status(const struct transfer *t, const char *method, const char *path, long status)
{
	struct dm_err ignored;
	json_t *o =
		dm_json_parse(t->answer.data ? t->answer.data : "", t->answer.len, "", &ignored);

	dm_fail(t->err, DM_FAILURE, "engine: %s %s: %ld: %s", method, path, status,
		dm_json_str(o, "message", "no message"));
	json_decref(o);
}

/* Returns the HTTP status, or -1 with t->err. */
static long perform(struct transfer *t, const char *method, const char *path, const char *body,
		    double seconds)
{
	struct dm_engine *e = t->e;
	struct curl_slist *headers = NULL;
	char url[2048];
	long status = -1;
	CURLcode rc;

	if (snprintf(url, sizeof(url), "http://docker%s%s", e->api, path) >= (int)sizeof(url))
		return dm_fail(t->err, DM_FAILURE, "engine: path too long: %s", path);
	curl_easy_reset(e->curl);
	curl_easy_setopt(e->curl, CURLOPT_UNIX_SOCKET_PATH, e->socket);
	curl_easy_setopt(e->curl, CURLOPT_URL, url);
	curl_easy_setopt(e->curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(e->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(e->curl, CURLOPT_TIMEOUT_MS, (long)(seconds * 1000));
	curl_easy_setopt(e->curl, CURLOPT_WRITEFUNCTION, on_answer);
	curl_easy_setopt(e->curl, CURLOPT_WRITEDATA, t);
	headers = curl_slist_append(headers, "Expect:");
	if (t->source) {
		curl_easy_setopt(e->curl, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(e->curl, CURLOPT_READFUNCTION, on_upload);
		curl_easy_setopt(e->curl, CURLOPT_READDATA, t);
		headers = curl_slist_append(headers, "Content-Type: application/x-tar");
	} else if (!strcmp(method, "POST")) {
		curl_easy_setopt(e->curl, CURLOPT_POSTFIELDS, body ? body : "");
		headers = curl_slist_append(headers, "Content-Type: application/json");
	}
	curl_easy_setopt(e->curl, CURLOPT_HTTPHEADER, headers);
	rc = curl_easy_perform(e->curl);
	curl_slist_free_all(headers);
	if (rc == CURLE_OK)
		curl_easy_getinfo(e->curl, CURLINFO_RESPONSE_CODE, &status);
	else if (!t->failed)
		dm_fail(t->err, DM_FAILURE, "engine: %s %s: %s", method, path,
			curl_easy_strerror(rc));
	if (status >= 400)
		fail_status(t, method, path, status);
	return status;
}

int dm_engine_call(struct dm_engine *e, const char *method, const char *path, const json_t *body,
		   double seconds, json_t **answer, struct dm_err *err)
{
	struct transfer t = {.e = e, .err = err, .answer = {.cap = ANSWER_MAX}};
	char *text = NULL;
	long status;

	if (answer)
		*answer = NULL;
	if (body && !(text = dm_json_text(body, err)))
		return -1;
	status = perform(&t, method, path, text, seconds);
	if (status > 0 && status < 400 && answer && t.answer.len) {
		json_error_t je;

		*answer = json_loadb(t.answer.data, t.answer.len, 0, &je);
		if (!*answer) {
			status = dm_fail(err, DM_FAILURE, "engine: %s %s: bad JSON: %s", method,
					 path, je.text);
		}
	}
	free(text);
	dm_buf_free(&t.answer);
	return (int)status;
}

int dm_engine_do(struct dm_engine *e, const char *method, const char *path, const json_t *body,
		 double seconds, json_t **answer, struct dm_err *err)
{
	int status = dm_engine_call(e, method, path, body, seconds, answer, err);

	return status > 0 && status < 400 ? 0 : -1;
}

int dm_engine_download(struct dm_engine *e, const char *path, dm_engine_sink *sink, void *ctx,
		       struct dm_err *err)
{
	struct transfer t = {
		.e = e, .err = err, .sink = sink, .ctx = ctx, .answer = {.cap = MESSAGE_MAX}};
	long status = perform(&t, "GET", path, NULL, 0);

	dm_buf_free(&t.answer);
	return status > 0 && status < 400 ? 0 : -1;
}

/* The report of an upload is a line of JSON a step; an "error" in one of them is the answer. */
static int check_report(const struct dm_buf *report, const char *path, struct dm_err *err)
{
	struct dm_err ignored;
	size_t from = 0;
	int ret = 0;

	while (ret == 0 && from < report->len) {
		const char *line = report->data + from;
		const char *nl = memchr(line, '\n', report->len - from);
		size_t n = nl ? (size_t)(nl - line) : report->len - from;
		json_t *o = dm_json_parse(line, n, "", &ignored);
		const char *why = dm_json_str(o, "error", NULL);

		if (why)
			ret = dm_fail(err, DM_FAILURE, "engine: POST %s: %s", path, why);
		json_decref(o);
		from += n + 1;
	}
	return ret;
}

int dm_engine_upload(struct dm_engine *e, const char *path, dm_engine_source *source, void *ctx,
		     struct dm_err *err)
{
	struct transfer t = {
		.e = e, .err = err, .source = source, .ctx = ctx, .answer = {.cap = ANSWER_MAX}};
	long status = perform(&t, "POST", path, NULL, 0);
	int ret = status > 0 && status < 400 ? check_report(&t.answer, path, err) : -1;

	dm_buf_free(&t.answer);
	return ret;
}

int dm_engine_escape(const char *text, char *out, size_t size, struct dm_err *err)
{
	size_t n = 0;

	for (const char *p = text; *p; p++) {
		if (n + 4 > size)
			return dm_fail(err, DM_FAILURE, "engine: name too long: %s", text);
		if (isalnum((unsigned char)*p) || strchr("-_.~", *p))
			out[n++] = *p;
		else
			n += (size_t)snprintf(out + n, 4, "%%%02X", (unsigned char)*p);
	}
	out[n] = '\0';
	return 0;
}

struct dm_engine *dm_engine_open(struct dm_err *err)
{
	const char *host = getenv("DOCKER_HOST"), *path = "/var/run/docker.sock";
	struct dm_engine *e = calloc(1, sizeof(*e));
	json_t *version = NULL;

	if (!e || curl_global_init(CURL_GLOBAL_DEFAULT) || !(e->curl = curl_easy_init())) {
		dm_fail(err, DM_FAILURE, "engine: out of memory");
		goto fail;
	}
	if (host && strncmp(host, "unix://", 7)) {
		dm_fail(err, DM_UNFIT, "engine: DOCKER_HOST=%s: only unix:// sockets are supported",
			host);
		goto fail;
	}
	if (host)
		path = host + 7;
	snprintf(e->socket, sizeof(e->socket), "%s", path);
	if (dm_engine_do(e, "GET", "/version", NULL, 20, &version, err)) {
		dm_fail_prefix(err, "Docker does not answer on %s", path);
		err->code = DM_UNFIT;
		goto fail;
	}
	snprintf(e->version, sizeof(e->version), "%s", dm_json_str(version, "Version", "?"));
	snprintf(e->api, sizeof(e->api), "/v%.8s", dm_json_str(version, "ApiVersion", "1.41"));
	json_decref(version);
	return e;

fail:
	dm_engine_close(e);
	return NULL;
}

void dm_engine_close(struct dm_engine *e)
{
	if (!e)
		return;
	curl_easy_cleanup(e->curl);
	free(e);
}

const char *dm_engine_version(const struct dm_engine *e)
{
	return e->version;
}
