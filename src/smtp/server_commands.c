/* server_commands.c - the table of commands, and what each does. */
#include "grammar.h"
#include "server.h"

#define IN(state)      (1u << SERVER_##state)
#define IN_TRANSACTION (IN(MAIL) | IN(RECIPIENT))
#define IN_GREETED     (IN(START) | IN(READY) | IN_TRANSACTION)

enum { NEED_TLS = 1, NEED_AUTH = 2 };

/* RFC 2920 section 3.1: after which command a client has to wait for the answer. HELP tells it; the machine takes what comes in order
 * in either case, except that after STARTTLS (server.c) and QUIT nothing counts. */
enum pipelining { MAY_PIPELINE, ENDS_GROUP };

struct command {
	struct str verb;
	unsigned states, needs;
	enum pipelining pipelining;
	bool (*handle)(struct smtp_server *s, struct str argument, struct smtp_event *event_out);
	struct str syntax;
};

/* The handlers, in the order of a session. */
static bool cmd_ehlo(struct smtp_server *s, struct str argument, struct smtp_event *event_out);
static bool cmd_helo(struct smtp_server *s, struct str argument, struct smtp_event *event_out);
static bool cmd_starttls(struct smtp_server *s, struct str argument, struct smtp_event *event_out);
static bool cmd_mail(struct smtp_server *s, struct str argument, struct smtp_event *event_out);
static bool cmd_rcpt(struct smtp_server *s, struct str argument, struct smtp_event *event_out);
static bool cmd_data(struct smtp_server *s, struct str argument, struct smtp_event *event_out);
static bool cmd_rset(struct smtp_server *s, struct str argument, struct smtp_event *event_out);
static bool cmd_noop(struct smtp_server *s, struct str argument, struct smtp_event *event_out);
static bool cmd_vrfy(struct smtp_server *s, struct str argument, struct smtp_event *event_out);
static bool cmd_expn(struct smtp_server *s, struct str argument, struct smtp_event *event_out);
static bool cmd_help(struct smtp_server *s, struct str argument, struct smtp_event *event_out);
static bool cmd_quit(struct smtp_server *s, struct str argument, struct smtp_event *event_out);

/* The only list of verbs. RFC 4954 section 4 has AUTH's checks in an order of its own: see server_auth.c. */
static const struct command commands[] = {
	{ S("EHLO"), IN_GREETED, 0, ENDS_GROUP, cmd_ehlo, S("EHLO hostname") },
	{ S("HELO"), IN_GREETED, 0, ENDS_GROUP, cmd_helo, S("HELO hostname") },
	{ S("STARTTLS"), IN(START) | IN(READY), 0, ENDS_GROUP, cmd_starttls, S("STARTTLS") },
	{ S("AUTH"), IN(READY), 0, ENDS_GROUP, server_auth, S("AUTH mechanism [initial-response]") },
	{ S("MAIL"), IN(READY), NEED_TLS | NEED_AUTH, MAY_PIPELINE, cmd_mail,
	  S("MAIL FROM:<address> [SIZE=octets] [BODY=8BITMIME] [RET=FULL|HDRS] [ENVID=xtext]") },
	{ S("RCPT"), IN_TRANSACTION, NEED_TLS | NEED_AUTH, MAY_PIPELINE, cmd_rcpt,
	  S("RCPT TO:<address> [NOTIFY=NEVER|SUCCESS,FAILURE,DELAY] [ORCPT=rfc822;xtext]") },
	{ S("DATA"), IN_TRANSACTION, NEED_TLS | NEED_AUTH, ENDS_GROUP, cmd_data, S("DATA") },
	{ S("RSET"), IN_GREETED, 0, MAY_PIPELINE, cmd_rset, S("RSET") },
	{ S("NOOP"), IN_GREETED, 0, ENDS_GROUP, cmd_noop, S("NOOP") },
	{ S("VRFY"), IN_GREETED, 0, ENDS_GROUP, cmd_vrfy, S("VRFY address") },
	{ S("EXPN"), IN_GREETED, 0, ENDS_GROUP, cmd_expn, S("EXPN is not implemented") },
	{ S("HELP"), IN_GREETED, 0, ENDS_GROUP, cmd_help, S("HELP [command]") },
	{ S("QUIT"), IN_GREETED, 0, ENDS_GROUP, cmd_quit, S("QUIT") },
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *find_command(struct str verb)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (str_ieq(commands[i].verb, verb))
			return &commands[i];
	return NULL;
}

/* What stands between the client and the command; OK when nothing does. */
static struct verdict check_command(const struct smtp_server *s, const struct command *c)
{
	if ((c->needs & NEED_TLS) != 0 && s->config->tls_required && !s->tls)
		return perm(530, S("5.7.0"), S("Must issue a STARTTLS command first"));
	if ((c->needs & NEED_AUTH) != 0 && !s->authenticated)
		return perm(530, S("5.7.0"), S("Authentication required"));
	if ((c->states & 1u << s->state) != 0)
		return ok();
	if (s->state == SERVER_START)
		return perm(503, S("5.5.1"), S("Say EHLO first"));
	if (s->state == SERVER_READY)
		return perm(503, S("5.5.1"), S("MAIL FROM first"));
	return perm(503, S("5.5.1"), S("Not within a mail transaction (RSET ends it)"));
}

bool server_command(struct smtp_server *s, struct str line, struct smtp_event *event_out)
{
	struct str whole = str_trim(line); /* RFC 5321 4.1.1: white space at the end is tolerated */
	size_t space = str_find(whole, ' ');
	struct str verb = str_head(whole, space);
	const struct command *c = find_command(verb);
	struct verdict v;

	if (s->config->commands > 0 && s->commands >= s->config->commands) {
		server_refuse(s, temp(421, S("4.7.0"), S("Too many commands without a message, closing the connection")));
		return false;
	}
	s->commands++;
	if (c == NULL) {
		server_say(s, 500, whole.n == 0 ? S("5.5.2") : S("5.5.1"),
			   whole.n == 0 ? S("Empty command") : S("Command not recognized; HELP lists them"));
		return false;
	}
	v = check_command(s, c);
	if (v.class != OK) {
		server_refuse(s, v);
		return false;
	}
	return c->handle(s, str_trim(str_from(whole, space)), event_out);
}

/* The reply to an argument where the command has none (RFC 5321 4.3.2: 501). */
static bool has_argument(struct smtp_server *s, struct str argument, struct str text)
{
	if (argument.n == 0)
		return false;
	server_say(s, 501, S("5.5.4"), text);
	return true;
}

static bool cmd_ehlo(struct smtp_server *s, struct str argument, struct smtp_event *event_out)
{
	return server_ehlo(s, argument, true);
}

static bool cmd_helo(struct smtp_server *s, struct str argument, struct smtp_event *event_out)
{
	return server_ehlo(s, argument, false);
}

static bool cmd_starttls(struct smtp_server *s, struct str argument, struct smtp_event *event_out)
{
	if (has_argument(s, argument, S("Syntax: STARTTLS")))
		return false;
	if (s->tls) {
		server_say(s, 503, S("5.5.1"), S("TLS is on already"));
		return false;
	}
	if (!s->config->can_starttls) {
		server_say(s, 502, S("5.5.1"), S("STARTTLS is not offered here"));
		return false;
	}
	return server_ask(s, SMTP_STARTTLS, event_out);
}

/* Check an address for MAIL or RCPT and give it with its domain in lower case; PERM when it is none. */
static struct verdict take_address(struct smtp_server *s, struct str address, bool is_recipient, struct str *address_out)
{
	struct str domain = smtp_address_domain(address);
	struct str syntax =
		is_recipient ? S("5.1.3") : S("5.1.7"); /* RFC 3463: bad destination, bad sender's mailbox address syntax */

	for (size_t i = 0; i < address.n; i++)
		if ((unsigned char)address.p[i] > 0x7f)
			return perm(553, S("5.6.7"), S("Non-ASCII addresses (SMTPUTF8) are not supported"));
	if (is_recipient && str_ieq(address, S("postmaster"))) { /* RFC 5321 4.5.1: the one address that needs no domain */
		*address_out = arena_str(&s->scratch, address);
		return ok();
	}
	if (address.n > 0 && domain.n == 0)
		return perm(553, syntax, S("The address needs a domain: user@example.org"));
	if (!smtp_address_valid(address, false))
		return perm(501, syntax, S("Malformed address"));
	*address_out = arena_printf(&s->scratch, "%.*s%.*s", STR_ARG(str_head(address, address.n - domain.n)),
				    STR_ARG(arena_lower(&s->scratch, domain)));
	return ok();
}

static bool cmd_mail(struct smtp_server *s, struct str argument, struct smtp_event *event_out)
{
	struct str rest, address, params;
	struct verdict v;

	if (!smtp_parse_keyword(argument, S("FROM"), &rest) || !smtp_parse_path(rest, &address, &params)) {
		server_say(s, 501, S("5.5.4"), S("Syntax: MAIL FROM:<address>"));
		return false;
	}
	v = address.n == 0 ? ok() : take_address(s, address, false, &event_out->address);
	if (v.class == OK)
		v = smtp_mail_params(params, &event_out->mail);
	if (v.class == OK && event_out->mail.has_size && s->config->message_size > 0 &&
	    event_out->mail.size > s->config->message_size)
		v = perm(552, S("5.3.4"), S("Message larger than the limit announced by SIZE")); /* RFC 1870 section 6.1 */
	if (v.class != OK) {
		server_refuse(s, v);
		return false;
	}
	return server_ask(s, SMTP_MAIL, event_out);
}

static bool cmd_rcpt(struct smtp_server *s, struct str argument, struct smtp_event *event_out)
{
	struct str rest, address, params;
	struct verdict v;

	if (!smtp_parse_keyword(argument, S("TO"), &rest) || !smtp_parse_path(rest, &address, &params)) {
		server_say(s, 501, S("5.5.4"), S("Syntax: RCPT TO:<address>"));
		return false;
	}
	v = take_address(s, address, true, &event_out->address);
	if (v.class == OK)
		v = smtp_rcpt_params(params, &event_out->rcpt);
	if (v.class == OK && s->config->recipients > 0 && s->recipients >= s->config->recipients)
		v = temp(452, S("4.5.3"),
			 S("Too many recipients for one message; send the rest in another")); /* RFC 5321 4.5.3.1.10 */
	if (v.class != OK) {
		server_refuse(s, v);
		return false;
	}
	return server_ask(s, SMTP_RCPT, event_out);
}

static bool cmd_data(struct smtp_server *s, struct str argument, struct smtp_event *event_out)
{
	if (has_argument(s, argument, S("Syntax: DATA")))
		return false;
	if (s->state == SERVER_MAIL) { /* RFC 5321 3.3 */
		server_say(s, 554, S("5.5.1"), S("No valid recipients"));
		return false;
	}
	return server_ask(s, SMTP_DATA, event_out);
}

static bool cmd_rset(struct smtp_server *s, struct str argument, struct smtp_event *event_out)
{
	if (has_argument(s, argument, S("Syntax: RSET")))
		return false;
	if (server_in_transaction(s)) {
		s->due |= DUE_RESET;
		server_end_transaction(s);
	}
	server_say(s, 250, S("2.0.0"), S("Ok"));
	return false;
}

static bool cmd_noop(struct smtp_server *s, struct str argument, struct smtp_event *event_out)
{
	server_say(s, 250, S("2.0.0"), S("Ok"));
	return false;
}

/* RFC 5321 3.5.3 and 7.3: nothing is verified, and that is said. */
static bool cmd_vrfy(struct smtp_server *s, struct str argument, struct smtp_event *event_out)
{
	if (argument.n == 0)
		server_say(s, 501, S("5.5.4"), S("Syntax: VRFY address"));
	else
		server_say(s, 252, S("2.5.0"), S("Nothing is verified here; send a message and see"));
	return false;
}

static bool cmd_expn(struct smtp_server *s, struct str argument, struct smtp_event *event_out)
{
	server_say(s, 502, S("5.5.1"), S("EXPN is not implemented: there are no mailing lists here"));
	return false;
}

static bool cmd_help(struct smtp_server *s, struct str argument, struct smtp_event *event_out)
{
	const struct command *c = argument.n > 0 ? find_command(argument) : NULL;
	struct buf text;

	buf_init(&text, OUTPUT_ENOUGH);
	if (argument.n > 0 && c == NULL) {
		server_say(s, 504, S("5.5.4"), S("No help on this; HELP lists the commands"));
		return false;
	}
	if (c != NULL) {
		buf_add(&text, c->syntax);
		buf_add(&text, c->pipelining == MAY_PIPELINE ? S("\nMay be sent without waiting for the answer.")
							     : S("\nWait for the answer before the next command."));
	} else {
		buf_printf(&text, "%.*s: Posthouse, mail submission for those who have an account here.\nCommands:",
			   STR_ARG(s->config->hostname));
		for (size_t i = 0; i < COMMANDS; i++)
			buf_printf(&text, " %.*s", STR_ARG(commands[i].verb));
		buf_add(&text, S("\nA session: EHLO, STARTTLS (port 587), EHLO, AUTH, then MAIL, RCPT, DATA for each message.\n"
				 "HELP command shows its form. For help by a human write to postmaster."));
	}
	server_say(s, 214, S("2.0.0"), buf_view(&text));
	buf_fini(&text);
	return false;
}

static bool cmd_quit(struct smtp_server *s, struct str argument, struct smtp_event *event_out)
{
	if (has_argument(s, argument, S("Syntax: QUIT")))
		return false;
	server_say(s, 221, S("2.0.0"), S("Bye"));
	server_close(s, DUE_QUIT);
	return false;
}
