/* forms.c - records as the forms of registrars and DNS hosts want them, one field at a time. */
#include "records.h"

/* Names in a value without the final dot: forms add it by themselves. */
static struct str form_value(const struct dns_entry *e)
{
	bool dot = strcmp(e->type, "TXT") != 0 && str_ends(e->value, S("."));

	return dot && e->value.n > 1 && e->value.p[e->value.n - 2] != ' ' ? str_head(e->value, e->value.n - 1) : e->value;
}

static void add_remark(struct buf *out, const struct dns_entry *e)
{
	if (e->state == ENTRY_CHANGED)
		buf_printf(out, "       replaces: %.*s\n", STR_ARG(e->was));
	else if (e->comment.n > 0)
		buf_printf(out, "       %.*s\n", STR_ARG(e->comment));
}

static void add_others(struct buf *out, struct arena *a, const struct dns_entries *list)
{
	static const char *const words[] = { [ENTRY_GOOD] = "Good already", [ENTRY_ADVICE] = "Advice" };

	for (size_t i = 0; i < list->n; i++) {
		const struct dns_entry *e = &list->at[i];

		if (e->state == ENTRY_ELSEWHERE)
			buf_printf(out, "\nAt the owner of the address, not here: %.*s -> %.*s\n", STR_ARG(e->name),
				   STR_ARG(e->value));
		else if (e->state > ENTRY_CHANGED)
			buf_printf(out, "\n%s: %.*s%s%.*s%s\n", words[e->state], STR_ARG(dns_entry_line(a, e)),
				   e->comment.n ? " (" : "", STR_ARG(e->comment), e->comment.n ? ")" : "");
	}
}

void dns_write_table(struct buf *out, const struct dns_entries *list, struct str origin)
{
	struct arena a = { 0 };

	buf_printf(out, "%-6s %s\n%s\n       %s\n", "type", "name in the form", "value", "name in full, for forms that want it");
	for (size_t i = 0; i < list->n; i++) {
		const struct dns_entry *e = &list->at[i];

		if (e->state > ENTRY_CHANGED)
			continue;
		buf_printf(out, "\n%-6s %.*s\n%.*s\n       %.*s\n", e->type, STR_ARG(dns_name_in(&a, e->name, origin)),
			   STR_ARG(form_value(e)), STR_ARG(e->name));
		add_remark(out, e);
	}
	add_others(out, &a, list);
	arena_fini(&a);
}

static bool same_set(const struct dns_entry *a, const struct dns_entry *b)
{
	return a->state <= ENTRY_CHANGED && b->state <= ENTRY_CHANGED && strcmp(a->type, b->type) == 0 &&
	       str_ieq(a->name, b->name);
}

void dns_write_route53(struct buf *out, const struct dns_entries *list)
{
	struct arena a = { 0 };

	for (size_t i = 0; i < list->n; i++) {
		const struct dns_entry *e = &list->at[i];
		bool first = e->state <= ENTRY_CHANGED;

		for (size_t k = 0; k < i; k++)
			first = first && !same_set(&list->at[k], e);
		if (!first)
			continue;
		buf_printf(out, "%s%.*s  %s  %u\n", out->n ? "\n" : "", STR_ARG(e->name), e->type, e->ttl);
		for (size_t k = i; k < list->n; k++)
			if (same_set(&list->at[k], e))
				buf_printf(out, "%.*s\n", STR_ARG(dns_value_text(&a, &list->at[k])));
		add_remark(out, e);
	}
	add_others(out, &a, list);
	arena_fini(&a);
}
