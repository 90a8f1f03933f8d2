/* slice.c - the part of the configuration that a role is allowed to see, as bytes: a walk over the table, without names. Both
 * ends are of one build (the table's hash is in front), but for damaged bytes the result must be NULL and nothing else.
 *
 * Numbers are 8 bytes, the lowest first; texts and arrays have their length in 4 bytes before them; bool 1 byte. */
#include "schema.h"

#define MAGIC UINT64_C(0x3143504c53484f50)

/* Elements of a list of groups: bounds the memory that a short, damaged slice can ask for. */
#define ELEMENTS_MAX 100000

/* One walk over the table for both directions, so what is written and what is read cannot differ. */
struct coder {
	struct buf *out; /* encoding: the slice, and the configuration stays as it is; NULL: decoding */
	struct str in;   /* decoding: the rest of the slice */
	struct arena *arena;
	unsigned role;
	bool bad; /* encoding: the slice does not fit; decoding: it is damaged */
};

/* The lowest `n` bytes of the number. */
static void code_number(struct coder *c, uint64_t *value, size_t n)
{
	unsigned char bytes[8];

	for (size_t i = 0; c->out && i < n; i++)
		bytes[i] = (unsigned char)(*value >> (8 * i));
	if (c->out) {
		c->bad = c->bad || !buf_add(c->out, str_make(bytes, n));
		return;
	}
	c->bad = c->bad || c->in.n < n;
	*value = 0;
	for (size_t i = 0; i < n && !c->bad; i++)
		*value |= (uint64_t)(unsigned char)c->in.p[i] << (8 * i);
	c->in = str_from(c->in, n);
}

/* A number of elements, each of at least `smallest` bytes: so the rest of a slice bounds what it can ask for. */
static void code_count(struct coder *c, size_t *n, size_t smallest)
{
	uint64_t count = *n;

	c->bad = c->bad || count > UINT32_MAX;
	code_number(c, &count, 4);
	if (c->out)
		return;
	c->bad = c->bad || count > c->in.n / smallest;
	*n = c->bad ? 0 : count;
}

static void code_text(struct coder *c, struct str *text)
{
	code_count(c, &text->n, 1);
	if (c->out) {
		c->bad = c->bad || !buf_add(c->out, *text);
		return;
	}
	text->p = c->in.p;
	c->in = str_from(c->in, text->n);
}

/* Only values that the table knows, so that a role can index by them. */
static bool is_choice(const struct key *k, uint64_t value)
{
	const struct choice *c = k->choices;

	while (c->name && c->value != value)
		c++;
	return c->name != NULL;
}

static void code_scalar(struct coder *c, const struct key *k, void *at)
{
	struct rate *rate = at;
	uint64_t number;

	switch (key_scalar(k)) {
	case CFG_TEXT:
	case CFG_SECRET: code_text(c, at); break;
	case CFG_ENUM:
		number = *(unsigned *)at;
		code_number(c, &number, 4);
		if (!c->out && is_choice(k, number))
			*(unsigned *)at = (unsigned)number;
		else if (!c->out)
			c->bad = true;
		break;
	case CFG_BOOL:
		number = *(bool *)at;
		code_number(c, &number, 1);
		c->bad = c->bad || number > 1;
		if (!c->out)
			*(bool *)at = number == 1;
		break;
	case CFG_RATE:
		code_number(c, &rate->amount, 8);
		code_number(c, &rate->window_ms, 8);
		break;
	default: code_number(c, at, 8); break;
	}
}

static size_t smallest_element(const struct key *k)
{
	switch (k->type) {
	case CFG_TIMES: return 8;
	case CFG_RATES: return 16;
	default: return 4; /* texts; groups have at least one text or number */
	}
}

static void code_rows(struct coder *c, size_t from, size_t end, void *base);

static void code_array(struct coder *c, size_t i, void *base)
{
	const struct key *k = &config_keys[i];
	size_t n = 0, size = key_element_size(k);
	char *elements = c->out ? key_array(k, base, &n) : NULL;

	code_count(c, &n, smallest_element(k));
	c->bad = c->bad || (k->type == CFG_LIST && n > ELEMENTS_MAX);
	if (!c->out && !c->bad && n > 0) {
		elements = arena_calloc(c->arena, n, size);
		key_set_array(k, base, elements, n);
	}
	for (size_t e = 0; e < n && !c->bad; e++)
		if (k->type == CFG_LIST)
			code_rows(c, i + 1, schema_end(i), elements + e * size);
		else
			code_scalar(c, k, elements + e * size);
}

/* Rows from .. end (exclusive), all of one struct at `base`. */
static void code_rows(struct coder *c, size_t from, size_t end, void *base)
{
	for (size_t i = from; i < end && !c->bad; i = schema_end(i)) {
		const struct key *k = &config_keys[i];

		if (!(k->roles & (1u << c->role)))
			continue;
		if (key_is_array(k))
			code_array(c, i, base);
		else
			code_scalar(c, k, key_at(k, base));
	}
}

bool config_slice_encode(const struct config *config, unsigned role, struct buf *b)
{
	uint64_t magic = MAGIC, hash = schema_hash(), number = role;
	struct coder c = { .out = b, .role = role };

	code_number(&c, &magic, 8);
	code_number(&c, &hash, 8);
	code_number(&c, &number, 4);
	code_rows(&c, 0, config_keys_n, (void *)(uintptr_t)config);
	return !c.bad;
}

struct config *config_slice_decode(unsigned role, struct str bytes)
{
	struct config *config = NEW(struct config);
	struct coder c = { .arena = &config->arena, .role = role };
	uint64_t magic = 0, hash = 0, number = 0;

	/* One copy, into which all texts point: the slice's own memory goes. */
	c.in = arena_str(&config->arena, bytes);
	code_number(&c, &magic, 8);
	code_number(&c, &hash, 8);
	code_number(&c, &number, 4);
	c.bad = c.bad || magic != MAGIC || hash != schema_hash() || number != role;
	code_rows(&c, 0, config_keys_n, config);
	if (!c.bad && c.in.n == 0)
		return config;
	config_free(config);
	return NULL;
}
