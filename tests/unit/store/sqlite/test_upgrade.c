/* test_upgrade.c - a state directory as version 3 of the schema left it when it had run for a moment (version3.tar.gz): all that was in it is
 * there, and can be delivered, released and told of. */
#include "sql.h"

#include <sys/stat.h>

#define FINISHED "38h6hknay0000" /* delivered */
#define FAILED   "38h6hknja0000" /* to two: one has failed, which its sender was told; the other waits */
#define WAITING  "38h6hknjm0000" /* tried once */
#define HELD     "38h6hknjr0000" /* by an administrator, after its first attempt */
#define LARGE    "38h6hknjw0000" /* waits, tried once; its text is a file */

#define LARGE_SIZE 76676
#define LATER      4000000000000ull /* all that waits is due, whenever the test runs */

static uint64_t id_of(const char *text)
{
	uint64_t id;

	assert_true(id_parse(str_of(text), &id));
	return id;
}

static void unpack(struct fixture *f)
{
	struct str command = arena_printf(&f->arena, "rm -r %s/* && tar -xzf %s -C %s", f->dir, VERSION3_STATE, f->dir);

	fixture_close(f);
	assert_int_equal(system(arena_cstr(&f->arena, command)), 0);
}

static const struct recipient_row *recipient(struct fixture *f, const char *id, size_t i)
{
	struct answer a = show_now(f, id_of(id), 0, 10);

	assert_int_equal(a.v.class, OK);
	assert_true(i < a.n);
	return &((const struct recipient_row *)a.rows)[i];
}

static const struct message_row *row(struct fixture *f, const char *id)
{
	struct answer a = show_now(f, id_of(id), 0, 10);

	assert_int_equal(a.v.class, OK);
	assert_str(a.message->envelope.login, "alice@example.org");
	return a.message;
}

static void check_large_text(struct fixture *f)
{
	struct answer a = text_now(f, id_of(LARGE));
	char text[LARGE_SIZE];

	assert_int_equal(a.v.class, OK);
	assert_true(a.fd >= 0);
	assert_int_equal(read(a.fd, text, sizeof text), LARGE_SIZE);
	assert_int_equal(close(a.fd), 0);
	assert_true(str_ends(str_make(text, sizeof text), S("A line of a large message, which is all the same.\r\n")));
}

static void check_all(struct fixture *f)
{
	struct store_stats stats = stats_now(f);

	assert_int_equal(stats.open_messages, 4);
	assert_int_equal(stats.waiting, 3);
	assert_int_equal(stats.held, 1);
	assert_int_equal(stats.failed, 0);
	assert_str(fixture_sql(f, "PRAGMA integrity_check"), "ok");

	assert_true(row(f, FINISHED)->finished_at > 0);
	assert_int_equal(recipient(f, FINISHED, 0)->state, RCPT_DELIVERED);
	assert_str(events(f, id_of(FINISHED)), "mail.accepted delivery.sent");
	assert_int_equal(recipient(f, FAILED, 0)->state, RCPT_BOUNCED);
	assert_int_equal(recipient(f, FAILED, 0)->verdict.code, 550);
	assert_int_equal(recipient(f, FAILED, 1)->state, RCPT_WAITING);
	assert_str(events(f, id_of(FAILED)), "mail.accepted delivery.failed delivery.deferred mail.reported");
	assert_str(row(f, HELD)->held, "to be kept");
	assert_int_equal(recipient(f, HELD, 0)->state, RCPT_HELD);
	assert_int_equal(recipient(f, WAITING, 0)->attempts, 1);
	assert_str(row(f, WAITING)->reply, "451 4.7.1 Greylisted, come back");
	assert_true(str_ends(text_now(f, id_of(WAITING)).text, S("\r\n\r\nHello, Bob.\r\n")));
	assert_true(str_starts(row(f, WAITING)->prefix, S("Received: ")));
	check_large_text(f);
}

static void all_of_it_is_there(void **state)
{
	struct fixture *f = *state;

	unpack(f);
	for (int i = 0; i < 2; i++) { /* when it is brought forward, and later */
		assert_int_equal(fixture_open(f).class, OK);
		check_all(f);
		fixture_close(f);
	}
	assert_int_equal(fixture_open(f).class, OK);
}

static void all_of_it_can_be_used(void **state)
{
	struct fixture *f = *state;
	const struct due_message *m;
	struct answer a;

	unpack(f);
	assert_int_equal(fixture_open(f).class, OK);
	assert_int_equal(lanes_now(f, LATER, 10).n, 2);
	assert_int_equal(alter_now(f, (struct selector){ .id = id_of(HELD) }, ALTER_RELEASE).count, 1);
	a = lease_now(f, lane_of(f, "example.net"), LATER, 10);
	assert_int_equal(a.n, 3);
	m = a.rows;
	for (size_t i = 0; i < a.n; i++) {
		assert_str(m[i].envelope.sender, "alice@example.org");
		assert_str(m[i].envelope.sign_domain, "example.org");
		assert_int_equal(m[i].envelope.priority, PRIORITY_NORMAL);
		assert_int_equal(settle_now(f, m[i].id, m[i].recipients[0].n, RCPT_DELIVERED, 0).class, OK);
	}
	assert_int_equal(access(fixture_path(f, "large/" LARGE), F_OK), -1);
	assert_int_equal(settle_now(f, id_of(FAILED), 2, RCPT_FAILED, 0).class, OK);
	assert_int_equal(unreported_now(f, KIND_FAILURE, LATER, 10).n, 1);
	assert_int_equal(report_now(f, KIND_FAILURE, NULL, id_of(FAILED), (const uint64_t[]){ 2 }, 1).class, OK);
	assert_int_equal(stats_now(f).open_messages, 0);
	assert_int_equal(stats_now(f).lanes, 0);
	assert_true(prune_now(f, clock_now_ms() + 1, 100) > 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = { CASE(all_of_it_is_there), CASE(all_of_it_can_be_used) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
