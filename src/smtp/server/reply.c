/* reply.c - what the server says (RFC 5321 4.2, RFC 2034), and the count of errors. */
#include "server.h"

/* The next line of a reply's text: up to LF, or as much as a reply line holds. */
static struct str take_reply_line(struct str *text)
{
	size_t n = str_find(*text, '\n'), end = n < REPLY_LINE_MAX ? n : REPLY_LINE_MAX;
	struct str line;

	while (n > REPLY_LINE_MAX && end > REPLY_LINE_MAX / 2 && text->p[end - 1] != ' ')
		end--;
	if (n > REPLY_LINE_MAX && end == REPLY_LINE_MAX / 2) /* no space to break at */
		end = REPLY_LINE_MAX;
	line = str_head(*text, end);
	*text = str_from(*text, n > REPLY_LINE_MAX ? end : n + 1);
	return line;
}

/* Text from elsewhere must not end the line, nor bring 8-bit bytes to a client that did not ask for them. */
static void add_printable(struct buf *b, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		buf_add_char(b, c < 0x20 || c == 0x7f ? ' ' : c > 0x7f ? '?' : (char)c);
	}
}

static void say_lines(struct buf *b, unsigned code, struct str enhanced, struct str text)
{
	do {
		struct str line = take_reply_line(&text);

		buf_printf(b, "%03u%c", code, text.n > 0 ? '-' : ' ');
		add_printable(b, enhanced);
		if (enhanced.n > 0)
			buf_add_char(b, ' ');
		add_printable(b, line);
		buf_add(b, S("\r\n"));
	} while (text.n > 0);
}

static void say(struct smtp_server *s, unsigned code, struct str enhanced, struct str text)
{
	/* Room is there: no command is looked at while OUTPUT_ENOUGH waits, and one command is answered by far less than the
	 * rest. */
	say_lines(&s->out, code, enhanced, str_head(text, OUTPUT_ENOUGH));
}

static void count_error(struct smtp_server *s)
{
	s->errors++;
	if (s->config->errors == 0 || s->errors < s->config->errors || s->state == SERVER_CLOSED)
		return;
	say_lines(&s->out, 421, S("4.7.0"), S("Too many errors, closing the connection"));
	server_close(s, DUE_CLOSE);
}

bool server_say(struct smtp_server *s, unsigned code, struct str enhanced, struct str text)
{
	say(s, code, enhanced, text);
	if (code >= 500)
		count_error(s);
	return false;
}

/* Reply with a refusal; returns the code of the reply. */
static unsigned say_no(struct smtp_server *s, struct verdict v)
{
	bool perm_code = v.code >= 500 && v.code < 600, temp_code = v.code >= 400 && v.code < 500;
	unsigned code = v.class == PERM ? (perm_code ? v.code : 550) : (temp_code ? v.code : 451);
	struct str text = v.text.n > 0 ? v.text : v.class == PERM ? S("Refused") : S("Temporary failure, try again later");
	struct str fallback = v.class == PERM ? S("5.0.0") : S("4.3.0");

	say(s, code, v.enhanced.n > 0 ? v.enhanced : fallback, text);
	if (code == 421)
		server_close(s, DUE_CLOSE);
	return code;
}

bool server_refuse(struct smtp_server *s, struct verdict v)
{
	if (say_no(s, v) >= 500)
		count_error(s);
	return false;
}

bool server_refuse_recipient(struct smtp_server *s, struct verdict v)
{
	uint64_t most = s->config->recipients > REFUSED_RECIPIENTS ? s->config->recipients : REFUSED_RECIPIENTS;

	if (say_no(s, v) >= 500 && s->refused_recipients++ < most && s->commands > 0)
		s->commands--;
	return false;
}

void server_tell_refusal(struct smtp_server *s, struct str sender, struct str recipient, struct verdict v)
{
	const struct smtp_refusal r = { .verdict = v, .sender = sender, .recipient = recipient };

	if (s->config->refused != NULL && (s->authenticated || s->trusted))
		s->config->refused(s->config->refused_ctx, &r);
}
