/* bounces.c - see account.h. */
#include "accounting/account.h"

#include "posthouse/clock.h"

bool bounces_forgotten(const struct bounces *b, uint64_t now)
{
	for (size_t i = 0; i < BOUNCE_SLOTS; i++)
		if (b->slot[i] + BOUNCE_SLOTS > now / BOUNCE_SLOT_MS)
			return false;
	return true;
}

void bounces_mend(struct bounces *b, uint64_t now)
{
	for (size_t i = 0; i < BOUNCE_SLOTS; i++)
		if (clock_is_foreign(b->slot[i], now / BOUNCE_SLOT_MS, 0)) {
			*b = (struct bounces){ .slot = { 0 } };
			return;
		}
}

void bounces_count(struct bounces *b, bool refused, uint64_t now, uint64_t *finished_out, uint64_t *refused_out)
{
	uint64_t slot = now / BOUNCE_SLOT_MS;
	size_t at = slot % BOUNCE_SLOTS;

	if (b->slot[at] != slot) {
		b->slot[at] = slot;
		b->finished[at] = b->refused[at] = 0;
	}
	b->finished[at]++;
	b->refused[at] += refused;
	*finished_out = *refused_out = 0;
	for (size_t i = 0; i < BOUNCE_SLOTS; i++)
		if (b->slot[i] + BOUNCE_SLOTS > slot && b->slot[i] <= slot) {
			*finished_out += b->finished[i];
			*refused_out += b->refused[i];
		}
}
