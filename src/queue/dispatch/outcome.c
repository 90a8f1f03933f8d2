/* outcome.c - what one answer means for one recipient. */
#include "dispatch/outcome_private.h"

#include "common/event_fields.h"

#include "posthouse/clock.h"
#include "posthouse/id.h"
#include "posthouse/smtp_server.h"
#include "posthouse/units.h"

#include <assert.h>

#define REPLY_MAX 1000 /* bytes of an answer that are kept */

struct arena *outcome_arena(const struct lease *l)
{
	return &l->message->arena;
}

struct outcome outcome_unchanged(const struct lease *l, const struct due_recipient *r, uint64_t now, uint64_t due_at)
{
	return (struct outcome){
		.id = l->message->due.id,
		.n = r->n,
		.take_no = r->take_no,
		.state = RCPT_WAITING,
		.due_at = due_at,
		.route = l->nexthop ? arena_str(outcome_arena(l), str_of(l->nexthop->name)) : S(""),
		.at = now,
	};
}

void outcomes_begin(struct lease *l)
{
	assert(!l->outcomes);
	l->outcomes = ARENA_ARRAY(outcome_arena(l), struct outcome, l->recipients_n);
}

/* An event "delivery.sent" counts as "sent 2.0.0". */
static void count(const struct answer *an, const struct outcome *o, const char *event)
{
	struct str what = str_of(event + strlen("delivery."));
	struct str code = str_head(o->verdict.enhanced.n > 0 ? o->verdict.enhanced : S("none"), TALLY_LABEL_MAX - 1 - what.n);
	char label[TALLY_LABEL_MAX];

	memcpy(label, what.p, what.n);
	label[what.n] = ' ';
	memcpy(label + what.n + 1, code.p, code.n);
	tally_count(&an->lease->message->dispatch->results, str_make(label, what.n + 1 + code.n));
}

void outcome_tell(const struct answer *an, const struct due_recipient *r, struct outcome *o, enum log_level level,
		  const char *event)
{
	const struct due_message *m = &an->lease->message->due;
	uint64_t sent_at = o->attempted ? an->lease->sent_at : 0;
	uint64_t queued_ms = sent_at > m->received_at ? sent_at - m->received_at : 0;

	count(an, o, event);
	o->event = str_of(event);
	o->event_fields = FIELDS_LOGGED(
		outcome_arena(an->lease), level, m->id, event, 4, kv("login", m->envelope.login),
		kv("sender", m->envelope.sender), kv("message_id", m->envelope.message_id),
		sent_at ? kv("queued_ms", queued_ms) : kv("queued_ms", ""), kv("recipient", r->address), kv("remote", an->remote),
		kv("tls", an->tls), kv("tls_policy", an->tls_policy), kv("tls_result", an->tls_result),
		kv("without", an->without), kv("from", an->lease->from), kv("route", o->route), kv("code", o->verdict.code),
		kv("enhanced", o->verdict.enhanced), kv("reply", o->verdict.text),
		kv("class", trouble_name(meaning_trouble(an->meaning))),
		kv("who", an->meaning ? actor_name(meaning_actor(an->meaning)) : ""), kv("hint", meaning_hint(an->meaning)),
		kv("scope", an->meaning ? scope_name(an->scope) : ""), kv("attempts", r->attempts + (o->attempted ? 1 : 0)),
		sent_at ? kv("took_ms", an->now - sent_at) : kv("took_ms", ""),
		kv("age_ms", an->now > m->received_at ? an->now - m->received_at : 0),
		o->state == RCPT_WAITING ? kv("due_in_ms", o->due_at - an->now) : kv("due_in_ms", ""));
}

/* ---- one recipient ---- */

/* RFC 3461 5.2.2 and 5.2.3: a success that is to be reported is reported by the last host that knows of this wish. This relay
 * never delivers. */
static void delivered(const struct answer *an, const struct due_recipient *r, struct outcome *o)
{
	bool asked = (r->notify & NOTIFY_SUCCESS) != 0;

	o->state = asked ? RCPT_RELAYED : RCPT_DELIVERED;
	o->report_success = asked && !an->dsn && an->lease->message->due.envelope.sender.n > 0;
	outcome_tell(an, r, o, LOG_INFO, "delivery.sent");
	histogram_count(&an->lease->message->dispatch->delivery_time,
			an->now > an->lease->message->due.received_at ? an->now - an->lease->message->due.received_at : 0);
	breaker_finished(an->lease->message->dispatch->accounting, an->lease->message->due.envelope.login, false, an->now);
}

/* "451 4.7.1 text", without what is missing. */
static struct str reply_words(struct arena *a, struct verdict v)
{
	struct str code = v.code ? arena_printf(a, "%u ", v.code) : S("");

	return arena_printf(a, "%.*s%.*s%s%.*s", STR_ARG(code), STR_ARG(v.enhanced), v.enhanced.n ? " " : "", STR_ARG(v.text));
}

/* For good. The report to the sender, or to the postmaster, follows from the state. */
static void failed(const struct answer *an, const struct due_recipient *r, struct outcome *o)
{
	o->state = RCPT_FAILED;
	o->transcript = an->transcript;
	outcome_tell(an, r, o, LOG_WARNING, "delivery.failed");
}

/* RFC 3463 3.5: X.4.7 delivery time expired. */
void outcome_expired(const struct answer *an, const struct due_recipient *r, struct outcome *o)
{
	const struct due_message *m = &an->lease->message->due;
	struct arena *a = outcome_arena(an->lease);

	o->verdict = (struct verdict){
		.class = PERM,
		.code = o->verdict.code ? o->verdict.code : 451,
		.enhanced = S("4.4.7"),
		.text = arena_printf(a, "not delivered within %.*s; last answer: %.*s",
				     STR_ARG(format_duration(a, m->expires_at - m->received_at)),
				     STR_ARG(reply_words(a, o->verdict))),
	};
	failed(an, r, o);
}

bool outcome_is_over(const struct due_message *m, uint64_t tried_at)
{
	return m->expires_at > 0 && tried_at >= m->expires_at;
}

void outcome_deferred(const struct answer *an, const struct due_recipient *r, uint64_t pause_ms, struct outcome *o)
{
	const struct due_message *m = &an->lease->message->due;
	const struct cfg_queue *c = &role_config(an->lease->message->dispatch->role)->queue;

	if (outcome_is_over(m, an->lease->sent_at)) {
		outcome_expired(an, r, o);
		return;
	}
	if (r->attempts == 0 && meaning_trouble(an->meaning) == TROUBLE_GREYLIST)
		o->due_at = greylist_at(c, pause_ms, an->now, m->expires_at, random_u64());
	else
		o->due_at = retry_at(c, pause_ms, r->attempts, an->now, m->expires_at, random_u64());
	o->transcript = an->transcript;
	outcome_tell(an, r, o, LOG_INFO, "delivery.deferred");
}

/* The next hop refuses this sender alone: its mail waits there, or takes the next choice of its route at once. True: the
 * latter. */
static bool sender_refused(const struct answer *an, const struct due_recipient *r, const struct rec_outcome *said,
			   struct outcome *o)
{
	const struct lease *l = an->lease;
	const struct due_message *m = &l->message->due;
	struct route_choice next;

	sender_pause_begin(l->nexthop, m->envelope.sender,
			   &(struct sender_refusal){ .scope = (enum scope)said->scope,
						     .meaning = said->meaning,
						     .pause_ms = said->pause_ms,
						     .reason = o->verdict.text,
						     .tried_at = l->sent_at },
			   an->now);
	next = message_choose(l->message, r, an->now);
	if (!next.nexthop || next.nexthop == l->nexthop)
		return false;
	o->transcript = an->transcript;
	outcome_tell(an, r, o, LOG_INFO, "delivery.rerouted");
	return true;
}

/* A fault that only an administrator can mend, and that closes neither the next hop nor the sender, must be told in some
 * place. */
static void complain(const struct answer *an, const struct rec_outcome *said)
{
	struct nexthop *hop = an->lease->nexthop;
	enum trouble t = meaning_trouble(said->meaning);

	if (hop && !hop->is_mx && meaning_actor(said->meaning) == ACTOR_ADMIN &&
	    (t == TROUBLE_SETUP || t == TROUBLE_LOGIN || t == TROUBLE_REPUTATION || t == TROUBLE_TLS))
		nexthop_complained(hop, said->meaning, said->verdict.text, an->now);
}

static void put_off(const struct answer *an, const struct due_recipient *r, const struct rec_outcome *said, struct outcome *o)
{
	bool of_sender = said->scope == SCOPE_SENDER || said->scope == SCOPE_DOMAIN;

	if (of_sender && an->lease->nexthop && sender_refused(an, r, said, o))
		return;
	o->attempted = true;
	if (!of_sender)
		complain(an, said);
	outcome_deferred(an, r, said->pause_ms, o);
}

struct outcome outcome_answered(struct answer *an, const struct due_recipient *r, const struct rec_outcome *said)
{
	struct outcome o = outcome_unchanged(an->lease, r, an->now, an->now);
	struct verdict v = said->verdict;

	an->meaning = o.meaning = v.class == OK ? 0 : said->meaning;
	an->scope = (unsigned)said->scope;
	v.text = str_head(v.text, REPLY_MAX);
	o.verdict = verdict_keep(outcome_arena(an->lease), v);
	/* the reader of the report should not look for the cause at the next hop */
	o.remote = said->ours && v.class == PERM ? S("") : an->remote;
	o.tls = o.remote.n ? an->tls : S("");
	if (v.class == OK) {
		o.attempted = true;
		o.transcript = an->shown ? S("") : an->transcript;
		an->shown = true;
		delivered(an, r, &o);
	} else if (v.class == TEMP && v.code == 0) {
		o.verdict = ok(); /* relay dropped it untried: the queue has withdrawn it, or relay stops */
	} else if (v.class == PERM) {
		o.attempted = true;
		failed(an, r, &o);
		breaker_finished(an->lease->message->dispatch->accounting, an->lease->message->due.envelope.login, true, an->now);
	} else {
		put_off(an, r, said, &o);
	}
	return o;
}

/* RFC 3463: X.4.1 no answer from host, X.3.5 system incorrectly configured, X.7.0 other security or policy, X.7.5 cryptographic
 * failure: the TLS of the next hop, at which nobody here need be at fault. */
struct verdict outcome_fault(enum nexthop_fault fault, uint64_t meaning, struct str reason)
{
	static const struct str enhanced[] = { { "4.4.0", 5 }, { "4.4.1", 5 }, { "4.3.5", 5 }, { "4.7.0", 5 } };

	return temp(451, meaning_trouble(meaning) == TROUBLE_TLS ? S("4.7.5") : enhanced[fault], reason);
}
