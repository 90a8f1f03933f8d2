/* tls_sets.c - chooses the certificates for each name: the first of each kind of key that has the name. Names with the same
 * certificates share a set, and with it a context of OpenSSL. */
#include "tls.h"

/* Does the set have a certificate with this kind of key already? */
static bool has_kind(const struct certificate *certificates, const size_t *members, size_t n, size_t i)
{
	for (size_t k = 0; k < n; k++)
		if (EVP_PKEY_get_base_id(certificates[members[k]].key) == EVP_PKEY_get_base_id(certificates[i].key))
			return true;
	return false;
}

/* Does the certificate have all of these names? */
static bool covers(const struct certificate *c, const struct str_list *names)
{
	for (size_t i = 0; i < names->n; i++)
		if (!names_match(&c->names, names->at[i]))
			return false;
	return true;
}

/* The set of these certificates, new if there is none. */
static struct tls_set *set_of(struct tls_context *t, const size_t *members, size_t n)
{
	struct tls_set *set;

	for (size_t i = 0; i < t->n; i++)
		if (t->sets[i].n == n && memcmp(t->sets[i].members, members, n * sizeof *members) == 0)
			return &t->sets[i];
	set = &t->sets[t->n++];
	*set = (struct tls_set){ .ctx = tls_ctx_new(TLS_server_method()), .context = t, .n = n };
	set->members = ARENA_ARRAY(&t->arena, size_t, n);
	memcpy(set->members, members, n * sizeof *members);
	for (size_t i = 0; i < n; i++)
		t->is_used[members[i]] = true;
	return set;
}

/* The first certificate of each kind that has all of `names`; `first` is always among them. */
static struct tls_set *choose(struct tls_context *t, const struct certificate *certificates, size_t n, size_t first,
			      const struct str_list *names)
{
	size_t *members = ARENA_ARRAY(&t->arena, size_t, n), found = 0;

	for (size_t i = 0; i < n; i++)
		if ((i == first || covers(&certificates[i], names)) && !has_kind(certificates, members, found, i))
			members[found++] = i;
	return set_of(t, members, found);
}

static const struct tls_set *find(const struct tls_context *t, struct str name)
{
	for (size_t i = 0; i < t->names_n; i++)
		if (str_ieq(t->names[i].name, name))
			return t->names[i].set;
	return NULL;
}

const struct tls_set *set_for(const struct tls_context *t, struct str host)
{
	const struct tls_set *set;
	struct str parent;
	char wild[256];

	if (str_ends(host, S(".")))
		host.n--; /* RFC 6066 section 3 forbids the dot, but it names the same host */
	set = find(t, host);
	parent = str_from(host, str_find(host, '.'));
	if (set || parent.n <= 1 || parent.n == host.n || parent.n + 1 > sizeof wild)
		return set;
	wild[0] = '*';
	memcpy(wild + 1, parent.p, parent.n);
	return find(t, str_make(wild, parent.n + 1));
}

void sets_choose(struct tls_context *t, const struct certificate *certificates, size_t n)
{
	size_t names = 0;

	for (size_t i = 0; i < n; i++)
		names += certificates[i].names.n;
	t->names = ARENA_ARRAY(&t->arena, struct tls_name, names + 1);
	t->is_used = ARENA_ARRAY(&t->arena, bool, n + 1);
	t->sets = xcalloc(names + 1, sizeof *t->sets); /* one for each name at most, and the first */
	if (n > 0)
		choose(t, certificates, n, 0, &certificates[0].names);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < certificates[i].names.n; k++) {
			struct str name = certificates[i].names.at[k];

			if (!find(t, name))
				t->names[t->names_n++] =
					(struct tls_name){ arena_str(&t->arena, name),
							   choose(t, certificates, n, n, &(struct str_list){ &name, 1 }) };
		}
}

bool tls_server_uses(const struct tls_context *t, size_t certificate)
{
	return t->is_used[certificate];
}
