/* fuzz_spf.c - records of DNS that belong to others: texts, one a line; each question gets the next. What
 * is evaluated ends, stays within its limits, and can be merged with what is ours to a record that can be read. */
#include "posthouse/spf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct answers {
	struct arena *arena;
	struct str rest;
	unsigned asked;
};

static struct spf_answer next(void *ctx, struct str name, unsigned type)
{
	struct answers *s = ctx;
	struct str *line = ARENA_NEW(s->arena, struct str);

	if (name.n == 0 || name.n > 253 || ++s->asked > 300)
		abort();
	if (!str_split(&s->rest, '\n', line))
		return (struct spf_answer){ .state = name.n % 2 ? SPF_DNS_EMPTY : SPF_DNS_NO_NAME };
	return (struct spf_answer){ .state = SPF_DNS_THERE, .values = line, .n = 1 };
}

static void check_merge(struct arena *a, struct str old)
{
	struct str ours[] = { S("ip4:203.0.113.25"), S("include:spf.isp.example") };
	struct spf_wish wish = { .terms = { ours, 2 }, .all = S("~all") };
	struct spf_merged merged, again;
	struct spf_record record;
	struct spf_fault fault;

	spf_merge(a, old, &wish, &merged);
	if (!spf_parse(a, merged.text, &record, &fault))
		abort();
	spf_merge(a, merged.text, &wish, &again);
	if (again.changed || again.dropped.n > 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	struct str text = str_make(data, size);
	struct answers s = { &a, text, 0 };
	struct spf_question q = { .address = S("192.0.2.1"), .sender = S("a.b-c@e.example.com"), .lookup = next, .ctx = &s };
	struct spf_outcome out;

	if (size > 4096)
		return 0;
	spf_check(&a, &q, &out);
	if (out.pending || out.result > SPF_PERMERROR || out.lookups > SPF_LOOKUPS_MAX + 1 || out.voids > SPF_VOIDS_MAX + 1)
		abort();
	q.whole = true;
	q.address = S("2001:db8::1");
	s.rest = text;
	s.asked = 0;
	spf_check(&a, &q, &out);
	check_merge(&a, str_head(text, str_find(text, '\n')));
	if (a.used_bytes > (size_t)64 << 20)
		abort();
	arena_fini(&a);
	return 0;
}
