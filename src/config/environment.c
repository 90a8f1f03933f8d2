/* environment.c - the variables of the environment that make a configuration: which are set, and which nobody knows. */
#include "environment.h"

#include "posthouse/secret.h"

#include <stdlib.h>
#include <unistd.h>

#define VALUE_MAX 65536

const struct environment_row environment_rows[] = {
#define KEY(name, key, remark)                   { ENV_KEY, "", name, key, ENV_NO_VALUE, AS_IT_IS, remark },
#define UPSTREAM(name, key, remark)              { ENV_UPSTREAM, "", name, "upstreams[]." key, ENV_NO_VALUE, AS_IT_IS, remark },
#define VALUE(name, ID, help)                    { ENV_VALUE, "", name, "", ENV_##ID, AS_IT_IS, help },
#define PROCESS(name, help)                      { ENV_PROCESS, "", name, "", ENV_NO_VALUE, AS_IT_IS, help },
#define OTHER(family, names, ours, form, remark) { ENV_OTHER, family, names, ours, ENV_NO_VALUE, form, remark },
#define NONE(family, names, remark)              { ENV_NONE, family, names, "", ENV_NO_VALUE, AS_IT_IS, remark },
#define QUIET(family, names, remark)             { ENV_QUIET, family, names, "", ENV_NO_VALUE, AS_IT_IS, remark },
#include "env.def"
};
const size_t environment_rows_n = sizeof environment_rows / sizeof environment_rows[0];

static bool in_use;

void config_use_environment(bool on)
{
	in_use = on;
}

bool config_uses_environment(void)
{
	return in_use;
}

/* "OPENDKIM_*" is all that begins so and has no row of its own. Postfix's own names are known in any capitals. */
static bool is_name(struct str pattern, struct str name, bool begins)
{
	if (str_ends(pattern, S("*")))
		return begins && str_starts(name, str_head(pattern, pattern.n - 1));
	return str_eq(pattern, name) || (str_starts(name, S("POSTFIX_")) && str_ieq(pattern, name));
}

static const struct environment_row *find_row(struct str name)
{
	for (size_t i = 0; i < 2 * environment_rows_n; i++) {
		const struct environment_row *row = &environment_rows[i % environment_rows_n];
		struct str names = str_of(row->names), one;

		while (str_split(&names, ' ', &one))
			if (is_name(one, name, i >= environment_rows_n))
				return row;
	}
	return NULL;
}

/* Kubernetes and Docker set variables for each service, also for one that is called posthouse or smtp: POSTHOUSE_PORT=tcp://...,
 * POSTHOUSE_SERVICE_HOST, POSTHOUSE_PORT_587_TCP_ADDR. */
static bool is_of_service(struct str name, struct str value)
{
	return str_search(name, S("_SERVICE_HOST")) < name.n || str_search(name, S("_SERVICE_PORT")) < name.n ||
	       str_search(name, S("_TCP_ADDR")) < name.n || str_search(name, S("_TCP_PORT")) < name.n ||
	       str_ends(name, S("_TCP_PROTO")) || str_starts(value, S("tcp://")) || str_starts(value, S("udp://"));
}

/* Of a build for tests. */
static bool is_for_tests(struct str name)
{
#ifdef POSTHOUSE_CRASH_POINTS
	static const char *const names[] = { "POSTHOUSE_CRASH",         "POSTHOUSE_CLOCK", "POSTHOUSE_SLOW",
					     "POSTHOUSE_DOCTOR_DAY_MS", "POSTHOUSE_TRY",   "POSTHOUSE_WITHOUT" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (str_eq(name, str_of(names[i])))
			return true;
#endif
	return false;
}

static void report_unknown(struct variables *e, struct str name)
{
	const char *best = NULL;
	unsigned least = 9;

	for (size_t i = 0; i < environment_rows_n; i++) {
		struct str ours = str_of(environment_rows[i].names);
		unsigned d = str_starts(ours, S("POSTHOUSE_")) ? str_distance(ours, name) : least;

		if (d < least) {
			best = environment_rows[i].names;
			least = d;
		}
	}
	if (best)
		fault_at(e->l, name, 0, false, "there is no such variable; did you mean %s?", best);
	else
		fault_at(e->l, name, 0, false, "there is no such variable; posthouse-container(7) lists them");
}

/* A setting of Postfix without a row: the table of its names says what takes its place. */
static void report_postfix(struct variables *e, struct str name)
{
	struct str hint = foreign_hint(e->l->arena, str_from(name, 8));

	if (hint.n > 0)
		fault_at(e->l, name, 0, true, "not used: %.*s", STR_ARG(hint));
	else
		fault_at(e->l, name, 0, true, "not used: this setting of Postfix is not known here");
}

/* The text without what editors and `echo` put at its end. */
static struct str without_end(struct str text)
{
	while (text.n > 0 && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
		text.n--;
	return text;
}

/* What the file holds. Passwords of upstreams stay in theirs, which the loader reads. */
static bool read_value(struct variables *e, struct variable *v, struct str path)
{
	const char *why;
	unsigned mode;
	struct buf b;

	v->file = path_resolve(e->l, path);
	why = file_read(arena_cstr(e->l->arena, v->file), VALUE_MAX, &b, &mode);
	if (!why && memchr(buf_view(&b).p, 0, b.n))
		why = "it has NUL bytes";
	if (why)
		fault_at(e->l, v->name, 0, false, "%.*s cannot be read: %s", STR_ARG(v->file), why);
	else
		v->value = arena_str(e->l->arena, without_end(buf_view(&b)));
	if (!why && v->value.n == 0)
		fault_at(e->l, v->name, 0, false, "expected a value in %.*s, which is empty", STR_ARG(v->file));
	buf_wipe(&b);
	return v->value.n > 0;
}

/* The same variable with and without _FILE says two things. */
static bool is_there(struct variables *e, const struct variable *v)
{
	for (size_t i = 0; i < e->n; i++) {
		const struct variable *old = &e->at[i];

		if (v->row == old->row && (old->file.n > 0) != (v->file.n > 0) &&
		    (str_starts(v->name, old->name) || str_starts(old->name, v->name))) {
			fault_at(e->l, v->name, 0, false, "expected this or %.*s, not both", STR_ARG(old->name));
			return true;
		}
	}
	return false;
}

static void take(struct variables *e, const struct environment_row *row, struct str name, struct str value, bool is_file)
{
	struct variable v = { .row = row, .name = arena_str(e->l->arena, name), .value = S(""), .file = S("") };

	v.ours = !row ? "" : row->kind == ENV_OTHER ? row->target : row->names;
	if (is_file && !read_value(e, &v, value))
		return;
	if (!is_file)
		v.value = arena_str(e->l->arena, without_end(value));
	if (is_there(e, &v))
		return;
	environment_convert(e, &v);
	if (v.value.n == 0)
		return;
	ARENA_GROW(e->l->arena, e->at, e->n, e->capacity);
	e->at[e->n++] = v;
}

static void take_variable(struct variables *e, struct str name, struct str value)
{
	const struct environment_row *row = find_row(name);
	bool is_file = false, set = str_starts(name, S(ENVIRONMENT_SET));

	if (value.n == 0 || is_of_service(name, value) || is_for_tests(name))
		return; /* an empty value is no value: `VAR=${VAR:-}` of compose files */
	if (!row && str_ends(name, S("_FILE"))) {
		row = find_row(str_head(name, name.n - 5));
		is_file = row || set;
	}
	if (!row && !set) {
		if (str_starts(name, S("POSTHOUSE_")))
			report_unknown(e, name);
		else if (str_starts(name, S("POSTFIX_")))
			report_postfix(e, name);
		return;
	}
	if (row && row->kind == ENV_NONE)
		fault_at(e->l, arena_str(e->l->arena, name), 0, true, "not used: %s", row->remark);
	else if (!row || (row->kind != ENV_QUIET && row->kind != ENV_PROCESS))
		take(e, row, name, value, is_file);
}

/* Two variables for one value, such as our name of it and that of another image. */
static void report_unused(struct variables *e)
{
	for (size_t i = 0; i < e->n; i++) {
		const struct variable *v = &e->at[i], *used = v->row ? environment_get(e, v->ours) : v;

		if (used != v && !str_eq(used->value, v->value))
			fault_at(e->l, v->name, 0, true, "not used: %.*s is set too, and counts", STR_ARG(used->name));
	}
}

void environment_collect(struct variables *e)
{
	for (char **p = environ; *p; p++) {
		struct str text = str_of(*p);
		size_t equals = str_find(text, '=');

		if (equals < text.n)
			take_variable(e, arena_str(e->l->arena, str_head(text, equals)), str_from(text, equals + 1));
	}
	report_unused(e);
}

const struct variable *environment_get(const struct variables *e, const char *ours)
{
	const struct variable *found = NULL;

	for (size_t i = 0; i < e->n; i++)
		if (strcmp(e->at[i].ours, ours) == 0 && (!found || e->at[i].row < found->row))
			found = &e->at[i];
	return found;
}

const char *environment_variable(const char *path)
{
	for (size_t i = 0; i < environment_rows_n && in_use; i++)
		if (environment_rows[i].kind == ENV_KEY && strcmp(environment_rows[i].target, path) == 0)
			return environment_rows[i].names;
	return strcmp(path, "certificates") == 0 && in_use ? "POSTHOUSE_CERTIFICATE" : NULL;
}
