/* environment_text.c - values of variables as text of the configuration, by the types of the table of keys. */
#include "environment.h"

#include "posthouse/secret.h"

#include <stdarg.h>

#define TEXT_MAX (1 << 20)

struct str environment_quoted(struct arena *a, struct str text)
{
	char *out = arena_alloc(a, 2 * text.n + 3);
	size_t n = 0;

	out[n++] = '"';
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '"' || text.p[i] == '\\')
			out[n++] = '\\';
		out[n++] = text.p[i];
	}
	out[n++] = '"';
	return str_make(out, n);
}

struct str_list environment_words(struct arena *a, struct str text)
{
	struct str_list words = { .at = ARENA_ARRAY(a, struct str, text.n / 2 + 1) };
	size_t from = 0;

	for (size_t i = 0; i <= text.n; i++) {
		if (i < text.n && !memchr(", \t\r\n", text.p[i], 5))
			continue;
		if (i > from)
			words.at[words.n++] = str_head(str_from(text, from), i - from);
		from = i + 1;
	}
	return words;
}

struct str environment_list(struct arena *a, const struct str_list *words, const char *before)
{
	struct str all = S("[");

	for (size_t i = 0; i < words->n; i++) {
		struct str word = arena_printf(a, "%s%.*s", before, STR_ARG(words->at[i]));

		all = arena_printf(a, "%.*s%s %.*s", STR_ARG(all), i ? "," : "", STR_ARG(environment_quoted(a, word)));
	}
	return arena_printf(a, "%.*s ]", STR_ARG(all));
}

void environment_add(struct variables *e, const struct variable *v, const char *format, ...)
{
	va_list arguments;
	struct buf b;

	buf_init(&b, TEXT_MAX);
	va_start(arguments, format);
	buf_vprintf(&b, format, arguments);
	va_end(arguments);
	source_add(e->l, v ? v->name : S(CONFIG_ENVIRONMENT), 0, buf_view(&b));
	buf_wipe(&b);
}

void environment_add_part(struct variables *e, const struct variable *v, unsigned line, struct str text)
{
	unsigned open = e->l->brackets;

	source_add(e->l, v->name, line, text);
	if (e->l->brackets != open)
		fault_at(e->l, v->name, 0, false, "expected as many closing brackets as opening ones");
	e->l->brackets = open;
}

static bool is_yes(struct str value)
{
	return str_ieq(value, S("yes")) || str_ieq(value, S("true")) || str_ieq(value, S("on")) || str_eq(value, S("1"));
}

static bool is_no(struct str value)
{
	return str_ieq(value, S("no")) || str_ieq(value, S("false")) || str_ieq(value, S("off")) || str_eq(value, S("0"));
}

static bool is_digits(struct str value)
{
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] < '0' || value.p[i] > '9')
			return false;
	return value.n > 0;
}

/* In the file's syntax. What does not fit the type becomes a text, so that the loader says what was expected. */
static struct str value_text(struct arena *a, const struct key *k, struct str value)
{
	struct str_list words;

	if (k->type == CFG_LIST || k->type == CFG_OPTIONS || k->type == CFG_GROUP)
		return value;
	if (key_is_array(k)) {
		words = environment_words(a, value);
		return value.n > 0 && value.p[0] == '[' ? value : environment_list(a, &words, "");
	}
	if (k->type == CFG_BOOL && (is_yes(value) || is_no(value)))
		return is_yes(value) ? S("true") : S("false");
	if ((k->type == CFG_INT || k->type == CFG_SIZE) && is_digits(value))
		return value;
	return environment_quoted(a, value);
}

struct str environment_member(struct variables *e, const struct variable *v, const struct key *k)
{
	struct arena *a = e->l->arena;
	struct str name = schema_leaf(k);

	if (k->type == CFG_SECRET && v->file.n > 0) /* the loader reads it, and judges its mode */
		return arena_printf(a, "%.*s_file = %.*s;", STR_ARG(name), STR_ARG(environment_quoted(a, v->file)));
	return arena_printf(a, "%.*s = %.*s;", STR_ARG(name), STR_ARG(value_text(a, k, v->value)));
}

/* A key that there is not is a text, so that the loader can say which was meant. */
static void add_key(struct variables *e, const struct variable *v, struct str path)
{
	static const struct key unknown = { .path = "", .type = CFG_TEXT };
	struct arena *a = e->l->arena;
	size_t i = schema_find(path);
	struct str groups = str_head(path, str_rfind(path, '.') < path.n ? str_rfind(path, '.') : 0), group, text;

	if (i < config_keys_n)
		text = environment_member(e, v, &config_keys[i]);
	else
		text = arena_printf(a, "%.*s = %.*s;", STR_ARG(str_from(path, groups.n ? groups.n + 1 : 0)),
				    STR_ARG(value_text(a, &unknown, v->value)));
	while (groups.n > 0) {
		size_t dot = str_rfind(groups, '.');

		group = dot < groups.n ? str_from(groups, dot + 1) : groups;
		groups = str_head(groups, dot < groups.n ? dot : 0);
		text = arena_printf(a, "%.*s = { %.*s };", STR_ARG(group), STR_ARG(text));
	}
	environment_add_part(e, v, 0, text);
}

/* POSTHOUSE_SET_queue__lifetime is queue.lifetime. */
static struct str path_of_set(struct arena *a, const struct variable *v)
{
	struct str rest = str_from(v->name, strlen(ENVIRONMENT_SET)), path = S("");

	if (v->file.n > 0)
		rest.n -= 5;
	while (rest.n > 0) {
		size_t n = str_search(rest, S("__"));

		path = arena_printf(a, "%.*s%s%.*s", STR_ARG(path), path.n ? "." : "", STR_ARG(str_head(rest, n)));
		rest = str_from(rest, n < rest.n ? n + 2 : n);
	}
	return path;
}

void environment_add_keys(struct variables *e)
{
	for (size_t i = 0; i < environment_rows_n; i++) {
		const struct environment_row *row = &environment_rows[i];
		const struct variable *v = row->kind == ENV_KEY ? environment_get(e, row->names) : NULL;

		if (v)
			add_key(e, v, str_of(row->target));
	}
	for (size_t i = 0; i < e->n; i++)
		if (!e->at[i].row)
			add_key(e, &e->at[i], path_of_set(e->l->arena, &e->at[i]));
}
