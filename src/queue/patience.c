/* patience.c - how long to wait. */
#include "patience.h"

#define SECOND_MS 1000ull
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS   (60 * MINUTE_MS)

#define GREYLIST_MAX_MS (5 * MINUTE_MS) /* what greylisting asks for by default is between 1 and 5 minutes */
#define MX_PAUSE_MAX_MS (30 * MINUTE_MS)

uint64_t retry_at(const struct cfg_queue *c, uint64_t attempts, uint64_t now, uint64_t expires_at, uint64_t random)
{
	uint64_t delay = c->retry_ms[attempts < c->retry_n ? attempts : c->retry_n - 1];
	uint64_t tenth = delay / 10;
	uint64_t at = now + delay - tenth + random % (2 * tenth + 1);

	return now < expires_at && at > expires_at ? expires_at : at;
}

/* ---- greylisting ---- */

/* Does this piece of the text, without a space in it, hold an address? Servers repeat those, and they are of a user's choice. */
static bool is_address(struct str piece)
{
	return str_find(piece, '@') < piece.n;
}

/* Does the text contain the word, in whatever case, outside of addresses? */
static bool says(struct str text, const char *word)
{
	struct str w = str_of(word);

	for (size_t i = 0, start = 0; i + w.n <= text.n; i++) {
		if (i > 0 && text.p[i - 1] == ' ')
			start = i;
		if (str_ieq(str_head(str_from(text, i), w.n), w) &&
		    !is_address(str_make(text.p + start, i - start + str_find(str_from(text, i), ' '))))
			return true;
	}
	return false;
}

static bool says_one(struct str text, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (says(text, words[i]))
			return true;
	return false;
}
#define SAYS(text, ...)                                                                                                          \
	says_one((text), (const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

bool is_greylisting(struct verdict v)
{
	if (v.class != TEMP || (v.code != 450 && v.code != 451))
		return false;
	if (SAYS(v.text, "greylist", "graylist", "grey-list", "gray-list", "grey list", "gray list", "postgrey"))
		return true;
	/* RFC 6647 section 2.1 knows no code of its own; these are what the usual programs answer */
	if (!str_eq(v.enhanced, S("4.7.1")) && !str_eq(v.enhanced, S("4.7.0")) && !str_eq(v.enhanced, S("4.2.0")))
		return false;
	return SAYS(v.text, "try again", "try later", "come back", "retry", "please wait");
}

uint64_t greylist_at(const struct cfg_queue *c, uint64_t now, uint64_t expires_at, uint64_t random)
{
	uint64_t delay = c->retry_ms[0] < GREYLIST_MAX_MS ? c->retry_ms[0] : GREYLIST_MAX_MS;
	uint64_t at = now + delay + random % (delay / 10 + 1);

	return now < expires_at && at > expires_at ? expires_at : at;
}

/* ---- pauses of gates ---- */

static uint64_t doubled(uint64_t first, uint64_t failures, uint64_t most)
{
	uint64_t pause = first;

	for (uint64_t i = 1; i < failures && pause < most; i++)
		pause *= 2;
	return pause < most ? pause : most;
}

/* A quota is used up for as long as its words say. */
static uint64_t policy_pause(struct str reason, uint64_t failures)
{
	if (SAYS(reason, "minute", "second"))
		return doubled(MINUTE_MS, failures, HOUR_MS);
	if (SAYS(reason, "quota", "daily", "day", "month", "exceeded", "5.4.5"))
		return doubled(HOUR_MS, failures, PAUSE_LONGEST_MS);
	return doubled(5 * MINUTE_MS, failures, PAUSE_LONGEST_MS);
}

uint64_t pause_after(const struct cfg_queue *c, bool is_mx, enum gate_fault fault, struct str reason, uint64_t failures)
{
	uint64_t at;

	if (fault == FAULT_POLICY)
		return policy_pause(reason, failures);
	if (!is_mx)
		return doubled(5 * SECOND_MS, failures, 5 * MINUTE_MS);
	/* As often as a single message would try; a tenth less, so that one whose time has come does not meet a pause. */
	at = c->retry_ms[failures <= c->retry_n ? failures - 1 : c->retry_n - 1];
	return (at < MX_PAUSE_MAX_MS ? at : MX_PAUSE_MAX_MS) / 10 * 9;
}

/* ---- words ---- */

struct str duration_words(struct arena *a, uint64_t ms)
{
	static const struct {
		uint64_t ms;
		const char *name;
	} units[] = { { 24 * HOUR_MS, "day" }, { HOUR_MS, "hour" }, { MINUTE_MS, "minute" }, { SECOND_MS, "second" } };
	uint64_t count = ms / SECOND_MS;
	const char *name = "second";

	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (ms >= units[i].ms && ms % units[i].ms == 0) {
			count = ms / units[i].ms;
			name = units[i].name;
			break;
		}
	return arena_printf(a, "%llu %s%s", (unsigned long long)count, name, count == 1 ? "" : "s");
}
