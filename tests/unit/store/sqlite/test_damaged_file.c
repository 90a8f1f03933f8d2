/* test_damaged_file.c - a database whose bytes, pages and rows are others than the store has written, each time in another way: it is opened
 * and all is asked of it. The process can end with the codes by which queue says that its disk failed; it must not crash or hang.
 *
 * By hand, with another seed and more damages: POSTHOUSE_VALUES=5000 POSTHOUSE_SEED=7, and the test program. */
#include "sql.h"

#include "posthouse/units.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>

#define MESSAGES 6
#define PATIENCE 60 /* s, for one damage on a busy machine */
#define TEXT     "From: a@example.org\r\n\r\nthe text of a message, which is what was sent\r\n"
#define FILE_MAX ((ssize_t)(4 * MIB))

static uint64_t state;
static unsigned odd; /* damages of rows that have succeeded */

static uint64_t roll(uint64_t n)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (state >> 33) % n;
}

/* ---- the database as it was ---- */
static struct str read_file(struct fixture *f, const char *name)
{
	int fd = open(fixture_path(f, name), O_RDONLY | O_CLOEXEC);
	char *bytes = arena_alloc(&f->arena, (size_t)FILE_MAX);
	ssize_t n = read(fd, bytes, (size_t)FILE_MAX);

	assert_true(fd >= 0 && n > 0 && n < FILE_MAX);
	close(fd);
	return str_make(bytes, (size_t)n);
}

static struct str make_database(struct fixture *f)
{
	for (uint64_t i = 0; i < MESSAGES; i++) {
		struct accepted *m = message(f, 100 + i, "b@a.org c@a.org d@e.org");

		m->text = S(TEXT);
		m->size = m->text.n;
		m->header_size = 23;
		m->envelope.priority = (unsigned)(i * 3);
		m->envelope.subject = S("a subject");
		assert_int_equal(accept_now(f, m).class, OK);
	}
	assert_int_equal(settle_now(f, 100, 1, RCPT_FAILED, 0).class, OK);
	assert_int_equal(settle_now(f, 101, 1, RCPT_DELIVERED, 0).class, OK);
	assert_int_equal(put_bucket(f, "user:alice", "messages 1/1h", 5).class, OK);
	assert_int_equal(put_ban(f, "net:192.0.2.1", 1, NOW, "").class, OK);
	fixture_close(f);
	return read_file(f, "queue.db");
}

/* ---- damage ---- */
/* Types that the schema forbids: its rules are taken out, a column is set, and they are there again. */
static void damage_rows(const char *path)
{
	static const char *const columns[][2] = {
		{ "message", "id" },          { "message", "kind" },
		{ "message", "received_at" }, { "message", "expires_at" },
		{ "message", "login" },       { "message", "sender" },
		{ "message", "size" },        { "message", "header_size" },
		{ "message", "place" },       { "message", "open" },
		{ "message", "held" },        { "message", "prefix" },
		{ "message", "priority" },    { "message", "recipients" },
		{ "message", "finished_at" }, { "recipient", "n" },
		{ "recipient", "lane" },      { "recipient", "state" },
		{ "recipient", "address" },   { "recipient", "due_at" },
		{ "recipient", "class" },     { "recipient", "code" },
		{ "recipient", "attempts" },  { "recipient", "removing" },
		{ "recipient", "reported" },  { "lane", "id" },
		{ "lane", "priority" },       { "lane", "next_at" },
		{ "lane", "domain" },         { "lane", "login" },
		{ "text", "bytes" },          { "text", "id" },
		{ "event", "fields" },        { "event", "at" },
		{ "bucket", "tat_us" },       { "counter", "waiting" },
		{ "counter", "failed" },      { "message", "subject" },
		{ "gate", "failures" },       { "ban", "until" },
	};
	static const char *const values[] = {
		"NULL", "-1", "9223372036854775807", "-9223372036854775808", "4711", "'text'", "x'fffe00'",
		"1.5",  "''", "zeroblob(70000)",     "'a' || char(0) || 'b'"
	};
	const char *const *column = columns[roll(sizeof columns / sizeof *columns)];
	char sql[1024];
	sqlite3 *db;

	(void)snprintf(
		sql, sizeof sql,
		"CREATE TEMP TABLE kept AS SELECT name,sql FROM sqlite_master;"
		"PRAGMA writable_schema=ON;"
		"UPDATE sqlite_master SET sql=replace(replace(replace(sql,'STRICT, ',''),'STRICT',''),'NOT NULL','') WHERE type='table';"
		"PRAGMA writable_schema=RESET;"
		"UPDATE %s SET %s=%s WHERE random()%%3=0;"
		"PRAGMA writable_schema=ON;"
		"UPDATE sqlite_master SET sql=(SELECT k.sql FROM kept k WHERE k.name=sqlite_master.name) WHERE type='table';",
		column[0], column[1], values[roll(sizeof values / sizeof *values)]);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	odd += sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
	(void)sqlite3_exec(db, roll(4) ? "" : "DELETE FROM message WHERE random()%3=0", NULL, NULL, NULL);
	(void)sqlite3_exec(db, roll(4) ? "" : "DELETE FROM lane WHERE random()%3=0", NULL, NULL, NULL);
	(void)sqlite3_exec(db, roll(4) ? "" : "DELETE FROM text WHERE random()%3=0", NULL, NULL, NULL);
	(void)sqlite3_close(db);
}

static void damage(struct fixture *f, struct str whole)
{
	const char *path = fixture_path(f, "queue.db");
	char *bytes = malloc(whole.n);
	size_t n = whole.n, pages = whole.n / 4096;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	memcpy(bytes, whole.p, n);
	for (uint64_t times = roll(4); times > 0; times--) {
		switch (roll(6)) {
		case 0: n = roll(8) ? n : roll(n); break;
		case 1: memcpy(bytes + roll(pages) * 4096, bytes + roll(pages) * 4096, 4096); break;
		case 2: memset(bytes + roll(pages) * 4096, (int)roll(2) * 255, 4096); break;
		case 3: memset(bytes + roll(whole.n - 8), (int)roll(256), 8); break;
		default:
			for (uint64_t k = roll(20); k > 0; k--)
				bytes[roll(whole.n)] ^= (char)(1 << roll(8));
		}
	}
	assert_true(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
	close(fd);
	free(bytes);
	if (roll(2))
		damage_rows(path);
}

/* ---- what is asked ---- */
static void ask_all(struct fixture *f)
{
	struct answer lanes = lanes_now(f, NOW + DAY_MS, 100), a;
	struct accepted *m = message(f, 900, "b@a.org");

	for (size_t i = 0; i < lanes.n; i++) {
		a = lease_now(f, ((const struct due_lane *)lanes.rows)[i].lane, NOW + DAY_MS, 10);
		for (size_t k = 0; k < a.n; k++) {
			const struct due_message *due = &((const struct due_message *)a.rows)[k];

			(void)text_now(f, due->id);
			(void)siblings_now(f, due->id, NOW + DAY_MS, 10);
			for (size_t r = 0; r < due->recipients_n; r++)
				(void)settle_now(f, due->id, due->recipients[r].n, r % 2 ? RCPT_FAILED : RCPT_WAITING, NOW);
		}
	}
	for (uint64_t id = 100; id < 100 + MESSAGES; id++) {
		(void)show_now(f, id, 0, 100);
		(void)trace_now(f, id, 0, 100);
		(void)text_now(f, id);
	}
	(void)select_now(f, (struct selector){ 0 }, 0, 100);
	(void)found_now(f, (struct find){ .recipient = S("b@a.org") }, (struct find_place){ 0 }, 100);
	(void)found_now(f, (struct find){ .subject = S("subject") }, (struct find_place){ 0 }, 100);
	(void)summary_now(f, 0, 100);
	(void)unreported_now(f, KIND_FAILURE, NOW + DAY_MS, 100);
	(void)unreported_now(f, KIND_DELAY, NOW + DAY_MS, 100);
	(void)alter_now(f, (struct selector){ .user = S("alice") }, ALTER_HOLD);
	(void)alter_now(f, (struct selector){ 0 }, ALTER_RELEASE);
	(void)accept_now(f, m);
	(void)gates(f);
	(void)bans(f);
	(void)buckets(f);
	(void)prune_now(f, NOW + DAY_MS, 100);
}

/* In a process of its own. */
static void live_with(struct fixture *parent, struct str whole)
{
	struct fixture f = { .options = parent->options };

	(void)alarm(PATIENCE);
	(void)snprintf(f.dir, sizeof f.dir, "%s", parent->dir);
	f.options.state_dir = f.dir;
	if (uv_loop_init(&f.loop) != 0)
		_exit(98);
	damage(&f, whole);
	if (fixture_open(&f).class == OK) {
		ask_all(&f);
		fixture_close(&f);
	}
	_exit(odd > 0 ? 1 : 0);
}

static void nothing_that_it_reads_is_its_end(void **ctx)
{
	struct fixture *f = *ctx;
	const char *values = getenv("POSTHOUSE_VALUES"), *seed = getenv("POSTHOUSE_SEED");
	uint64_t n = values ? strtoull(values, NULL, 10) : 40, first = seed ? strtoull(seed, NULL, 10) : 1;
	struct str whole = make_database(f);
	unsigned told = 0, rows = 0;

	for (uint64_t i = first; i < first + n; i++) {
		int status = -1;
		pid_t child;

		(void)unlink(fixture_path(f, "queue.db-wal"));
		(void)unlink(fixture_path(f, "queue.db-shm"));
		fflush(NULL);
		child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			state = i;
			live_with(f, whole);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 1) {
			rows++;
			continue;
		}
		if (!WIFEXITED(status) ||
		    (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != EX_SOFTWARE && WEXITSTATUS(status) != EX_TEMPFAIL))
			fail_msg("seed %llu: %s %d", (unsigned long long)i, WIFEXITED(status) ? "code" : "signal",
				 WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
		told += WEXITSTATUS(status) != 0;
	}
	assert_true(told < n && rows > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_that_it_reads_is_its_end, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
