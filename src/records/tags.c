/* tags.c - see tags.h. */
#include "tags.h"

#include <ctype.h>

static bool name_valid(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!isalnum((unsigned char)name.p[i]) && name.p[i] != '_')
			return false;
	return name.n > 0 && isalpha((unsigned char)name.p[0]);
}

static void add(struct arena *a, struct tags *tags, size_t *capacity, struct str part, size_t at)
{
	size_t equals = str_find(part, '=');
	struct str name = str_trim(str_head(part, equals));

	if (equals == part.n || !name_valid(name)) {
		if (tags->fault.n == 0)
			tags->fault = name.n == 0 ? S("a tag has no name")
						  : arena_printf(a, "\"%.*s\" is no tag", STR_ARG(str_trim(part)));
		return;
	}
	if (tag_find(tags, arena_cstr(a, name)) && tags->fault.n == 0)
		tags->fault = arena_printf(a, "the tag %.*s is there twice", STR_ARG(name));
	ARENA_GROW(a, tags->at, tags->n, *capacity);
	tags->at[tags->n++] = (struct tag){ name, str_trim(str_from(part, equals + 1)), at };
}

struct tags tags_read(struct arena *a, struct str text)
{
	struct tags tags = { .fault = S("") };
	struct str rest = text, part;
	size_t capacity = 0;

	while (str_split(&rest, ';', &part)) {
		if (str_trim(part).n > 0)
			add(a, &tags, &capacity, part, (size_t)(part.p - text.p));
		else if (rest.n > 0 && tags.fault.n == 0)
			tags.fault = S("there is nothing between two ';'");
	}
	return tags;
}

const struct tag *tag_find(const struct tags *tags, const char *name)
{
	for (size_t i = 0; i < tags->n; i++)
		if (str_eq(tags->at[i].name, str_of(name)))
			return &tags->at[i];
	return NULL;
}

struct str tag_value(const struct tags *tags, const char *name)
{
	const struct tag *t = tag_find(tags, name);

	return t ? t->value : S("");
}

bool tag_list_has(struct str list, const char *word)
{
	struct str part;

	while (str_split(&list, ':', &part))
		if (str_ieq(str_trim(part), str_of(word)))
			return true;
	return false;
}
