/* transaction.c - MAIL, RCPT and DATA: the envelope of a message. */
#include "server.h"

#include "posthouse/address.h"
#include "posthouse/utf8.h"

struct smtp_offer server_offer(struct smtp_server *s)
{
	uint64_t most = s->config->future_release_s;

	return (struct smtp_offer){
		.tls = s->tls,
		.utf8 = s->utf8,
		.future_release_s = most,
		.now_ms = most > 0 ? s->config->now_ms() : 0,
		.arena = &s->scratch,
	};
}

/* Does the address have no domain, so that the configured one is meant? A quoted local part can contain an '@'. */
static bool unqualified(struct str address)
{
	return str_find(address, '@') == address.n || (address.n > 1 && address.p[0] == '"' && address.p[address.n - 1] == '"');
}

/* Check an address for MAIL or RCPT and give it in its one form (address.h); PERM when it is none. */
static struct verdict take_address(struct smtp_server *s, struct str address, bool is_recipient, struct str *address_out)
{
	struct str syntax =
		is_recipient ? S("5.1.3") : S("5.1.7"); /* RFC 3463: bad destination, bad sender's mailbox address syntax */

	for (size_t i = 0; i < address.n && !s->utf8; i++)
		if ((unsigned char)address.p[i] > 0x7f) /* RFC 6531 section 3.5 */
			return perm(553, S("5.6.7"), S("A non-ASCII address needs SMTPUTF8 behind the one of MAIL"));
	if (is_recipient && str_ieq(address, S("postmaster"))) { /* RFC 5321 4.5.1: the one address that needs no domain */
		*address_out = arena_str(&s->scratch, address);
		return ok();
	}
	if (address.n > 0 && unqualified(address)) {
		if (s->config->domain.n == 0)
			return perm(553, syntax, S("The address needs a domain: user@example.org"));
		address = arena_printf(&s->scratch, "%.*s@%.*s", STR_ARG(address), STR_ARG(s->config->domain));
	}
	if (utf8_is_deceptive(address))
		return perm(553, syntax,
			    S("The address has a character that cannot be seen, or looks like a space, a dot or an @"));
	if (address.n <= 2 * ADDRESS_MAX) /* "example.org." is example.org, and an A-label is not as long as its U-label */
		address = address_with_canonical_domain(&s->scratch, address);
	if (!smtp_address_valid(address, s->utf8))
		return perm(501, syntax, S("Malformed address"));
	*address_out = address_canonical(&s->scratch, address);
	return ok();
}

/* The parts of a MAIL command, checked. */
static struct verdict take_sender(struct smtp_server *s, struct str address, struct str params, struct smtp_event *event_out)
{
	struct smtp_offer offer = server_offer(s);
	struct verdict v = smtp_mail_params(params, &offer, &event_out->mail);

	s->utf8 = event_out->mail.utf8;
	s->binary = event_out->mail.body == BODY_BINARYMIME;
	if (v.class == OK && address.n > 0)
		v = take_address(s, address, false, &event_out->address);
	if (v.class != OK)
		return v;
	if (s->config->message_size > 0 && event_out->mail.size > s->config->message_size)
		return perm(552, S("5.3.4"), S("Message larger than the limit announced by SIZE")); /* RFC 1870 section 6.1 */
	return ok();
}

static bool refuse_sender(struct smtp_server *s, struct str sender, struct verdict v)
{
	server_tell_refusal(s, sender, S(""), v);
	return server_refuse(s, v);
}

static bool refuse_recipient(struct smtp_server *s, struct str recipient, struct verdict v)
{
	server_tell_refusal(s, S(""), recipient, v);
	return server_refuse_recipient(s, v);
}

bool server_mail(struct smtp_server *s, struct str argument, struct smtp_event *event_out)
{
	struct str rest, address, params;
	struct verdict v;

	if (s->config->messages > 0 && s->messages >= s->config->messages) /* RFC 9422 section 4.2 */
		return refuse_sender(
			s, argument,
			temp(421, S("4.7.0"), S("Enough messages for one connection; send the others over a new one")));
	if (!smtp_parse_keyword(argument, S("FROM"), &rest) || !smtp_parse_path(rest, &address, &params))
		return refuse_sender(s, argument, perm(501, S("5.5.4"), S("Syntax: MAIL FROM:<address>")));
	v = take_sender(s, address, params, event_out);
	if (v.class != OK)
		return refuse_sender(s, address, v);
	return server_ask(s, SMTP_MAIL, event_out);
}

bool server_rcpt(struct smtp_server *s, struct str argument, struct smtp_event *event_out)
{
	struct smtp_offer offer = server_offer(s);
	struct str rest, address, params;
	struct verdict v;

	if (!smtp_parse_keyword(argument, S("TO"), &rest) || !smtp_parse_path(rest, &address, &params))
		return refuse_recipient(s, argument, perm(501, S("5.5.4"), S("Syntax: RCPT TO:<address>")));
	v = take_address(s, address, true, &event_out->address);
	if (v.class == OK)
		v = smtp_rcpt_params(params, &offer, &event_out->rcpt);
	if (v.class == OK && s->config->recipients > 0 && s->recipients >= s->config->recipients)
		v = temp(452, S("4.5.3"),
			 S("Too many recipients for one message; send the rest in another")); /* RFC 5321 4.5.3.1.10 */
	if (v.class != OK)
		return refuse_recipient(s, address, v);
	return server_ask(s, SMTP_RCPT, event_out);
}

bool server_data(struct smtp_server *s, struct str argument, struct smtp_event *event_out)
{
	if (s->state == SERVER_MAIL) /* RFC 5321 3.3 */
		return server_say(s, 554, S("5.5.1"), S("No valid recipients"));
	if (s->binary) /* RFC 3030 section 3 */
		return server_say(s, 503, S("5.5.1"), S("A message with BODY=BINARYMIME is sent by BDAT"));
	s->chunked = false;
	return server_ask(s, SMTP_DATA, event_out);
}
