/* harness.c */
#include "harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

const char *program;

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
	if (ch == w->resolver_master)
		w->resolver_master = NULL;
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
	r->gate = (unsigned)m->gate;
	r->rcptmax = m->rcptmax;
	r->gate_meaning = m->gate_meaning;
	r->gate_pause_ms = m->gate_pause_ms;
	r->dsn = m->dsn;
	r->unfit = m->unfit;
	r->reason = arena_str(&w->arena, m->gate_reason);
	r->remote = arena_str(&w->arena, m->remote);
	r->tls = arena_str(&w->arena, m->tls);
	r->tls_policy = arena_str(&w->arena, m->tls_policy);
	r->tls_result = arena_str(&w->arena, m->tls_result);
	r->without = arena_str(&w->arena, m->without);
	r->transcript = arena_str(&w->arena, m->transcript);
	r->n = (unsigned)m->outcomes.n;
	for (size_t i = 0; i < m->outcomes.n && i < RECIPIENTS_MAX; i++) {
		r->verdicts[i] = verdict_keep(&w->arena, m->outcomes.at[i].verdict);
		r->numbers[i] = m->outcomes.at[i].n;
		r->meanings[i] = m->outcomes.at[i].meaning;
		r->scopes[i] = m->outcomes.at[i].scope;
		r->pauses_ms[i] = m->outcomes.at[i].pause_ms;
	}
	ipc_send_settled(ch, &(struct msg_settled){ .lease = m->lease }, -1);
}

/* Queue has vault sign: here it is the digest in capitals, so to speak. */
static void handle_resign(void *ctx, struct channel *ch, const struct msg_resign *m, int fd)
{
	struct world *w = ctx;
	struct rec_signature signatures[DKIM_KEYS_MAX];
	struct msg_resigned answer = { .call = m->call, .verdict = w->sign_verdict };

	w->resigns++;
	if (w->lose_resign) {
		w->lose_resign = false;
		sink_hang_up(&w->sink);
		return;
	}
	assert_in_range(m->digests.n, 1, DKIM_KEYS_MAX);
	for (size_t i = 0; i < m->digests.n; i++) {
		assert_int_equal(m->digests.at[i].digest.n, DKIM_DIGEST_SIZE);
		signatures[i] = (struct rec_signature){ m->digests.at[i].selector, m->digests.at[i].algorithm, S("signed") };
	}
	answer.signatures.at = signatures;
	answer.signatures.n = w->sign_verdict.class == OK ? m->digests.n : 0;
	ipc_send_resigned(ch, &answer, -1);
}

static void handle_upstream_step(void *ctx, struct channel *ch, const struct msg_upstream_step *m, int fd)
{
	struct world *w = ctx;
	struct msg_upstream_reply answer = { .call = m->call, .verdict = ok() };
	char plain[64];

	w->vault_steps++;
	assert_true(str_eq(m->upstream, S("hop")));
	if (!w->password) {
		answer.verdict = temp(454, str_of(w->vault_code ? w->vault_code : "4.7.8"),
				      str_of(w->vault_text ? w->vault_text : "no key today"));
	} else if (str_eq(m->mechanism, S("PLAIN"))) {
		int n = snprintf(plain, sizeof plain, "%cme%c%s", 0, 0, w->password);

		answer.response = str_make(plain, (size_t)n);
	} else {
		answer.response = m->first ? S("me") : str_of(w->password);
	}
	answer.done = w->vault_done;
	ipc_send_upstream_reply(ch, &answer, -1);
}

static void handle_upstream_refused(void *ctx, struct channel *ch, const struct msg_upstream_refused *m, int fd)
{
	struct world *w = ctx;

	assert_true(str_eq(m->upstream, S("hop")));
	w->renewals++;
}

/* A master that mends nothing: the tests end peers on purpose. */
static void handle_peer_lost(void *ctx, struct channel *ch, const struct msg_peer_lost *m, int fd)
{
}

static const struct ipc_handlers master_handlers = { .ready = handle_ready,
						     .stopped = handle_stopped,
						     .peer_lost = handle_peer_lost };
const struct ipc_handlers queue_handlers = { .result = handle_result, .resign = handle_resign };
static const struct ipc_handlers vault_handlers = { .upstream_step = handle_upstream_step,
						    .upstream_refused = handle_upstream_refused };

static struct channel *play(struct world *w, enum role_id self, enum role_id peer, const struct ipc_handlers *handlers, int fd)
{
	struct channel_config config = {
		.self = self, .peer = peer, .incarnation = 1, .handlers = handlers, .on_closed = on_channel_closed, .ctx = w
	};

	return channel_new(w->loop, fd, &config);
}

/* ---- the process ---- */
static int keep_fd(int fd, int as)
{
	return fd == as ? fcntl(fd, F_SETFD, 0) : dup2(fd, as);
}

static pid_t start_program(const char *path, int channel)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0) {
		close(channel);
		return pid;
	}
	if (keep_fd(channel, 3) < 0)
		_exit(99);
	execl(path, path, "--index", "0", "--incarnation", "2", (char *)NULL);
	_exit(98);
}

bool run_until_count(struct world *w, const unsigned *counter, unsigned value)
{
	return run_until(w->loop, counter, value);
}

static void on_configured(void *ctx, struct verdict v, const struct msg_configured *m, int fd)
{
	struct world *w = ctx;

	w->configure_verdict = verdict_keep(&w->arena, m ? m->verdict : v);
	w->configured++;
}

/* Both phases of a configuration for one of the two processes; false when the role refuses it. */
static bool configure_role(struct world *w, enum role_id role, struct channel *master)
{
	struct buf slice;
	unsigned configured = w->configured, ready = w->ready;
	int fd = memfd_create("slice", MFD_CLOEXEC);

	buf_init(&slice, 1 << 24);
	w->config.upstreams = &w->upstream;
	w->config.upstreams_n = 1;
	assert_true(config_slice_encode(&w->config, role, &slice));
	assert_int_equal(write(fd, buf_view(&slice).p, slice.n), slice.n);
	buf_fini(&slice);
	ipc_call_configure(master, &(struct msg_configure){ .generation = configured + 1 }, fd, on_configured, w);
	close(fd);
	assert_true(run_until_count(w, &w->configured, configured + 1));
	if (w->configure_verdict.class != OK) {
		ipc_send_abandon(master, &(struct msg_abandon){ .generation = configured + 1 }, -1);
		return false;
	}
	ipc_send_apply(master, &(struct msg_apply){ .generation = configured + 1 }, -1);
	assert_true(run_until_count(w, &w->ready, ready + 1));
	return true;
}

bool configure(struct world *w)
{
	return configure_role(w, ROLE_RESOLVER, w->resolver_master) && configure_role(w, ROLE_RELAY, w->master);
}

struct channel *connect_peer(struct world *w, enum role_id role, const struct ipc_handlers *handlers)
{
	struct msg_connect m = { .role = role, .incarnation = 1 };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	ipc_send_connect(w->master, &m, pair[1]);
	close(pair[1]);
	return play(w, role, ROLE_RELAY, handlers, pair[0]);
}

/* One channel between the two processes. */
static void connect_resolver(struct world *w)
{
	struct msg_connect relay = { .role = ROLE_RELAY, .incarnation = 2 },
			   resolver = { .role = ROLE_RESOLVER, .incarnation = 2 };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	ipc_send_connect(w->resolver_master, &relay, pair[0]);
	ipc_send_connect(w->master, &resolver, pair[1]);
	close(pair[0]);
	close(pair[1]);
}

/* The program of the role beside that of relay. */
static struct channel *start_role(struct world *w, enum role_id role, const char *path, pid_t *pid_out)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	*pid_out = start_program(path, pair[1]);
	return play(w, ROLE_MASTER, role, &master_handlers, pair[0]);
}

void start_resolver(struct world *w)
{
	struct str directory = str_head(str_of(program), str_rfind(str_of(program), '/'));

	w->resolver_master = start_role(
		w, ROLE_RESOLVER, arena_cstr(&w->arena, arena_printf(&w->arena, "%.*s/posthouse-resolver", STR_ARG(directory))),
		&w->resolver_pid);
}

void end_resolver(struct world *w)
{
	kill(w->resolver_pid, SIGKILL);
	waitpid(w->resolver_pid, NULL, 0);
	w->resolver_pid = 0;
	for (unsigned i = 0; i < 500 && w->resolver_master; i++)
		run_for(w->loop, 10);
	assert_null(w->resolver_master);
}

void restart_resolver(struct world *w)
{
	start_resolver(w);
	assert_true(configure_role(w, ROLE_RESOLVER, w->resolver_master));
	connect_resolver(w);
}

int setup(void **state)
{
	struct world *w = NEW(struct world);

	static struct str loopback[] = { { "127.0.0.0/8", 11 }, { "::1", 3 } };

	w->loop = uv_default_loop();
	sink_open(&w->sink, w->loop);
	w->like = (struct msg_deliver){ .envelope.sender = S("s@example.org"),
					.prefix = S("Received: by us\r\n"),
					.envelope.priority = PRIORITY_NORMAL };
	w->password = "secret";
	w->config.hostname = S("relay.example.org");
	w->config.delivery = (struct cfg_delivery){ .connections_per_destination = 10,
						    .reuse = 100,
						    .ipv4 = true,
						    .ipv6 = true,
						    .allow_networks = { loopback, 2 },
						    .timeouts = { 5000, 5000, 5000, 5000 } };
	w->upstream = (struct cfg_upstream){
		.name = S("hop"), .host = S("127.0.0.1"), .port = w->sink.port, .tls = UPSTREAM_NONE, .connections = 4
	};
	make_certificate(&w->arena, "sink.example.org", &w->chain_pem, &w->key_pem);
	*state = w;
	return 0;
}

/* Start the relay, and the resolver, with what the test has put into the configuration. */
void start(struct world *w)
{
	start_resolver(w);
	w->master = start_role(w, ROLE_RELAY, program, &w->pid);
	assert_true(configure(w));
	connect_resolver(w);
	w->queue = connect_peer(w, ROLE_QUEUE, &queue_handlers);
	w->vault = connect_peer(w, ROLE_VAULT, &vault_handlers);
}

/* SIGTERM's way: the process drains and exits 0. */
void stop(struct world *w, uint64_t grace_ms)
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

int teardown(void **state)
{
	struct world *w = *state;

	if (w->pid > 0 && w->ready > 0)
		stop(w, 2000);
	if (w->pid > 0) {
		kill(w->pid, SIGKILL);
		waitpid(w->pid, NULL, 0);
	}
	if (w->resolver_pid > 0)
		end_resolver(w);
	if (w->master)
		channel_close(w->master, "end");
	if (w->queue)
		channel_close(w->queue, "end");
	if (w->vault)
		channel_close(w->vault, "end");
	sink_close(&w->sink);
	if (w->other.listener)
		sink_close(&w->other);
	for (int i = 0; i < MX_MAX; i++)
		if (w->mx[i].listener)
			sink_close(&w->mx[i]);
	if (w->names.open)
		names_close(&w->names);
	run_for(w->loop, 50);
	tls_context_unref(w->sink.tls);
	arena_fini(&w->arena);
	free(w);
	return 0;
}

struct sink *open_mx(struct world *w, unsigned i, const char *address)
{
	sink_open_at(&w->mx[i], w->loop, address, i == 0 && !w->config.delivery.port ? 0 : (unsigned)w->config.delivery.port);
	w->config.delivery.port = w->mx[i].port;
	return &w->mx[i];
}

void deliver_to(struct world *w, uint64_t lease, struct str route, const char *recipients, struct str text, int fd, uint64_t size)
{
	struct rec_recipient list[RECIPIENTS_MAX];
	struct msg_deliver m = w->like;
	struct str rest = str_of(recipients), word;

	m.lease = lease;
	if (m.id == 0)
		m.id = lease + 1000;
	m.route = route;
	m.size = fd >= 0 ? size : text.n;
	m.text = text;
	while (str_split(&rest, ' ', &word)) {
		assert_true(m.recipients.n < RECIPIENTS_MAX);
		list[m.recipients.n] = (struct rec_recipient){
			.n = m.recipients.n * 10, .address = word, .orcpt = w->orcpt, .notify = w->notify
		};
		m.recipients.n++;
	}
	m.recipients.at = list;
	assert_true(ipc_send_deliver(w->queue, &m, fd));
}

void deliver(struct world *w, uint64_t lease, const char *recipients)
{
	deliver_to(w, lease, S("upstream:hop"), recipients, S("Subject: x\r\n\r\n.dot\r\n"), -1, 0);
}

/* The result of a lease, which must have come or come now. */
struct result *result_of(struct world *w, uint64_t lease)
{
	for (unsigned i = 0;; i++) {
		if (i == w->results_n)
			assert_true(run_until_count(w, &w->results_n, i + 1));
		if (w->results[i].lease == lease)
			return &w->results[i];
	}
}

void expect(const struct result *r, unsigned i, enum verdict_class class, unsigned code, const char *enhanced, const char *text)
{
	if (r->verdicts[i].class != class || r->verdicts[i].code != code || !str_eq(r->verdicts[i].enhanced, str_of(enhanced)) ||
	    str_search(r->verdicts[i].text, str_of(text)) == r->verdicts[i].text.n)
		fail_msg("outcome %u is class %d, %u %.*s %.*s", i, r->verdicts[i].class, r->verdicts[i].code,
			 STR_ARG(r->verdicts[i].enhanced), STR_ARG(r->verdicts[i].text));
}

void expect_reason(const struct result *r, const char *part)
{
	if (!r->gate || str_search(r->reason, str_of(part)) == r->reason.n)
		fail_msg("gate %d, reason %.*s", r->gate, STR_ARG(r->reason));
	assert_int_equal(r->verdicts[0].class, TEMP);
}

void use_tls(struct world *w, unsigned mode)
{
	struct tls_certificate certificate = { .chain_pem = w->chain_pem, .key_pem = w->key_pem };
	struct tls_server_options options = { .certificates = &certificate, .n = 1, .minimum = TLS_1_2 };
	struct verdict why;

	w->sink.tls = tls_server_context(&options, &w->arena, &why);
	assert_non_null(w->sink.tls);
	w->sink.implicit = mode == UPSTREAM_IMPLICIT;
	w->sink.features = mode == UPSTREAM_IMPLICIT ? "AUTH LOGIN\nPIPELINING" : "STARTTLS\nAUTH PLAIN LOGIN\nPIPELINING";
	w->upstream.tls = mode;
	w->upstream.ca_pem = w->chain_pem;
	w->upstream.tls_name = S("sink.example.org");
}

bool holds(struct str text, const char *part)
{
	return str_search(text, str_of(part)) < text.n;
}
