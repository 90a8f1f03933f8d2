/* dkim_rotation.c - the states of keys, and when they change. */
#include "dkim.h"

#include "posthouse/date.h"

struct str dkim_time(struct arena *a, uint64_t now_ms)
{
	struct buf b;
	struct str text;

	buf_init(&b, 64);
	date_add(&b, now_ms);
	text = arena_str(a, buf_view(&b));
	buf_fini(&b);
	return text;
}

bool dkim_looked(struct arena *a, struct cfg_sign *key, bool found, uint64_t now_ms)
{
	uint64_t seen;

	/* a look in the future comes from another clock */
	if (found && date_parse(key->seen, &seen) && seen <= now_ms)
		return false;
	if (!found && key->seen.n == 0)
		return false;
	key->seen = found ? dkim_time(a, now_ms) : S("");
	return true;
}

uint64_t dkim_wait_ms(const struct cfg_sign *key, uint64_t now_ms)
{
	uint64_t seen;

	if (!date_parse(key->seen, &seen) || seen > now_ms)
		return DKIM_LOOKS_APART_MS;
	return now_ms - seen < DKIM_LOOKS_APART_MS ? DKIM_LOOKS_APART_MS - (now_ms - seen) : 0;
}

static void enter(struct arena *a, struct cfg_sign *key, enum sign_state state, uint64_t now_ms)
{
	key->state = state;
	key->since = dkim_time(a, now_ms);
	key->seen = S("");
}

void dkim_activate(struct arena *a, struct cfg_sign *keys, size_t n, struct cfg_sign *key, uint64_t now_ms)
{
	for (size_t i = 0; i < n; i++)
		if (keys[i].state == SIGN_ACTIVE && keys[i].algorithm == key->algorithm && str_ieq(keys[i].domain, key->domain))
			enter(a, &keys[i], SIGN_RETIRED, now_ms);
	enter(a, key, SIGN_ACTIVE, now_ms);
}
