/* rewrite.c - the rules that replace addresses. */
#include "posthouse/address.h"
#include "posthouse/policy.h"

struct str rewrite_address(const struct config *c, struct arena *a, bool is_sender, bool in_header, struct str address)
{
	size_t at = str_rfind(address, '@');
	struct str known = address_with_canonical_domain(a, address);

	if (at == 0 || at == address.n)
		return address; /* the null sender is never replaced */
	for (size_t i = 0; i < c->rewrite_n; i++) {
		const struct cfg_rewrite *rule = &c->rewrite[i];
		struct str pattern = is_sender ? rule->sender : rule->recipient;

		if (pattern.n == 0 || (in_header && !rule->headers) || !pattern_matches(pattern, known))
			continue;
		if (rule->to.n > 0 && rule->to.p[0] == '@')
			return arena_printf(a, "%.*s%.*s", STR_ARG(str_head(address, at)), STR_ARG(rule->to));
		return rule->to;
	}
	return address;
}
