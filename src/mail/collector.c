/* collector.c - keep a message's header section while it streams in, and find its end. */
#include "posthouse/mail.h"

void header_collector_init(struct header_collector *c)
{
	/* One more than the section may have: a CR alone may wait for its LF. */
	buf_init(&c->section, HEADER_MAX + 1);
	c->complete = false;
}

void header_collector_fini(struct header_collector *c)
{
	buf_fini(&c->section);
}

/* The section is too large: keep nothing, and take nothing more. */
static struct verdict too_large(struct header_collector *c)
{
	buf_fini(&c->section);
	buf_init(&c->section, 0);
	return perm(552, S("5.3.4"), S("the header section of the message is too large"));
}

/* How much of `bytes` belongs to the section, its blank line included; *complete_out tells whether the blank line is in it. What was
 * kept before decides whether `bytes` begins a line, or is in the midst of the blank line. */
static size_t section_part(struct str kept, struct str bytes, bool *complete_out)
{
	bool at_line = kept.n == 0 || kept.p[kept.n - 1] == '\n';
	bool after_cr = str_eq(kept, S("\r")) || str_ends(kept, S("\n\r"));

	*complete_out = true;
	if (after_cr && bytes.n > 0 && *bytes.p == '\n')
		return 1;
	if (at_line && str_starts(bytes, S("\r\n")))
		return 2;
	size_t at = str_search(bytes, S("\n\r\n"));
	if (at < bytes.n)
		return at + 3;
	/* The blank line may be divided between the pieces: "\n" kept and "\r\n" new is above, "\n\r" and "\n" too. */
	*complete_out = false;
	return bytes.n;
}

struct verdict header_collector_feed(struct header_collector *c, struct str bytes, struct str *rest_out)
{
	bool complete;

	*rest_out = bytes;
	if (c->complete)
		return ok();
	if (c->section.max == 0)
		return too_large(c);
	size_t n = section_part(buf_view(&c->section), bytes, &complete);
	*rest_out = str_from(bytes, n);
	/* Of the blank line nothing is kept; its CR may have been kept by an earlier call. */
	size_t keep = !complete ? n : n >= 2 ? n - 2 : 0;
	if (!buf_add(&c->section, str_head(bytes, keep)))
		return too_large(c);
	if (complete && n == 1)
		c->section.n--;
	if (c->section.n > HEADER_MAX && (complete || c->section.p[c->section.from + HEADER_MAX] != '\r'))
		return too_large(c);
	c->complete = complete;
	return ok();
}
