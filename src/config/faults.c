/* faults.c - the list of faults that the parts of the loader fill, with the places in the files that they are about. */
#include "loader.h"

#include "posthouse/log.h"
#include "posthouse/utf8.h"

#include <stdarg.h>
#include <stdio.h>

struct source_run source_of(const struct loader *l, unsigned line)
{
	struct source_run found = { .file = l->file, .line = line };

	for (size_t i = 0; i < l->runs_n && l->runs[i].first <= line; i++)
		found = (struct source_run){ .file = l->runs[i].file,
					     .line = l->runs[i].line > 0 ? l->runs[i].line + line - l->runs[i].first : 0,
					     .layer = l->runs[i].layer };
	return found;
}

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

void fault_or_warning(struct loader *l, bool is_warning, const config_setting_t *where, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fault_v(l, place_of(l, where), is_warning, format, arguments);
	va_end(arguments);
}

const config_setting_t *setting_at(struct loader *l, bool exact, const char *format, ...)
{
	const config_setting_t *found;
	va_list arguments;
	char *path, *dot;
	struct buf b;

	buf_init(&b, 1024);
	va_start(arguments, format);
	buf_vprintf(&b, format, arguments);
	va_end(arguments);
	buf_add_char(&b, '\0');
	path = b.p + b.from;
	while (!(found = config_lookup(&l->tree, path)) && !exact && (dot = strrchr(path, '.')))
		*dot = '\0';
	buf_fini(&b);
	return found;
}

void fault_made_at_start(struct loader *l, const config_setting_t *where)
{
	if (place_of(l, where).layer == LAYER_DEFAULTS && l->faults->n > 0)
		l->faults->at[l->faults->n - 1].made_at_start = true;
}

struct str fault_place(struct arena *a, const struct config_fault *f)
{
	return f->line > 0 ? arena_printf(a, "%.*s:%u", STR_ARG(f->file), f->line) : f->file;
}

struct str fault_text(struct arena *a, const struct config_fault *f)
{
	return arena_printf(a, "%.*s:%s %.*s", STR_ARG(fault_place(a, f)), f->warning ? " warning:" : "", STR_ARG(f->text));
}

bool faults_serious(const struct config_faults *faults)
{
	for (size_t i = 0; i < faults->n; i++)
		if (!faults->at[i].warning)
			return true;
	return false;
}

unsigned faults_print(const struct config_faults *faults)
{
	struct arena a = { 0 };
	unsigned n = 0;

	for (size_t i = 0; i < faults->n; i++) {
		n += !faults->at[i].warning;
		log_words(faults->at[i].warning ? LOG_WARNING : LOG_ERROR, fault_text(&a, &faults->at[i]));
	}
	arena_fini(&a);
	return n;
}
