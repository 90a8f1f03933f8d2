/* checks.c - a run and its checks: the one file that knows the functions of all of them. */
#include "run.h"

#include <fnmatch.h>

#define CHECK(ID, id, situations, run, why) run,
static void (*const functions[DOCTOR_CHECKS])(struct doctor *d) = {
#include "posthouse/checks.def"
};

/* A pattern without a dot means the whole group: "spf" is "spf.*". */
static bool id_matches(struct arena *a, struct str pattern, const char *id)
{
	struct str whole = str_find(pattern, '.') < pattern.n || str_find(pattern, '*') < pattern.n
				   ? pattern
				   : arena_printf(a, "%.*s.*", STR_ARG(pattern));

	return fnmatch(arena_cstr(a, whole), id, 0) == 0;
}

static bool is_selected(struct doctor *d, enum doctor_check check)
{
	const struct str_list *only = &d->options.only;

	if (d->options.offline && !(check_rows[check].situations & SIT_LOCAL))
		return false;
	for (size_t i = 0; i < only->n; i++)
		if (id_matches(&d->arena, only->at[i], check_rows[check].id))
			return true;
	return only->n == 0;
}

struct doctor *doctor_new(const struct config *c, const struct doctor_options *o, const struct doctor_source *source)
{
	struct doctor *d = NEW(struct doctor);

	d->config = c;
	d->options = *o;
	d->source = *source;
	d->functions = functions;
	d->selected = ARENA_ARRAY(&d->arena, bool, DOCTOR_CHECKS);
	d->was_run = ARENA_ARRAY(&d->arena, bool, DOCTOR_CHECKS);
	situation_find(d);
	for (size_t i = 0; i < DOCTOR_CHECKS; i++)
		d->selected[i] = is_selected(d, (enum doctor_check)i);
	return d;
}
