/* node_print.c - see node.h. */
#include "columns.h"
#include "node.h"

#define SILENT_MS 3000 /* a node shows life each second */

static const struct column columns[] = { { "NODE", true },   { "HOST" },         { "STATE" },
					 { "SINCE", true },  { "SILENT", true }, { "IN FLIGHT", true },
					 { "SHARDS", true }, { "EPOCH", true },  { "" } };

static struct str number_text(struct arena *a, uint64_t n)
{
	return arena_printf(a, "%llu", (unsigned long long)n);
}

void node_print(FILE *out, struct arena *a, const struct rec_node_row *rows, size_t n, uint64_t now, unsigned width)
{
	struct columns table = { .arena = a, .of = columns, .n = sizeof columns / sizeof columns[0] };

	for (size_t i = 0; i < n; i++) {
		const struct rec_node_row *r = &rows[i];

		columns_row(&table, (struct str[]){ number_text(a, r->number), r->host, r->state, since_text(a, now, r->since),
						    r->silent_ms > SILENT_MS ? age_text(a, r->silent_ms) : S(""),
						    number_text(a, r->taken), number_text(a, r->shards), number_text(a, r->epoch),
						    r->self      ? S("this node")
						    : r->differs ? S("other configuration")
								 : S("") });
	}
	columns_print(&table, out, width);
}

json_t *node_json(const struct rec_node_row *r)
{
	return json_pack("{s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:b, s:b}", "number", (json_int_t)r->number, "host",
			 json_text(r->host), "state", json_text(r->state), "since", json_time(r->since), "silent_ms",
			 (json_int_t)r->silent_ms, "in_flight", (json_int_t)r->taken, "shards", (json_int_t)r->shards, "epoch",
			 (json_int_t)r->epoch, "self", (int)(r->self != 0), "config_differs", (int)(r->differs != 0));
}
