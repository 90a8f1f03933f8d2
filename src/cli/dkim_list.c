/* dkim_list.c - `posthouse dkim list`: every key, its state, and what it waits for. */
#include "columns.h"
#include "dkim_command.h"

#include "posthouse/date.h"
#include "posthouse/units.h"

#include <stdio.h>
#include <sysexits.h>

#define WITHIN_MS 5000

/* When the oldest message that waits came, ms UTC; 0: none waits; UINT64_MAX: no relay says so. */
static uint64_t oldest_in_queue(struct dkim_store *s)
{
	const struct msg_queue_page page = { .max = 1 };
	union ipc_message *answer;
	const char *why;
	struct control *c = control_open(s->config->control, WITHIN_MS, &why);
	uint64_t at = UINT64_MAX;

	if (c && control_call(c, MSG_queue_page, &page, MSG_queue_rows, &s->arena, &answer, &why) &&
	    answer->queue_rows.verdict.class == OK)
		at = answer->queue_rows.rows.n > 0 ? answer->queue_rows.rows.at[0].received_at : 0;
	control_close(c);
	return at;
}

struct str dkim_needed(struct dkim_store *s, const struct cfg_sign *key)
{
	uint64_t since = 0, oldest;

	if (!date_parse(key->since, &since) || since > s->now)
		since = s->now;
	if (s->now - since < DKIM_RETIRED_MS)
		return arena_printf(&s->arena, "what it has signed can be on its way for %llu d more",
				    (unsigned long long)((DKIM_RETIRED_MS - (s->now - since) + DAY_MS - 1) / DAY_MS));
	oldest = oldest_in_queue(s);
	if (oldest == UINT64_MAX)
		return S("no relay runs here that could say whether mail waits that it has signed");
	if (oldest > 0 && oldest < since)
		return S("mail waits in the queue that it has signed");
	return S("");
}

/* What a person can do about the key; "": nothing. */
static struct str next_step(struct dkim_store *s, const struct cfg_sign *key)
{
	struct str needed;

	if (key->state == SIGN_PENDING)
		return arena_printf(&s->arena, "publish its record, then: posthouse dkim rotate %.*s", STR_ARG(key->domain));
	if (key->state != SIGN_RETIRED)
		return S("");
	needed = dkim_needed(s, key);
	if (needed.n > 0)
		return arena_printf(&s->arena, "keep its record: %.*s", STR_ARG(needed));
	return arena_printf(&s->arena, "of no use any more: posthouse dkim retire %.*s %.*s", STR_ARG(key->domain),
			    STR_ARG(key->selector));
}

static const char *algorithm_name(const struct cfg_sign *key)
{
	return key->algorithm == DKIM_RSA_SHA256 ? "rsa" : "ed25519";
}

static json_t *time_json(struct str text)
{
	uint64_t ms;

	return date_parse(text, &ms) ? json_time(ms) : json_null();
}

static const struct column columns[] = { { "DOMAIN" }, { "SELECTOR" }, { "KIND" }, { "STATE" }, { "SINCE" } };

static void add_key(struct dkim_store *s, struct columns *table, const struct cfg_sign *key)
{
	struct str next = next_step(s, key);
	uint64_t since = 0;

	columns_row(table, (struct str[]){ key->domain, key->selector, str_of(algorithm_name(key)), str_of(dkim_state_name(key)),
					   date_parse(key->since, &since) ? time_text(&s->arena, since) : S("-") });
	if (next.n > 0)
		columns_text(table, 4, next);
}

int dkim_list(const struct options *o, const char *config_path)
{
	struct dkim_store s;
	struct columns table = { .arena = &s.arena, .of = columns, .n = sizeof columns / sizeof columns[0] };

	dkim_open(&s, config_path, false);
	for (size_t i = 0; i < s.n; i++) {
		const struct cfg_sign *key = &s.keys[i];

		if (options_given(o, "json"))
			json_print(json_pack("{s:s, s:o, s:o, s:s, s:s, s:o, s:o, s:o, s:o}", "kind", "dkim_key", "domain",
					     json_text(key->domain), "selector", json_text(key->selector), "algorithm",
					     algorithm_name(key), "state", dkim_state_name(key), "since", time_json(key->since),
					     "seen", time_json(key->seen), "key", json_text(key->key), "next",
					     json_text(next_step(&s, key))));
		else
			add_key(&s, &table, key);
	}
	columns_print(&table, stdout, terminal_width());
	if (options_given(o, "json"))
		json_end(s.n, false);
	else if (s.n == 0)
		printf("No domain has a key: mail is not signed.\nNext: posthouse dkim generate DOMAIN\n");
	dkim_close(&s);
	return EX_OK;
}
