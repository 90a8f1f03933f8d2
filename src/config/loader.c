/* loader.c - from the file to a validated struct config, or to the list of all its faults. The only user of libconfig, with values.c. */
#include "loader.h"

#include "posthouse/secret.h"
#include "posthouse/utf8.h"

#include <stdarg.h>
#include <stdlib.h>

static void add_fault(struct loader *l, const struct config_fault *f)
{
	struct config_faults *list = l->faults;

	l->serious = l->serious || !f->warning;
	if (list->n >= FAULTS_MAX)
		return;
	if (!list->at)
		list->at = ARENA_ARRAY(l->arena, struct config_fault, FAULTS_MAX);
	list->at[list->n++] = *f;
}

__attribute__((format(printf, 4, 0))) static void fault_v(struct loader *l, struct source_run where, bool is_warning,
							  const char *format, va_list arguments)
{
	struct config_fault f = { .file = where.file, .line = where.line, .warning = is_warning };
	struct buf b;

	buf_init(&b, 16384);
	buf_vprintf(&b, format, arguments);
	f.text = utf8_shown(l->arena, buf_view(&b)); /* it quotes the file */
	buf_fini(&b);
	add_fault(l, &f);
}

void fault_at(struct loader *l, struct str file, unsigned line, bool is_warning, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fault_v(l, (struct source_run){ .file = file, .line = line }, is_warning, format, arguments);
	va_end(arguments);
}

static struct source_run place_of(const struct loader *l, const config_setting_t *where)
{
	if (!where || config_setting_source_line(where) == 0)
		return (struct source_run){ .file = l->file };
	return source_of(l, (unsigned)config_setting_source_line(where));
}

void fault(struct loader *l, const config_setting_t *where, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fault_v(l, place_of(l, where), false, format, arguments);
	va_end(arguments);
}

void warning(struct loader *l, const config_setting_t *where, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fault_v(l, place_of(l, where), true, format, arguments);
	va_end(arguments);
}

__attribute__((format(printf, 3, 0))) static const config_setting_t *look_up(struct loader *l, bool exact, const char *format,
									     va_list arguments)
{
	const config_setting_t *found = NULL;
	char *path, *dot;
	struct buf b;

	buf_init(&b, 1024);
	buf_vprintf(&b, format, arguments);
	buf_add_char(&b, '\0');
	path = b.p + b.from;
	while (!(found = config_lookup(&l->tree, path)) && !exact && (dot = strrchr(path, '.')))
		*dot = '\0';
	buf_fini(&b);
	return found;
}

const config_setting_t *setting_near(struct loader *l, const char *format, ...)
{
	const config_setting_t *found;
	va_list arguments;

	va_start(arguments, format);
	found = look_up(l, false, format, arguments);
	va_end(arguments);
	return found;
}

const config_setting_t *setting_exact(struct loader *l, const char *format, ...)
{
	const config_setting_t *found;
	va_list arguments;

	va_start(arguments, format);
	found = look_up(l, true, format, arguments);
	va_end(arguments);
	return found;
}

/* Read the assembled text; libconfig stops at the first fault. */
static bool parse(struct loader *l)
{
	struct source_run where;

	buf_add_char(&l->text, '\0');
	config_set_include_dir(&l->tree, "/dev/null"); /* no include is left; if one were, it must not be found */
	if (config_read_string(&l->tree, l->text.p + l->text.from))
		return true;
	where = source_of(l, (unsigned)config_error_line(&l->tree));
	fault_at(
		l, where.file, where.line, false, "%s%s", config_error_text(&l->tree),
		strcmp(config_error_text(&l->tree), "syntax error") == 0
			? ": expected `key = value;` (here or on the line before: perhaps a quote, a bracket or a semicolon is missing)"
			: "");
	return false;
}

/* The strings that libconfig has copied may be secrets. */
static void wipe_tree(config_setting_t *s)
{
	const char *text;

	if (config_setting_type(s) == CONFIG_TYPE_STRING) {
		text = config_setting_get_string(s);
		if (text)
			wipe((char *)(uintptr_t)text, strlen(text));
	}
	if (config_setting_is_aggregate(s))
		for (int i = 0; i < config_setting_length(s); i++)
			wipe_tree(config_setting_get_elem(s, (unsigned)i));
}

/* By file in the order of their first fault, then by line; what has no line first. Insertion keeps the order of equals. */
static void sort_faults(struct config_faults *faults)
{
	for (size_t i = 1; i < faults->n; i++) {
		struct config_fault f = faults->at[i];
		size_t k = i;

		while (k > 0 && faults->at[k - 1].line > f.line && str_eq(faults->at[k - 1].file, f.file)) {
			faults->at[k] = faults->at[k - 1];
			k--;
		}
		faults->at[k] = f;
	}
}

static void set_dir(struct loader *l)
{
	char *absolute = realpath(arena_cstr(l->arena, l->file), NULL);
	struct str file = absolute ? str_of(absolute) : l->file;
	size_t slash = str_rfind(file, '/');

	l->dir = slash < file.n ? arena_str(l->arena, str_head(file, slash + 1)) : S("./");
	free(absolute);
}

static void loader_begin(struct loader *l, struct config *c, struct str file, struct config_faults *faults)
{
	*faults = (struct config_faults){ 0 };
	*l = (struct loader){ .config = c, .arena = &c->arena, .faults = faults };
	l->file = c->file = arena_str(l->arena, file);
	set_dir(l);
	config_init(&l->tree);
}

/* The text stays with the configuration, with the places that its lines come from. */
static void keep_source(struct loader *l)
{
	struct config *c = l->config;

	c->source = arena_str(l->arena, buf_view(&l->text));
	c->source_runs = ARENA_ARRAY(l->arena, struct source_run, l->runs_n + 1);
	c->source_runs_n = l->runs_n;
	for (size_t i = 0; i < l->runs_n; i++)
		c->source_runs[i] = l->runs[i];
}

/* From the text on; ends the loader. */
static struct config *loader_finish(struct loader *l)
{
	keep_source(l);
	if (!l->serious && parse(l)) {
		values_load(l);
		checks_run(l);
		keys_load(l);
	} else {
		rescue(l);
	}
	wipe_tree(config_root_setting(&l->tree));
	config_destroy(&l->tree);
	if (l->text.p)
		wipe(l->text.p, l->text.capacity);
	buf_fini(&l->text);
	free(l->runs);
	sort_faults(l->faults);
	return l->config;
}

struct config *config_load(const char *path, struct config_faults *faults_out)
{
	struct loader l;

	loader_begin(&l, NEW(struct config), str_of(path), faults_out);
	source_read(&l);
	return loader_finish(&l);
}

struct config *config_load_again(const struct config *old, struct config_faults *faults_out)
{
	struct loader l;

	loader_begin(&l, NEW(struct config), old->file, faults_out);
	buf_init(&l.text, old->source.n + 1);
	buf_add(&l.text, old->source);
	l.runs = xcalloc(old->source_runs_n + 1, sizeof(*l.runs));
	for (l.runs_n = 0; l.runs_n < old->source_runs_n; l.runs_n++) {
		l.runs[l.runs_n] = old->source_runs[l.runs_n];
		l.runs[l.runs_n].file = arena_str(l.arena, l.runs[l.runs_n].file);
	}
	return loader_finish(&l);
}
