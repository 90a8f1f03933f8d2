/* metrics.c - the rows of metrics.def as a table. */
#include "posthouse/metrics.h"

/* clang-format off */
static const struct { unsigned roles; const char *word; } metrics[METRIC_COUNT] = {
#define METRIC(ID, role, type, unit, word, ...) [METRIC_##ID] = { B_##role, word },
#include "posthouse/metrics.def"
};
/* clang-format on */

bool metric_is_of(enum metric m, enum role_id role)
{
	return m < METRIC_COUNT && metrics[m].roles & 1u << role;
}

struct str metric_title(struct arena *a, enum metric m, struct str label)
{
	struct str word = m < METRIC_COUNT ? str_of(metrics[m].word) : S("unknown");
	size_t at = str_find(word, '*');

	if (at == word.n)
		return word;
	return arena_printf(a, "%.*s%.*s%.*s", STR_ARG(str_head(word, at)), STR_ARG(label), STR_ARG(str_from(word, at + 1)));
}
