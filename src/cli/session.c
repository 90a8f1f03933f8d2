/* session.c - one command's dialogue with the running relay. */
#include "cli.h"

#include "posthouse/log.h"

#include <errno.h>
#include <sysexits.h>

void session_open_within(struct session *s, const char *config_path, uint64_t within_ms)
{
	struct config_faults faults = { 0 };
	struct config *c = config_load(config_path, &faults);
	const char *why;

	*s = (struct session){ 0 };
	/* only the path of the socket is needed: faults elsewhere in the file do not matter */
	if (c->control.n == 0)
		die(EX_CONFIG, "%s cannot be read: `%.*s check` says more", config_path,
		    STR_ARG(program_with(&s->arena, config_path)));
	s->control = control_open(c->control, within_ms, &why);
	if (!s->control && (errno == ENOENT || errno == ECONNREFUSED))
		die(EX_UNAVAILABLE, "no relay is running here (%.*s: %s)", STR_ARG(c->control), why);
	if (!s->control)
		die(errno == EACCES ? EX_NOPERM : EX_UNAVAILABLE, "%.*s: %s", STR_ARG(c->control), why);
	s->realm = arena_str(&s->arena, c->auth.realm);
	config_free(c);
}

void session_open(struct session *s, const char *config_path)
{
	session_open_within(s, config_path, 0);
}

struct str session_login(struct session *s, struct str who)
{
	if (s->realm.n == 0 && who.n > 0 && str_find(who, '@') == who.n)
		die(EX_USAGE, "give the whole login, such as %.*s@example.org: its realm cannot be read from the configuration",
		    STR_ARG(str_head(who, str_find(who, '/'))));
	return login_complete(&s->arena, who, s->realm);
}

void session_close(struct session *s)
{
	control_close(s->control);
	arena_fini(&s->arena);
}

static int exit_code(struct verdict v)
{
	if (v.class == OK)
		return EX_OK;
	if (v.class == TEMP)
		return EX_TEMPFAIL;
	return v.code == 550 ? EX_DATAERR : EX_UNAVAILABLE;
}

union ipc_message *session_call(struct session *s, enum msg_type request, const void *message, enum msg_type reply)
{
	union ipc_message *answer;
	const char *why;

	if (!control_call(s->control, request, message, reply, &s->arena, &answer, &why))
		die(EX_UNAVAILABLE, "%s", why);
	return answer;
}

union ipc_message *session_ask(struct session *s, enum msg_type request, const void *message, enum msg_type reply)
{
	union ipc_message *answer = session_call(s, request, message, reply);
	struct verdict v = answer->reloaded.verdict; /* every reply begins with its call and its verdict */

	if (v.class != OK)
		die(exit_code(v), "%.*s", STR_ARG(utf8_shown(&s->arena, v.text)));
	return answer;
}
