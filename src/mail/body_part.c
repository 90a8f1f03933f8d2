/* body_part.c - writes header sections and content of a downgraded text: chooses the encoding, and labels it. */
#include "downgrade.h"

#include "ascii.h"

#include "posthouse/utf8.h"

void downgrade_fail(struct downgrade *c, struct str why)
{
	if (c->failure.class == OK)
		c->failure = perm(554, S("5.6.3"), arena_str(&c->reason, why));
}

static void fail_address(struct downgrade *c, struct str field, struct str address)
{
	if (c->failure.class == OK)
		c->failure = perm(550, S("5.6.7"),
				  arena_printf(&c->reason,
					       "the address <%.*s> in the field %.*s needs SMTPUTF8, which the next mail "
					       "server lacks",
					       STR_ARG(text_clean(&c->reason, address, 300)), STR_ARG(str_head(field, 100))));
}

/* A line that is no field: the "From " line of a mailbox file before an inner message, which has no meaning here. */
static void put_mark(struct downgrade *c, struct sink *s, struct str line)
{
	bool ends = str_ends(line, S("\r\n"));

	line.n -= ends ? 2 : 0;
	for (size_t i = 0; i < line.n && !(i == TEXT_LINE_MAX && (c->what & DOWNGRADE_LINES)); i++)
		sink_put(s, is_unfit(line.p[i]) && (c->what & DOWNGRADE_7BIT) ? S("?") : str_make(line.p + i, 1));
	sink_put(s, ends ? S("\r\n") : S(""));
}

/* A damaged character must not change the structure that a Content-Type describes. */
static bool reads_alike(struct str before, struct str after)
{
	struct mime_part a, b;

	mime_read(before, MIME_BODY_PART, &a);
	mime_read(after, MIME_BODY_PART, &b);
	return a.kind == b.kind && str_eq(str_make(a.boundary, a.boundary_n), str_make(b.boundary, b.boundary_n));
}

/* A field as the next mail server takes it. In an inner message an address can lose its meaning, since nothing is delivered to
 * it. */
static void put_field(struct downgrade *c, struct sink *s, const struct mime_field *f)
{
	unsigned what = (c->what & DOWNGRADE_HEADERS ? ASCII_8BIT : 0) | (c->what & DOWNGRADE_LINES ? ASCII_LONG : 0);
	struct str whole = f->whole, address = S("");

	if (f->name.n == 0) {
		put_mark(c, s, whole);
		return;
	}
	if (field_to_ascii(&c->arena, what, f->name, f->whole, &whole, c->is_top ? &address : NULL) &&
	    !reads_alike(f->whole, whole))
		whole = f->whole;
	if (address.n > 0)
		fail_address(c, f->name, address);
	else if ((c->what & DOWNGRADE_7BIT) && field_is_odd(whole))
		downgrade_fail(
			c, arena_printf(&c->arena,
					"the next mail server takes no 8-bit text, and the field %.*s has some that cannot be "
					"written otherwise",
					STR_ARG(str_head(f->name, 100))));
	sink_put(s, whole);
}

static void put_line(struct sink *s, struct str begin, const char *rest)
{
	sink_put(s, begin);
	sink_put(s, str_of(rest));
	sink_put(s, S("\r\n"));
}

void section_write(struct downgrade *c, const struct additions *add)
{
	struct str rest = buf_view(&c->section);
	struct sink top = { .out = &c->top };
	struct sink *s = c->is_top ? &top : &c->sink;
	struct mime_field f;
	bool replaced = false;

	while (mime_take_field(&rest, &f)) {
		if (add->raw) {
			sink_put(s, f.whole);
			continue;
		}
		if (!add->encoding || !str_ieq(f.name, S("Content-Transfer-Encoding"))) {
			put_field(c, s, &f);
			continue;
		}
		if (!replaced) { /* in its place; a second one is removed */
			sink_put(s, f.name);
			put_line(s, S(": "), add->encoding);
		}
		replaced = true;
	}
	arena_reset(&c->arena);
	if (add->version)
		sink_put(s, S("MIME-Version: 1.0\r\n"));
	if (add->charset)
		put_line(s, S("Content-Type: text/plain; charset="), add->charset);
	if (add->encoding && !replaced && strcmp(add->encoding, "7bit") != 0)
		put_line(s, S("Content-Transfer-Encoding: "), add->encoding);
	if (c->is_top) {
		if (c->top.n > DOWNGRADED_HEADER_MAX)
			downgrade_fail(c,
				       S("the header section is too large for the next mail server, which takes no UTF-8 in it"));
		sink_put(&c->sink, buf_view(&c->top));
		c->top_done = true;
		c->is_top = false;
	}
	/* When a line that is no field has ended the section, a blank line is added only if the content changes. */
	if (c->blank || (add->encoding && strcmp(add->encoding, "7bit") != 0))
		sink_put(&c->sink, S("\r\n"));
}

const char *section_relabel(const struct downgrade *c)
{
	if (!(c->what & DOWNGRADE_7BIT))
		return NULL;
	return c->part.encoding == MIME_8BIT || c->part.encoding == MIME_BINARY ? "7bit" : NULL;
}

/* What is known of the content; of all of it when it is `complete`. */
static unsigned body_part_facts(const struct downgrade *c, bool complete)
{
	unsigned facts = (c->utf8.has_8bit ? HAS_8BIT : 0) | (c->utf8.bad || (complete && c->utf8.missing) ? NOT_UTF8 : 0);

	if (!(c->what & (DOWNGRADE_7BIT | DOWNGRADE_LINES)))
		return 0;
	return facts | (c->unfit || !complete ? NEEDS_ENCODING : 0);
}

/* The charset of a message that names none; RFC 1428: "unknown-8bit" if it cannot be known. */
static const char *guess_charset(unsigned facts, bool complete)
{
	if (complete && !(facts & HAS_8BIT))
		return "us-ascii";
	return (facts & HAS_8BIT) && !(facts & NOT_UTF8) ? "utf-8" : "unknown-8bit";
}

/* Decide how the body part is encoded, write its header and the sample. What is not known to be 7-bit to its end is encoded. */
static void decide(struct downgrade *c, bool complete)
{
	struct additions add = { .encoding = section_relabel(c) };
	enum encoding encoding = ENCODING_NONE;
	unsigned facts = body_part_facts(c, complete);

	c->undecided = false;
	if (facts & NEEDS_ENCODING) {
		/* RFC 2045 6.7 (4): outside of text CRLF does not end a line. Where 8-bit text is allowed, only long lines
		 * are the problem, and text stays as readable as possible. */
		if (c->part.encoding == MIME_BINARY)
			encoding = ENCODING_BASE64;
		else if (c->part.is_text && !(c->what & DOWNGRADE_7BIT))
			encoding = ENCODING_QP;
		else
			encoding = encoding_choose(str_head(buf_view(&c->sample), DOWNGRADE_SAMPLE));
		add.encoding = encoding_name(encoding);
		add.version = c->is_message && !c->part.has_version;
		if (c->is_message && !c->part.has_type)
			add.charset = guess_charset(facts, complete);
		if (++c->encoded > ENCODED_MAX)
			downgrade_fail(c, S("too many parts of the message have 8-bit content or long lines, which the next "
					    "mail server does not take"));
	}
	section_write(c, &add);
	encoder_init(&c->encoder, encoding);
	encoder_put(&c->encoder, &c->sink, buf_view(&c->sample));
	buf_clear(&c->sample);
}

/* Content of a body part that has no encoding so far. */
static void body_part_content(struct downgrade *c, struct str bytes)
{
	struct str front = str_head(bytes, c->sample_max - c->sample.n);

	utf8_check_feed(&c->utf8, bytes);
	if (c->undecided) {
		buf_add(&c->sample, front);
		bytes = str_from(bytes, front.n);
		if (bytes.n == 0)
			return;
		decide(c, false);
	}
	encoder_put(&c->encoder, &c->sink, bytes);
}

void body_part_begin(struct downgrade *c)
{
	c->place = IN_BODY_PART;
	c->pending_crlf = c->unfit = false;
	c->utf8 = (struct utf8_check){ 0 };
	c->mending = c->part.encoding == MIME_QP || c->part.encoding == MIME_BASE64;
	c->undecided = !c->mending;
	if (c->mending) {
		section_write(c, &(struct additions){ 0 });
		encoder_init(&c->encoder, c->part.encoding == MIME_QP ? ENCODING_QP : ENCODING_BASE64);
	} else if (!(c->what & (DOWNGRADE_7BIT | DOWNGRADE_LINES))) {
		decide(c, false);
	}
}

void body_part_piece(struct downgrade *c, const struct piece *p)
{
	bool unfit = piece_is_unfit(c, p);

	if (c->mending) {
		if (c->pending_crlf)
			sink_put(&c->sink, S("\r\n"));
		if (unfit)
			encoder_mend(&c->encoder, &c->sink, p->bytes, p->begins);
		else
			sink_put(&c->sink, p->bytes);
	} else {
		c->unfit = c->unfit || unfit;
		if (c->pending_crlf)
			body_part_content(c, S("\r\n"));
		body_part_content(c, p->bytes);
	}
	c->pending_crlf = p->has_crlf;
}

void body_part_end(struct downgrade *c, bool last)
{
	if (!c->mending) {
		if (last && c->pending_crlf) {
			body_part_content(c, S("\r\n"));
			c->pending_crlf = false;
		}
		if (c->undecided)
			decide(c, true);
		encoder_end(&c->encoder, &c->sink, last);
	}
	if (c->pending_crlf)
		sink_put(&c->sink, S("\r\n"));
	c->pending_crlf = false;
}
