/* complaints.c - what the refusals of a delivery say about the next hop: whether it is at fault as a whole, and for how long. */
#include "delivery.h"
#include "pool.h"
#include "relay.h"

#include "posthouse/units.h"
#include "posthouse/address.h"
#include "posthouse/clock.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum {
	COMPLAINT_MS = HOUR_MS, /* the same complaint about another witness within this time means the next hop */
};

/* All recipients of a transaction are often refused with the same reply: it is classified once. */
static struct meaning judge(struct delivery *d, enum smtp_step step, struct verdict v)
{
	struct judged *last = &d->judged;
	/* before MAIL no reply is about a message: the verdict is one of this relay */
	struct place place = { .step = step == STEP_OPENING ? STEP_OURS : step,
			       .mx = d->pool && d->pool->mx,
			       .null_sender = d->envelope.sender.n == 0,
			       .server = d->pool ? d->pool->host : S("") };

	if (last->known && last->step == step && last->verdict.code == v.code && str_eq(last->verdict.enhanced, v.enhanced) &&
	    str_eq(last->verdict.text, v.text))
		return last->meaning;
	*last = (struct judged){ .known = true, .step = step, .verdict = v, .meaning = reply_class(place, v) };
	return last->meaning;
}

void delivery_hear(struct delivery *d, size_t index, enum smtp_step step, struct verdict v)
{
	struct recipient *r = &d->recipients[index];

	assert(index < d->recipients_n);
	r->verdict = verdict_keep(&d->arena, v);
	r->step = step;
	r->meaning = judge(d, step, r->verdict);
}

void delivery_outcome(struct delivery *d, size_t index, enum smtp_step step, struct verdict v)
{
	delivery_hear(d, index, step, v);
	d->recipients[index].known = true;
}

/* ---- is it the next hop, or this recipient's side or this message? ---- */

static bool complains(const struct recipient *r, enum trouble trouble)
{
	return r->known && r->verdict.class != OK && r->meaning.trouble == trouble && r->meaning.scope == SCOPE_HOP;
}

/* Two complaints must differ in this. At an upstream it is the domain of the recipient; an MX host has recipients of few domains,
 * so there it is the address. */
static void name_witness(const struct delivery *d, const struct recipient *r, struct complaint *c)
{
	struct str s = d->pool->mx ? r->address : address_domain(r->address);

	if (r->step == STEP_DATA)
		snprintf(c->witness, sizeof c->witness, "%" PRIu64, d->id);
	else
		snprintf(c->witness, sizeof c->witness, "%.*s", STR_ARG(s));
}

/* Was the same complaint made about another witness, in this delivery or within COMPLAINT_MS? */
static bool is_repeated(const struct delivery *d, const struct recipient *first, const struct complaint *now)
{
	const struct complaint *before = &d->pool->complaint;
	struct complaint other;

	if (before->trouble == now->trouble && before->step == now->step && clock_mono_ms() < before->until &&
	    !str_ieq(str_of(before->witness), str_of(now->witness)))
		return true;
	for (size_t i = 0; i < d->recipients_n; i++) {
		if (!complains(&d->recipients[i], now->trouble) || d->recipients[i].step != first->step)
			continue;
		name_witness(d, &d->recipients[i], &other);
		if (!str_ieq(str_of(other.witness), str_of(now->witness)))
			return true;
	}
	return false;
}

/* One recipient or one message must not close a next hop for all mail. At RCPT, the reply of an upstream can come from the
 * recipient's server, and that of an MX host can be a rule of this recipient. After the text, a reply about our set-up or
 * reputation can be caused by the text. */
static bool needs_second(const struct delivery *d, const struct recipient *r)
{
	enum trouble t = r->meaning.trouble;

	if (r->step == STEP_RCPT)
		return !d->pool->mx || (t == TROUBLE_REPUTATION && !reply_class_is_plain(r->step, r->verdict));
	return r->step == STEP_DATA && r->verdict.code >= 500 && r->meaning.scope == SCOPE_HOP &&
	       (t == TROUBLE_SETUP || t == TROUBLE_REPUTATION) && !reply_class_is_plain(r->step, r->verdict);
}

static bool means_the_nexthop(const struct delivery *d, const struct recipient *r)
{
	struct complaint now = { .step = r->step, .trouble = r->meaning.trouble, .until = clock_mono_ms() + COMPLAINT_MS };

	if (!d->pool || !needs_second(d, r))
		return true;
	name_witness(d, r, &now);
	if (is_repeated(d, r, &now))
		return true;
	d->pool->complaint = now;
	return false;
}

static bool any_taken(const struct delivery *d)
{
	for (size_t i = 0; i < d->recipients_n; i++)
		if (d->recipients[i].known && d->recipients[i].verdict.class == OK)
			return true;
	return false;
}

/* ---- the delivery as a whole ---- */

/* The next hop is at fault only when all failures have such a reason. Otherwise an unknown recipient would wait too. */
enum gate_state delivery_gate(const struct delivery *d, struct meaning *meaning_out, struct str *reason_out)
{
	const struct recipient *worst = NULL;

	*reason_out = S("");
	*meaning_out = (struct meaning){ 0 };
	for (size_t i = 0; i < d->recipients_n; i++) {
		const struct recipient *r = &d->recipients[i];

		if (!r->known || r->verdict.class == OK)
			continue;
		if (reply_class_gate(r->meaning) == GATE_FINE)
			return GATE_FINE;
		if (!worst || reply_class_gate(r->meaning) > reply_class_gate(worst->meaning))
			worst = r;
	}
	if (!worst && d->pool && any_taken(d) && d->pool->complaint.step == STEP_DATA)
		d->pool->complaint.until = 0; /* the next hop accepts messages: its complaint was about one message */
	if (!worst || (worst->step == STEP_RCPT && any_taken(d)) || !means_the_nexthop(d, worst))
		return GATE_FINE;
	*meaning_out = worst->meaning;
	*reason_out = worst->verdict.text.n ? worst->verdict.text : S("refused");
	return reply_class_gate(worst->meaning);
}

/* The outcome of one recipient, for queue. A failure that passes is a temporary one, even if its reply was 5xx. */
struct rec_outcome delivery_answer(struct delivery *d, size_t index)
{
	struct recipient *r = &d->recipients[index];
	struct verdict v = r->verdict;

	if (!r->known)
		v = temp(451, S("4.3.0"), S("the delivery ended without an answer"));
	else if (v.class == PERM && r->meaning.waits) {
		if (v.enhanced.n > 1)
			v.enhanced = arena_printf(&d->arena, "4%.*s", STR_ARG(str_from(v.enhanced, 1)));
		v.class = TEMP;
	}
	if (!r->known || v.class == OK)
		return (struct rec_outcome){ .n = r->n, .verdict = v };
	return (struct rec_outcome){ .n = r->n,
				     .verdict = v,
				     .meaning = meaning_pack(r->meaning),
				     .scope = r->meaning.scope,
				     .pause_ms = r->meaning.pause_ms,
				     .ours = r->step == STEP_OURS };
}

/* Did the next hop refuse because of a rate? Then fewer connections can help. */
bool delivery_met_rate(const struct delivery *d)
{
	for (size_t i = 0; i < d->recipients_n; i++)
		if (complains(&d->recipients[i], TROUBLE_RATE))
			return true;
	return false;
}
