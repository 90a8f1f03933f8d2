/* format.h - limits, amounts and times as people and the store read them. */
#ifndef QUEUE_FORMAT_H
#define QUEUE_FORMAT_H

#include "posthouse/arena.h"
#include "posthouse/config.h"
#include "posthouse/verdict.h"

/* What a limit of a login counts. */
enum meter_kind { METER_MESSAGES, METER_RECIPIENTS, METER_BYTES, METER_NEW, METER_KINDS };

/* A rate as it stands in the configuration, in its largest whole unit: "30/1m". The same of a limit: "messages 30/1m", "bytes
 * 50M/1d". */
struct str format_rate(struct arena *a, struct rate r);
struct str format_rule(struct arena *a, enum meter_kind kind, struct rate r);

/* The window of the rate with which such words end; 0: with none. */
uint64_t window_of_rule(struct str rule);

/* "180 of 200 messages per hour", "480 of 500 MB per 2 days". */
struct str format_used(struct arena *a, enum meter_kind kind, struct rate r, uint64_t used);

/* "200 messages per hour". */
struct str format_limit(struct arena *a, enum meter_kind kind, struct rate r);

/* A time in its largest whole unit: "5 days", "90 minutes". */
struct str format_duration(struct arena *a, uint64_t ms);

/* A time to wait, rounded up so that it is true: "40 seconds", "12 minutes", "3 hours", "2 days". */
struct str format_wait(struct arena *a, uint64_t ms);

/* Nothing but ASCII? */
bool words_are_ascii(struct str s);

/* A text from outside as part of one line; mail_notification() cleans the rest. */
struct str format_line(struct arena *a, struct str s);

/* "2026-11-21 19:37 UTC". */
struct str format_time(struct arena *a, uint64_t ms);

/* Why an administrator gets no answer: this node (0: none so far) has been without the database since then; the fault of
 * struct store_node. */
struct verdict format_away(struct arena *a, uint64_t node, uint64_t since, struct str fault);

#endif
