/* exchange_end.c - the back-end has decided about a login: queue hears of it, right or wrong, and what queue says the client
 * hears. */
#include "exchange.h"
#include "posthouse/clock.h"
#include "posthouse/log.h"

static void on_authorized(void *ctx, const struct msg_authorized *m);

/* Log what an administrator should know about a refused login, and its client should not. */
static void log_refusal(const struct exchange *e)
{
	const struct conversation_result *r = &e->result;
	struct log log = { .session = e->session };

	if (r->misbound.n)
		log_warning(&log, "login.misbound", kv("reason", r->misbound), kv("client", e->client));
	if (r->verdict.class != PERM || r->name.n == 0)
		return;
	if (directory_end(e->login->directory, r->name, r->device) == PASSWORD_EXPIRED) {
		log_warning(&log, "login.expired", kv("login", r->name), kv("device", r->device), kv("client", e->client));
		login_note_use(e->login, r->name, r->device, false);
	}
	if (directory_end(e->login->directory, r->name, r->device) == PASSWORD_LOCKED)
		log_warning(&log, "login.locked", kv("login", r->name), kv("device", r->device), kv("client", e->client));
}

/* Was this very password tried for this name within the last day, right or wrong, and how did queue count it? Only queue knows: a
 * password that was refused without a check, by a ban or because too many waited, is a new one afterwards. */
static uint64_t repeated(const struct exchange *e)
{
	uint64_t now = clock_mono_ms();

	return (cache_has(e->login->counted, &e->key, now) ? COUNTED_IN_BAN : 0) |
	       (cache_has(e->login->judged, &e->key, now) ? COUNTED_AS_JUDGED : 0);
}

/* When the accounts have changed meanwhile, the password can have matched an old verifier: do not keep the result. */
static void look_again(struct exchange *e)
{
	if (e->result.verdict.class == OK && backend_is_ours(e->login->backend) &&
	    e->generation != directory_generation(e->login->directory))
		e->result = (struct conversation_result){ .verdict = temp(454, S("4.7.0"),
									  S("the accounts have just changed, try again")) };
}

static uint64_t stamp_of(struct login *l, const struct conversation_result *r)
{
	return r->verdict.class == OK && backend_is_ours(l->backend) ? directory_stamp(l->directory, r->name, r->device) : 0;
}

/* A repeated password counts once: so what queue has counted is kept. */
static void note_counted(const struct exchange *e, uint64_t counted)
{
	if (counted != 0)
		cache_put(counted == COUNTED_AS_JUDGED ? e->login->judged : e->login->counted, &e->key, clock_mono_ms());
}

void exchange_conclude(struct exchange *e)
{
	const struct conversation_result *r = &e->result;

	look_again(e);
	log_refusal(e);
	if (r->verdict.class == OK)
		login_note_use(e->login, r->name, r->device, true);
	count_login(e->login, r->verdict);
	if (r->verdict.class == TEMP || (r->verdict.class == OK && r->name.n == 0)) {
		answer_verdict(e->ch, e->call, r->verdict);
		exchange_close(e);
		return;
	}
	exchange_enter(e, EXCHANGE_JUDGED);
	e->vouch.m = (struct msg_authenticated){ .worker = channel_peer_index(e->ch),
						 .incarnation = channel_peer_incarnation(e->ch),
						 .session = e->session,
						 .login = r->name,
						 .device = r->device,
						 .success = r->verdict.class == OK,
						 .repeated = repeated(e),
						 .stamp = stamp_of(e->login, r) };
	e->vouch.done = on_authorized;
	e->vouch.ctx = e;
	vouch_begin(e->login, &e->vouch);
}

/* What the client hears. A failure is never OK, whatever queue says. For queue each failure is a wrong password; the back-end can
 * know better (501: no answer of the mechanism). */
static struct verdict final_verdict(struct verdict back_end, struct verdict queue)
{
	bool counts = back_end.class == OK ? queue.class != OK : queue.class == TEMP;

	return counts ? queue : back_end;
}

static void on_authorized(void *ctx, const struct msg_authorized *m)
{
	struct exchange *e = ctx;
	const struct conversation_result *r = &e->result;
	struct msg_login_reply reply = { .call = e->call, .login = r->name, .device = r->device, .judged = 1 };

	if (!m) {
		answer_verdict(e->ch, e->call, temp(454, S("4.7.0"), S("queue is away")));
		exchange_close(e);
		return;
	}
	note_counted(e, m->counted);
	reply.verdict = final_verdict(r->verdict, m->verdict);
	reply.delay_ms = m->delay_ms;
	if (reply.verdict.class == OK) {
		reply.challenge = r->challenge;
		reply.reserving = m->reserving;
		reply.ticket = m->ticket;
	}
	ipc_send_login_reply(e->ch, &reply, -1);
	exchange_close(e);
}
