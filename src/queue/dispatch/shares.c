/* shares.c - see shares.h. */
#include "dispatch/dispatch.h"

#include <stdlib.h>

#define WHOLE (UINT64_C(1) << 40) /* the distance of one delivery with weight 1 */

/* How many entries have weights from there on. */
static size_t step_length(const struct str_list *via, size_t first)
{
	size_t end = first;

	while (end < via->n && via_read(via->at[end]).weight > 0)
		end++;
	return end - first;
}

/* The counters start with the names of their entries as views of the step's own name. */
static struct step *step_new(struct dispatch *d, struct str name, size_t n)
{
	struct step *s = xcalloc(1, sizeof *s + n * sizeof(struct share));
	struct str rest, entry;

	s->name = str_dup(name);
	rest = str_of(s->name);
	while (s->n < n && str_split(&rest, ',', &entry))
		s->shares[s->n++] = (struct share){ .step = s, .via = via_read(entry) };
	hashtable_add(&d->steps, &s->in_table, hash_text(name));
	return s;
}

struct step *step_get(struct dispatch *d, const struct str_list *via, size_t first)
{
	size_t n = step_length(via, first);
	struct arena a = { 0 };
	struct str name = via->at[first];
	struct step *s;

	if (n == 0)
		return NULL;
	for (size_t i = 1; i < n; i++)
		name = arena_printf(&a, "%.*s,%.*s", STR_ARG(name), STR_ARG(via->at[first + i]));
	s = HASHTABLE_NAMED(&d->steps, name, struct step, in_table, name);
	if (!s)
		s = step_new(d, name, n);
	arena_fini(&a);
	return s;
}

void steps_fini(struct dispatch *d)
{
	HASHTABLE_EACH (i, &d->steps) {
		struct step *s = CONTAINER_OF(i, struct step, in_table);

		hashtable_remove(&d->steps, i);
		free(s->name);
		free(s);
	}
	hashtable_fini(&d->steps);
}

bool share_is_behind(const struct share *a, const struct share *b)
{
	return (int64_t)(a->position - b->position) < 0;
}

void share_take(struct share *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->step->n; i++) {
		struct share *other = &s->step->shares[i];

		if (other->is_closed && share_is_behind(other, s))
			other->position = s->position;
	}
	s->position += WHOLE / s->via.weight;
	s->sent++;
}

void share_return(struct share **s)
{
	if (!*s)
		return;
	(*s)->position -= WHOLE / (*s)->via.weight;
	(*s)->sent--;
	*s = NULL;
}

void steps_stats(struct dispatch *d)
{
	HASHTABLE_EACH (i, &d->steps) {
		const struct step *s = CONTAINER_OF(i, struct step, in_table);
		uint64_t sent = 0, weights = 0;

		for (size_t k = 0; k < s->n; k++) {
			sent += s->shares[k].sent;
			weights += s->shares[k].via.weight;
		}
		for (size_t k = 0; k < s->n; k++) {
			const struct share *one = &s->shares[k];
			struct arena a = { 0 };
			struct str text = arena_printf(&a, "%llu %% of all; its share is %llu %%",
						       (unsigned long long)(sent ? 100 * one->sent / sent : 0),
						       (unsigned long long)(100 * one->via.weight / weights));

			role_stat_of(d->role, METRIC_QUEUE_SHARE, arena_printf(&a, "%s %.*s", s->name, STR_ARG(one->via.name)),
				     one->sent, text);
			arena_fini(&a);
		}
	}
}
