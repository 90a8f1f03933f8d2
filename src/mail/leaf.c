/* leaf.c - header sections and content of a conversion's output: what is encoded, how, and what then has to be said about it. */
#include "convert.h"

void section_write(struct convert *c, const struct additions *add)
{
	struct str rest = buf_view(&c->section);
	struct sink top = { .out = &c->top };
	struct sink *s = c->is_top ? &top : &c->sink;
	struct mime_field f;
	bool replaced = false;

	while (mime_take_field(&rest, &f)) {
		if (!add->encoding || !str_ieq(f.name, S("Content-Transfer-Encoding"))) {
			sink_put(s, f.whole);
			continue;
		}
		/* in its place; a second one goes */
		if (!replaced) {
			sink_put(s, f.name);
			sink_put(s, S(": "));
			sink_put(s, str_of(add->encoding));
			sink_put(s, S("\r\n"));
		}
		replaced = true;
	}
	if (add->version)
		sink_put(s, S("MIME-Version: 1.0\r\n"));
	if (add->charset) {
		sink_put(s, S("Content-Type: text/plain; charset="));
		sink_put(s, str_of(add->charset));
		sink_put(s, S("\r\n"));
	}
	if (add->encoding && !replaced && strcmp(add->encoding, "7bit") != 0) {
		sink_put(s, S("Content-Transfer-Encoding: "));
		sink_put(s, str_of(add->encoding));
		sink_put(s, S("\r\n"));
	}
	if (c->is_top) {
		sink_put(&c->sink, buf_view(&c->top));
		c->top_done = !c->looking;
		c->is_top = false;
	}
	/* A section that a line which is no field has ended gets its blank line only if the content changes. */
	if (c->blank || (add->encoding && strcmp(add->encoding, "7bit") != 0))
		sink_put(&c->sink, S("\r\n"));
}

const char *section_relabel(const struct convert *c)
{
	return c->part.encoding == MIME_8BIT || c->part.encoding == MIME_BINARY ? "7bit" : NULL;
}

/* What is known of the leaf's whole content; *all_out tells whether all of it is. */
static unsigned leaf_facts(const struct convert *c, bool complete, bool *all_out)
{
	*all_out = true;
	if (c->planned && c->leaf < c->plan.n)
		return (unsigned char)buf_view(&c->plan).p[c->leaf];
	*all_out = complete;
	unsigned facts = (c->utf8.has_8bit ? HAS_8BIT : 0) | (c->utf8.bad || (complete && c->utf8.missing) ? NOT_UTF8 : 0);
	return facts | (c->unfit || !complete ? NEEDS_ENCODING : 0);
}

/* The charset of a message that names none. RFC 1428: "unknown-8bit" where nobody can know. */
static const char *guess_charset(unsigned facts, bool all)
{
	if (all && !(facts & HAS_8BIT))
		return "us-ascii";
	return (facts & HAS_8BIT) && !(facts & NOT_UTF8) ? "utf-8" : "unknown-8bit";
}

/* Decide how the leaf is encoded, write its header and the sample. What is not known to be 7-bit to its end is encoded. */
static void decide(struct convert *c, bool complete)
{
	struct additions add = { .encoding = section_relabel(c) };
	enum encoding encoding = ENCODING_NONE;
	bool all;
	unsigned facts = leaf_facts(c, complete, &all);

	c->undecided = false;
	if (facts & NEEDS_ENCODING) {
		/* RFC 2045 6.7 (4): in what is no text, CRLF is no end of a line. */
		encoding = c->part.encoding == MIME_BINARY ? ENCODING_BASE64 : encoding_choose(buf_view(&c->sample));
		add.encoding = encoding_name(encoding);
		add.version = c->is_message && !c->part.has_version;
		if (c->is_message && !c->part.has_type)
			add.charset = guess_charset(facts, all);
		if (++c->encoded > ENCODED_MAX)
			convert_fail(
				c,
				S("too many parts of the message have 8-bit content, which the next mail server does not take"));
	}
	section_write(c, &add);
	encoder_init(&c->encoder, encoding);
	encoder_put(&c->encoder, &c->sink, buf_view(&c->sample));
	buf_clear(&c->sample);
}

/* Content of a leaf that is not encoded yet. */
static void leaf_content(struct convert *c, struct str bytes)
{
	struct str front = str_head(bytes, SAMPLE_MAX - c->sample.n);

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

void leaf_begin(struct convert *c)
{
	bool known_clean = c->planned && c->leaf < c->plan.n && !(buf_view(&c->plan).p[c->leaf] & NEEDS_ENCODING);

	c->place = IN_LEAF;
	c->pending_crlf = c->unfit = false;
	c->utf8 = (struct utf8_check){ 0 };
	c->mending = c->part.encoding == MIME_QP || c->part.encoding == MIME_BASE64;
	c->undecided = !c->mending;
	if (c->mending) {
		section_write(c, &(struct additions){ 0 });
		encoder_init(&c->encoder, c->part.encoding == MIME_QP ? ENCODING_QP : ENCODING_BASE64);
	} else if (known_clean) {
		decide(c, false);
	}
}

void leaf_piece(struct convert *c, const struct piece *p)
{
	bool unfit = p->unfit || p->is_long;

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
			leaf_content(c, S("\r\n"));
		leaf_content(c, p->bytes);
	}
	c->pending_crlf = p->has_crlf;
}

void leaf_end(struct convert *c, bool last)
{
	bool all;

	if (!c->mending) {
		if (last && c->pending_crlf) {
			leaf_content(c, S("\r\n"));
			c->pending_crlf = false;
		}
		if (c->undecided)
			decide(c, true);
		encoder_end(&c->encoder, &c->sink, last);
		if (c->looking) {
			unsigned facts = leaf_facts(c, true, &all);
			c->plan_needs = c->plan_needs || (facts & NEEDS_ENCODING);
			buf_add_char(&c->plan, (char)facts); /* without it, when the plan is full, the leaf is unknown */
		}
		c->leaf++;
	}
	if (c->pending_crlf)
		sink_put(&c->sink, S("\r\n"));
	c->pending_crlf = false;
}
