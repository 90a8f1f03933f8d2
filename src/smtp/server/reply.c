/* reply.c - what the server says (RFC 5321 4.2, RFC 2034), and the count of errors. */
#include "server.h"

#include <assert.h>

/* The next line of a reply's text: up to LF, or as much as a reply line holds. */
static struct str take_reply_line(struct str *text)
{
	size_t n = str_find(*text, '\n');
	struct str line = str_head(*text, n);

	if (n > REPLY_LINE_MAX) {
		line = str_head(*text, REPLY_LINE_MAX);
		for (size_t i = line.n; i > REPLY_LINE_MAX / 2; i--) {
			if (line.p[i - 1] == ' ') {
				line.n = i;
				break;
			}
		}
		*text = str_from(*text, line.n);
		return line;
	}
	*text = str_from(*text, n + 1);
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
	/* Room is there: no command is looked at while OUTPUT_ENOUGH waits, and one command is answered by far less than the rest. */
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

void server_say(struct smtp_server *s, unsigned code, struct str enhanced, struct str text)
{
	say(s, code, enhanced, text);
	if (code >= 500)
		count_error(s);
}

/* Say no; the code that was said. */
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

void server_refuse(struct smtp_server *s, struct verdict v)
{
	if (say_no(s, v) >= 500)
		count_error(s);
}

void server_refuse_recipient(struct smtp_server *s, struct verdict v)
{
	uint64_t most = s->config->recipients > REFUSED_RECIPIENTS ? s->config->recipients : REFUSED_RECIPIENTS;

	if (say_no(s, v) < 500)
		return;
	s->refused_recipients++;
	if (s->refused_recipients <= most && s->commands > 0)
		s->commands--;
}

/* An accepted message takes back half of what is allowed, and all that its recipients' list had wrong. */
static void forgive(struct smtp_server *s)
{
	uint64_t pardon = (s->config->errors + 1) / 2;

	s->errors -= s->errors < pardon ? s->errors : pardon;
	s->refused_recipients = 0;
	s->commands = 0;
}

/* OK to an event: the user's words (as "2.3.6" with the priority that holds, RFC 6710 section 4.1), or the verb's own. */
static void say_ok(struct smtp_server *s, struct verdict v, unsigned code, struct str enhanced, struct str text)
{
	bool has_code = v.code >= 200 && v.code <= 299, has_enhanced = str_starts(v.enhanced, S("2."));

	server_say(s, has_code ? v.code : code, has_enhanced ? v.enhanced : enhanced, v.text.n > 0 ? v.text : text);
}

static void reply_ok(struct smtp_server *s, struct verdict v)
{
	switch (s->asked) {
	case SMTP_STARTTLS:
		say_ok(s, v, 220, S("2.0.0"), S("Ready to start TLS"));
		server_enter(s, SERVER_TLS);
		break;
	case SMTP_MAIL:
		server_enter(s, SERVER_MAIL);
		s->messages++;
		say_ok(s, v, 250, S("2.1.0"), S("Ok"));
		break;
	case SMTP_RCPT:
		if (s->state == SERVER_MAIL)
			server_enter(s, SERVER_RECIPIENT);
		s->recipients++;
		s->commands--; /* a long list of recipients is no misuse; it has a limit of its own */
		say_ok(s, v, 250, S("2.1.5"), S("Ok"));
		break;
	case SMTP_DATA:
		if (s->chunked) {
			server_chunk_begin(s);
			break;
		}
		server_text_begin(s);
		server_say(s, 354, S(""), S("End data with <CR><LF>.<CR><LF>"));
		break;
	case SMTP_TEXT_END:
		forgive(s);
		server_end_transaction(s);
		say_ok(s, v, 250, S("2.0.0"), S("Ok"));
		break;
	default: assert(!"this event takes no answer");
	}
}

void smtp_server_reply(struct smtp_server *s, struct verdict v)
{
	if (s->state == SERVER_CLOSED)
		return; /* smtp_server_shut(now) has answered */
	assert(s->waiting);
	s->waiting = false;
	if (s->asked == SMTP_AUTH || s->asked == SMTP_AUTH_RESPONSE) {
		server_auth_reply(s, v);
		return;
	}
	if (v.class == OK) {
		reply_ok(s, v);
		return;
	}
	if (s->asked == SMTP_RCPT) {
		server_refuse_recipient(s, v);
		return;
	}
	if (s->asked == SMTP_DATA && s->chunked) {
		server_chunk_refused(s, v);
		return;
	}
	if (s->asked == SMTP_TEXT_END && s->chunked)
		server_chunks_failed(s, v);
	else if (s->asked == SMTP_TEXT_END)
		server_end_transaction(s);
	server_refuse(s, v);
}
