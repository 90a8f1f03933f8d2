/* own_from.c - the header section of a message for a provider that takes mail only from the address of its account. */
#include "ascii.h"
#include "author.h"
#include "mime.h"

#define LINE_WANTED 78 /* RFC 5322 2.1.1 */

/* A mailbox whose name is its address as words, "alice at example.org" <alice@example.org>; "" when there is none. */
static struct str named_by_address(struct arena *a, struct str value)
{
	struct str_list addresses;
	struct str first;
	size_t at;

	if (!header_addresses(a, value, &addresses) || addresses.n == 0)
		return S("");
	first = addresses.at[0];
	at = str_rfind(first, '@');
	if (at == first.n || str_find(first, '"') < first.n || str_find(first, '\\') < first.n)
		return S("");
	return arena_printf(a, " \"%.*s at %.*s\" <%.*s>", (int)at, first.p, STR_ARG(str_from(first, at + 1)), STR_ARG(first));
}

/* From with the new address, and the name that a person knows the first author by. */
static struct str own_value(struct arena *a, struct str value, struct str address)
{
	const struct fixup_input in = { .domain = S("") };
	struct str named = author_with(a, &in, value, address), other;

	if (!str_eq(str_trim(named), address))
		return named;
	other = named_by_address(a, value);
	return other.n > 0 ? author_with(a, &in, other, address) : named;
}

static bool is_only(struct arena *a, struct str value, struct str address)
{
	struct str_list one;

	return header_addresses(a, value, &one) && one.n == 1 && str_ieq(one.at[0], address);
}

static void put_field(struct arena *a, struct buf *b, const char *name, struct str value)
{
	struct header_field f = field_make(a, str_of(name), value);

	f.whole = fold_at(a, f.whole, LINE_WANTED, FOLD_OUTSIDE);
	buf_add(b, f.whole);
}

static void put_from(struct arena *a, struct buf *b, const struct mime_field *f, struct str address, bool has_reply_to)
{
	struct str value = str_from(f->whole, str_find(f->whole, ':') + 1);
	struct str_list authors;

	if (str_ends(value, S("\r\n")))
		value.n -= 2;
	if (is_only(a, value, address)) {
		buf_add(b, f->whole);
		return;
	}
	put_field(a, b, "From", own_value(a, value, address));
	if (!has_reply_to && header_addresses(a, value, &authors) && authors.n > 0)
		put_field(a, b, "Reply-To", value);
}

struct str own_from(struct arena *a, struct str section, struct str address)
{
	bool has_reply_to = false, has_from = false;
	struct str rest = section, result;
	struct mime_field f;
	struct buf b;

	while (mime_take_field(&rest, &f))
		has_reply_to = has_reply_to || str_ieq(f.name, S("Reply-To"));
	buf_init(&b, 2 * HEADER_MAX);
	for (rest = section; mime_take_field(&rest, &f);) {
		bool is_from = str_ieq(f.name, S("From"));

		if (is_from && !has_from)
			put_from(a, &b, &f, address, has_reply_to);
		else if (!is_from && !(str_ieq(f.name, S("Sender")) && !is_only(a, f.value, address)))
			buf_add(&b, f.whole);
		has_from = has_from || is_from;
	}
	if (!has_from)
		put_field(a, &b, "From", arena_printf(a, " %.*s", STR_ARG(address)));
	result = arena_str(a, buf_view(&b));
	buf_fini(&b);
	return result;
}
