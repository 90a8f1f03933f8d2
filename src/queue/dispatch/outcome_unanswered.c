/* outcome_unanswered.c - the outcomes of deliveries about which the next hop said nothing. */
#include "dispatch/outcome_private.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#define UNKNOWN_DELAY_MS (5 * MINUTE_MS)
#define NO_TEXT_DELAY_MS MINUTE_MS
#define PUT_OFF_MAX_MS   MINUTE_MS /* waiting recipients are looked at again, since a reload can open a next hop sooner */

void outcome_orphaned(struct lease *l, bool died)
{
	struct answer an = { .lease = l, .now = clock_now_ms() };

	outcomes_begin(l);
	for (size_t i = 0; i < l->recipients_n; i++) {
		const struct due_recipient *r = &l->recipients[i];
		struct outcome *o = &l->outcomes[i];

		*o = outcome_unchanged(l, r, an.now, an.now + UNKNOWN_DELAY_MS);
		o->attempted = true;
		o->died = died;
		o->verdict = temp(451, S("4.3.0"), S("outcome unknown: the delivering process ended"));
		if (died && r->deaths + 1 >= DEATHS_MAX) {
			o->state = RCPT_HELD;
			o->verdict.text = S("held: the delivering process died with it three times; release it with care");
			outcome_tell(&an, r, o, LOG_ERROR, "delivery.held");
		} else {
			outcome_tell(&an, r, o, LOG_WARNING, "delivery.deferred");
		}
	}
	settle(l);
}

void outcome_return(struct lease *l, uint64_t due_at)
{
	uint64_t now = clock_now_ms();

	lease_uncharge(l);
	outcomes_begin(l);
	for (size_t i = 0; i < l->recipients_n; i++)
		l->outcomes[i] = outcome_unchanged(l, &l->recipients[i], now, due_at);
	settle(l);
}

/* Its place in the lane: a recipient that was never tried is as old as its message; others come after these. */
static uint64_t place_of(const struct due_message *m, const struct due_recipient *r, uint64_t now)
{
	return r->attempts == 0 && m->received_at < now ? m->received_at : now;
}

void outcome_wait(struct lease *l, const struct route_choice *choice, bool scan_only)
{
	struct answer an = { .lease = l, .now = clock_now_ms() };
	const struct due_message *m = &l->message->due;
	uint64_t put_off = an.now + PUT_OFF_MAX_MS;
	bool over = outcome_is_over(m, choice->tried_at);

	if (choice->wait_until < put_off)
		put_off = choice->wait_until;
	if (over)
		l->message->dispatch->scheduler.scan.found_expired = true;
	outcomes_begin(l);
	for (size_t i = 0; i < l->recipients_n; i++) {
		const struct due_recipient *r = &l->recipients[i];
		struct outcome *o = &l->outcomes[i];

		*o = outcome_unchanged(l, r, an.now, scan_only ? place_of(m, r, an.now) : put_off);
		if (!over)
			continue;
		o->route = arena_str(outcome_arena(l), choice->name);
		o->verdict = outcome_fault(FAULT_UNREACHABLE, 0, arena_str(outcome_arena(l), choice->reason));
		o->attempted = true;
		outcome_expired(&an, r, o);
	}
	settle(l);
}

void outcome_no_route(struct lease *l, struct verdict why)
{
	struct answer an = { .lease = l, .now = clock_now_ms() };
	struct rec_outcome said = { .verdict = why };

	if (why.class == PERM && str_eq(why.enhanced, S("5.3.4")))
		said.meaning = meaning_pack((struct meaning){ .trouble = TROUBLE_SIZE, .actor = ACTOR_USER });
	l->sent_at = an.now;
	outcomes_begin(l);
	for (size_t i = 0; i < l->recipients_n; i++)
		l->outcomes[i] = outcome_answered(&an, &l->recipients[i], &said);
	settle(l);
}

/* A message without its text is held, and an error in the log, but never dropped. */
void outcome_no_text(struct lease *l, struct verdict why)
{
	struct answer an = { .lease = l, .now = clock_now_ms() };
	bool gone = why.class == PERM;

	lease_uncharge(l);
	outcomes_begin(l);
	for (size_t i = 0; i < l->recipients_n; i++) {
		struct outcome *o = &l->outcomes[i];

		*o = outcome_unchanged(l, &l->recipients[i], an.now, an.now + NO_TEXT_DELAY_MS);
		o->verdict = verdict_keep(outcome_arena(l),
					  temp(451, S("4.3.0"), why.text.n ? why.text : S("the text cannot be read")));
		o->state = gone ? RCPT_HELD : RCPT_WAITING;
		if (gone)
			outcome_tell(&an, &l->recipients[i], o, LOG_ERROR, "delivery.held");
		else
			outcome_tell(&an, &l->recipients[i], o, LOG_ERROR, "delivery.deferred");
	}
	settle(l);
}
