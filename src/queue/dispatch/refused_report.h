/* refused_report.h - a next hop refuses a report or notification for what it is: then it goes in another form (dsn_form.h). */
#ifndef QUEUE_REFUSED_REPORT_H
#define QUEUE_REFUSED_REPORT_H

#include <stdbool.h>
#include <stdint.h>

struct lease;
struct msg_result;
struct rec_outcome;

/* What the result says about the recipient with this number; NULL: nothing. */
const struct rec_outcome *result_outcome(const struct msg_result *m, uint64_t n);

/* Is there another form of a report that was refused? Then true, and *result_out is what the result has to be taken for: the report
 * has failed, so that it is written in that form at once, and neither the next hop nor other mail of the report's sender has to wait.
 * *result_out points to *refusal_out, and to what `said` points to. */
bool report_wants_other_form(const struct lease *l, const struct msg_result *said, struct msg_result *result_out,
			     struct rec_outcome *refusal_out);

#endif
