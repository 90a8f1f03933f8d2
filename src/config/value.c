/* value.c - single values as text: parsing, printing, and what was expected when one is wrong. */
#include "schema.h"

#include "posthouse/units.h"

#include <inttypes.h>

#define TIME_MAX_MS    (100 * 366 * DAY_MS)
#define SIZE_MAX_BYTES (UINT64_C(1) << 60)

struct unit {
	const char *name;
	uint64_t factor;
};

/* Largest first, for printing. */
static const struct unit time_units[] = { { "d", DAY_MS }, { "h", HOUR_MS }, { "m", MINUTE_MS }, { "s", 1000 }, { "ms", 1 } };
static const struct unit size_units[] = {
	{ "T", UINT64_C(1) << 40 }, { "G", UINT64_C(1) << 30 }, { "M", UINT64_C(1) << 20 }, { "K", UINT64_C(1) << 10 }, { "", 1 }
};
#define UNITS_N 5

/* Digits, then exactly one unit; at most `max`. */
static bool number_with_unit(struct str text, const struct unit *units, uint64_t max, uint64_t *value_out)
{
	size_t digits = 0;
	uint64_t number;

	while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9')
		digits++;
	if (!str_to_u64(str_head(text, digits), &number))
		return false;
	for (size_t i = 0; i < UNITS_N; i++) {
		if (!str_eq(str_from(text, digits), str_of(units[i].name)))
			continue;
		*value_out = number * units[i].factor;
		return number <= max / units[i].factor;
	}
	return false;
}

/* A number of the row's kind. */
static bool parse_number(enum key_type type, struct str text, uint64_t *value_out)
{
	switch (type) {
	case CFG_TIME: return number_with_unit(text, time_units, TIME_MAX_MS, value_out);
	case CFG_SIZE: return number_with_unit(text, size_units, SIZE_MAX_BYTES, value_out);
	default: return str_to_u64(text, value_out);
	}
}

bool value_rate(struct str text, bool bytes, struct rate *rate_out)
{
	size_t slash = str_find(text, '/');
	struct str amount = str_head(text, slash);

	if (slash == text.n || !parse_number(CFG_TIME, str_from(text, slash + 1), &rate_out->window_ms))
		return false;
	if (!parse_number(bytes ? CFG_SIZE : CFG_INT, amount, &rate_out->amount))
		return false;
	return rate_out->amount > 0 && rate_out->window_ms >= 1000;
}

static void print_with_unit(struct buf *b, uint64_t value, const struct unit *units)
{
	size_t i = 0;

	while (i < UNITS_N - 1 && (value % units[i].factor != 0 || value < units[i].factor))
		i++;
	buf_printf(b, "%" PRIu64 "%s", value / units[i].factor, units[i].name);
}

static void print_number(struct buf *b, enum key_type type, uint64_t value)
{
	if (type == CFG_TIME && value == 0)
		buf_add(b, S("0s"));
	else if (type == CFG_TIME)
		print_with_unit(b, value, time_units);
	else if (type == CFG_SIZE)
		print_with_unit(b, value, size_units);
	else
		buf_printf(b, "%" PRIu64, value);
}

bool value_in_bounds(const struct key *k, uint64_t value)
{
	uint64_t lower = 0, upper = UINT64_MAX;

	if (k->lower)
		parse_number(key_scalar(k), str_of(k->lower), &lower);
	if (k->upper)
		parse_number(key_scalar(k), str_of(k->upper), &upper);
	return value >= lower && value <= upper;
}

/* The choice of that name, or NULL. */
static const struct choice *choice_named(const struct choice *choices, struct str name)
{
	for (const struct choice *c = choices; c->name; c++)
		if (str_eq(name, str_of(c->name)))
			return c;
	return NULL;
}

static bool set_text(const struct key *k, struct arena *a, struct str text, struct str *target)
{
	const struct choice *c = k->choices ? choice_named(k->choices, text) : NULL;

	if (text.n == 0 && k->type == CFG_TEXT && !k->fallback && !(k->flags & REQUIRED)) {
		*target = text; /* the same as to leave the key out */
		return true;
	}
	if (k->choices && !c)
		return false;
	if (k->type == CFG_SECRET ? memchr(text.p, 0, text.n) != NULL : !text_is_printable(text))
		return false;
	if (k->format && k->format->canonical)
		text = k->format->canonical(a, text);
	if (k->format && !k->format->valid(text))
		return false;
	*target = k->flags & LOWER_CASE ? arena_lower(a, text) : text;
	return true;
}

static bool set_enum(const struct key *k, struct str text, unsigned *target)
{
	const struct choice *c = choice_named(k->choices, text);

	if (!c)
		return false;
	*target = c->value;
	return true;
}

/* An empty text is no rate: what it bounds is not counted. In a list it would say nothing. */
static bool set_rate(const struct key *k, struct str text, struct rate *target)
{
	*target = (struct rate){ 0 };
	return (text.n == 0 && k->type == CFG_RATE) || value_rate(text, k->flags & BYTES, target);
}

bool value_set(const struct key *k, struct arena *a, struct str text, void *target)
{
	uint64_t number;

	switch (key_scalar(k)) {
	case CFG_TEXT:
	case CFG_SECRET: return set_text(k, a, text, target);
	case CFG_ENUM: return set_enum(k, text, target);
	case CFG_RATE: return set_rate(k, text, target);
	case CFG_BOOL: *(bool *)target = str_eq(text, S("true")); return str_eq(text, S("true")) || str_eq(text, S("false"));
	case CFG_INT:
	case CFG_SIZE:
	case CFG_TIME:
		if (!parse_number(key_scalar(k), text, &number) || !value_in_bounds(k, number))
			return false;
		*(uint64_t *)target = number;
		return true;
	default: return false;
	}
}

/* "one of "a", "b""; "" says what the key's absence says. */
static void print_choices(struct buf *b, const struct choice *choices)
{
	const char *between = "";

	buf_add(b, S("one of "));
	for (const struct choice *c = choices; c->name; c++) {
		if (c->name[0] == '\0')
			continue;
		buf_printf(b, "%s\"%s\"", between, c->name);
		between = ", ";
	}
}

/* Print the form of one value of the row's type. */
static void print_scalar_expected(struct buf *b, const struct key *k)
{
	const char *quote = key_scalar(k) == CFG_TIME || (key_scalar(k) == CFG_SIZE) ? "\"" : "";

	if (k->choices)
		print_choices(b, k->choices);
	else if (k->format)
		buf_add(b, str_of(k->format->expected));
	else
		switch (key_scalar(k)) {
		case CFG_INT: buf_add(b, S("a whole number")); break;
		case CFG_SIZE: buf_add(b, S("a size such as \"25M\"")); break;
		case CFG_TIME: buf_add(b, S("a duration such as \"30s\", \"5m\", \"4h\" or \"5d\"")); break;
		case CFG_BOOL: buf_add(b, S("true or false")); break;
		case CFG_RATE:
			buf_add(b, k->flags & BYTES ? S("a rate such as \"500M/1d\"") : S("a rate such as \"100/1h\""));
			break;
		case CFG_GROUP: buf_add(b, S("a group { … }")); break;
		case CFG_LIST: buf_add(b, S("a list of groups ( { … }, { … } )")); break;
		case CFG_SECRET: buf_add(b, S("a text without line breaks")); break;
		default: buf_add(b, S("a text \"…\" without control characters")); break;
		}
	if (k->lower && k->upper)
		buf_printf(b, ", from %s%s%s to %s%s%s", quote, k->lower, quote, quote, k->upper, quote);
}

struct str value_expected(const struct key *k, struct arena *a)
{
	struct buf b;
	struct str text;

	buf_init(&b, 4096);
	if (k->type == CFG_OPTIONS)
		buf_add(&b, S("a group { name = value; … } of texts, whole numbers, true and false"));
	else if (key_is_array(k) && k->type != CFG_LIST)
		buf_add(&b, S("a list [ … ]; each element "));
	if (k->type != CFG_OPTIONS)
		print_scalar_expected(&b, k);
	if (k->type == CFG_RATE)
		buf_add(&b, S(", or \"\" for none"));
	if (k->hint)
		buf_printf(&b, "; %s", k->hint);
	text = arena_str(a, buf_view(&b));
	buf_fini(&b);
	return text;
}

/* A text in libconfig's syntax. */
static void print_quoted(struct buf *b, struct str s)
{
	buf_add_char(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_add_char(b, '\\');
		buf_add_char(b, s.p[i]);
	}
	buf_add_char(b, '"');
}

const char *choice_name(const struct choice *choices, unsigned value)
{
	while (choices->name && choices->value != value)
		choices++;
	return choices->name;
}

static void print_rate(struct buf *b, const struct key *k, const struct rate *rate)
{
	buf_add_char(b, '"');
	if (rate->amount > 0) {
		print_number(b, k->flags & BYTES ? CFG_SIZE : CFG_INT, rate->amount);
		buf_add_char(b, '/');
		print_number(b, CFG_TIME, rate->window_ms);
	}
	buf_add_char(b, '"');
}

/* The names of the options that were given; the values can be passwords. */
static void print_options(struct buf *b, const struct str *options, size_t n)
{
	buf_add(b, S("{ "));
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "%.*s = \"(hidden)\"; ", STR_ARG(str_head(options[i], str_find(options[i], '='))));
	buf_add(b, S("}"));
}

static void print_scalar(struct buf *b, const struct key *k, const void *at)
{
	const struct rate *rate = at;

	switch (key_scalar(k)) {
	case CFG_TEXT: print_quoted(b, *(const struct str *)at); break;
	case CFG_SECRET: buf_add(b, ((const struct str *)at)->n ? S("\"(hidden)\"") : S("\"\"")); break;
	case CFG_INT: print_number(b, CFG_INT, *(const uint64_t *)at); break;
	case CFG_BOOL: buf_add(b, *(const bool *)at ? S("true") : S("false")); break;
	case CFG_ENUM: buf_printf(b, "\"%s\"", choice_name(k->choices, *(const unsigned *)at)); break;
	case CFG_SIZE:
	case CFG_TIME:
		buf_add_char(b, '"');
		print_number(b, key_scalar(k), *(const uint64_t *)at);
		buf_add_char(b, '"');
		break;
	case CFG_RATE: print_rate(b, k, rate); break;
	default: break;
	}
}

void value_print(struct buf *b, const struct key *k, const void *base)
{
	size_t n;
	const char *elements;

	if (!key_is_array(k)) {
		print_scalar(b, k, (const char *)base + k->offset);
		return;
	}
	elements = key_array(k, base, &n);
	if (k->type == CFG_OPTIONS) {
		print_options(b, (const struct str *)(const void *)elements, n);
		return;
	}
	buf_add(b, S("[ "));
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_add(b, S(", "));
		print_scalar(b, k, elements + i * key_element_size(k));
	}
	buf_add(b, n ? S(" ]") : S("]"));
}
