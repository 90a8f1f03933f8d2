/* test_log.c - one line per fact, whatever the values contain: escapes, both formats, levels, lengths, and a reader who does not read. */
#include "unit.h"

#include "posthouse/id.h"
#include "posthouse/log.h"
#include "posthouse/verdict.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int reader, saved;
static char text[1 << 20];

/* Standard error is a pipe while the test logs. */
static int capture(void **state)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0)
		return -1;
	saved = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	reader = ends[0];
	fcntl(reader, F_SETFL, O_NONBLOCK);
	return 0;
}

static int give_back(void **state)
{
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(reader);
	log_setup("posthouse", -1);
	log_configure(false, LOG_INFO);
	return 0;
}

/* What was logged since the last time. */
static const char *logged(void)
{
	size_t n = 0;
	ssize_t got;

	while ((got = read(reader, text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	return text;
}

/* The line from `event=` on, without the time. */
static const char *after_event(const char *event)
{
	const char *line = logged(), *found = strstr(line, event);

	assert_non_null(found);
	assert_non_null(strchr(line, '\n'));
	assert_null(strchr(strchr(line, '\n') + 1, '\n')); /* one line */
	return found + strlen(event);
}

static void test_values(void **state)
{
	static const struct {
		struct str value;
		const char *logfmt, *json;
	} rows[] = {
		{ S("plain"), " k=plain\n", ",\"k\":\"plain\"}\n" },
		{ S("a@b.example"), " k=a@b.example\n", ",\"k\":\"a@b.example\"}\n" },
		{ S(""), " k=\"\"\n", ",\"k\":\"\"}\n" },
		{ S("two words"), " k=\"two words\"\n", ",\"k\":\"two words\"}\n" },
		{ S("a=b"), " k=\"a=b\"\n", ",\"k\":\"a=b\"}\n" },
		{ S("\"quoted\" \\"), " k=\"\\\"quoted\\\" \\\\\"\n", ",\"k\":\"\\\"quoted\\\" \\\\\"}\n" },
		{ S("x\nevent=forged.line\r\n"), " k=\"x\\nevent=forged.line\\r\\n\"\n",
		  ",\"k\":\"x\\nevent=forged.line\\r\\n\"}\n" },
		{ S("\t\0\x1b[31m\x7f"), " k=\"\\t\\u0000\\u001b[31m\\u007f\"\n", ",\"k\":\"\\t\\u0000\\u001b[31m\\u007f\"}\n" },
		{ S("Gr\xc3\xbc\xc3\x9f"), " k=Gr\xc3\xbc\xc3\x9f\n", ",\"k\":\"Gr\xc3\xbc\xc3\x9f\"}\n" },
		{ S("a\xc2\x9b[31m\xc2\x85"), " k=\"a\\u009b[31m\\u0085\"\n", ",\"k\":\"a\\u009b[31m\\u0085\"}\n" },
		{ S("\xe2\x80\xaetxt\xe2\x81\xa9\xef\xbb\xbf"), " k=\"\\u202etxt\\u2069\\ufeff\"\n",
		  ",\"k\":\"\\u202etxt\\u2069\\ufeff\"}\n" },
		{ S("\xf3\xa0\x81\xa1"), " k=\"\\udb40\\udc61\"\n", ",\"k\":\"\\udb40\\udc61\"}\n" }, /* a tag */
		{ S("\xed\xa0\xbd"), " k=\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\n",
		  ",\"k\":\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"}\n" }, /* a surrogate */
		{ S("\xff\xc3"), " k=\xef\xbf\xbd\xef\xbf\xbd\n", ",\"k\":\"\xef\xbf\xbd\xef\xbf\xbd\"}\n" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		log_configure(false, LOG_INFO);
		log_info(NULL, "test.done", kv("k", rows[i].value));
		assert_string_equal(after_event("event=test.done"), rows[i].logfmt);
		log_configure(true, LOG_INFO);
		log_info(NULL, "test.done", kv("k", rows[i].value));
		assert_string_equal(after_event("\"event\":\"test.done\""), rows[i].json);
	}
}

static void test_kinds_and_contexts(void **state)
{
	struct log log = { .session = 0x5f3a, .message = UINT64_C(0x123456789abcdef) };
	char id[ID_TEXT_MAX], expected[200];

	log_configure(false, LOG_DEBUG);
	log_setup("queue", 2);
	log_warning(&log, "test.done", kv("i", -1), kv("u", UINT64_MAX), kv("b", (bool)true), kv("s", "x y"), kv_id("of", 32));
	snprintf(expected, sizeof(expected),
		 " session=5f3a queue=%s i=-1 u=18446744073709551615 b=true s=\"x y\" of=0000000000010\n",
		 id_format(log.message, id));
	assert_string_equal(after_event("level=warning role=queue index=2 event=test.done"), expected);
	log_error(NULL, "test.done");
	assert_string_equal(after_event("event=test.done"), "\n");
}

static void test_levels(void **state)
{
	log_configure(false, LOG_WARNING);
	log_debug(NULL, "test.done");
	log_info(NULL, "test.done");
	assert_string_equal(logged(), "");
	log_warning(NULL, "test.done");
	assert_non_null(strstr(logged(), "event=test.done"));
}

/* Long values are cut, the line's end never is, and a line is written in one piece. */
static void test_long_values(void **state)
{
	static char quotes[20000], letters[20000];
	const char *line;

	memset(quotes, '"', sizeof(quotes));
	memset(letters, 'x', sizeof(letters));
	for (int json = 0; json < 2; json++) {
		log_configure(json, LOG_INFO);
		log_info(NULL, "test.done", kv("a", str_make(quotes, sizeof(quotes))),
			 kv("b", str_make(letters, sizeof(letters))), kv("c", str_make(letters, sizeof(letters))));
		line = logged();
		assert_true(strlen(line) <= 4096); /* PIPE_BUF */
		assert_string_equal(line + strlen(line) - (json ? 2 : 1), json ? "}\n" : "\n");
		assert_int_equal(strchr(line, '\n') - line, strlen(line) - 1);
	}
}

/* Nobody reads: we do not wait, we count, and say so as soon as there is room. */
static void test_a_full_pipe(void **state)
{
	unsigned lines = 0;
	const char *all;

	log_configure(false, LOG_INFO);
	for (unsigned i = 0; i < 100000; i++)
		log_info(NULL, "test.done", kv("n", i),
			 kv("padding", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
	all = logged();
	for (const char *p = all; (p = strchr(p, '\n')); p++)
		lines++;
	assert_true(lines > 100 && lines < 100000);
	log_info(NULL, "test.done", kv("n", "last"));
	all = logged();
	assert_non_null(strstr(all, "event=log.dropped"));
	assert_int_equal(strtoul(strstr(all, "lines=") + 6, NULL, 10), 100000 - lines);
	assert_non_null(strstr(all, "n=last"));
	log_forward(S("a line of another process\n"));
	assert_string_equal(logged(), "a line of another process\n");
}

/* Something broken says the same in a circle: ten lines, then the last one with the number of the others. */
static void test_repeats(void **state)
{
	struct log other = { .session = 7 };
	unsigned lines = 0;
	const char *all;

	for (int json = 0; json < 2; json++) {
		log_configure(json, LOG_DEBUG);
		for (unsigned i = 0; i < 200; i++) {
			log_error(NULL, "test.done", kv("reason", json ? "a full disk" : "no disk"));
			log_info(NULL, "test.begun"); /* no warning: each is written */
			if (i % 100 == 0)
				log_error(&other, "test.done", kv("reason", json ? "a full disk" : "no disk"));
		}
		all = logged();
		lines = 0;
		for (const char *p = all; (p = strstr(p, "test.done")); p++)
			lines++;
		assert_int_equal(lines, 10 + 2);
		lines = 0;
		for (const char *p = all; (p = strstr(p, "test.begun")); p++)
			lines++;
		assert_int_equal(lines, 200);
		log_settle(false);
		assert_string_equal(logged(), ""); /* its time is not over */
		log_settle(true);
		all = after_event(json ? "\"event\":\"test.done\"" : "event=test.done");
		assert_string_equal(all, json ? ",\"reason\":\"a full disk\",\"repeated\":190}\n"
					      : " reason=\"no disk\" repeated=190\n");
		log_settle(true);
		assert_string_equal(logged(), "");
		log_error(NULL, "test.done", kv("reason", json ? "a full disk" : "no disk"));
		assert_non_null(strstr(logged(), "test.done"));
	}
}

/* No line is lost, also with more contents than are remembered. */
static void test_many_repeats(void **state)
{
	const char *all;

	log_configure(false, LOG_INFO);
	for (unsigned contents = 40; contents <= 100; contents += 60) {
		unsigned lines = 0, sum = 0;

		for (unsigned i = 0; i < 15; i++) {
			for (unsigned k = 0; k < contents; k++)
				log_warning(NULL, "test.crowd", kv("of", contents), kv("n", k));
			all = logged();
			for (const char *p = all; (p = strstr(p, "test.crowd")); p++)
				lines++;
		}
		log_settle(true);
		all = logged();
		for (const char *p = all; (p = strstr(p, "repeated=")); p++)
			sum += (unsigned)strtoul(p + 9, NULL, 10);
		assert_int_equal(lines + sum, 15 * contents);
		if (contents == 40)
			assert_int_equal(lines, 10 * contents);
	}
}

/* The journal's priorities, only where standard error is what JOURNAL_STREAM says. */
static void test_priorities(void **state)
{
	static const struct {
		struct str line, first;
	} rows[] = {
		{ S("time=2026-11-29T18:06:50.874Z level=debug role=queue event=test.done\n"), S("<7>time=") },
		{ S("time=2026-11-29T18:06:50.874Z level=info role=queue event=test.done reason=\"level=error\"\n"),
		  S("<6>time=") },
		{ S("time=2026-11-29T18:06:50.874Z level=warning role=queue event=test.done\n"), S("<4>time=") },
		{ S("time=2026-11-29T18:06:50.874Z level=error role=queue event=test.done\n"), S("<3>time=") },
		{ S("posthouse: no such file\n"), S("<3>posthouse") },
		{ S("\n"), S("<3>\n") },
	};
	struct stat s;
	char name[64];
	const char *line;

	assert_int_equal(fstat(STDERR_FILENO, &s), 0);
	snprintf(name, sizeof(name), "%ju:%ju", (uintmax_t)s.st_dev, (uintmax_t)s.st_ino);
	setenv("JOURNAL_STREAM", name, 1);
	log_setup("queue", -1);
	log_configure(false, LOG_DEBUG);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		log_forward(rows[i].line);
		line = logged();
		assert_true(str_starts(str_of(line), rows[i].first));
		assert_true(str_eq(str_from(str_of(line), 3), rows[i].line));
	}
	log_warning(NULL, "test.done", kv("text", "x\n<0>forged"));
	assert_true(str_starts(str_of(line = logged()), S("<4>time=")));
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	log_configure(true, LOG_DEBUG);
	log_debug(NULL, "test.done");
	assert_true(str_starts(str_of(logged()), S("<7>{\"time\":")));
	log_forward(S("{\"time\":\"2026-11-29T18:06:50.874Z\",\"level\":\"info\",\"role\":\"relay\"}\n"));
	assert_true(str_starts(str_of(logged()), S("<6>{\"time\":")));
	snprintf(name, sizeof(name), "%ju:%ju", (uintmax_t)s.st_dev, (uintmax_t)s.st_ino + 1); /* somebody's pipe is between */
	setenv("JOURNAL_STREAM", name, 1);
	log_setup("queue", -1);
	log_error(NULL, "test.done");
	assert_true(str_starts(str_of(logged()), S("{\"time\":")));
	unsetenv("JOURNAL_STREAM");
	log_setup("queue", -1);
	log_error(NULL, "test.done");
	assert_true(str_starts(str_of(logged()), S("{\"time\":")));
}

/* A role that was taken over can write what it likes to its pipe: only a whole line in its own name is one. */
static void test_lines_of_a_process(void **state)
{
#define TIME "time=2026-11-29T18:06:50.874Z "
#define JSON "{\"time\":\"2026-11-29T18:06:50.874Z\",\"level\":\"info\","
	static const struct {
		struct str line;
		int index;
		bool good;
	} rows[] = {
		{ S(TIME "level=info role=relay event=test.done\n"), -1, true },
		{ S(TIME "level=info role=relay event=test.done reason=\"a \\\" role=queue\" n=-5\n"), -1, true },
		{ S(TIME "level=info role=relay index=3 event=test.done\n"), 3, true },
		{ S(TIME "level=info role=relay index=4 event=test.done\n"), 3, false },
		{ S(TIME "level=info role=relay event=test.done\n"), 3, false },
		{ S(TIME "level=info role=queue event=test.done\n"), -1, false },
		{ S(TIME "level=info role=relay event=test.done role=queue\n"), -1, false },
		{ S(TIME "level=info role=relay event=test.done event=queue.opened\n"), -1, false },
		{ S(TIME "level=info role=relay event=test.done reason=\"no end\n"), -1, false },
		{ S(TIME "level=info role=relay event=test.done reason=a\"b\n"), -1, false },
		{ S(TIME "level=info role=relay event=test.done"), -1, false },
		{ S(TIME "level=info role=relay event=test.done text=\x1b[2J\n"), -1, false },
		{ S(TIME "level=info role=relay event=test.done text=\r\n"), -1, false },
		{ S(TIME "level=info role=relay event=test.done text=\xff\n"), -1, false },
		{ S("time=today level=info role=relay event=test.done\n"), -1, false },
		{ S("posthouse: last words\n"), -1, false },
		{ S("\n"), -1, false },
		{ S(""), -1, false },
		{ S(JSON "\"role\":\"relay\",\"event\":\"test.done\",\"n\":5,\"b\":true}\n"), -1, true },
		{ S(JSON "\"role\":\"relay\",\"index\":3,\"event\":\"test.done\",\"reason\":\"\\\"}\"}\n"), 3, true },
		{ S(JSON "\"role\":\"queue\",\"event\":\"test.done\"}\n"), -1, false },
		{ S(JSON "\"role\":\"relay\",\"event\":\"test.done\",\"role\":\"queue\"}\n"), -1, false },
		{ S(JSON "\"role\":\"relay\",\"event\":\"test.done\",\"ro\\u006ce\":\"queue\"}\n"), -1, false },
		{ S(JSON "\"role\":\"relay\",\"event\":\"test.done\",\"a\":{\"role\":\"queue\"}}\n"), -1, false },
		{ S(JSON "\"role\":\"relay\",\"event\":\"test.done\"}{\"role\":\"queue\"}\n"), -1, false },
		{ S("{}\n"), -1, false },
		{ S("{\n"), -1, false },
	};

	const struct log about = { .session = 1, .message = 7 };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (log_line_is_of(rows[i].line, "relay", rows[i].index) != rows[i].good)
			fail_msg("row %zu: %.*s", i, STR_ARG(rows[i].line));
	/* what this process writes is always a line of its own */
	for (int index = -1; index < 2; index++)
		for (int json = 0; json < 2; json++) {
			log_setup("relay", index);
			log_configure(json, LOG_DEBUG);
			log_error(&about, "test.done", kv("text", "a\n\"\\\x1b role=queue ="), kv("empty", ""), kv("count", -5),
				  kv("told", true), kv("word", "\xc3\xa9}"));
			assert_true(log_line_is_of(str_of(logged()), "relay", index));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_values, capture, give_back),
		cmocka_unit_test_setup_teardown(test_kinds_and_contexts, capture, give_back),
		cmocka_unit_test_setup_teardown(test_levels, capture, give_back),
		cmocka_unit_test_setup_teardown(test_long_values, capture, give_back),
		cmocka_unit_test_setup_teardown(test_a_full_pipe, capture, give_back),
		cmocka_unit_test_setup_teardown(test_repeats, capture, give_back),
		cmocka_unit_test_setup_teardown(test_many_repeats, capture, give_back),
		cmocka_unit_test_setup_teardown(test_priorities, capture, give_back),
		cmocka_unit_test_setup_teardown(test_lines_of_a_process, capture, give_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
