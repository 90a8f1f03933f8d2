/* send_header.c - the header section of a program's message: who is to get it, and what every message has. The relay corrects the
 * rest (RFC 6409 8); Date is the time at which the program has sent it, however long it waits in the drop directory. */
#include "send.h"

#include "posthouse/base64.h"
#include "posthouse/mail.h"
#include "posthouse/utf8.h"

#define NAME_MAX_BYTES 200 /* of a full name */
#define WORD_BYTES     42  /* of an encoded word (RFC 2047 2: at most 75 characters with what is around them) */

/* ---- lists of addresses ---- */

void send_list_add(struct arena *a, struct str_list *list, struct str text)
{
	if ((list->n & (list->n - 1)) == 0) { /* 0, or a power of two: the array is full */
		struct str *larger = ARENA_ARRAY(a, struct str, list->n ? 2 * list->n : 1);

		if (list->n > 0)
			memcpy(larger, list->at, list->n * sizeof *larger);
		list->at = larger;
	}
	list->at[list->n++] = text;
}

bool send_addresses(struct arena *a, struct str text, struct str_list *list)
{
	struct str_list found;

	if (!header_recipients(a, text, &found))
		return false;
	for (size_t i = 0; i < found.n; i++)
		send_list_add(a, list, arena_str(a, found.at[i])); /* the text is not needed any more */
	return true;
}

/* ---- recipients of fields ---- */

static bool is_any(struct str name, const struct str *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_ieq(name, names[i]))
			return true;
	return false;
}

/* The newest block of Resent- fields is the first: it ends at the first other field, or when a name comes again. *end_out is
 * behind it. Does it name recipients? */
static bool resent_block(const struct header *h, size_t *from_out, size_t *end_out)
{
	static const struct str names[] = { S("Resent-To"), S("Resent-Cc"), S("Resent-Bcc") };
	size_t from = 0, end;
	bool any = false;

	while (from < h->n && !str_istarts(h->fields[from].name, S("Resent-")))
		from++;
	for (end = from; end < h->n && str_istarts(h->fields[end].name, S("Resent-")); end++) {
		bool again = false;

		for (size_t i = from; i < end; i++)
			again |= str_ieq(h->fields[i].name, h->fields[end].name);
		if (again)
			break;
		any |= is_any(h->fields[end].name, names, 3);
	}
	*from_out = from;
	*end_out = end;
	return any;
}

static const char *field_recipients(struct arena *a, const struct header *h, struct str_list *recipients)
{
	static const struct str plain[] = { S("To"), S("Cc"), S("Bcc") };
	static const struct str resent[] = { S("Resent-To"), S("Resent-Cc"), S("Resent-Bcc") };
	size_t from, end;
	bool is_resent = resent_block(h, &from, &end);

	for (size_t i = is_resent ? from : 0; i < (is_resent ? end : h->n); i++) {
		const struct header_field *f = &h->fields[i];
		struct str value = str_trim(f->value);

		if (!is_any(f->name, is_resent ? resent : plain, 3) || value.n == 0 || send_addresses(a, f->value, recipients))
			continue;
		return arena_cstr(a, arena_printf(a, "the field %.*s is no list of addresses that can be read in one way: %.*s%s",
						  STR_ARG(f->name), STR_ARG(utf8_shown(a, str_head(value, 100))),
						  value.n > 100 ? "..." : ""));
	}
	return NULL;
}

/* ---- the section ---- */

const char *send_header(struct arena *a, struct str section, const struct send_header_wishes *wishes, struct str *section_out,
			struct str_list *recipients)
{
	static const struct str secret[] = { S("Bcc"), S("Resent-Bcc") };
	struct header h;
	struct verdict v = header_parse(a, section, &h);
	struct buf out;
	const char *fault = NULL;

	if (v.class != OK)
		return arena_cstr(a, v.text);
	if (wishes->recipients)
		fault = field_recipients(a, &h, recipients);
	buf_init(&out, section.n + wishes->author.n + 200);
	for (size_t i = 0; i < h.n; i++)
		if (!is_any(h.fields[i].name, secret, 2))
			buf_add(&out, h.fields[i].whole);
	if (!header_find(&h, S("From")) && wishes->author.n > 0)
		buf_printf(&out, "From: %.*s\r\n", STR_ARG(wishes->author));
	if (!header_find(&h, S("Date")))
		buf_printf(&out, "Date: %.*s\r\n", STR_ARG(mail_date(a, wishes->now_ms)));
	*section_out = arena_str(a, buf_view(&out));
	buf_fini(&out);
	return fault;
}

/* ---- the author ---- */

/* The bytes of whole characters at the front, at most `most`. */
static size_t whole_characters(struct str s, size_t most)
{
	size_t n = 0;
	uint32_t c;

	for (size_t length; n < s.n; n += length) {
		length = utf8_char(str_from(s, n), &c);
		if (length == 0 || n + length > most)
			break;
	}
	return n;
}

static void put_encoded(struct buf *b, struct str name)
{
	while (name.n > 0) {
		size_t n = whole_characters(name, WORD_BYTES);

		buf_add(b, S("=?utf-8?B?"));
		base64_add(b, str_head(name, n));
		buf_add(b, S("?= "));
		name = str_from(name, n);
	}
}

static void put_quoted(struct buf *b, struct str name)
{
	buf_add_char(b, '"');
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == '"' || name.p[i] == '\\')
			buf_add_char(b, '\\');
		buf_add_char(b, name.p[i]);
	}
	buf_add(b, S("\" "));
}

struct str send_author(struct arena *a, struct str name, struct str address)
{
	struct str clean = utf8_shown(a, str_trim(name)), author;
	struct buf b;

	clean = str_head(clean, whole_characters(clean, NAME_MAX_BYTES));
	if (clean.n == 0)
		return address;
	buf_init(&b, 16 * NAME_MAX_BYTES + address.n);
	if (str_is_ascii(clean))
		put_quoted(&b, clean);
	else
		put_encoded(&b, clean);
	buf_printf(&b, "<%.*s>", STR_ARG(address));
	author = arena_str(a, buf_view(&b));
	buf_fini(&b);
	return author;
}

struct str send_gecos_name(struct arena *a, struct str gecos, struct str user)
{
	struct str name = str_head(gecos, str_find(gecos, ',')), out = S("");

	for (size_t at; name.n > 0; name = str_from(name, at + 1)) {
		at = str_find(name, '&');
		out = arena_printf(a, "%.*s%.*s", STR_ARG(out), STR_ARG(str_head(name, at)));
		if (at < name.n && user.n > 0)
			out = arena_printf(a, "%.*s%c%.*s", STR_ARG(out),
					   user.p[0] >= 'a' && user.p[0] <= 'z' ? user.p[0] - 32 : user.p[0],
					   STR_ARG(str_from(user, 1)));
	}
	return out;
}
