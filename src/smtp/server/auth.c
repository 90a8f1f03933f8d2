/* auth.c - AUTH (RFC 4954 section 4). The user of the machine checks the password. */
#include "server.h"

#include "posthouse/base64.h"

#define MECHANISM_MAX 20 /* RFC 4422 section 3.1 */

/* The exchange is over without success, and the user did not end it. */
static bool give_up(struct smtp_server *s, struct str enhanced, struct str text)
{
	s->due |= DUE_AUTH_CANCEL;
	server_enter(s, SERVER_READY);
	return server_say(s, 501, enhanced, text);
}

/* Decode into memory that is wiped as soon as the answer is there. */
static bool decode_response(struct smtp_server *s, struct str text)
{
	size_t n = 0;
	bool valid;

	secret_set(&s->response, text);
	valid = base64_decode_unpadded(s->response.p, text, &n);
	wipe(s->response.p + n, text.n - n);
	s->response.n = n;
	return valid;
}

bool server_auth(struct smtp_server *s, struct str argument, struct smtp_event *event_out)
{
	size_t space = smtp_word_length(argument);
	struct str mechanism = str_head(argument, space), initial = str_trim(str_from(argument, space));

	if (s->authenticated)
		return server_say(s, 503, S("5.5.1"), S("You are logged in already"));
	if (s->config->tls_required && !s->tls)
		return server_say(s, 538, S("5.7.11"), S("Encryption required: STARTTLS first"));
	if (mechanism.n == 0 || mechanism.n > MECHANISM_MAX)
		return server_say(s, 501, S("5.5.4"), S("Syntax: AUTH mechanism [initial-response]; HELP AUTH tells more"));
	if (!server_offers_mechanism(s, mechanism))
		return server_say(s, 504, S("5.5.4"), S("Authentication mechanism not offered"));
	/* "=" is an initial response of zero octets */
	if (!decode_response(s, str_eq(initial, S("=")) ? S("") : initial))
		return server_say(s, 501, S("5.5.2"), S("Not valid base 64"));
	event_out->mechanism = mechanism;
	event_out->has_initial = initial.n > 0;
	event_out->initial = secret_view(&s->response);
	return server_ask(s, SMTP_AUTH, event_out);
}

bool server_auth_response(struct smtp_server *s, struct str line, struct smtp_event *event_out)
{
	line = str_trim(line);
	if (str_eq(line, S("*")))
		return give_up(s, S("5.7.0"), S("Authentication cancelled"));
	if (!decode_response(s, line))
		return give_up(s, S("5.5.2"), S("Not valid base 64"));
	event_out->initial = secret_view(&s->response);
	return server_ask(s, SMTP_AUTH_RESPONSE, event_out);
}

void server_auth_reply(struct smtp_server *s, struct verdict v)
{
	if (v.class == OK && v.code == 334) {
		server_enter(s, SERVER_AUTH);
		buf_add(&s->out, S("334 "));
		base64_add(&s->out, str_head(v.text, AUTH_LINE_MAX));
		buf_add(&s->out, S("\r\n"));
		return;
	}
	if (s->state == SERVER_AUTH)
		server_enter(s, SERVER_READY);
	if (v.class != OK) {
		server_refuse(s, v);
		return;
	}
	s->authenticated = true;
	server_say(s, 235, S("2.7.0"), v.text.n > 0 ? v.text : S("Authentication successful"));
}
