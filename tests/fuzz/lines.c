/* SPDX-License-Identifier: Apache-2.0 */
#include "lines.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

static size_t length(const uint8_t *p, size_t n, unsigned *state)
{
	const uint8_t *nl = memchr(p, '\n', n);

	(void)state;
	return nl ? (size_t)(nl - p) + 1 : n;
}

static void fit(uint8_t *p, size_t n)
{
	if (n)
		p[n - 1] = '\n';
}

char *fuzz_line(const uint8_t **data, size_t *size)
{
	size_t n, cut;
	char *line;

	if (!*size)
		return NULL;
	n = length(*data, *size, NULL);
	cut = n - ((*data)[n - 1] == '\n');
	line = malloc(cut + 1);
	HOLDS(line);
	memcpy(line, *data, cut);
	line[cut] = '\0';
	*data += n;
	*size -= n;
	return line;
}

/* A value and where it hangs. */
struct slot {
	json_t *parent, *value;
	const char *key;
	size_t index;
};

/* Count the values below v; the one with number *want is left in s. */
static size_t walk(json_t *v, size_t want, struct slot *s)
{
	size_t n = 0, i;
	const char *key;
	json_t *one;

	json_object_foreach(v, key, one)
	{
		if (n == want)
			*s = (struct slot){v, one, key, 0};
		n++;
		n += walk(one, want - n, s);
	}
	json_array_foreach(v, i, one)
	{
		if (n == want)
			*s = (struct slot){v, one, NULL, i};
		n++;
		n += walk(one, want - n, s);
	}
	return n;
}

static json_t *odd_value(unsigned luck)
{
	switch (luck % 12) {
	case 0:
		return json_null();
	case 1:
		return json_true();
	case 2:
		return json_false();
	case 3:
		return json_object();
	case 4:
		return json_array();
	case 5:
		return json_string("");
	case 6:
		return json_string("/");
	case 7:
		return json_string("\x1b[31m\n\xc3\xa4");
	case 8:
		return json_integer(-1);
	case 9:
		return json_integer(INT64_MAX >> luck / 12 % 63);
	case 10:
		return json_integer(INT64_MIN >> luck / 12 % 63);
	default:
		return json_real(-1e300);
	}
}

/* The text of v with bytes changed. */
static json_t *other_text(const json_t *v)
{
	size_t n = json_string_length(v);
	uint8_t *p = malloc(n + 64);
	json_t *o;

	HOLDS(p);
	memcpy(p, json_string_value(v), n);
	n = LLVMFuzzerMutate(p, n, n + 64);
	for (size_t i = 0; i < n; i++)
		p[i] &= 0x7f;
	o = json_stringn((char *)p, n);
	free(p);
	return o;
}

static void change_slot(const struct slot *s, const struct slot *other, unsigned luck)
{
	json_t *v;

	if (luck % 8 == 0) {
		if (s->key)
			json_object_del(s->parent, s->key);
		else
			json_array_remove(s->parent, s->index);
		return;
	}
	if (luck % 8 == 1 && json_is_string(s->value))
		v = other_text(s->value);
	else if (luck % 8 < 5)
		v = odd_value(luck / 8);
	else
		v = json_deep_copy(other->value);
	if (luck % 8 == 7 && json_is_array(s->value))
		json_array_append_new(s->value, v);
	else if (luck % 8 == 7 && json_is_object(s->value))
		json_object_set_new(s->value, other->key ? other->key : "Id", v);
	else if (s->key)
		json_object_set_new(s->parent, s->key, v);
	else
		json_array_set_new(s->parent, s->index, v);
}

static size_t change(uint8_t *p, size_t n, size_t max, unsigned luck)
{
	json_t *doc = json_loadb((char *)p, n, JSON_DISABLE_EOF_CHECK, NULL);
	struct slot s = {0}, other = {0};
	char *text = NULL;
	size_t count, len;

	count = doc ? walk(doc, SIZE_MAX, &s) : 0;
	if (count) {
		walk(doc, luck % count, &s);
		walk(doc, luck / 7 % count, &other);
		change_slot(&s, &other, luck / 49);
		text = json_dumps(doc, JSON_COMPACT);
	}
	json_decref(doc);
	len = text ? strlen(text) : 0;
	if (text && len < max) {
		memcpy(p, text, len);
		p[len] = '\n';
		n = len + 1;
	} else {
		n = LLVMFuzzerMutate(p, n, max);
	}
	free(text);
	return n;
}

const struct fuzz_format fuzz_lines = {length, fit, NULL, change};
