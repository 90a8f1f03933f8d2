/* walk.c - the walk through a message's MIME structure: which entity a line belongs to, and where entities begin and end. */
#include "author.h"
#include "downgrade.h"

static void begin_entity(struct downgrade *c, bool is_message)
{
	c->place = IN_HEADER;
	c->is_message = is_message;
	buf_clear(&c->section);
}

void walk_begin(struct downgrade *c)
{
	c->is_top = true;
	begin_entity(c, true);
}

static void begin_opaque(struct downgrade *c, bool raw)
{
	section_write(c, &(struct additions){ .raw = raw, .encoding = section_relabel(c) });
	c->place = IN_OPAQUE;
}

/* A multipart or a message: what is inside can get an encoding, which means something only with MIME-Version (RFC 2045 4). */
static void begin_container(struct downgrade *c)
{
	struct level *level = &c->levels[c->levels_n];
	bool may_encode = c->what & (DOWNGRADE_7BIT | DOWNGRADE_LINES);
	struct additions add = { .encoding = section_relabel(c),
				 .version = c->is_message && c->part.has_type && !c->part.has_version && may_encode };

	section_write(c, &add);
	if (c->part.kind == MIME_MESSAGE) {
		c->depth++;
		begin_entity(c, true);
		return;
	}
	memcpy(level->boundary, c->part.boundary, c->part.boundary_n);
	level->boundary_n = c->part.boundary_n;
	level->digest = c->part.kind == MIME_DIGEST;
	level->depth = c->depth;
	c->levels_n++;
	c->place = IN_FRAME;
}

static void take_own_from(struct downgrade *c)
{
	struct str section = own_from(&c->arena, buf_view(&c->section), c->own_from);

	buf_clear(&c->section);
	if (!buf_add(&c->section, section))
		downgrade_fail(c, S("the header section of the message is too large for another From"));
}

/* The header section is complete. */
static void end_section(struct downgrade *c, bool blank)
{
	if (c->is_top && c->own_from.n > 0)
		take_own_from(c);
	c->blank = blank;
	mime_read(buf_view(&c->section), c->in_digest ? MIME_MESSAGE : MIME_BODY_PART, &c->part);
	c->in_digest = false;
	if (c->part.kind == MIME_BODY_PART)
		body_part_begin(c);
	else if (c->part.kind == MIME_OPAQUE || c->depth + 1 >= NESTING_MAX)
		begin_opaque(c, false);
	else
		begin_container(c);
}

static void opaque_piece(struct downgrade *c, const struct piece *p)
{
	if (p->unfit && (c->what & DOWNGRADE_7BIT))
		downgrade_fail(c, arena_printf(&c->arena, "the next mail server takes no 8-bit text, and there is some in %s",
					       c->part.opaque ? c->part.opaque : "a part that is within 20 others"));
	sink_put(&c->sink, p->bytes);
	if (p->has_crlf)
		sink_put(&c->sink, S("\r\n"));
}

/* A piece of a header section; false when it belongs to the body. */
static bool header_piece(struct downgrade *c, const struct piece *p)
{
	bool first = c->section.n == 0;

	if (p->begins && p->ends && p->has_crlf && p->bytes.n == 0) {
		end_section(c, true);
		return true;
	}
	bool fold = p->bytes.n > 0 && is_wsp(*p->bytes.p) && !first;
	/* a message from a mailbox file can begin like this */
	bool from_line =
		first && c->is_message && !c->is_top && (str_starts(p->bytes, S("From ")) || str_starts(p->bytes, S(">From ")));
	if (p->begins && !fold && !from_line && field_name_length(p->bytes) == 0) {
		end_section(c, false);
		return false;
	}
	if (!c->is_top && c->section.n + p->bytes.n + 2 > PART_HEADER_MAX) {
		/* Its content is not known, so nothing in it is changed. */
		c->part = (struct mime_part){ .opaque = "a part with a header section that is too large" };
		c->blank = c->in_digest = false;
		begin_opaque(c, true);
		return false;
	}
	if (!buf_add(&c->section, p->bytes) || (p->has_crlf && !buf_add(&c->section, S("\r\n"))))
		downgrade_fail(c, S("the header section of the message is too large"));
	return true;
}

/* Readers ignore preamble and epilogue (RFC 2046 5.1.1), so "?" replaces bytes that they must not have. */
static void frame_piece(struct downgrade *c, const struct piece *p)
{
	if (p->begins)
		c->frame_column = 0;
	if (!piece_is_unfit(c, p)) {
		sink_put(&c->sink, p->bytes);
	} else {
		for (size_t i = 0; i < p->bytes.n; i++) {
			if (c->frame_column == TEXT_LINE_MAX) {
				sink_put(&c->sink, S("\r\n"));
				c->frame_column = 0;
			}
			/* a changed line must not look like a delimiter */
			char byte = p->bytes.p[i];
			bool keep = !(is_unfit(byte) && (c->what & DOWNGRADE_7BIT)) && !(byte == '-' && c->frame_column == 0);
			sink_put(&c->sink, keep ? str_make(&byte, 1) : S("?"));
			c->frame_column++;
		}
	}
	if (p->has_crlf)
		sink_put(&c->sink, S("\r\n"));
}

/* The rest after the boundary is transport padding. */
static bool is_padding(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!is_wsp(s.p[i]))
			return false;
	}
	return true;
}

/* The level, counted from 1, whose delimiter the line is; 0 for none. The whole line must match, as readers have it, although
 * RFC 2046 5.1.1 is content with its beginning: a boundary is often the beginning of another. */
static size_t delimiter_level(const struct downgrade *c, struct str line, bool *closes_out)
{
	if (!str_starts(line, S("--")))
		return 0;
	for (size_t i = c->levels_n; i > 0; i--) {
		struct str boundary = str_make(c->levels[i - 1].boundary, c->levels[i - 1].boundary_n);
		if (!str_starts(str_from(line, 2), boundary))
			continue;
		struct str rest = str_from(line, 2 + boundary.n);
		*closes_out = str_starts(rest, S("--")) && is_padding(str_from(rest, 2));
		if (*closes_out || is_padding(rest))
			return i;
	}
	return 0;
}

/* The current entity ends, perhaps within its header section. */
static void end_entity(struct downgrade *c, bool last)
{
	while (c->place == IN_HEADER)
		end_section(c, false);
	/* In a multipart that is not closed readers take the last CRLF for the delimiter's. */
	if (c->place == IN_BODY_PART)
		body_part_end(c, last && !(c->levels_n > 0 && c->pending_crlf));
	c->place = IN_FRAME;
}

static void on_delimiter(struct downgrade *c, size_t level, bool closes, const struct piece *p)
{
	const struct level *l = &c->levels[level - 1];

	end_entity(c, false);
	sink_put(&c->sink, p->bytes);
	if (p->has_crlf)
		sink_put(&c->sink, S("\r\n"));
	c->levels_n = closes ? level - 1 : level;
	if (closes)
		return;
	c->in_digest = l->digest;
	c->depth = l->depth + 1;
	begin_entity(c, false);
}

void walk_piece(struct downgrade *c, const struct piece *p)
{
	bool closes;
	size_t level = p->begins && p->ends ? delimiter_level(c, p->bytes, &closes) : 0;

	if (level > 0) {
		on_delimiter(c, level, closes, p);
		return;
	}
	if (c->place == IN_HEADER && header_piece(c, p))
		return;
	switch (c->place) {
	case IN_HEADER: break; /* a message within: its section begins here, below */
	case IN_BODY_PART: body_part_piece(c, p); return;
	case IN_FRAME: frame_piece(c, p); return;
	case IN_OPAQUE: opaque_piece(c, p); return;
	}
	walk_piece(c, p);
}

void walk_end(struct downgrade *c)
{
	end_entity(c, true);
}
