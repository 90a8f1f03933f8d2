/* exchange_start.c - starts a login, or refuses to start one. */
#include "exchange.h"
#include "posthouse/log.h"
#include "posthouse/role.h"

#include <stdlib.h>

#define OPEN_MAX       4096 /* at once; each holds a Cyrus connection of some KiB */
#define STUCK_PATIENCE 3    /* time limits */

static bool allowed(const struct config *c, struct str mechanism)
{
	for (size_t i = 0; i < c->auth.mechanisms.n; i++)
		if (str_ieq(c->auth.mechanisms.at[i], mechanism))
			return true;
	return false;
}

/* When all threads wait for a back-end that does not answer, new logins are refused at once, because they could not be checked in
 * time. A thread cannot be ended, but the process can: when half of the threads are stuck for long, the role exits and is
 * restarted. */
static bool all_stuck(struct login *l)
{
	uint64_t limit = l->config->auth.timeout_ms;
	unsigned most = workers_most(l->workers);

	if (l->on_stuck && workers_stuck(l->workers, (1 + STUCK_PATIENCE) * limit) >= most / 2)
		l->on_stuck(l);
	return workers_stuck(l->workers, limit) == most;
}

/* End the oldest dialogue that waits for its client, to make room. False: workers are busy with all of them. */
static bool make_room(struct login *l)
{
	LIST_EACH_OF (struct exchange, e, &l->exchanges, link) {
		if (e->state != EXCHANGE_WAITING)
			continue;
		exchange_leave(e); /* its client gets a reply that the login was interrupted */
		return true;
	}
	return false;
}

/* When half of the places are taken, no submission process gets more than half: one that was taken over does not keep the
 * clients of all others out. */
static bool has_its_share(struct login *l, const struct channel *ch)
{
	unsigned n = 0;

	if (l->open_exchanges < OPEN_MAX / 2 || !role_peer(l->role, ROLE_SUBMISSION, 1)) /* there is only one */
		return false;
	LIST_EACH_OF (const struct exchange, e, &l->exchanges, link)
		n += e->ch == ch;
	return n >= OPEN_MAX / 2;
}

/* OK, or the reason not to start this login. */
static struct verdict may_start(struct login *l, const struct channel *ch, const struct msg_login_start *m)
{
	struct verdict v;

	if (has_its_share(l, ch) || (l->open_exchanges >= OPEN_MAX && !make_room(l)))
		return temp(454, S("4.7.0"), S("too many logins at once, try again later"));
	if (m->tls_bits == 0 && m->tls_version == 0) /* submission offers no AUTH without TLS; this is a second check */
		return perm(538, S("5.7.11"), S("encryption required for authentication"));
	if (!allowed(l->config, m->mechanism))
		return perm(504, S("5.5.4"), S("unrecognized authentication mechanism"));
	if (all_stuck(l))
		return temp(454, S("4.7.0"), S("authentication is not possible at present"));
	v = login_refresh(l);
	if (v.class != OK && backend_is_ours(l->backend) && !directory_accounts(l->directory))
		return temp(454, S("4.7.0"), S("authentication is not possible at present"));
	return ok();
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
	e->step_ms = c->auth.timeout_ms;
	e->client = arena_str(&e->arena, m->client);
	e->mechanism = mechanism = (char *)arena_cstr(&e->arena, m->mechanism);
	for (size_t i = 0; mechanism[i]; i++)
		if (mechanism[i] >= 'a' && mechanism[i] <= 'z')
			mechanism[i] -= 32;
	e->config.service = "smtp";
	e->config.hostname = arena_cstr(&e->arena, c->hostname.n ? c->hostname : S("localhost"));
	e->config.realm = arena_str(&e->arena, c->auth.realm.n ? c->auth.realm : c->hostname);
	e->config.tls_bits = m->tls_bits < 1024 ? (unsigned)m->tls_bits : 1024;
	e->config.offers_binding = allowed(c, S("SCRAM-SHA-256-PLUS"));
	e->config.exporter = arena_str(&e->arena, m->cb_exporter);
	e->config.end_point = arena_str(&e->arena, m->cb_end_point);
	e->generation = directory_generation(l->directory);
	e->expects = strcmp(e->mechanism, "LOGIN") == 0 ? EXPECT_PASSWORD : EXPECT_START;
	secret_set(&e->user, m->user);
	uv_timer_init(l->loop, &e->timer);
	e->timer.data = e;
	list_append(&l->exchanges, &e->link);
	l->open_exchanges++;
	role_busy(l->role, +1);
	return e;
}

void exchange_start(struct login *l, struct channel *ch, const struct msg_login_start *m)
{
	struct exchange *e = exchange_find(l, ch, m->session);
	struct verdict v;

	if (e)
		exchange_leave(e); /* the session has started another AUTH */
	v = may_start(l, ch, m);
	if (v.class == TEMP) {
		count_login(l, v);
		answer_verdict(ch, m->call, v);
		return;
	}
	e = exchange_new(l, ch, m);
	if (v.class == OK) {
		exchange_take_response(e, m->initial);
		return;
	}
	e->result = (struct conversation_result){ .verdict = v };
	exchange_conclude(e);
}
