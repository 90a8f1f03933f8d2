/* harness.c - the frame of the role and its peers, as tests want them. */
#include "harness.h"

#include "accounting/ticket.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_SESSION 1000000 /* of session_of(): tests count theirs from 1 */

/* ---- the frame ---- */

struct role {
	struct harness *h;
	void *data;
	struct channel *peers[ROLE_COUNT];
	bool started, stopping, stopped;
	struct verdict start;
	struct arena arena;
	struct str stats;
};

static struct role frame;
_Atomic uint64_t fake_now;

uint64_t __wrap_clock_now_ms(void);
uint64_t __wrap_clock_now_ms(void)
{
	return fake_now;
}

_Atomic uint64_t fake_mono;
uint64_t __real_clock_mono_ms(void);
uint64_t __wrap_clock_mono_ms(void);
uint64_t __wrap_clock_mono_ms(void)
{
	return fake_mono ? fake_mono : __real_clock_mono_ms();
}

uv_loop_t *role_loop(struct role *r)
{
	return r->h->loop;
}

const struct config *role_config(struct role *r)
{
	return &r->h->config;
}

uint64_t role_incarnation(struct role *r)
{
	return 7;
}

bool role_stopping(struct role *r)
{
	return r->stopping;
}

struct channel *role_peer(struct role *r, enum role_id peer, unsigned index)
{
	return r->peers[peer];
}

void role_stopped(struct role *r)
{
	r->stopped = true;
}

void role_tally(struct role *r, enum metric metric, const struct tally *t)
{
}

void role_histogram(struct role *r, enum metric metric, const struct histogram *h)
{
}

void role_stat_of(struct role *r, enum metric metric, struct str label, uint64_t value, struct str text)
{
	r->stats = arena_printf(&r->arena, "%.*s%.*s=%llu %.*s\n", STR_ARG(r->stats),
				STR_ARG(metric_title(&r->arena, metric, label)), (unsigned long long)value, STR_ARG(text));
}

void role_start_later(struct role *r)
{
}

void role_started(struct role *r, struct verdict v)
{
	if (r->started)
		return;
	r->started = true;
	r->start = verdict_keep(&r->arena, v);
}

const struct verdict *harness_start(void)
{
	return frame.started ? &frame.start : NULL;
}

void role_set_data(struct role *r, void *data)
{
	r->data = data;
	r->h->q = data;
}

void *role_data(struct role *r)
{
	return r->data;
}

/* ---- the peers' handlers ---- */

static void on_deliver(void *ctx, struct channel *ch, const struct msg_deliver *m, int fd)
{
	struct harness *h = ctx;
	struct delivery *d = &h->deliveries[h->deliveries_n++];

	assert_true(h->deliveries_n <= DELIVERIES_MAX);
	*d = (struct delivery){
		.lease = m->lease,
		.id = m->id,
		.size = m->size,
		.header_size = m->header_size,
		.ret = m->envelope.ret,
		.route = arena_str(&h->arena, m->route),
		.envid = arena_str(&h->arena, m->envelope.envid),
		.sign_domain = arena_str(&h->arena, m->envelope.sign_domain),
		.sender = arena_str(&h->arena, m->envelope.sender),
		.prefix = arena_str(&h->arena, m->prefix),
		.text = arena_str(&h->arena, m->text),
		.n = m->recipients.n,
		.with_file = fd >= 0,
	};
	assert_true(m->recipients.n <= DELIVERY_RECIPIENTS_MAX);
	for (size_t i = 0; i < m->recipients.n; i++) {
		d->addresses[i] = arena_str(&h->arena, m->recipients.at[i].address);
		d->orcpts[i] = arena_str(&h->arena, m->recipients.at[i].orcpt);
		d->notifies[i] = m->recipients.at[i].notify;
		d->numbers[i] = m->recipients.at[i].n;
	}
	if (fd >= 0)
		close(fd);
}

/* Every domain has mail servers, unless the test says otherwise. */
static void on_look_up(void *ctx, struct channel *ch, const struct msg_look_up *m, int fd)
{
	struct harness *h = ctx;

	h->look_ups++;
	if (h->silent_dns && str_search(m->route, S("dead")) < m->route.n)
		return;
	assert_true(ipc_send_looked_up(ch, &(struct msg_looked_up){ .call = m->call, .known = !h->dead_dns }, -1));
}

static struct delivery *delivery_of(struct harness *h, uint64_t lease)
{
	for (size_t i = 0; i < h->deliveries_n; i++)
		if (h->deliveries[i].lease == lease)
			return &h->deliveries[i];
	return NULL;
}

static void on_withdraw(void *ctx, struct channel *ch, const struct msg_withdraw *m, int fd)
{
	struct delivery *d = delivery_of(ctx, m->lease);

	assert_non_null(d);
	d->withdrawn = true;
}

static void on_settled(void *ctx, struct channel *ch, const struct msg_settled *m, int fd)
{
	struct harness *h = ctx;
	struct delivery *d = delivery_of(h, m->lease);

	h->settled_n++;
	if (d)
		d->settled = true;
}

static void on_sign(void *ctx, struct channel *ch, const struct msg_sign *m, int fd)
{
	struct harness *h = ctx;
	struct rec_signature list[DKIM_KEYS_MAX];
	struct msg_signatures answer = { .call = m->call, .verdict = ok(), .signatures = { list, m->digests.n } };

	h->signs++;
	h->sign_domain = arena_str(&h->arena, m->domain);
	assert_true(m->digests.n > 0 && m->digests.n <= DKIM_KEYS_MAX);
	for (size_t i = 0; i < m->digests.n; i++) {
		assert_int_equal(m->digests.at[i].digest.n, DKIM_DIGEST_SIZE);
		list[i] = (struct rec_signature){ m->digests.at[i].selector, m->digests.at[i].algorithm, S("signature") };
	}
	if (h->vault_is_silent)
		return;
	answer.signatures.n -= h->vault_forgets;
	if (h->vault_fails)
		answer.verdict = temp(451, S("4.3.0"), S("the key cannot be read"));
	ipc_send_signatures(ch, &answer, -1);
}

static void on_horizon(void *ctx, struct channel *ch, const struct msg_horizon *m, int fd)
{
	struct harness *h = ctx;

	h->horizon = *m;
}

static void on_allow(void *ctx, struct channel *ch, const struct msg_allow *m, int fd)
{
	struct harness *h = ctx;
	const struct msg_allowed answer = { .epoch = m->epoch, .route = m->route, .number = m->number };

	h->allowed = m->connections;
	h->allowed_epoch = m->epoch;
	h->allowed_number = m->number;
	if (!h->keeps_connections)
		ipc_send_allowed(ch, &answer, -1);
}

static const struct ipc_handlers relay_handlers = { .horizon = on_horizon,
						    .allow = on_allow,
						    .deliver = on_deliver,
						    .look_up = on_look_up,
						    .withdraw = on_withdraw,
						    .settled = on_settled };
static const struct ipc_handlers vault_handlers = { .sign = on_sign };
static const struct ipc_handlers no_handlers = { .spool_open = NULL };

static void on_session_over(void *ctx, struct channel *ch, const struct msg_session_over *m, int fd)
{
	struct harness *h = ctx;

	h->overs++;
	h->over = m->session;
	if (!h->keeps_sessions)
		ipc_send_session_ended(ch, &(struct msg_session_ended){ .call = m->call }, -1);
}

static void on_login_present(void *ctx, struct channel *ch, const struct msg_login_present *m, int fd)
{
	struct harness *h = ctx;

	h->told_n++;
	h->told = *m;
	h->told.login = arena_str(&h->arena, m->login);
	h->told.device = arena_str(&h->arena, m->device);
}

static void on_node_is(void *ctx, struct channel *ch, const struct msg_node_is *m, int fd)
{
	struct harness *h = ctx;

	h->node_is = *m;
	h->node_told_n++;
}

static const struct ipc_handlers submission_handlers = { .session_over = on_session_over, .node_is = on_node_is };
static void on_accounts_version(void *ctx, struct channel *ch, const struct msg_accounts_version *m, int fd)
{
	struct harness *h = ctx;

	h->accounts_version = m->version;
	h->accounts_told_n++;
}

static const struct ipc_handlers login_handlers = { .login_present = on_login_present, .accounts_version = on_accounts_version };

/* ---- channels ---- */

static void on_queue_end_closed(void *ctx, struct channel *ch, const char *reason)
{
	struct role *r = ctx;

	if (r->peers[channel_peer(ch)] == ch)
		r->peers[channel_peer(ch)] = NULL;
	queue_ops.peer_down(r, ch);
	channel_free(ch);
}

static void on_peer_end_closed(void *ctx, struct channel *ch, const char *reason)
{
	struct harness *h = ctx;

	if (ch == h->submission)
		h->closed_submission = true;
	if (ch == h->relay)
		h->relay = NULL;
	if (ch == h->vault)
		h->vault = NULL;
	if (ch == h->submission)
		h->submission = NULL;
	if (ch == h->login_role)
		h->login_role = NULL;
	if (ch == h->console)
		h->console = NULL;
	channel_free(ch);
}

static bool takes_messages(void *ctx)
{
	const struct role *r = ctx;

	return r->started && r->data != NULL;
}

static struct channel *connect_peer(struct harness *h, enum role_id peer, const struct ipc_handlers *handlers)
{
	struct channel_config queue_end = { .self = ROLE_QUEUE,
					    .peer = peer,
					    .incarnation = 7,
					    .handlers = queue_ops.handlers,
					    .takes = takes_messages,
					    .on_closed = on_queue_end_closed,
					    .ctx = &frame };
	struct channel_config peer_end = { .self = peer,
					   .peer = ROLE_QUEUE,
					   .incarnation = SUBMISSION_INCARNATION,
					   .handlers = handlers,
					   .on_closed = on_peer_end_closed,
					   .ctx = h };
	struct channel *end;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	frame.peers[peer] = channel_new(h->loop, fds[0], &queue_end);
	end = channel_new(h->loop, fds[1], &peer_end);
	queue_ops.peer_up(&frame, frame.peers[peer]);
	return end;
}

void connect_relay(struct harness *h)
{
	h->relay = connect_peer(h, ROLE_RELAY, &relay_handlers);
}

void connect_vault(struct harness *h)
{
	h->vault = connect_peer(h, ROLE_VAULT, &vault_handlers);
}

void connect_submission(struct harness *h)
{
	h->submission = connect_peer(h, ROLE_SUBMISSION, &submission_handlers);
	h->presented_n = 0;
}

void connect_login(struct harness *h)
{
	h->login_role = connect_peer(h, ROLE_LOGIN, &login_handlers);
}

void connect_console(struct harness *h)
{
	h->console = connect_peer(h, ROLE_CONSOLE, &no_handlers);
}

void disconnect(struct harness *h, struct channel **end)
{
	enum role_id peer = *end == h->relay        ? ROLE_RELAY
			    : *end == h->vault      ? ROLE_VAULT
			    : *end == h->console    ? ROLE_CONSOLE
			    : *end == h->login_role ? ROLE_LOGIN
						    : ROLE_SUBMISSION;

	if (!*end)
		return;
	channel_close(*end, "the test ends it");
	UNTIL(h, !frame.peers[peer] && !*end);
}

/* ---- the loop ---- */

void run_some(struct harness *h)
{
	if (!uv_run(h->loop, UV_RUN_NOWAIT))
		usleep(100);
	usleep(50);
}

void run_quiet(struct harness *h)
{
	uint64_t until = uv_hrtime() + 60 * 1000000ull;

	while (uv_hrtime() < until)
		run_some(h);
}

void advance(struct harness *h, uint64_t ms)
{
	fake_now += ms;
	h->q->dispatch.scheduler.failing = false;
	scheduler_wake(&h->q->dispatch);
}

/* ---- start and end ---- */

static uint64_t retries[] = { 60000, 300000 };
static struct cfg_upstream upstreams[] = { { .name = { "isp", 3 }, .host = { "127.0.0.1", 9 }, .connections = 2 } };
static struct str ways[] = { { "isp", 3 } };
static struct str any_address[] = { { "*", 1 } };
static struct cfg_senders all_senders[] = { { .user = { "*", 1 }, .addresses = { any_address, 1 } } };
static struct cfg_route routes[] = { { .via = { ways, 1 } } };

void harness_begin(struct harness *h)
{
	frame.started = frame.stopping = frame.stopped = false;
	assert_int_equal(queue_ops.start(&frame).class, OK);
}

static struct harness *start(void)
{
	struct harness *h = NEW(struct harness);

	arena_fini(&frame.arena);
	frame = (struct role){ .h = h };
	h->fd = -1;
	h->login = S("alice");
	h->device = S("");
	h->priority = PRIORITY_NORMAL;
	h->config = (struct config){
		.hostname = S("relay.example.org"),
		.state_dir = S("/nowhere"),
		.ticket_secret = S("0123456789abcdef0123456789abcdef"),
		.senders = all_senders,
		.senders_n = 1,
		.upstreams = upstreams,
		.upstreams_n = 1,
		.routes = routes,
		.routes_n = 1,
		.queue = { .retry_ms = retries, .retry_n = 2, .lifetime_ms = 5ull * 86400000, .keep_history_ms = 1000 },
		.limits = { .recipients_per_message = 1000 },
		.delivery = { .connections_per_destination = 2 },
	};
	test_store_begin(&h->config);
	h->loop = uv_default_loop(); /* where calls to absent peers are answered */
	harness_begin(h);
	UNTIL(h, frame.started);
	assert_int_equal(frame.start.class, OK);
	queue_ops.apply(&frame);
	return h;
}

struct harness *harness_new(void)
{
	fake_now = START_MS;
	return start();
}

static void take_down(struct harness *h)
{
	if (!frame.stopping && h->q) {
		frame.stopping = true;
		queue_ops.stop(&frame, 50);
	}
	UNTIL(h, frame.stopped);
	disconnect(h, &h->login_role);
	disconnect(h, &h->relay);
	disconnect(h, &h->vault);
	disconnect(h, &h->submission);
	disconnect(h, &h->console);
	for (int i = 0; uv_loop_close(h->loop) != 0; i++) {
		assert_true(i < 1000);
		run_some(h);
	}
	if (h->fd >= 0)
		close(h->fd);
	arena_fini(&h->arena);
	arena_fini(&frame.arena);
	free(h);
}

void harness_free(struct harness *h)
{
	take_down(h);
	test_store_end(true);
}

int harness_setup_alone(void **state)
{
	*state = harness_new();
	return 0;
}

int harness_setup(void **state)
{
	(void)harness_setup_alone(state);
	connect_submission(*state);
	connect_relay(*state);
	return 0;
}

int harness_teardown(void **state)
{
	harness_free(*state);
	return 0;
}

void harness_keep(struct harness *h, struct verdict v, size_t rows, uint64_t cursor)
{
	h->answer = verdict_keep(&h->arena, v);
	h->rows_n = rows;
	h->rows_cursor = cursor;
	h->answers_n++;
}

struct harness *harness_again(struct harness *h, uint64_t now)
{
	take_down(h);
	test_store_end(false);
	fake_now = now;
	return start();
}

struct role *harness_role(void)
{
	return &frame;
}

/* ---- what peers say ---- */

static void on_submitted(void *ctx, struct verdict v, const struct msg_submitted *m, int fd)
{
	struct harness *h = ctx;

	h->answer = verdict_keep(&h->arena, m ? m->verdict : v);
	h->answers_n++;
}

uint64_t session_of(struct harness *h)
{
	struct str who =
		arena_printf(&h->arena, "%.*s/%.*s/%llu", STR_ARG(h->login), STR_ARG(h->device), (unsigned long long)h->rights);
	struct msg_present m = { .client = S("127.0.0.1"), .login = h->login, .device = h->device };
	char ticket[TICKET_SIZE];
	bool listed = str_starts(h->device, S("@")) && !str_eq(h->device, S("@local"));

	for (size_t i = 0; i < h->presented_n; i++)
		if (str_eq(h->presented[i], who))
			return FIRST_SESSION + i;
	assert_true(h->presented_n < SESSIONS_MAX);
	if (listed)
		m.client = str_from(h->device, 1);
	m.session = FIRST_SESSION + h->presented_n;
	h->presented[h->presented_n++] = who;
	m.ticket = ticket_make(h->config.ticket_secret,
			       &(struct ticket){ .incarnation = SUBMISSION_INCARNATION,
						 .session = m.session,
						 .login = m.login,
						 .device = m.device,
						 .rights = h->rights },
			       ticket);
	ipc_send_present(h->submission, &m, -1);
	return m.session;
}

struct str unsigned_field(struct harness *h, const char *domain, const char *selector)
{
	return arena_printf(&h->arena,
			    "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n\td=%s; s=%s; t=1795289874;\r\n"
			    "\th=From:From;\r\n\tbh=eA==;\r\n\tb=",
			    domain, selector);
}

void sign_for(struct harness *h, const char *domain)
{
	static struct cfg_sign key;

	key = (struct cfg_sign){ .domain = str_of(domain), .selector = S("s1"), .algorithm = DKIM_RSA_SHA256 };
	h->config.sign = &key;
	h->config.sign_n = 1;
	h->submit_domain = key.domain;
}

void submit(struct harness *h, uint64_t id, uint64_t token, const char *sender, const char *recipients, const char *text)
{
	struct msg_envelope e = { .session = session_of(h),
				  .transaction = id,
				  .id = id,
				  .token = token,
				  .origin = S("test"),
				  .envelope = { .sender = str_of(sender),
						.envid = h->envid,
						.ret = h->ret,
						.release_at = h->release_at,
						.deliver_by = h->deliver_by,
						.options = h->options,
						.deliver_by_mode = h->deliver_by_mode,
						.priority = h->priority } };
	struct rec_author from = { h->author.n > 0           ? h->author
				   : e.envelope.sender.n > 0 ? e.envelope.sender
							     : S("alice@example.org") };
	struct rec_to_sign to_sign = { .selector = S("s1"),
				       .algorithm = DKIM_RSA_SHA256,
				       .digest = S("a digest of thirty-two bytes ...") };
	struct msg_submit s = { .transaction = id,
				.place = PLACE_ROW,
				.text = str_of(text),
				.size = strlen(text),
				.received = S("Received: from here\r\n"),
				.from = { &from, 1 },
				.to_sign = { &to_sign, h->submit_domain.n > 0 } };
	struct str rest = str_of(recipients), address;

	to_sign.field = unsigned_field(h, arena_printf(&h->arena, "%.*s", STR_ARG(h->submit_domain)).p, "s1");
	s.header_size = str_search(s.text, S("\r\n\r\n")) + 2;
	if (s.header_size > s.size)
		s.header_size = s.size;
	ipc_send_envelope(h->submission, &e, -1);
	for (uint64_t n = 1; str_split(&rest, ' ', &address); n++) {
		struct rec_recipient r = { .n = n, .address = address, .notify = h->notify };
		struct msg_recipients list = { .transaction = id, .recipients = { &r, 1 } };

		ipc_send_recipients(h->submission, &list, -1);
	}
	ipc_call_submit(h->submission, &s, -1, on_submitted, h);
}

void submit_and_wait(struct harness *h, uint64_t id, const char *sender, const char *recipients)
{
	size_t before = h->answers_n;

	submit(h, id, 1, sender, recipients, "Subject: hello\r\nFrom: alice@example.org\r\n\r\nbody\r\n");
	UNTIL(h, h->answers_n > before);
	assert_int_equal(h->answer.class, OK);
}

static void send_result(struct harness *h, struct delivery *d, const struct msg_result *like, const struct verdict *v,
			struct meaning mean)
{
	struct rec_outcome list[DELIVERY_RECIPIENTS_MAX];
	struct msg_result m = *like;

	for (size_t i = 0; v && i < d->n; i++)
		list[i] = (struct rec_outcome){ .n = d->numbers[i],
						.verdict = *v,
						.meaning = meaning_pack(mean),
						.scope = mean.scope,
						.pause_ms = mean.pause_ms };
	m.lease = d->lease;
	m.outcomes.at = list;
	m.outcomes.n = v ? d->n : 0;
	m.remote = S("smtp.isp.example [192.0.2.1]");
	m.tls = S("TLSv1.3");
	d->answered = true;
	ipc_send_result(h->relay, &m, -1);
}

void answer(struct harness *h, struct delivery *d, struct verdict v)
{
	answer_meaning(h, d, v, (struct meaning){ .scope = SCOPE_MESSAGE });
}

void answer_meaning(struct harness *h, struct delivery *d, struct verdict v, struct meaning m)
{
	send_result(h, d, &(struct msg_result){ .transcript = S("C: MAIL\nS: so") }, &v, m);
}

void answer_gate(struct harness *h, struct delivery *d, const char *reason)
{
	answer_fault(h, d, FAULT_UNREACHABLE, reason);
}

void answer_fault(struct harness *h, struct delivery *d, enum nexthop_fault fault, const char *reason)
{
	answer_closed(h, d, fault, (struct meaning){ .trouble = TROUBLE_NONE }, reason);
}

void answer_closed(struct harness *h, struct delivery *d, enum nexthop_fault fault, struct meaning m, const char *reason)
{
	send_result(h, d, &(struct msg_result){ .gate = fault, .gate_meaning = meaning_pack(m), .gate_reason = str_of(reason) },
		    NULL, (struct meaning){ .trouble = TROUBLE_NONE });
}

void answer_unfit(struct harness *h, struct delivery *d, struct verdict v)
{
	send_result(h, d, &(struct msg_result){ .unfit = 1 }, &v, (struct meaning){ .trouble = TROUBLE_NONE });
}

struct nexthop *harness_nexthop(struct harness *h, const char *name)
{
	HASHTABLE_EACH (k, &h->q->dispatch.nexthops.table) {
		struct nexthop *g = CONTAINER_OF(k, struct nexthop, in_table);

		if (str_eq(str_of(g->name), str_of(name)))
			return g;
	}
	return NULL;
}

struct delivery *delivery_number(struct harness *h, size_t n)
{
	UNTIL(h, h->deliveries_n >= n);
	run_quiet(h);
	assert_int_equal(h->deliveries_n, n);
	return &h->deliveries[n - 1];
}

struct str harness_stats(struct harness *h)
{
	frame.stats = S("");
	queue_ops.stats(&frame);
	return frame.stats;
}

bool harness_stopped(struct harness *h)
{
	return frame.stopped;
}

void harness_stop(struct harness *h, uint64_t grace_ms)
{
	frame.stopping = true;
	queue_ops.stop(&frame, grace_ms);
}
