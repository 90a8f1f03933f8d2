/* session_admission.c - the door: who the client is (PROXY header), whether queue lets it in, whether it is a listed host.
 *
 * In the order they happen: session_expect_proxy, session_on_proxy_bytes, session_ask_admission, on_admitted, ask_for_device,
 * on_host_checked, session_begin. queue counts connections and failed logins; while it is away clients are
 * served without, and it is told of them (`present`) when it is back. */
#include "session.h"

#include "posthouse/clock.h"
#include "posthouse/policy.h"

#define PROXY_MS    5000
#define REFUSED_MAX 64 /* banned clients that get a handshake, at the same time */
#define REFUSED_MS  10000

static void on_admitted(void *ctx, struct verdict v, const struct msg_admitted *m, int fd);

/* ---- PROXY ---- */
void session_expect_proxy(struct session *s)
{
	session_enter(s, SESSION_PROXY);
	session_set_timer(s, PROXY_MS);
}

/* A listed proxy that sends no PROXY header is misconfigured or an impostor. */
static size_t refuse_proxy(struct session *s, struct str reason, size_t n)
{
	log_warning(&s->log, "proxy.refused", kv("proxy", stream_peer_address(s->conn)), kv("reason", reason));
	session_close(s, S("no valid PROXY header"), false);
	return n;
}

/* Take the header, and no byte behind it: those are the client's. */
size_t session_on_proxy_bytes(struct session *s, struct str bytes)
{
	struct str part = str_head(bytes, s->proxy.max - s->proxy.n);
	size_t before = s->proxy.n, n = 0;
	struct sockaddr_storage client;
	enum proxy_result result;

	buf_add(&s->proxy, part);
	result = proxy_parse(buf_view(&s->proxy), &n, &client);
	if (result == PROXY_MORE && s->proxy.n < s->proxy.max)
		return bytes.n;
	if (result == PROXY_BAD || result == PROXY_MORE || n < before)
		return refuse_proxy(s, S("this is no PROXY header"), bytes.n);
	log_debug(&s->log, "session.proxied", kv("proxy", stream_peer_address(s->conn)));
	if (result == PROXY_ADDRESS)
		stream_set_peer(s->conn, (const struct sockaddr *)&client);
	buf_release(&s->proxy);
	s->held = n - before < bytes.n;
	session_ask_admission(s);
	return n - before;
}

/* ---- at the door ---- */
void session_refuse(struct session *s, struct verdict v, bool banned)
{
	refusals_note(s->sub, stream_peer_address(s->conn), v.text);
	if (s->implicit && banned && s->sub->refused_n < REFUSED_MAX) { /* whose mail program says "421 ..." knows what to do */
		s->refused = true;
		s->sub->refused_n++;
		s->login_by = clock_mono_ms() + REFUSED_MS;
		s->refusal = verdict_keep(&s->arena, v);
		session_expect_handshake(s);
		return;
	}
	if (s->implicit) {
		session_close(s, v.text, false);
		return;
	}
	session_enter(s, SESSION_COMMAND);
	session_await(s);
	session_count_refusal(s, v);
	smtp_server_refuse(s->smtp, v);
	s->ended_for = "refused at the door";
	s->sub->ops->advance(s);
}

void session_ask_admission(struct session *s)
{
	struct channel *queue = submission_queue(s->sub);
	struct msg_admit m = { .session = s->log.session, .client = stream_peer_address(s->conn) };

	session_enter(s, SESSION_ADMISSION);
	uv_timer_stop(&s->timer); /* the call has a deadline */
	s->queue_generation = queue != NULL ? s->sub->queue_generation : 0;
	s->call = ipc_call_admit(queue, &m, -1, on_admitted, s);
}

static void log_opened(const struct session *s)
{
	if (s->local)
		log_debug(&s->log, "session.opened", kv("client", stream_peer_address(s->conn)), kv("uid", s->user_here.uid),
			  kv("user", s->user_here.name), kv("login", s->login), kv("device", s->device));
	else
		log_debug(&s->log, "session.opened", kv("client", stream_peer_address(s->conn)), kv("listen", s->door->listen),
			  kv("tls", s->implicit ? "implicit" : "starttls"), kv("device", s->device));
}

void session_begin(struct session *s)
{
	s->opened = true;
	s->sub->sessions_from_gateway += networks_contain(&role_config(s->sub->role)->gateways, stream_peer_address(s->conn));
	log_opened(s);
	if (s->implicit) {
		session_expect_handshake(s);
		return;
	}
	session_enter(s, SESSION_COMMAND);
	session_await(s);
	smtp_server_greet(s->smtp);
	s->sub->ops->advance(s);
}

/* login has looked who is at the other end, and queue counts the host as a device of the login. */
static void on_host_checked(void *ctx, struct verdict v, const struct msg_host_checked *m, int fd)
{
	struct session *s = ctx;

	s->call = 0;
	if (m == NULL || m->verdict.class != OK) {
		session_refuse(s, m != NULL ? m->verdict : temp(421, S("4.7.0"), S("Hosts cannot be checked now, try again")),
			       false);
		return;
	}
	session_vouch(s, m->login, m->device, m->reserving, m->ticket);
	s->login = s->vouched.login;
	s->device = s->vouched.device;
	session_begin(s);
}

/* A listed host uses the login of its entry, unless that is locked. */
static void ask_for_device(struct session *s, const struct cfg_device *device)
{
	struct channel *login = role_peer(s->sub->role, ROLE_LOGIN, 0);
	struct msg_host_check m = { .session = s->log.session, .client = stream_peer_address(s->conn) };

	s->listed = true;
	s->old_tls = device->tls != DEVICE_TLS_MODERN;
	s->mechanism = S("DEVICE");
	smtp_server_trust(s->smtp, device->tls != DEVICE_TLS_NONE);
	s->call = ipc_call_host_check(login, &m, stream_descriptor(s->conn), on_host_checked, s);
}

static void on_admitted(void *ctx, struct verdict v, const struct msg_admitted *m, int fd)
{
	struct session *s = ctx;
	const struct cfg_device *device = device_at(role_config(s->sub->role), stream_peer_address(s->conn));

	s->call = 0;
	if (m != NULL && m->verdict.class != OK) {
		s->queue_generation = 0;
		session_refuse(s, m->verdict, m->banned != 0);
	} else if (device != NULL) {
		ask_for_device(s, device);
	} else {
		session_begin(s);
	}
}

bool session_device(const struct session *s, const struct cfg_device **device_out, struct verdict *v_out)
{
	const struct cfg_device *device;

	*device_out = NULL;
	if (!s->listed)
		return true;
	device = device_at(role_config(s->sub->role), stream_peer_address(s->conn));
	if (device == NULL || !str_eq(device->user, s->login)) {
		*v_out = temp(421, S("4.7.0"), S("What this host may do has changed, connect again"));
		return false;
	}
	*device_out = device;
	return true;
}

/* ---- queue comes and goes ---- */
void sessions_on_queue_up(struct submission *sub)
{
	LIST_EACH_OF (struct session, s, &sub->sessions, link) {
		struct msg_present m = { .session = s->log.session };

		if (s->state == SESSION_CLOSING || s->state == SESSION_NEW || s->state == SESSION_PROXY)
			continue;
		m.client = stream_peer_address(s->conn);
		if (s->vouched.ticket.n > 0) {
			m.login = s->vouched.login;
			m.device = s->vouched.device;
			m.ticket = s->vouched.ticket;
		}
		s->queue_generation = sub->queue_generation;
		ipc_send_present(submission_queue(sub), &m, -1);
	}
}
