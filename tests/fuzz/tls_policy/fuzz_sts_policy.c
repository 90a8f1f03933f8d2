/* The text of an MTA-STS policy: a stranger's web server. What is read can be written, and is read the same again. */
#include "fuzz.h"

#include "posthouse/tls_policy.h"

static struct str written(struct arena *a, const struct sts_policy *p)
{
	struct str text = arena_printf(a, "version: STSv1\r\nmode: %s\r\nmax_age: %llu\r\n", sts_mode_word(p->mode),
				       (unsigned long long)p->max_age_s);

	for (size_t i = 0; i < p->mx.n; i++)
		text = arena_printf(a, "%.*smx: %.*s\r\n", STR_ARG(text), STR_ARG(p->mx.at[i]));
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	struct sts_policy p, again;
	struct str why = sts_policy_read(&a, str_make(data, size), &p);

	assert(p.mx.n <= STS_MX_MAX && p.max_age_s <= STS_MAX_AGE_S);
	if (why.n > 0) {
		assert(p.mx.n == 0 && p.mode == STS_NONE && p.max_age_s == 0);
	} else {
		assert(p.mode == STS_NONE || p.mx.n > 0);
		for (size_t i = 0; i < p.mx.n && i < 20; i++) {
			bool wild = str_starts(p.mx.at[i], S("*."));

			assert(sts_policy_lists(&p,
						wild ? arena_printf(&a, "x%.*s", STR_ARG(str_from(p.mx.at[i], 1))) : p.mx.at[i]));
			again = (struct sts_policy){ .mx = { &p.mx.at[i], 1 } };
			assert(!wild || !sts_policy_lists(&again, str_from(p.mx.at[i], 2)));
		}
		if (p.mx.n < 20) {
			assert(sts_policy_read(&a, written(&a, &p), &again).n == 0);
			assert(again.mode == p.mode && again.max_age_s == p.max_age_s && again.mx.n == p.mx.n);
		}
	}
	arena_fini(&a);
	return 0;
}
