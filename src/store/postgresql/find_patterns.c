/* find_patterns.c - see find_patterns.h. "%" is any text; what else LIKE takes for more than itself has a backslash before it. */
#include "find_patterns.h"

/* A glob of match.h. */
static struct str like(struct arena *a, struct str glob)
{
	char *to = arena_alloc(a, 2 * glob.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < glob.n; i++) {
		char c = glob.p[i];

		if (c == '%' || c == '_' || c == '\\')
			to[n++] = '\\';
		to[n++] = c == '*' ? '%' : c;
	}
	return str_make(to, n);
}

static struct str joined(struct arena *a, struct str one, struct str other)
{
	char *to = arena_alloc(a, one.n + other.n + 1);

	memcpy(to, one.p, one.n);
	to[one.n] = '%';
	memcpy(to + one.n + 1, other.p, other.n);
	return str_make(to, one.n + other.n + 1);
}

/* Behind a local part, "%" is also its tag and the "@". */
static void of_address(struct arena *a, const struct address_pattern *p, struct str out[2])
{
	struct str local = like(a, p->local), domain = like(a, p->domain);

	if (p->any || p->null_sender)
		out[0] = out[1] = p->any ? S("%") : S("");
	else if (p->either)
		out[0] = joined(a, local, S("")), out[1] = joined(a, S(""), domain);
	else
		out[0] = out[1] = joined(a, local, domain);
}

void find_patterns_init(struct find_patterns *p, struct arena *a, const struct matcher *m)
{
	*p = (struct find_patterns){ .subject = { ARENA_ARRAY(a, struct str, m->words.n + 1), m->words.n } };
	of_address(a, &m->sender, p->sender);
	of_address(a, &m->recipient, p->recipient);
	for (size_t i = 0; i < m->words.n; i++)
		p->subject.at[i] = like(a, m->words.at[i]);
}
