/* print_records.c - DNS records to publish, in the form that was asked for: `init`, `dkim show`. */
#include "cli.h"

#include "posthouse/units.h"

#include <stdio.h>

static const char *const formats[] = {
	[RECORDS_ZONE] = "zone", [RECORDS_TABLE] = "table", [RECORDS_ROUTE53] = "route53", [RECORDS_JSON] = "json"
};

bool records_format_find(const char *word, enum records_format *format_out)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (strcmp(formats[i], word) == 0) {
			*format_out = (enum records_format)i;
			return true;
		}
	return false;
}

static json_t *record_json(const struct dns_entry *e)
{
	static const char *const states[] = { [ENTRY_MISSING] = "missing",
					      [ENTRY_CHANGED] = "changed",
					      [ENTRY_GOOD] = "good",
					      [ENTRY_ADVICE] = "advice",
					      [ENTRY_ELSEWHERE] = "elsewhere" };

	return json_pack("{s:s, s:o, s:o, s:i, s:s, s:o, s:o}", "type", e->type, "name", json_text(e->name), "value",
			 json_text(e->value), "ttl", (int)e->ttl, "state", states[e->state], "was",
			 e->was.n > 0 ? json_text(e->was) : json_null(), "comment", json_text(e->comment));
}

void print_records(const struct dns_entries *list, struct str origin, struct str title, enum records_format format)
{
	struct buf b;

	if (format == RECORDS_JSON) {
		for (size_t i = 0; i < list->n; i++)
			json_print_document("record", record_json(&list->at[i]));
		json_end(list->n, false);
		return;
	}
	buf_init(&b, MIB);
	if (format == RECORDS_ZONE)
		dns_write_zone(&b, list, origin, title);
	else if (format == RECORDS_TABLE)
		dns_write_table(&b, list, origin);
	else
		dns_write_route53(&b, list);
	fwrite(b.p + b.from, 1, b.n, stdout);
	buf_fini(&b);
}
