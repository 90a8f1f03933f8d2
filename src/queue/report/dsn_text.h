/* dsn_text.h - the texts of reports and of notes to the postmaster, within the bounds of what travels inline. */
#ifndef QUEUE_DSN_TEXT_H
#define QUEUE_DSN_TEXT_H

#include "posthouse/store.h"

/* Of a message's first bytes, the header section without the blank line: at most `max` bytes, whole fields. A view into `bytes`. */
struct str report_quote(struct str bytes, size_t header_size, size_t max);

struct report_text {
	struct str header, body; /* the blank line stands between them */
	bool is_8bit;
	size_t covered; /* the first so many of parent->failed: the next report has the rest */
};

struct report_request {
	struct str hostname;
	struct str from;         /* the address of its author */
	uint64_t id, now;        /* of the report */
	enum message_kind about; /* KIND_FAILURE, KIND_DELAY, KIND_SUCCESS */
	const struct unreported *parent;
	size_t n;          /* the first so many of parent->failed */
	struct str quoted; /* of the original's header */
	struct str whole;  /* the original's text, where all of it is to be returned if it fits; else "" */
};

/* The report, at most INLINE_MAX bytes: where it would be larger it returns only the header, less of that, then covers fewer recipients. */
struct report_text report_write(struct arena *a, const struct report_request *request);

/* dsn_postmaster_copy.c: the note about recipients of a message without a sender who could not be reached; covers all of them. */
struct report_text postmaster_copy_write(struct arena *a, struct str hostname, struct str from, uint64_t id, uint64_t now,
					 struct str to, const struct unreported *parent);

#endif
