/* export_form.c - see export_form.h. One table has all fields but those of recipients and sizes. */
#include "posthouse/export_form.h"

#include "posthouse/address.h"
#include "posthouse/id.h"
#include "posthouse/smtp_server.h"

#include <stddef.h>

#define NAMES     "Posthouse-"
#define FIRST     NAMES "Export: 1"
#define ENVID_MAX 100
#define ORCPT_MAX 507 /* "rfc822;" and 500 octets */

static const struct field {
	const char *name; /* '_' is written as '-' */
	enum { NUMBER, TEXT } kind;
	size_t at;
	uint64_t most;
} fields[] = { { "token", NUMBER, offsetof(struct exported, token), UINT64_MAX },
	       { "kind", NUMBER, offsetof(struct exported, kind), 4 },
	       { "parent", NUMBER, offsetof(struct exported, parent), INT64_MAX },
	       { "received_at", NUMBER, offsetof(struct exported, received_at), TIME_MAX_MS },
	       { "expires_at", NUMBER, offsetof(struct exported, expires_at), TIME_MAX_MS },
	       { "warn_at", NUMBER, offsetof(struct exported, warn_at), TIME_MAX_MS },
	       { "device", TEXT, offsetof(struct exported, device), 0 },
	       { "origin", TEXT, offsetof(struct exported, origin), 0 },
	       { "held", TEXT, offsetof(struct exported, held), 0 },
#define KIND_str                              TEXT
#define KIND_u64                              NUMBER
#define FIELD(type, name, stored, seen, most) { #name, KIND_##type, offsetof(struct exported, envelope.name), most },
	       ENVELOPE_FIELDS(FIELD)
#undef FIELD
};
#define FIELDS_N (sizeof fields / sizeof fields[0])

/* ---- writing ---- */

static bool is_plain(char c)
{
	return c > ' ' && c < 0x7f && c != '%';
}

static struct str encoded(struct arena *a, struct str s)
{
	static const char digits[] = "0123456789ABCDEF";
	char *p = arena_alloc(a, 3 * s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (is_plain(s.p[i])) {
			p[n++] = s.p[i];
			continue;
		}
		p[n++] = '%';
		p[n++] = digits[c >> 4];
		p[n++] = digits[c & 15];
	}
	return str_make(p, n);
}

static struct str written_name(struct arena *a, const char *name)
{
	struct str s = arena_str(a, str_of(name));

	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '_')
			((char *)(uintptr_t)s.p)[i] = '-';
	return s;
}

/* Empty texts and zeros are left out. */
struct str export_write_head(struct arena *a, const struct exported *x)
{
	char id[ID_TEXT_MAX];
	struct str all = arena_printf(a, FIRST "\r\n" NAMES "id: %s\r\n", id_format(x->id, id));

	for (size_t i = 0; i < FIELDS_N; i++) {
		const char *at = (const char *)x + fields[i].at;
		struct str name = written_name(a, fields[i].name);

		if (fields[i].kind == NUMBER && *(const uint64_t *)(const void *)at)
			all = arena_printf(a, "%.*s" NAMES "%.*s: %llu\r\n", STR_ARG(all), STR_ARG(name),
					   (unsigned long long)*(const uint64_t *)(const void *)at);
		if (fields[i].kind == TEXT && ((const struct str *)(const void *)at)->n)
			all = arena_printf(a, "%.*s" NAMES "%.*s: %.*s\r\n", STR_ARG(all), STR_ARG(name),
					   STR_ARG(encoded(a, *(const struct str *)(const void *)at)));
	}
	return all;
}

struct str export_write_recipient(struct arena *a, const struct export_recipient *r)
{
	return arena_printf(a, NAMES "recipient: %.*s notify=%llu%s%.*s%s%.*s%s\r\n", STR_ARG(encoded(a, r->address)),
			    (unsigned long long)r->notify, r->orcpt.n ? " orcpt=" : "", STR_ARG(encoded(a, r->orcpt)),
			    r->via.n ? " via=" : "", STR_ARG(encoded(a, r->via)), r->held ? " held" : "");
}

struct str export_write_end(struct arena *a, const struct exported *x)
{
	return arena_printf(a, NAMES "text: %llu %llu %llu\r\n", (unsigned long long)x->prefix_size,
			    (unsigned long long)x->header_size, (unsigned long long)x->size);
}

/* ---- reading ---- */

struct reading {
	struct arena *arena;
	struct exported *x;
	size_t capacity;
	bool ended;
	bool seen[FIELDS_N];
	const char *fault; /* NULL: none */
};

static bool fail(struct reading *r, const char *fault)
{
	if (!r->fault)
		r->fault = fault;
	return false;
}

/* No text of an envelope has control characters: they could end a line of SMTP or of the log. */
static bool decoded(struct reading *r, struct str s, struct str *out)
{
	char *p = arena_alloc(r->arena, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		int high, low;

		p[n] = s.p[i];
		if (s.p[i] == '%') {
			high = i + 2 < s.n ? hex_value(s.p[i + 1]) : -1;
			low = i + 2 < s.n ? hex_value(s.p[i + 2]) : -1;
			if (high < 0 || low < 0)
				return fail(r, "a '%' without two hexadecimal digits");
			p[n] = (char)(high * 16 + low);
			i += 2;
		} else if (!is_plain(s.p[i])) {
			return fail(r, "a character that is to be written as %XX");
		}
		if ((unsigned char)p[n] < ' ' || p[n] == 0x7f)
			return fail(r, "a control character");
		n++;
	}
	*out = str_make(p, n);
	return true;
}

/* Would it stay one word within <>? Spaces and brackets stand only between quotes. */
static bool is_address(struct str s)
{
	bool quoted = false;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\\' && quoted && i + 1 < s.n)
			i++;
		else if (s.p[i] == '"')
			quoted = !quoted;
		else if (!quoted && (s.p[i] == ' ' || s.p[i] == '<' || s.p[i] == '>'))
			return false;
	}
	return !quoted;
}

static bool is_word(struct str s, size_t most)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f)
			return false;
	return s.n <= most;
}

static bool read_field(struct reading *r, size_t i, struct str value)
{
	char *at = (char *)r->x + fields[i].at;

	if (r->seen[i])
		return fail(r, "the field is there twice");
	r->seen[i] = true;
	if (fields[i].kind == TEXT)
		return decoded(r, value, (struct str *)(void *)at);
	if (!str_to_u64(value, (uint64_t *)(void *)at) || *(uint64_t *)(void *)at > fields[i].most)
		return fail(r, "no number that is allowed here");
	return true;
}

static bool read_recipient(struct reading *r, struct str value)
{
	struct export_recipient *to;
	struct str word;

	ARENA_GROW(r->arena, r->x->recipients, r->x->recipients_n, r->capacity);
	to = &r->x->recipients[r->x->recipients_n++];
	*to = (struct export_recipient){ .notify = 0 };
	if (!str_split(&value, ' ', &word) || !decoded(r, word, &to->address))
		return fail(r, "no address");
	while (str_split(&value, ' ', &word)) {
		struct str of = str_from(word, str_find(word, '=') + 1);
		bool good = true;

		if (str_starts(word, S("notify=")))
			good = str_to_u64(of, &to->notify) && to->notify < 16;
		else if (str_starts(word, S("orcpt=")))
			good = decoded(r, of, &to->orcpt) && is_word(to->orcpt, ORCPT_MAX);
		else if (str_starts(word, S("via=")))
			good = decoded(r, of, &to->via);
		else
			good = to->held = str_eq(word, S("held"));
		if (!good)
			return fail(r, "a recipient's address, notify=, orcpt=, via= or held was expected");
	}
	return (to->address.n > 0 && is_address(to->address)) || fail(r, "no address");
}

static bool read_end(struct reading *r, struct str value)
{
	uint64_t *const sizes[] = { &r->x->prefix_size, &r->x->header_size, &r->x->size };
	struct str word;

	for (size_t i = 0; i < 3; i++)
		if (!str_split(&value, ' ', &word) || !str_to_u64(word, sizes[i]) || *sizes[i] > INT64_MAX / 4)
			return fail(r, "three sizes were expected");
	r->ended = true;
	return value.n == 0 && r->x->header_size <= r->x->size ? true : fail(r, "sizes that do not fit together");
}

static bool same_name(struct str written, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < n && i < written.n; i++)
		if (ascii_lower(written.p[i]) != (name[i] == '_' ? '-' : name[i]))
			return false;
	return written.n == n;
}

static bool read_line(struct reading *r, struct str line)
{
	size_t colon = str_find(line, ':');
	struct str name = str_head(line, colon), value = str_trim(str_from(line, colon + 1));

	if (colon == line.n || !str_istarts(name, S(NAMES)))
		return fail(r, "the line " NAMES "text is missing before the message");
	name = str_from(name, sizeof NAMES - 1);
	if (same_name(name, "id"))
		return id_parse(value, &r->x->id) && r->x->id > 0 && r->x->id <= INT64_MAX ? true : fail(r, "no id of a message");
	if (same_name(name, "recipient"))
		return read_recipient(r, value);
	if (same_name(name, "text"))
		return read_end(r, value);
	for (size_t i = 0; i < FIELDS_N; i++)
		if (same_name(name, fields[i].name))
			return read_field(r, i, value);
	return fail(r, "this version does not know the field");
}

/* What no single line shows. */
static const char *missing(const struct exported *x)
{
	const struct envelope *e = &x->envelope;

	if (x->id == 0)
		return "there is no " NAMES "id";
	if (x->recipients_n == 0)
		return "there is no " NAMES "recipient";
	if (!is_address(e->sender) || !is_word(e->envid, ENVID_MAX) || (e->deliver_by_mode & ~(uint64_t)BY_TRACE) > BY_NOTIFY)
		return "sender, envid or deliver-by-mode is not one that SMTP has";
	return NULL;
}

static struct verdict refuse(struct arena *a, unsigned line, const char *fault)
{
	return perm(550, S("5.6.0"), arena_printf(a, "line %u: %s", line, fault));
}

struct verdict export_read(struct arena *a, struct str bytes, struct exported *x_out, size_t *length_out)
{
	struct reading r = { .arena = a, .x = x_out };
	struct str rest = bytes, line;
	unsigned number = 0;

	*x_out = (struct exported){ .id = 0 };
	while (!r.ended) {
		size_t end = str_find(rest, '\n');

		number++;
		line = str_trim(str_head(rest, end));
		if (number == 1 ? !str_ieq(line, S(FIRST)) : end == rest.n)
			return refuse(a, number,
				      number == 1 ? "\"" FIRST "\" was expected: this is no exported message"
						  : "the line " NAMES "text is missing");
		rest = str_from(rest, end + 1);
		if (number > 1 && !read_line(&r, line))
			return refuse(a, number, r.fault);
	}
	*length_out = bytes.n - rest.n;
	return missing(x_out) ? refuse(a, number, missing(x_out)) : ok();
}
