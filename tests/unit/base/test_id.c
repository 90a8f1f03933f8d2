/* test_id.c - message ids: in order, never twice, and the same when written and read. */
#include "unit.h"

#include "posthouse/id.h"

#define NOW UINT64_C(1795000000000)

static void test_order(void **state)
{
	struct id_source source = { .node = 3, .worker = 5 };
	uint64_t last = 0;

	/* within a millisecond, past its 2,048, with the clock going on, standing, and stepping back an hour */
	for (unsigned i = 0; i < 10000; i++) {
		uint64_t now = i < 5000 ? NOW : i < 7000 ? NOW + i : NOW - 3600000, id = id_next(&source, now);

		assert_true(id > last);
		assert_int_equal(id >> 17 & 15, 3);
		assert_int_equal(id >> 11 & 63, 5);
		last = id;
	}
	assert_true(id_time_ms(last) >= NOW);
	assert_true(id_time_ms(id_next(&source, NOW + 100000)) == NOW + 100000);
}

static void test_no_two_workers_make_the_same(void **state)
{
	struct id_source a = { .worker = 0 }, b = { .worker = 1 }, c = { .node = 1 };

	for (unsigned i = 0; i < 3000; i++) {
		uint64_t x = id_next(&a, NOW), y = id_next(&b, NOW), z = id_next(&c, NOW);

		assert_true(x != y && y != z && x != z);
	}
}

/* A number that changes and a floor: always upwards, never twice. */
static void test_join(void **state)
{
	struct id_source source = { .node = ID_NODE_OTHERS, .worker = ID_WORKER_QUEUE };
	uint64_t last = id_next(&source, NOW), id;

	id_source_join(&source, 3, 0); /* a lower number, within the same millisecond */
	id = id_next(&source, NOW);
	assert_true(id > last);
	assert_int_equal(id_node(id), 3);
	assert_int_equal(id_worker(id), ID_WORKER_QUEUE);
	id_source_join(&source, 3, NOW + 10000); /* above the floor, not at it */
	id = id_next(&source, NOW + 1);
	assert_true(id_time_ms(id) == NOW + 10001);
	last = id;
	id_source_join(&source, 3, NOW); /* the same again changes nothing */
	id = id_next(&source, NOW + 2);
	assert_true(id == last + 1);
	assert_true(id_time_ms(id_next(&source, NOW + 20000)) == NOW + 20000);
}

/* All workers of all nodes, at the same moment. */
static void test_whole_cluster(void **state)
{
	static const unsigned others[] = { ID_WORKER_TLSPOLICY, ID_WORKER_PARTS, ID_WORKER_PICKUP, ID_WORKER_QUEUE };
	static bool seen[16][64];

	for (unsigned node = 1; node <= ID_CLUSTER_NODES_MAX; node++) {
		for (unsigned i = 0; i < ID_CLUSTER_WORKERS_MAX + 4; i++) {
			bool other = i >= ID_CLUSTER_WORKERS_MAX;
			struct id_source s = { .node = other ? ID_NODE_OTHERS : 0,
					       .worker = other ? others[i - ID_CLUSTER_WORKERS_MAX] : i };
			uint64_t id;

			id_source_join(&s, other && node == 0 ? ID_NODE_OTHERS : node, 0);
			id = id_next(&s, NOW);
			assert_true(id_time_ms(id) == NOW);
			assert_int_equal(id_node(id), node);
			assert_false(seen[id_node(id)][id_worker(id)]);
			seen[id_node(id)][id_worker(id)] = true;
		}
	}
}

static void test_text(void **state)
{
	static const uint64_t ids[] = { 0, 1, 31, 32, UINT64_C(0x7fffffffffffffff), UINT64_C(0x123456789abcdef), NOW << 21 };
	static const struct str bad[] = { S(""),
					  S("000000000000"),
					  S("00000000000000"),
					  S("000000000000i"),
					  S("000000000000l"),
					  S("000000000000o"),
					  S("000000000000u"),
					  S("000000000000 "),
					  S("00000000-0000"),
					  S("000000\0000000"),
					  S("zzzzzzzzzzzzz"), /* more than 63 bits */
					  S("8000000000000") };
	char text[ID_TEXT_MAX], before[ID_TEXT_MAX] = "";
	uint64_t back;

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		assert_ptr_equal(id_format(ids[i], text), text);
		assert_int_equal(strlen(text), 13);
		assert_true(id_parse(str_of(text), &back));
		assert_true(back == ids[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(id_parse(bad[i], &back));
	assert_true(id_parse(S("0123456789ABC"), &back)); /* people shout */
	assert_string_equal(id_format(back, text), "0123456789abc");
	for (uint64_t id = NOW << 21; id < (NOW << 21) + 1000; id += 7) { /* texts sort like ids */
		id_format(id, text);
		assert_true(strcmp(before, text) < 0);
		memcpy(before, text, sizeof(text));
	}
	assert_true(random_u64() != random_u64());
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_order), cmocka_unit_test(test_no_two_workers_make_the_same),
					    cmocka_unit_test(test_join), cmocka_unit_test(test_whole_cluster),
					    cmocka_unit_test(test_text) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
