/* test_text_end.c - no text of a cluster's delivery ends behind the horizon. The first argument is the program. */
#include "harness.h"

#include "posthouse/clock.h"
#include "posthouse/metrics.h"

#include <sys/mman.h>
#include <unistd.h>

enum { EPOCH = 7, FAR_MS = 600000 };

static void say_horizon(struct world *w, uint64_t epoch, uint64_t boottime_ms)
{
	assert_true(ipc_send_horizon(w->queue, &(struct msg_horizon){ .epoch = epoch, .boottime_ms = boottime_ms }, -1));
}

static uint64_t far_ahead(void)
{
	return clock_boot_ms() + FAR_MS;
}

/* More than a narrow sink takes, and it still travels inside the message. */
static struct str long_text(struct world *w, size_t lines)
{
	struct buf b;
	struct str text;

	buf_init(&b, (size_t)8 << 20);
	buf_printf(&b, "Subject: long\r\n\r\n");
	for (size_t i = 0; i < lines; i++)
		buf_printf(&b, ".%05zu of a text that is longer than what the kernel has room for\r\n", i);
	text = arena_str(&w->arena, buf_view(&b));
	buf_fini(&b);
	return text;
}

static void on_looked_up(void *ctx, struct verdict v, const struct msg_looked_up *m, int fd)
{
	assert_non_null(m);
	++*(unsigned *)ctx;
}

/* All that queue has sent so far. */
static void let_it_read(struct world *w)
{
	unsigned answered = 0;

	ipc_call_look_up(w->queue, &(struct msg_look_up){ .route = S("upstream:hop") }, -1, on_looked_up, &answered);
	assert_true(run_until_count(w, &answered, 1));
}

/* An outcome that queue does not count as an attempt. */
static void expect_untried(struct result *r, unsigned i)
{
	expect(r, i, TEMP, 0, "", "");
	assert_int_equal(r->gate, 0);
}

/* The figure as `posthouse status` gets it. */
static uint64_t figure;
static unsigned answers;

static void on_stats(void *ctx, struct verdict v, const struct msg_stats_are *m, int fd)
{
	assert_non_null(m);
	for (size_t i = 0; i < m->stats.n; i++)
		if (m->stats.at[i].metric == METRIC_RELAY_HORIZON_CLOSED)
			figure = m->stats.at[i].value;
	answers++;
}

static void expect_closed(struct world *w, uint64_t n)
{
	static const struct ipc_handlers none;
	struct channel *console = connect_peer(w, ROLE_CONSOLE, &none);

	answers = 0;
	ipc_call_stats(console, &(struct msg_stats){ .role = ROLE_RELAY }, -1, on_stats, w);
	assert_true(run_until_count(w, &answers, 1));
	assert_int_equal(figure, n);
	channel_close(console, "end");
}

static void test_within(void **state)
{
	struct world *w = *state;

	w->sink.features = "PIPELINING";
	start(w);
	say_horizon(w, EPOCH, far_ahead());
	w->like.epoch = EPOCH;
	deliver(w, 1, "a@x perm@x");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	expect(result_of(w, 1), 1, PERM, 550, "5.1.1", "no such user");
	assert_true(str_eq(buf_view(&w->sink.text), S("Received: by us\r\nSubject: x\r\n\r\n.dot\r\n")));
	w->like.epoch = 0; /* no horizon is looked at */
	say_horizon(w, EPOCH, 1);
	deliver(w, 2, "a@x");
	expect(result_of(w, 2), 0, OK, 250, "2.0.0", "taken");
	expect_closed(w, 0);
}

/* Nothing said, another epoch, its time is over: what was refused at RCPT is refused, the others are untried. */
static void test_past(void **state)
{
	struct world *w = *state;
	struct result *r;

	w->sink.features = "PIPELINING";
	start(w);
	w->like.epoch = EPOCH;
	deliver(w, 1, "a@x");
	expect_untried(result_of(w, 1), 0);
	say_horizon(w, EPOCH + 1, far_ahead());
	deliver(w, 2, "a@x");
	expect_untried(result_of(w, 2), 0);
	say_horizon(w, EPOCH, 1);
	deliver(w, 3, "a@x perm@x b@x");
	r = result_of(w, 3);
	expect_untried(r, 0);
	expect(r, 1, PERM, 550, "5.1.1", "no such user");
	expect_untried(r, 2);
	assert_int_equal(w->sink.messages, 0);
	assert_int_equal(w->sink.datas, 3);
	assert_int_equal(w->sink.quits, 0);
	say_horizon(w, EPOCH, far_ahead());
	deliver(w, 4, "a@x");
	expect(result_of(w, 4), 0, OK, 250, "2.0.0", "taken");
	expect_closed(w, 3);
}

/* The kernel holds text that the next hop does not read: a dot behind it would leave when nobody looks any more. */
static void meet_deaf(struct world *w)
{
	sink_narrow(&w->sink);
	w->sink.deaf = true;
	start(w);
	say_horizon(w, EPOCH, far_ahead());
	w->like.epoch = EPOCH;
	deliver_to(w, 1, S("upstream:hop"), "a@x", long_text(w, 800), -1, 0);
	assert_true(run_until_count(w, &w->sink.unheard, 1)); /* relay has handed over all of it */
	say_horizon(w, EPOCH, 1);
	let_it_read(w);
	sink_hear(&w->sink);
	expect_untried(result_of(w, 1), 0);
	assert_int_equal(w->sink.messages, 0);
	expect_closed(w, 1);
}

static void test_deaf(void **state)
{
	struct world *w = *state;

	w->sink.features = "PIPELINING";
	meet_deaf(w);
}

static void test_deaf_tls(void **state)
{
	struct world *w = *state;

	use_tls(w, UPSTREAM_STARTTLS);
	meet_deaf(w);
}

static void test_deaf_chunks(void **state)
{
	struct world *w = *state;

	w->sink.features = "PIPELINING\nCHUNKING";
	meet_deaf(w);
	assert_int_equal(w->sink.last_chunks, 0);
}

/* It reads again in time. */
static void test_deaf_for_a_while(void **state)
{
	struct world *w = *state;
	struct str text = long_text(w, 800);

	sink_narrow(&w->sink);
	w->sink.deaf = true;
	start(w);
	say_horizon(w, EPOCH, far_ahead());
	w->like.epoch = EPOCH;
	deliver_to(w, 1, S("upstream:hop"), "a@x", text, -1, 0);
	assert_true(run_until_count(w, &w->sink.unheard, 1));
	sink_hear(&w->sink);
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	assert_true(str_eq(str_from(buf_view(&w->sink.text), 17), text));
}

/* The ordinary time limit holds while the end waits, and that was an attempt. */
static void test_deaf_for_ever(void **state)
{
	struct world *w = *state;

	w->config.delivery.timeouts.data_ms = 300;
	sink_narrow(&w->sink);
	w->sink.deaf = true;
	start(w);
	say_horizon(w, EPOCH, far_ahead());
	w->like.epoch = EPOCH;
	deliver_to(w, 1, S("upstream:hop"), "a@x", long_text(w, 800), -1, 0);
	expect(result_of(w, 1), 0, TEMP, 421, "4.4.2", "no answer in time at text");
	assert_int_equal(w->sink.messages, 0);
}

/* A file, and several chunks: the last one is small. */
static void test_chunks(void **state)
{
	struct world *w = *state;
	struct str text = long_text(w, 40000);
	int fd = memfd_create("text", MFD_CLOEXEC);

	assert_int_equal(write(fd, text.p, text.n), text.n);
	w->sink.features = "PIPELINING\nCHUNKING";
	start(w);
	say_horizon(w, EPOCH, far_ahead());
	w->like.epoch = EPOCH;
	deliver_to(w, 1, S("upstream:hop"), "a@x", S(""), fd, text.n);
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	assert_true(str_eq(str_from(buf_view(&w->sink.text), 17), text));
	assert_int_equal(w->sink.last_chunks, 1);
	say_horizon(w, EPOCH, 1);
	deliver_to(w, 2, S("upstream:hop"), "a@x", S(""), fd, text.n);
	expect_untried(result_of(w, 2), 0);
	assert_int_equal(w->sink.last_chunks, 1);
	deliver(w, 3, "a@x"); /* by one chunk alone: it is the last one */
	expect_untried(result_of(w, 3), 0);
	assert_int_equal(w->sink.last_chunks, 1);
	assert_int_equal(w->sink.messages, 1);
	close(fd);
}

/* The next hop refuses the text, or hangs up, while the end waits. */
static void test_lost_while_waiting(void **state)
{
	struct world *w = *state;

	w->sink.features = "PIPELINING\nCHUNKING";
	w->sink.refuse_chunk = 1;
	start(w);
	say_horizon(w, EPOCH, far_ahead());
	w->like.epoch = EPOCH;
	deliver_to(w, 1, S("upstream:hop"), "a@x", long_text(w, 800), -1, 0);
	expect(result_of(w, 1), 0, PERM, 552, "5.3.4", "enough");
	w->sink.refuse_chunk = 0;
	w->sink.features = "PIPELINING";
	sink_narrow(&w->sink);
	w->sink.deaf = true;
	deliver_to(w, 2, S("upstream:hop"), "a@x", long_text(w, 800), -1, 0);
	assert_true(run_until_count(w, &w->sink.unheard, 1));
	sink_hang_up(&w->sink);
	expect(result_of(w, 2), 0, TEMP, 421, "4.4.2", "connection lost at text");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		RELAY_TEST(test_within),        RELAY_TEST(test_past),        RELAY_TEST(test_deaf),
		RELAY_TEST(test_deaf_tls),      RELAY_TEST(test_deaf_chunks), RELAY_TEST(test_deaf_for_a_while),
		RELAY_TEST(test_deaf_for_ever), RELAY_TEST(test_chunks),      RELAY_TEST(test_lost_while_waiting)
	};

	if (argc < 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
