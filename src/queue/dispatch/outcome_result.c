/* outcome_result.c - a result of relay: what it says about the next hop, and about each recipient. */
#include "dispatch/outcome_private.h"

#include "posthouse/clock.h"

#define REPLY_MAX 1000 /* bytes of an answer that are kept */

/* The next hop as a whole is at fault: the recipient takes the next choice of its route at once, or waits for the first one that
 * opens. But an MX domain that cannot be reached is an attempt like any other. */
static struct outcome blocked(const struct answer *an, const struct due_recipient *r, enum nexthop_fault fault, struct str reason,
			      bool news)
{
	const struct lease *l = an->lease;
	const struct due_message *m = &l->message->due;
	struct outcome o = outcome_unchanged(l, r, an->now, an->now);
	struct route_choice next = message_choose(l->message, r, an->now);

	o.meaning = an->meaning;
	o.verdict = outcome_fault(fault, an->meaning, reason);
	o.remote = an->remote;
	o.tls = an->tls;
	o.transcript = an->transcript;
	if (next.nexthop && next.nexthop != l->nexthop) {
		outcome_tell(an, r, &o, LOG_INFO, "delivery.rerouted");
	} else if (l->nexthop->is_mx) {
		o.attempted = true;
		outcome_deferred(an, r, 0, &o);
	} else if (!next.nexthop && outcome_is_over(m, next.tried_at)) {
		o.attempted = true;
		outcome_expired(an, r, &o);
	} else if (news) {
		outcome_tell(an, r, &o, LOG_INFO, "delivery.deferred");
	}
	return o;
}

/* RFC 8689 4.2.1: the next hop cannot do what REQUIRETLS demands. The recipient takes another choice of its route, also one that
 * is closed now; only where there is none, this is the end. */
static struct outcome unfit(struct answer *an, const struct due_recipient *r, const struct rec_outcome *said)
{
	const struct lease *l = an->lease;
	struct route_choice next = message_choose(l->message, r, an->now);
	struct outcome o;

	if (next.nexthop == l->nexthop || next.why.class != OK)
		return outcome_answered(an, r, said);
	o = outcome_unchanged(l, r, an->now, next.nexthop ? an->now : next.wait_until);
	o.meaning = said->meaning;
	o.verdict = verdict_keep(outcome_arena(l), said->verdict);
	o.remote = an->remote;
	o.tls = an->tls;
	o.transcript = an->transcript;
	outcome_tell(an, r, &o, LOG_INFO, "delivery.rerouted");
	return o;
}

/* Did the next hop take the message for any recipient? */
static bool next_hop_took(const struct msg_result *m)
{
	for (size_t i = 0; i < m->outcomes.n; i++)
		if (m->outcomes.at[i].verdict.class == OK)
			return true;
	return false;
}

/* Did the next hop reply, or did relay drop the delivery untried? */
static bool next_hop_spoke(const struct msg_result *m)
{
	for (size_t i = 0; i < m->outcomes.n; i++)
		if (m->outcomes.at[i].verdict.code != 0)
			return true;
	return false;
}

static enum nexthop_fault fault_of(const struct msg_result *m)
{
	if (m->gate == 0)
		return FAULT_NONE;
	return m->gate <= FAULT_POLICY ? (enum nexthop_fault)m->gate : FAULT_UNREACHABLE;
}

/* Take over what the result says about the next hop as a whole; true when this was not known before. */
static bool use_nexthop(struct lease *l, const struct msg_result *m, uint64_t now)
{
	bool spoke = next_hop_spoke(m) && !m->unfit;

	if (m->unfit)
		nexthop_note_unfit(l->nexthop, l->sent_at);
	if (spoke)
		nexthop_pace(l->nexthop, m->connections);
	if (!next_hop_took(m) && (m->gate || !spoke))
		lease_uncharge(l); /* the delivery came to nothing */
	if (next_hop_took(m))
		sender_pause_end(l->nexthop, l->message->due.envelope.sender, now);
	if (m->gate)
		return nexthop_failed(l->nexthop,
				      &(struct nexthop_trouble){ .fault = fault_of(m),
								 .meaning = m->gate_meaning,
								 .pause_ms = m->gate_pause_ms,
								 .reason = m->gate_reason,
								 .tried_at = l->sent_at },
				      now);
	if (spoke)
		nexthop_prove(l->nexthop, now);
	return spoke && nexthop_worked(l->nexthop, now);
}

static void use_answers(struct lease *l, const struct msg_result *m)
{
	struct answer an = {
		.lease = l,
		.now = clock_now_ms(),
		.remote = arena_str(outcome_arena(l), str_head(m->remote, REPLY_MAX)),
		.tls = arena_str(outcome_arena(l), str_head(m->tls, REPLY_MAX)),
		.tls_policy = arena_str(outcome_arena(l), str_head(m->tls_policy, REPLY_MAX)),
		.tls_result = arena_str(outcome_arena(l), str_head(m->tls_result, REPLY_MAX)),
		.without = arena_str(outcome_arena(l), str_head(m->without, REPLY_MAX)),
		.transcript = arena_str(outcome_arena(l), str_head(m->transcript, 4096)),
		.dsn = m->dsn != 0,
	};
	struct str reason = arena_str(outcome_arena(l), str_head(m->gate_reason, REPLY_MAX));
	bool news = use_nexthop(l, m, an.now);
	struct verdict no_answer = temp(451, S("4.3.0"), S("the delivery ended without an answer"));

	if (l->sent_at > 0 && an.now >= l->sent_at)
		histogram_count(&l->message->dispatch->attempt_time, an.now - l->sent_at);
	outcomes_begin(l);
	for (size_t i = 0; i < l->recipients_n; i++) {
		const struct due_recipient *r = &l->recipients[i];
		const struct rec_outcome *o = result_outcome(m, r->n);

		an.meaning = m->gate_meaning;
		an.scope = SCOPE_HOP;
		if (o && m->unfit && o->verdict.class != OK)
			l->outcomes[i] = unfit(&an, r, o);
		else if (o && (!m->gate || o->verdict.class == OK))
			l->outcomes[i] = outcome_answered(&an, r, o);
		else if (m->gate)
			l->outcomes[i] = blocked(&an, r, fault_of(m), reason, news);
		else
			l->outcomes[i] = outcome_answered(&an, r, &(struct rec_outcome){ .verdict = no_answer });
	}
	l->tell_relay = true;
	if (l->nexthop->status == NEXTHOP_DOWN)
		leases_return_nexthop(l->nexthop);
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
