/* outcome_private.h - how the outcomes of a delivery are made. outcome.c knows what one answer means for one recipient; above it
 * are outcome_result.c, for a result of relay, and outcome_unanswered.c, for deliveries that ended without one. */
#ifndef QUEUE_OUTCOME_PRIVATE_H
#define QUEUE_OUTCOME_PRIVATE_H

#include "dispatch/dispatch.h"

/* What is known about an attempt while its outcomes are made. */
struct answer {
	struct lease *lease;
	uint64_t now;
	struct str remote, tls, tls_policy, tls_result, without, transcript;
	bool shown;       /* some recipient's outcome has the transcript of what went well: one for the message is enough */
	bool dsn;         /* the next hop itself reports successes */
	uint64_t meaning; /* of the reply, see meaning.h; 0: not known */
	unsigned scope;
};

/* What the outcomes point to lives in the message's arena. */
struct arena *outcome_arena(const struct lease *l);

/* The lease gets one outcome for each recipient, to be filled in. */
void outcomes_begin(struct lease *l);

/* The outcome that changes nothing but the end of the lease. */
struct outcome outcome_unchanged(const struct lease *l, const struct due_recipient *r, uint64_t now, uint64_t due_at);

/* Write an event of a recipient to the log, and the same words to the message's history. */
void outcome_tell(const struct answer *an, const struct due_recipient *r, struct outcome *o, enum log_level level,
		  const char *event);

/* One answer of the next hop. */
struct outcome outcome_answered(struct answer *an, const struct due_recipient *r, const struct rec_outcome *said);

/* The recipient is due again, or its time is over. pause_ms: the pause that the next hop's reply asks for; 0: none. */
void outcome_deferred(const struct answer *an, const struct due_recipient *r, uint64_t pause_ms, struct outcome *o);

/* Is the message's time over, and was the attempt at `tried_at` begun after that? Otherwise a clock that jumps would return the
 * whole queue. / Then the recipient has failed; o->verdict is its last answer, and becomes that of the failure. */
bool outcome_is_over(const struct due_message *m, uint64_t tried_at);
void outcome_expired(const struct answer *an, const struct due_recipient *r, struct outcome *o);

/* The fault of a next hop as a recipient's last answer; `meaning` as in struct nexthop, 0: not known. */
struct verdict outcome_fault(enum nexthop_fault fault, uint64_t meaning, struct str reason);

/* ---- refused_report.c: a next hop refuses a report or notification for what it is: then it goes in another form (dsn_form.h)
 * ---- */

/* What the result says about the recipient with this number; NULL: nothing. */
const struct rec_outcome *result_outcome(const struct msg_result *m, uint64_t n);

/* Is there another form of a report that was refused? Then true, and *result_out is what the result has to be taken for: the
 * report has failed, so that it is written in that form at once, and neither the next hop nor other mail of the report's sender
 * has to wait. *result_out points to *refusal_out, and to what `said` points to. */
bool report_wants_other_form(const struct lease *l, const struct msg_result *said, struct msg_result *result_out,
			     struct rec_outcome *refusal_out);

#endif
