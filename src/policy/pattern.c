/* pattern.c - the one pattern grammar of the configuration, and the sender addresses of logins. The syntax of patterns is
 * checked with the other formats of the configuration (config/text.c). */
#include "posthouse/address.h"
#include "posthouse/names.h"
#include "posthouse/policy.h"

/* The domain's part of a match: exact, or below `.b`. */
static bool domain_matches(struct str pattern, struct str domain)
{
	if (pattern.n > 0 && pattern.p[0] == '.')
		return domain.n > pattern.n && str_iends(domain, pattern);
	return str_ieq(pattern, domain);
}

/* `a` matches `a` and `a+tag`; `a+tag` only itself. */
static bool local_matches(struct str pattern, struct str local)
{
	size_t plus;

	local = address_bare_local(local); /* "a..b" is a..b */
	plus = str_find(local, '+');

	return str_ieq(pattern, local) || (plus > 0 && plus < local.n && str_ieq(pattern, str_head(local, plus)));
}

bool pattern_matches(struct str pattern, struct str address)
{
	size_t pattern_at = str_rfind(pattern, '@'), at = str_rfind(address, '@');

	if (str_eq(pattern, S("*")))
		return true;
	if (pattern_at == pattern.n || at == 0 || at == address.n)
		return false;
	if (!domain_matches(str_from(pattern, pattern_at + 1), str_from(address, at + 1)))
		return false;
	return pattern_at == 0 || str_eq(str_head(pattern, pattern_at), S("*")) ||
	       local_matches(str_head(pattern, pattern_at), str_head(address, at));
}

bool patterns_match(const struct str_list *patterns, struct str address)
{
	for (size_t i = 0; i < patterns->n; i++)
		if (pattern_matches(patterns->at[i], address))
			return true;
	return false;
}

/* A login in its parts: name, and realm after the @ (empty when it has none). The device, from '/' on, is dropped. */
static void split_login(struct str login, struct str *name_out, struct str *realm_out)
{
	struct str name = address_local(login), realm = address_domain(login);

	*name_out = str_head(name, str_find(name, '/'));
	*realm_out = str_head(realm, str_find(realm, '/'));
}

/* Do two logins name the same account? A login without realm gets the configured one. */
static bool same_login(const struct config *c, struct str a, struct str b)
{
	struct str own = c->auth.realm.n > 0 ? c->auth.realm : c->hostname;
	struct str name_a, realm_a, name_b, realm_b;

	split_login(a, &name_a, &realm_a);
	split_login(b, &name_b, &realm_b);
	return str_ieq(name_a, name_b) && str_ieq(realm_a.n > 0 ? realm_a : own, realm_b.n > 0 ? realm_b : own);
}

/* In an address, the name of the login can have other capitals or another composition than the canonical login. */
static bool is_same_name(struct str name, struct str local)
{
	struct arena a = { 0 };
	bool same = local_matches(name, local) || local_matches(name, login_canonical(&a, local));

	arena_fini(&a);
	return same;
}

/* Is `address` the login itself? */
static bool is_own_address(struct str user, struct str address)
{
	struct str name, realm;

	split_login(user, &name, &realm);
	return name.n > 0 && realm.n > 0 && str_ieq(realm, address_domain(address)) && is_same_name(name, address_local(address));
}

const struct cfg_senders *senders_of(const struct config *c, struct str user)
{
	const struct cfg_senders *of_others = NULL;

	for (size_t i = 0; i < c->senders_n; i++) {
		if (same_login(c, c->senders[i].user, user))
			return &c->senders[i];
		if (str_eq(c->senders[i].user, S("*")))
			of_others = &c->senders[i];
	}
	return of_others;
}

bool sender_may_resend(const struct config *c, struct str user)
{
	const struct cfg_senders *entry = user.n > 0 ? senders_of(c, user) : NULL;

	return entry && entry->resent;
}

static bool is_allowed(const struct config *c, struct str user, struct str address)
{
	const struct cfg_senders *entry = senders_of(c, user);

	return entry ? patterns_match(&entry->addresses, address) : is_own_address(user, address);
}

bool sender_allowed(const struct config *c, struct str user, struct str address)
{
	size_t at = str_rfind(address, '@');
	struct arena a = { 0 };
	bool allowed = user.n > 0 && at > 0 && at < address.n && is_allowed(c, user, address_with_canonical_domain(&a, address));

	arena_fini(&a);
	return allowed;
}

bool sends_as(const struct config *c, const struct sending_user *u, struct str address)
{
	if (u->forced.n > 0)
		return address_same(address, u->forced);
	return u->any || sender_allowed(c, u->login, address);
}

const struct str *first_foreign(const struct config *c, const struct sending_user *u, const struct str_list *addresses)
{
	for (size_t i = 0; i < addresses->n; i++)
		if (!sends_as(c, u, addresses->at[i]))
			return &addresses->at[i];
	return NULL;
}
