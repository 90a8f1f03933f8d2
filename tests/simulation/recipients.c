/* recipients.c - the transactions about recipients: accept, take, settle, give back, and the administrator's. A recipient that
 * waits has a row in `due`, one in flight has a row in `taken`, one held or final has none. Who moves a recipient but by a take
 * locks its row in `mail` first, so that these meet one after another; take locks only the due row, and skips what others have.
 */
#include "model.h"

/* The mail and its due row. With an id that is there already: a repeated accept is done, though only when this transaction has
 * committed, for the row that it saw may not be with the standby yet; and a first one is repeated as such. */
static enum after accept_insert(struct world *w, struct tx *t)
{
	if (!t->rows[MAIL(t->mail)].there && !db_lock_key(w, t, MAIL(t->mail), FOR_UPDATE))
		return BLOCKED;
	if (t->rows[MAIL(t->mail)].there && t->locked & BIT(MAIL(t->mail)))
		met(ACCEPTS_MEET);
	if (t->rows[MAIL(t->mail)].there && t->again)
		met(ACCEPT_STORED);
	if (t->rows[MAIL(t->mail)].there)
		return t->again ? ENOUGH : REFUSED;
	if (!db_lock_key(w, t, DUE(t->mail), FOR_UPDATE))
		return BLOCKED;
	*db_write(t, MAIL(t->mail)) = (struct row){ .there = true, .state = ACTIVE };
	*db_write(t, DUE(t->mail)) = (struct row){ .there = true, .at = t->now };
	t->lanes = BIT(LANE_OF(t->mail));
	t->wake_at = t->now;
	return DONE;
}

/* Up to two due recipients of lanes that are awake: DELETE FROM due, INSERT INTO taken. */
static enum after take(struct world *w, struct tx *t)
{
	int found = 0;

	for (int m = 0; m < MAILS && found < 2; m++) {
		const struct row *due = &t->rows[DUE(m)], *lane = &t->rows[LANE(LANE_OF(m))];

		if (!(t->looks_at & BIT(LANE_OF(m))) || !lane->there || lane->at > t->now || !due->there || due->at > t->now)
			continue;
		if (!BREAKS(w, TAKE_WITHOUT_ROW_LOCKS)) {
			if (!db_lock(w, t, DUE(m), FOR_UPDATE) || !due->there || due->at > t->now) {
				met(TAKE_SKIPS);
				continue;
			}
			if (!db_lock_key(w, t, TAKEN(m), FOR_UPDATE))
				return BLOCKED;
		}
		t->taken[m] = due->take_no + 1;
		*db_write(t, TAKEN(m)) =
			(struct row){ .there = true, .take_no = t->taken[m], .node = t->number, .epoch = t->epoch };
		db_write(t, DUE(m))->there = false;
		found++;
	}
	return found ? DONE : REFUSED;
}

static enum after lock_mail(struct world *w, struct tx *t)
{
	if (!t->rows[MAIL(t->mail)].there)
		return REFUSED;
	return db_lock(w, t, MAIL(t->mail), NO_KEY_UPDATE) ? DONE : BLOCKED;
}

/* DELETE FROM taken or due WHERE (message, n, take_no); the number of the row that is gone then, or 0. */
static enum after remove_row(struct world *w, struct tx *t, int row, int take_no)
{
	struct row *r = &t->rows[row];

	if (t->matched || !r->there || (take_no && r->take_no != take_no))
		return DONE;
	if (!db_lock(w, t, row, FOR_UPDATE))
		return BLOCKED;
	if (!r->there || (take_no && r->take_no != take_no))
		return DONE;
	t->matched = r->take_no;
	t->found_in = row;
	db_write(t, row)->there = false;
	return DONE;
}

static enum after settle_taken(struct world *w, struct tx *t)
{
	return remove_row(w, t, TAKEN(t->mail), BREAKS(w, NO_TAKE_NUMBER) ? 0 : t->take_no);
}

/* Given back and not taken since: the late result is still the last one. A statement of its own, with a snapshot in which the row
 * that was given back meanwhile can be seen. */
static enum after settle_due(struct world *w, struct tx *t)
{
	return remove_row(w, t, DUE(t->mail), t->take_no);
}

static enum after settle_both(struct world *w, struct tx *t)
{
	enum after after = settle_taken(w, t);

	return after == DONE ? settle_due(w, t) : after;
}

static enum after settle_lock(struct world *w, struct tx *t)
{
	return BREAKS(w, SETTLE_IN_ONE_STATEMENT) ? settle_both(w, t) : lock_mail(w, t);
}

static enum after settle_first(struct world *w, struct tx *t)
{
	return BREAKS(w, SETTLE_IN_ONE_STATEMENT) ? lock_mail(w, t) : settle_taken(w, t);
}

static enum after settle_second(struct world *w, struct tx *t)
{
	return BREAKS(w, SETTLE_IN_ONE_STATEMENT) ? DONE : settle_due(w, t);
}

static void hold(struct tx *t, us due_at, int take_no)
{
	struct row *mail = db_write(t, MAIL(t->mail));

	mail->state = HELD;
	mail->hold = false;
	mail->at = due_at;
	mail->take_no = take_no;
}

/* What the result means; without a row of its take it is stale, and only an event is written. */
static enum after settle_state(struct world *w, struct tx *t)
{
	const struct row *mail = &t->rows[MAIL(t->mail)];
	us due_at = t->result == UNTRIED ? t->now : t->now + RETRY_WAIT;

	if (!t->matched && mail->state == HELD && mail->take_no == t->take_no && !BREAKS(w, HELD_IS_STALE))
		t->matched = t->take_no, t->found_in = MAIL(t->mail);
	if (!t->matched || mail->state == FINAL)
		return ENOUGH;
	if (t->result == DELIVERED || t->result == REJECTED) {
		db_write(t, MAIL(t->mail))->state = FINAL;
		return ENOUGH;
	}
	if (mail->state == HELD || mail->hold) {
		hold(t, due_at, t->matched);
		return ENOUGH;
	}
	if (!db_lock_key(w, t, DUE(t->mail), FOR_UPDATE))
		return BLOCKED;
	*db_write(t, DUE(t->mail)) = (struct row){ .there = true, .at = due_at, .take_no = t->matched };
	t->lanes = BIT(LANE_OF(t->mail));
	t->wake_at = due_at;
	return DONE;
}

static bool is_to_be_given_back(const struct tx *t, int m)
{
	const struct row *taken = &t->rows[TAKEN(m)];

	if (!taken->there)
		return false;
	return t->listed[m] ? taken->take_no == t->listed[m] : taken->node == t->victim && taken->epoch <= t->victim_epoch;
}

enum after give_back_lock(struct world *w, struct tx *t)
{
	for (int m = 0; m < MAILS; m++)
		if (is_to_be_given_back(t, m) && !db_lock(w, t, MAIL(m), NO_KEY_UPDATE))
			return BLOCKED;
	return DONE;
}

/* The take number stays: a result that comes late finds the row by it. */
enum after give_back_move(struct world *w, struct tx *t)
{
	us due_at;

	if (!t->given_back_at)
		t->given_back_at = w->now;
	due_at = t->given_back_at + w->servers[t->server].clock + t->delay;
	for (int m = 0; m < MAILS; m++) {
		if (!is_to_be_given_back(t, m) || t->given_back[m])
			continue;
		if (!db_lock(w, t, MAIL(m), NO_KEY_UPDATE) || !db_lock(w, t, TAKEN(m), FOR_UPDATE) ||
		    !db_lock_key(w, t, DUE(m), FOR_UPDATE))
			return BLOCKED;
		if (!is_to_be_given_back(t, m))
			continue;
		t->given_back[m] = t->rows[TAKEN(m)].take_no;
		db_write(t, TAKEN(m))->there = false;
		t->mail = m;
		if (t->rows[MAIL(m)].hold) {
			hold(t, due_at, t->given_back[m]);
			continue;
		}
		*db_write(t, DUE(m)) = (struct row){ .there = true, .at = due_at, .take_no = t->given_back[m] };
		t->lanes |= BIT(LANE_OF(m));
		t->wake_at = due_at;
	}
	return t->lanes ? DONE : ENOUGH;
}

/* What is taken in our own name. */
static enum after look(struct world *w, struct tx *t)
{
	for (int m = 0; m < MAILS; m++)
		if (t->rows[TAKEN(m)].there && t->rows[TAKEN(m)].node == t->number && t->rows[TAKEN(m)].epoch == t->epoch)
			t->taken[m] = t->rows[TAKEN(m)].take_no;
	return DONE;
}

static enum after hold_due(struct world *w, struct tx *t)
{
	enum after after = t->rows[MAIL(t->mail)].state == ACTIVE ? remove_row(w, t, DUE(t->mail), 0) : REFUSED;

	if (after == DONE && !t->rows[DUE(t->mail)].there && t->written & BIT(DUE(t->mail)))
		hold(t, t->rows[DUE(t->mail)].at, t->rows[DUE(t->mail)].take_no);
	return after;
}

/* In flight: it is held when it comes back. */
static enum after hold_taken(struct world *w, struct tx *t)
{
	if (t->rows[MAIL(t->mail)].state != ACTIVE)
		return DONE;
	db_write(t, MAIL(t->mail))->hold = true;
	met(HELD_IN_FLIGHT);
	return DONE;
}

/* The due time stays, and with it the wait of an unknown outcome. */
static enum after release(struct world *w, struct tx *t)
{
	struct row *mail = &t->rows[MAIL(t->mail)];

	if (mail->state != HELD)
		return REFUSED;
	if (!db_lock_key(w, t, DUE(t->mail), FOR_UPDATE))
		return BLOCKED;
	db_write(t, MAIL(t->mail))->state = ACTIVE;
	t->wake_at = BREAKS(w, RELEASE_AT_ONCE) ? 0 : mail->at;
	*db_write(t, DUE(t->mail)) = (struct row){ .there = true, .at = t->wake_at, .take_no = mail->take_no };
	t->lanes = BIT(LANE_OF(t->mail));
	return DONE;
}

static enum after delete_due(struct world *w, struct tx *t)
{
	return remove_row(w, t, DUE(t->mail), 0);
}

static enum after delete_taken(struct world *w, struct tx *t)
{
	enum after after = remove_row(w, t, TAKEN(t->mail), 0);

	if (t->written & BIT(TAKEN(t->mail)))
		met(REMOVED_IN_FLIGHT);
	if (after == DONE)
		db_write(t, MAIL(t->mail))->state = FINAL;
	return after;
}

#define WAKE lane_insert, lane_share, lane_wake

const struct transaction tx_accept = { "accept", { fence, accept_insert, WAKE } };
const struct transaction tx_take = { "take", { fence, take } };
const struct transaction tx_take_asynchronous = { "take", { fence, take }, .asynchronous = true };
const struct transaction tx_settle = { "settle", { fence, settle_lock, settle_first, settle_second, settle_state, WAKE } };
const struct transaction tx_look = { "look at taken", { fence, look } };
const struct transaction tx_give_back = { "give back", { fence, give_back_lock, give_back_move, WAKE } };
const struct transaction tx_hold = { "hold", { lock_mail, hold_due, hold_taken } };
const struct transaction tx_release = { "release", { lock_mail, release, WAKE } };
const struct transaction tx_delete = { "delete", { lock_mail, delete_due, delete_taken } };
