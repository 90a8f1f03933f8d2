/* exchange.c - logins under way: one exchange for each session that is in its AUTH dialogue. The hashing is done by a worker, a
 * step at a time; meanwhile the exchange is WORKING, and if its client goes, ORPHANED until the worker lets go of it.
 *
 * LOGIN, which no standard describes, is our own dialogue of two challenges over Cyrus' check of a password. */
#include "cyrus.h"
#include "login.h"
#include "posthouse/clock.h"
#include "posthouse/log.h"

#include <assert.h>
#include <stdlib.h>

#define OPEN_MAX        4096             /* at once; each holds a Cyrus connection of some KiB */
#define STEP_MS         10000            /* a worker's step; then the client hears 454 */
#define CLIENT_MS       (10 * 60 * 1000) /* submission ends its sessions long before */
#define FAULT_REPEAT_MS 60000            /* the same fault is logged once in this time */

enum exchange_state { EXCHANGE_NEW, EXCHANGE_WORKING, EXCHANGE_WAITING, EXCHANGE_ORPHANED, EXCHANGE_CLOSING };
static const char *const state_names[] = { "new", "working", "waiting", "orphaned", "closing" };

/* What the next answer of the client is. */
enum expectation { EXPECT_START, EXPECT_STEP, EXPECT_USER, EXPECT_PASSWORD };

struct exchange {
	struct login *login;
	struct list link; /* in login->exchanges but when ORPHANED or CLOSING */
	struct channel *ch;
	uint64_t session, call;
	enum exchange_state state;
	enum expectation expects;
	struct arena arena; /* of the few lines below */
	const char *mechanism, *hostname;
	struct conversation_config config;
	struct conversation *conversation; /* made by the first worker */
	struct secret user, response;      /* `response` is the worker's while WORKING */
	bool has_response;
	struct cache_key key; /* of what is being checked */
	uint64_t generation;  /* of the accounts it is checked against */
	struct conversation_result result;
	uv_work_t work;
	uv_timer_t timer;
};

static void on_worked(uv_work_t *work, int status);
static void on_time_limit(uv_timer_t *timer);

static void enter(struct exchange *e, enum exchange_state state)
{
	static const bool legal[5][5] = {
		[EXCHANGE_NEW] = { [EXCHANGE_WORKING] = true, [EXCHANGE_WAITING] = true, [EXCHANGE_CLOSING] = true },
		[EXCHANGE_WORKING] = { [EXCHANGE_WAITING] = true, [EXCHANGE_ORPHANED] = true, [EXCHANGE_CLOSING] = true },
		[EXCHANGE_WAITING] = { [EXCHANGE_WORKING] = true, [EXCHANGE_WAITING] = true, [EXCHANGE_CLOSING] = true },
		[EXCHANGE_ORPHANED] = { [EXCHANGE_CLOSING] = true },
	};

	assert(legal[e->state][state]);
	log_debug(&(struct log){ .session = e->session }, "exchange.entered", kv("state", state_names[state]));
	e->state = state;
}

static struct exchange *find(struct login *l, const struct channel *ch, uint64_t session)
{
	LIST_EACH (i, &l->exchanges) {
		struct exchange *e = CONTAINER_OF(i, struct exchange, link);

		if (e->ch == ch && e->session == session)
			return e;
	}
	return NULL;
}

/* ---- answers ---- */
static void answer(struct channel *ch, uint64_t call, struct verdict v, struct str challenge, struct str name, struct str device)
{
	ipc_send_login_reply(
		ch,
		&(struct msg_login_reply){ .call = call, .verdict = v, .challenge = challenge, .login = name, .device = device },
		-1);
}

static void answer_verdict(struct channel *ch, uint64_t call, struct verdict v)
{
	answer(ch, call, v, str_of(""), str_of(""), str_of(""));
}

static void count(struct login *l, struct verdict v)
{
	l->accepted += v.class == OK && v.code == 235;
	l->refused += v.class == PERM;
	l->failed += v.class == TEMP;
}

/* A fault of ours, once a minute while it is the same. */
static void log_fault(struct login *l, struct str reason)
{
	uint64_t now = clock_mono_ms();

	if (reason.n == 0)
		return;
	if (str_eq(reason, secret_view(&l->fault)) && now - l->fault_logged_at < FAULT_REPEAT_MS)
		return;
	log_error(NULL, "login.faulted", kv("reason", reason));
	secret_set(&l->fault, reason);
	l->fault_logged_at = now;
}

/* ---- the end ---- */
static void on_timer_closed(uv_handle_t *handle)
{
	struct exchange *e = handle->data;
	struct login *l = e->login;

	free(e);
	l->open_exchanges--;
	login_check_idle(l);
}

static void exchange_close(struct exchange *e)
{
	enter(e, EXCHANGE_CLOSING);
	list_remove(&e->link);
	conversation_free(e->conversation);
	secret_fini(&e->user);
	secret_fini(&e->response);
	arena_fini(&e->arena);
	uv_close((uv_handle_t *)&e->timer, on_timer_closed);
}

/* Nobody waits for it any more: a worker that has it is let finish, one that has not begun is called back. */
static void exchange_leave(struct exchange *e)
{
	if (e->state != EXCHANGE_WORKING) {
		exchange_close(e);
		return;
	}
	enter(e, EXCHANGE_ORPHANED);
	list_remove(&e->link);
	e->ch = NULL;
	uv_timer_stop(&e->timer);
	uv_cancel((uv_req_t *)&e->work); /* when it cannot be, it is running: on_worked comes either way */
}

void exchange_end(struct login *l, struct channel *ch, uint64_t session)
{
	struct exchange *e = find(l, ch, session);

	if (e)
		exchange_leave(e);
}

void exchanges_drop(struct login *l, const struct channel *ch)
{
	LIST_EACH (i, &l->exchanges) {
		struct exchange *e = CONTAINER_OF(i, struct exchange, link);

		if (!ch || e->ch == ch)
			exchange_leave(e);
	}
}

/* ---- the cache ---- */
/* RFC 4616: authorization id, NUL, name, NUL, password. False: not so, or acting for another; Cyrus will say what it is. */
static bool read_plain(struct exchange *e, struct str response, struct str *name_out, struct str *device_out,
		       struct str *password_out)
{
	struct str acts_for = str_head(response, str_find(response, '\0'));
	struct str rest = str_from(response, acts_for.n + 1);
	struct str user = str_head(rest, str_find(rest, '\0')), name, device;

	*password_out = str_from(rest, user.n + 1);
	if (!account_parse_name(&e->arena, user, e->config.realm, name_out, device_out))
		return false;
	if (acts_for.n == 0)
		return true;
	return account_parse_name(&e->arena, acts_for, e->config.realm, &name, &device) && str_eq(name, *name_out) &&
	       (device.n == 0 || str_eq(device, *device_out));
}

/* Is what the client has just said a password that fitted a short while ago? Then no worker is needed. */
static bool in_cache(struct exchange *e)
{
	struct str response = secret_view(&e->response), name, device, password = response;
	struct login *l = e->login;
	bool readable;

	e->key.usable = false;
	e->generation = directory_generation(l->directory);
	if (!e->has_response)
		return false;
	if (e->expects == EXPECT_PASSWORD)
		readable = account_parse_name(&e->arena, secret_view(&e->user), e->config.realm, &name, &device);
	else
		readable = strcmp(e->mechanism, "PLAIN") == 0 && read_plain(e, response, &name, &device, &password);
	if (!readable)
		return false;
	e->key = cache_key_of(l->cache, name, device, password);
	if (!cache_has(l->cache, &e->key, clock_mono_ms()))
		return false;
	e->result = (struct conversation_result){ .verdict = ok_text(235, S("2.7.0"), S("authentication successful")),
						  .name = name,
						  .device = device };
	l->from_cache++;
	return true;
}

/* ---- steps ---- */
/* On a worker: touches nothing of the exchange that the loop might touch meanwhile. */
static void work_step(uv_work_t *work)
{
	struct exchange *e = work->data;
	struct str response = e->has_response ? secret_view(&e->response) : (struct str){ NULL, 0 };

	if (!e->conversation)
		e->conversation = conversation_new(e->login->directory, &e->config);
	if (!e->conversation)
		e->result = (struct conversation_result){
			.verdict = temp(454, S("4.7.0"), S("authentication is not possible at present")),
			.fault = S("Cyrus SASL cannot open a connection"),
		};
	else if (e->expects == EXPECT_PASSWORD)
		e->result = conversation_check(e->conversation, secret_view(&e->user), response);
	else if (e->expects == EXPECT_START)
		e->result = conversation_start(e->conversation, e->mechanism, response);
	else
		e->result = conversation_step(e->conversation, response);
}

/* Ask the client for more. */
static void wait_for_client(struct exchange *e, enum expectation expects, struct str challenge)
{
	e->expects = expects;
	answer(e->ch, e->call, ok_text(334, str_of(""), str_of("")), challenge, str_of(""), str_of(""));
	enter(e, EXCHANGE_WAITING);
	uv_timer_start(&e->timer, on_time_limit, CLIENT_MS, 0);
}

/* A step is done, whoever did it. */
static void conclude(struct exchange *e)
{
	const struct conversation_result *r = &e->result;

	secret_fini(&e->response);
	log_fault(e->login, r->fault);
	if (r->verdict.class == OK && r->verdict.code == 334) {
		wait_for_client(e, EXPECT_STEP, r->challenge);
		return;
	}
	count(e->login, r->verdict);
	answer(e->ch, e->call, r->verdict, str_of(""), r->name, r->device);
	exchange_close(e);
}

/* What the client said goes to the cache, then to a worker. */
static void begin_step(struct exchange *e)
{
	int status;

	if (in_cache(e)) {
		conclude(e);
		return;
	}
	enter(e, EXCHANGE_WORKING);
	e->work.data = e;
	uv_timer_start(&e->timer, on_time_limit, STEP_MS, 0);
	status = uv_queue_work(e->login->loop, &e->work, work_step, on_worked);
	assert(status == 0); /* it fails only for want of a callback */
}

static void on_worked(uv_work_t *work, int status)
{
	struct exchange *e = work->data;

	if (e->state == EXCHANGE_ORPHANED) {
		exchange_close(e);
		return;
	}
	uv_timer_stop(&e->timer);
	if (e->result.verdict.class == OK && e->result.verdict.code == 235 &&
	    e->generation == directory_generation(e->login->directory))
		cache_put(e->login->cache, &e->key, clock_mono_ms());
	conclude(e);
}

/* The worker is late, or the client has been forgotten by its submission process. */
static void on_time_limit(uv_timer_t *timer)
{
	struct exchange *e = timer->data;

	if (e->state == EXCHANGE_WORKING) {
		struct verdict late = temp(454, S("4.7.0"), S("authentication takes too long, try again later"));

		log_fault(e->login, S("a login took longer than its time limit"));
		count(e->login, late);
		answer_verdict(e->ch, e->call, late);
	}
	exchange_leave(e);
}

/* ---- beginnings ---- */
static bool allowed(const struct config *c, struct str mechanism)
{
	for (size_t i = 0; i < c->auth.mechanisms.n; i++)
		if (str_ieq(c->auth.mechanisms.at[i], mechanism))
			return true;
	return false;
}

/* OK, or why this login does not even begin. */
static struct verdict may_start(struct login *l, const struct msg_login_start *m)
{
	struct verdict v;

	if (m->tls_bits == 0 && m->tls_version == 0) /* submission offers no AUTH then; a second wall */
		return perm(538, S("5.7.11"), S("encryption required for authentication"));
	if (!allowed(l->config, m->mechanism))
		return perm(504, S("5.5.4"), S("unrecognized authentication mechanism"));
	if (l->open_exchanges >= OPEN_MAX)
		return temp(454, S("4.7.0"), S("too many logins at once, try again later"));
	v = login_refresh(l);
	if (v.class != OK && !directory_accounts(l->directory))
		return temp(454, S("4.7.0"), S("authentication is not possible at present"));
	return ok();
}

/* The channel binding of this connection, if the configuration offers it: Cyrus holds one at a time. */
static void bind_channel(struct exchange *e, const struct msg_login_start *m)
{
	if (!allowed(e->login->config, S("SCRAM-SHA-256-PLUS")))
		return;
	if (m->cb_exporter.n) {
		e->config.binding_name = S("tls-exporter"); /* RFC 9266 */
		e->config.binding = arena_str(&e->arena, m->cb_exporter);
	} else if (m->cb_end_point.n) {
		e->config.binding_name = S("tls-server-end-point"); /* RFC 5929 */
		e->config.binding = arena_str(&e->arena, m->cb_end_point);
	}
}

static struct exchange *exchange_new(struct login *l, struct channel *ch, const struct msg_login_start *m)
{
	const struct config *c = l->config;
	struct exchange *e = NEW(struct exchange);
	char *mechanism;

	e->login = l;
	e->ch = ch;
	e->session = m->session;
	e->call = m->call;
	e->mechanism = mechanism = (char *)arena_cstr(&e->arena, m->mechanism);
	for (size_t i = 0; mechanism[i]; i++)
		if (mechanism[i] >= 'a' && mechanism[i] <= 'z')
			mechanism[i] -= 32;
	e->config.service = "smtp";
	e->config.hostname = arena_cstr(&e->arena, c->hostname.n ? c->hostname : S("localhost"));
	e->config.realm = arena_str(&e->arena, c->auth.realm.n ? c->auth.realm : c->hostname);
	e->config.tls_bits = m->tls_bits < 1024 ? (unsigned)m->tls_bits : 1024;
	bind_channel(e, m);
	uv_timer_init(l->loop, &e->timer);
	e->timer.data = e;
	list_append(&l->exchanges, &e->link);
	l->open_exchanges++;
	return e;
}

static void take_response(struct exchange *e, struct str response)
{
	secret_set(&e->response, response);
	e->has_response = true;
}

/* LOGIN's first answer is the name, which may come with the command. */
static void take_user(struct exchange *e, struct str user)
{
	secret_set(&e->user, user);
	wait_for_client(e, EXPECT_PASSWORD, S("Password:"));
}

void exchange_start(struct login *l, struct channel *ch, const struct msg_login_start *m)
{
	struct exchange *e = find(l, ch, m->session);
	struct verdict v;

	if (e)
		exchange_leave(e); /* the session began anew */
	v = may_start(l, m);
	if (v.class != OK) {
		count(l, v);
		answer_verdict(ch, m->call, v);
		return;
	}
	e = exchange_new(l, ch, m);
	if (strcmp(e->mechanism, "LOGIN") == 0) {
		if (m->has_initial)
			take_user(e, m->initial);
		else
			wait_for_client(e, EXPECT_USER, S("Username:"));
		return;
	}
	e->expects = EXPECT_START;
	if (m->has_initial)
		take_response(e, m->initial);
	begin_step(e);
}

void exchange_step(struct login *l, struct channel *ch, const struct msg_login_step *m)
{
	struct exchange *e = find(l, ch, m->session);

	if (!e) {
		answer_verdict(ch, m->call, temp(454, S("4.7.0"), S("the login was interrupted, begin again")));
		return;
	}
	if (e->state != EXCHANGE_WAITING) {
		answer_verdict(ch, m->call, perm(503, S("5.5.1"), S("the last answer is still being checked")));
		return;
	}
	e->call = m->call;
	login_refresh(l); /* on a fault the accounts known before go on being used */
	if (e->expects == EXPECT_USER) {
		take_user(e, m->response);
		return;
	}
	take_response(e, m->response);
	begin_step(e);
}
