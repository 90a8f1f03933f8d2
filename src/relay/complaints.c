/* complaints.c - what the refusals of a delivery say about the next hop: whether it is at fault as a whole, and for how long. */
#include "relay.h"

#include "posthouse/clock.h"

#include <assert.h>

/* All recipients of a transaction are often refused with the same words: these are judged once. */
static struct meaning judge(struct delivery *d, enum smtp_step step, struct verdict v)
{
	struct judged *last = &d->judged;
	/* before MAIL no server has said anything about a message: that is what we found ourselves */
	struct place place = { .step = step == STEP_OPENING ? STEP_OURS : step,
			       .mx = d->pool && d->pool->mx,
			       .null_sender = d->sender.n == 0 };

	if (last->known && last->step == step && last->verdict.code == v.code && str_eq(last->verdict.enhanced, v.enhanced) &&
	    str_eq(last->verdict.text, v.text))
		return last->meaning;
	*last = (struct judged){ .known = true, .step = step, .verdict = v, .meaning = blame_reply(place, v) };
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

/* ---- at RCPT: is it the next hop, or this recipient's side that speaks through it? ---- */

static struct str domain_of(struct str address)
{
	return str_from(address, str_rfind(address, '@') + 1);
}

static bool complains(const struct recipient *r, enum trouble trouble)
{
	return r->known && r->verdict.class != OK && r->meaning.trouble == trouble && r->meaning.scope == SCOPE_HOP;
}

/* The same complaint about recipients of two domains, in this delivery or within some time. */
static bool is_repeated(const struct delivery *d, const struct recipient *first)
{
	const struct complaint *before = &d->pool->complaint;
	struct str domain = domain_of(first->address);

	if (before->trouble == first->meaning.trouble && clock_mono_ms() < before->until &&
	    !str_ieq(str_of(before->domain), domain))
		return true;
	for (size_t i = 0; i < d->recipients_n; i++)
		if (complains(&d->recipients[i], first->meaning.trouble) && !str_ieq(domain_of(d->recipients[i].address), domain))
			return true;
	return false;
}

static void remember(struct complaint *c, const struct recipient *r)
{
	struct str domain = str_head(domain_of(r->address), sizeof c->domain - 1);

	c->trouble = r->meaning.trouble;
	c->until = clock_mono_ms() + COMPLAINT_MS;
	memcpy(c->domain, domain.p, domain.n);
	c->domain[domain.n] = '\0';
}

/* An upstream has recipients of many domains, and one of these must not be able to close it for all: its answer to RCPT may come from that
 * domain. An MX host speaks for its own domain only. */
static bool means_the_hop(const struct delivery *d, const struct recipient *r)
{
	if (!d->pool || d->pool->mx || r->step != STEP_RCPT || is_repeated(d, r))
		return true;
	remember(&d->pool->complaint, r);
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

/* Only when all that failed failed for such a reason: otherwise an unknown recipient would have to wait with the others. */
enum gate_state delivery_gate(const struct delivery *d, struct meaning *meaning_out, struct str *reason_out)
{
	const struct recipient *worst = NULL;

	*reason_out = S("");
	*meaning_out = (struct meaning){ 0 };
	for (size_t i = 0; i < d->recipients_n; i++) {
		const struct recipient *r = &d->recipients[i];

		if (!r->known || r->verdict.class == OK)
			continue;
		if (blame_gate(r->meaning) == GATE_FINE)
			return GATE_FINE;
		if (!worst || blame_gate(r->meaning) > blame_gate(worst->meaning))
			worst = r;
	}
	if (!worst || (worst->step == STEP_RCPT && any_taken(d)) || !means_the_hop(d, worst))
		return GATE_FINE;
	*meaning_out = worst->meaning;
	*reason_out = worst->verdict.text.n ? worst->verdict.text : S("refused");
	return blame_gate(worst->meaning);
}

void delivery_spread_blame(struct delivery *d)
{
	for (size_t i = 0; i < d->recipients_n; i++) {
		struct recipient r = d->recipients[i];

		if (!r.known || r.verdict.class == OK || blame_gate(r.meaning) == GATE_FINE)
			continue;
		delivery_settle_rest(d, r.step, r.verdict);
		return;
	}
}

/* What the queue is told of one recipient. What passes is a failure for now, whatever digit it began with. */
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
				     .meaning = meaning_pack(r->meaning.trouble, r->meaning.actor),
				     .scope = r->meaning.scope,
				     .pause_ms = r->meaning.pause_ms,
				     .ours = r->step == STEP_OURS };
}

/* Was it too much at once for the next hop? Then fewer connections may do. */
bool delivery_met_rate(const struct delivery *d)
{
	for (size_t i = 0; i < d->recipients_n; i++)
		if (complains(&d->recipients[i], TROUBLE_RATE))
			return true;
	return false;
}
