/* format.c - prints answers of the relay as text for people, or as JSON. */
#include "cli.h"

#include "posthouse/units.h"

#include <stdio.h>
#include <time.h>

static bool utc;

void format_in_utc(bool on)
{
	utc = on;
}

bool format_is_utc(void)
{
	return utc;
}

struct tm format_tm(uint64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;

	if (utc)
		gmtime_r(&seconds, &tm);
	else
		localtime_r(&seconds, &tm);
	return tm;
}

struct str time_text(struct arena *a, uint64_t ms)
{
	struct tm tm = format_tm(ms);

	if (ms == 0)
		return S("-");
	return arena_printf(a, "%04d-%02d-%02d %02d:%02d:%02d%s", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
			    tm.tm_min, tm.tm_sec, utc ? "Z" : "");
}

struct str age_text(struct arena *a, uint64_t ms)
{
	static const struct {
		uint64_t ms;
		const char *unit;
	} units[] = { { DAY_MS, "d" }, { HOUR_MS, "h" }, { MINUTE_MS, "m" }, { 1000, "s" } };

	for (size_t i = 0; i < 4; i++)
		if (ms >= units[i].ms * (i < 3 ? 2 : 1))
			return arena_printf(a, "%llu %s", (unsigned long long)(ms / units[i].ms), units[i].unit);
	return S("0 s");
}

struct str hosts_text(struct arena *a, const struct config *c, struct str login, size_t *first_out)
{
	struct str all = S("");

	for (size_t i = 0; i < c->devices_n; i++) {
		const struct cfg_device *device = &c->devices[i];

		if (!str_eq(device->user, login))
			continue;
		if (first_out && all.n == 0)
			*first_out = i + 1;
		for (size_t k = 0; k < device->networks.n; k++) {
			struct str network = device->networks.at[k];
			bool whole = str_ends(network, str_find(network, ':') < network.n ? S("/128") : S("/32"));

			all = arena_printf(a, "%.*s%s%.*s", STR_ARG(all), all.n ? ", " : "",
					   STR_ARG(whole ? str_head(network, str_find(network, '/')) : network));
		}
	}
	return all;
}

struct str since_text(struct arena *a, uint64_t now, uint64_t at)
{
	return age_text(a, now > at ? now - at : 0);
}

json_t *json_text(struct str s)
{
	json_t *j = json_stringn(s.p ? s.p : "", s.n);

	if (!j) {
		struct arena a = { 0 };
		struct str shown = utf8_shown(&a, s);

		j = json_stringn(shown.p, shown.n);
		arena_fini(&a);
	}
	return j;
}

json_t *json_time(uint64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	char text[64];

	if (ms == 0)
		return json_null();
	gmtime_r(&seconds, &tm);
	snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
		 tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned)(ms % 1000));
	return json_string(text);
}

json_t *json_document(const char *kind)
{
	return json_pack("{s:s}", "kind", kind);
}

void json_print_document(const char *kind, json_t *fields)
{
	json_t *document = json_document(kind);

	json_object_update(document, fields);
	json_decref(fields);
	json_print(document);
}

void json_end(size_t n, bool truncated)
{
	json_print_document("end", json_pack("{s:I, s:b}", "n", (json_int_t)n, "truncated", (int)truncated));
}

void json_print(json_t *j)
{
	json_dumpf(j, stdout, JSON_COMPACT | JSON_ENSURE_ASCII); /* so that no control character reaches a terminal */
	putchar('\n');
	json_decref(j);
}
