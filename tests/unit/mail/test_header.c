/* test_header.c - header sections as fields, and the collector. */
#include "mail_test.h"

static const struct {
	const char *section;
	int n; /* fields; -1 = refused */
	const char *first_name, *first_value;
} rows[] = {
	{ "", 0, NULL, NULL },
	{ "From: a@b\r\n", 1, "From", " a@b" },
	{ "From:a@b\r\n", 1, "From", "a@b" },
	{ "From:\r\n", 1, "From", "" },
	{ "From : a@b\r\n", 1, "From", " a@b" },
	{ "From \t: a@b\r\n", 1, "From", " a@b" },
	{ "Subject: one\r\n two\r\n\tthree\r\nTo: x\r\n", 2, "Subject", " one\r\n two\r\n\tthree" },
	{ "Subject:\r\n one\r\n", 1, "Subject", "\r\n one" },
	{ "Subject: x\r\n \r\n\t\r\nTo: y\r\n", 2, "Subject", " x\r\n \r\n\t" },
	{ "X: a:b::c\r\n", 1, "X", " a:b::c" },
	{ "!#$%~: x\r\n", 1, "!#$%~", " x" },
	{ "X: \xf6\xc3\xb6\r\n", 1, "X", " \xf6\xc3\xb6" },
	{ "A: 1\r\nB: 2\r\nC: 3\r\n", 3, "A", " 1" },
	{ " fold first\r\nFrom: a@b\r\n", -1, NULL, NULL },
	{ "From a@b Sat Nov 21 19:37:54 2026\r\n", -1, NULL, NULL },
	{ "no field\r\n", -1, NULL, NULL },
	{ ": no name\r\n", -1, NULL, NULL },
	{ " : no name\r\n", -1, NULL, NULL },
	{ "Na me: x\r\n", -1, NULL, NULL },
	{ "N\xc3\xa4me: x\r\n", -1, NULL, NULL },
	{ "N\x01: x\r\n", -1, NULL, NULL },
	{ "From: a@b\n", -1, NULL, NULL },
	{ "From: a@b\nBcc: c@d\r\n", -1, NULL, NULL },
	{ "From: a@b\rBcc: c@d\r\n", -1, NULL, NULL },
	{ "From: a@b\r\r\n", -1, NULL, NULL },
	{ "From: a@b", -1, NULL, NULL },
	{ "From: a@b\r", -1, NULL, NULL },
	{ "From: a@b\r\nTo", -1, NULL, NULL },
	{ "From: a@b\r\n\r\nbody\r\n", -1, NULL, NULL },
	{ "\r\n", -1, NULL, NULL },
	{ "\n", -1, NULL, NULL },
};

static void test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena a = { 0 };
		struct header h = { NULL, 0 };
		struct str section = exact(str_of(rows[i].section));
		struct verdict v = header_parse(&a, section, &h);
		if (rows[i].n < 0 ? v.class != PERM : v.class != OK || h.n != (size_t)rows[i].n)
			fail_msg("\"%s\": verdict %d, %zu fields", rows[i].section, (int)v.class, h.n);
		if (rows[i].n < 0) {
			assert_int_equal(v.code, 550);
			assert_str(v.enhanced, S("5.6.0"));
		}
		if (rows[i].n > 0) {
			assert_str(h.fields[0].name, str_of(rows[i].first_name));
			assert_str(h.fields[0].value, str_of(rows[i].first_value));
			struct str whole = h.fields[h.n - 1].whole;
			assert_ptr_equal(whole.p + whole.n, section.p + section.n);
		}
		exact_free(section);
		arena_fini(&a);
	}
}

static void test_nul_is_refused(void **state)
{
	struct arena a = { 0 };
	struct header h;

	(void)state;
	assert_int_equal(header_parse(&a, S("From: a@b\0c\r\n"), &h).class, PERM);
	assert_int_equal(header_parse(&a, S("Fr\0om: a@b\r\n"), &h).class, PERM);
	arena_fini(&a);
}

static void test_find(void **state)
{
	struct arena a = { 0 };
	struct header h;

	(void)state;
	assert_int_equal(header_parse(&a, S("To: 1\r\nFROM : 2\r\nto: 3\r\n"), &h).class, OK);
	assert_str(header_find(&h, S("TO"))->value, S(" 1"));
	assert_str(header_find(&h, S("From"))->value, S(" 2"));
	assert_null(header_find(&h, S("Fro")));
	arena_fini(&a);
}

static const struct {
	const char *message, *section, *body;
} messages[] = {
	{ "A: 1\r\n\r\nbody\r\n", "A: 1\r\n", "body\r\n" },
	{ "A: 1\r\nB: 2\r\n 3\r\n\r\n", "A: 1\r\nB: 2\r\n 3\r\n", "" },
	{ "\r\nbody\r\n", "", "body\r\n" },
	{ "\r\n", "", "" },
	{ "A: 1\r\n\r\n\r\n\r\nx", "A: 1\r\n", "\r\n\r\nx" },
	{ "A: 1\r\n \r\n\r\nx", "A: 1\r\n \r\n", "x" },
	{ "A: 1\n\r\nx", "A: 1\n", "x" },
	{ "A: \r\r\n\r\nx", "A: \r\r\n", "x" },
	{ "A: 1\r\nB: 2\r\n", "A: 1\r\nB: 2\r\n", "" },
	{ "A: 1\n\nx", "A: 1\n", "\nx" },
	{ "A: 1\r\r\rx", "A: 1\r\r\rx\r\n", "" },
	{ "A: 1\r\nB: 2", "A: 1\r\nB: 2\r\n", "" },
	{ "A: 1\r\nB: 2\r", "A: 1\r\nB: 2\r\n", "" },
	{ "", "", "" },
	/* no header, or no blank line: what is no field begins the body */
	{ "hello\r\n", "", "hello\r\n" },
	{ "hello", "", "hello" },
	{ "hello world: x\r\nFrom: a@b\r\n\r\ny", "", "hello world: x\r\nFrom: a@b\r\n\r\ny" },
	{ "A: 1\r\nhello\r\nB: 2\r\n\r\nx", "A: 1\r\n", "hello\r\nB: 2\r\n\r\nx" },
	{ "A: 1\r\n \r\nhello\r\n", "A: 1\r\n \r\n", "hello\r\n" },
	{ "A: 1\r\n\t \r\n x\r\nB : 2\r\n\r\n", "A: 1\r\n\t \r\n x\r\nB : 2\r\n", "" },
	{ " \r\nA: 1\r\n", "", " \r\nA: 1\r\n" },
	{ " A: 1\r\nB: 2\r\n", "", " A: 1\r\nB: 2\r\n" },
	{ ": 1\r\n\r\nx", "", ": 1\r\n\r\nx" },
	{ "Gr\xc3\xb6\xc3\x9f"
	  "e: 1\r\n",
	  "",
	  "Gr\xc3\xb6\xc3\x9f"
	  "e: 1\r\n" },
	{ "http://x.example/\r\n", "http://x.example/\r\n", "" },
	{ "A\r\n : 1\r\n", "", "A\r\n : 1\r\n" },
	/* in front: a byte order mark, mbox's line */
	{ "\xef\xbb\xbf"
	  "A: 1\r\n\r\nx",
	  "A: 1\r\n", "x" },
	{ "\xef\xbb\xbf\r\nx", "", "x" },
	{ "\xef\xbb\xbfhello\r\n", "", "hello\r\n" },
	{ "\xef\xbbhello\r\n", "", "\xef\xbbhello\r\n" },
	{ "From a@b Sat Nov 21 19:37:54 2026\r\nA: 1\r\n\r\nx", "A: 1\r\n", "x" },
	{ ">From a@b  Sat, 21 Nov 2026 19:37 +0100\r\nA: 1\r\n", "A: 1\r\n", "" },
	{ "\xef\xbb\xbf"
	  "From a@b Sat Nov 21 19:37:54 2026\r\nA: 1\r\n",
	  "A: 1\r\n", "" },
	{ "From 0123 Mon Sep 17 00:00:00 2001\r\nhello\r\n", "", "hello\r\n" },
	{ "From here on all is fine\r\n", "", "From here on all is fine\r\n" },
	{ "From : a@b\r\n\r\n", "From : a@b\r\n", "" },
	{ "A: 1\r\nFrom a@b Sat Nov 21 19:37:54 2026\r\n", "A: 1\r\n", "From a@b Sat Nov 21 19:37:54 2026\r\n" },
	{ "> From a@b Sat Nov 21 19:37:54 2026\r\n", "", "> From a@b Sat Nov 21 19:37:54 2026\r\n" },
};

/* Feed a message in pieces of one size and check where the body begins. */
static void check_pieces(size_t row, size_t size)
{
	struct str message = str_of(messages[row].message), want = str_of(messages[row].section);
	struct header_collector c;
	struct buf body;

	header_collector_init(&c);
	buf_init(&body, 1000);
	for (size_t at = 0; at < message.n; at += size) {
		struct str piece = exact(str_head(str_from(message, at), size)), rest;
		assert_int_equal(header_collector_feed(&c, piece, &rest).class, OK);
		assert_true(c.complete || rest.n == 0);
		assert_true(buf_add(&body, c.begun) && buf_add(&body, rest));
		exact_free(piece);
	}
	assert_int_equal(header_collector_end(&c).class, OK);
	assert_true(buf_add(&body, c.begun));
	assert_true(c.complete);
	assert_str(buf_view(&c.section), want);
	assert_str(buf_view(&body), str_of(messages[row].body));
	buf_fini(&body);
	header_collector_fini(&c);
}

static void test_collector(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
		for (size_t size = 1; size <= strlen(messages[i].message); size++)
			check_pieces(i, size);
	}
}

/* A section of `lines` lines of 64 bytes and one of `last`, in pieces; the verdict of the last piece. */
static struct verdict collect_large(size_t lines, size_t last, size_t size, bool *complete_out)
{
	struct header_collector c;
	struct verdict v = ok();
	size_t n = 64 * lines + last;
	char *p = xmalloc(n + 3);

	memset(p, 'x', n);
	for (size_t i = 1; i <= lines; i++)
		memcpy(p + 64 * i - 2, "\r\n", 2);
	for (size_t i = 0; i <= lines; i++)
		p[64 * i + 1] = ':';
	memcpy(p + n - 2, "\r\n\r\n", 4);
	header_collector_init(&c);
	for (size_t at = 0; at < n + 2 && v.class == OK; at += size) {
		struct str rest;
		v = header_collector_feed(&c, str_head(str_make(p + at, n + 2 - at), size), &rest);
	}
	*complete_out = c.complete;
	if (v.class != OK) {
		struct str rest; /* it stays refused */
		assert_int_equal(header_collector_feed(&c, S("\r\n"), &rest).class, PERM);
	}
	header_collector_fini(&c);
	free(p);
	return v;
}

/* A line without end that is no field is body, however long, and costs nothing; a field is refused. */
static void test_collector_long_line(void **state)
{
	struct header_collector c;
	struct str rest;
	char piece[4096];

	(void)state;
	for (int field = 0; field <= 1; field++) {
		struct verdict v = ok();
		memset(piece, 'x', sizeof piece);
		header_collector_init(&c);
		for (size_t i = 0; i < 4 * HEADER_MAX / sizeof piece && v.class == OK; i++) {
			piece[5] = field && i == 0 ? ':' : 'x';
			v = header_collector_feed(&c, str_make(piece, sizeof piece), &rest);
			assert_true(c.section.n <= HEADER_MAX + 1000);
		}
		assert_int_equal(v.class, field ? PERM : OK);
		assert_int_equal(c.complete, !field);
		header_collector_fini(&c);
	}
}

static void test_collector_bound(void **state)
{
	static const size_t sizes[] = { 1, 7, 64, 4096, 65536, HEADER_MAX, 2 * HEADER_MAX };
	size_t lines = HEADER_MAX / 64 - 1;
	bool complete;

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		assert_int_equal(collect_large(lines, 64, sizes[i], &complete).class, OK);
		assert_true(complete);
		for (size_t more = 1; more < 5; more++) {
			struct verdict v = collect_large(lines, 64 + more, sizes[i], &complete);
			assert_int_equal(v.class, PERM);
			assert_int_equal(v.code, 552);
			assert_str(v.enhanced, S("5.3.4"));
			assert_false(complete);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_nul_is_refused),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_collector),
		cmocka_unit_test(test_collector_bound),
		cmocka_unit_test(test_collector_long_line),
	};

	return cmocka_run_group_tests_name("header", tests, NULL, NULL);
}
