/* foreign.c - people bring the names of other programs' settings: what takes their place here. */
#include "schema.h"

const char *const foreign_programs[] = {
	[POSTFIX] = "Postfix", [OPENDKIM] = "OpenDKIM", [EXIM] = "Exim", [MSMTP] = "msmtp", [NULLMAILER] = "nullmailer"
};

const struct foreign foreign_names[] = {
#define FOREIGN(...) { __VA_ARGS__ },
#include "foreign.def"
};
const size_t foreign_names_n = sizeof foreign_names / sizeof foreign_names[0];

static const struct foreign *find(struct str name)
{
	for (size_t i = 0; i < foreign_names_n; i++) {
		struct str names = str_of(foreign_names[i].names), one;

		while (str_split(&names, ' ', &one))
			if (str_ieq(one, name))
				return &foreign_names[i];
	}
	return NULL;
}

struct str foreign_hint(struct arena *a, struct str name)
{
	const struct foreign *f = find(name);
	const char *colon = f && *f->remark ? ": " : "";

	if (!f)
		return S("");
	if (*f->ours)
		return arena_printf(a, "what %s calls so is %s here%s%s", foreign_programs[f->program], f->ours, colon,
				    f->remark);
	return arena_printf(a, "it is %s's, and has no key here%s%s", foreign_programs[f->program], colon, f->remark);
}

/* "$myhostname", "${x}" */
static bool is_variable(struct str s)
{
	struct str name = str_from(s, 1);

	if (s.n < 3 || s.p[0] != '$')
		return false;
	if (name.p[0] == '{' && name.p[name.n - 1] == '}')
		name = str_head(str_from(name, 1), name.n - 2);
	for (size_t i = 0; i < name.n; i++)
		if ((ascii_lower(name.p[i]) < 'a' || ascii_lower(name.p[i]) > 'z') && name.p[i] != '_')
			return false;
	return name.n > 0;
}

/* "hash:/etc/postfix/x" */
static bool is_table(struct str s)
{
	static const char *const kinds[] = { "hash", "btree",  "lmdb", "texthash", "cidr",  "regexp", "pcre",
					     "cdb",  "inline", "dbm",  "mysql",    "pgsql", "ldap",   "sqlite" };
	struct str kind = str_head(s, str_find(s, ':')), rest = str_from(s, kind.n + 1);

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (str_ieq(kind, str_of(kinds[i])) && rest.n > 1 && (rest.p[0] == '/' || rest.p[0] == '{') && rest.p[1] != '/')
			return true; /* "ldap://host" is no table */
	return false;
}

/* "[host]:587"; what is in brackets is no address, since that is IPv6 here too. */
static bool is_bracketed(struct str s, struct str *host_out, struct str *port_out)
{
	size_t end = str_find(s, ']');
	bool letters = false;
	uint64_t port;

	if (s.n < 3 || s.p[0] != '[' || end == s.n)
		return false;
	*host_out = str_head(str_from(s, 1), end - 1);
	*port_out = end + 2 < s.n && s.p[end + 1] == ':' ? str_from(s, end + 2) : S("");
	for (size_t i = 0; i < host_out->n; i++) {
		char c = ascii_lower(host_out->p[i]);

		letters |= c >= 'a' && c <= 'z';
	}
	return letters && str_find(*host_out, ':') == host_out->n && (end + 1 == s.n || str_to_u64(*port_out, &port));
}

struct str foreign_value_hint(struct arena *a, struct str value)
{
	struct str host, port;

	if (is_table(value))
		return S("expected the values themselves: there are no tables beside the configuration");
	if (is_variable(value))
		return S("expected the value itself: names behind a $ are not replaced");
	if (!is_bracketed(value, &host, &port))
		return S("");
	if (port.n == 0)
		return arena_printf(a, "expected host = \"%.*s\" without brackets: MX records of an upstream are never looked up",
				    STR_ARG(host));
	return arena_printf(a, "expected host = \"%.*s\"; port = %.*s;", STR_ARG(host), STR_ARG(port));
}
