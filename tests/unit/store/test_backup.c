/* test_backup.c - copies of the store while it works: what is in them, and what is not left of those that failed. */
#include "engine_under_test.h"

#include <dirent.h>
#include <sys/stat.h>

struct copied {
	struct fixture *f;
	bool done;
	struct verdict v;
	struct backup backup;
};

static void on_backup(void *ctx, struct verdict v, const struct backup *b)
{
	struct copied *c = ctx;

	assert_false(c->done);
	c->done = true;
	c->v = verdict_keep(&c->f->arena, v);
	c->backup = *b;
	c->backup.directory = arena_str(&c->f->arena, b->directory);
}

static void wait_for(struct copied *c)
{
	while (!c->done)
		(void)uv_run(&c->f->loop, UV_RUN_ONCE);
}

static struct copied backup_now(struct fixture *f, const char *name)
{
	struct copied c = { .f = f };

	store_backup(f->st, str_of(name), on_backup, &c);
	wait_for(&c);
	return c;
}

/* A message with a file of `size` bytes, all of which are `fill`. */
static void accept_large(struct fixture *f, uint64_t id, size_t size, char fill)
{
	struct accepted *m = message(f, id, "b@x.org");
	struct answer a = create_now(f, id, size);
	char *bytes = arena_alloc(&f->arena, size);

	memset(bytes, fill, size);
	assert_int_equal(a.v.class, OK);
	assert_int_equal(write(a.fd, bytes, size), size);
	assert_int_equal(close(a.fd), 0);
	m->place = PLACE_FILE;
	m->text = S("");
	m->size = size;
	assert_int_equal(accept_now(f, m).class, OK);
}

static void assert_large(struct fixture *f, uint64_t id, size_t size, char fill)
{
	struct answer a = text_now(f, id);
	char *bytes = arena_alloc(&f->arena, size + 1);

	assert_int_equal(a.v.class, OK);
	assert_int_equal(read(a.fd, bytes, size + 1), size);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(bytes[i], fill);
	assert_int_equal(close(a.fd), 0);
}

static size_t files_in(struct fixture *f, const char *name)
{
	DIR *d = opendir(fixture_path(f, name));
	struct dirent *entry;
	size_t n = 0;

	while (d && (entry = readdir(d)))
		n += entry->d_name[0] != '.';
	if (d)
		assert_int_equal(closedir(d), 0);
	return n;
}

/* Close the store, and open the one that is in the copy. */
static void open_copy(struct fixture *f, const struct copied *c)
{
	fixture_close(f);
	f->options.state_dir = arena_cstr(&f->arena, c->backup.directory);
	assert_int_equal(fixture_open(f).class, OK);
}

static void a_copy_has_everything(void **state)
{
	struct fixture *f = *state;
	struct copied c;
	struct stat st;

	assert_int_equal(accept_to(f, 100, "b@a.org c@b.org").class, OK);
	assert_int_equal(accept_to(f, 101, "b@a.org").class, OK);
	assert_int_equal(settle_now(f, 101, 1, RCPT_DELIVERED, 0).class, OK);
	accept_large(f, 200, 100000, 'x');
	assert_int_equal(put_ban(f, "ip:192.0.2.1", 1, NOW, "guesses").class, OK);
	c = backup_now(f, "one");
	assert_int_equal(c.v.class, OK);
	assert_int_equal(c.backup.messages, 2);
	assert_int_equal(c.backup.files, 1);
	assert_int_equal(c.backup.missing, 0);
	assert_true(c.backup.bytes > 100000);
	assert_true(str_ends(c.backup.directory, S("/backup/one")));
	assert_int_equal(files_in(f, "backup/one"), 2); /* the database and large */
	assert_int_equal(stat(fixture_path(f, "backup/one"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(stat(fixture_path(f, "backup/one/queue.db"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	/* What happens afterwards is not in it. */
	assert_int_equal(settle_now(f, 200, 1, RCPT_DELIVERED, 0).class, OK);
	assert_int_equal(accept_to(f, 102, "b@a.org").class, OK);
	assert_int_equal(files_in(f, "large"), 0);
	open_copy(f, &c);
	assert_int_equal(stats_now(f).open_messages, 2);
	assert_int_equal(show_now(f, 100, 0, 10).n, 2);
	assert_int_equal(show_now(f, 101, 0, 10).v.class, OK);
	assert_int_equal(show_now(f, 102, 0, 10).v.class, PERM);
	assert_str(bans(f), "ip:192.0.2.1 1 1700000000000 guesses");
	assert_large(f, 200, 100000, 'x');
	assert_int_equal(settle_now(f, 200, 1, RCPT_DELIVERED, 0).class, OK);
}

/* Each message of the copy that is not finished in it has its text. */
static void messages_end_during_a_copy(void **state)
{
	struct fixture *f = *state;
	enum { ROUNDS = 8, EACH = 20 };
	struct copied copies[ROUNDS] = { 0 };
	const char *first = f->options.state_dir;
	size_t waiting = 0;

	for (size_t i = 0; i < ROUNDS; i++) {
		uint64_t id = 1000 * (i + 1);

		for (uint64_t n = 0; n < EACH; n++)
			accept_large(f, id + n, 70000, (char)('a' + i));
		copies[i].f = f;
		store_backup(f->st, S(""), on_backup, &copies[i]); /* a name of this second */
		for (uint64_t n = 0; n < EACH; n++)
			assert_int_equal(settle_now(f, id + n, 1, RCPT_DELIVERED, 0).class, OK);
		wait_for(&copies[i]);
		if (copies[i].v.class == PERM) /* there is one of this second */
			copies[i] = backup_now(f, arena_cstr(&f->arena, arena_printf(&f->arena, "copy%zu", i)));
		assert_int_equal(copies[i].v.class, OK);
		assert_int_equal(copies[i].backup.missing, 0);
		assert_int_equal(files_in(f, "large"), 0);
	}
	for (size_t i = 0; i < ROUNDS; i++) {
		open_copy(f, &copies[i]);
		for (uint64_t id = 1000 * (i + 1); id < 1000 * (i + 1) + EACH; id++) {
			if (show_now(f, id, 0, 1).message->finished_at)
				continue;
			assert_large(f, id, 70000, (char)('a' + i));
			waiting++;
		}
	}
	print_message("# %zu messages waited at the moment of their copy\n", waiting);
	fixture_close(f);
	f->options.state_dir = first;
	assert_int_equal(fixture_open(f).class, OK);
}

static void names(void **state)
{
	static const char *const bad[] = { ".",        "..",
					   ".x",       "a/b",
					   "a b",      "x.part",
					   "\xc3\xa4", "12345678901234567890123456789012345678901234567890123456789012345" };
	struct fixture *f = *state;
	struct copied a = { .f = f }, b = { .f = f };

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(backup_now(f, bad[i]).v.code, 550);
	assert_int_equal(files_in(f, "backup"), 0);
	store_backup(f->st, S("x-1_2.3"), on_backup, &a);
	store_backup(f->st, S("other"), on_backup, &b);
	wait_for(&a);
	wait_for(&b);
	assert_int_equal(a.v.class, OK);
	assert_int_equal(b.v.class, TEMP);
	assert_int_equal(backup_now(f, "x-1_2.3").v.code, 550);
	assert_int_equal(backup_now(f, "other").v.class, OK);
	assert_int_equal(files_in(f, "backup"), 2);
}

static void make_unfinished(struct fixture *f)
{
	FILE *file;

	assert_int_equal(mkdir(fixture_path(f, "backup/old.part"), 0700), 0);
	assert_int_equal(mkdir(fixture_path(f, "backup/old.part/large"), 0700), 0);
	file = fopen(fixture_path(f, "backup/old.part/large/7"), "w");
	assert_non_null(file);
	assert_int_equal(fclose(file), 0);
}

static void what_was_interrupted_is_removed(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(backup_now(f, "whole").v.class, OK);
	make_unfinished(f);
	fixture_reopen(f);
	assert_int_equal(files_in(f, "backup"), 1);
	make_unfinished(f);
	assert_int_equal(backup_now(f, "next").v.class, OK);
	assert_int_equal(files_in(f, "backup"), 2);
}

static void a_close_ends_the_copy(void **state)
{
	struct fixture *f = *state;
	struct copied c = { .f = f };

	accept_large(f, 200, 70000, 'x');
	store_backup(f->st, S("one"), on_backup, &c);
	fixture_close(f);
	assert_true(c.done);
	assert_int_equal(files_in(f, "backup"), c.v.class == OK);
	assert_int_equal(fixture_open(f).class, OK);
	assert_large(f, 200, 70000, 'x');
}

static void without_room(void **state)
{
	struct fixture *f = *state;
	struct verdict v;

	store_set_limits(f->st, UINT64_MAX / 2, 1000000);
	v = backup_now(f, "one").v;
	assert_int_equal(v.code, 452);
	assert_true(str_search(v.text, S("queue.min_free")) < v.text.n);
	assert_int_equal(files_in(f, "backup"), 0);
	store_set_limits(f->st, 1, 1000000);
	assert_int_equal(backup_now(f, "one").v.class, OK);
}

static void a_lost_file_is_told(void **state)
{
	struct fixture *f = *state;
	char name[ID_TEXT_MAX];
	struct copied c;

	accept_large(f, 200, 70000, 'x');
	accept_large(f, 201, 70000, 'y');
	assert_int_equal(
		unlink(fixture_path(f, arena_cstr(&f->arena, arena_printf(&f->arena, "large/%s", id_format(200, name))))), 0);
	c = backup_now(f, "one");
	assert_int_equal(c.v.class, OK);
	assert_int_equal(c.backup.files, 1);
	assert_int_equal(c.backup.missing, 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_copy_has_everything),
		CASE(messages_end_during_a_copy),
		CASE(names),
		CASE(what_was_interrupted_is_removed),
		CASE(a_close_ends_the_copy),
		CASE(without_room),
		CASE(a_lost_file_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
