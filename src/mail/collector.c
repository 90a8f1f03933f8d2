/* collector.c - keep a message's header section while it streams in, and find its end: the blank line, or the first line that
 * is neither a field nor the continuation of one. Such a line begins the body, as it does for Postfix and Exim: scripts send
 * text without any header, or forget the blank line. The caller stores a blank line there, so that no reader finds fields after
 * it that were not checked. */
#include "posthouse/mail.h"
#include "text.h"

#define LOOK_MAX 1000 /* a line's kind is clear after so many bytes: no name of a field is as long (RFC 5322 2.1.1) */

enum line_kind { LINE_UNKNOWN, LINE_FIELD, LINE_FOLD, LINE_BLANK, LINE_MBOX, LINE_TEXT };

void header_collector_init(struct header_collector *c)
{
	*c = (struct header_collector){ .begun = S("") };
	buf_init(&c->section, HEADER_MAX + LOOK_MAX);
}

void header_collector_fini(struct header_collector *c)
{
	buf_fini(&c->section);
	c->begun = S("");
}

/* The section is too large: drop it, and refuse all further bytes. */
static struct verdict too_large(struct header_collector *c)
{
	buf_fini(&c->section);
	buf_init(&c->section, 0);
	return perm(552, S("5.3.4"), S("the header section of the message is too large"));
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "From alice@example.org Sat Nov 21 19:37:54 2026": what mbox files and "git format-patch" have in front (RFC 4155 appendix
 * A), perhaps behind a ">". A sentence that begins with "From" has no day and time. */
static bool is_mbox_line(struct str line)
{
	static const char days[] = "MonTueWedThuFriSatSun";
	bool day = false, time = false;

	while (str_starts(line, S(">")))
		line = str_from(line, 1);
	if (!str_starts(line, S("From ")))
		return false;
	for (size_t i = 5; i + 4 < line.n; i++) {
		const char *p = line.p + i;
		for (size_t d = 0; p[-1] == ' ' && (p[3] == ' ' || p[3] == ',') && d < 21; d += 3)
			day = day || memcmp(p, days + d, 3) == 0;
		time = time || (is_digit(p[0]) && is_digit(p[1]) && p[2] == ':' && is_digit(p[3]) && is_digit(p[4]));
	}
	return day && time;
}

/* The kind of a line, from the bytes received so far. `first`: it is the first line. */
static enum line_kind line_kind(struct str line, bool first)
{
	bool whole = str_ends(line, S("\n")) || line.n >= LOOK_MAX;
	size_t n = 0;

	if (str_eq(line, S("\r\n")))
		return LINE_BLANK;
	if (is_wsp(*line.p))
		return first ? LINE_TEXT : LINE_FOLD;
	while (n < line.n && line.p[n] > ' ' && line.p[n] <= '~' && line.p[n] != ':')
		n++;
	size_t colon = n;
	while (colon < line.n && is_wsp(line.p[colon]))
		colon++;
	if (n > 0 && colon < line.n && line.p[colon] == ':')
		return LINE_FIELD;
	if (!whole && (colon == line.n || str_eq(line, S("\r")) || (first && (*line.p == '>' || str_starts(line, S("From "))))))
		return LINE_UNKNOWN;
	return first && is_mbox_line(line) ? LINE_MBOX : LINE_TEXT;
}

/* A byte order mark in front, as some editors write, is no text (Unicode 23.8). True while the bytes can be one. */
static bool skip_mark(struct header_collector *c)
{
	struct str mark = S("\xef\xbb\xbf");

	while (!c->any && c->line == 0 && str_starts(buf_view(&c->section), mark))
		buf_consume(&c->section, 3);
	return !c->any && c->line == 0 && str_starts(mark, buf_view(&c->section));
}

/* Look at the line that is being collected; continue with the next one when it is complete. */
static void look(struct header_collector *c)
{
	if (skip_mark(c))
		return;
	struct str line = str_from(buf_view(&c->section), c->line);
	enum line_kind kind = c->known ? LINE_FIELD : line_kind(line, !c->any);

	if (kind == LINE_UNKNOWN)
		return;
	if (kind == LINE_BLANK || kind == LINE_TEXT) {
		c->begun = kind == LINE_TEXT ? line : S("");
		c->section.n = c->line;
		c->complete = true;
		return;
	}
	c->dropping = kind == LINE_MBOX && !str_ends(line, S("\n"));
	c->known = kind != LINE_MBOX && !str_ends(line, S("\n"));
	c->any = c->any || kind != LINE_MBOX;
	if (kind == LINE_MBOX)
		c->section.n = c->line;
	else if (!c->known)
		c->line = c->section.n;
}

/* The next bytes to look at together: the rest of the line, or enough of it to know its kind. */
static struct str next_piece(const struct header_collector *c, struct str bytes)
{
	size_t have = c->section.n - c->line;
	struct str piece = str_head(bytes, str_find(bytes, '\n') + 1);

	return c->known || c->dropping || have >= LOOK_MAX ? piece : str_head(piece, LOOK_MAX - have);
}

struct verdict header_collector_feed(struct header_collector *c, struct str bytes, struct str *rest_out)
{
	*rest_out = bytes;
	c->begun = S("");
	if (c->complete)
		return ok();
	if (c->section.max == 0)
		return too_large(c);
	while (bytes.n > 0 && !c->complete) {
		struct str piece = next_piece(c, bytes);
		bytes = str_from(bytes, piece.n);
		if (c->dropping) {
			c->dropping = !str_ends(piece, S("\n"));
			continue;
		}
		if (!buf_add(&c->section, piece))
			return too_large(c);
		look(c);
		if ((c->known ? c->section.n : c->line) > HEADER_MAX)
			return too_large(c);
	}
	*rest_out = bytes;
	return ok();
}

struct verdict header_collector_end(struct header_collector *c)
{
	struct str line = str_from(buf_view(&c->section), c->line);

	c->begun = S("");
	if (c->section.max == 0)
		return too_large(c);
	if (!c->complete && c->known) {
		/* A last field without its line end, which BODY=BINARYMIME allows. */
		if (!buf_add(&c->section, str_ends(line, S("\r")) ? S("\n") : S("\r\n")))
			return too_large(c);
	} else if (!c->complete) {
		c->begun = line;
		c->section.n = c->line;
	}
	c->complete = true;
	return ok();
}
