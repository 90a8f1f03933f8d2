/* zone_line.c - the records of a table, as text. */
#include "zone_line.h"

#include "posthouse/buf.h"

#include <stdlib.h>

struct str line_word(struct str *rest)
{
	struct str w;

	*rest = str_trim(*rest);
	w = str_head(*rest, str_find(*rest, ' '));
	*rest = str_trim(str_from(*rest, w.n));
	return w;
}

static const struct {
	const char *word;
	unsigned type;
} types[] = { { "A", DNS_A },         { "AAAA", DNS_AAAA }, { "MX", DNS_MX },     { "NS", DNS_NS },
	      { "CNAME", DNS_CNAME }, { "SOA", DNS_SOA },   { "PTR", DNS_PTR },   { "TXT", DNS_TXT },
	      { "SRV", DNS_SRV },     { "CAA", DNS_CAA },   { "TLSA", DNS_TLSA }, { "SPF", 99 } };

bool line_is(struct str w, unsigned type)
{
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (types[i].type == type)
			return str_eq(w, str_of(types[i].word));
	return false;
}

struct str line_name(struct str name)
{
	return str_ends(name, S(".")) ? str_head(name, name.n - 1) : name;
}

/* `"one" "two"`, or a text that is cut at 255. */
static void read_txt(struct arena *a, struct str data, struct fact_record *r)
{
	struct buf joined, raw;

	buf_init(&joined, 65536);
	buf_init(&raw, 65536);
	while (data.n > 0) {
		struct str part;

		if (data.p[0] == '"') {
			data = str_from(data, 1);
			part = str_head(data, str_find(data, '"'));
			data = str_trim(str_from(data, part.n + 1));
		} else {
			part = str_head(data, 255);
			data = str_from(data, part.n);
		}
		buf_add_char(&raw, (char)part.n);
		buf_add(&raw, part);
		buf_add(&joined, part);
	}
	r->text = arena_str(a, buf_view(&joined));
	r->data = arena_str(a, buf_view(&raw));
	buf_fini(&joined);
	buf_fini(&raw);
}

static unsigned number(struct str *rest)
{
	uint64_t n = 0;

	(void)str_to_u64(line_word(rest), &n);
	return (unsigned)n;
}

static void read_caa(struct arena *a, struct str data, struct fact_record *r)
{
	unsigned flags = number(&data);
	struct str tag = line_word(&data);

	data = data.n > 1 && data.p[0] == '"' ? str_head(str_from(data, 1), data.n - 2) : data;
	r->data = arena_printf(a, "%c%c%.*s%.*s", (int)(flags + 1), (int)tag.n, STR_ARG(tag), STR_ARG(data));
	((char *)(uintptr_t)r->data.p)[0] = (char)flags;
}

static void read_tlsa(struct arena *a, struct str data, struct fact_record *r)
{
	char *raw = arena_alloc(a, data.n + 3);

	for (int i = 0; i < 3; i++)
		raw[i] = (char)number(&data);
	for (size_t i = 0; i + 1 < data.n; i += 2)
		raw[3 + i / 2] = (char)strtoul(arena_cstr(a, str_head(str_from(data, i), 2)), NULL, 16);
	r->data = str_make(raw, 3 + data.n / 2);
}

void line_read(struct arena *a, const struct line *l, unsigned type, struct fact_record *r)
{
	struct str data = l->data;

	r->text = data;
	if (type == DNS_TXT || type == 99) {
		read_txt(a, data, r);
	} else if (type == DNS_MX) {
		r->preference = number(&data);
		r->text = line_name(data);
	} else if (type == DNS_SRV) {
		r->preference = number(&data);
		number(&data);
		r->port = number(&data);
		r->text = line_name(data);
	} else if (type == DNS_SOA) {
		r->serial = number(&data);
		r->text = S("ns.example.org");
	} else if (type == DNS_CAA) {
		read_caa(a, data, r);
	} else if (type == DNS_TLSA) {
		read_tlsa(a, data, r);
	} else {
		r->text = line_name(data);
	}
}
