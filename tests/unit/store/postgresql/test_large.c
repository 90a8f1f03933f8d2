/* test_large.c - large texts in the database: a batch of them and a copy of one are bounded, whatever is stored. */
#include "../engine_under_test.h"

#include "cluster.h"

#include "posthouse/units.h"

#include <sys/resource.h>
#include <sys/stat.h>

static struct accepted *large(struct fixture *f, uint64_t id, size_t size)
{
	struct answer a = create_now(f, id, size);
	struct accepted *m = message(f, id, "b@x.org");
	char *bytes = xcalloc(size, 1);

	assert_int_equal(a.v.class, OK);
	assert_int_equal(write(a.fd, bytes, size), size);
	assert_int_equal(close(a.fd), 0);
	free(bytes);
	m->place = PLACE_FILE;
	m->text = S("");
	m->size = size;
	return m;
}

static void accept_large(struct fixture *f, uint64_t first, size_t n, size_t size)
{
	struct accepted **messages = ARENA_ARRAY(&f->arena, struct accepted *, n);

	for (size_t i = 0; i < n; i++)
		messages[i] = large(f, first + i, size);
	accept_all(f, messages, n);
}

static const char *sql(struct fixture *f, const char *words)
{
	return cluster_sql(arena_cstr(&f->arena, f->options.database->connection), words);
}

/* The most memory that this process had so far. */
static size_t peak_bytes(void)
{
	struct rusage u;

	assert_int_equal(getrusage(RUSAGE_SELF, &u), 0);
	return (size_t)u.ru_maxrss * KIB;
}

static void many_need_no_more_memory_than_one(void **state)
{
	struct fixture *f = *state;
	size_t before;

	accept_large(f, 100, 1, 300 * KIB);
	before = peak_bytes();
	accept_large(f, 200, 400, 10);
	assert_true(peak_bytes() - before < 40 * MIB);
}

/* Other mail waits for a batch to end. */
static void a_batch_has_few(void **state)
{
	struct fixture *f = *state;

	accept_large(f, 100, 40, MIB);
	assert_string_equal(sql(f, "SELECT max(n) <= 8 FROM (SELECT count(*) AS n FROM message GROUP BY xmin::text) AS batch"),
			    "t");
	assert_string_equal(sql(f, "SELECT sum(length(bytes)) FROM text_chunk"), "41943040");
}

/* The bytes in the file that was given out, or would have been. */
static void assert_text(struct fixture *f, uint64_t id, uint64_t size, const char *why)
{
	struct answer a = text_now(f, id);
	struct stat st;

	assert_int_equal(a.v.class, why ? TEMP : OK);
	if (why) {
		assert_str(a.v.text, why);
		return;
	}
	assert_int_equal(fstat(a.fd, &st), 0);
	assert_int_equal(st.st_size, size);
	assert_int_equal(close(a.fd), 0);
}

/* No more is copied than the message has, and what lacks a piece is not said to lack room. */
static void pieces_that_do_not_fit(void **state)
{
	static const char damaged[] = "the message's large file is missing or damaged";
	struct fixture *f = *state;
	struct rlimit old, small = { .rlim_cur = MIB };

	accept_large(f, 100, 1, 600 * KIB);
	assert_text(f, 100, 600 * KIB, NULL);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	(void)sql(f, "INSERT INTO text_chunk SELECT 100, 3 + n, (SELECT bytes FROM text_chunk WHERE seq=1)"
		     " FROM generate_series(1, 100) AS n");
	assert_text(f, 100, 0, damaged);
	(void)sql(f, "DELETE FROM text_chunk WHERE seq > 3");
	assert_text(f, 100, 600 * KIB, NULL);
	small.rlim_cur = 300 * KIB;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_text(f, 100, 0, "there is no room for a copy of the text");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	(void)sql(f, "UPDATE text_chunk SET seq = 9 WHERE seq = 2");
	assert_text(f, 100, 0, damaged);
	(void)sql(f, "UPDATE text_chunk SET seq = 2 WHERE seq = 9");
	assert_text(f, 100, 600 * KIB, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(many_need_no_more_memory_than_one, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(a_batch_has_few, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(pieces_that_do_not_fit, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests_name("store_postgresql_large", tests, NULL, NULL);
}
