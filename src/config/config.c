/* config.c - look-ups in a configuration, its end, and what differs between two. */
#include "schema.h"

#include "posthouse/address.h"
#include "posthouse/names.h"
#include "posthouse/sasl.h"
#include "posthouse/secret.h"

#include <stdlib.h>

/* Secrets lie in the arena, or in a copy of the slice there: overwrite them where they are. */
static void wipe_text(const struct str *secret)
{
	if (secret->n > 0)
		wipe((char *)(uintptr_t)secret->p, secret->n);
}

static void wipe_rows(size_t from, size_t end, void *base)
{
	for (size_t i = from; i < end; i = schema_end(i)) {
		const struct key *k = &config_keys[i];
		char *elements;
		size_t n;

		if (k->type == CFG_SECRET)
			wipe_text(key_at(k, base));
		if (k->type != CFG_LIST && k->type != CFG_OPTIONS)
			continue;
		elements = key_array(k, base, &n);
		for (size_t e = 0; e < n; e++)
			if (k->type == CFG_LIST)
				wipe_rows(i + 1, schema_end(i), elements + e * k->element_size);
			else
				wipe_text((struct str *)(void *)elements + e);
	}
}

void config_free(struct config *c)
{
	if (!c)
		return;
	wipe_rows(0, config_keys_n, c);
	wipe_text(&c->source);
	for (size_t i = 0; c->environment && i < c->environment->users_n; i++)
		wipe_text(&c->environment->users[i].password);
	arena_fini(&c->arena);
	free(c);
}

const struct cfg_upstream *config_upstream(const struct config *c, struct str name)
{
	for (size_t i = 0; i < c->upstreams_n; i++)
		if (str_eq(c->upstreams[i].name, name))
			return &c->upstreams[i];
	return NULL;
}

static bool is_in_use(const struct cfg_sign *s, struct str domain)
{
	return s->state == SIGN_ACTIVE && str_ieq(s->domain, domain);
}

bool config_signs(const struct config *c, struct str domain)
{
	for (size_t i = 0; i < c->sign_n; i++)
		if (is_in_use(&c->sign[i], domain))
			return true;
	return false;
}

size_t config_dkim_keys(struct arena *a, const struct config *c, struct str domain, struct dkim_key *keys_out)
{
	size_t n = 0;

	while (!config_signs(c, domain) && str_find(domain, '.') < domain.n)
		domain = str_from(domain, str_find(domain, '.') + 1);
	for (size_t i = 0; i < c->sign_n && n < DKIM_KEYS_MAX; i++)
		if (is_in_use(&c->sign[i], domain))
			keys_out[n++] = (struct dkim_key){ .domain = arena_str(a, c->sign[i].domain),
							   .selector = arena_str(a, c->sign[i].selector),
							   .algorithm = (enum dkim_algorithm)c->sign[i].algorithm,
							   .oversign = c->sign[i].oversign };
	return n;
}

/* The last two labels of a domain. */
static struct str organisation(struct str domain)
{
	size_t last = str_rfind(domain, '.'), before = str_rfind(str_head(domain, last), '.');

	return last < domain.n && before < last ? str_from(domain, before + 1) : domain;
}

/* Could a signature of `domain` seem to be one of an author (DMARC's relaxed alignment, RFC 7489 3.1.1)? Without a list of
 * public suffixes two labels in common are enough for a yes, which costs a signature that says little. */
static bool is_aligned(struct arena *a, struct str domain, const struct str_list *authors)
{
	for (size_t i = 0; i < authors->n; i++) {
		struct str author = domain_canonical(a, address_domain(authors->at[i]));

		if (str_ieq(organisation(author), organisation(domain)))
			return true;
	}
	return false;
}

size_t config_author_keys(struct arena *a, const struct config *c, const struct str_list *authors,
			  const struct str_list *resenders, struct dkim_key *keys_out)
{
	const struct str_list *who = resenders ? resenders : authors;
	size_t n = 0;

	for (size_t i = 0; i < who->n && n == 0; i++) {
		struct str domain = domain_canonical(a, address_domain(who->at[i]));

		if (!resenders || !is_aligned(a, domain, authors))
			n = config_dkim_keys(a, c, domain, keys_out);
	}
	return n;
}

unsigned config_credentials(const struct cfg_upstream *u)
{
	unsigned login = u->oauth.provider != OAUTH_NONE ? SASL_TOKEN : u->login.n > 0 ? SASL_PASSWORD : 0;

	return login | (u->certificate.n > 0 ? SASL_CERTIFICATE : 0);
}

struct str auth_option(const struct cfg_auth *auth, struct str name)
{
	for (size_t i = 0; i < auth->options.n; i++) {
		struct str option = auth->options.at[i];

		if (str_eq(str_head(option, str_find(option, '=')), name))
			return str_from(option, name.n + 1);
	}
	return S("");
}

static bool same_scalar(enum key_type type, const void *a, const void *b)
{
	const struct rate *rate_a = a, *rate_b = b;

	switch (type) {
	case CFG_TEXT:
	case CFG_SECRET: return str_eq(*(const struct str *)a, *(const struct str *)b);
	case CFG_BOOL: return *(const bool *)a == *(const bool *)b;
	case CFG_ENUM: return *(const unsigned *)a == *(const unsigned *)b;
	case CFG_RATE: return rate_a->amount == rate_b->amount && rate_a->window_ms == rate_b->window_ms;
	case CFG_GROUP: return true;
	default: return *(const uint64_t *)a == *(const uint64_t *)b;
	}
}

static const char *first_difference(size_t from, size_t end, const void *a, const void *b);

/* The path of what differs in an array: the array's own when the number does. */
static const char *array_difference(size_t i, const void *a, const void *b)
{
	const struct key *k = &config_keys[i];
	size_t n_a, n_b, size = key_element_size(k);
	const char *at_a = key_array(k, a, &n_a), *at_b = key_array(k, b, &n_b), *path = NULL;

	if (n_a != n_b)
		return k->path;
	for (size_t e = 0; e < n_a && !path; e++)
		if (k->type == CFG_LIST)
			path = first_difference(i + 1, schema_end(i), at_a + e * size, at_b + e * size);
		else if (!same_scalar(key_scalar(k), at_a + e * size, at_b + e * size))
			path = k->path;
	return path;
}

static const char *first_difference(size_t from, size_t end, const void *a, const void *b)
{
	const char *path = NULL;

	for (size_t i = from; i < end && !path; i = schema_end(i)) {
		const struct key *k = &config_keys[i];

		if (k->flags & RELOADABLE)
			continue;
		if (key_is_array(k))
			path = array_difference(i, a, b);
		else if (!same_scalar(k->type, (const char *)a + k->offset, (const char *)b + k->offset))
			path = k->path;
	}
	return path;
}

const char *config_needs_restart(const struct config *old, const struct config *new)
{
	return first_difference(0, config_keys_n, old, new);
}
