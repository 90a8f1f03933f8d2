/* commands.c - the table of commands, and what each does. */
#include "server.h"

#define IN(state)      (1u << SERVER_##state)
#define IN_TRANSACTION (IN(MAIL) | IN(RECIPIENT))
#define IN_CHUNKS      (IN(CHUNKS) | IN(BROKEN))
#define IN_GREETED     (IN(START) | IN(READY) | IN_TRANSACTION | IN_CHUNKS)

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
	if (s->tls)
		return server_say(s, 503, S("5.5.1"), S("TLS is on already"));
	if (!s->config->can_starttls)
		return server_say(s, 502, S("5.5.1"), S("STARTTLS is not offered here"));
	return server_ask(s, SMTP_STARTTLS, event_out);
}

static bool cmd_rset(struct smtp_server *s, struct str argument, struct smtp_event *event_out)
{
	if (server_in_transaction(s))
		s->due |= DUE_RESET;
	if (server_in_transaction(s) || s->state == SERVER_BROKEN)
		server_end_transaction(s);
	return server_say(s, 250, S("2.0.0"), S("Ok"));
}

static bool cmd_noop(struct smtp_server *s, struct str argument, struct smtp_event *event_out)
{
	return server_say(s, 250, S("2.0.0"), S("Ok"));
}

static bool cmd_quit(struct smtp_server *s, struct str argument, struct smtp_event *event_out)
{
	server_say(s, 221, S("2.0.0"), S("Bye"));
	server_close(s, DUE_QUIT);
	return false;
}

/* The only list of verbs. RFC 4954 section 4 has AUTH's checks in an order of its own: see auth.c. */
const struct server_command server_commands[] = {
	{ S("EHLO"), IN_GREETED, 0, ENDS_GROUP, cmd_ehlo, S("EHLO and the name of your computer, as in EHLO pc.example.org") },
	{ S("HELO"), IN_GREETED, 0, ENDS_GROUP, cmd_helo, S("HELO and the name of your computer, as in HELO pc.example.org") },
	{ S("STARTTLS"), IN(START) | IN(READY), NO_ARGUMENT, ENDS_GROUP, cmd_starttls, S("STARTTLS") },
	{ S("AUTH"), IN(READY), 0, ENDS_GROUP, server_auth, S("AUTH mechanism [initial-response]") },
	{ S("MAIL"), IN(READY), NEED_TLS | NEED_AUTH, MAY_PIPELINE, server_mail, S("MAIL FROM:<address> [parameters]") },
	{ S("RCPT"), IN_TRANSACTION, NEED_TLS | NEED_AUTH, MAY_PIPELINE, server_rcpt, S("RCPT TO:<address> [parameters]") },
	{ S("DATA"), IN_TRANSACTION, NEED_TLS | NEED_AUTH | NO_ARGUMENT, ENDS_GROUP, server_data, S("DATA") },
	{ S("BDAT"), IN_TRANSACTION | IN_CHUNKS, NEED_TLS | NEED_AUTH, MAY_PIPELINE, server_bdat, S("BDAT octets [LAST]") },
	{ S("RSET"), IN_GREETED, NO_ARGUMENT, MAY_PIPELINE, cmd_rset, S("RSET") },
	{ S("NOOP"), IN_GREETED, 0, ENDS_GROUP, cmd_noop, S("NOOP") },
	{ S("VRFY"), IN_GREETED, 0, ENDS_GROUP, server_vrfy, S("VRFY address") },
	{ S("EXPN"), IN_GREETED, 0, ENDS_GROUP, server_expn, S("EXPN is not implemented") },
	{ S("HELP"), IN_GREETED, 0, ENDS_GROUP, server_help, S("HELP [command]") },
	{ S("QUIT"), IN_GREETED, NO_ARGUMENT, ENDS_GROUP, cmd_quit, S("QUIT") },
	{ .verb = S("") },
};

static bool tls_is_missing(const struct smtp_server *s)
{
	return !s->tls && (s->trusted ? s->trusted_needs_tls : s->config->tls_required);
}

/* The reason why the client is not allowed to give this command now; OK when it is. */
static struct verdict check_command(struct smtp_server *s, const struct server_command *c, struct str argument)
{
	bool has_argument = (c->needs & NO_ARGUMENT) != 0 && argument.n > 0; /* RFC 5321 4.3.2: 501 */

	if ((c->needs & NEED_TLS) != 0 && tls_is_missing(s))
		return perm(530, S("5.7.0"), S("Must issue a STARTTLS command first"));
	if ((c->needs & NEED_AUTH) != 0 && !s->authenticated && !s->trusted)
		return perm(530, S("5.7.0"), S("Authentication required"));
	if ((c->states & 1u << s->state) != 0)
		return !has_argument ? ok() : perm(501, S("5.5.4"), arena_printf(&s->scratch, "Syntax: %.*s", STR_ARG(c->verb)));
	if (s->state == SERVER_START)
		return perm(503, S("5.5.1"), S("Say EHLO first"));
	if (s->state == SERVER_READY)
		return perm(503, S("5.5.1"), S("MAIL FROM first"));
	if (s->state == SERVER_CHUNKS)
		return perm(503, S("5.5.1"), S("The message has begun: BDAT continues it, RSET drops it"));
	if (s->state == SERVER_BROKEN)
		return perm(503, S("5.5.1"), S("A part of the message was refused: RSET first"));
	return perm(503, S("5.5.1"), S("Not within a mail transaction (RSET ends it)"));
}

bool server_command(struct smtp_server *s, struct str line, struct smtp_event *event_out)
{
	struct str whole = str_trim(line); /* RFC 5321 4.1.1: white space at the end is tolerated */
	size_t space = smtp_word_length(whole);
	struct str verb = str_head(whole, space), argument = str_trim(str_from(whole, space));
	const struct server_command *c = server_find_command(s, verb);
	struct verdict v;

	if (s->config->commands > 0 && s->commands >= s->config->commands)
		return server_refuse(s, temp(421, S("4.7.0"), S("Too many commands without a message, closing the connection")));
	s->commands++;
	if (c == NULL)
		return server_say(s, 500, whole.n == 0 ? S("5.5.2") : S("5.5.1"),
				  whole.n == 0 ? S("Empty command") : S("Command not recognized; HELP lists them"));
	v = check_command(s, c, argument);
	if (v.class != OK && c->handle == server_bdat) {
		server_refuse_bdat(s, argument, v);
		return false;
	}
	if (v.class != OK && c->handle == server_mail) /* as of a listed host that does not begin TLS */
		server_tell_refusal(s, argument, S(""), v);
	if (v.class != OK)
		return server_refuse(s, v);
	return c->handle(s, argument, event_out);
}
