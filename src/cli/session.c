/* session.c - asking the running relay, and printing what it says. */
#include "cli.h"

#include "posthouse/clock.h"
#include "posthouse/id.h"
#include "posthouse/log.h"
#include "posthouse/names.h"
#include "posthouse/units.h"
#include "posthouse/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>

void session_open_within(struct session *s, const char *config_path, uint64_t within_ms)
{
	struct config_faults faults = { 0 };
	struct config *c = config_load(config_path, &faults);
	const char *why;

	*s = (struct session){ 0 };
	/* a half-edited file must not keep anybody from asking: only the path of the socket is needed */
	if (c->control.n == 0)
		die(EX_CONFIG, "%s cannot be read: `posthouse -c %s check` says more", config_path, config_path);
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
	size_t slash = str_find(who, '/');

	if (who.n > 0 && str_find(who, '@') == who.n)
		who = arena_printf(&s->arena, "%.*s@%.*s%.*s", STR_ARG(str_head(who, slash)), STR_ARG(s->realm),
				   STR_ARG(str_from(who, slash)));
	return login_canonical(&s->arena, who);
}

void session_close(struct session *s)
{
	control_close(s->control);
	arena_fini(&s->arena);
}

static int exit_code(enum msg_type request, struct verdict v)
{
	if (v.class == OK)
		return EX_OK;
	if (v.class == TEMP)
		return EX_TEMPFAIL;
	if (request == MSG_reload)
		return EX_CONFIG;
	return v.code == 550 ? EX_DATAERR : EX_UNAVAILABLE;
}

union ipc_message *session_ask(struct session *s, enum msg_type request, const void *message, enum msg_type reply)
{
	union ipc_message *answer;
	const char *why;
	struct verdict v;

	if (!control_call(s->control, request, message, reply, &s->arena, &answer, &why))
		die(EX_UNAVAILABLE, "%s", why);
	/* every reply begins with its call and its verdict */
	v = answer->reloaded.verdict;
	if (v.class != OK)
		die(exit_code(request, v), "%.*s", STR_ARG(printable(&s->arena, v.text)));
	return answer;
}

static void take_out(int *argc, char **argv, int i, int n)
{
	for (int k = i; k + n <= *argc; k++)
		argv[k] = argv[k + n];
	*argc -= n;
}

bool take_flag(int *argc, char **argv, const char *flag)
{
	for (int i = 1; i < *argc; i++)
		if (strcmp(argv[i], flag) == 0) {
			take_out(argc, argv, i, 1);
			return true;
		}
	return false;
}

const char *take_option(int *argc, char **argv, const char *name)
{
	size_t n = strlen(name);

	for (int i = 1; i < *argc; i++) {
		const char *value;

		if (strncmp(argv[i], name, n) != 0 || (argv[i][n] != '=' && argv[i][n] != '\0'))
			continue;
		if (argv[i][n] == '=') {
			value = argv[i] + n + 1;
			take_out(argc, argv, i, 1);
			return value;
		}
		if (i + 1 >= *argc)
			die(EX_USAGE, "%s wants a value", name);
		value = argv[i + 1];
		take_out(argc, argv, i, 2);
		return value;
	}
	return NULL;
}

void no_more_arguments(int argc, char **argv, int n)
{
	if (argc > n)
		die(EX_USAGE, "unexpected argument %s; `posthouse help` lists the commands, posthouse(8) their arguments",
		    argv[n]);
}

struct str printable(struct arena *a, struct str s)
{
	return utf8_shown(a, s);
}

struct str time_text(struct arena *a, uint64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;

	if (ms == 0)
		return S("-");
	gmtime_r(&seconds, &tm);
	return arena_printf(a, "%04d-%02d-%02d %02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
			    tm.tm_min, tm.tm_sec);
}

struct str age_text(struct arena *a, uint64_t ms)
{
	static const struct {
		uint64_t ms;
		const char *unit;
	} units[] = { { DAY_MS, "d" }, { HOUR_MS, "h" }, { MINUTE_MS, "m" }, { 1000, "s" } };

	for (size_t i = 0; i < 4; i++)
		if (ms >= units[i].ms * (i < 3 ? 2 : 1))
			return arena_printf(a, "%llu %s", (unsigned long long)(ms / units[i].ms), units[i].unit);
	return S("0 s");
}

struct str since_text(struct arena *a, uint64_t now, uint64_t at)
{
	return age_text(a, now > at ? now - at : 0);
}

json_t *json_text(struct str s)
{
	json_t *j = json_stringn(s.p ? s.p : "", s.n);

	if (!j) {
		struct arena a = { 0 };
		struct str shown = utf8_shown(&a, s);

		j = json_stringn(shown.p, shown.n);
		arena_fini(&a);
	}
	return j;
}

void json_print(json_t *j)
{
	json_dumpf(j, stdout, JSON_COMPACT | JSON_ENSURE_ASCII); /* a terminal acts on nothing of it */
	putchar('\n');
	json_decref(j);
}
