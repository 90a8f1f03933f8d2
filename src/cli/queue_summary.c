/* queue_summary.c - `posthouse queue summary`: what waits, by destination and age. */
#include "columns.h"
#include "queue.h"

#include "posthouse/clock.h"
#include "posthouse/hashtable.h"
#include "posthouse/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

struct destination {
	struct hashtable_item node;
	const char *name;
	struct summary_row row;
};

struct summary {
	struct arena arena;
	struct hashtable by_name;
	struct destination **all;
	size_t n, capacity;
};

/* ---- adding the pages ---- */

static struct destination *destination_for(struct summary *sum, struct str name)
{
	struct destination *d = HASHTABLE_NAMED(&sum->by_name, name, struct destination, node, name);

	if (d)
		return d;
	d = ARENA_NEW(&sum->arena, struct destination);
	d->name = arena_cstr(&sum->arena, name);
	hashtable_add(&sum->by_name, &d->node, hash_text(name));
	ARRAY_GROW(sum->all, sum->n, sum->capacity);
	sum->all[sum->n++] = d;
	return d;
}

static void add(struct summary *sum, const struct rec_summary_row *r)
{
	const uint64_t ages[SUMMARY_AGES] = { r->age0, r->age1, r->age2, r->age3, r->age4, r->age5 };
	struct summary_row *to = &destination_for(sum, r->destination)->row;

	to->recipients += r->recipients;
	to->held += r->held;
	for (size_t i = 0; i < SUMMARY_AGES; i++)
		to->ages[i] += ages[i];
	if (to->oldest_at == 0 || r->oldest_at < to->oldest_at)
		to->oldest_at = r->oldest_at;
	if (r->reply_at > to->reply_at) {
		to->reply_at = r->reply_at;
		to->reply = arena_str(&sum->arena, r->reply);
	}
}

/* Most recipients first. */
static int compare(const void *one, const void *other)
{
	const struct destination *a = *(struct destination *const *)one, *b = *(struct destination *const *)other;

	if (a->row.recipients != b->row.recipients)
		return a->row.recipients < b->row.recipients ? 1 : -1;
	return strcmp(a->name, b->name);
}

/* ---- printing ---- */

static const struct column columns[] = { { "RECIPIENTS FOR" }, { "ALL", true },   { "<5m", true },
					 { "<20m", true },     { "<1h", true },   { "<4h", true },
					 { "<1d", true },      { "OLDER", true }, { "OLDEST", true } };

static void add_counts(struct columns *table, struct str name, const struct summary_row *r, uint64_t now)
{
	struct str cells[3 + SUMMARY_AGES] = { name, arena_printf(table->arena, "%llu", (unsigned long long)r->recipients) };

	for (size_t i = 0; i < SUMMARY_AGES; i++)
		cells[2 + i] = arena_printf(table->arena, "%llu", (unsigned long long)r->ages[i]);
	cells[2 + SUMMARY_AGES] = since_text(table->arena, now, r->oldest_at);
	columns_row(table, cells);
	if (r->held)
		columns_text(table, 4, arena_printf(table->arena, "%llu of these are held", (unsigned long long)r->held));
	if (r->reply.n)
		columns_text(table, 4, arena_printf(table->arena, "last answer: %.*s", STR_ARG(str_head(r->reply, 62))));
}

static void print_all(struct summary *sum, uint64_t now)
{
	struct columns table = { .arena = &sum->arena, .of = columns, .n = sizeof columns / sizeof columns[0] };
	struct summary_row total = { .recipients = 0 };

	if (sum->n == 0) {
		printf("nothing waits\n");
		return;
	}
	for (size_t i = 0; i < sum->n; i++) {
		const struct summary_row *r = &sum->all[i]->row;
		struct str name = str_of(sum->all[i]->name);

		add_counts(&table, str_eq(name, S("*")) ? S("(other domains)") : name, r, now);
		total.recipients += r->recipients;
		for (size_t k = 0; k < SUMMARY_AGES; k++)
			total.ages[k] += r->ages[k];
		if (total.oldest_at == 0 || r->oldest_at < total.oldest_at)
			total.oldest_at = r->oldest_at;
	}
	add_counts(&table, S("TOTAL"), &total, now);
	columns_print(&table, stdout, terminal_width());
	printf("More: posthouse queue list --destination %s\n", sum->all[0]->name);
}

static void print_json(const struct summary *sum)
{
	for (size_t i = 0; i < sum->n; i++) {
		const struct summary_row *r = &sum->all[i]->row;
		json_t *ages = json_array();

		for (size_t k = 0; k < SUMMARY_AGES; k++)
			json_array_append_new(ages, json_integer((json_int_t)r->ages[k]));
		json_print_document("destination",
				    json_pack("{s:o, s:I, s:I, s:o, s:o, s:o, s:o}", "destination",
					      json_text(str_of(sum->all[i]->name)), "recipients", (json_int_t)r->recipients,
					      "held", (json_int_t)r->held, "ages", ages, "oldest_at", json_time(r->oldest_at),
					      "reply", json_text(r->reply), "reply_at", json_time(r->reply_at)));
	}
	json_end(sum->n, false);
}

int queue_summary(struct session *s, bool json)
{
	struct msg_queue_summary ask = { 0 };
	struct summary sum = { .n = 0 };

	do {
		const struct msg_queue_summed *m = &session_ask(s, MSG_queue_summary, &ask, MSG_queue_summed)->queue_summed;

		for (size_t i = 0; i < m->rows.n; i++)
			add(&sum, &m->rows.at[i]);
		ask.cursor = m->cursor;
		arena_reset(&s->arena);
	} while (ask.cursor);
	if (sum.n > 1)
		qsort(sum.all, sum.n, sizeof sum.all[0], compare);
	if (json)
		print_json(&sum);
	else
		print_all(&sum, clock_now_ms());
	hashtable_fini(&sum.by_name);
	free(sum.all);
	arena_fini(&sum.arena);
	return EX_OK;
}
