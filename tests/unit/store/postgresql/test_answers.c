/* test_answers.c - the answer to each statement of each operation is lost: the operation was done once or not at all, and what is
 * promised is repeated until it is done. */
#include "../engine_under_test.h"

#include "cluster.h"
#include "proxy.h"
#include "repeated.h"

#define LONG_MS   (10 * 60 * 1000)
#define CHARGE_US 360000000ull
#define BEGIN_US  (NOW * 1000)

static uint64_t next_id = 100; /* each message is of one operation with one lost answer */

static const struct operation {
	const char *name;
	void (*prepare)(struct fixture *f, uint64_t id);
	void (*run)(struct fixture *f, uint64_t id); /* with an answer that is lost */
	void (*check)(struct fixture *f, uint64_t id);
	enum recipient_state state; /* afterwards */
	enum alter alter;
	const char *events; /* all of them */
} * op;                     /* under test */

/* ---- what is expected ---- */

/* The only recipient, and the history. */
static void assert_now(struct fixture *f, uint64_t id, enum recipient_state state, uint64_t attempts, const char *history)
{
	struct answer a = show_again(f, id);
	const struct recipient_row *r = a.rows;

	assert_int_equal(a.n, 1);
	assert_int_equal(r->state, state);
	assert_int_equal(r->attempts, attempts);
	assert_str(events(f, id), history);
}

/* Nothing of the message is left for the next one to meet. */
static void end(struct fixture *f, uint64_t id)
{
	static const uint64_t first = 1;

	(void)alter_again(f, id, ALTER_REMOVE); /* or its report ends it */
	assert_int_equal(report_now(f, KIND_FAILURE, NULL, id, &first, 1).class, OK);
	assert_int_equal(show_again(f, id).message->open, 0);
}

/* ---- accepts ---- */

static struct bucket_row *charge_of(struct fixture *f, uint64_t id)
{
	struct bucket_row *row = ARENA_NEW(&f->arena, struct bucket_row);

	*row = (struct bucket_row){ .key = arena_printf(&f->arena, "user:%llu", (unsigned long long)id),
				    .rule = S("messages 10/1h"),
				    .tat_us = BEGIN_US + CHARGE_US,
				    .cost_us = CHARGE_US,
				    .window_us = 10 * CHARGE_US,
				    .now_us = BEGIN_US,
				    .must_fit = true };
	return row;
}

static void begin_accept(struct fixture *f, struct answer *a, uint64_t id)
{
	struct accepted *m = message(f, id, "b@a.org");

	m->remember = true;
	m->charges = charge_of(f, id);
	m->charges_n = 1;
	*a = (struct answer){ .f = f };
	store_accept(f->st, m, on_done, a);
}

static void prepare_nothing(struct fixture *f, uint64_t id)
{
}

static void run_accept(struct fixture *f, uint64_t id)
{
	struct answer a;

	begin_accept(f, &a, id);
	answer_wait(f, &a);
	assert_int_equal(a.v.class, OK);
}

static void check_accepted(struct fixture *f, uint64_t id)
{
	assert_now(f, id, RCPT_WAITING, 0, "mail.accepted");
	assert_string_equal(store_rows(f, "SELECT (tat_us-%llu)/%llu FROM bucket WHERE key='user:%llu'", BEGIN_US, CHARGE_US,
				       (unsigned long long)id),
			    "1");
	end(f, id);
}

/* Three that are one batch. */
static void run_batch(struct fixture *f, uint64_t id)
{
	struct answer a[3];

	for (unsigned i = 0; i < 3; i++)
		begin_accept(f, &a[i], id + i);
	for (unsigned i = 0; i < 3; i++) {
		answer_wait(f, &a[i]);
		assert_int_equal(a[i].v.class, OK);
	}
}

static void check_batch(struct fixture *f, uint64_t id)
{
	for (unsigned i = 0; i < 3; i++)
		check_accepted(f, id + i);
	next_id += 2;
}

/* ---- takes and results ---- */

static void check_taken(struct fixture *f, uint64_t id)
{
	assert_string_equal(store_rows(f, "SELECT count(*) FROM taken WHERE message=%llu", (unsigned long long)id), "1");
	assert_int_equal(settle_now(f, id, 1, RCPT_DELIVERED, 0).class, OK);
	assert_now(f, id, RCPT_DELIVERED, 1, "mail.accepted recipient.settled");
}

static void prepare_siblings(struct fixture *f, uint64_t id)
{
	assert_int_equal(accept_to(f, id, "b@a.org c@b.org").class, OK);
	take_again(f, id);
}

static void run_siblings(struct fixture *f, uint64_t id)
{
	struct answer a;

	do
		a = siblings_now(f, id, LATER, 10);
	while (is_lost(f, &a) || a.n == 0);
}

static void check_siblings(struct fixture *f, uint64_t id)
{
	assert_int_equal(settle_now(f, id, 1, RCPT_DELIVERED, 0).class, OK);
	assert_int_equal(settle_now(f, id, 2, RCPT_DELIVERED, 0).class, OK);
	assert_int_equal(show_again(f, id).message->open, 0);
	assert_str(events(f, id), "mail.accepted recipient.settled recipient.settled");
}

static void prepare_taken(struct fixture *f, uint64_t id)
{
	run_accept(f, id);
	take_again(f, id);
}

static void run_result(struct fixture *f, uint64_t id)
{
	assert_int_equal(settle_now(f, id, 1, op->state, NOW + 10000).class, OK);
}

static void check_result(struct fixture *f, uint64_t id)
{
	assert_now(f, id, op->state, 1, "mail.accepted recipient.settled");
	end(f, id);
}

/* A delivery that was not tried, and says nothing. */
static void run_give_back(struct fixture *f, uint64_t id)
{
	struct outcome o = { .id = id, .n = 1, .state = RCPT_WAITING, .due_at = NOW, .at = NOW + 5 };
	struct answer a = { .f = f };

	settle_begin(f, &o, 1, &a);
	answer_wait(f, &a);
	assert_int_equal(a.v.class, OK);
}

/* Another node has taken it since, and given it back. */
static void prepare_late(struct fixture *f, uint64_t id)
{
	prepare_taken(f, id);
	(void)store_rows(
		f, "WITH t AS (DELETE FROM taken RETURNING message,n,lane) INSERT INTO due(message,n,lane,tried,due_at,take_no)"
		   " SELECT message,n,lane,false,0,nextval('take') FROM t"); /* gives no value */
}

/* ---- reports ---- */

static void prepare_failed(struct fixture *f, uint64_t id)
{
	prepare_taken(f, id);
	assert_int_equal(settle_now(f, id, 1, RCPT_FAILED, 0).class, OK);
	next_id++; /* the report's */
}

static void run_report(struct fixture *f, uint64_t id)
{
	static const uint64_t first = 1;
	struct accepted *m = message(f, id + 1, "a@example.org");

	m->kind = KIND_FAILURE;
	m->parent = id;
	m->envelope.sender = S("");
	assert_int_equal(report_now(f, KIND_FAILURE, m, id, &first, 1).class, OK);
}

static void check_reported(struct fixture *f, uint64_t id)
{
	assert_now(f, id, RCPT_BOUNCED, 1, "mail.accepted recipient.settled mail.reported");
	assert_now(f, id + 1, RCPT_WAITING, 0, "mail.accepted");
	end(f, id + 1);
}

/* ---- administration ---- */

static void prepare_held(struct fixture *f, uint64_t id)
{
	run_accept(f, id);
	assert_int_equal(alter_again(f, id, ALTER_HOLD).count, 1);
}

/* The answer is that of the call which did it. */
static void run_alter(struct fixture *f, uint64_t id)
{
	assert_int_equal(alter_again(f, id, op->alter).count, 1);
}

static void run_alter_in_flight(struct fixture *f, uint64_t id)
{
	assert_int_equal(alter_again(f, id, op->alter).in_flight, 1);
}

static void check_altered(struct fixture *f, uint64_t id)
{
	assert_now(f, id, op->state, 0, op->events);
	end(f, id);
}

static void check_in_flight(struct fixture *f, uint64_t id)
{
	assert_int_equal(settle_now(f, id, 1, RCPT_WAITING, 0).class, OK);
	assert_now(f, id, op->state, 1, op->events);
	if (op->alter == ALTER_BOUNCE)
		assert_str(((const struct recipient_row *)show_again(f, id).rows)->verdict.text,
			   "returned by the administrator: by \"root\"");
	end(f, id);
}

static void run_reroute(struct fixture *f, uint64_t id)
{
	struct answer a;

	do
		a = reroute_now(f, (struct selector){ .id = id }, "mx");
	while (is_lost(f, &a));
	assert_int_equal(a.count, 1);
}

static void check_rerouted(struct fixture *f, uint64_t id)
{
	assert_str(((const struct recipient_row *)show_again(f, id).rows)->via, "mx");
	check_altered(f, id);
}

/* ---- limits, bans, nodes ---- */

/* Nobody waits for it: it is written again when nobody knows, too much rather than too little. */
static void run_charge(struct fixture *f, uint64_t id)
{
	struct answer a = { .f = f };

	store_bucket_put(f->st, charge_of(f, id), 1, on_done, &a);
	answer_wait(f, &a);
	if (is_lost(f, &a))
		run_charge(f, id);
}

static void check_charged(struct fixture *f, uint64_t id)
{
	const char *times = store_rows(f, "SELECT (tat_us-%llu)/%llu FROM bucket WHERE key='user:%llu'", BEGIN_US, CHARGE_US,
				       (unsigned long long)id);

	assert_true(strcmp(times, "1") == 0 || strcmp(times, "2") == 0);
}

static void run_ban(struct fixture *f, uint64_t id)
{
	struct verdict v;

	do
		v = put_ban(f, "net:192.0.2.1", id, NOW, "guessing");
	while (v.class == TEMP);
}

static void check_banned(struct fixture *f, uint64_t id)
{
	assert_string_equal(store_rows(f, "SELECT count(*) FROM ban WHERE level=%llu", (unsigned long long)id), "1");
}

static void order(struct fixture *f, enum store_node_order what)
{
	struct answer a;

	do {
		a = (struct answer){ .f = f };
		store_node_order(f->st, what, 0, on_done, &a);
		answer_wait(f, &a);
	} while (is_lost(f, &a)); /* PERM: it was done before */
}

static void run_drain(struct fixture *f, uint64_t id)
{
	order(f, STORE_NODE_DRAIN);
}

static void check_drained(struct fixture *f, uint64_t id)
{
	assert_string_equal(store_rows(f, "SELECT state LIKE 'drain%%' AND epoch=2 FROM node"), "t");
	order(f, STORE_NODE_RESUME);
	assert_string_equal(store_rows(f, "SELECT state='up' AND epoch=2 FROM node"), "t");
}

/* ---- all of them ---- */

static const struct operation operations[] = {
	{ "accept", prepare_nothing, run_accept, check_accepted },
	{ "accept of three", prepare_nothing, run_batch, check_batch },
	{ "take", run_accept, take_again, check_taken },
	{ "take of siblings", prepare_siblings, run_siblings, check_siblings },
	{ "settle", prepare_taken, run_result, check_result, .state = RCPT_DELIVERED },
	{ "settle for a retry", prepare_taken, run_result, check_result, .state = RCPT_WAITING },
	{ "settle as held", prepare_taken, run_result, check_result, .state = RCPT_HELD },
	{ "give back", prepare_taken, run_give_back, check_accepted },
	{ "report", prepare_failed, run_report, check_reported },
	{ "late result", prepare_late, run_result, check_altered, RCPT_WAITING, .events = "mail.accepted delivery.late" },
	{ "hold", run_accept, run_alter, check_altered, RCPT_HELD, ALTER_HOLD, "mail.accepted mail.held" },
	{ "hold in flight", prepare_taken, run_alter, check_in_flight, RCPT_HELD, ALTER_HOLD,
	  "mail.accepted mail.held recipient.settled" },
	{ "release", prepare_held, run_alter, check_altered, RCPT_WAITING, ALTER_RELEASE,
	  "mail.accepted mail.held mail.released" },
	{ "retry", run_accept, run_alter, check_altered, RCPT_WAITING, ALTER_RETRY, "mail.accepted mail.retried" },
	{ "remove", run_accept, run_alter, check_altered, RCPT_REMOVED, ALTER_REMOVE, "mail.accepted mail.removed" },
	{ "bounce", run_accept, run_alter, check_altered, RCPT_FAILED, ALTER_BOUNCE, "mail.accepted mail.bounced" },
	{ "bounce in flight", prepare_taken, run_alter_in_flight, check_in_flight, RCPT_FAILED, ALTER_BOUNCE,
	  "mail.accepted recipient.settled mail.bounced" },
	{ "reroute", run_accept, run_reroute, check_rerouted, RCPT_WAITING, .events = "mail.accepted mail.rerouted" },
	{ "charge", prepare_nothing, run_charge, check_charged },
	{ "ban", prepare_nothing, run_ban, check_banned },
	{ "drain", prepare_nothing, run_drain, check_drained },
};

static void lose_each_answer(struct fixture *f)
{
	size_t lost = 0;

	for (bool cut = true; cut; lost += cut) {
		uint64_t id = next_id++;

		op->prepare(f, id);
		proxy_cut_before_answer(lost + 1);
		op->run(f, id);
		cut = proxy_has_cut();
		proxy_cut_before_answer(0);
		op->check(f, id);
	}
	print_message("# %s: %zu answers were lost\n", op->name, lost);
	assert_true(lost >= 4); /* BEGIN, what is to be done, COMMIT, and that all is said */
	engine_check(f);
}

/* The server goes away while the store is opened: it is tried again, and nobody is told of a database that cannot be used. */
static void lose_each_answer_at_the_start(struct fixture *f)
{
	size_t lost = 0;

	for (bool cut = true; cut; lost += cut) {
		fixture_close(f);
		proxy_cut_next_before_answer(lost + 1);
		fixture_begin_open(f);
		while (f->opened_n == 0)
			(void)uv_run(&f->loop, UV_RUN_ONCE);
		if (f->opened.class == PERM)
			fail_msg("%.*s", STR_ARG(f->opened.text));
		cut = proxy_has_cut();
		proxy_cut_next_before_answer(0);
	}
	assert_true(lost > 8);
}

static void each_answer_is_lost(void **state)
{
	struct fixture *f = *state;
	struct store_database d = *f->options.database;

	d.patience_ms = LONG_MS;
	d.connection = arena_str(&f->arena, str_of(proxy_start(cluster_directory(), "store")));
	f->options.database = &d;
	fixture_reopen(f);
	for (op = operations; op < operations + sizeof operations / sizeof operations[0]; op++)
		lose_each_answer(f);
	lose_each_answer_at_the_start(f);
	fixture_close(f);
	proxy_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_answer_is_lost, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
