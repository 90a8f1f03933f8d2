/* entries.c - lists of DNS records that are to be published, and one record as a text. */
#include "records.h"

#define STRING_MAX 255 /* RFC 1035 3.3 */

struct dns_entry *dns_entries_add(struct dns_entries *list, const char *type, struct str name, struct str value)
{
	ARENA_GROW(list->arena, list->at, list->n, list->capacity);
	list->at[list->n] = (struct dns_entry){ .type = type, .name = name, .value = value };
	return &list->at[list->n++];
}

struct str dns_name_in(struct arena *a, struct str name, struct str origin)
{
	if (str_ieq(name, origin))
		return S("@");
	if (name.n > origin.n + 1 && str_iends(name, origin) && name.p[name.n - origin.n - 1] == '.')
		return str_head(name, name.n - origin.n - 1);
	return arena_printf(a, "%.*s.", STR_ARG(name));
}

/* One string in quotes. What a quoted string cannot have is escaped (RFC 1035 5.1). */
static void add_string(struct buf *out, struct str s)
{
	buf_add_char(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", c);
		else if (c < ' ' || c > '~')
			buf_printf(out, "\\%03u", c);
		else
			buf_add_char(out, (char)c);
	}
	buf_add_char(out, '"');
}

struct str_list dns_strings(struct arena *a, struct str text)
{
	struct str_list list = { ARENA_ARRAY(a, struct str, text.n / STRING_MAX + 1), 0 };

	do {
		struct buf b;

		buf_init(&b, 4 * STRING_MAX + 2);
		add_string(&b, str_head(text, STRING_MAX));
		list.at[list.n++] = arena_str(a, buf_view(&b));
		buf_fini(&b);
		text = str_from(text, STRING_MAX);
	} while (text.n > 0);
	return list;
}

struct str dns_value_text(struct arena *a, const struct dns_entry *e)
{
	struct str text = S("");
	struct str_list list;

	if (strcmp(e->type, "TXT") != 0)
		return e->value;
	list = dns_strings(a, e->value);
	for (size_t i = 0; i < list.n; i++)
		text = arena_printf(a, "%.*s%s%.*s", STR_ARG(text), i > 0 ? " " : "", STR_ARG(list.at[i]));
	return text;
}

struct str dns_entry_line(struct arena *a, const struct dns_entry *e)
{
	return arena_printf(a, "%.*s.  %s  %.*s", STR_ARG(e->name), e->type, STR_ARG(dns_value_text(a, e)));
}
