/* outcome.c - what an answer means for a recipient. */
#include "dispatch/dispatch.h"
#include "common/event_fields.h"
#include "dispatch/refused_report.h"

#include "posthouse/clock.h"
#include "posthouse/id.h"
#include "posthouse/smtp_server.h"
#include "posthouse/units.h"

#include <assert.h>

#define UNKNOWN_DELAY_MS (5 * MINUTE_MS)
#define NO_TEXT_DELAY_MS MINUTE_MS
#define PUT_OFF_MAX_MS   MINUTE_MS /* what waits for a way to open: a reload may open it sooner */
#define REPLY_MAX        1000      /* bytes of an answer that are kept */

/* What is known of an attempt while its outcomes are made. */
struct answer {
	struct lease *lease;
	uint64_t now;
	struct str remote, tls, without, transcript;
	bool dsn;         /* the next hop reports successes itself */
	uint64_t meaning; /* of what is being told, see meaning.h; 0: nothing is known */
	unsigned scope;
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
					kv("remote", an->remote), kv("tls", an->tls), kv("without", an->without),
					kv("route", o->route), kv("code", o->verdict.code), kv("enhanced", o->verdict.enhanced),
					kv("reply", o->verdict.text), kv("class", trouble_name(meaning_trouble(an->meaning))),
					kv("who", an->meaning ? actor_name(meaning_actor(an->meaning)) : ""),
					kv("scope", an->meaning ? scope_name(an->scope) : ""),
					kv("attempts", r->attempts + (o->attempted ? 1 : 0)),
					kv("age_ms", an->now > m->received_at ? an->now - m->received_at : 0),
					o->state == RCPT_WAITING ? kv("due_in_ms", o->due_at - an->now) : kv("due_in_ms", ""));
}

/* ---- one recipient ---- */

/* RFC 3461 5.2.2 and 5.2.3: where success is to be told, the last one that knows of it does so. We relay, we never deliver. */
static void delivered(const struct answer *an, const struct due_recipient *r, struct outcome *o)
{
	bool asked = (r->notify & NOTIFY_SUCCESS) != 0;

	o->state = asked ? RCPT_RELAYED : RCPT_DELIVERED;
	o->report_success = asked && !an->dsn && an->lease->message->due.sender.n > 0;
	tell(an, r, o, LOG_INFO, "delivery.sent");
	breaker_finished(an->lease->message->dispatch->accounting, an->lease->message->due.login, false, an->now);
}

/* "451 4.7.1 text", without what is missing. */
static struct str reply_words(struct arena *a, struct verdict v)
{
	struct str code = v.code ? arena_printf(a, "%u ", v.code) : S("");

	return arena_printf(a, "%.*s%.*s%s%.*s", STR_ARG(code), STR_ARG(v.enhanced), v.enhanced.n ? " " : "", STR_ARG(v.text));
}

/* For good: what the sender is told of it, or the postmaster where there is no sender, is the reports' business. */
static void failed(const struct answer *an, const struct due_recipient *r, struct outcome *o)
{
	o->state = RCPT_FAILED;
	o->transcript = an->transcript;
	tell(an, r, o, LOG_WARNING, "delivery.failed");
}

/* The time is over: nobody will try again (RFC 3463 3.5: X.4.7 delivery time expired). */
static void expired(const struct answer *an, const struct due_recipient *r, struct outcome *o)
{
	const struct due_message *m = &an->lease->message->due;
	struct arena *a = arena_of(an->lease);

	o->verdict = (struct verdict){
		.class = PERM,
		.code = o->verdict.code ? o->verdict.code : 451,
		.enhanced = S("4.4.7"),
		.text = arena_printf(a, "not delivered within %.*s; last answer: %.*s",
				     STR_ARG(duration_words(a, m->expires_at - m->received_at)),
				     STR_ARG(reply_words(a, o->verdict))),
	};
	failed(an, r, o);
}

/* Only an attempt that began after the message's time was over may end it: a clock that jumps does not bounce the queue. */
static bool is_over(const struct due_message *m, uint64_t tried_at)
{
	return m->expires_at > 0 && tried_at >= m->expires_at;
}

static void deferred(const struct answer *an, const struct due_recipient *r, uint64_t pause_ms, struct outcome *o)
{
	const struct due_message *m = &an->lease->message->due;
	const struct cfg_queue *c = &role_config(an->lease->message->dispatch->role)->queue;

	if (is_over(m, an->lease->sent_at)) {
		expired(an, r, o);
		return;
	}
	if (r->attempts == 0 && meaning_trouble(an->meaning) == TROUBLE_GREYLIST)
		o->due_at = greylist_at(c, pause_ms, an->now, m->expires_at, random_u64());
	else
		o->due_at = paused_at(c, pause_ms, r->attempts, an->now, m->expires_at, random_u64());
	o->transcript = an->transcript;
	tell(an, r, o, LOG_INFO, "delivery.deferred");
}

/* The next hop holds something against this sender alone: its mail there waits, or takes the next way at once. True: it does the latter. */
static bool sender_refused(const struct answer *an, const struct due_recipient *r, const struct rec_outcome *said,
			   struct outcome *o)
{
	const struct lease *l = an->lease;
	const struct due_message *m = &l->message->due;
	struct way next;

	pause_begin(l->gate, m->sender,
		    &(struct refusal){ .scope = (enum scope)said->scope,
				       .meaning = said->meaning,
				       .pause_ms = said->pause_ms,
				       .reason = o->verdict.text,
				       .tried_at = l->sent_at },
		    an->now);
	next = way_find(l->message->dispatch, m->login, m->sender, r->address, an->now);
	if (!next.gate || next.gate == l->gate)
		return false;
	o->transcript = an->transcript;
	tell(an, r, o, LOG_INFO, "delivery.rerouted");
	return true;
}

/* What only an administrator can mend, and what closes neither gate nor sender: it must be said somewhere. */
static void complain(const struct answer *an, const struct rec_outcome *said)
{
	struct gate *g = an->lease->gate;
	enum trouble t = meaning_trouble(said->meaning);

	if (g && !g->is_mx && meaning_actor(said->meaning) == ACTOR_ADMIN &&
	    (t == TROUBLE_SETUP || t == TROUBLE_LOGIN || t == TROUBLE_REPUTATION || t == TROUBLE_TLS))
		gate_complained(g, said->meaning, said->verdict.text, an->now);
}

static void put_off(const struct answer *an, const struct due_recipient *r, const struct rec_outcome *said, struct outcome *o)
{
	bool of_sender = said->scope == SCOPE_SENDER || said->scope == SCOPE_DOMAIN;

	if (of_sender && an->lease->gate && sender_refused(an, r, said, o))
		return;
	o->attempted = true;
	if (!of_sender)
		complain(an, said);
	deferred(an, r, said->pause_ms, o);
}

/* One answer of the next hop. */
static struct outcome answered(struct answer *an, const struct due_recipient *r, const struct rec_outcome *said)
{
	struct outcome o = unchanged(an->lease, r, an->now, an->now);
	struct verdict v = said->verdict;

	an->meaning = o.meaning = v.class == OK ? 0 : said->meaning;
	an->scope = (unsigned)said->scope;
	v.text = str_head(v.text, REPLY_MAX);
	o.verdict = verdict_keep(arena_of(an->lease), v);
	/* who is told of it should not look for it there */
	o.remote = said->ours && v.class == PERM ? S("") : an->remote;
	if (v.class == OK) {
		o.attempted = true;
		delivered(an, r, &o);
	} else if (v.class == TEMP && v.code == 0) {
		o.verdict = ok(); /* relay dropped it untried: withdrawn by us, or because it is to stop */
	} else if (v.class == PERM) {
		o.attempted = true;
		failed(an, r, &o);
		breaker_finished(an->lease->message->dispatch->accounting, an->lease->message->due.login, true, an->now);
	} else {
		put_off(an, r, said, &o);
	}
	return o;
}

/* The fault of a next hop as a recipient's last answer: RFC 3463 X.4.1 no answer from host, X.3.5 system incorrectly configured, X.7.0
 * other security or policy. */
static struct verdict fault_verdict(enum gate_fault fault, struct str reason)
{
	static const struct str enhanced[] = { { "4.4.0", 5 }, { "4.4.1", 5 }, { "4.3.5", 5 }, { "4.7.0", 5 } };

	return temp(451, enhanced[fault], reason);
}

/* The next hop as a whole is at fault: the recipient takes the next way of its route at once, or waits for the first that opens; but an
 * MX host that cannot be reached is an attempt like any other. */
static struct outcome blocked(const struct answer *an, const struct due_recipient *r, enum gate_fault fault, struct str reason,
			      bool news)
{
	const struct lease *l = an->lease;
	const struct due_message *m = &l->message->due;
	struct outcome o = unchanged(l, r, an->now, an->now);
	struct way next = way_find(l->message->dispatch, m->login, m->sender, r->address, an->now);

	o.meaning = an->meaning;
	o.verdict = fault_verdict(fault, reason);
	o.remote = an->remote;
	o.transcript = an->transcript;
	if (next.gate && next.gate != l->gate) {
		tell(an, r, &o, LOG_INFO, "delivery.rerouted");
	} else if (l->gate->is_mx) {
		o.attempted = true;
		deferred(an, r, 0, &o);
	} else if (!next.gate && is_over(m, next.tried_at)) {
		o.attempted = true;
		expired(an, r, &o);
	} else if (news) {
		tell(an, r, &o, LOG_INFO, "delivery.deferred");
	}
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

/* Did the next hop take the message for anybody? */
static bool next_hop_took(const struct msg_result *m)
{
	for (size_t i = 0; i < m->outcomes.n; i++)
		if (m->outcomes.at[i].verdict.class == OK)
			return true;
	return false;
}

/* Did the next hop say anything, or did relay drop the delivery untried? */
static bool next_hop_spoke(const struct msg_result *m)
{
	for (size_t i = 0; i < m->outcomes.n; i++)
		if (m->outcomes.at[i].verdict.code != 0)
			return true;
	return false;
}

static enum gate_fault fault_of(const struct msg_result *m)
{
	if (m->gate == 0)
		return FAULT_NONE;
	return m->gate <= FAULT_POLICY ? (enum gate_fault)m->gate : FAULT_UNREACHABLE;
}

/* What the result says about the next hop as a whole; true when that is news. */
static bool use_gate(struct lease *l, const struct msg_result *m, uint64_t now)
{
	bool spoke = next_hop_spoke(m);

	if (spoke)
		gate_pace(l->gate, m->connections);
	if (!next_hop_took(m) && (m->gate || !spoke))
		limits_return(l); /* nothing came of it */
	if (next_hop_took(m))
		pause_end(l->gate, l->message->due.sender, now);
	if (m->gate)
		return gate_failed(l->gate,
				   &(struct gate_trouble){ .fault = fault_of(m),
							   .meaning = m->gate_meaning,
							   .pause_ms = m->gate_pause_ms,
							   .reason = m->gate_reason,
							   .tried_at = l->sent_at },
				   now);
	if (spoke)
		gate_prove(l->gate, now);
	return spoke && gate_worked(l->gate, now);
}

static void use_answers(struct lease *l, const struct msg_result *m)
{
	struct answer an = {
		.lease = l,
		.now = clock_now_ms(),
		.remote = arena_str(arena_of(l), str_head(m->remote, REPLY_MAX)),
		.tls = arena_str(arena_of(l), str_head(m->tls, REPLY_MAX)),
		.without = arena_str(arena_of(l), str_head(m->without, REPLY_MAX)),
		.transcript = arena_str(arena_of(l), str_head(m->transcript, 4096)),
		.dsn = m->dsn != 0,
	};
	struct str reason = arena_str(arena_of(l), str_head(m->gate_reason, REPLY_MAX));
	bool news = use_gate(l, m, an.now);
	struct verdict no_answer = temp(451, S("4.3.0"), S("the delivery ended without an answer"));

	begin_outcomes(l);
	for (size_t i = 0; i < l->recipients_n; i++) {
		const struct due_recipient *r = &l->recipients[i];
		const struct rec_outcome *o = outcome_for(m, r->n);

		an.meaning = m->gate_meaning;
		an.scope = SCOPE_HOP;
		if (o && (!m->gate || o->verdict.class == OK))
			l->outcomes[i] = answered(&an, r, o);
		else if (m->gate)
			l->outcomes[i] = blocked(&an, r, fault_of(m), reason, news);
		else
			l->outcomes[i] = answered(&an, r, &(struct rec_outcome){ .verdict = no_answer });
	}
	l->tell_relay = true;
	if (l->gate->status == GATE_DOWN)
		leases_return_gate(l->gate);
	settle(l);
}

static void use_result(struct lease *l, const struct msg_result *said)
{
	struct rec_outcome refusal;
	struct msg_result m;

	use_answers(l, report_wants_other_form(l, said, &m, &refusal) ? &m : said);
}

void outcome_result(struct dispatch *d, const struct msg_result *m)
{
	struct lease *l = lease_find(d, m->lease);

	if (l && l->state == LEASE_SENT) {
		use_result(l, m);
		scheduler_wake(d);
		return;
	}
	log_warning(NULL, "result.ignored", kv("lease", m->lease), kv("outcomes", m->outcomes.n));
	if (!l)
		ipc_send_settled(d->relay, &(struct msg_settled){ .lease = m->lease }, -1);
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

	limits_return(l);
	begin_outcomes(l);
	for (size_t i = 0; i < l->recipients_n; i++)
		l->outcomes[i] = unchanged(l, &l->recipients[i], now, due_at);
	settle(l);
}

/* Where it was in the lane: what was never tried is as old as its message, the rest comes after that anyway. */
static uint64_t place_of(const struct due_message *m, const struct due_recipient *r, uint64_t now)
{
	return r->attempts == 0 && m->received_at < now ? m->received_at : now;
}

void outcome_wait(struct lease *l, const struct way *way, bool in_place)
{
	struct answer an = { .lease = l, .now = clock_now_ms() };
	const struct due_message *m = &l->message->due;
	uint64_t put_off = an.now + PUT_OFF_MAX_MS;
	bool over = is_over(m, way->tried_at);

	if (way->wait_until < put_off)
		put_off = way->wait_until;
	if (over)
		l->message->dispatch->scheduler.expired = true;
	begin_outcomes(l);
	for (size_t i = 0; i < l->recipients_n; i++) {
		const struct due_recipient *r = &l->recipients[i];
		struct outcome *o = &l->outcomes[i];

		*o = unchanged(l, r, an.now, in_place ? place_of(m, r, an.now) : put_off);
		if (!over)
			continue;
		o->route = arena_str(arena_of(l), way->name);
		o->verdict = fault_verdict(FAULT_UNREACHABLE, arena_str(arena_of(l), way->reason));
		o->attempted = true;
		expired(&an, r, o);
	}
	settle(l);
}

void outcome_no_route(struct lease *l, struct verdict why)
{
	struct answer an = { .lease = l, .now = clock_now_ms() };

	l->sent_at = an.now;
	begin_outcomes(l);
	for (size_t i = 0; i < l->recipients_n; i++)
		l->outcomes[i] = answered(&an, &l->recipients[i], &(struct rec_outcome){ .verdict = why });
	settle(l);
}

/* A row without its file is held and shouted about, never dropped (DESIGN 2.4). */
void outcome_no_text(struct lease *l, struct verdict why)
{
	struct answer an = { .lease = l, .now = clock_now_ms() };
	bool gone = why.class == PERM;

	limits_return(l);
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
