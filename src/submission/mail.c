/* mail.c - MAIL to the end of the text, as a session sees it: what may be said, and when the transaction is asked. */
#include "session.h"
#include "transaction.h"

void session_on_mail(struct session *s, const struct smtp_event *e)
{
	/* RFC 6409 section 6.1. The null sender is everybody's: receipts and other notices have it (RFC 8098); From is checked later. */
	if (e->address.n > 0 && !sender_allowed(role_config(s->sub->role), s->login, e->address)) {
		struct arena a = { 0 };

		log_warning(&s->log, "sender.refused", kv("login", s->login), kv("sender", e->address));
		smtp_server_reply(s->smtp, perm(550, S("5.7.1"),
						arena_printf(&a, "<%.*s> is not an address of %.*s", STR_ARG(e->address),
							     STR_ARG(s->login))));
		arena_fini(&a);
		return;
	}
	s->tx = transaction_new(s, e->address, &e->mail);
	smtp_server_reply(s->smtp, ok());
}

void session_on_rcpt(struct session *s, const struct smtp_event *e)
{
	struct str address = e->address;

	/* RFC 5321 4.5.1: postmaster without a domain is the postmaster of this relay. */
	if (smtp_address_domain(address).n == 0)
		address = role_config(s->sub->role)->postmaster;
	if (address.n == 0) {
		smtp_server_reply(s->smtp, perm(550, S("5.1.3"), S("The address needs a domain")));
		return;
	}
	transaction_recipient(s->tx, address, &e->rcpt);
	smtp_server_reply(s->smtp, ok());
}

void session_on_data(struct session *s, const struct smtp_event *e)
{
	transaction_begin_text(s->tx);
	smtp_server_reply(s->smtp, ok());
}

void session_on_text(struct session *s, const struct smtp_event *e)
{
	transaction_text(s->tx, e->bytes);
	if (transaction_full(s->tx))
		session_enter(s, SESSION_SPOOLING);
}

/* The text broke a rule of the protocol: the machine's verdict is the answer. A lone LF comes from old PHP scripts and printers, whose
 * owner needs to be found. */
static void refuse_text(struct session *s, struct verdict fault)
{
	struct str hint =
		fault.code == 550
			? S("the client's mailer writes line ends or bytes that mail must not have: update or configure it")
			: S("limits.message_size");

	log_warning(&s->log, "mail.malformed", kv("client", stream_peer_address(s->conn)), kv("login", s->login),
		    kv("reason", fault.text), kv("hint", hint));
	transaction_leave(s->tx);
	s->tx = NULL;
	s->sub->refused++;
	smtp_server_reply(s->smtp, fault);
}

void session_on_text_end(struct session *s, const struct smtp_event *e)
{
	if (e->fault.class != OK) {
		refuse_text(s, e->fault);
		return;
	}
	session_enter(s, SESSION_WAITING);
	transaction_end(s->tx);
}

void session_on_reset(struct session *s, const struct smtp_event *e)
{
	if (s->tx != NULL)
		transaction_leave(s->tx);
	s->tx = NULL;
}
