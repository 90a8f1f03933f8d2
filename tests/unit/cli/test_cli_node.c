/* test_cli_node.c - `posthouse node list`, as people and programs read it. */
#include "unit.h"

#include "node.h"

#include <stdlib.h>

#define NOW 1700000000000ull

static const struct rec_node_row rows[] = {
	{ .number = 1,
	  .epoch = 7,
	  .state = { "up", 2 },
	  .host = { "mx1", 3 },
	  .since = NOW - 7200000,
	  .silent_ms = 3000,
	  .taken = 12,
	  .shards = 64,
	  .self = 1 },
	{ .number = 12,
	  .epoch = 2,
	  .state = { "draining", 8 },
	  .host = { "m\x1b[2J", 5 },
	  .since = NOW - 5000,
	  .silent_ms = 3001 },
};

static char *printed(unsigned width, size_t n)
{
	struct arena a = { 0 };
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	node_print(out, &a, rows, n, NOW, width);
	fclose(out);
	arena_fini(&a);
	return text;
}

static void test_table(void **state)
{
	char *text = printed(100, 2), *lines = printed(0, 1);

	assert_string_equal(text, "NODE  HOST   STATE     SINCE  SILENT  IN FLIGHT  SHARDS  EPOCH\n"
				  "   1  mx1    up          2 h                 12      64      7  this node\n"
				  "  12  m\xef\xbf\xbd[2J  draining    5 s     3 s          0       0      2\n");
	assert_string_equal(lines, "1  mx1  up  2 h  12  64  7  this node\n");
	free(text);
	free(lines);
}

static void test_json(void **state)
{
	json_t *j = node_json(&rows[1]);
	char *text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);

	assert_string_equal(text, "{\"config_differs\":false,\"epoch\":2,\"host\":\"m\\u001B[2J\",\"in_flight\":0,\"number\":12,"
				  "\"self\":false,\"shards\":0,"
				  "\"silent_ms\":3001,\"since\":\"2023-11-14T22:13:15.000Z\",\"state\":\"draining\"}");
	free(text);
	json_decref(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests_name("node", tests, NULL, NULL);
}
