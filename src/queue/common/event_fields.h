/* event_fields.h - the fields of an event in a message's history: the same pairs, written the same way, as on the log line. */
#ifndef QUEUE_EVENT_FIELDS_H
#define QUEUE_EVENT_FIELDS_H

#include "posthouse/arena.h"
#include "posthouse/log.h"

/* `key=value key="other value"`; empty texts are left out. At most FIELDS_MAX bytes: what does not fit is left out. */
#define FIELDS_MAX 4096
struct str fields_of(struct arena *a, const struct kv *pairs, size_t n);

#define FIELDS(a, ...)                                                                                                           \
	fields_of((a), (const struct kv[]){ __VA_ARGS__ }, sizeof((const struct kv[]){ __VA_ARGS__ }) / sizeof(struct kv))

/* Log the pairs as `event` of the message, and return all but the first `of_message` as fields: those are of the message, whose
 * history need not repeat them. */
struct str fields_logged(struct arena *a, enum log_level level, uint64_t message, const char *event, size_t of_message,
			 const struct kv *pairs, size_t n);

#define FIELDS_LOGGED(a, level, message, event, of_message, ...)                                                                 \
	fields_logged((a), (level), (message), (event), (of_message), (const struct kv[]){ __VA_ARGS__ },                        \
		      sizeof((const struct kv[]){ __VA_ARGS__ }) / sizeof(struct kv))

#endif
