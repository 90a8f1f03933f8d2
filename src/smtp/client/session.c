/* session.c - from the greeting to READY: EHLO or HELO, STARTTLS, AUTH. In the order they happen. */
#include "client.h"

#include "posthouse/base64.h"
#include "posthouse/sasl.h"

#include <assert.h>

static void begin_auth(struct smtp_client *c);

static void say_ehlo(struct smtp_client *c)
{
	client_peer_reset(c);
	client_enter(c, STAGE_EHLO);
	client_write(c, "EHLO %.*s", STR_ARG(c->config->hostname));
}

void client_on_greeting(struct smtp_client *c)
{
	if (c->reply.code >= 400) {
		client_end_by_reply(c, FAULT_PEER);
		return;
	}
	if (c->reply.code != 220) {
		client_out_of_order(c);
		return;
	}
	buf_add(&c->greeting, buf_view(&c->reply.text));
	c->peer.greeting = buf_view(&c->greeting);
	say_ehlo(c);
}

void client_on_ehlo(struct smtp_client *c)
{
	if (c->reply.code >= 500) { /* RFC 5321 3.2: a very old server */
		client_peer_reset(c);
		client_enter(c, STAGE_HELO);
		client_write(c, "HELO %.*s", STR_ARG(c->config->hostname));
	} else if (c->reply.code >= 400) {
		client_end_by_reply(c, FAULT_PEER);
	} else if (!c->tls && c->config->use_starttls && (c->peer.features & PEER_STARTTLS)) {
		client_enter(c, STAGE_STARTTLS);
		client_write(c, "STARTTLS");
	} else {
		begin_auth(c);
	}
}

void client_on_helo(struct smtp_client *c)
{
	if (c->reply.code >= 400)
		client_end_by_reply(c, FAULT_PEER);
	else
		begin_auth(c);
}

/* RFC 3207 6; CVE-2011-0411: bytes that come with the 220, or behind it, can be an attacker's. */
void client_end_by_clear_text(struct smtp_client *c)
{
	c->broken = true;
	client_end(c, temp(421, S("4.7.0"), S("the server sent clear text where TLS should begin")), FAULT_TLS);
}

void client_on_starttls(struct smtp_client *c)
{
	if (c->reply.code >= 400 && c->config->need_tls) {
		client_end_by_reply(c, FAULT_TLS);
	} else if (c->reply.code >= 400) {
		begin_auth(c);
	} else {
		client_enter(c, STAGE_HANDSHAKE);
		if (c->input.n > 0)
			client_end_by_clear_text(c);
		else
			client_tell(c, CLIENT_STARTTLS);
	}
}

void smtp_client_tls_started(struct smtp_client *c)
{
	if (c->stage != STAGE_HANDSHAKE)
		return;
	c->tls = true;
	say_ehlo(c);
}

/* The exchange by c->mechanism begins. */
static void begin_mechanism(struct smtp_client *c)
{
	const struct sasl_mechanism *m = sasl_find(c->mechanism);

	c->traits = m ? m->traits : 0;
	c->needs = m ? m->needs : 0;
	c->first_challenge = true;
	c->has_initial = c->sent_again = false;
	c->auth_rounds = 0;
	if (c->traits & SASL_SERVER_FIRST) {
		client_enter(c, STAGE_AUTH);
		client_write(c, "AUTH %.*s", STR_ARG(c->mechanism));
		return;
	}
	client_enter(c, STAGE_CREDENTIALS);
	client_tell(c, CLIENT_CHALLENGE);
	c->event.mechanism = c->mechanism;
	c->event.first = true;
}

/* No better TLS can be had: log in if that is configured, and never in clear text. */
static void begin_auth(struct smtp_client *c)
{
	struct str wanted = c->config->mechanisms;

	if (c->config->need_tls && !c->tls) {
		client_end(c, temp(421, S("4.7.4"), S("the server does not offer STARTTLS, which is demanded of it")), FAULT_TLS);
		return;
	}
	c->mechanism = c->tls ? sasl_choose(wanted, c->peer.mechanisms, S("")) : S("");
	if (wanted.n == 0 || (c->mechanism.n == 0 && c->config->login_optional)) {
		client_become_ready(c);
		return;
	}
	if (!c->tls) {
		client_end(c, temp(421, S("4.7.4"), S("a login is configured, and is never sent without TLS")), FAULT_TLS);
		return;
	}
	if (c->mechanism.n == 0) {
		client_end(c, temp(421, S("4.7.0"), S("the server offers no way to log in that we know")), FAULT_AUTH);
		return;
	}
	begin_mechanism(c);
}

/* Write a response, encoded: the transcript sees only that there was one. */
static void write_credentials(struct smtp_client *c, struct str prefix, struct str encoded)
{
	bool fits = buf_add(&c->output, prefix) && buf_add(&c->output, encoded) && buf_add(&c->output, S("\r\n"));
	struct str shown = arena_printf(&c->arena, "%.*s(credentials)", STR_ARG(prefix));

	assert(fits);
	transcript_add(&c->transcript, false, "C", shown);
}

/* RFC 4954 section 4: AUTH with its initial response, "=" for an empty one; one that is too long waits for the 334. */
static void write_initial(struct smtp_client *c)
{
	struct str command = arena_printf(&c->arena, "AUTH %.*s", STR_ARG(c->mechanism));

	if (command.n + 1 + c->initial.n + 2 > AUTH_LINE_MAX) {
		c->has_initial = true;
		client_write(c, "%.*s", STR_ARG(command));
		return;
	}
	write_credentials(c, arena_printf(&c->arena, "%.*s ", STR_ARG(command)), c->initial.n ? buf_view(&c->initial) : S("="));
}

void smtp_client_auth_response(struct smtp_client *c, struct str response)
{
	bool fits;

	if (c->stage != STAGE_CREDENTIALS)
		return;
	buf_clear(&c->initial);
	fits = base64_add(&c->initial, response);
	assert(fits);
	client_enter(c, STAGE_AUTH);
	if (c->first_challenge && !(c->traits & SASL_SERVER_FIRST))
		write_initial(c);
	else
		write_credentials(c, S(""), buf_view(&c->initial));
	c->first_challenge = false;
}

void smtp_client_auth_abort(struct smtp_client *c, struct verdict why)
{
	if (c->stage != STAGE_CREDENTIALS)
		return;
	if (!c->first_challenge || c->traits & SASL_SERVER_FIRST) /* RFC 4954 section 4: the exchange has begun, "*" cancels it */
		client_write(c, "*");
	if (why.text.n == 0)
		why.text = S("no credentials");
	client_end(c, temp(why.code ? why.code : 454, why.enhanced.n ? why.enhanced : S("4.7.0"), why.text), FAULT_AUTH);
}

/* The server asks for the initial response: it was too long for the AUTH command, or the server has overlooked it there. Only a
 * mechanism without challenges can have words in place of the empty line. */
static bool asks_for_initial(const struct smtp_client *c)
{
	if (c->has_initial)
		return true;
	return !c->sent_again && c->auth_rounds == 0 && !(c->traits & SASL_SERVER_FIRST) &&
	       (c->traits & SASL_ONE_RESPONSE || c->reply.text.n == 0);
}

/* 334 with a challenge for the user. Words that nobody encodes go to the user as they are. */
static void on_challenge(struct smtp_client *c)
{
	struct str text = buf_view(&c->reply.text);
	char *to = arena_alloc(&c->arena, text.n + 1);
	size_t n = 0;
	bool decoded;

	if (asks_for_initial(c)) {
		c->has_initial = false;
		c->sent_again = true;
		write_credentials(c, S(""), buf_view(&c->initial));
		return;
	}
	client_enter(c, STAGE_CREDENTIALS);
	decoded = base64_decode_unpadded(to, text, &n);
	if (++c->auth_rounds > AUTH_ROUNDS_MAX || (!decoded && !(c->traits & SASL_WORDS))) {
		smtp_client_auth_abort(c, temp(454, S("4.7.8"), S("the server's challenge is not one")));
		return;
	}
	client_tell(c, CLIENT_CHALLENGE);
	c->event.mechanism = c->mechanism;
	c->event.first = c->first_challenge;
	c->event.bytes = decoded ? str_make(to, n) : text;
}

/* RFC 4954 6: 504 is for a mechanism that the server offers and does not have; 535 can be about the mechanism too (the server
 * keeps the password as a hash of another kind), but a refused token is refused by each mechanism. The next mechanism is tried,
 * but only one: each failure brings the account nearer to being locked. */
static bool next_mechanism(struct smtp_client *c)
{
	struct str next = sasl_choose(c->config->mechanisms, c->peer.mechanisms, c->mechanism);
	bool fits = c->reply.code == 504 || (c->reply.code == 535 && !(c->needs & SASL_TOKEN));

	if (!fits || c->second_mechanism || next.n == 0)
		return false;
	c->second_mechanism = true;
	c->first_refusal = verdict_keep(&c->arena, client_reply_verdict(c));
	c->mechanism = next;
	begin_mechanism(c);
	return true;
}

/* The server does not take AUTH without the initial response that RFC 4954 has no room for: it gets the whole line. */
static bool send_whole(struct smtp_client *c)
{
	if (!c->has_initial || c->reply.code / 100 != 5)
		return false;
	c->has_initial = false;
	c->sent_again = true;
	write_credentials(c, arena_printf(&c->arena, "AUTH %.*s ", STR_ARG(c->mechanism)), buf_view(&c->initial));
	return true;
}

void client_on_auth(struct smtp_client *c)
{
	switch (c->reply.code / 100) {
	case 2: client_become_ready(c); return;
	case 3:
		if (c->reply.code == 334)
			on_challenge(c);
		else
			client_out_of_order(c);
		return;
	default:
		if (!send_whole(c) && !next_mechanism(c))
			client_end_by_reply(c, FAULT_AUTH);
		return;
	}
}
