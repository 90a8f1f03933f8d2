/* send_lines.c - the lines of a program's message as mail has them: each ends with CR LF. */
#include "send.h"

static size_t plain_length(struct str s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] != '\r' && s.p[n] != '\n' && s.p[n] != '\0')
		n++;
	return n;
}

/* What was held back belongs to a line that goes on. */
static void release(struct send_lines *l, struct buf *out)
{
	if (l->dot)
		buf_add(out, S("."));
	if (l->cr && l->in_line)
		buf_add(out, l->in_body ? S("\r\n") : S(" "));
	l->dot = l->cr = false;
}

static void end_line(struct send_lines *l, struct buf *out)
{
	l->ended = l->dot;
	if (!l->ended)
		buf_add(out, S("\r\n"));
	l->in_body |= !l->in_line;
	l->in_line = l->dot = l->cr = false;
}

static void take_text(struct send_lines *l, struct str text, struct buf *out)
{
	if (text.n == 0)
		return;
	if (!l->in_line && l->dot_ends && *text.p == '.') {
		l->dot = l->in_line = true;
		text = str_from(text, 1);
		if (text.n == 0)
			return;
	}
	release(l, out);
	l->in_line = true;
	l->has_8bit |= !str_is_ascii(text);
	buf_add(out, text);
}

void send_lines_feed(struct send_lines *l, struct str bytes, struct buf *out)
{
	while (bytes.n > 0 && !l->ended) {
		size_t n = plain_length(bytes);

		take_text(l, str_head(bytes, n), out);
		if (n < bytes.n && bytes.p[n] == '\n')
			end_line(l, out);
		else if (n < bytes.n && bytes.p[n] == '\r')
			l->cr = true;
		bytes = str_from(bytes, n + 1);
	}
}

void send_lines_end(struct send_lines *l, struct buf *out)
{
	if (!l->ended && l->in_line)
		end_line(l, out);
}
