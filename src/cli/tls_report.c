/* tls_report.c - `posthouse tls-report show|list`: what is, or was, to be reported about TLS to the servers of a domain. */
#include "cli.h"
#include "columns.h"

#include "posthouse/clock.h"
#include "posthouse/date.h"
#include "posthouse/log.h"
#include "posthouse/names.h"
#include "posthouse/units.h"

#include <stdio.h>
#include <sysexits.h>

/* The beginning of the day, in UTC as reports have it; the present one when none is given. */
static uint64_t day_of(struct arena *a, const char *text)
{
	uint64_t now = clock_now_ms(), today = now - now % DAY_MS, day;

	if (!text || strcmp(text, "today") == 0)
		return today;
	if (strcmp(text, "yesterday") == 0)
		return today - DAY_MS;
	if (!date_parse(arena_printf(a, "%sT00:00:00Z", text), &day))
		die(EX_USAGE, "--day: expected a date such as 2027-03-02, today or yesterday");
	return day;
}

/* ---- show ---- */

/* The report as JSON: one for people is as good for a program. */
static int show(struct session *s, struct str domain, uint64_t day_ms)
{
	struct msg_tls_report_show ask = { .day_ms = day_ms };

	if (!domain_to_ascii(&s->arena, domain, &ask.domain))
		die(EX_USAGE, "%.*s is no domain", STR_ARG(domain));
	do {
		const struct msg_tls_report_shown *m =
			&session_ask(s, MSG_tls_report_show, &ask, MSG_tls_report_shown)->tls_report_shown;

		fwrite(m->text.p, 1, m->text.n, stdout);
		ask.cursor = m->cursor;
	} while (ask.cursor);
	printf("\n");
	return EX_OK;
}

/* ---- list ---- */

static const struct column columns[] = { { "DOMAIN" }, { "GOOD", true }, { "FAILED", true }, { "REPORT" } };

static const char *state_word(const struct rec_tls_report_row *r)
{
	static const char *const words[] = { "not yet", "on its way", "unwanted", "abandoned" };

	if (r->places > 0 && r->sent == r->places)
		return "sent";
	return r->state < sizeof words / sizeof words[0] ? words[r->state] : "";
}

static void print_row(struct columns *table, const struct rec_tls_report_row *r)
{
	struct arena *a = table->arena;
	struct str cells[] = { arena_str(a, r->domain), arena_printf(a, "%llu", (unsigned long long)r->successful),
			       arena_printf(a, "%llu", (unsigned long long)r->failed), str_of(state_word(r)) };

	columns_row(table, cells);
	if (r->said.n > 0)
		columns_text(table, 4, arena_printf(a, "last answer: %.*s", STR_ARG(r->said)));
}

static void print_json(const struct rec_tls_report_row *r)
{
	json_print_document("tls_report",
			    json_pack("{s:o, s:I, s:I, s:s, s:I, s:I, s:o}", "domain", json_text(r->domain), "successful",
				      (json_int_t)r->successful, "failed", (json_int_t)r->failed, "state", state_word(r),
				      "places", (json_int_t)r->places, "sent", (json_int_t)r->sent, "said", json_text(r->said)));
}

static int list(struct session *s, uint64_t day_ms, bool json)
{
	struct arena a = { 0 };
	struct columns table = { .arena = &a, .of = columns, .n = sizeof columns / sizeof columns[0] };
	struct msg_tls_report_list ask = { .day_ms = day_ms, .after = S("") };
	uint64_t more, n = 0;

	do {
		const struct msg_tls_report_listed *m =
			&session_ask(s, MSG_tls_report_list, &ask, MSG_tls_report_listed)->tls_report_listed;

		for (size_t i = 0; i < m->rows.n; i++) {
			if (json)
				print_json(&m->rows.at[i]);
			else
				print_row(&table, &m->rows.at[i]);
			ask.after = arena_str(&a, m->rows.at[i].domain);
		}
		n += m->rows.n;
		more = m->more;
		arena_reset(&s->arena);
	} while (more);
	if (json)
		json_end(n, false);
	else if (n == 0)
		printf("no session was counted on that day\n");
	else
		columns_print(&table, stdout, terminal_width());
	arena_fini(&a);
	return EX_OK;
}

int command_tls_report(const struct options *o, const char *config_path)
{
	struct arena a = { 0 };
	uint64_t day_ms = day_of(&a, options_value(o, "day"));
	struct session s;
	int code;

	session_open(&s, config_path);
	code = strcmp(o->verb, "show") == 0 ? show(&s, str_of(o->arguments[0]), day_ms)
					    : list(&s, day_ms, options_given(o, "json"));
	session_close(&s);
	arena_fini(&a);
	return code;
}
