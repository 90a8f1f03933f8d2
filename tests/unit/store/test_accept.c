/* test_accept.c - accepting: idempotence, batches, order, large files, bounds. */
#include "engine_under_test.h"

#include <fcntl.h>
#include <sys/stat.h>

static void accepts_and_counts(void **state)
{
	struct fixture *f = *state;
	struct store_stats stats;
	struct answer text;

	assert_int_equal(accept_to(f, 100, "b@x.org c@Y.org d@y.ORG").class, OK);
	stats = stats_now(f);
	assert_int_equal(stats.open_messages, 1);
	assert_int_equal(stats.waiting, 3);
	assert_int_equal(engine_lanes(f), 2);
	assert_int_equal(stats.accepted, 1);
	assert_str(events(f, 100), "mail.accepted");
	text = text_now(f, 100);
	assert_str(text.text, "Subject: x\r\n\r\nhello\r\n");
	assert_int_equal(text.fd, -1);
	fixture_reopen(f);
	store_stats(f->st, &stats);
	assert_int_equal(stats.open_messages, 1);
	assert_int_equal(stats.waiting, 3);
	assert_int_equal(engine_lanes(f), 2);
	assert_int_equal(stats.accepted, 0);
}

static void same_again_is_ok(void **state)
{
	struct fixture *f = *state;
	struct accepted *m = message(f, 100, "b@x.org"), *other = message(f, 100, "b@x.org");
	struct answer a[3] = { { .f = f }, { .f = f }, { .f = f } };

	other->token++;
	store_accept(f->st, m, on_done, &a[0]); /* all in one batch */
	store_accept(f->st, m, on_done, &a[1]);
	store_accept(f->st, other, on_done, &a[2]);
	for (int i = 0; i < 3; i++)
		answer_wait(f, &a[i]);
	assert_int_equal(a[0].v.class, OK);
	assert_int_equal(a[1].v.class, OK);
	assert_int_equal(a[2].v.class, PERM);
	fixture_reopen(f);
	assert_int_equal(accept_now(f, m).class, OK);
	assert_int_equal(accept_now(f, other).class, PERM);
	assert_int_equal(stats_now(f).open_messages, 1);
	assert_int_equal(stats_now(f).waiting, 1);
	assert_int_equal(settle_now(f, 100, 1, RCPT_DELIVERED, 0).class, OK);
	assert_int_equal(accept_now(f, m).class, OK); /* also when it is finished */
	assert_int_equal(stats_now(f).open_messages, 0);
}

static void malformed_is_refused(void **state)
{
	struct fixture *f = *state;
	struct accepted *none = message(f, 100, ""), *size = message(f, 101, "b@x.org"), *zero = message(f, 0, "b@x.org");

	size->size++;
	assert_int_equal(accept_now(f, none).class, PERM);
	assert_int_equal(accept_now(f, size).class, PERM);
	assert_int_equal(accept_now(f, zero).class, PERM);
	assert_int_equal(stats_now(f).open_messages, 0);
}

static void one_cannot_fail_its_neighbours(void **state)
{
	struct fixture *f = *state;
	uint64_t id = 100;

	for (unsigned k = 0; k < ENGINE_FAILURES; k++) {
		struct answer a[20];

		engine_fail_bad(f, k);
		for (size_t i = 0; i < 20; i++) {
			struct accepted *m = message(f, id + i, "b@x.org c@y.org");

			if (i == 7)
				m->event = S("bad");
			a[i] = (struct answer){ .f = f };
			store_accept(f->st, m, on_done, &a[i]);
		}
		for (size_t i = 0; i < 20; i++) {
			answer_wait(f, &a[i]);
			assert_int_equal(a[i].v.class, i == 7 ? TEMP : OK);
		}
		assert_int_equal(a[7].v.code, 451);
		assert_int_equal(show_now(f, id + 7, 0, 1).v.class, PERM);
		id += 20;
		assert_int_equal(stats_now(f).open_messages, 19 * (k + 1));
		assert_int_equal(stats_now(f).waiting, 38 * (k + 1));
		assert_int_equal(engine_lanes(f), 2);
	}
}

static void operations_on_one_message_keep_their_order(void **state)
{
	struct fixture *f = *state;
	struct accepted *m = message(f, 100, "b@x.org"), *other = message(f, 101, "b@x.org");
	struct outcome o = { .id = 100, .n = 1, .state = RCPT_DELIVERED, .at = NOW };
	struct answer a[5] = { { .f = f }, { .f = f }, { .f = f }, { .f = f }, { .f = f } };

	store_accept(f->st, m, on_done, &a[0]);
	store_text(f->st, 100, on_text, &a[1]);
	store_settle(f->st, &o, 1, on_done, &a[2]); /* a result goes before accepts, but not before this message's */
	store_show(f->st, 100, 0, 10, on_show, &a[3]);
	store_accept(f->st, other, on_done, &a[4]);
	for (int i = 0; i < 5; i++)
		answer_wait(f, &a[i]);
	assert_int_equal(a[1].v.class, OK);
	assert_str(a[1].text, "Subject: x\r\n\r\nhello\r\n");
	assert_int_equal(a[2].v.class, OK);
	assert_int_equal(((const struct recipient_row *)a[3].rows)[0].state, RCPT_DELIVERED);
	assert_true(a[0].order < a[1].order && a[1].order < a[2].order && a[2].order < a[3].order);
}

/* Create a large message's file and write `size` bytes. */
static void write_large(struct fixture *f, uint64_t id, size_t size)
{
	struct answer a = create_now(f, id, size);
	char *bytes = arena_alloc(&f->arena, size + 1);

	assert_int_equal(a.v.class, OK);
	memset(bytes, 'x', size);
	assert_int_equal(write(a.fd, bytes, size), size);
	assert_int_equal(close(a.fd), 0);
}

static struct accepted *large(struct fixture *f, uint64_t id, size_t size)
{
	struct accepted *m = message(f, id, "b@x.org");

	m->place = PLACE_FILE;
	m->text = S("");
	m->size = size;
	return m;
}

static char *large_path(struct fixture *f, uint64_t id)
{
	char name[ID_TEXT_MAX];

	return fixture_path(f, arena_cstr(&f->arena, arena_printf(&f->arena, "large/%s", id_format(id, name))));
}

static void large_files(void **state)
{
	struct fixture *f = *state;
	struct answer text;
	struct stat st;

	write_large(f, 100, 100000);
	assert_int_equal(stat(large_path(f, 100), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(create_now(f, 100, 1).v.class, PERM);
	assert_int_equal(accept_now(f, large(f, 100, 99999)).class, TEMP); /* not the announced size */
	assert_int_equal(accept_now(f, large(f, 100, 100000)).class, OK);
	assert_int_equal(accept_now(f, large(f, 100, 100000)).class, OK);
	assert_int_equal(accept_now(f, large(f, 101, 5)).class, TEMP); /* no file */
	store_spool_drop(f->st, 100);                                  /* no longer to be dropped */
	text = text_now(f, 100);
	assert_int_equal(text.v.class, OK);
	assert_int_equal(fstat(text.fd, &st), 0);
	assert_int_equal(st.st_size, 100000);
	assert_int_equal(fcntl(text.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(close(text.fd), 0);
	assert_int_equal(settle_now(f, 100, 1, RCPT_DELIVERED, 0).class, OK);
	(void)stats_now(f);
	assert_int_equal(access(large_path(f, 100), F_OK), -1);

	write_large(f, 102, 10);
	assert_int_equal(link(large_path(f, 102), fixture_path(f, "second")), 0);
	assert_int_equal(accept_now(f, large(f, 102, 10)).class, TEMP); /* two links */
	store_spool_drop(f->st, 102);
	(void)stats_now(f);
	assert_int_equal(access(large_path(f, 102), F_OK), -1);
}

static void orphans_are_collected(void **state)
{
	struct fixture *f = *state;

	if (!engine_has_files)
		return;
	write_large(f, 100, 10);
	write_large(f, 101, 10);
	assert_int_equal(accept_now(f, large(f, 101, 10)).class, OK);
	fixture_close(f);
	usleep(30000); /* the file system's clock ticks slowly */
	assert_int_equal(fixture_open(f).class, OK);
	write_large(f, 103, 10);
	for (int i = 0; i < 20000 && access(large_path(f, 100), F_OK) == 0; i++) {
		(void)stats_now(f);
		usleep(1000);
	}
	assert_int_equal(access(large_path(f, 100), F_OK), -1);
	assert_int_equal(access(large_path(f, 101), F_OK), 0);
	assert_int_equal(access(large_path(f, 103), F_OK), 0);
	assert_int_equal(accept_now(f, large(f, 100, 10)).class, TEMP);
	write_large(f, 100, 10); /* submitted again: a new file under the same id */
	assert_int_equal(accept_now(f, large(f, 100, 10)).class, OK);
}

static void a_file_of_an_earlier_life_is_not_accepted(void **state)
{
	struct fixture *f = *state;

	write_large(f, 100, 10);
	fixture_reopen(f);
	assert_int_equal(accept_now(f, large(f, 100, 10)).class, TEMP);
}

static void a_missing_file_is_held(void **state)
{
	struct fixture *f = *state;
	struct answer a;

	if (!engine_has_files)
		return;
	write_large(f, 100, 10);
	write_large(f, 101, 10);
	assert_int_equal(accept_now(f, large(f, 100, 10)).class, OK);
	assert_int_equal(accept_now(f, large(f, 101, 10)).class, OK);
	assert_int_equal(truncate(large_path(f, 101), 9), 0);
	assert_int_equal(text_now(f, 101).v.class, TEMP);
	a = show_now(f, 101, 0, 10);
	assert_str(a.message->held, "large file missing or damaged");
	assert_int_equal(text_now(f, 101).v.class, PERM); /* nobody waits for it: a report can be made without */
	fixture_close(f);
	assert_int_equal(unlink(large_path(f, 100)), 0);
	assert_int_equal(fixture_open(f).class, OK);
	for (int i = 0; i < 20000 && (a = show_now(f, 100, 0, 10)).message->held.n == 0; i++)
		usleep(1000);
	assert_str(a.message->held, "large file missing or damaged");
	assert_int_equal(((const struct recipient_row *)a.rows)[0].state, RCPT_HELD);
	assert_str(events(f, 100), "mail.accepted mail.held");
	assert_int_equal(stats_now(f).held, 2);
	assert_int_equal(lanes_now(f, NOW, 10).n, 0);
}

static void bounds(void **state)
{
	struct fixture *f = *state;
	struct verdict v;

	assert_int_equal(accept_to(f, 100, "b@x.org").class, OK);
	store_set_limits(f->st, 1, 1);
	v = accept_to(f, 101, "b@x.org");
	assert_int_equal(v.code, 452);
	assert_str(v.enhanced, "4.3.1");
	assert_int_equal(accept_to(f, 100, "b@x.org").class, OK); /* it is there already */

	store_set_limits(f->st, UINT64_MAX / 2, 10);
	v = accept_to(f, 101, "b@x.org");
	assert_int_equal(v.code, 452);
	assert_int_equal(accept_to(f, 100, "b@x.org").class, OK);
	assert_true(stats_now(f).full);
	v = create_now(f, 102, 10).v;
	assert_int_equal(v.code, 452);
	assert_int_equal(lanes_now(f, NOW, 10).n, 1); /* what is there still goes out */
	assert_int_equal(settle_now(f, 100, 1, RCPT_DELIVERED, 0).class, OK);

	store_set_limits(f->st, 1, 10);
	assert_int_equal(accept_to(f, 101, "b@x.org").class, OK);
	assert_false(stats_now(f).full);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		CASE(accepts_and_counts),
		CASE(same_again_is_ok),
		CASE(malformed_is_refused),
		CASE(one_cannot_fail_its_neighbours),
		CASE(operations_on_one_message_keep_their_order),
		CASE(large_files),
		CASE(orphans_are_collected),
		CASE(a_file_of_an_earlier_life_is_not_accepted),
		CASE(a_missing_file_is_held),
		CASE(bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
