/* slice.c - the part of the configuration that a role is allowed to see, as bytes: a walk over the table, without names. Both
 * ends are of one build (the table's hash is in front), but for damaged bytes the result must be NULL and nothing else.
 *
 * Numbers are 8 bytes, the lowest first; texts and arrays have their length in 4 bytes before them; bool 1 byte. */
#include "schema.h"

#define MAGIC UINT64_C(0x3143504c53484f50)

/* Elements of a list of groups: bounds the memory that a short, damaged slice can ask for. */
#define ELEMENTS_MAX 100000

static void put_number(struct buf *b, uint64_t value, size_t n, bool *fits)
{
	char bytes[8];

	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)(value >> (8 * i));
	*fits = *fits && buf_add(b, str_make(bytes, n));
}

static void put_scalar(struct buf *b, enum key_type type, const void *at, bool *fits)
{
	const struct str *text = at;
	const struct rate *rate = at;

	switch (type) {
	case CFG_TEXT:
	case CFG_SECRET:
		put_number(b, text->n, 4, fits);
		*fits = *fits && text->n <= UINT32_MAX && buf_add(b, *text);
		break;
	case CFG_BOOL: put_number(b, *(const bool *)at, 1, fits); break;
	case CFG_ENUM: put_number(b, *(const unsigned *)at, 4, fits); break;
	case CFG_RATE:
		put_number(b, rate->amount, 8, fits);
		put_number(b, rate->window_ms, 8, fits);
		break;
	default: put_number(b, *(const uint64_t *)at, 8, fits); break;
	}
}

/* Rows from .. end (exclusive), all of one struct at `base`. */
static void put_rows(struct buf *b, unsigned role, size_t from, size_t end, const void *base, bool *fits)
{
	for (size_t i = from; i < end; i = schema_end(i)) {
		const struct key *k = &config_keys[i];
		const char *elements;
		size_t n;

		if (!(k->roles & (1u << role)))
			continue;
		if (!key_is_array(k)) {
			put_scalar(b, k->type, (const char *)base + k->offset, fits);
			continue;
		}
		elements = key_array(k, base, &n);
		*fits = *fits && n <= UINT32_MAX && (k->type != CFG_LIST || n <= ELEMENTS_MAX);
		put_number(b, n, 4, fits);
		for (size_t e = 0; e < n && *fits; e++)
			if (k->type == CFG_LIST)
				put_rows(b, role, i + 1, schema_end(i), elements + e * k->element_size, fits);
			else
				put_scalar(b, key_scalar(k), elements + e * key_element_size(k), fits);
	}
}

bool config_slice_encode(const struct config *c, unsigned role, struct buf *b)
{
	bool fits = true;

	put_number(b, MAGIC, 8, &fits);
	put_number(b, schema_hash(), 8, &fits);
	put_number(b, role, 4, &fits);
	put_rows(b, role, 0, config_keys_n, c, &fits);
	return fits;
}

struct reader {
	struct str rest;
	struct arena *arena;
	unsigned role;
	bool damaged;
};

static uint64_t take_number(struct reader *r, size_t n)
{
	uint64_t value = 0;

	if (r->rest.n < n) {
		r->damaged = true;
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		value |= (uint64_t)(unsigned char)r->rest.p[i] << (8 * i);
	r->rest = str_from(r->rest, n);
	return value;
}

static struct str take_text(struct reader *r)
{
	uint64_t n = take_number(r, 4);
	struct str text = str_head(r->rest, n);

	if (r->damaged || text.n < n) {
		r->damaged = true;
		return S("");
	}
	r->rest = str_from(r->rest, n);
	return text;
}

/* Only values that the table knows, so that a role may index by them. */
static unsigned take_choice(struct reader *r, const struct key *k)
{
	uint64_t value = take_number(r, 4);

	for (const struct choice *c = k->choices; c->name; c++)
		if (c->value == value)
			return c->value;
	r->damaged = true;
	return 0;
}

static void take_scalar(struct reader *r, const struct key *k, void *at)
{
	struct rate *rate = at;
	uint64_t flag;

	switch (key_scalar(k)) {
	case CFG_TEXT:
	case CFG_SECRET: *(struct str *)at = take_text(r); break;
	case CFG_ENUM: *(unsigned *)at = take_choice(r, k); break;
	case CFG_BOOL:
		flag = take_number(r, 1);
		r->damaged = r->damaged || flag > 1;
		*(bool *)at = flag == 1;
		break;
	case CFG_RATE:
		rate->amount = take_number(r, 8);
		rate->window_ms = take_number(r, 8);
		break;
	default: *(uint64_t *)at = take_number(r, 8); break;
	}
}

/* An element takes at least this many bytes, so the rest of the slice bounds their number. */
static size_t smallest_element(const struct key *k)
{
	switch (k->type) {
	case CFG_TIMES: return 8;
	case CFG_RATES: return 16;
	default: return 4; /* texts; groups have at least one text or number */
	}
}

static void take_rows(struct reader *r, size_t from, size_t end, void *base);

static void take_array(struct reader *r, size_t i, void *base)
{
	const struct key *k = &config_keys[i];
	uint64_t n = take_number(r, 4);
	char *elements;

	if (r->damaged || n > r->rest.n / smallest_element(k) || (k->type == CFG_LIST && n > ELEMENTS_MAX)) {
		r->damaged = true;
		return;
	}
	if (n == 0)
		return;
	elements = arena_calloc(r->arena, n, key_element_size(k));
	for (size_t e = 0; e < n && !r->damaged; e++)
		if (k->type == CFG_LIST)
			take_rows(r, i + 1, schema_end(i), elements + e * k->element_size);
		else
			take_scalar(r, k, elements + e * key_element_size(k));
	key_set_array(k, base, elements, n);
}

static void take_rows(struct reader *r, size_t from, size_t end, void *base)
{
	for (size_t i = from; i < end && !r->damaged; i = schema_end(i)) {
		const struct key *k = &config_keys[i];

		if (!(k->roles & (1u << r->role)))
			continue;
		if (key_is_array(k))
			take_array(r, i, base);
		else
			take_scalar(r, k, key_at(k, base));
	}
}

struct config *config_slice_decode(unsigned role, struct str bytes)
{
	struct config *c = NEW(struct config);
	struct reader r = { .arena = &c->arena, .role = role };

	/* One copy, into which all texts point: the slice's own memory goes. */
	r.rest = arena_str(&c->arena, bytes);
	if (take_number(&r, 8) != MAGIC || take_number(&r, 8) != schema_hash() || take_number(&r, 4) != role)
		r.damaged = true;
	take_rows(&r, 0, config_keys_n, c);
	if (!r.damaged && r.rest.n == 0)
		return c;
	config_free(c);
	return NULL;
}
