/* seen_recipients.c - recipients that were met in the last hours. */
#include "accounting/seen_recipients.h"

#include "posthouse/arena.h"
#include "posthouse/hash.h"
#include "posthouse/units.h"

#include <stdlib.h>

/* After this time the store is asked again, so that it renews what it remembers for half a year. */
#define FORGET_MS DAY_MS

void seen_recipients_fini(struct seen_recipients *all)
{
	free(all->met);
	all->met = NULL;
}

static uint64_t hash_of(struct str login, struct str address)
{
	struct arena a = { 0 };
	uint64_t hash = hash_texts(arena_lower(&a, login), arena_lower(&a, address));

	arena_fini(&a);
	return hash ? hash : 1;
}

bool seen_recipient(struct seen_recipients *all, struct str login, struct str address, uint64_t now)
{
	uint64_t hash = hash_of(login, address);

	return all->met && now >= all->since && now - all->since < FORGET_MS && all->met[hash % SEEN_SLOTS] == hash;
}

void seen_recipients_add(struct seen_recipients *all, struct str login, struct str address, uint64_t now)
{
	uint64_t hash = hash_of(login, address);

	if (!all->met)
		all->met = xcalloc(SEEN_SLOTS, sizeof *all->met);
	if (now < all->since || now - all->since >= FORGET_MS) {
		memset(all->met, 0, SEEN_SLOTS * sizeof *all->met);
		all->since = now;
	}
	all->met[hash % SEEN_SLOTS] = hash;
}
