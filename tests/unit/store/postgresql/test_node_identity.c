/* test_node_identity.c - state_dir/node: who a node is, and what it has seen of the database. */
#include "node_fixture.h"

static void a_file_of_an_older_version_is_read(void **state)
{
#define NAME "0b1f7a52-9c3d-4e21-8f00-a1b2c3d4e5f6\n"
	static const struct {
		const char *text;
		bool good;
		struct identity i;
	} files[] = {
		{ NAME, true, { .generation = 0 } },
		{ NAME "1 3f2a90cd17be 4\n", true, { .generation = 1, .history = "3f2a90cd17be", .epoch = 4 } },
		{ NAME "7 - 4 3\n", true, { .generation = 7, .epoch = 4, .timeline = 3 } },
		{ NAME "7 0123456789abcdef 4 4294967295\n",
		  true,
		  { .generation = 7, .history = "0123456789abcdef", .epoch = 4, .timeline = UINT32_MAX } },
		{ NAME "7 a 4 4294967296\n" },
		{ NAME "7 0123456789abcdef0 4 3\n" },
		{ NAME "0 a 4 3\n" },
		{ NAME "7 a 4 3" },
		{ NAME "7 a 4 3 2\n" },
		{ NAME "7 a 4 3\n\n" },
		{ NAME "7 a\n" },
		{ "0b1f7a52-9c3d-4e21-8f00-a1b2c3d4e5f\n" },
		{ "0b1f7a52-9c3d-4e21-8f00-a1b2c3d4e5f6" },
	};

	for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
		struct identity i;

		assert_int_equal(identity_scan(str_of(files[k].text), &i), files[k].good);
		if (!files[k].good)
			continue;
		assert_string_equal(i.instance, "0b1f7a52-9c3d-4e21-8f00-a1b2c3d4e5f6");
		assert_int_equal(i.generation, files[k].i.generation);
		assert_string_equal(i.history, files[k].i.history);
		assert_int_equal(i.epoch, files[k].i.epoch);
		assert_int_equal(i.timeline, files[k].i.timeline);
	}
}

static bool connects(struct fixture *f, struct member *m)
{
	struct db_target target = node_target(&m->node, &f->arena);

	return db_open(&m->db, &target);
}

/* The server of the tests is on timeline 1. */
static void a_primary_of_before_is_not_used_by_the_next_process_either(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0);

	node_saw_timeline(&a->node, 7, "ofanother");
	assert_true(connects(f, a));
	node_saw_timeline(&a->node, 7, a->node.history);
	node_saw_timeline(&a->node, 6, a->node.history);
	end_member(f, 0);
	a = member(f, 0);
	assert_int_equal(node_recall(&a->node, &f->arena).class, OK);
	assert_int_equal(node_timeline(&a->node), 7);
	assert_false(connects(f, a));
	assert_int_equal(db_error(&a->db), DB_AWAY);
	assert_non_null(strstr(a->db.error, "it is on timeline 1, and 7 was seen"));
	/* What `posthouse store restored` does. */
	(void)sql(f, "UPDATE meta SET value='2' WHERE key='generation'");
	(void)sql(f, "UPDATE meta SET value='ofabackup' WHERE key='history'");
	assert_true(connects(f, a));
	assert_int_equal(claim(f, a).class, OK);
	assert_int_equal(node_timeline(&a->node), 1);
	end_member(f, 0);
	a = member(f, 0);
	assert_int_equal(node_recall(&a->node, &f->arena).class, OK);
	assert_int_equal(node_timeline(&a->node), 1);
	assert_int_equal(claim(f, a).class, OK);
}

static void a_damaged_instance_is_refused(void **state)
{
	struct fixture *f = *state;
	struct member *a = member(f, 0);
	char path[100];
	FILE *file;

	(void)snprintf(path, sizeof path, "%s/node", a->directory);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs("c0ffee\n", file) >= 0 && fclose(file) == 0);
	assert_int_equal(claim(f, a).class, PERM);
	assert_string_equal(sql(f, "SELECT count(*) FROM node"), "0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_of_an_older_version_is_read),
		TEST(a_primary_of_before_is_not_used_by_the_next_process_either),
		TEST(a_damaged_instance_is_refused),
	};

	return RUN_TESTS(tests);
}
