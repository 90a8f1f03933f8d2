/* tls_policy.c - see tls_policy.h. A pure function decides; attempt.c gathers the facts. */
#include "tls_policy.h"

enum tls_level tls_level_of(enum upstream_tls configured)
{
	static const enum tls_level levels[] = {
		[UPSTREAM_IMPLICIT] = TLS_LEVEL_VERIFY,
		[UPSTREAM_STARTTLS] = TLS_LEVEL_VERIFY,
		[UPSTREAM_OPPORTUNISTIC] = TLS_LEVEL_MAY,
		[UPSTREAM_NONE] = TLS_LEVEL_NONE,
	};

	return levels[configured];
}

struct tls_policy tls_policy_decide(struct arena *a, const struct tls_facts *f)
{
	struct tls_policy p = { .level = tls_level_of(f->configured),
				.source = f->mx ? TLS_SOURCE_DEFAULT : TLS_SOURCE_UPSTREAM,
				.implicit = f->configured == UPSTREAM_IMPLICIT };

	if (p.level == TLS_LEVEL_MAY && (f->no_context || f->failed))
		p.level = TLS_LEVEL_NONE;
	if (p.level == TLS_LEVEL_NONE)
		return p;
	p.old = p.level == TLS_LEVEL_MAY && f->too_old;
	p.names.at = ARENA_ARRAY(a, struct str, 1);
	p.names.at[p.names.n++] = arena_str(a, f->name);
	return p;
}
