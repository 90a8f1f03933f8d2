/* dsn_text.h - the texts of DSNs and of the postmaster's copies, small enough to travel in one datagram. */
#ifndef QUEUE_DSN_TEXT_H
#define QUEUE_DSN_TEXT_H

#include "posthouse/store.h"

/* Of a message's first bytes, the header section without the blank line: at most `max` bytes, whole fields. A view into
 * `bytes`. */
struct str report_quote(struct str bytes, size_t header_size, size_t max);

struct report_text {
	struct str header, body; /* without the blank line between them */
	bool is_8bit;
	size_t covered; /* the first so many of parent->failed; the next DSN covers the rest */
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

/* The DSN, at most INLINE_MAX bytes. Where it would be larger, it returns only the header, then less of the header, then it
 * covers fewer recipients. */
struct report_text report_write(struct arena *a, const struct report_request *request);

/* dsn_postmaster_copy.c: the copy for the postmaster about failed recipients of a message without a sender; it covers all of
 * them. */
struct report_text postmaster_copy_write(struct arena *a, struct str hostname, struct str from, uint64_t id, uint64_t now,
					 struct str to, const struct unreported *parent);

#endif
