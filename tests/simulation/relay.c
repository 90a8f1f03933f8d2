/* relay.c - deliveries: given by the queue, checked against the horizon just before the dot, then the dot, the answer, the
 * result. What the relay knows comes from its own queue alone, so it goes on while that is frozen or cut off. */
#include "model.h"

/* NULL: no room; does not happen, as the queue takes no more than there is. */
struct delivery *relay_give(struct world *w, int machine, int mail, int take_no, int number, int epoch)
{
	for (int i = 0; i < DELIVERIES; i++) {
		struct delivery *d = &w->machines[machine].deliveries[i];

		if (d->stage != NOTHING)
			continue;
		*d = (struct delivery){
			.stage = GIVEN, .mail = mail, .take_no = take_no, .number = number, .epoch = epoch, .dot = NO_DOT
		};
		d->at = w->now + (chance(w, 4) ? between(w, SECOND(2), SECOND(25)) : between(w, MS(1), SECOND(1)));
		check_given(w, mail, take_no);
		trace(w, "machine %d: delivers mail %d, take %d", machine, mail, take_no);
		return d;
	}
	return NULL;
}

static void answer(struct world *w, int machine, struct delivery *d, enum result result)
{
	d->stage = ANSWERED;
	d->result = result;
	d->at = NEVER;
	w->machines[machine].task_at[COMMITS] = w->now + soon(w);
	if (chance(w, 60))
		misfortune_freeze(w, machine);
}

/* "untried" past the horizon, or when the delivery is of another epoch than the horizon. The epoch of which number: a node that
 * was removed while it was frozen comes back under another number, whose epoch can be the same. */
static void check(struct world *w, int machine, struct delivery *d)
{
	struct machine *m = &w->machines[machine];
	bool same = (m->horizon_epoch == d->epoch || BREAKS(w, NO_EPOCH_IN_HORIZON)) &&
		    (m->horizon_number == d->number || BREAKS(w, NO_NUMBER_IN_HORIZON) || BREAKS(w, NO_EPOCH_IN_HORIZON));

	if (!BREAKS(w, NO_HORIZON) && (!same || w->now >= m->horizon)) {
		trace(w, "machine %d: mail %d, take %d: past the horizon, untried", machine, d->mail, d->take_no);
		met(HORIZON_PASSED);
		answer(w, machine, d, UNTRIED);
		return;
	}
	d->stage = CHECKED;
	d->at = w->now + between(w, 10, 500);
	if (chance(w, 40))
		misfortune_freeze(w, machine);
}

static void dot(struct world *w, int machine, struct delivery *d)
{
	uint64_t fate = w->calm ? 0 : dice(w, 10);

	d->result = fate < 7 ? DELIVERED : fate < 9 ? RETRY : REJECTED;
	trace(w, "machine %d: mail %d, take %d: the dot%s%s", machine, d->mail, d->take_no,
	      d->frozen_since_check ? ", after a freeze" : "", d->result == DELIVERED ? "" : " (will be refused)");
	check_dot(w, machine, d, d->result == DELIVERED);
	if (d->frozen_since_check)
		met(FREEZE_BEFORE_DOT);
	d->stage = DOTTED;
	d->at = w->now + between(w, MS(1), SECOND(1));
	if (!w->calm && chance(w, 12))
		d->at += chance(w, 3) ? between(w, SECOND(300), SECOND(400)) : between(w, SECOND(10), SECOND(60));
	if (chance(w, 40))
		misfortune_freeze(w, machine);
}

void relay_step(struct world *w, int machine, struct delivery *d)
{
	if (w->now < w->machines[machine].relay_frozen) {
		d->frozen_since_check |= d->stage == CHECKED;
		d->at = w->machines[machine].relay_frozen + soon(w);
	} else if (d->stage == GIVEN) {
		check(w, machine, d);
	} else if (d->stage == CHECKED) {
		dot(w, machine, d);
	} else {
		answer(w, machine, d, d->result);
	}
}
