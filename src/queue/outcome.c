/* outcome.c - what an answer means for a recipient. */
#include "queue.h"
#include "fields.h"

#include "posthouse/clock.h"
#include "posthouse/id.h"

#include <assert.h>

#define UNKNOWN_DELAY_MS (5 * 60 * 1000)
#define NO_TEXT_DELAY_MS (60 * 1000)
#define REPLY_MAX        1000 /* bytes of an answer that are kept */

uint64_t retry_at(const struct cfg_queue *c, uint64_t attempts, uint64_t now, uint64_t expires_at, uint64_t random)
{
	uint64_t delay = c->retry_ms[attempts < c->retry_n ? attempts : c->retry_n - 1];
	uint64_t tenth = delay / 10;
	uint64_t at = now + delay - tenth + random % (2 * tenth + 1);

	return now < expires_at && at > expires_at ? expires_at : at;
}

struct str duration_words(struct arena *a, uint64_t ms)
{
	static const struct {
		uint64_t ms;
		const char *name;
	} units[] = { { 86400000, "day" }, { 3600000, "hour" }, { 60000, "minute" }, { 1000, "second" } };
	uint64_t count = ms / 1000;
	const char *name = "second";

	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (ms >= units[i].ms && ms % units[i].ms == 0) {
			count = ms / units[i].ms;
			name = units[i].name;
			break;
		}
	return arena_printf(a, "%llu %s%s", (unsigned long long)count, name, count == 1 ? "" : "s");
}

/* What is known of an attempt while its outcomes are made. */
struct answer {
	struct lease *lease;
	uint64_t now;
	struct str remote, tls, transcript;
};

static struct arena *arena_of(const struct lease *l)
{
	return &l->message->arena;
}

/* The outcome that changes nothing but the end of the lease. */
static struct outcome unchanged(const struct lease *l, const struct due_recipient *r, uint64_t now, uint64_t due_at)
{
	return (struct outcome){
		.id = l->message->due.id,
		.n = r->n,
		.state = RCPT_WAITING,
		.due_at = due_at,
		.route = l->gate ? arena_str(arena_of(l), str_of(l->gate->name)) : S(""),
		.at = now,
	};
}

static void begin_outcomes(struct lease *l)
{
	assert(!l->outcomes);
	l->outcomes = ARENA_ARRAY(arena_of(l), struct outcome, l->recipients_n);
}

/* An event of a recipient: the same words in the log and in the message's history. */
static void tell(const struct answer *an, const struct due_recipient *r, struct outcome *o, enum log_level level,
		 const char *event)
{
	const struct due_message *m = &an->lease->message->due;

	o->event = str_of(event);
	o->event_fields = FIELDS_LOGGED(arena_of(an->lease), level, m->id, event, kv("recipient", r->address),
					kv("remote", an->remote), kv("tls", an->tls), kv("route", o->route),
					kv("code", o->verdict.code), kv("enhanced", o->verdict.enhanced),
					kv("reply", o->verdict.text), kv("attempts", r->attempts + (o->attempted ? 1 : 0)),
					kv("age_ms", (int64_t)(an->now - m->received_at)),
					o->state == RCPT_WAITING ? kv("due_in_ms", o->due_at - an->now) : kv("due_in_ms", ""));
}

/* ---- one recipient ---- */

static void delivered(const struct answer *an, const struct due_recipient *r, struct outcome *o)
{
	o->state = RCPT_DELIVERED;
	tell(an, r, o, LOG_INFO, "delivery.sent");
}

/* "451 4.7.1 text", without what is missing. */
static struct str reply_words(struct arena *a, struct verdict v)
{
	struct str code = v.code ? arena_printf(a, "%u ", v.code) : S("");

	return arena_printf(a, "%.*s%.*s%s%.*s", STR_ARG(code), STR_ARG(v.enhanced), v.enhanced.n ? " " : "", STR_ARG(v.text));
}

/* For good: the sender gets a report, unless there is no sender to tell (RFC 5321 6.1: never a report about a report). */
static void failed(const struct answer *an, const struct due_recipient *r, struct outcome *o)
{
	o->transcript = an->transcript;
	if (an->lease->message->due.sender.n == 0) {
		o->state = RCPT_DISCARDED;
		tell(an, r, o, LOG_WARNING, "delivery.discarded");
		return;
	}
	o->state = RCPT_FAILED;
	tell(an, r, o, LOG_WARNING, "delivery.failed");
}

/* Only an attempt that began after the message's time was over may end it: a clock that jumps does not bounce the queue. */
static void deferred(const struct answer *an, const struct due_recipient *r, struct outcome *o)
{
	const struct due_message *m = &an->lease->message->due;
	const struct config *c = role_config(an->lease->message->queue->role);
	struct arena *a = arena_of(an->lease);

	if (an->lease->sent_at >= m->expires_at && m->expires_at > 0) {
		/* RFC 3463 3.5: X.4.7 delivery time expired, as a persistent transient failure */
		o->verdict = (struct verdict){
			.class = PERM,
			.code = o->verdict.code ? o->verdict.code : 451,
			.enhanced = S("4.4.7"),
			.text = arena_printf(a, "not delivered within %.*s; last answer: %.*s",
					     STR_ARG(duration_words(a, m->expires_at - m->received_at)),
					     STR_ARG(reply_words(a, o->verdict))),
		};
		failed(an, r, o);
		return;
	}
	o->due_at = retry_at(&c->queue, r->attempts, an->now, m->expires_at, random_u64());
	o->transcript = an->transcript;
	tell(an, r, o, LOG_INFO, "delivery.deferred");
}

/* One answer of the next hop. */
static struct outcome answered(const struct answer *an, const struct due_recipient *r, struct verdict v)
{
	struct outcome o = unchanged(an->lease, r, an->now, an->now);

	v.text = str_head(v.text, REPLY_MAX);
	o.verdict = verdict_keep(arena_of(an->lease), v);
	o.remote = an->remote;
	if (v.class == OK) {
		o.attempted = true;
		delivered(an, r, &o);
	} else if (v.class == TEMP && (an->lease->withdrawn || v.code == 0)) {
		o.verdict = ok(); /* relay dropped it untried: withdrawn by us, or because it is to stop */
	} else if (v.class == PERM) {
		o.attempted = true;
		failed(an, r, &o);
	} else {
		o.attempted = true;
		deferred(an, r, &o);
	}
	return o;
}

/* The next hop, our login or our TLS is at fault: nothing counts, but what was delivered all the same. */
static struct outcome blocked(const struct answer *an, const struct due_recipient *r, struct str reason, bool news)
{
	struct outcome o = unchanged(an->lease, r, an->now, an->now);

	o.verdict = temp(451, S("4.4.0"), reason);
	o.remote = an->remote;
	o.transcript = an->transcript;
	if (news)
		tell(an, r, &o, LOG_INFO, "delivery.deferred");
	return o;
}

/* ---- a result ---- */

static const struct rec_outcome *outcome_for(const struct msg_result *m, uint64_t n)
{
	for (size_t i = 0; i < m->outcomes.n; i++)
		if (m->outcomes.at[i].n == n)
			return &m->outcomes.at[i];
	return NULL;
}

/* Did the next hop say anything, or did relay drop the delivery untried? */
static bool next_hop_spoke(const struct msg_result *m)
{
	for (size_t i = 0; i < m->outcomes.n; i++)
		if (m->outcomes.at[i].verdict.code != 0)
			return true;
	return false;
}

static void use_result(struct lease *l, const struct msg_result *m)
{
	struct answer an = {
		.lease = l,
		.now = clock_now_ms(),
		.remote = arena_str(arena_of(l), str_head(m->remote, REPLY_MAX)),
		.tls = arena_str(arena_of(l), str_head(m->tls, REPLY_MAX)),
		.transcript = arena_str(arena_of(l), str_head(m->transcript, 4096)),
	};
	struct str reason = arena_str(arena_of(l), str_head(m->gate_reason, REPLY_MAX));
	bool news = false;

	if (m->gate)
		news = gate_failed(l->gate, m->gate_reason, an.now);
	else if (next_hop_spoke(m))
		news = gate_worked(l->gate, an.now);

	begin_outcomes(l);
	for (size_t i = 0; i < l->recipients_n; i++) {
		const struct due_recipient *r = &l->recipients[i];
		const struct rec_outcome *o = outcome_for(m, r->n);

		if (o && (!m->gate || o->verdict.class == OK))
			l->outcomes[i] = answered(&an, r, o->verdict);
		else if (m->gate)
			l->outcomes[i] = blocked(&an, r, reason, news);
		else
			l->outcomes[i] = answered(&an, r, temp(451, S("4.3.0"), S("the delivery ended without an answer")));
	}
	l->tell_relay = true;
	if (l->gate->status == GATE_DOWN)
		leases_return_gate(l->gate);
	settle(l);
}

void outcome_result(struct queue *q, const struct msg_result *m)
{
	struct lease *l = lease_find(q, m->lease);

	if (l && l->state == LEASE_SENT) {
		use_result(l, m);
		scheduler_wake(q);
		return;
	}
	log_warning(NULL, "result.ignored", kv("lease", m->lease), kv("outcomes", m->outcomes.n));
	if (!l)
		ipc_send_settled(q->relay, &(struct msg_settled){ .lease = m->lease }, -1);
}

/* ---- without an answer ---- */

void outcome_lost(struct lease *l, bool died)
{
	struct answer an = { .lease = l, .now = clock_now_ms() };

	begin_outcomes(l);
	for (size_t i = 0; i < l->recipients_n; i++) {
		const struct due_recipient *r = &l->recipients[i];
		struct outcome *o = &l->outcomes[i];

		*o = unchanged(l, r, an.now, an.now + UNKNOWN_DELAY_MS);
		o->attempted = true;
		o->died = died;
		o->verdict = temp(451, S("4.3.0"), S("outcome unknown: the delivering process ended"));
		if (died && r->deaths + 1 >= DEATHS_MAX) {
			o->state = RCPT_HELD;
			o->verdict.text = S("held: the delivering process died with it three times; release it with care");
			tell(&an, r, o, LOG_ERROR, "delivery.held");
		} else {
			tell(&an, r, o, LOG_WARNING, "delivery.deferred");
		}
	}
	settle(l);
}

void outcome_return(struct lease *l, uint64_t due_at)
{
	uint64_t now = clock_now_ms();

	begin_outcomes(l);
	for (size_t i = 0; i < l->recipients_n; i++)
		l->outcomes[i] = unchanged(l, &l->recipients[i], now, due_at);
	settle(l);
}

void outcome_no_route(struct lease *l, struct verdict why)
{
	struct answer an = { .lease = l, .now = clock_now_ms() };

	l->sent_at = an.now;
	begin_outcomes(l);
	for (size_t i = 0; i < l->recipients_n; i++)
		l->outcomes[i] = answered(&an, &l->recipients[i], why);
	settle(l);
}

/* A row without its file is held and shouted about, never dropped (DESIGN 2.4). */
void outcome_no_text(struct lease *l, struct verdict why)
{
	struct answer an = { .lease = l, .now = clock_now_ms() };
	bool gone = why.class == PERM;

	begin_outcomes(l);
	for (size_t i = 0; i < l->recipients_n; i++) {
		struct outcome *o = &l->outcomes[i];

		*o = unchanged(l, &l->recipients[i], an.now, an.now + NO_TEXT_DELAY_MS);
		o->verdict =
			verdict_keep(arena_of(l), temp(451, S("4.3.0"), why.text.n ? why.text : S("the text cannot be read")));
		o->state = gone ? RCPT_HELD : RCPT_WAITING;
		if (gone)
			tell(&an, &l->recipients[i], o, LOG_ERROR, "delivery.held");
		else
			tell(&an, &l->recipients[i], o, LOG_ERROR, "delivery.deferred");
	}
	settle(l);
}
