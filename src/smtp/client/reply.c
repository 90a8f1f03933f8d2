/* reply.c - from the server's bytes to whole replies (RFC 5321 4.2), bounded whatever it sends. */
#include "client.h"

#include <stdio.h>

/* RFC 2034 4, RFC 3463 2: class.subject.detail; the class must be the reply code's. Takes it off *text. */
static void take_enhanced(struct reply *r, struct str *text)
{
	struct str s = *text;
	size_t i = enhanced_length(s);

	if (i == 0 || s.p[0] != (char)('0' + r->code / 100) || (i < s.n && s.p[i] != ' '))
		return;
	if (r->enhanced_n == 0) {
		memcpy(r->enhanced, s.p, i);
		r->enhanced_n = i;
	}
	*text = str_trim(str_from(s, i));
}

/* Lines are joined by a space. Text beyond the bound is left out; then "..." is at the end. */
static void add_text(struct reply *r, struct str text)
{
	static const char dots[] = "...";
	size_t room = r->text.max - r->text.n;

	if (r->cut || text.n == 0)
		return;
	if (text.n + sizeof dots > room) {
		size_t n = room > sizeof dots ? room - sizeof dots : 0;

		while (n > 0 && ((unsigned char)text.p[n] & 0xc0) == 0x80) /* not within a character of UTF-8 */
			n--;
		r->cut = true;
		buf_add(&r->text, r->text.n && n ? S(" ") : S(""));
		buf_add(&r->text, str_head(text, n));
		buf_add(&r->text, S("..."));
		return;
	}
	if (r->text.n)
		buf_add_char(&r->text, ' ');
	buf_add(&r->text, text);
}

/* Take a line off the input into c->line, without its end and with control characters made visible. */
static enum reply_state take_line(struct smtp_client *c)
{
	struct str in = buf_view(&c->input);
	size_t n = str_find(str_head(in, REPLY_MAX), '\n'), end = n;
	char *to;

	if (n == in.n && n < REPLY_MAX)
		return REPLY_NONE;
	if (n >= REPLY_MAX)
		return REPLY_BROKEN;
	while (end > 0 && in.p[end - 1] == '\r')
		end--;
	buf_clear(&c->line);
	to = buf_reserve(&c->line, end);
	for (size_t i = 0; to && i < end; i++)
		to[i] = (unsigned char)in.p[i] < 0x20 || in.p[i] == 0x7f ? ' ' : in.p[i];
	buf_claim(&c->line, end);
	buf_consume(&c->input, n + 1);
	return REPLY_COMPLETE;
}

/* "250-text", "250 text" or "250"; false when it is none of them. */
static bool parse_line(struct str line, unsigned *code_out, bool *last_out, struct str *text_out)
{
	if (line.n < 3 || line.p[0] < '2' || line.p[0] > '5' || line.p[1] < '0' || line.p[1] > '9' || line.p[2] < '0' ||
	    line.p[2] > '9')
		return false;
	if (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-')
		return false;
	*code_out = (unsigned)(line.p[0] - '0') * 100 + (unsigned)(line.p[1] - '0') * 10 + (unsigned)(line.p[2] - '0');
	*last_out = line.n == 3 || line.p[3] == ' ';
	*text_out = str_trim(str_from(line, 4));
	return true;
}

/* A server that does not know a line repeats it in its reply: nobody shall read there what we have logged in with. */
static void hide_response(struct smtp_client *c)
{
	struct str sent = str_head(buf_view(&c->initial), 16);
	char *line = c->line.p + c->line.from;
	size_t i;

	if (c->stage != STAGE_AUTH || sent.n < 4)
		return;
	for (i = str_search(buf_view(&c->line), sent); i < c->line.n && line[i] != ' '; i++)
		line[i] = '*';
}

/* The transcript shows no challenge of a mechanism. */
static void note_line(struct smtp_client *c, struct str line)
{
	bool challenge = c->stage == STAGE_AUTH && str_starts(line, S("334"));

	transcript_add(&c->transcript, c->stage >= STAGE_READY, "S", challenge ? S("334 (challenge)") : line);
}

/* Read lines until a reply is complete. */
enum reply_state client_read_reply(struct smtp_client *c)
{
	struct reply *r = &c->reply;
	enum reply_state state;
	struct str text;
	unsigned code;
	bool last;

	while ((state = take_line(c)) == REPLY_COMPLETE) {
		hide_response(c);
		note_line(c, buf_view(&c->line));
		if (!parse_line(buf_view(&c->line), &code, &last, &text))
			return REPLY_BROKEN;
		if (r->lines == 0) {
			r->code = code;
			r->enhanced_n = 0;
			r->cut = false;
			r->bytes = 0;
			buf_clear(&r->text);
		}
		r->lines++;
		r->bytes += c->line.n;
		if (code != r->code || r->bytes > REPLY_MAX) /* RFC 5321 4.2.1: the same code on each line */
			return REPLY_BROKEN;
		if (c->stage == STAGE_EHLO && code / 100 == 2 && r->lines > 1)
			client_peer_line(c, text);
		take_enhanced(r, &text);
		add_text(r, text);
		if (last) {
			r->lines = 0;
			return REPLY_COMPLETE;
		}
	}
	return state;
}

struct verdict client_reply_verdict(const struct smtp_client *c)
{
	const struct reply *r = &c->reply;

	return (struct verdict){ .class = r->code / 100 == 2   ? OK
					  : r->code / 100 == 5 ? PERM
							       : TEMP,
				 .code = (uint16_t)r->code,
				 .enhanced = str_make(r->enhanced, r->enhanced_n),
				 .text = buf_view(&r->text) };
}
