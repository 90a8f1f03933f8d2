/* accounts.c - the account file in memory: open, look again when it has changed, find. */
#include "internal.h"

#include "posthouse/directory.h"

#include <errno.h>
#include <stdlib.h>

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

struct accounts *accounts_open(const char *state_dir, struct verdict *why_out)
{
	struct accounts *a = NEW(struct accounts);

	a->directory = arena_cstr(&a->arena, directory_of(&a->arena, str_of(state_dir), "login"));
	a->path = arena_cstr(&a->arena, arena_printf(&a->arena, "%s/accounts", a->directory));
	a->content = content_read(a->path, &a->seen, why_out);
	if (!a->content) {
		accounts_close(a);
		return NULL;
	}
	*why_out = ok();
	return a;
}

void accounts_close(struct accounts *a)
{
	if (!a)
		return;
	content_free(a->content);
	arena_fini(&a->why_arena);
	arena_fini(&a->arena);
	free(a);
}

/* Remember that the file as it is now cannot be used, so that it is not read again before it changes. */
static struct verdict refuse(struct accounts *a, struct verdict why)
{
	arena_reset(&a->why_arena);
	a->why = verdict_keep(&a->why_arena, why);
	a->broken = true;
	return a->why;
}

struct verdict accounts_refresh(struct accounts *a)
{
	struct stat now = { 0 };
	struct verdict why;
	struct content *fresh;

	if (stat(a->path, &now) < 0 && errno != ENOENT)
		return temp(451, S("4.3.0"), file_fault("account file: %s", strerror(errno)));
	if (same_file(&now, &a->seen))
		return a->broken ? a->why : ok();
	fresh = content_read(a->path, &a->seen, &why);
	if (!fresh)
		return refuse(a, why);
	content_free(a->content);
	a->content = fresh;
	a->broken = false;
	a->generation++;
	return ok();
}

bool accounts_missing(const struct accounts *a)
{
	return a->content->identity.st_ino == 0;
}

uint64_t accounts_generation(const struct accounts *a)
{
	return a->generation;
}

const struct account *accounts_find(const struct accounts *a, struct str name, struct str device)
{
	struct account key = { .name = name, .device = device };

	return a->content->n == 0 ? NULL : bsearch(&key, a->content->at, a->content->n, sizeof(key), account_compare);
}

/* The first entry of the account in sorting order, with any device. */
const struct account *accounts_any(const struct accounts *a, struct str name)
{
	size_t from = 0, to = a->content->n;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (str_cmp(a->content->at[middle].name, name) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from < a->content->n && str_eq(a->content->at[from].name, name) ? &a->content->at[from] : NULL;
}

struct str accounts_shadowed(const struct accounts *a)
{
	return a->content->shadowed;
}

size_t accounts_count(const struct accounts *a)
{
	return a->content->n;
}

const struct account *accounts_at(const struct accounts *a, size_t i)
{
	return i < a->content->n ? &a->content->at[i] : NULL;
}
