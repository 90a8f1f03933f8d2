/* encode.c - quoted-printable and base64 as streams, and repair of content that claims to be one of them but is not. */
#include "encode.h"

#include "text.h"

#include "posthouse/base64.h"

#define QP_LINE   75  /* RFC 2045 6.7 (5): 76 with the "=" of a soft line break */
#define MEND_LINE 900 /* where a line of quoted-printable text that is too long is divided */
#define MEND_MUST 990 /* the same when it is damaged: nothing but "=" */

void sink_put(struct sink *s, struct str bytes)
{
	if (s->out && !buf_add(s->out, bytes))
		s->full = true;
}

const char *encoding_name(enum encoding encoding)
{
	static const char *const names[] = { "7bit", "quoted-printable", "base64" };

	return names[encoding];
}

void encoder_init(struct encoder *e, enum encoding encoding)
{
	*e = (struct encoder){ .encoding = encoding };
}

/* RFC 2045 6.7 (2) and (3): a character that needs no encoding, unless it ends a line. */
static bool is_literal(char c)
{
	return (c >= ' ' && c <= '~' && c != '=') || c == '\t';
}

enum encoding encoding_choose(struct str sample)
{
	size_t quoted = 0, base64 = (sample.n + 2) / 3 * 4 + sample.n / BASE64_LINE * 2;

	for (size_t i = 0; i < sample.n; i++) {
		bool line_end = sample.p[i] == '\r' && i + 1 < sample.n && sample.p[i + 1] == '\n';
		quoted += line_end ? 2 : is_literal(sample.p[i]) ? 1 : 3;
		i += line_end;
	}
	return quoted <= base64 ? ENCODING_QP : ENCODING_BASE64;
}

static void escape(char out[3], char c)
{
	static const char hex[] = "0123456789ABCDEF";

	out[0] = '=';
	out[1] = hex[(unsigned char)c >> 4];
	out[2] = hex[(unsigned char)c & 15];
}

/* One character of content, after a soft line break if the line is full. */
static void put_character(struct encoder *e, struct sink *s, char c, bool literal)
{
	char text[3] = { c };
	size_t n = 1;

	if (e->column + (literal ? 1 : 3) > QP_LINE) {
		sink_put(s, S("=\r\n"));
		e->column = 0;
	}
	/* A line must not look like a delimiter (RFC 2046 5.1.1), nor like the first line of a message in a mailbox file.
	 * Here, since soft breaks make lines of their own. */
	if ((c == '-' && e->column == 1 && e->start[0] == '-') ||
	    (c == ' ' && e->column == 4 && memcmp(e->start, "From", 4) == 0))
		literal = false;
	if (!literal) {
		escape(text, c);
		n = 3;
	}
	for (size_t i = 0; i < n; i++, e->column++) {
		if (e->column < sizeof e->start)
			e->start[e->column] = text[i];
	}
	sink_put(s, str_make(text, n));
}

/* The space or tab that waits: as it is when something follows in its line. RFC 2045 6.7 (3). */
static void put_space(struct encoder *e, struct sink *s, bool literal)
{
	char c = e->space;

	e->space = '\0';
	if (c)
		put_character(e, s, c, literal);
}

static void put_quoted(struct encoder *e, struct sink *s, char c)
{
	if (e->cr && c == '\n') {
		e->cr = false;
		put_space(e, s, false);
		sink_put(s, S("\r\n"));
		e->column = 0;
		return;
	}
	if (e->cr || c != '\r')
		put_space(e, s, true);
	if (e->cr)
		put_character(e, s, '\r', false);
	e->cr = c == '\r';
	if (c == ' ' || c == '\t')
		e->space = c;
	else if (!e->cr)
		put_character(e, s, c, is_literal(c));
}

/* Write the held bytes as a line of base64. */
static void put_base64_line(struct encoder *e, struct sink *s)
{
	char line[(BASE64_LINE + 2) / 3 * 4];

	if (e->column > 0)
		sink_put(s, S("\r\n"));
	e->column = base64_write(line, str_make(e->held, e->held_n));
	sink_put(s, str_make(line, e->column));
	e->held_n = 0;
}

static void put_base64(struct encoder *e, struct sink *s, struct str bytes)
{
	while (bytes.n > 0) {
		struct str part = str_head(bytes, sizeof e->held - e->held_n);
		memcpy(e->held + e->held_n, part.p, part.n);
		e->held_n += part.n;
		bytes = str_from(bytes, part.n);
		if (e->held_n == sizeof e->held)
			put_base64_line(e, s);
	}
}

void encoder_put(struct encoder *e, struct sink *s, struct str bytes)
{
	switch (e->encoding) {
	case ENCODING_NONE: sink_put(s, bytes); break;
	case ENCODING_BASE64: put_base64(e, s, bytes); break;
	case ENCODING_QP:
		for (size_t i = 0; i < bytes.n; i++)
			put_quoted(e, s, bytes.p[i]);
		break;
	}
}

void encoder_end(struct encoder *e, struct sink *s, bool last)
{
	if (e->encoding == ENCODING_BASE64) {
		if (e->held_n > 0)
			put_base64_line(e, s);
		if (last && e->column > 0)
			sink_put(s, S("\r\n"));
	} else if (e->encoding == ENCODING_QP) {
		put_space(e, s, e->cr);
		if (e->cr)
			put_character(e, s, '\r', false);
		if (last && e->column > 0)
			sink_put(s, S("=\r\n")); /* a line break that is none: the content had none either */
	}
}

/* ---- mending ---- */

/* Divide the line once it is long; never within "=XX". */
static void mend_quoted(struct encoder *e, struct sink *s, char c)
{
	char text[3];

	if (e->column >= MEND_LINE && (e->escape == 0 || e->column >= MEND_MUST)) {
		sink_put(s, S("=\r\n"));
		e->column = 0;
	}
	e->escape = c == '=' ? 2 : e->escape > 0 && !is_unfit(c) ? e->escape - 1 : 0;
	/* a changed line must not look like a delimiter */
	if (is_unfit(c) || (c == '-' && e->column == 0)) {
		escape(text, c);
		sink_put(s, str_make(text, 3));
		e->column += 3;
	} else {
		sink_put(s, str_make(&c, 1));
		e->column++;
	}
}

static bool is_base64(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/' || c == '=';
}

static void mend_base64(struct encoder *e, struct sink *s, char c)
{
	if (!is_base64(c))
		return;
	if (e->column >= 76) {
		sink_put(s, S("\r\n"));
		e->column = 0;
	}
	sink_put(s, str_make(&c, 1));
	e->column++;
}

void encoder_mend(struct encoder *e, struct sink *s, struct str bytes, bool begins_line)
{
	if (begins_line)
		e->column = e->escape = 0;
	for (size_t i = 0; i < bytes.n; i++) {
		if (e->encoding == ENCODING_QP)
			mend_quoted(e, s, bytes.p[i]);
		else
			mend_base64(e, s, bytes.p[i]);
	}
}
