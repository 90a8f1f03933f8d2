/* format.c - limits, amounts and times in words. */
#include "common/format.h"

#include "posthouse/units.h"

#include <time.h>

static const struct {
	const char *name, *plural; /* the key's name in the configuration; the noun */
} meters[METER_KINDS] = {
	[METER_MESSAGES] = { "messages", "messages" },
	[METER_RECIPIENTS] = { "recipients", "recipients" },
	[METER_BYTES] = { "bytes", "bytes" },
	[METER_NEW] = { "new_recipients", "new recipients" },
};

static const struct {
	uint64_t ms;
	const char *letter, *name;
} units[] = { { DAY_MS, "d", "day" }, { HOUR_MS, "h", "hour" }, { MINUTE_MS, "m", "minute" }, { SECOND_MS, "s", "second" } };
#define UNITS (sizeof units / sizeof *units)

static struct str with_window(struct arena *a, uint64_t amount, const char *suffix, uint64_t window_ms)
{
	for (size_t i = 0; i < UNITS; i++)
		if (window_ms % units[i].ms == 0)
			return arena_printf(a, "%llu%s/%llu%s", (unsigned long long)amount, suffix,
					    (unsigned long long)(window_ms / units[i].ms), units[i].letter);
	return arena_printf(a, "%llu%s/%llums", (unsigned long long)amount, suffix, (unsigned long long)window_ms);
}

struct str format_rate(struct arena *a, struct rate r)
{
	return with_window(a, r.amount, "", r.window_ms);
}

struct str format_rule(struct arena *a, enum meter_kind kind, struct rate r)
{
	static const char *const suffixes[] = { "", "K", "M", "G" };
	size_t i = 0;

	while (kind == METER_BYTES && i < 3 && r.amount > 0 && r.amount % 1024 == 0) {
		r.amount /= 1024;
		i++;
	}
	return arena_printf(a, "%s %.*s", meters[kind].name, STR_ARG(with_window(a, r.amount, suffixes[i], r.window_ms)));
}

uint64_t window_of_rule(struct str rule)
{
	struct str window = str_from(rule, str_rfind(rule, '/') + 1);
	uint64_t n;

	if (window.n == rule.n || window.n == 0)
		return 0;
	if (str_ends(window, S("ms")))
		return str_to_u64(str_head(window, window.n - 2), &n) ? n : 0;
	for (size_t i = 0; i < UNITS; i++)
		if (window.p[window.n - 1] == *units[i].letter)
			return str_to_u64(str_head(window, window.n - 1), &n) && n < UINT64_MAX / DAY_MS ? n * units[i].ms : 0;
	return 0;
}

static struct str counted(struct arena *a, uint64_t n, const char *name)
{
	return arena_printf(a, "%llu %s%s", (unsigned long long)n, name, n == 1 ? "" : "s");
}

struct str format_duration(struct arena *a, uint64_t ms)
{
	for (size_t i = 0; i < UNITS; i++)
		if (ms >= units[i].ms && ms % units[i].ms == 0)
			return counted(a, ms / units[i].ms, units[i].name);
	return counted(a, ms / SECOND_MS, "second");
}

/* "hour", "10 minutes": what comes after "per". */
static struct str window_words(struct arena *a, uint64_t ms)
{
	for (size_t i = 0; i < UNITS; i++)
		if (ms == units[i].ms)
			return str_of(units[i].name);
	return ms % SECOND_MS == 0 ? format_duration(a, ms) : arena_printf(a, "%llu ms", (unsigned long long)ms);
}

/* Bytes in the largest unit of which there are some: what it is counted in, and the word for it. */
static uint64_t byte_unit(uint64_t amount, const char **word_out)
{
	static const struct {
		uint64_t bytes;
		const char *word;
	} sizes[] = { { 1ull << 30, "GB" }, { 1ull << 20, "MB" }, { 1ull << 10, "KB" } };

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		if (amount >= 4 * sizes[i].bytes || amount == sizes[i].bytes) {
			*word_out = sizes[i].word;
			return sizes[i].bytes;
		}
	*word_out = "bytes";
	return 1;
}

struct str format_limit(struct arena *a, enum meter_kind kind, struct rate r)
{
	const char *word = meters[kind].plural;
	uint64_t unit = kind == METER_BYTES ? byte_unit(r.amount, &word) : 1;

	return arena_printf(a, "%llu %s per %.*s", (unsigned long long)(r.amount / unit), word,
			    STR_ARG(window_words(a, r.window_ms)));
}

struct str format_used(struct arena *a, enum meter_kind kind, struct rate r, uint64_t used)
{
	const char *word;
	uint64_t unit = kind == METER_BYTES ? byte_unit(r.amount, &word) : 1;

	return arena_printf(a, "%llu of %.*s", (unsigned long long)((used + unit - 1) / unit), STR_ARG(format_limit(a, kind, r)));
}

struct str format_wait(struct arena *a, uint64_t ms)
{
	uint64_t unit = SECOND_MS, n;
	const char *name = "second";

	for (size_t i = 0; i < UNITS; i++)
		if (ms > 2 * units[i].ms) { /* "90 minutes" rather than "2 hours" */
			unit = units[i].ms;
			name = units[i].name;
			break;
		}
	n = ms / unit + (ms % unit > 0);
	return counted(a, n > 0 ? n : 1, name);
}

bool words_are_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

struct str format_time(struct arena *a, uint64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	char text[32];

	gmtime_r(&seconds, &tm);
	return arena_str(a, str_make(text, strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &tm)));
}

struct verdict format_away(struct arena *a, uint64_t node, uint64_t since, struct str fault)
{
	struct str number = node ? arena_printf(a, ", number %llu", (unsigned long long)node) : S("");

	if (fault.n > 0)
		return temp(451, S("4.3.0"),
			    arena_printf(a, "node %llu has not worked with the database since %.*s: %.*s",
					 (unsigned long long)node, STR_ARG(format_time(a, since)), STR_ARG(fault)));
	return temp(451, S("4.3.0"),
		    arena_printf(a, "the database cannot be reached by this node%.*s, since %.*s (store.away in the log)",
				 STR_ARG(number), STR_ARG(format_time(a, since))));
}

struct str format_line(struct arena *a, struct str s)
{
	char *to = arena_alloc(a, s.n);

	for (size_t i = 0; i < s.n; i++)
		to[i] = s.p[i] == '\n' || s.p[i] == '\r' ? ' ' : s.p[i];
	return str_make(to, s.n);
}
