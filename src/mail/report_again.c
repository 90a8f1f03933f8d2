/* report_again.c - changes a report or notification that a next hop has refused: less of the original, text of 7 bits, another
 * author. Its form is known, since report.c or notification.c has written it. */
#include "report.h"

#include "lines.h"
#include "text.h"

#include "posthouse/id.h"

/* A part of the report between two delimiters: from its header section to before the CRLF that belongs to the next delimiter. */
static bool take_part(struct str *rest, struct str delimiter, struct str *part_out)
{
	size_t from = str_search(*rest, delimiter), to;

	if (from == rest->n)
		return false;
	*rest = str_from(*rest, from + delimiter.n);
	if (!str_starts(*rest, S("\r\n")))
		return false; /* the last delimiter */
	*rest = str_from(*rest, 2);
	to = str_search(*rest, delimiter);
	*part_out = str_head(*rest, to);
	return true;
}

/* The words for people, without the sentence about the other parts. */
static void put_words(struct buf *out, struct str part, bool with_header)
{
	size_t at = str_search(part, S(REPORT_OTHER_PARTS)), next = at;

	/* the last one: words before it can be foreign text */
	for (; next < part.n; next += 1 + str_search(str_from(part, next + 1), S(REPORT_OTHER_PARTS)))
		at = next;
	lines_put(out, str_head(part, at));
	lines_wrap(out, "", "",
		   with_header ? S(REPORT_OTHER_PARTS " The last one is your message's header.")
			       : S(REPORT_OTHER_PARTS " Your message is not returned: it was refused in a report."));
	lines_put(out, S("\r\n"));
}

/* The returned part without the body. */
static void put_returned_header(struct buf *out, struct str part)
{
	struct str section = str_from(part, str_search(part, S("\r\n\r\n")) + 4);
	bool is_utf8 = str_search(part, S("message/global")) < str_search(part, S("\r\n"));
	struct str description = S("Content-Description: Your message's header\r\n");

	section = str_head(section, str_search(section, S("\r\n\r\n")) + 2);
	lines_put(out, is_utf8 ? S("Content-Type: message/global-headers\r\n") : S("Content-Type: text/rfc822-headers\r\n"));
	lines_put(out, description);
	lines_put(out, str_is_ascii(section) ? S("\r\n") : S("Content-Transfer-Encoding: 8bit\r\n\r\n"));
	lines_put(out, section);
}

/* The report with at most its header section returned. */
static struct str shorten(struct arena *a, struct str delimiter, struct str body, bool with_header)
{
	struct str part;
	struct buf out;

	buf_init(&out, SIZE_MAX / 2);
	for (size_t n = 0; n < (with_header ? 3 : 2) && take_part(&body, delimiter, &part); n++) {
		lines_put(&out, delimiter);
		lines_put(&out, S("\r\n"));
		if (n == 0)
			put_words(&out, part, with_header);
		else if (n == 1)
			lines_put(&out, part);
		else
			put_returned_header(&out, part);
	}
	lines_printf(&out, "%s%.*s--", str_ends(buf_view(&out), S("\r\n")) ? "" : "\r\n", STR_ARG(delimiter));
	struct str shorter = arena_str(a, buf_view(&out));
	buf_fini(&out);
	return shorter;
}

/* The header section, with other fields where they must be others. */
static struct str write_header(struct arena *a, const struct again_input *in)
{
	char id[ID_TEXT_MAX];
	struct header h;
	struct buf out;

	if (header_parse(a, in->header, &h).class != OK)
		return in->header;
	buf_init(&out, SIZE_MAX / 2);
	for (size_t i = 0; i < h.n; i++) {
		if (str_ieq(h.fields[i].name, S("From")))
			lines_printf(&out, "From: Mail Delivery System <%.*s>", STR_ARG(in->from));
		else if (str_ieq(h.fields[i].name, S("Date")))
			lines_printf(&out, "Date: %.*s", STR_ARG(mail_date(a, in->now_ms)));
		else if (str_ieq(h.fields[i].name, S("Message-ID")))
			lines_printf(&out, "Message-ID: <%s@%.*s>", id_format(in->id, id), STR_ARG(in->hostname));
		else
			lines_put(&out, h.fields[i].whole);
	}
	struct str header = arena_str(a, buf_view(&out));
	buf_fini(&out);
	return header;
}

/* Convert all to 7 bits; false, without a change, when an address cannot be converted. */
static bool to_seven_bits(struct arena *a, struct str *header, struct str *body)
{
	struct str text = arena_printf(a, "%.*s\r\n%.*s", STR_ARG(*header), STR_ARG(*body));
	struct downgrade *c = downgrade_new(DOWNGRADE_7BIT, SIZE_MAX / 2);
	struct buf out;

	buf_init(&out, SIZE_MAX / 2);
	struct verdict v = downgrade_feed(c, text, &out);
	if (v.class == OK)
		v = downgrade_end(c, &out);
	if (v.class == OK) {
		*header = arena_str(a, downgrade_header(c));
		*body = arena_str(a, str_from(buf_view(&out), header->n + 2));
	}
	buf_fini(&out);
	downgrade_free(c);
	return v.class == OK;
}

/* "--" and the boundary; "" for what is no multipart: a notice. */
static struct str find_delimiter(struct arena *a, struct str header)
{
	size_t at = str_search(header, S("boundary=\""));
	struct str rest = str_from(header, at + strlen("boundary=\""));

	if (at == header.n)
		return S("");
	return arena_printf(a, "--%.*s", STR_ARG(str_head(rest, str_find(rest, '"'))));
}

void mail_report_again(struct arena *a, const struct again_input *in, struct str *header_out, struct str *body_out,
		       bool *is_8bit_out)
{
	struct str delimiter = find_delimiter(a, in->header);

	*header_out = write_header(a, in);
	*body_out = in->body;
	if (in->returns != AGAIN_ALL && delimiter.n > 0)
		*body_out = shorten(a, delimiter, in->body, in->returns == AGAIN_HEADER);
	if (in->returns != AGAIN_ALL)
		to_seven_bits(a, header_out, body_out);
	*is_8bit_out = !str_is_ascii(*header_out) || !str_is_ascii(*body_out);
}
