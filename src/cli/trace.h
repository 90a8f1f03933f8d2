/* trace.h - what the parts of `posthouse trace` share. */
#ifndef POSTHOUSE_CLI_TRACE_H
#define POSTHOUSE_CLI_TRACE_H

#include "cli.h"

/* The fields of an event, as the relay writes them: key=value key="other value". */
struct event_field {
	struct str key, value;
};
struct event_fields {
	struct event_field *at;
	size_t n;
};
struct event_fields event_fields_read(struct arena *a, struct str text);
struct str event_field(const struct event_fields *f, const char *key); /* "": there is none */
json_t *event_fields_json(const struct event_fields *f);

/* One message: its row, its recipients' addresses, and what its events are told with. */
struct traced {
	struct arena arena;
	uint64_t id;
	struct str subject, message_id, login, device, prefix;
	uint64_t size, parent, kind;
	struct str *addresses; /* by number, from 1 */
	size_t addresses_n;
};

/* ---- trace.c: one message, as `posthouse trace` prints it; with `json` the number of documents is returned ---- */
size_t trace_print(struct session *s, uint64_t id, bool json);

/* ---- trace_words.c: an event as a sentence; what is on a line of its own begins behind a line end ---- */
struct str event_words(const struct traced *t, struct arena *a, const struct rec_event_row *e);
/* The sentence before the first event: who sent it, and from where. */
struct str origin_words(const struct traced *t, struct arena *a, const struct event_fields *f);

#endif
