/* zone.c - records as a zone file (RFC 1035 5), to be included in a zone or copied into one. */
#include "records.h"

#define NAME_COLUMN 22
#define TYPE_COLUMN 7

static size_t name_column(struct arena *a, const struct dns_entries *list, struct str origin)
{
	size_t column = NAME_COLUMN;

	for (size_t i = 0; i < list->n; i++) {
		size_t n = dns_name_in(a, list->at[i].name, origin).n;

		if (list->at[i].state <= ENTRY_CHANGED && n + 2 > column)
			column = n + 2;
	}
	return column;
}

/* A comment cannot go on in the next line. */
static void add_comment(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.n; i++)
		buf_add_char(out, (unsigned char)text.p[i] < ' ' ? ' ' : text.p[i]);
}

/* A text that is longer than one string: the strings below each other, in parentheses. */
static void add_strings(struct buf *out, const struct str_list *list, size_t column)
{
	for (size_t i = 0; i < list->n; i++) {
		bool last = i + 1 == list->n;

		buf_printf(out, "%*s%s%.*s%s", i > 0 ? (int)column : 0, "", i > 0 ? "  " : "( ", STR_ARG(list->at[i]),
			   last ? " )" : "");
		if (i == 0 || last)
			buf_printf(out, "   ; %s", last ? "resolvers join them" : "255 bytes at most each,");
		buf_add_char(out, '\n');
	}
}

static void add_record(struct buf *out, struct arena *a, const struct dns_entry *e, struct str origin, size_t column)
{
	struct str name = dns_name_in(a, e->name, origin);
	struct str_list strings = { NULL, 0 };

	if (e->state == ENTRY_CHANGED) {
		buf_add(out, S("; your record was: "));
		add_comment(out, dns_value_text(a, &(struct dns_entry){ .type = e->type, .value = e->was }));
		buf_add(out, S("; replace it, do not add a second one\n"));
	}
	buf_printf(out, "%-*.*s%-*s", (int)column, STR_ARG(name), TYPE_COLUMN, e->type);
	if (strcmp(e->type, "TXT") == 0)
		strings = dns_strings(a, e->value);
	if (strings.n > 1) {
		add_strings(out, &strings, column + TYPE_COLUMN);
		return;
	}
	buf_add(out, dns_value_text(a, e));
	if (e->comment.n > 0) {
		buf_add(out, S("      ; "));
		add_comment(out, e->comment);
	}
	buf_add_char(out, '\n');
}

/* What is not to be published here, in words. */
static void add_note(struct buf *out, struct arena *a, const struct dns_entry *e, struct str origin)
{
	struct str name = dns_name_in(a, e->name, origin), value = dns_value_text(a, e);

	if (e->state == ENTRY_ELSEWHERE) {
		buf_printf(out, "; at the owner of the address, not here:  %.*s -> %.*s\n", STR_ARG(e->name), STR_ARG(e->value));
		return;
	}
	buf_add(out, e->state == ENTRY_GOOD ? S("; good: ") : S("; advice: "));
	if (!str_eq(name, S("@")))
		buf_printf(out, "%.*s ", STR_ARG(name));
	buf_printf(out, "%s ", e->type);
	add_comment(out, value);
	if (e->comment.n > 0) {
		buf_add(out, S("   ("));
		add_comment(out, e->comment);
		buf_add_char(out, ')');
	}
	buf_add_char(out, '\n');
}

void dns_write_zone(struct buf *out, const struct dns_entries *list, struct str origin, struct str title)
{
	struct arena a = { 0 };
	size_t column = name_column(&a, list, origin);
	unsigned ttl = 0;

	for (size_t i = 0; i < list->n && ttl == 0; i++)
		ttl = list->at[i].ttl;
	buf_printf(out, "; %.*s - %.*s.", STR_ARG(origin), STR_ARG(title));
	if (ttl > 0)
		buf_printf(out, " TTL %u while you try:\n; raise it to 3600 when `posthouse doctor` is content.", ttl);
	buf_printf(out, "\n$ORIGIN %.*s.\n", STR_ARG(origin));
	if (ttl > 0)
		buf_printf(out, "$TTL %u\n", ttl);
	for (size_t i = 0; i < list->n; i++)
		if (list->at[i].state <= ENTRY_CHANGED)
			add_record(out, &a, &list->at[i], origin, column);
		else
			add_note(out, &a, &list->at[i], origin);
	arena_fini(&a);
}
