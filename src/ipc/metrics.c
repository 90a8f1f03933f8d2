/* metrics.c - the rows of metrics.def as a table. */
#include "posthouse/metrics.h"

/* clang-format off */
const struct metric_facts metric_facts[METRIC_COUNT] = {
#define METRIC(ID, role, type, unit, word, name, labels, help)                                                                   \
	[METRIC_##ID] = { B_##role == B_ROLES ? B_ROLES | B_MASTER : B_##role, METRIC_TYPE_##type, METRIC_UNIT_##unit,           \
			  word, name, labels, help },
#include "posthouse/metrics.def"
};
/* clang-format on */

bool metric_is_of(enum metric m, enum role_id role)
{
	return m < METRIC_COUNT && metric_facts[m].roles & 1u << role;
}

bool metric_is_bucket(enum metric m, struct str label)
{
	return m < METRIC_COUNT && metric_facts[m].type == METRIC_TYPE_HISTOGRAM && label.n > 0;
}

bool metric_is_of_process(enum metric m)
{
	return m < METRIC_COUNT && m != METRIC_ROLE_OMITTED && metric_facts[m].roles == (B_ROLES | B_MASTER);
}

struct str metric_title(struct arena *a, enum metric m, struct str label)
{
	struct str word = m < METRIC_COUNT ? str_of(metric_facts[m].word) : S("unknown");
	size_t at = str_find(word, '*');

	if (at == word.n)
		return word;
	return arena_printf(a, "%.*s%.*s%.*s", STR_ARG(str_head(word, at)), STR_ARG(label), STR_ARG(str_from(word, at + 1)));
}
