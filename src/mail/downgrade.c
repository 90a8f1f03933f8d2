/* downgrade.c - text as the next mail server takes it: a walk through the MIME structure, line by line, that encodes what
 * needs it.
 *
 * Here the text is cut into lines; walk_piece() sends each to what the walk is in: a header section, the content of a body part
 * (body_part.c), the frame of a multipart (preamble and epilogue), or an opaque part. A delimiter ends whatever is within
 * its multipart. Memory is bounded: a header section, a line, the front of a body part,
 * a stack of boundaries. */
#include "downgrade.h"

#include <stdlib.h>

struct downgrade *downgrade_new(unsigned what, size_t sample_max)
{
	struct downgrade *c = NEW(struct downgrade);

	c->what = what & DOWNGRADE_7BIT ? what | DOWNGRADE_HEADERS | DOWNGRADE_LINES : what;
	buf_init(&c->section, HEADER_MAX);
	c->sample_max = sample_max;
	buf_init(&c->sample, sample_max);
	buf_init(&c->top, SIZE_MAX / 2); /* what is put in is bounded by the section */
	walk_begin(c);
	return c;
}

void downgrade_own_from(struct downgrade *c, struct str address)
{
	c->own_from = address;
}

void downgrade_free(struct downgrade *c)
{
	if (!c)
		return;
	buf_fini(&c->section);
	buf_fini(&c->sample);
	buf_fini(&c->top);
	arena_fini(&c->arena);
	arena_fini(&c->reason);
	free(c);
}

/* Hand over what the line has so far. */
static void take_line(struct downgrade *c, size_t n, bool ends, bool has_crlf)
{
	struct piece p = { .bytes = str_make(c->line, n),
			   .begins = !c->in_line,
			   .ends = ends,
			   .has_crlf = has_crlf,
			   .is_long = c->in_line || !ends };

	for (size_t i = 0; i < n && !p.unfit; i++)
		p.unfit = is_unfit(c->line[i]);
	walk_piece(c, &p);
	c->in_line = !ends;
}

/* Cut the text into lines: at CRLF, and nowhere else. The pieces of a long line do not depend on those in which it comes. */
static void take_text(struct downgrade *c, struct str bytes)
{
	while (bytes.n > 0 && c->failure.class == OK) {
		struct str front = str_head(bytes, LINE_CHUNK - c->line_n);
		front = str_head(front, str_find(front, '\n') + 1);
		memcpy(c->line + c->line_n, front.p, front.n);
		c->line_n += front.n;
		bytes = str_from(bytes, front.n);
		if (str_ends(str_make(c->line, c->line_n), S("\r\n"))) {
			take_line(c, c->line_n - 2, true, true);
			c->line_n = 0;
		} else if (c->line_n == LINE_CHUNK) {
			bool cr = c->line[LINE_CHUNK - 1] == '\r';
			take_line(c, LINE_CHUNK - cr, false, false);
			c->line[0] = '\r';
			c->line_n = cr;
		}
	}
}

static struct verdict outcome(const struct downgrade *c)
{
	if (c->sink.full)
		return temp(451, S("4.3.0"), S("the converted message does not fit the buffer that was given for it"));
	return c->failure;
}

struct verdict downgrade_feed(struct downgrade *c, struct str bytes, struct buf *out)
{
	c->sink.out = out;
	take_text(c, bytes);
	c->sink.out = NULL;
	return outcome(c);
}

struct verdict downgrade_end(struct downgrade *c, struct buf *out)
{
	c->sink.out = out;
	if (c->failure.class == OK && c->line_n > 0)
		take_line(c, c->line_n, true, false);
	c->line_n = 0;
	if (c->failure.class == OK)
		walk_end(c);
	c->sink.out = NULL;
	return outcome(c);
}

struct str downgrade_header(const struct downgrade *c)
{
	return c->top_done ? buf_view(&c->top) : (struct str){ 0 };
}
