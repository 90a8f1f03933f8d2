/* warmup.c - see warmup.h. */
#include "accounting/warmup.h"

#include "common/format.h"

#include "posthouse/units.h"

#define SINCE      "warmup since"
#define CENTURY_US (100 * 365 * DAY_MS * 1000)
#define OVER       1000000 /* messages a day: nobody limits an account to that */

const struct bucket_user warmup_since_rule = {
	.rule = SINCE,
	.period_us = CENTURY_US,
	.is_record = true,
	.outlives_reset = true,
};

/* Time since the first message; 0: there was none. */
static uint64_t age_ms(const struct warmup *w, uint64_t now)
{
	uint64_t since_us = w->since->tat_us > CENTURY_US ? w->since->tat_us - CENTURY_US : now * 1000;

	return now * 1000 > since_us ? now - since_us / 1000 : 0;
}

static uint64_t allowance(const struct warmup *w, uint64_t now)
{
	uint64_t amount = w->config.start, doublings = age_ms(w, now) / w->config.double_each_ms;

	while (doublings-- > 0 && amount < OVER)
		amount *= 2;
	return amount;
}

void warmup_begin(struct warmup *w, struct accounting *acc, struct str key, struct cfg_warmup config)
{
	struct rate first = { .amount = config.start, .window_ms = DAY_MS };
	struct arena a = { 0 };

	*w = (struct warmup){ .config = config };
	if (config.start > 0) {
		w->messages = bucket_get(acc, key, arena_printf(&a, "warmup %.*s", STR_ARG(format_rate(&a, first))));
		w->since = bucket_get(acc, key, S(SINCE));
		w->messages->rate = first;
		w->messages->users++;
		w->since->users++;
	}
	arena_fini(&a);
}

void warmup_end(struct warmup *w)
{
	if (!w->messages)
		return;
	w->messages->users--;
	w->since->users--;
	*w = (struct warmup){ .messages = NULL };
}

void warmup_grow(const struct warmup *w, uint64_t now)
{
	uint64_t amount;

	if (!w->messages)
		return;
	amount = allowance(w, now);
	w->messages->rate.amount = amount < OVER ? amount : UINT32_MAX;
}

void warmup_charge(const struct warmup *w, uint64_t now)
{
	if (w->messages && w->since->tat_us <= CENTURY_US)
		w->since->tat_us = now * 1000 + CENTURY_US;
}

struct str warmup_text(const struct warmup *w, struct arena *a, uint64_t now)
{
	uint64_t amount = w->messages ? allowance(w, now) : OVER;

	if (amount >= OVER)
		return S("");
	return arena_printf(a, "day %llu of the warm-up, %llu a day", (unsigned long long)age_ms(w, now) / DAY_MS + 1,
			    (unsigned long long)amount);
}
