/* walk.c - finding rows of the table and the values that they describe. */
#include "schema.h"

#include "posthouse/hash.h"

/* The members of list `a.b` have paths that begin with `a.b[].`. */
size_t schema_end(size_t i)
{
	struct str path = str_of(config_keys[i].path);
	size_t end = i + 1;

	if (config_keys[i].type != CFG_LIST)
		return end;
	while (end < config_keys_n) {
		struct str member = str_of(config_keys[end].path);

		if (!str_starts(member, path) || !str_starts(str_from(member, path.n), S("[].")))
			break;
		end++;
	}
	return end;
}

size_t schema_find(struct str path)
{
	size_t i = 0;

	while (i < config_keys_n && !str_eq(path, str_of(config_keys[i].path)))
		i++;
	return i;
}

struct str schema_leaf(const struct key *k)
{
	struct str path = str_of(k->path);
	size_t dot = str_rfind(path, '.');

	return dot < path.n ? str_from(path, dot + 1) : path;
}

struct str schema_shown(struct arena *a, struct str path)
{
	char *shown = arena_alloc(a, path.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < path.n; i++)
		if (path.p[i] != '[' && path.p[i] != ']')
			shown[n++] = path.p[i];
	return str_make(shown, n);
}

uint64_t schema_hash(void)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < config_keys_n; i++) {
		const struct key *k = &config_keys[i];
		uint64_t facts[] = { (uint64_t)k->type, k->roles, k->offset, k->count_offset, k->element_size };

		hash = hash_fixed(hash, str_of(k->path));
		hash = hash_fixed(hash, str_make(facts, sizeof(facts)));
	}
	return hash;
}

bool key_is_array(const struct key *k)
{
	return k->type == CFG_TEXTS || k->type == CFG_TIMES || k->type == CFG_RATES || k->type == CFG_OPTIONS ||
	       k->type == CFG_LIST;
}

enum key_type key_scalar(const struct key *k)
{
	switch (k->type) {
	case CFG_TEXTS: return CFG_TEXT;
	case CFG_TIMES: return CFG_TIME;
	case CFG_RATES: return CFG_RATE;
	case CFG_OPTIONS: return CFG_SECRET;
	default: return k->type;
	}
}

size_t key_element_size(const struct key *k)
{
	switch (k->type) {
	case CFG_TEXTS:
	case CFG_OPTIONS: return sizeof(struct str);
	case CFG_TIMES: return sizeof(uint64_t);
	case CFG_RATES: return sizeof(struct rate);
	default: return k->element_size;
	}
}

/* Copied as bytes: the pointers' types differ from row to row. */
void *key_array(const struct key *k, const void *base, size_t *n_out)
{
	void *elements;

	memcpy(&elements, (const char *)base + k->offset, sizeof(elements));
	memcpy(n_out, (const char *)base + k->count_offset, sizeof(*n_out));
	return elements;
}

void key_set_array(const struct key *k, void *base, void *elements, size_t n)
{
	memcpy((char *)base + k->offset, &elements, sizeof(elements));
	memcpy((char *)base + k->count_offset, &n, sizeof(n));
}
