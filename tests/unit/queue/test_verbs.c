/* test_verbs.c - the console's further orders: mail is returned, sent another way, counted, exported and imported. */
#include "stored.h"

#include <sys/mman.h>
#include <unistd.h>

static struct cfg_upstream upstreams[] = { { .name = { "isp", 3 }, .host = { "127.0.0.1", 9 }, .connections = 2 },
					   { .name = { "backup", 6 }, .host = { "127.0.0.1", 9 }, .connections = 2 } };

static int setup(void **state)
{
	struct harness *h = harness_new();

	h->config.upstreams = upstreams;
	h->config.upstreams_n = 2;
	queue_ops.apply(harness_role());
	connect_submission(h);
	connect_relay(h);
	connect_console(h);
	*state = h;
	return 0;
}

static void on_altered(void *ctx, struct verdict v, const struct msg_queue_altered *m, int fd)
{
	struct harness *h = ctx;

	assert_non_null(m);
	h->in_flight = m->in_flight;
	harness_keep(h, m->verdict, m->count, m->cursor);
}

static void alter(struct harness *h, enum alter operation, uint64_t id, const char *via)
{
	struct msg_queue_alter m = { .operation = operation, .id = id, .reason = S("test"), .via = str_of(via) };
	size_t before = h->answers_n;

	ipc_call_queue_alter(h->console, &m, -1, on_altered, h);
	UNTIL(h, h->answers_n > before);
}

/* What is returned gets a report as any failure does; what relay has at the moment is called back first. */
static void test_bounce(void **state)
{
	struct harness *h = *state;

	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	UNTIL(h, h->deliveries_n == 1);
	alter(h, ALTER_BOUNCE, 1, "");
	assert_int_equal(h->answer.class, OK);
	assert_int_equal(h->in_flight, 1);
	UNTIL(h, h->deliveries[0].withdrawn);
	answer(h, &h->deliveries[0], temp(0, S(""), S("withdrawn")));
	UNTIL(h, stored_event(1, "mail.reported", "to=a@example.org recipients=1"));
	assert_int_equal(recipient(1, 1)->state, RCPT_BOUNCED);
	assert_true(stored_event(1, "mail.bounced", "after the delivery that was in flight"));
	UNTIL(h, h->deliveries_n == 2);
	assert_true(str_search(h->deliveries[1].text, S("Action: failed")) < h->deliveries[1].text.n);
	assert_true(str_search(h->deliveries[1].text, S("Status: 5.3.0")) < h->deliveries[1].text.n);
	assert_true(str_search(h->deliveries[1].text, S("returned by the administrator: test")) < h->deliveries[1].text.n);
}

/* "backup" is in no route. */
static void test_reroute(void **state)
{
	struct harness *h = *state;

	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	answer_gate(h, delivery_number(h, 1), "connection refused");
	UNTIL(h, h->deliveries[0].settled);
	alter(h, ALTER_REROUTE, 1, "nowhere");
	assert_int_equal(h->answer.class, PERM);
	alter(h, ALTER_REROUTE, 1, "backup");
	assert_int_equal(h->rows_n, 1);
	UNTIL(h, h->deliveries_n == 2); /* although the only route is closed */
	assert_true(str_eq(h->deliveries[1].route, S("upstream:backup")));
	answer(h, &h->deliveries[1], temp(451, S("4.7.1"), S("later")));
	UNTIL(h, h->deliveries[1].settled);
	/* It stays so over a restart. */
	h = *state = harness_again(h, fake_now + 3600000);
	h->config.upstreams = upstreams;
	h->config.upstreams_n = 2;
	queue_ops.apply(harness_role());
	connect_console(h);
	connect_relay(h);
	UNTIL(h, h->deliveries_n == 1);
	assert_true(str_eq(h->deliveries[0].route, S("upstream:backup")));
	answer(h, &h->deliveries[0], temp(451, S("4.7.1"), S("later")));
	UNTIL(h, h->deliveries[0].settled);
	/* An upstream that the configuration does not have any more is waited for; and default undoes it. */
	h->config.upstreams_n = 1;
	queue_ops.apply(harness_role());
	advance(h, 3600000);
	run_quiet(h);
	assert_int_equal(h->deliveries_n, 1);
	assert_int_equal(recipient(1, 1)->state, RCPT_WAITING);
	alter(h, ALTER_REROUTE, 1, "");
	UNTIL(h, h->deliveries_n == 2);
	assert_true(str_eq(h->deliveries[1].route, S("upstream:isp")));
}

static void test_reroute_to_mx(void **state)
{
	struct harness *h = *state;

	submit_and_wait(h, 1, "a@example.org", "b@x.example c@y.example");
	answer_gate(h, delivery_number(h, 1), "connection refused");
	UNTIL(h, h->deliveries[0].settled);
	alter(h, ALTER_REROUTE, 0, "mx");
	UNTIL(h, h->deliveries_n == 3);
	assert_true(str_starts(h->deliveries[1].route, S("mx:")));
	assert_true(str_starts(h->deliveries[2].route, S("mx:")));
}

/* Too large for the way that an administrator chose: it waits for another choice of his. */
static void test_reroute_too_large(void **state)
{
	static struct cfg_upstream small[2];
	struct harness *h = *state;

	memcpy(small, upstreams, sizeof small);
	small[1].message_size = 10;
	h->config.upstreams = small;
	queue_ops.apply(harness_role());
	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	answer_gate(h, delivery_number(h, 1), "connection refused");
	UNTIL(h, h->deliveries[0].settled);
	alter(h, ALTER_REROUTE, 1, "backup");
	UNTIL(h, recipient(1, 1)->verdict.code == 451);
	run_quiet(h);
	assert_int_equal(recipient(1, 1)->state, RCPT_WAITING);
	assert_int_equal(h->deliveries_n, 1);
}

static void on_summed(void *ctx, struct verdict v, const struct msg_queue_summed *m, int fd)
{
	assert_non_null(m);
	for (size_t i = 0; i < m->rows.n; i++)
		assert_true(m->rows.at[i].recipients == 2 && m->rows.at[i].age0 == 2);
	harness_keep(ctx, m->verdict, m->rows.n, m->cursor);
}

static void test_summary(void **state)
{
	struct harness *h = *state;

	disconnect(h, &h->relay);
	submit_and_wait(h, 1, "a@example.org", "b@x.example c@x.example");
	submit_and_wait(h, 2, "a@example.org", "b@y.example c@y.example");
	h->answers_n = 0;
	ipc_call_queue_summary(h->console, &(struct msg_queue_summary){ 0 }, -1, on_summed, h);
	UNTIL(h, h->answers_n == 1);
	assert_int_equal(h->answer.class, OK);
	assert_int_equal(h->rows_n, 2);
}

/* ---- export and import ---- */

static struct str page;

static void on_text(void *ctx, struct verdict v, const struct msg_queue_text_is *m, int fd)
{
	struct harness *h = ctx;

	assert_non_null(m);
	page = arena_str(&h->arena, m->text);
	harness_keep(h, m->verdict, 0, m->cursor);
}

/* All pages. */
static struct str text_of(struct harness *h, uint64_t id, uint64_t form)
{
	struct msg_queue_text m = { .id = id, .form = form };
	struct str all = S("");

	do {
		size_t before = h->answers_n;

		ipc_call_queue_text(h->console, &m, -1, on_text, h);
		UNTIL(h, h->answers_n > before);
		all = arena_printf(&h->arena, "%.*s%.*s", STR_ARG(all), STR_ARG(page));
		m.cursor = h->rows_cursor;
	} while (m.cursor && h->answer.class == OK);
	return all;
}

static void on_imported(void *ctx, struct verdict v, const struct msg_queue_imported *m, int fd)
{
	assert_non_null(m);
	harness_keep(ctx, m->verdict, 0, 0);
}

static void import(struct harness *h, struct str text)
{
	int fd = memfd_create("import", MFD_CLOEXEC);
	size_t before = h->answers_n;

	assert_int_equal(write(fd, text.p, text.n), text.n);
	ipc_call_queue_import(h->console, &(struct msg_queue_import){ 0 }, fd, on_imported, h);
	close(fd);
	UNTIL(h, h->answers_n > before);
}

static void test_body(void **state)
{
	struct harness *h = *state;
	struct str text;

	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	UNTIL(h, h->deliveries_n == 1);
	text = text_of(h, 1, 0);
	assert_true(str_eq(
		text, arena_printf(&h->arena, "%.*s%.*s", STR_ARG(h->deliveries[0].prefix), STR_ARG(h->deliveries[0].text))));
	answer(h, &h->deliveries[0], ok_text(250, S(""), S("Ok")));
	UNTIL(h, h->deliveries[0].settled);
	text = text_of(h, 1, 0);
	assert_int_equal(text.n, 0);
	assert_int_equal(h->answer.class, PERM);
	assert_true(str_starts(h->answer.text, S("the message was finished at 2026-11-21")));
	(void)text_of(h, 7, 0);
	assert_int_equal(h->answer.class, PERM);
}

/* What is exported, removed and forgotten comes back as it was; what is here already does not come twice. */
static void test_export_and_import(void **state)
{
	struct harness *h = *state;
	struct accepted before;
	struct str text;

	h->envid = S("QQ314159");
	h->notify = 3;
	h->release_at = fake_now + 3600000;
	submit_and_wait(h, 0x120456, "a@example.org", "b@x.example c@y.example");
	alter(h, ALTER_REROUTE, 0x120456, "backup");
	before = *stored(0x120456);
	text = text_of(h, 0x120456, 1);
	assert_true(str_starts(text, S("Posthouse-Export: 1\r\n")));
	import(h, text);
	assert_int_equal(h->answer.class, OK);
	assert_int_equal(h->answer.code, 250);
	store_sql("UPDATE message SET token=token+1");
	import(h, text);
	assert_int_equal(h->answer.class, PERM); /* another message has its id */
	store_sql("UPDATE message SET token=token-1");
	alter(h, ALTER_REMOVE, 0x120456, "");
	import(h, text);
	assert_int_equal(h->answer.class, PERM);
	assert_true(str_starts(h->answer.text,
			       S("it is finished here, and was not imported again: 0 delivered, 0 failed, 2 removed")));
	store_sql("DELETE FROM message");
	store_sql("DELETE FROM recipient");
	store_sql("DELETE FROM event");
	import(h, text);
	assert_int_equal(h->answer.class, OK);
	assert_int_not_equal(h->answer.code, 250);
	assert_int_equal(stored(0x120456)->token, before.token);
	assert_int_equal(stored(0x120456)->expires_at, before.expires_at);
	assert_int_equal(stored(0x120456)->envelope.release_at, before.envelope.release_at);
	assert_true(str_eq(stored(0x120456)->envelope.envid, S("QQ314159")));
	assert_int_equal(recipient(0x120456, 2)->notify, 3);
	assert_int_equal(recipient(0x120456, 2)->due_at, before.envelope.release_at);
	assert_true(str_eq(text_of(h, 0x120456, 1), text));
	assert_true(stored_event(0x120456, "mail.accepted", "imported=\"by an administrator\""));
	assert_int_equal(h->deliveries_n, 0);
	advance(h, 3600001);
	UNTIL(h, h->deliveries_n == 1);
	assert_true(str_eq(h->deliveries[0].route, S("upstream:backup")));
}

/* A text that does not fit into a page, or into a row. */
static void test_large(void **state)
{
	struct harness *h = *state;
	char *bytes = arena_alloc(&h->arena, 200000);
	struct str head =
		S("Posthouse-Export: 1\r\nPosthouse-id: 0m5k2x7q9abcd\r\nPosthouse-token: 5\r\nPosthouse-login: alice\r\n"
		  "Posthouse-received-at: 1795289874000\r\nPosthouse-expires-at: 1795489874000\r\nPosthouse-priority: 9\r\n"
		  "Posthouse-sender: a@example.org\r\nPosthouse-recipient: b@x.example notify=0\r\n"
		  "Posthouse-text: 13 16 200000\r\nReceived: x\r\n");
	struct str text;

	memset(bytes, 'x', 200000);
	for (size_t i = 99; i < 200000; i += 100) {
		bytes[i - 1] = '\r';
		bytes[i] = '\n';
	}
	disconnect(h, &h->relay);
	text = arena_printf(&h->arena, "%.*s%.*s", STR_ARG(head), 200000, bytes);
	import(h, str_head(text, text.n - 100));
	assert_int_equal(h->answer.class, PERM);
	bytes[150] = '\n';
	import(h, arena_printf(&h->arena, "%.*s%.*s", STR_ARG(head), 200000, bytes));
	assert_int_equal(h->answer.class, PERM);
	run_quiet(h);
	assert_int_equal(store_files(), 0);
	import(h, text);
	assert_int_equal(h->answer.class, OK);
	assert_int_equal(store_files(), 1);
	assert_true(str_ends(text, text_of(h, stored_number("SELECT id FROM message"), 0)));
	assert_true(str_ends(text_of(h, stored_number("SELECT id FROM message"), 1), str_make(bytes + 200, 199800)));
	import(h, S("Subject: x\r\n\r\nhello\r\n"));
	assert_int_equal(h->answer.class, PERM);
	assert_true(str_starts(h->answer.text, S("line 1: ")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bounce, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_reroute, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_reroute_to_mx, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_reroute_too_large, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_summary, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_body, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_export_and_import, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_large, setup, harness_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
