/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of layers, and how much of an image is in it. */
#include "test.h"

#include "base/json.h"
#include "container/layers.h"
#include "tool.h"

/* An image whose layers are the letters of text; a point is no layer. */
static json_t *image(const char *text)
{
	json_t *layers = json_array();

	for (; *text; text++)
		json_array_append_new(layers,
				      *text == '.' ? json_integer(1) : json_stringn(text, 1));
	return layers;
}

static void put(json_t *tree, const char *text)
{
	json_t *layers = image(text);

	dm_layers_add(tree, layers);
	json_decref(layers);
}

static size_t shared(const json_t *tree, const char *text)
{
	json_t *layers = image(text);
	size_t n = dm_layers_shared(tree, layers);

	json_decref(layers);
	return n;
}

TEST(what_images_have_in_common_is_there_once)
{
	json_t *tree = json_object();
	struct dm_err err;
	char *text;

	put(tree, "abc");
	put(tree, "abd");
	put(tree, "ab");
	put(tree, "b");
	put(tree, "");
	text = dm_json_text(tree, &err);
	CHECK_STR(text, "{\"a\":{\"b\":{\"c\":{},\"d\":{}}},\"b\":{}}");
	free(text);
	json_decref(tree);
}

TEST(shared_layers_lie_upon_the_same_ones)
{
	json_t *tree = json_object();

	put(tree, "abc");
	put(tree, "xbz");
	CHECK_INT(shared(tree, "abc"), 3);
	CHECK_INT(shared(tree, "abcd"), 3);
	CHECK_INT(shared(tree, "ab"), 2);
	CHECK_INT(shared(tree, "abz"), 2);
	CHECK_INT(shared(tree, "bc"), 0);
	CHECK_INT(shared(tree, "xb"), 2);
	CHECK_INT(shared(tree, "aabc"), 1);
	CHECK_INT(shared(tree, ""), 0);
	json_decref(tree);
}

TEST(nothing_is_shared_with_what_is_no_tree)
{
	json_t *tree = json_object(), *list = json_array(), *odd = json_pack("{s:s}", "a", "b");

	CHECK_INT(shared(NULL, "ab"), 0);
	CHECK_INT(shared(list, "ab"), 0);
	CHECK_INT(dm_layers_shared(tree, NULL), 0);
	CHECK_INT(dm_layers_shared(tree, tree), 0);
	dm_layers_add(tree, NULL);
	put(tree, "a.b");
	CHECK_INT(json_object_size(tree), 1);
	CHECK_INT(shared(tree, "a.b"), 1);
	CHECK_INT(shared(tree, "ab"), 1);
	CHECK_INT(shared(odd, "ab"), 1);
	json_decref(tree);
	json_decref(list);
	json_decref(odd);
}

/* As many as no engine allows, and they can be read again. */
TEST(a_tall_image)
{
	char tall[501] = "";
	json_t *tree = json_object(), *again;
	struct dm_err err;
	char *text;

	memset(tall, 'l', 500);
	put(tree, tall);
	text = dm_json_text(tree, &err);
	REQUIRE(text);
	again = dm_json_parse(text, strlen(text), "tree", &err);
	CHECK_INT(shared(again, tall), 500);
	free(text);
	json_decref(tree);
	json_decref(again);
}
