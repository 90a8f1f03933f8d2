/* report_text.h - a failure report's text, within the bounds of what travels inline. */
#ifndef QUEUE_REPORT_TEXT_H
#define QUEUE_REPORT_TEXT_H

#include "posthouse/store.h"

/* Of a message's first bytes, the header section without the blank line: at most `max` bytes, whole fields. A view into `bytes`. */
struct str report_quote(struct str bytes, size_t header_size, size_t max);

struct report_text {
	struct str header, body; /* the blank line stands between them */
	bool is_8bit;
	size_t covered; /* the first so many of parent->failed: the next report has the rest */
};

/* The report on `parent`, at most INLINE_MAX bytes: where it would be larger it quotes less, then covers fewer recipients. */
struct report_text report_write(struct arena *a, struct str hostname, uint64_t id, uint64_t now, const struct unreported *parent,
				struct str quoted);

#endif
