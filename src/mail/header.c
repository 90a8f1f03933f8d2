/* header.c - a header section as fields (RFC 5322 2.2). */
#include "field.h"
#include "fixup.h"
#include "text.h"

const struct field fields[FIELDS + 1] = {
#define FIELD(name, kind, fixup, once, sign) { S(name), kind, fixup, once, sign },
#include "fields.def"
#undef FIELD
	{ S(""), UNSTRUCTURED, COPIED, REPEATS, UNSIGNED },
};

const struct field *field_find(struct str name)
{
	const struct field *f = fields;

	for (; f->name.n > 0; f++) {
		bool begins = f->name.p[f->name.n - 1] == '-' && name.n > f->name.n;

		if ((begins || f->name.n == name.n) && str_istarts(name, f->name))
			break;
	}
	return f;
}

static struct verdict bad_line(void)
{
	return perm(550, S("5.6.0"), S("a line of the header section is neither a field nor its continuation (RFC 5322 2.2)"));
}

/* The line at the front of `rest` with its CRLF; false for one with a bare CR or LF, a NUL, or no end. */
static bool take_line(struct str rest, struct str *line_out)
{
	const char *lf = memchr(rest.p, '\n', rest.n);

	if (!lf || lf == rest.p || lf[-1] != '\r')
		return false;
	*line_out = str_make(rest.p, (size_t)(lf + 1 - rest.p));
	struct str text = str_head(*line_out, line_out->n - 2);
	return str_find(text, '\r') == text.n && str_find(text, '\0') == text.n;
}

/* Begin a field with its first line. */
static bool begin_field(struct str line, struct header_field *f)
{
	size_t n = field_name_length(line), colon = str_find(line, ':');

	if (n == 0)
		return false;
	f->name = str_head(line, n);
	f->whole = line;
	f->value = str_make(line.p + colon + 1, line.n - colon - 3);
	return true;
}

/* Lines that begin a field: how many there can be at most. */
static size_t count_fields(struct str section)
{
	size_t n = 0;

	for (size_t at = 0; at < section.n;) {
		n += !is_wsp(section.p[at]);
		at += str_find(str_from(section, at), '\n') + 1;
	}
	return n;
}

struct verdict header_parse(struct arena *a, struct str section, struct header *header_out)
{
	struct header h = { .fields = ARENA_ARRAY(a, struct header_field, count_fields(section) + 1) };
	struct str line;

	for (size_t at = 0; at < section.n; at += line.n) {
		if (!take_line(str_from(section, at), &line))
			return bad_line();
		if (!is_wsp(*line.p)) {
			if (!begin_field(line, &h.fields[h.n]))
				return bad_line();
			h.n++;
			continue;
		}
		if (h.n == 0)
			return bad_line();
		struct header_field *f = &h.fields[h.n - 1];
		f->whole.n += line.n;
		f->value.n += line.n;
	}
	*header_out = h;
	return ok();
}

const struct header_field *header_find(const struct header *h, struct str name)
{
	for (size_t i = 0; i < h->n; i++) {
		if (str_ieq(h->fields[i].name, name))
			return &h->fields[i];
	}
	return NULL;
}

struct header_field field_make(struct arena *a, struct str name, struct str value)
{
	struct str whole = arena_printf(a, "%.*s:%.*s\r\n", STR_ARG(name), STR_ARG(value));

	return (struct header_field){ .name = str_head(whole, name.n),
				      .value = str_make(whole.p + name.n + 1, value.n),
				      .whole = whole };
}

bool field_is_one(struct str text, struct str name)
{
	if (!str_starts(text, name) || text.n <= name.n || text.p[name.n] != ':')
		return false;
	if (str_ends(text, S("\r\n")))
		text = str_head(text, text.n - 2);
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if ((c >= ' ' && c < 0x7f) || c == '\t')
			continue;
		if (c != '\r' || i + 2 >= text.n || text.p[i + 1] != '\n' || (text.p[i + 2] != ' ' && text.p[i + 2] != '\t'))
			return false;
		i += 2;
	}
	return true;
}
