/* answer.c - the user's answer to an event: the reply that it becomes, and the state that follows. */
#include "server.h"

#include <assert.h>

/* An accepted message forgives half of the allowed errors, and all refused recipients of its own list. */
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
		s->commands--; /* a long list of recipients is no misuse, and has its own limit */
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
	} else if (v.class == OK) {
		reply_ok(s, v);
	} else if (s->asked == SMTP_RCPT) {
		server_refuse_recipient(s, v);
	} else if (s->asked == SMTP_DATA && s->chunked) {
		server_chunk_refused(s, v);
	} else {
		if (s->asked == SMTP_TEXT_END && s->chunked)
			server_chunks_failed(s, v);
		else if (s->asked == SMTP_TEXT_END)
			server_end_transaction(s);
		server_refuse(s, v);
	}
}
