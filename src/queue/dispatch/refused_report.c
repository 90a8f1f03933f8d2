/* refused_report.c - see outcome_private.h. What a next hop says against a report is about its text, or about its sender. */
#include "dispatch/outcome_private.h"

#include "common/dsn_form.h"

#include "posthouse/meaning.h"

const struct rec_outcome *result_outcome(const struct msg_result *m, uint64_t n)
{
	for (size_t i = 0; i < m->outcomes.n; i++)
		if (m->outcomes.at[i].n == n)
			return &m->outcomes.at[i];
	return NULL;
}

bool report_wants_other_form(const struct lease *l, const struct msg_result *said, struct msg_result *result_out,
			     struct rec_outcome *refusal_out)
{
	const struct config *c = role_config(l->message->dispatch->role);
	const struct due_message *due = &l->message->due;
	const struct rec_outcome *o = result_outcome(said, l->recipients[0].n);
	struct report_form next;

	if (due->kind == KIND_MAIL || l->recipients_n != 1 || !o || (said->gate != 0 && said->gate != FAULT_POLICY))
		return false;
	/* the next hop refuses this relay, not the text */
	if (said->gate != 0 && meaning_trouble(said->gate_meaning) == TROUBLE_REPUTATION)
		return false;
	if (!form_next(c, form_read(due->envelope.options), str_of(l->nexthop->name), o->verdict, o->meaning, &next))
		return false;
	*refusal_out = *o;
	refusal_out->verdict.class = PERM;
	*result_out = *said;
	result_out->gate = result_out->gate_meaning = result_out->gate_pause_ms = 0;
	result_out->outcomes.at = refusal_out;
	result_out->outcomes.n = 1;
	return true;
}
