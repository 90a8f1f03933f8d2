/* help.c - HELP, for people who type by hand; VRFY and EXPN, which give nothing away. */
#include "server.h"

static void help_auth(struct smtp_server *s, struct buf *b)
{
	buf_printf(b, "\nMechanisms: %.*s%s", STR_ARG(s->config->mechanisms),
		   s->config->tls_required && !s->tls ? " (after STARTTLS)" : "");
	buf_add(b, S("\nBy hand, with your own name and password: AUTH PLAIN, and after 334 the line that this command makes:"
		     "\n  printf '\\000alice@example.org\\000password' | base64 -w0"
		     "\nOr AUTH LOGIN, and after each 334 a line: first the name, then the password, made by:"
		     "\n  printf %s alice@example.org | base64 -w0"
		     "\n  printf %s password | base64 -w0"
		     "\nA * alone cancels it. In scripts, curl, msmtp and swaks do this for you."));
}

static void help_mail(struct smtp_server *s, struct buf *b)
{
	struct smtp_offer offer = server_offer(s);

	buf_add(b, S("\nThe address is the sender's: errors are reported to it; <> is for mail that wants no reports."
		     "\nParameters:"));
	smtp_params_help(b, &offer, false);
}

static void help_rcpt(struct smtp_server *s, struct buf *b)
{
	struct smtp_offer offer = server_offer(s);

	buf_add(b, S("\nOnce for each recipient.\nParameters:"));
	smtp_params_help(b, &offer, true);
}

static void help_extensions(struct smtp_server *s, struct buf *b)
{
	buf_add(b, S("Offered on this connection now:"));
	server_add_extensions(s, true, b);
}

static void help_all(struct smtp_server *s, struct buf *b)
{
	buf_printf(b, "%.*s: Posthouse, mail submission for those who have an account here.\nCommands:",
		   STR_ARG(s->config->hostname));
	for (const struct server_command *c = s->verbs; c->verb.n > 0; c++)
		buf_printf(b, " %.*s", STR_ARG(c->verb));
	buf_add(b, S("\nA session: EHLO, STARTTLS (port 587), EHLO, AUTH, then MAIL, RCPT, DATA for each message.\n"
		     "HELP and a command shows its form, HELP AUTH how to log in by hand, HELP EXTENSIONS what is offered.\n"
		     "For help by a human write to postmaster."));
}

/* The topics that are no commands, and what is said about a command beside its syntax. */
static const struct {
	struct str name;
	void (*write)(struct smtp_server *s, struct buf *b); /* NULL: it is `text` */
	struct str text;
} topics[] = {
	{ S(""), help_all, S("") },
	{ S("AUTH"), help_auth, S("") },
	{ S("MAIL"), help_mail, S("") },
	{ S("RCPT"), help_rcpt, S("") },
	{ S("DATA"), NULL,
	  S("\nAfter 354 comes the message: header fields (From:, To:, Subject:), an empty line, the text,"
	    " and a line with a dot\n"
	    "alone, which ends it. A line that begins with a dot gets one more. Lines end with CR LF: telnet does that.") },
	{ S("BDAT"), NULL,
	  S("\nSo many bytes of the message follow at once, without dots doubled; LAST is the last part (RFC 3030).\n"
	    "For programs; by hand use DATA.") },
	{ S("EXTENSIONS"), help_extensions, S("") },
};

bool server_help(struct smtp_server *s, struct str argument, struct smtp_event *event_out)
{
	const struct server_command *c = server_find_command(s, argument);
	size_t i = 0, n = sizeof(topics) / sizeof(topics[0]);
	struct buf text;

	while (i < n && !str_ieq(topics[i].name, argument))
		i++;
	if (i == n && c == NULL)
		return server_say(s, 504, S("5.5.4"), S("No help on this; HELP lists the commands"));
	buf_init(&text, OUTPUT_ENOUGH);
	if (c != NULL) {
		buf_add(&text, c->syntax);
		buf_add(&text, c->pipelining == MAY_PIPELINE ? S("\nMay be sent without waiting for the answer.")
							     : S("\nWait for the answer before the next command."));
	}
	if (i < n && topics[i].write != NULL)
		topics[i].write(s, &text);
	else if (i < n)
		buf_add(&text, topics[i].text);
	server_say(s, 214, S("2.0.0"), buf_view(&text));
	buf_fini(&text);
	return false;
}

/* RFC 5321 3.5.3 and 7.3: nothing is verified, and that is said. The parameter SMTPUTF8 (RFC 6531 section 3.7.4.2) changes
 * nothing. */
bool server_vrfy(struct smtp_server *s, struct str argument, struct smtp_event *event_out)
{
	if (argument.n == 0)
		server_say(s, 501, S("5.5.4"), S("Syntax: VRFY address"));
	else
		server_say(s, 252, S("2.5.0"), S("Nothing is verified here; send a message and see"));
	return false;
}

bool server_expn(struct smtp_server *s, struct str argument, struct smtp_event *event_out)
{
	return server_say(s, 502, S("5.5.1"), S("EXPN is not implemented: there are no mailing lists here"));
}
