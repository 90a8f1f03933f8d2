/* passes.c - see passes.h. */
#include "passes.h"
#include "posthouse/clock.h"
#include "posthouse/secret.h"
#include "posthouse/units.h"

#include <openssl/rand.h>

struct str pass_make(struct passes *all, uint64_t uid, bool report)
{
	size_t i = all->next;

	if (RAND_bytes(all->at[i].bytes, PASS_SIZE) != 1) {
		all->at[i].until = 0;
		return S("");
	}
	all->at[i].uid = uid;
	all->at[i].report = report;
	all->at[i].until = clock_mono_ms() + MINUTE_MS;
	all->next = (i + 1) % PASSES_MAX;
	return str_make((char *)all->at[i].bytes, PASS_SIZE);
}

bool pass_take(struct passes *all, struct str pass, uint64_t *uid_out, bool *report_out)
{
	uint64_t now = clock_mono_ms();

	for (size_t i = 0; i < PASSES_MAX; i++) {
		if (all->at[i].until <= now || !same_secret(str_make((char *)all->at[i].bytes, PASS_SIZE), pass))
			continue;
		*uid_out = all->at[i].uid;
		*report_out = all->at[i].report;
		all->at[i].until = 0;
		wipe(all->at[i].bytes, PASS_SIZE);
		return true;
	}
	return false;
}
