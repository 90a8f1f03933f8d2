#include "side.h"

#include <stdarg.h>
#include <stdio.h>

bool side_fail(struct side *s, const char *format, ...)
{
	va_list args;

	if (s->failed)
		return false;
	s->failed = true;
	va_start(args, format);
	(void)vsnprintf(s->why, sizeof s->why, format, args);
	va_end(args);
	return false;
}

struct str side_read_list(struct arena *a, const struct table *t, unsigned side)
{
	struct str list = S("");

	for (size_t i = 0; i < t->columns_n; i++)
		list = arena_printf(a, "%.*s%s%s", STR_ARG(list), i ? "," : "", t->columns[i].read[side]);
	return list;
}

struct str side_stored_list(struct arena *a, const struct table *t)
{
	struct str list = S("");

	for (size_t i = 0; i < t->stored_n; i++)
		list = arena_printf(a, "%.*s%s%s", STR_ARG(list), i ? "," : "", t->columns[i].name);
	return list;
}

struct str side_from(struct arena *a, const struct table *t, unsigned side)
{
	return t->from[side][0] ? str_of(t->from[side]) : arena_printf(a, "%s t", t->name);
}

struct str side_key(struct arena *a, const struct table *t, const char *front)
{
	struct str list = S("");

	for (size_t i = 0; i < t->keys_n; i++)
		list = arena_printf(a, "%.*s%s%s%s", STR_ARG(list), i ? "," : "", front, t->columns[i].name);
	return arena_printf(a, "(%.*s)", STR_ARG(list));
}
