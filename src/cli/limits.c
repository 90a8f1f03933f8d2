/* limits.c - `posthouse limits show|reset`: the use of limits by logins, bans, and breakers that have tripped. */
#include "cli.h"
#include "columns.h"

#include "posthouse/clock.h"
#include "posthouse/log.h"
#include "posthouse/policy.h"
#include "posthouse/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

/* An address, or a network. */
static bool is_address(struct str who)
{
	return network_contains(who, str_head(who, str_find(who, '/')));
}

/* ---- show ---- */

/* node: 0 unless only the clients of this node are counted. */
static json_t *row_json(const struct rec_limit_row *r, uint64_t as_of)
{
	return json_pack("{s:o, s:o, s:I, s:I, s:I, s:o, s:I, s:o}", "of", json_text(r->key), "rule", json_text(r->rule), "used",
			 (json_int_t)r->used, "amount", (json_int_t)r->amount, "wait_ms", (json_int_t)r->wait_ms, "text",
			 json_text(r->text), "node", (json_int_t)r->node, "as_of", json_time(as_of));
}

/* The part after "user:" of "user:alice@example.org". */
static struct str name_of(struct str key)
{
	return str_from(key, str_find(key, ':') + 1);
}

static int by_name(const void *a, const void *b)
{
	const struct rec_limit_row *x = a, *y = b;
	int order = str_cmp(name_of(x->key), name_of(y->key));

	return order ? order : str_cmp(x->rule, y->rule);
}

/* A number of bytes in a readable unit. */
static struct str amount_text(struct arena *a, const struct rec_limit_row *r, uint64_t n)
{
	if (!str_starts(r->rule, S("bytes ")) || n < 10 * 1024)
		return arena_printf(a, "%llu", (unsigned long long)n);
	if (n < 10 * MIB)
		return arena_printf(a, "%llu KB", (unsigned long long)n / 1024);
	return arena_printf(a, "%llu MB", (unsigned long long)n / MIB);
}

static const struct column columns[] = { { "LIMIT" }, { "USE" } };

static struct str use_text(struct arena *a, const struct rec_limit_row *r)
{
	struct str use;

	if (str_eq(r->rule, S("ban")))
		use = arena_printf(a, "for %.*s more (number %llu): %.*s", STR_ARG(age_text(a, r->wait_ms)),
				   (unsigned long long)r->used, STR_ARG(r->text));
	else if (str_eq(r->rule, S("breaker")))
		use = r->text;
	else if (r->amount > 0)
		use = arena_printf(a, "%.*s of %.*s used", STR_ARG(amount_text(a, r, r->used)),
				   STR_ARG(amount_text(a, r, r->amount)));
	else
		use = arena_printf(a, "%llu", (unsigned long long)r->used);
	if (r->node != 0)
		use = arena_printf(a, "%.*s on node %llu alone", STR_ARG(use), (unsigned long long)r->node);
	if (r->amount > 0 && r->wait_ms > 0)
		use = arena_printf(a, "%.*s; the next one in %.*s", STR_ARG(use),
				   STR_ARG(age_text(a, r->wait_ms < 1000 ? 1000 : r->wait_ms)));
	return use;
}

static void print_rows(struct arena *a, const struct rec_limit_row *rows, size_t n)
{
	struct columns table = { .arena = a, .of = columns, .n = sizeof columns / sizeof columns[0], .indent = 4 };
	struct str last = S("");

	for (size_t i = 0; i < n; i++) {
		if (!str_eq(name_of(rows[i].key), last))
			columns_text(&table, 0, name_of(rows[i].key));
		last = name_of(rows[i].key);
		columns_row(&table, (struct str[]){ rows[i].rule, use_text(a, &rows[i]) });
	}
	columns_print(&table, stdout, terminal_width());
	if (n == 0)
		printf("no limit is in use, and nobody is banned\n");
}

/* Of whom the rows are; nothing where there is no cluster. */
static void print_scope(struct arena *a, uint64_t node, uint64_t as_of)
{
	if (as_of != 0)
		printf("as of %.*s: node %llu has been without the database for %.*s\n", STR_ARG(time_text(a, as_of)),
		       (unsigned long long)node, STR_ARG(since_text(a, clock_now_ms(), as_of)));
	else if (node != 0)
		printf("of all nodes, as node %llu knows\n", (unsigned long long)node);
}

/* Read all pages before printing, so that the rows of one name are printed together. */
static int show(struct session *s, struct str who, bool json)
{
	struct msg_limits_page ask = { .user = who };
	struct rec_limit_row *rows = NULL;
	uint64_t node, as_of;
	size_t n = 0;

	do {
		const struct msg_limits_rows *m = &session_ask(s, MSG_limits_page, &ask, MSG_limits_rows)->limits_rows;

		rows = xrealloc(rows, (n + m->rows.n + 1) * sizeof *rows);
		if (m->rows.n > 0)
			memcpy(rows + n, m->rows.at, m->rows.n * sizeof *rows);
		n += m->rows.n;
		ask.cursor = m->cursor;
		node = m->node;
		as_of = m->as_of;
	} while (ask.cursor);
	qsort(rows, n, sizeof *rows, by_name);
	for (size_t i = 0; json && i < n; i++)
		json_print_document("limit", row_json(&rows[i], as_of));
	if (json)
		json_end(n, false);
	else
		print_rows(&s->arena, rows, n);
	if (!json)
		print_scope(&s->arena, node, as_of);
	free(rows);
	return EX_OK;
}

/* ---- reset ---- */

static int reset(struct session *s, struct str who, bool json)
{
	struct msg_limits_reset ask = { .user = who };
	const struct msg_limits_were_reset *m = &session_ask(s, MSG_limits_reset, &ask, MSG_limits_were_reset)->limits_were_reset;

	if (json)
		json_print_document("reset", json_pack("{s:I}", "reset", (json_int_t)m->count));
	else if (m->count == 0)
		printf("nothing was in use\n");
	else
		printf("%llu limits and bans were reset\n", (unsigned long long)m->count);
	if (!json && str_find(who, '@') < who.n)
		printf("mail that is held stays held: \"posthouse queue list --user %.*s\" shows it, "
		       "\"posthouse queue release --user %.*s\" sends it\n",
		       STR_ARG(who), STR_ARG(who));
	return EX_OK;
}

int command_limits(const struct options *o, const char *config_path)
{
	bool json = options_given(o, "json"), resets = strcmp(o->verb, "reset") == 0;
	struct str who = str_of(o->arguments_n > 0 ? o->arguments[0] : NULL);
	struct session s;
	int code;

	if (resets && (o->arguments_n > 0) == options_given(o, "all"))
		die(EX_USAGE, "limits reset: whose? A login, an address, or --all");
	session_open(&s, config_path);
	if (who.n > 0 && !is_address(who))
		who = session_login(&s, who);
	code = resets ? reset(&s, who, json) : show(&s, who, json);
	session_close(&s);
	return code;
}
