/* invariants.c - what must be true: A: a recipient that waits or is in flight has one row, in `due` or in `taken`; any other has
 * none. B: a result changes what its own take owns, once, and the result of the last take is not thrown away. C: no two
 * deliveries have one take number. D: no dot after the end of its epoch, and no second delivery that cannot be explained. Then:
 * no lane sleeps longer than its mail, ids are unique, and in the end everything that was acknowledged is final. */
#include "model.h"

#include <stdarg.h>
#include <stdio.h>

void fault(struct world *w, const char *format, ...)
{
	va_list arguments;

	if (w->fault[0])
		return;
	va_start(arguments, format);
	vsnprintf(w->fault, sizeof w->fault, format, arguments);
	va_end(arguments);
	trace(w, "FAULT: %s", w->fault);
}

/* A, and the lanes: at every moment, in what is committed. */
void check_rows(struct world *w, const struct row *rows)
{
	for (int m = 0; m < MAILS; m++) {
		const struct row *mail = &rows[MAIL(m)], *due = &rows[DUE(m)], *lane = &rows[LANE(LANE_OF(m))];
		int have = due->there + rows[TAKEN(m)].there;

		if (have != (mail->there && mail->state == ACTIVE))
			fault(w, "A: mail %d is %s and has %d rows in due and taken", m,
			      !mail->there            ? "not there"
			      : mail->state == ACTIVE ? "active"
			      : mail->state == HELD   ? "held"
						      : "final",
			      have);
		if (due->there && (!lane->there || lane->at > due->at))
			fault(w, "lane %d %s, and mail %d is due in it", LANE_OF(m),
			      lane->there ? "sleeps too long" : "is removed", m);
	}
}

static void check_settle(struct world *w, const struct tx *t, const struct row *rows)
{
	struct truth *truth = &w->truth;
	const struct row *mail = &rows[MAIL(t->mail)], *due = &rows[DUE(t->mail)], *taken = &rows[TAKEN(t->mail)];
	int last = due->there ? due->take_no : taken->there ? taken->take_no : mail->take_no;

	if (t->found_in == DUE(t->mail))
		met(LATE_COUNTS);
	else if (t->found_in == MAIL(t->mail))
		met(LATE_AND_HELD);
	else if (!t->matched)
		met(LATE_IS_STALE);
	if (t->matched) {
		if (t->matched != t->take_no)
			fault(w, "B: the result of take %d of mail %d changed what take %d owned", t->take_no, t->mail,
			      t->matched);
		if (truth->settled_take[t->mail] == t->take_no && truth->settled[t->mail] != t->result)
			fault(w, "B: two results of take %d of mail %d changed its state", t->take_no, t->mail);
		truth->settled_take[t->mail] = t->take_no;
		truth->settled[t->mail] = t->result;
	} else if ((t->result == DELIVERED || t->result == REJECTED) && mail->state != FINAL && last == t->take_no) {
		fault(w, "B: the result of take %d of mail %d is thrown away, and it was the last take", t->take_no, t->mail);
	}
}

/* A transaction has become visible. On a primary that was replaced it means nothing. */
void check_commit(struct world *w, const struct tx *t)
{
	const struct row *rows = w->servers[t->server].rows;

	if (t->server != w->current)
		return;
	trace(w, "tx %d %s: is committed", (int)(t - w->txs), t->kind->name);
	check_rows(w, rows);
	if (t->kind == &tx_settle)
		check_settle(w, t, rows);
	if (t->kind == &tx_delete)
		w->truth.removed[t->mail] = true;
	for (int m = 0; m < MAILS; m++)
		for (int i = 0; t->given_back[m] && i < w->truth.dots; i++)
			if (w->truth.dot[i].mail == m && w->truth.dot[i].take_no == t->given_back[m])
				w->truth.dot[i].given_back = t->given_back_at;
}

/* C: a delivery begins. */
void check_given(struct world *w, int mail, int take_no)
{
	uint64_t bit = 1ull << (take_no & 63);

	if (w->truth.given[mail] & bit)
		fault(w, "C: take %d of mail %d is delivered a second time", take_no, mail);
	w->truth.given[mail] |= bit;
}

/* Why a recipient can be delivered twice: the machine died before it could store the first result; a freeze between check and
 * dot; a node that was silent for five minutes after its recipients were given back; the database's clock, which jumped over
 * them. */
static bool is_explained(const struct world *w, const struct dot *first, const struct dot *second)
{
	return first->lost || first->gap || second->gap || w->truth.clock_jumped ||
	       (first->given_back && second->at >= first->given_back + UNKNOWN_WAIT - SECOND(1));
}

/* D: the dot is written. */
void check_dot(struct world *w, int machine, struct delivery *d, bool delivered)
{
	const struct row *node = &w->servers[w->current].rows[NODE(d->number)];
	struct truth *truth = &w->truth;
	struct dot *dot;

	if (node->epoch != d->epoch && !d->frozen_since_check)
		fault(w, "D: machine %d sends the dot of take %d of mail %d under epoch %d, and it is epoch %d", machine,
		      d->take_no, d->mail, d->epoch, node->epoch);
	if (!delivered || truth->dots == DOTS)
		return;
	dot = &truth->dot[truth->dots];
	*dot = (struct dot){ .mail = d->mail, .take_no = d->take_no, .at = w->now, .gap = d->frozen_since_check };
	for (int i = 0; i < truth->dots; i++) {
		if (truth->dot[i].mail != d->mail)
			continue;
		met(DELIVERED_TWICE);
		if (!is_explained(w, &truth->dot[i], dot))
			fault(w, "D: mail %d is delivered twice, by take %d and take %d", d->mail, truth->dot[i].take_no,
			      d->take_no);
	}
	d->dot = truth->dots++;
}

/* The ids of an epoch are above all of earlier epochs of its number, whoever had it. */
void check_id(struct world *w, int number, int epoch, us id)
{
	struct truth *truth = &w->truth;

	for (int i = 0; i < truth->ids; i++) {
		int order = truth->id[i].epoch < epoch ? 1 : truth->id[i].epoch > epoch ? -1 : 0;

		if (truth->id[i].number == number && (truth->id[i].id == id || (order && (truth->id[i].id < id) != (order > 0))))
			fault(w, "id %lld of number %d, epoch %d: an earlier epoch has one as high", (long long)id, number,
			      epoch);
	}
	if (truth->ids < IDS) {
		truth->id[truth->ids].number = number;
		truth->id[truth->ids].epoch = epoch;
		truth->id[truth->ids++].id = id;
	}
}

/* An outage of the database is no node's death: one that is neither frozen nor cut off is not declared dead when it is over. But
 * its beat can wait for another observer, which froze while it declared it dead. */
void check_declaration(struct world *w, int number, int epoch)
{
	us since = w->now - NODE_TIMEOUT - OUTAGE;

	if (w->servers[w->current].locks[NODE(number)][FOR_UPDATE] || w->truth.row_locked[number] > since)
		return;

	for (int i = 0; i < MACHINES; i++) {
		const struct machine *m = &w->machines[i];

		if (m->running && m->member && m->number == number && m->epoch == epoch && m->queue_frozen < since &&
		    m->cut_off < since)
			fault(w, "machine %d is well, and is declared dead", i);
	}
}

/* A lock that stands in the way of a declaration is gone when its backend has been terminated, at the latest when the node that
 * holds it has itself been declared dead. */
void check_timeout(struct world *w, int machine)
{
	if (++w->machines[machine].timeouts >= 60)
		fault(w, "machine %d cannot declare a node dead, because that one holds its locks", machine);
}

/* Nothing is left to be done. */
bool check_settled(const struct world *w)
{
	const struct row *rows = w->servers[w->current].rows;

	for (int i = 0; i < TXS; i++)
		if (w->txs[i].state == TX_RUNS || w->txs[i].state == TX_AWAITS_STANDBY)
			return false;
	for (int m = 0; m < MAILS; m++)
		if (w->clients[m].state != ACKNOWLEDGED || (rows[MAIL(m)].there && rows[MAIL(m)].state != FINAL))
			return false;
	for (int i = 0; i < MACHINES; i++)
		for (int d = 0; d < DELIVERIES; d++)
			if (w->machines[i].deliveries[d].stage != NOTHING)
				return false;
	return true;
}

/* The schedule has come to its end, or cannot. */
void check_end(struct world *w)
{
	const struct row *rows = w->servers[w->current].rows;

	for (int m = 0; m < MAILS; m++) {
		if (w->clients[m].state == ACKNOWLEDGED && !rows[MAIL(m)].there)
			fault(w, "mail %d was acknowledged and is lost", m);
		if (rows[TAKEN(m)].there)
			fault(w, "mail %d stays taken by number %d epoch %d for ever", m, rows[TAKEN(m)].node,
			      rows[TAKEN(m)].epoch);
		if (rows[MAIL(m)].there && rows[MAIL(m)].state != FINAL)
			fault(w, "mail %d never becomes final", m);
		if (w->clients[m].state != ACKNOWLEDGED)
			fault(w, "mail %d is never acknowledged", m);
	}
	if (!check_settled(w))
		fault(w, "something does not come to its end");
}
