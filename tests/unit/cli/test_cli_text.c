/* test_cli_text.c - durations that are given, and what commands print. */
#include "unit.h"

#include "cli.h"

#include "posthouse/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* A wrong unit would change other mail than was meant, or let a password live for too long. */
static void durations(void **state)
{
	static const struct {
		const char *text;
		bool good;
		uint64_t ms;
	} rows[] = {
		{ "0s", true, 0 },
		{ "90s", true, 90 * SECOND_MS },
		{ "15m", true, 15 * MINUTE_MS },
		{ "4h", true, 4 * HOUR_MS },
		{ "5d", true, 5 * DAY_MS },
		{ "2w", true, 14 * DAY_MS },
		{ "100d", true, 100 * DAY_MS },
		{ "101d", false, 0 }, /* longer than is allowed here */
		{ "18446744073709551615w", false, 0 },
		{ "99999999999999999999s", false, 0 },
		{ "", false, 0 },
		{ "d", false, 0 },
		{ "5", false, 0 },
		{ "5D", false, 0 },
		{ "5 d", false, 0 },
		{ "-5d", false, 0 },
		{ "+5d", false, 0 },
		{ "1.5h", false, 0 },
		{ "5dd", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint64_t ms = 0;
		bool good = read_duration(str_of(rows[i].text), 100 * DAY_MS, &ms);

		if (good != rows[i].good || (good && ms != rows[i].ms))
			fail_msg("\"%s\"", rows[i].text);
	}
}

static void times(void **state)
{
	static const struct {
		uint64_t ms;
		const char *age;
	} rows[] = {
		{ 0, "0 s" },
		{ 999, "0 s" },
		{ SECOND_MS, "1 s" },
		{ 2 * MINUTE_MS - 1, "119 s" },
		{ 2 * MINUTE_MS, "2 m" },
		{ 2 * HOUR_MS - 1, "119 m" },
		{ 2 * HOUR_MS, "2 h" },
		{ 2 * DAY_MS - 1, "47 h" },
		{ 2 * DAY_MS, "2 d" },
		{ 400 * DAY_MS, "400 d" },
	};
	struct arena a = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (!str_eq(age_text(&a, rows[i].ms), str_of(rows[i].age)))
			fail_msg("row %zu", i);
	assert_true(str_eq(since_text(&a, 5 * MINUTE_MS, 2 * MINUTE_MS), S("3 m")));
	assert_true(str_eq(since_text(&a, 2 * MINUTE_MS, 5 * MINUTE_MS), S("0 s"))); /* a clock was set back */
	setenv("TZ", "XXX-2", 1);
	tzset();
	assert_true(str_eq(time_text(&a, 1795289874000), S("2026-11-21 21:37:54")));
	format_in_utc(true);
	assert_true(str_eq(time_text(&a, 1795289874000), S("2026-11-21 19:37:54Z")));
	assert_true(str_eq(time_text(&a, 0), S("-")));
	arena_fini(&a);
}

/* Nothing that a peer said moves a cursor or breaks the JSON. */
static void hostile_text(void **state)
{
	struct arena a = { 0 };
	json_t *j;

	(void)state;
	assert_true(str_eq(utf8_shown(&a, S("a\033[2Jb\n")), S("a\xef\xbf\xbd[2Jb\xef\xbf\xbd")));
	j = json_text(S("\xff"
			"a"));
	assert_string_equal(json_string_value(j), "\xef\xbf\xbd"
						  "a");
	json_decref(j);
	j = json_text((struct str){ 0 });
	assert_string_equal(json_string_value(j), "");
	json_decref(j);
	arena_fini(&a);
}

/* What is printed by a call, in the arena. */
static struct str printed(struct arena *a, void (*call)(void))
{
	char text[400];
	FILE *file = tmpfile();
	int saved = dup(STDOUT_FILENO);
	ssize_t n;

	fflush(stdout);
	dup2(fileno(file), STDOUT_FILENO);
	call();
	fflush(stdout);
	n = pread(fileno(file), text, sizeof text, 0);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	fclose(file);
	return arena_str(a, str_make(text, n > 0 ? (size_t)n : 0));
}

static void print_documents(void)
{
	json_print_document("account", json_pack("{s:o, s:o, s:o}", "login", json_text(S("\xc3\xa9")), "at",
						 json_time(1795289874007), "never", json_time(0)));
	json_end(1, false);
}

/* One a line, kind first. */
static void documents(void **state)
{
	struct arena a = { 0 };
	struct str text = printed(&a, print_documents);

	(void)state;
	if (!str_eq(text, S("{\"kind\":\"account\",\"login\":\"\\u00E9\",\"at\":\"2026-11-21T19:37:54.007Z\",\"never\":null}\n"
			    "{\"kind\":\"end\",\"n\":1,\"truncated\":false}\n")))
		fail_msg("%.*s", STR_ARG(text));
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations),
		cmocka_unit_test(times),
		cmocka_unit_test(hostile_text),
		cmocka_unit_test(documents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
