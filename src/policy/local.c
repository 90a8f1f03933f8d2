/* local.c - users of this machine: what they send as, and what the names mean that they use for addresses. */
#include "posthouse/address.h"
#include "posthouse/names.h"
#include "posthouse/policy.h"

/* Names that a login cannot have: whoever is called so is known by his number. */
static bool is_plain_name(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if ((unsigned char)name.p[i] <= ' ' || name.p[i] == 0x7f || strchr("/:*<>\"\\", name.p[i]))
			return false;
	return name.n > 0 && name.n <= 200;
}

/* The entry for the user; users_n: none. */
static size_t find_entry(const struct config *c, struct str name, struct str number)
{
	size_t all = c->local.users_n;

	for (size_t i = 0; i < c->local.users_n; i++) {
		struct str user = c->local.users[i].user;

		if (str_eq(user, name) || str_eq(user, number))
			return i;
		if (str_eq(user, S("*")))
			all = i;
	}
	return all;
}

static struct str at_realm(const struct config *c, struct arena *a, struct str name)
{
	return arena_printf(a, "%.*s@%.*s", STR_ARG(name), STR_ARG(c->auth.realm));
}

void local_user_of(const struct config *c, struct arena *a, struct str name, uint64_t uid, struct local_user *u_out)
{
	struct str number = arena_printf(a, "%llu", (unsigned long long)uid);
	const struct cfg_local_user *entry;
	struct local_user *u = u_out;

	*u = (struct local_user){ .name = is_plain_name(name) ? arena_str(a, name) : number, .uid = uid };
	u->entry = find_entry(c, name, number);
	entry = u->entry < c->local.users_n ? &c->local.users[u->entry] : NULL;
	u->refused = entry && entry->refuse;
	u->login = entry ? entry->login : S("");
	if (u->login.n == 0)
		u->login = login_canonical(a, str_find(u->name, '@') < u->name.n ? u->name : at_realm(c, a, u->name));
	u->sender = entry ? entry->sender : S("");
	if (u->sender.n == 0 && str_find(u->login, '@') < u->login.n)
		u->sender = u->login;
}

bool local_name(const struct config *c, struct str address, struct str *name_out)
{
	size_t at = str_rfind(address, '@');
	struct str domain = str_from(address, at + 1);

	*name_out = str_head(address, at);
	return address.n > 0 &&
	       (domain.n == 0 || str_ieq(domain, S("localhost")) || str_ieq(domain, S("localhost.localdomain")) ||
		(str_ieq(domain, c->hostname) && !str_ieq(domain, c->auth.realm)));
}

struct str local_sender(const struct config *c, struct arena *a, const struct local_user *u, struct str address)
{
	struct str name;

	if (!local_name(c, address, &name))
		return address;
	if (str_eq(name, S(LOCAL_SELF)) || str_ieq(name, u->name) ||
	    str_eq(name, arena_printf(a, "%llu", (unsigned long long)u->uid)))
		return u->sender;
	return at_realm(c, a, name);
}

struct str local_field(const struct config *c, struct arena *a, const struct local_user *u, bool is_sender, struct str address)
{
	struct str name;

	if (!local_name(c, address, &name))
		return address;
	if (is_sender && u->sender.n > 0 && (u->uid != 0 || str_ieq(name, u->name)))
		return u->sender;
	return at_realm(c, a, name);
}

struct str local_report_sender(const struct config *c, struct arena *a)
{
	if (c->report_sender.n > 0)
		return c->report_sender;
	return arena_printf(a, "mailer-daemon@%.*s", STR_ARG(address_domain(c->postmaster)));
}

static bool is_in(struct str words, struct str name)
{
	struct str word;

	while (str_split(&words, ' ', &word))
		if (str_ieq(word, name))
			return true;
	return false;
}

struct str local_recipient(const struct config *c, struct arena *a, struct str system_users, struct str address,
			   bool *postmaster_out)
{
	struct str name, full, rewritten;

	*postmaster_out = false;
	if (!local_name(c, address, &name))
		return rewrite_address(c, a, false, false, address);
	full = at_realm(c, a, name);
	rewritten = rewrite_address(c, a, false, false, full);
	if (rewritten.p != full.p)
		return rewritten;
	*postmaster_out = is_in(S("root postmaster mailer-daemon"), name) || is_in(system_users, name);
	return *postmaster_out ? rewrite_address(c, a, false, false, c->postmaster) : full;
}
