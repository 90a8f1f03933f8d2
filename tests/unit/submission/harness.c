/* harness.c */
#include "harness.h"

#include "posthouse/list.h"
#include "posthouse/mail.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

const char *program;

static struct world *world_of(void *ctx)
{
	return CONTAINER_OF(ctx, struct world, role);
}

/* ---- queue ---- */
static struct str *login_of(struct world *w, uint64_t session)
{
	for (size_t i = 0; i < w->known_n; i++)
		if (w->known[i].session == session)
			return &w->known[i].login;
	assert_true(w->known_n < SESSIONS_MAX);
	w->known[w->known_n].session = session;
	return &w->known[w->known_n++].login;
}

static void handle_admit(void *ctx, struct channel *ch, const struct msg_admit *m, int fd)
{
	struct world *w = world_of(ctx);

	w->admissions++;
	w->admitted = arena_str(&w->role.arena, m->client);
	w->last_session = m->session;
	ipc_send_admitted(ch, &(struct msg_admitted){ .call = m->call, .verdict = w->admission }, -1);
}

static void handle_reserve(void *ctx, struct channel *ch, const struct msg_reserve *m, int fd)
{
	struct world *w = world_of(ctx);

	w->reserves++;
	if (!w->silent_at_reserve)
		ipc_send_reserved(ch, &(struct msg_reserved){ .call = m->call, .verdict = w->reservation }, -1);
}

static void handle_spool_open(void *ctx, struct channel *ch, const struct msg_spool_open *m, int fd)
{
	struct world *w = world_of(ctx);
	bool good = w->spool_verdict.class == OK;

	if (good)
		w->spool = memfd_create("spool", MFD_CLOEXEC);
	ipc_send_spool_opened(ch, &(struct msg_spool_opened){ .call = m->call, .verdict = w->spool_verdict },
			      good ? w->spool : -1);
}

static void handle_envelope(void *ctx, struct channel *ch, const struct msg_envelope *m, int fd)
{
	struct world *w = world_of(ctx);
	struct arena *a = &w->role.arena;

	w->next = (struct offer){
		.session = m->session,
		.id = m->id,
		.token = m->token,
		.login = *login_of(w, m->session),
		.sender = arena_str(a, m->envelope.sender),
	};
}

static void handle_recipients(void *ctx, struct channel *ch, const struct msg_recipients *m, int fd)
{
	struct world *w = world_of(ctx);

	for (size_t i = 0; i < m->recipients.n; i++)
		w->next.recipients = arena_printf(&w->role.arena, "%.*s%.*s ", STR_ARG(w->next.recipients),
						  STR_ARG(m->recipients.at[i].address));
}

static struct str join(struct arena *a, const struct rec_author *at, size_t n)
{
	struct str all = S("");

	for (size_t i = 0; i < n; i++)
		all = arena_printf(a, "%.*s%.*s ", STR_ARG(all), STR_ARG(at[i].address));
	return all;
}

static void handle_submit(void *ctx, struct channel *ch, const struct msg_submit *m, int fd)
{
	struct world *w = world_of(ctx);
	struct arena *a = &w->role.arena;
	struct offer *o = &w->offers[w->offers_n];

	assert_true(w->offers_n < OFFERS_MAX);
	*o = w->next;
	o->place = m->place;
	o->size = m->size;
	o->received = arena_str(a, m->received);
	o->from = join(a, m->from.at, m->from.n);
	o->resenders = join(a, m->resenders.at, m->resenders.n);
	assert_true(m->to_sign.n <= 1);
	if (m->to_sign.n == 1) {
		assert_int_equal(m->to_sign.at[0].digest.n, DKIM_DIGEST_SIZE);
		o->digest = arena_str(a, m->to_sign.at[0].digest);
		o->field = arena_str(a, m->to_sign.at[0].field);
	}
	o->text = arena_str(a, m->text);
	w->offers_n++;
	w->open_submit = m->call;
	if (!w->silent_at_submit)
		answer_submit(w, w->submission);
}

void answer_submit(struct world *w, struct verdict v)
{
	struct msg_submitted answer = { .call = w->open_submit, .verdict = v };

	ipc_send_submitted(w->role.peers[ROLE_QUEUE], &answer, -1);
}

static void handle_present(void *ctx, struct channel *ch, const struct msg_present *m, int fd)
{
	struct world *w = world_of(ctx);

	w->presents++;
	w->last_login = arena_str(&w->role.arena, m->login);
	*login_of(w, m->session) = w->last_login;
	assert_true(str_eq(m->ticket, m->login.n > 0 ? S("a ticket") : S("")));
}

static void handle_leave(void *ctx, struct channel *ch, const struct msg_leave *m, int fd)
{
	world_of(ctx)->leaves++;
}

static void handle_abandon(void *ctx, struct channel *ch, const struct msg_abandon_transaction *m, int fd)
{
	world_of(ctx)->abandoned++;
}

/* ---- login: alice's password is "secret"; it has asked queue ---- */
/* The ticket for a session that login and queue let in, or "". */
static struct str let_in(struct world *w, uint64_t session, struct str login, struct verdict v)
{
	w->last_login = login;
	if (v.class == OK)
		*login_of(w, session) = login;
	return v.class == OK ? S("a ticket") : S("");
}

static void handle_login_start(void *ctx, struct channel *ch, const struct msg_login_start *m, int fd)
{
	struct world *w = world_of(ctx);
	bool right = str_eq(m->mechanism, S("PLAIN")) && str_eq(m->initial, str_make("\0alice\0secret", 13));
	struct msg_login_reply answer = { .call = m->call,
					  .judged = 1,
					  .verdict = w->authorization,
					  .login = S("alice@example.org"),
					  .reserving = w->reserving };

	w->logins++;
	w->failures += !right;
	if (!right && w->authorization.class == OK)
		answer.verdict = perm(535, S("5.7.8"), S("this text must not reach the client"));
	answer.ticket = let_in(w, m->session, answer.login, answer.verdict);
	if (!w->silent_login)
		ipc_send_login_reply(ch, &answer, -1);
}

/* Who is at the other end of what login gets? */
static void take_connection(struct world *w, int fd)
{
	struct sockaddr_storage peer;
	socklen_t n = sizeof(peer);

	assert_int_equal(getpeername(fd, (struct sockaddr *)&peer, &n), 0);
	w->passed_family = peer.ss_family;
	close(fd);
}

/* Every user of this machine sends as alice, unless queue refuses. */
static void handle_local_user(void *ctx, struct channel *ch, const struct msg_local_user *m, int fd)
{
	struct world *w = world_of(ctx);
	struct msg_local_user_is answer = { .call = m->call,
					    .verdict = w->local_user.class == OK ? w->authorization : w->local_user,
					    .uid = 7,
					    .name = S("daemon"),
					    .login = S("alice@example.org"),
					    .sender = S("alice@example.org"),
					    .system_users = S("daemon games"),
					    .report = w->report };

	w->pass = arena_str(&w->role.arena, m->pass);
	take_connection(w, fd);
	answer.ticket = let_in(w, m->session, answer.login, answer.verdict);
	ipc_send_local_user_is(ch, &answer, -1);
}

static void handle_login_end(void *ctx, struct channel *ch, const struct msg_login_end *m, int fd)
{
	world_of(ctx)->login_ends++;
}

/* The login of listed hosts is locked while `locked` is set. */
static void handle_host_check(void *ctx, struct channel *ch, const struct msg_host_check *m, int fd)
{
	struct world *w = world_of(ctx);
	struct msg_host_checked answer = { .call = m->call, .verdict = w->authorization, .login = S("alice@example.org") };

	take_connection(w, fd);
	answer.device = arena_printf(&w->role.arena, "@%.*s", STR_ARG(m->client));
	if (w->locked)
		answer.verdict = temp(421, S("4.7.0"), S("locked"));
	answer.ticket = let_in(w, m->session, answer.login, answer.verdict);
	ipc_send_host_checked(ch, &answer, -1);
}

const struct ipc_handlers queue_handlers = {
	.admit = handle_admit,
	.reserve = handle_reserve,
	.spool_open = handle_spool_open,
	.envelope = handle_envelope,
	.recipients = handle_recipients,
	.submit = handle_submit,
	.present = handle_present,
	.leave = handle_leave,
	.abandon_transaction = handle_abandon,
};
const struct ipc_handlers login_handlers = {
	.login_start = handle_login_start,
	.login_end = handle_login_end,
	.local_user = handle_local_user,
	.host_check = handle_host_check,
};

/* ---- the role ---- */
static void configure(struct world *w)
{
	static struct str mechanisms[] = { { "PLAIN", 5 }, { "LOGIN", 5 } }, own[] = { { "alice@example.org", 17 } };
	static struct str balancers[] = { { "127.0.0.1/32", 12 } };
	static struct cfg_listen listen[DOORS];
	static struct cfg_certificate certificate;
	static struct cfg_senders senders;
	static struct cfg_sign sign;

	listen[DOOR_DIRECT] = (struct cfg_listen){ .tls = LISTEN_STARTTLS };
	listen[DOOR_PROXIED] = (struct cfg_listen){ .tls = LISTEN_STARTTLS, .proxy_protocol = { balancers, 1 } };
	certificate = (struct cfg_certificate){ .chain_pem = w->chain_pem, .key_pem = w->key_pem };
	senders = (struct cfg_senders){ .user = own[0], .addresses = { own, 1 } };
	sign = (struct cfg_sign){ .domain = S("example.org"), .selector = S("s1"), .algorithm = DKIM_RSA_SHA256 };
	w->config = (struct config){ .hostname = S("relay.example.org"),
				     .postmaster = S("postmaster@example.org"),
				     .listen = listen,
				     .listen_n = DOORS,
				     .certificates = &certificate,
				     .certificates_n = 1,
				     .tls_minimum = TLS_1_2,
				     .auth = { .mechanisms = { mechanisms, 2 }, .realm = S("example.org") },
				     .senders = &senders,
				     .senders_n = 1,
				     .limits = { .recipients_per_message = 10, .message_size = 1 << 20 },
				     .sign = &sign,
				     .sign_n = 1,
				     .submission = { .idle_ms = 60000,
						     .commands = 100,
						     .errors = 10,
						     .sessions = 100,
						     .login_ms = 60000,
						     .login_delay_ms = 50 } };
}

int setup(void **state)
{
	struct world *w = NEW(struct world);
	struct verdict why;

	w->role = (struct played){ .loop = uv_default_loop(), .role = ROLE_SUBMISSION, .program = program };
	w->spool = -1;
	w->admission = w->authorization = w->reservation = w->submission = w->spool_verdict = ok();
	make_certificate(&w->role.arena, "relay.example.org", &w->chain_pem, &w->key_pem);
	w->tls = tls_client_context(w->chain_pem, &w->role.arena, &why);
	configure(w);
	*state = w;
	return 0;
}

/* Open a port; the role serves it. */
static void open_door(struct world *w, enum door door)
{
	struct sockaddr_in name;
	socklen_t length = sizeof(name);
	int fds[2];
	size_t n;

	assert_int_equal(listener_open(S("127.0.0.1"), 0, false, &w->role.arena, fds, &n).class, OK);
	assert_int_equal(getsockname(fds[0], (struct sockaddr *)&name, &length), 0);
	w->ports[door] = ntohs(name.sin_port);
	ipc_send_listener(w->role.master, &(struct msg_listener){ .listen = door }, fds[0]);
	close(fds[0]);
}

void start(struct world *w)
{
	played_start(&w->role, &w->config);
	played_connect(&w->role, ROLE_QUEUE, &queue_handlers);
	played_connect(&w->role, ROLE_LOGIN, &login_handlers);
	for (unsigned door = 0; door < DOORS; door++)
		open_door(w, door);
}

int teardown(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < w->clients_n; i++)
		if (w->clients[i].st != NULL)
			stream_close(w->clients[i].st);
	played_end(&w->role);
	for (unsigned i = 0; i < w->clients_n; i++)
		end_fini(&w->clients[i]);
	if (w->spool >= 0)
		close(w->spool);
	tls_context_unref(w->tls);
	free(w);
	return 0;
}

bool wait_for(struct world *w, const unsigned *counter, unsigned value)
{
	return run_until(w->role.loop, counter, value);
}

/* ---- clients ---- */
struct end *open_client(struct world *w, enum door door)
{
	struct end *client = &w->clients[w->clients_n++];
	struct sockaddr_in to;

	assert_true(w->clients_n <= CLIENTS_MAX);
	end_init(client);
	uv_ip4_addr("127.0.0.1", (int)w->ports[door], &to);
	client->st = stream_connect_from(w->role.loop, NULL, (const struct sockaddr *)&to, &end_ops, client);
	assert_true(wait_for(w, &client->connects, 1));
	assert_int_equal(client->connect.class, OK);
	return client;
}

/* The bytes of the reply at the front; 0: it is not whole. */
static size_t reply_length(struct str got)
{
	for (size_t at = 0;;) {
		struct str rest = str_from(got, at);
		size_t line = str_search(rest, S("\r\n"));

		if (line == rest.n)
			return 0;
		at += line + 2;
		if (line < 4 || rest.p[3] != '-')
			return at;
	}
}

static bool has_reply(const void *what, size_t value)
{
	const struct end *client = what;

	return reply_length(buf_view(&client->got)) > 0 || client->ends > 0;
}

struct str hear(struct world *w, struct end *client)
{
	struct str reply;
	size_t n;

	assert_true(run_while(w->role.loop, has_reply, client, 0, PATIENCE_MS));
	n = reply_length(buf_view(&client->got));
	if (n == 0)
		fail_msg("the connection has ended, and no reply has come: %.*s", STR_ARG(buf_view(&client->got)));
	reply = arena_str(&w->role.arena, str_head(buf_view(&client->got), n));
	buf_consume(&client->got, n);
	return reply;
}

void say(struct end *client, const char *text)
{
	stream_write(client->st, str_of(text));
}

void expect_reply(struct world *w, struct end *client, const char *reply)
{
	struct str heard = hear(w, client);

	if (!str_starts(heard, str_of(reply)))
		fail_msg("expected %s, heard %.*s", reply, STR_ARG(heard));
}

void talk(struct world *w, struct end *client, const char *line, const char *reply)
{
	say(client, line);
	say(client, "\r\n");
	expect_reply(w, client, reply);
}

void expect_end(struct world *w, struct end *client)
{
	assert_true(wait_for(w, &client->ends, 1));
	assert_int_equal(client->got.n, 0);
}

void start_tls(struct world *w, struct end *client)
{
	stream_start_client_tls(
		client->st, w->tls,
		&(struct tls_client_options){ .names = { &S("relay.example.org"), 1 }, .demand = TLS_DEMAND_NAMES });
	assert_true(wait_for(w, &client->handshakes, 1));
	assert_int_equal(client->tls.class, OK);
}

struct end *open_session(struct world *w)
{
	struct end *client = open_client(w, DOOR_DIRECT);

	expect_reply(w, client, "220 relay.example.org");
	talk(w, client, "EHLO pc.example.org", "250");
	talk(w, client, "STARTTLS", "220");
	start_tls(w, client);
	talk(w, client, "EHLO pc.example.org", "250");
	return client;
}

struct end *open_login(struct world *w)
{
	struct end *client = open_session(w);

	talk(w, client, RIGHT_PASSWORD, "235 2.7.0");
	return client;
}

void begin_message(struct world *w, struct end *client)
{
	talk(w, client, "MAIL FROM:<alice@example.org>", "250 2.1.0");
	talk(w, client, "RCPT TO:<bob@example.net>", "250 2.1.5");
	talk(w, client, "DATA", "354");
}
