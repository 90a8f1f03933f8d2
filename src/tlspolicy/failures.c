/* failures.c - see failures.h. */
#include "failures.h"

#include <stdlib.h>

void failures_init(struct failures *f)
{
	f->by_domain = (struct hashtable){ 0 };
	list_init(&f->all);
}

static void forget(struct failures *f, struct failure *old)
{
	hashtable_remove(&f->by_domain, &old->item);
	list_remove(&old->link);
	arena_fini(&old->arena);
	free(old);
}

void failures_fini(struct failures *f)
{
	LIST_EACH_OF (struct failure, old, &f->all, link)
		forget(f, old);
	hashtable_fini(&f->by_domain);
}

static void forget_ended(struct failures *f, uint64_t mono)
{
	LIST_EACH_OF (struct failure, old, &f->all, link) {
		if (old->until_mono > mono && f->by_domain.n < FAILURES_MAX)
			return;
		forget(f, old);
	}
}

const struct failure *failures_find(struct failures *f, struct str domain, struct str id, uint64_t mono)
{
	const struct failure *found = HASHTABLE_NAMED(&f->by_domain, domain, struct failure, item, domain);

	return found && found->until_mono > mono && str_eq(found->id, id) ? found : NULL;
}

void failures_add(struct failures *f, struct str domain, struct str id, enum tls_result fault, struct str why, uint64_t mono,
		  uint64_t for_ms)
{
	struct failure *old = HASHTABLE_NAMED(&f->by_domain, domain, struct failure, item, domain), *new;

	if (old)
		forget(f, old);
	forget_ended(f, mono);
	new = NEW(struct failure);
	new->domain = arena_str(&new->arena, domain);
	new->id = arena_str(&new->arena, id);
	new->why = arena_str(&new->arena, str_head(why, FAILURE_WHY_MAX));
	new->fault = fault;
	new->until_mono = mono + for_ms;
	list_append(&f->all, &new->link);
	hashtable_add(&f->by_domain, &new->item, hash_text(new->domain));
}
