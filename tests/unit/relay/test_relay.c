/* test_relay.c - the relay role alone: the real process, with master, queue and vault played here and next hops on loopback.
 * The first argument is the program. */
#include "../net/fixture.h"
#include "sink.h"

#include "posthouse/ipc.h"
#include "posthouse/smtp_server.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *program;

struct result {
	uint64_t lease;
	unsigned n;
	struct verdict verdicts[8];
	uint64_t numbers[8];
	bool gate;
	struct str reason, remote, tls, transcript;
};

struct world {
	uv_loop_t *loop;
	struct arena arena;
	struct config config;
	struct cfg_upstream upstream;
	struct sink sink, other;
	struct str chain_pem, key_pem;
	struct channel *master, *queue, *vault;
	pid_t pid;
	unsigned configured, ready, results_n, vault_steps, stopped;
	struct result results[128];
	const char *password; /* what vault answers with; NULL: it refuses */
	struct verdict configure_verdict;
};

/* ---- the peers ---- */
static void on_channel_closed(void *ctx, struct channel *ch, const char *reason)
{
	struct world *w = ctx;

	if (ch == w->master)
		w->master = NULL;
	if (ch == w->queue)
		w->queue = NULL;
	if (ch == w->vault)
		w->vault = NULL;
	channel_free(ch);
}

static void handle_ready(void *ctx, struct channel *ch, const struct msg_ready *m, int fd)
{
	((struct world *)ctx)->ready++;
}

static void handle_stopped(void *ctx, struct channel *ch, const struct msg_stopped *m, int fd)
{
	((struct world *)ctx)->stopped++;
}

static void handle_result(void *ctx, struct channel *ch, const struct msg_result *m, int fd)
{
	struct world *w = ctx;
	struct result *r = &w->results[w->results_n++];

	r->lease = m->lease;
	r->gate = m->gate;
	r->reason = arena_str(&w->arena, m->gate_reason);
	r->remote = arena_str(&w->arena, m->remote);
	r->tls = arena_str(&w->arena, m->tls);
	r->transcript = arena_str(&w->arena, m->transcript);
	r->n = (unsigned)m->outcomes.n;
	for (size_t i = 0; i < m->outcomes.n && i < 8; i++) {
		r->verdicts[i] = verdict_keep(&w->arena, m->outcomes.at[i].verdict);
		r->numbers[i] = m->outcomes.at[i].n;
	}
	ipc_send_settled(ch, &(struct msg_settled){ .lease = m->lease }, -1);
}

static void handle_upstream_step(void *ctx, struct channel *ch, const struct msg_upstream_step *m, int fd)
{
	struct world *w = ctx;
	struct msg_upstream_reply answer = { .call = m->call, .verdict = ok() };
	char plain[64];

	w->vault_steps++;
	assert_true(str_eq(m->upstream, S("hop")));
	if (!w->password) {
		answer.verdict = temp(454, S("4.7.0"), S("no key today"));
	} else if (str_eq(m->mechanism, S("PLAIN"))) {
		int n = snprintf(plain, sizeof plain, "%cme%c%s", 0, 0, w->password);

		answer.response = str_make(plain, (size_t)n);
	} else {
		answer.response = m->first ? S("me") : str_of(w->password);
	}
	ipc_send_upstream_reply(ch, &answer, -1);
}

static const struct ipc_handlers master_handlers = { .ready = handle_ready, .stopped = handle_stopped };
static const struct ipc_handlers queue_handlers = { .result = handle_result };
static const struct ipc_handlers vault_handlers = { .upstream_step = handle_upstream_step };

static struct channel *play(struct world *w, enum role_id self, const struct ipc_handlers *handlers, int fd)
{
	struct channel_config config = {
		.self = self, .peer = ROLE_RELAY, .incarnation = 1, .handlers = handlers, .on_closed = on_channel_closed, .ctx = w
	};

	return channel_new(w->loop, fd, &config);
}

/* ---- the process ---- */
static int keep_fd(int fd, int as)
{
	return fd == as ? fcntl(fd, F_SETFD, 0) : dup2(fd, as);
}

static void start_program(struct world *w, int channel)
{
	w->pid = fork();
	assert_true(w->pid >= 0);
	if (w->pid > 0) {
		close(channel);
		return;
	}
	if (keep_fd(channel, 3) < 0)
		_exit(99);
	execl(program, program, "--index", "0", "--incarnation", "2", (char *)NULL);
	_exit(98);
}

static bool run_until_count(struct world *w, const unsigned *counter, unsigned value)
{
	return run_until(w->loop, counter, value, 10000);
}

static void on_configured(void *ctx, struct verdict v, const struct msg_configured *m, int fd)
{
	struct world *w = ctx;

	w->configure_verdict = verdict_keep(&w->arena, m ? m->verdict : v);
	w->configured++;
}

/* Both phases of a configuration; false when the role refuses it. */
static bool configure(struct world *w)
{
	struct buf slice;
	unsigned configured = w->configured, ready = w->ready;
	int fd = memfd_create("slice", MFD_CLOEXEC);

	buf_init(&slice, 1 << 24);
	w->config.upstreams = &w->upstream;
	w->config.upstreams_n = 1;
	assert_true(config_slice_encode(&w->config, ROLE_RELAY, &slice));
	assert_int_equal(write(fd, buf_view(&slice).p, slice.n), slice.n);
	buf_fini(&slice);
	ipc_call_configure(w->master, &(struct msg_configure){ .generation = configured + 1 }, fd, on_configured, w);
	close(fd);
	assert_true(run_until_count(w, &w->configured, configured + 1));
	if (w->configure_verdict.class != OK) {
		ipc_send_abandon(w->master, &(struct msg_abandon){ .generation = configured + 1 }, -1);
		return false;
	}
	ipc_send_apply(w->master, &(struct msg_apply){ .generation = configured + 1 }, -1);
	assert_true(run_until_count(w, &w->ready, ready + 1));
	return true;
}

static struct channel *connect_peer(struct world *w, enum role_id role, const struct ipc_handlers *handlers)
{
	struct msg_connect m = { .role = role, .incarnation = 1 };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	ipc_send_connect(w->master, &m, pair[1]);
	close(pair[1]);
	return play(w, role, handlers, pair[0]);
}

static int setup(void **state)
{
	struct world *w = NEW(struct world);

	w->loop = uv_default_loop();
	sink_open(&w->sink, w->loop);
	w->password = "secret";
	w->config.hostname = S("relay.example.org");
	w->config.delivery = (struct cfg_delivery){ .connections_per_destination = 10,
						    .reuse = 100,
						    .ipv4 = true,
						    .ipv6 = true,
						    .timeouts = { 5000, 5000, 5000, 5000 } };
	w->upstream = (struct cfg_upstream){
		.name = S("hop"), .host = S("127.0.0.1"), .port = w->sink.port, .tls = UPSTREAM_NONE, .connections = 4
	};
	make_certificate(&w->arena, "sink.example.org", &w->chain_pem, &w->key_pem);
	*state = w;
	return 0;
}

/* Start the relay with what the test has put into the configuration. */
static void start(struct world *w)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	start_program(w, pair[1]);
	w->master = play(w, ROLE_MASTER, &master_handlers, pair[0]);
	assert_true(configure(w));
	w->queue = connect_peer(w, ROLE_QUEUE, &queue_handlers);
	w->vault = connect_peer(w, ROLE_VAULT, &vault_handlers);
}

/* SIGTERM's way: the process drains and exits 0. */
static void stop(struct world *w, uint64_t grace_ms)
{
	int status = -1;

	ipc_send_stop(w->master, &(struct msg_stop){ .grace_ms = grace_ms }, -1);
	assert_true(run_until_count(w, &w->stopped, 1));
	for (int i = 0; i < 500 && waitpid(w->pid, &status, WNOHANG) == 0; i++)
		run_for(w->loop, 10);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	w->pid = 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	if (w->pid > 0 && w->ready > 0)
		stop(w, 2000);
	if (w->pid > 0) {
		kill(w->pid, SIGKILL);
		waitpid(w->pid, NULL, 0);
	}
	if (w->master)
		channel_close(w->master, "end");
	if (w->queue)
		channel_close(w->queue, "end");
	if (w->vault)
		channel_close(w->vault, "end");
	sink_close(&w->sink);
	if (w->other.listener)
		sink_close(&w->other);
	run_for(w->loop, 50);
	tls_context_unref(w->sink.tls);
	arena_fini(&w->arena);
	free(w);
	return 0;
}

/* Hand over a message to these recipients, with this text. */
static void deliver_to(struct world *w, uint64_t lease, struct str upstream, const char *recipients, struct str text, int fd,
		       uint64_t size)
{
	struct rec_recipient list[8];
	struct msg_deliver m = { .lease = lease,
				 .id = lease + 1000,
				 .sender = S("s@example.org"),
				 .upstream = upstream,
				 .size = fd >= 0 ? size : text.n,
				 .prefix = S("Received: by us\r\n"),
				 .text = text };
	struct str rest = str_of(recipients), word;

	while (str_split(&rest, ' ', &word)) {
		list[m.recipients.n] = (struct rec_recipient){ .n = m.recipients.n * 10, .address = word };
		m.recipients.n++;
	}
	m.recipients.at = list;
	assert_true(ipc_send_deliver(w->queue, &m, fd));
}

static void deliver(struct world *w, uint64_t lease, const char *recipients)
{
	deliver_to(w, lease, S("hop"), recipients, S("Subject: x\r\n\r\n.dot\r\n"), -1, 0);
}

/* The result of a lease, which must have come or come now. */
static struct result *result_of(struct world *w, uint64_t lease)
{
	for (unsigned i = 0;; i++) {
		if (i == w->results_n)
			assert_true(run_until_count(w, &w->results_n, i + 1));
		if (w->results[i].lease == lease)
			return &w->results[i];
	}
}

static void expect(const struct result *r, unsigned i, enum verdict_class class, unsigned code, const char *enhanced,
		   const char *text)
{
	if (r->verdicts[i].class != class || r->verdicts[i].code != code || !str_eq(r->verdicts[i].enhanced, str_of(enhanced)) ||
	    str_search(r->verdicts[i].text, str_of(text)) == r->verdicts[i].text.n)
		fail_msg("outcome %u is %s %u %.*s %.*s", i, verdict_name(r->verdicts[i].class), r->verdicts[i].code,
			 STR_ARG(r->verdicts[i].enhanced), STR_ARG(r->verdicts[i].text));
}

static void expect_reason(const struct result *r, const char *part)
{
	if (!r->gate || str_search(r->reason, str_of(part)) == r->reason.n)
		fail_msg("gate %d, reason %.*s", r->gate, STR_ARG(r->reason));
	assert_int_equal(r->verdicts[0].class, TEMP);
}

static void use_tls(struct world *w, unsigned mode)
{
	struct verdict why;

	w->sink.tls = tls_server_context(w->chain_pem, w->key_pem, TLS_1_2, &w->arena, &why);
	assert_non_null(w->sink.tls);
	w->sink.implicit = mode == UPSTREAM_IMPLICIT;
	w->sink.features = mode == UPSTREAM_IMPLICIT ? "AUTH LOGIN\nPIPELINING" : "STARTTLS\nAUTH PLAIN LOGIN\nPIPELINING";
	w->upstream.tls = mode;
	w->upstream.ca_pem = w->chain_pem;
	w->upstream.tls_name = S("sink.example.org");
}

/* ---- the tests ---- */
static void test_outcomes(void **state)
{
	struct world *w = *state;
	struct result *r;

	w->sink.features = "PIPELINING\nLIMITS RCPTMAX=50";
	start(w);
	deliver(w, 1, "a@x temp@x perm@x");
	r = result_of(w, 1);
	assert_int_equal(r->n, 3);
	assert_int_equal(r->numbers[2], 20);
	expect(r, 0, OK, 250, "2.0.0", "taken");
	expect(r, 1, TEMP, 450, "4.2.0", "come back");
	expect(r, 2, PERM, 550, "5.1.1", "no such user");
	assert_false(r->gate);
	assert_true(str_starts(r->remote, S("127.0.0.1 [127.0.0.1]:")));
	assert_int_equal(r->tls.n, 0);
	assert_true(str_search(r->transcript, S("S: 550 5.1.1 no such user\n")) < r->transcript.n);
	assert_true(str_eq(buf_view(&w->sink.text), S("Received: by us\r\nSubject: x\r\n\r\n.dot\r\n")));

	deliver(w, 2, "perm@x"); /* the same connection: RSET between */
	deliver(w, 3, "b@x");
	expect(result_of(w, 2), 0, PERM, 550, "5.1.1", "no such user");
	expect(result_of(w, 3), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(result_of(w, 3)->transcript.n, 0);
	assert_in_range(w->sink.sessions, 1, 2);
	stop(w, 2000);
	assert_int_equal(w->sink.quits, w->sink.sessions);
}

/* A text in a file, larger than what is in flight at once, with dots at the borders of chunks. */
static void test_large(void **state)
{
	enum { LINES = 80000 };
	struct world *w = *state;
	struct buf text;
	int fd = memfd_create("text", MFD_CLOEXEC);

	buf_init(&text, (size_t)64 << 20);
	for (int i = 0; i < LINES; i++)
		buf_printf(&text, "%s%d of a long text that has dots%s\r\n", i % 3 ? "." : "", i, i % 7 ? "" : "\r\n.");
	assert_int_equal(write(fd, buf_view(&text).p, text.n), text.n);
	w->sink.features = "PIPELINING";
	start(w);
	deliver_to(w, 1, S("hop"), "a@x", S(""), fd, text.n);
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(w->sink.text.n, text.n + 17);
	assert_true(str_eq(str_from(buf_view(&w->sink.text), 17), buf_view(&text)));

	deliver_to(w, 2, S("hop"), "a@x", S(""), fd, text.n + 1); /* the file has lost its end: it must not look whole */
	expect(result_of(w, 2), 0, TEMP, 451, "4.3.0", "cannot be read");
	assert_int_equal(w->sink.messages, 1);
	close(fd);
	buf_fini(&text);
}

static void test_starttls_and_login(void **state)
{
	struct world *w = *state;
	struct result *r;

	use_tls(w, UPSTREAM_STARTTLS);
	w->upstream.login = S("me");
	start(w);
	deliver(w, 1, "a@x perm@x");
	r = result_of(w, 1);
	expect(r, 0, OK, 250, "2.0.0", "taken");
	assert_true(str_starts(r->tls, S("TLSv1.3/TLS_")));
	assert_int_equal(w->vault_steps, 1);
	assert_int_equal(w->sink.logins, 1);
	assert_true(str_search(r->transcript, S("C: AUTH PLAIN (credentials)\n")) < r->transcript.n);
	assert_true(str_search(r->transcript, S("AG1l")) == r->transcript.n);
}

static void test_implicit_tls_and_login(void **state)
{
	struct world *w = *state;

	use_tls(w, UPSTREAM_IMPLICIT);
	w->upstream.login = S("me");
	start(w);
	deliver(w, 1, "a@x");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(w->vault_steps, 2);
}

static void test_login_refused(void **state)
{
	struct world *w = *state;

	use_tls(w, UPSTREAM_STARTTLS);
	w->upstream.login = S("me");
	w->password = "wrong";
	start(w);
	deliver(w, 1, "a@x");
	expect_reason(result_of(w, 1), "5.7.8 no");
	assert_int_equal(w->sink.logins, 1);
	w->password = NULL;
	deliver(w, 2, "a@x");
	expect_reason(result_of(w, 2), "no key today");
	w->password = "secret";
	deliver(w, 3, "a@x");
	expect(result_of(w, 3), 0, OK, 250, "2.0.0", "taken");
}

static void test_certificate_of_somebody_else(void **state)
{
	struct world *w = *state;

	use_tls(w, UPSTREAM_STARTTLS);
	w->upstream.tls_name = S("other.example.org");
	start(w);
	deliver(w, 1, "a@x");
	expect_reason(result_of(w, 1), "certificate not accepted");
	assert_int_equal(w->sink.mails, 0);
}

static void test_no_login_in_clear(void **state)
{
	struct world *w = *state;

	w->sink.features = "AUTH PLAIN";
	w->upstream.login = S("me");
	start(w);
	deliver(w, 1, "a@x");
	expect_reason(result_of(w, 1), "never sent without TLS");
	assert_int_equal(w->sink.credentials.n, 0);
}

static void test_starttls_missing(void **state)
{
	struct world *w = *state;

	use_tls(w, UPSTREAM_STARTTLS);
	w->sink.features = "PIPELINING";
	start(w);
	deliver(w, 1, "a@x");
	expect_reason(result_of(w, 1), "does not offer STARTTLS");
}

static void test_opportunistic(void **state)
{
	struct world *w = *state;

	use_tls(w, UPSTREAM_OPPORTUNISTIC);
	w->upstream.ca_pem = S("");
	w->sink.break_tls = true;
	start(w);
	deliver(w, 1, "a@x");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(result_of(w, 1)->tls.n, 0);
	assert_int_equal(w->sink.sessions, 2);
	stop(w, 2000);
}

static void test_opportunistic_encrypted(void **state)
{
	struct world *w = *state;

	use_tls(w, UPSTREAM_OPPORTUNISTIC);
	w->upstream.ca_pem = S("");
	start(w);
	deliver(w, 1, "a@x");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	assert_true(str_starts(result_of(w, 1)->tls, S("TLSv1.3/")));
}

static void test_next_hop_at_fault(void **state)
{
	struct world *w = *state;

	w->sink.greeting = "554 5.7.1 not for you";
	start(w);
	deliver(w, 1, "a@x b@x");
	expect_reason(result_of(w, 1), "5.7.1 not for you");
	assert_int_equal(result_of(w, 1)->n, 2);
	deliver_to(w, 2, S("nowhere"), "a@x", S("x\r\n"), -1, 0);
	expect_reason(result_of(w, 2), "upstream nowhere is not configured");
	w->sink.greeting = NULL;
	w->upstream.port = 1; /* nobody listens there */
	assert_true(configure(w));
	for (unsigned i = 3; i < 8; i++)
		deliver(w, i, "a@x");
	for (unsigned i = 3; i < 8; i++)
		expect_reason(result_of(w, i), "refused");
	w->upstream.port = w->sink.port;
	w->upstream.host = S("localhost"); /* perhaps ::1 first, where nobody listens */
	assert_true(configure(w));
	deliver(w, 9, "a@x");
	expect(result_of(w, 9), 0, OK, 250, "2.0.0", "taken");
	w->upstream.host = S("no-such-host.invalid");
	assert_true(configure(w));
	deliver(w, 10, "a@x");
	assert_true(result_of(w, 10)->gate);
}

static void test_lost_after_the_dot(void **state)
{
	struct world *w = *state;

	w->sink.drop_at_dot = true;
	start(w);
	deliver(w, 1, "a@x perm@x");
	expect(result_of(w, 1), 0, TEMP, 421, "4.4.2", "outcome unknown");
	expect(result_of(w, 1), 1, PERM, 550, "5.1.1", "no such user");
	assert_false(result_of(w, 1)->gate);
	assert_int_equal(w->sink.mails, 1);
}

/* A connection that died while it was idle is no failure of the message; one that dies at once is. */
static void test_dead_when_idle(void **state)
{
	struct world *w = *state;

	w->sink.drop_at_mail = 2;
	start(w);
	deliver(w, 1, "a@x");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	deliver(w, 2, "a@x");
	expect(result_of(w, 2), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(w->sink.sessions, 2);
	assert_int_equal(w->sink.messages, 2);
	w->sink.drop_every_mail = true;
	deliver(w, 3, "a@x");
	expect(result_of(w, 3), 0, TEMP, 421, "4.4.2", "connection lost at MAIL");
	assert_false(result_of(w, 3)->gate);
	assert_int_equal(w->sink.mails, 5); /* the idle one, and once more */
}

static void test_quota(void **state)
{
	struct world *w = *state;

	w->sink.final = "550 5.4.5 daily limit exceeded";
	start(w);
	deliver(w, 1, "a@x");
	expect_reason(result_of(w, 1), "daily limit");
	expect(result_of(w, 1), 0, TEMP, 550, "4.4.5", "daily limit");
}

static void test_connections_are_limited(void **state)
{
	struct world *w = *state;

	w->sink.features = "PIPELINING";
	w->config.delivery.reuse = 5;
	start(w);
	for (unsigned i = 1; i <= 100; i++)
		deliver(w, i, "a@x");
	for (unsigned i = 1; i <= 100; i++)
		expect(result_of(w, i), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(w->sink.messages, 100);
	assert_in_range(w->sink.most_open, 2, 8); /* 4, and those whose end the sink has not seen yet */
	assert_in_range(w->sink.sessions, 20, 24);
}

/* A next hop that allows fewer connections than the configuration is not at fault. */
static void test_fewer_connections_than_wished(void **state)
{
	struct world *w = *state;

	w->sink.sessions_max = 1;
	w->sink.features = "PIPELINING";
	start(w);
	for (unsigned i = 1; i <= 50; i++)
		deliver(w, i, "a@x");
	for (unsigned i = 1; i <= 50; i++)
		expect(result_of(w, i), 0, OK, 250, "2.0.0", "taken");
	assert_in_range(w->sink.sessions, 1, 4);
}

/* Queue dies: its leases are nobody's; the next queue begins anew, with the same numbers. */
static void test_queue_dies(void **state)
{
	struct world *w = *state;

	w->upstream.connections = 1;
	w->sink.hold = true;
	start(w);
	deliver(w, 1, "a@x");
	deliver(w, 2, "b@x");
	assert_true(run_until_count(w, &w->sink.messages, 1));
	channel_close(w->queue, "dies");
	w->queue = NULL;
	run_for(w->loop, 50);
	sink_release(&w->sink);
	run_for(w->loop, 50);
	w->queue = connect_peer(w, ROLE_QUEUE, &queue_handlers);
	deliver(w, 2, "c@x");
	expect(result_of(w, 2), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(w->results_n, 1);
	assert_int_equal(w->sink.messages, 2);
}

static void test_withdrawn(void **state)
{
	struct world *w = *state;

	w->upstream.connections = 1;
	w->sink.hold = true;
	start(w);
	deliver(w, 1, "a@x");
	deliver(w, 2, "b@x");
	assert_true(run_until_count(w, &w->sink.messages, 1));
	ipc_send_withdraw(w->queue, &(struct msg_withdraw){ .lease = 1 }, -1);
	ipc_send_withdraw(w->queue, &(struct msg_withdraw){ .lease = 2 }, -1);
	expect(result_of(w, 2), 0, TEMP, 0, "", "withdrawn");
	sink_release(&w->sink);
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "at last");
	assert_int_equal(w->sink.mails, 1);
}

/* At the end what runs may finish, what waits goes back. */
static void test_drain(void **state)
{
	struct world *w = *state;

	w->upstream.connections = 1;
	w->sink.hold = true;
	start(w);
	deliver(w, 1, "a@x");
	deliver(w, 2, "b@x");
	assert_true(run_until_count(w, &w->sink.messages, 1));
	ipc_send_stop(w->master, &(struct msg_stop){ .grace_ms = 5000 }, -1);
	expect(result_of(w, 2), 0, TEMP, 0, "", "withdrawn");
	assert_int_equal(w->stopped, 0);
	sink_release(&w->sink);
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "at last");
	stop(w, 5000);
	assert_int_equal(w->sink.quits, 1);
}

/* A next hop without an answer is broken off when the grace is over. */
static void test_grace(void **state)
{
	struct world *w = *state;

	w->sink.hold = true;
	start(w);
	deliver(w, 1, "a@x");
	assert_true(run_until_count(w, &w->sink.messages, 1));
	stop(w, 300);
	expect(result_of(w, 1), 0, TEMP, 421, "4.3.2", "outcome unknown: broken off");
}

static void test_time_limits(void **state)
{
	struct world *w = *state;

	w->config.delivery.timeouts.data_ms = 300;
	w->sink.hold = true;
	start(w);
	deliver(w, 1, "a@x");
	expect(result_of(w, 1), 0, TEMP, 421, "4.4.2", "outcome unknown: no answer in time at end of data");
}

static void test_reload(void **state)
{
	struct world *w = *state;

	start(w);
	deliver(w, 1, "a@x");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	w->upstream.tls = UPSTREAM_STARTTLS;
	w->upstream.ca_pem = S("this is no certificate");
	assert_false(configure(w));
	assert_true(str_starts(w->configure_verdict.text, S("upstream hop: ca: ")));
	deliver(w, 2, "a@x");
	expect(result_of(w, 2), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(w->sink.sessions, 1);
	sink_open(&w->other, w->loop);
	w->upstream.tls = UPSTREAM_NONE;
	w->upstream.port = w->other.port;
	assert_true(configure(w));
	assert_true(run_until_count(w, &w->sink.quits, 1)); /* the idle connection to what was */
	deliver(w, 3, "a@x");
	expect(result_of(w, 3), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(w->other.messages, 1);
	assert_int_equal(w->sink.messages, 2);
}

int main(int argc, char **argv)
{
#define RELAY_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		RELAY_TEST(test_outcomes),
		RELAY_TEST(test_large),
		RELAY_TEST(test_starttls_and_login),
		RELAY_TEST(test_implicit_tls_and_login),
		RELAY_TEST(test_login_refused),
		RELAY_TEST(test_certificate_of_somebody_else),
		RELAY_TEST(test_no_login_in_clear),
		RELAY_TEST(test_starttls_missing),
		RELAY_TEST(test_opportunistic),
		RELAY_TEST(test_opportunistic_encrypted),
		RELAY_TEST(test_next_hop_at_fault),
		RELAY_TEST(test_lost_after_the_dot),
		RELAY_TEST(test_dead_when_idle),
		RELAY_TEST(test_quota),
		RELAY_TEST(test_connections_are_limited),
		RELAY_TEST(test_fewer_connections_than_wished),
		RELAY_TEST(test_queue_dies),
		RELAY_TEST(test_withdrawn),
		RELAY_TEST(test_drain),
		RELAY_TEST(test_grace),
		RELAY_TEST(test_time_limits),
		RELAY_TEST(test_reload),
	};

	if (argc < 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
