/* find.c - `posthouse find`: did the mail arrive? One pair of lines for each recipient. */
#include "find.h"

#include "posthouse/clock.h"
#include "posthouse/log.h"
#include "posthouse/store.h"

#include <stdlib.h>
#include <sysexits.h>

#define SHOWN_ROWS 100       /* without --limit, to a person */
#define ROWS_MAX   100000000 /* of --limit */

static const struct {
	const char *name;
	unsigned states;
} fates[FATES] = {
	[FATE_WAITING] = { "waiting", 1u << RCPT_WAITING },
	[FATE_HELD] = { "held", 1u << RCPT_HELD },
	[FATE_DELIVERED] = { "delivered", 1u << RCPT_DELIVERED | 1u << RCPT_RELAYED },
	[FATE_FAILED] = { "failed", 1u << RCPT_FAILED | 1u << RCPT_BOUNCED | 1u << RCPT_DISCARDED },
	[FATE_REMOVED] = { "removed", 1u << RCPT_REMOVED },
};

const char *fate_name(enum fate fate)
{
	return fates[fate].name;
}

enum fate fate_of(uint64_t state)
{
	enum fate fate = FATE_WAITING;

	while (fate < FATE_REMOVED && (state > 31 || !(fates[fate].states & 1u << state)))
		fate++;
	return fate;
}

/* Bits 1 << enum recipient_state of "failed,held"; 0: a word is none of these. */
static unsigned fate_states(struct str words)
{
	unsigned states = 0;
	struct str word;

	while (str_split(&words, ',', &word)) {
		enum fate fate = FATE_WAITING;

		while (fate < FATES && !str_ieq(word, str_of(fates[fate].name)))
			fate++;
		if (fate == FATES)
			return 0;
		states |= fates[fate].states;
	}
	return states;
}

/* ---- what is asked ---- */

static uint64_t when(const struct options *o, const char *name)
{
	const char *text = options_value(o, name);
	uint64_t ms = 0;

	if (text && !read_when(str_of(text), clock_now_ms(), &ms))
		die(EX_USAGE,
		    "--%s: \"%s\" is neither an age (90s, 15m, 4h, 2d) nor a time (2027-03-02, \"2027-03-02 14:02\", "
		    "14:02, yesterday)",
		    name, text);
	return ms;
}

static struct msg_find read_question(const struct options *o)
{
	const char *state = options_value(o, "state");
	struct msg_find ask = { .user = str_of(options_value(o, "user")),
				.message_id = str_of(options_value(o, "message-id")),
				.sender = str_of(options_value(o, "sender")),
				.recipient = str_of(options_value(o, "recipient")),
				.subject = str_of(options_value(o, "subject")),
				.since = when(o, "since"),
				.until = when(o, "until"),
				.states = state ? fate_states(str_of(state)) : 0 };

	if (state && ask.states == 0)
		die(EX_USAGE, "--state: \"%s\" is none of waiting, held, delivered, failed and removed", state);
	return ask;
}

static size_t read_limit(const struct options *o, bool json)
{
	const char *text = options_value(o, "limit");
	uint64_t n = json ? ROWS_MAX : SHOWN_ROWS;

	if (text && (!str_to_u64(str_of(text), &n) || n == 0 || n > ROWS_MAX))
		die(EX_USAGE, "--limit: \"%s\" is no number of recipients", text);
	return (size_t)n;
}

/* ---- what is found ---- */

struct results {
	struct arena arena; /* of the rows */
	struct rec_found_row *rows;
	size_t n, capacity, limit;
	bool json, truncated;
};

static void keep(struct results *to, const struct rec_found_row *r)
{
	struct arena *a = &to->arena;

	ARRAY_GROW(to->rows, to->n, to->capacity);
	to->rows[to->n] = *r;
#define KEEP(field) to->rows[to->n].field = arena_str(a, r->field)
	KEEP(login);
	KEEP(sender);
	KEEP(subject);
	KEEP(held);
	KEEP(recipient);
	KEEP(remote);
#undef KEEP
	to->rows[to->n].verdict = verdict_keep(a, r->verdict);
	to->n++;
}

/* The newest come first. JSON goes out as it comes; for people rows are kept, since the newest of them are printed last. */
static void look(struct session *s, struct msg_find *ask, struct results *to)
{
	do {
		const struct msg_found *m = &session_ask(s, MSG_find, ask, MSG_found)->found;

		for (size_t i = 0; i < m->rows.n; i++) {
			if (to->n == to->limit) {
				to->truncated = true;
				return;
			}
			if (to->json) {
				find_print_json(&m->rows.at[i]);
				to->n++;
			} else {
				keep(to, &m->rows.at[i]);
			}
		}
		ask->phase = m->phase;
		ask->at = m->at;
		ask->position = m->position;
		ask->n = m->n;
		arena_reset(&s->arena);
	} while (ask->phase);
}

static int compare_rows(const void *a, const void *b)
{
	const struct rec_found_row *one = a, *other = b;

	if (one->received_at != other->received_at)
		return one->received_at < other->received_at ? -1 : 1;
	if (one->id != other->id)
		return one->id < other->id ? -1 : 1;
	return (one->n > other->n) - (one->n < other->n);
}

static void print_all(struct results *r)
{
	uint64_t now = clock_now_ms();
	struct arena line = { 0 };

	qsort(r->rows, r->n, sizeof *r->rows, compare_rows);
	find_print_head();
	for (size_t i = 0; i < r->n; i++) {
		find_print_row(&line, &r->rows[i], now);
		arena_reset(&line);
	}
	arena_fini(&line);
	find_print_totals(r->rows, r->n, r->truncated);
}

int command_find(const struct options *o, const char *config_path)
{
	struct msg_find ask = read_question(o);
	struct results found = { .json = options_given(o, "json") };
	struct session s;

	found.limit = read_limit(o, found.json);
	session_open(&s, config_path);
	ask.user = arena_str(&found.arena, session_login(&s, ask.user)); /* the session's arena is reset with each page */
	look(&s, &ask, &found);
	session_close(&s);
	if (found.json)
		json_end(found.n, found.truncated);
	else if (found.n > 0)
		print_all(&found);
	else
		fprintf(stderr, "posthouse: nothing was found (finished mail is remembered for queue.keep_history)\n");
	free(found.rows);
	arena_fini(&found.arena);
	return found.n > 0 ? EX_OK : EX_DATAERR;
}
