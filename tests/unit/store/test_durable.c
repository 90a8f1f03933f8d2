/* test_durable.c - what survives: kill -9 at random moments and at each crash point, a disk that fails, a close. */
#include "engine_under_test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#define FIRST_LIFE 1000000 /* ids of messages begin there in a new store */
#define IN_FLIGHT  64

/* ---- the child: accepts messages and tells each acknowledged id through a pipe; with `settle` it then delivers each ---- */

struct child {
	struct fixture f;
	int ack_fd;
	uint64_t next_id;
	bool settle;
};

struct job {
	struct child *child;
	struct accepted *m;
	struct new_recipient r;
	struct bucket_row charge;
	char address[40], key[40];
	struct outcome o;
};

static void start_job(struct job *j);

/* One record of the pipe: small enough to be atomic. */
static void tell(struct child *c, char what, uint64_t id)
{
	char record[16] = { what };

	memcpy(record + 8, &id, sizeof(id));
	if (write(c->ack_fd, record, sizeof(record)) != sizeof(record))
		_exit(3);
}

static void on_settled(void *ctx, struct verdict v)
{
	struct job *j = ctx;

	if (v.class != OK)
		_exit(4);
	tell(j->child, 's', j->m->id);
	start_job(j);
}

static void on_accepted(void *ctx, struct verdict v)
{
	struct job *j = ctx;

	if (v.class != OK)
		_exit(5);
	tell(j->child, 'a', j->m->id);
	if (!j->child->settle) {
		start_job(j);
		return;
	}
	j->o = (struct outcome){ .id = j->m->id, .n = 1, .state = RCPT_DELIVERED, .at = NOW };
	store_settle(j->child->f.st, &j->o, 1, on_settled, j);
}

static void start_job(struct job *j)
{
	j->m->id = j->child->next_id++;
	j->m->token = j->m->id * 3;
	(void)snprintf(j->address, sizeof(j->address), "b%llu@a.org", (unsigned long long)j->m->id);
	(void)snprintf(j->key, sizeof(j->key), "user:%llu", (unsigned long long)j->m->id);
	j->r = (struct new_recipient){ .address = str_of(j->address), .orcpt = S("") };
	j->charge = (struct bucket_row){ .key = str_of(j->key), .rule = S("messages 1/1h"), .tat_us = j->m->id };
	j->m->recipients = &j->r;
	j->m->charges = &j->charge;
	j->m->charges_n = 1;
	j->m->remember = true;
	store_accept(j->child->f.st, j->m, on_accepted, j);
}

_Noreturn static void run_child(struct fixture *parent, int ack_fd, uint64_t first_id, bool settle, const char *crash)
{
	struct child c = { .f = { .options = parent->options }, .ack_fd = ack_fd, .next_id = first_id, .settle = settle };
	struct job jobs[IN_FLIGHT];

	if (crash)
		(void)setenv("POSTHOUSE_CRASH", crash, 1);
	if (uv_loop_init(&c.f.loop) != 0 || fixture_open(&c.f).class != OK)
		_exit(2);
	for (size_t i = 0; i < IN_FLIGHT; i++) {
		jobs[i] = (struct job){ .child = &c, .m = message(&c.f, 1, "b@a.org") };
		start_job(&jobs[i]);
	}
	(void)uv_run(&c.f.loop, UV_RUN_DEFAULT);
	_exit(6);
}

/* Read what the child acknowledged, until it is dead; kill it after `after` records (0: it dies by itself). Returns the ids told. */
static size_t watch(int fd, pid_t pid, size_t after, uint64_t *accepted, uint64_t *settled, size_t max, size_t *settled_n)
{
	char record[16];
	size_t n = 0, records = 0;

	*settled_n = 0;
	while (read(fd, record, sizeof(record)) == sizeof(record)) {
		uint64_t id;

		memcpy(&id, record + 8, sizeof(id));
		if (record[0] == 'a' && n < max)
			accepted[n++] = id;
		if (record[0] == 's' && *settled_n < max)
			settled[(*settled_n)++] = id;
		if (++records == after)
			(void)kill(pid, SIGKILL);
	}
	return n;
}

static void on_bucket(void *ctx, struct verdict v, const struct bucket_row *rows, size_t n)
{
	struct answer *a = ctx;

	a->text = n > 0 ? arena_str(&a->f->arena, rows[0].key) : S("");
	a->count = n > 0 ? rows[0].tat_us : 0;
	a->done = true;
}

/* Does the message have its charge? */
static bool is_charged(struct fixture *f, uint64_t id)
{
	struct str key = arena_printf(&f->arena, "user:%llu", (unsigned long long)id);
	struct answer a = { .f = f };

	store_buckets(f->st, key, S(""), 1, on_bucket, &a);
	answer_wait(f, &a);
	return str_eq(a.text, key) && a.count == id;
}

/* Each message is stored with its charge and its known recipient, or without a trace: those that the child has acknowledged, and
 * those that it had begun. */
static void check_charges(struct fixture *f, uint64_t first_id, size_t acknowledged)
{
	static size_t stored; /* in all lives of this store; the first one has the id FIRST_LIFE */

	stored = first_id == FIRST_LIFE ? 0 : stored;
	for (uint64_t id = first_id; id < first_id + acknowledged + 2 * IN_FLIGHT; id++) {
		bool is_stored = show_now(f, id, 0, 1).v.class == OK;

		assert_int_equal(is_charged(f, id), is_stored);
		stored += is_stored;
	}
	assert_int_equal(engine_known(f, "alice", 0), stored);
}

/* One life of the child, and the check of what it left. */
static void life(struct fixture *f, uint64_t first_id, bool settle, const char *crash, size_t after)
{
	static uint64_t accepted[200000], settled[200000];
	size_t n, settled_n;
	int fds[2], status;
	pid_t pid;

	fixture_close(f);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(fds[0]);
		run_child(f, fds[1], first_id, settle, crash);
	}
	(void)close(fds[1]);
	n = watch(fds[0], pid, after, accepted, settled, 200000, &settled_n);
	(void)close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	assert_int_equal(fixture_open(f).class, OK);
	engine_check(f);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(show_now(f, accepted[i], 0, 1).v.class, OK);
	for (size_t i = 0; i < settled_n; i++)
		assert_int_equal(show_now(f, settled[i], 0, 1).message->open, 0);
	check_charges(f, first_id, n);
	/* The counters, which start from what is on the disk, agree with it. */
	assert_int_equal(stats_now(f).open_messages, stats_now(f).waiting);
}

static void killed_at_random(void **state)
{
	static const size_t after[] = { 1, 50, 333, 1000, 2500 };

	for (size_t i = 0; i < (engine_has_files ? 5 : 3); i++) { /* a server needs longer for each message that is looked at */
		life(*state, (i + 1) * FIRST_LIFE, false, NULL, after[i]);
		life(*state, (i + 1) * FIRST_LIFE + 500000, true, NULL, after[i]);
	}
}

static void killed_at_crash_points(void **state)
{
#ifdef POSTHOUSE_CRASH_POINTS
	static const char *const points[] = { "store.before_commit:1",          "store.before_commit:7",
					      "store.after_commit:1",           "store.after_commit:7",
					      "store.before_accept_callback:1", "store.before_accept_callback:100",
					      "store.after_settle_commit:1",    "store.after_settle_commit:5" };

	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		life(*state, (i + 1) * FIRST_LIFE, true, points[i], 0);
#else
	(void)state;
	skip();
#endif
}

/* Run one child with a store of its own; returns its wait status. */
static int child_status(struct fixture *f, void (*run)(struct fixture *own))
{
	int status = 0;
	pid_t pid;

	fixture_close(f);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct fixture own = { .options = f->options };

		(void)snprintf(own.dir, sizeof(own.dir), "%s", f->dir);
		if (uv_loop_init(&own.loop) != 0)
			_exit(2);
		run(&own);
		_exit(3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static bool is_of_engine(const char *path)
{
	for (const char *const *name = engine_under_test->files; *name; name++)
		if (str_ends(str_of(path), str_of(*name)))
			return true;
	return false;
}

/* The descriptors of the engine's files are replaced by such as cannot be written: an input/output error as far as it can see. */
static void lose_the_disk(struct fixture *own)
{
	char path[64], target[256];

	if (fixture_open(own).class != OK || accept_to(own, 100, "b@a.org").class != OK)
		_exit(4);
	for (int fd = 3; fd < 200; fd++) {
		ssize_t n;

		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = 0;
		if (is_of_engine(target))
			(void)dup2(open("/dev/null", O_RDONLY), fd);
	}
	(void)accept_to(own, 101, "b@a.org"); /* no answer comes */
}

static void an_input_output_error_ends_the_process(void **state)
{
	struct fixture *f = *state;
	int status;

	if (!engine_has_files)
		return;
	status = child_status(f, lose_the_disk);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 70);
	assert_int_equal(fixture_open(f).class, OK);
	assert_int_equal(show_now(f, 100, 0, 1).v.class, OK);
	assert_int_equal(show_now(f, 101, 0, 1).v.class, PERM);
}

#ifdef POSTHOUSE_CRASH_POINTS
/* A large message is delivered, and the process dies between its row and its file. */
static void die_before_unlink(struct fixture *own)
{
	struct accepted *m = message(own, 100, "b@a.org");
	struct answer a;

	(void)setenv("POSTHOUSE_CRASH", "store.before_unlink:1", 1);
	if (fixture_open(own).class != OK)
		_exit(4);
	a = create_now(own, 100, 5);
	m->place = PLACE_FILE;
	m->size = 5;
	if (write(a.fd, "12345", 5) != 5 || close(a.fd) != 0 || accept_now(own, m).class != OK)
		_exit(5);
	(void)settle_now(own, 100, 1, RCPT_DELIVERED, 0);
}
#endif

static void a_file_left_behind_is_collected(void **state)
{
#ifdef POSTHOUSE_CRASH_POINTS
	struct fixture *f = *state;
	char name[ID_TEXT_MAX], *path;
	int status;

	if (!engine_has_files)
		return;
	status = child_status(f, die_before_unlink);
	path = fixture_path(f, arena_cstr(&f->arena, arena_printf(&f->arena, "large/%s", id_format(100, name))));
	assert_true(WIFSIGNALED(status));
	assert_int_equal(access(path, F_OK), 0);
	usleep(30000);
	assert_int_equal(fixture_open(f).class, OK);
	assert_int_equal(show_now(f, 100, 0, 1).message->open, 0);
	for (int i = 0; i < 20000 && access(path, F_OK) == 0; i++)
		usleep(1000);
	assert_int_equal(access(path, F_OK), -1);
#else
	(void)state;
	skip();
#endif
}

/* ---- closing ---- */

static void closing_drains(void **state)
{
	struct fixture *f = *state;
	struct answer a[100], closed = { .f = f };

	for (size_t i = 0; i < 100; i++) {
		a[i] = (struct answer){ .f = f };
		store_accept(f->st, message(f, 100 + i, "b@a.org"), on_done, &a[i]);
	}
	store_close(f->st, on_done, &closed);
	answer_wait(f, &closed);
	f->st = NULL;
	for (size_t i = 0; i < 100; i++) {
		assert_true(a[i].done);
		assert_int_equal(a[i].v.class, OK);
		assert_true(a[i].order < closed.order);
	}
	assert_int_equal(fixture_open(f).class, OK);
	assert_int_equal(stats_now(f).open_messages, 100);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		CASE(killed_at_random),
		CASE(killed_at_crash_points),
		CASE(an_input_output_error_ends_the_process),
		CASE(a_file_left_behind_is_collected),
		CASE(closing_drains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
