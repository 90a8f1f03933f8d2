/* status.h - what an answer of a mail server means: its status code, and words for a person. */
#ifndef POSTHOUSE_MAIL_STATUS_H
#define POSTHOUSE_MAIL_STATUS_H

#include "posthouse/arena.h"
#include "posthouse/verdict.h"

/* The RFC 3463 status of a verdict in a report whose action wants class '2', '4', or '5' (a failure: '4' is right as well,
 * when the time is over). Class.0.0 when the verdict has none that is well-formed. */
struct str status_code(struct arena *a, const struct verdict *v, char class);

/* One or two sentences: why delivery has failed, or has not succeeded in time, and what to do; why it takes so long. */
struct str status_failed(struct arena *a, const struct verdict *v);
struct str status_waiting(const struct verdict *v);

#endif
