/* mime.c - Content-Type and Content-Transfer-Encoding. When readers could disagree about the end of a part, the
 * entity is MIME_OPAQUE, and nothing in it is changed. */
#include "mime.h"

#include "text.h"

bool mime_take_field(struct str *section, struct mime_field *field_out)
{
	size_t n = 0;

	if (section->n == 0)
		return false;
	do {
		size_t at = str_search(str_from(*section, n), S("\r\n"));
		n = n + at + 2 < section->n ? n + at + 2 : section->n;
	} while (n < section->n && is_wsp(section->p[n]));
	*field_out = (struct mime_field){ .whole = str_head(*section, n) };
	*section = str_from(*section, n);
	field_out->name = str_head(field_out->whole, field_name_length(field_out->whole));
	if (field_out->name.n > 0)
		field_out->value = str_trim(str_from(field_out->whole, str_find(field_out->whole, ':') + 1));
	return true;
}

bool mime_skip_space(struct str *s)
{
	size_t depth = 0, i = 0;

	for (; i < s->n; i++) {
		char c = s->p[i];
		if (c == '\\' && depth > 0)
			i++;
		else if (c == '(')
			depth++;
		else if (c == ')' && depth > 0)
			depth--;
		else if (depth == 0 && !is_wsp(c) && c != '\r' && c != '\n')
			break;
	}
	*s = str_from(*s, i);
	return depth == 0;
}

/* RFC 2045 5.1: a token; empty when there is none. */
static struct str take_token(struct str *s)
{
	size_t n = 0;

	while (n < s->n && s->p[n] > ' ' && s->p[n] <= '~' && !strchr("()<>@,;:\\\"/[]?=", s->p[n]))
		n++;
	struct str token = str_head(*s, n);
	*s = str_from(*s, n);
	return token;
}

static bool take_char(struct str *s, char c)
{
	if (s->n == 0 || *s->p != c)
		return false;
	*s = str_from(*s, 1);
	return true;
}

/* A quoted string into `out`, as far as it fits; *n_out is its whole length. False when it has no end. */
static bool take_quoted(struct str *s, char out[BOUNDARY_MAX], size_t *n_out)
{
	*n_out = 0;
	for (size_t i = 1; i < s->n; i++) {
		char c = s->p[i];
		if (c == '"') {
			*s = str_from(*s, i + 1);
			return true;
		}
		if (c == '\\' && i + 1 < s->n)
			c = s->p[++i];
		if (*n_out < BOUNDARY_MAX)
			out[*n_out] = c;
		(*n_out)++;
	}
	return false;
}

/* A parameter's value. Characters that RFC 2045 allows only in quotation marks are accepted without them, since this is common
 * ("a=_b"). */
static bool take_value(struct str *s, char out[BOUNDARY_MAX], size_t *n_out)
{
	if (s->n > 0 && *s->p == '"')
		return take_quoted(s, out, n_out);
	size_t n = 0;
	while (n < s->n && s->p[n] > ' ' && s->p[n] != ';' && s->p[n] != '"' && s->p[n] != '(')
		n++;
	memcpy(out, s->p, n < BOUNDARY_MAX ? n : BOUNDARY_MAX);
	*n_out = n;
	*s = str_from(*s, n);
	return n > 0;
}

/* RFC 2046 5.1.1, but for its list of characters: printable ASCII. It does not end with a space. */
static bool good_boundary(struct mime_part *part)
{
	if (part->boundary_n > BOUNDARY_MAX)
		return false;
	while (part->boundary_n > 0 && part->boundary[part->boundary_n - 1] == ' ')
		part->boundary_n--;
	for (size_t i = 0; i < part->boundary_n; i++) {
		if (part->boundary[i] < ' ' || part->boundary[i] > '~')
			return false;
	}
	return part->boundary_n > 0;
}

/* Find the boundary among the parameters; false when there is none, or the parameters are ambiguous. */
static bool read_boundary(struct str s, struct mime_part *part)
{
	char value[BOUNDARY_MAX];
	size_t n;
	bool found = false;

	for (;;) {
		if (!mime_skip_space(&s))
			return false;
		if (s.n == 0)
			return found && good_boundary(part);
		if (!take_char(&s, ';') || !mime_skip_space(&s))
			return false;
		if (s.n == 0 || *s.p == ';')
			continue;
		struct str name = take_token(&s);
		if (name.n == 0 || !mime_skip_space(&s) || !take_char(&s, '=') || !mime_skip_space(&s) ||
		    !take_value(&s, value, &n))
			return false;
		if (str_istarts(name, S("boundary*")) || (found && str_ieq(name, S("boundary"))))
			return false;
		if (!str_ieq(name, S("boundary")))
			continue;
		found = true;
		part->boundary_n = n;
		memcpy(part->boundary, value, n < BOUNDARY_MAX ? n : BOUNDARY_MAX);
	}
}

/* Types that must reach the reader as they are: RFC 1847, RFC 8551 3.2, RFC 2046 5.2.2 and 5.2.3. */
static const struct {
	struct str type, subtype;
	const char *what;
} opaque[] = {
	{ S("multipart"), S("signed"), "a signed part (multipart/signed), which must not be changed" },
	{ S("multipart"), S("encrypted"), "an encrypted part (multipart/encrypted), which must not be changed" },
	{ S("application"), S("pkcs7-mime"), "a signed or encrypted part (application/pkcs7-mime), which must not be changed" },
	{ S("application"), S("x-pkcs7-mime"),
	  "a signed or encrypted part (application/x-pkcs7-mime), which must not be changed" },
	{ S("message"), S("partial"), "a piece of a message (message/partial), which must not be changed" },
	{ S("message"), S("external-body"), "a reference (message/external-body), which must not be changed" },
};

static const char *why_opaque(struct str type, struct str subtype)
{
	for (size_t i = 0; i < sizeof opaque / sizeof *opaque; i++) {
		if (str_ieq(type, opaque[i].type) && str_ieq(subtype, opaque[i].subtype))
			return opaque[i].what;
	}
	return NULL;
}

/* Readers treat a Content-Type that they cannot parse as text/plain (RFC 2045 5.2). */
static enum mime_kind read_type(struct str value, struct mime_part *part)
{
	if (!mime_skip_space(&value))
		return MIME_BODY_PART;
	struct str type = take_token(&value);
	part->is_text = str_ieq(type, S("text"));
	if (!mime_skip_space(&value) || !take_char(&value, '/') || !mime_skip_space(&value))
		return MIME_BODY_PART;
	struct str subtype = take_token(&value);
	part->opaque = why_opaque(type, subtype);
	if (part->opaque)
		return MIME_OPAQUE;
	if (str_ieq(type, S("message")))
		return str_ieq(subtype, S("rfc822")) || str_ieq(subtype, S("news")) ? MIME_MESSAGE : MIME_BODY_PART;
	if (!str_ieq(type, S("multipart")))
		return MIME_BODY_PART;
	if (!read_boundary(value, part)) {
		part->boundary_n = 0;
		part->opaque = "a multipart whose boundary can be read in several ways, or not at all";
		return MIME_OPAQUE;
	}
	return str_ieq(subtype, S("digest")) ? MIME_DIGEST : MIME_MULTIPART;
}

/* RFC 2045 6.1, with common misspellings. */
static enum mime_encoding read_encoding(struct str value)
{
	static const struct {
		struct str name;
		enum mime_encoding encoding;
	} names[] = {
		{ S("7bit"), MIME_7BIT },           { S("8bit"), MIME_8BIT },     { S("binary"), MIME_BINARY },
		{ S("quoted-printable"), MIME_QP }, { S("base64"), MIME_BASE64 }, { S("7-bit"), MIME_7BIT },
		{ S("8-bit"), MIME_8BIT },          { S(""), MIME_7BIT },
	};

	if (!mime_skip_space(&value))
		return MIME_OTHER;
	struct str token = take_token(&value);
	if (token.n == 0 && value.n > 0)
		return MIME_OTHER;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (str_ieq(token, names[i].name))
			return names[i].encoding;
	}
	return MIME_OTHER;
}

void mime_read(struct str section, enum mime_kind otherwise, struct mime_part *part_out)
{
	struct mime_field f;
	struct mime_part other;
	bool has_encoding = false;

	*part_out = (struct mime_part){ .kind = otherwise, .is_text = true };
	while (mime_take_field(&section, &f)) {
		if (str_ieq(f.name, S("MIME-Version"))) {
			part_out->has_version = true;
		} else if (str_ieq(f.name, S("Content-Transfer-Encoding"))) {
			part_out->encoding = has_encoding ? part_out->encoding : read_encoding(f.value);
			has_encoding = true;
		} else if (str_ieq(f.name, S("Content-Type")) && !part_out->has_type) {
			part_out->has_type = true;
			part_out->kind = read_type(f.value, part_out);
		} else if (str_ieq(f.name, S("Content-Type"))) {
			/* A second one: readers take the first or the last. That matters unless both are body parts. */
			if (read_type(f.value, &other) != MIME_BODY_PART || part_out->kind != MIME_BODY_PART) {
				part_out->kind = MIME_OPAQUE;
				part_out->opaque = "a part with two Content-Type fields";
			}
		}
	}
	/* RFC 2045 6.4: a container must have no encoding of its own. Readers treat one that has differently. */
	bool identity = part_out->encoding <= MIME_BINARY;
	if (!identity && (part_out->kind != MIME_BODY_PART || part_out->encoding == MIME_OTHER)) {
		part_out->opaque = part_out->opaque
					   ? part_out->opaque
					   : "a part whose Content-Transfer-Encoding is unknown, or is not allowed there";
		part_out->kind = MIME_OPAQUE;
	}
}
