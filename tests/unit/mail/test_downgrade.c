/* test_downgrade.c - 8-bit to 7-bit: what becomes of each kind of part, byte for byte. Another reader's view of it:
 * downgrade_peer.py. */
#include "mail_test.h"

#define MIME   "MIME-Version: 1.0\r\n"
#define QP     "Content-Transfer-Encoding: quoted-printable\r\n"
#define BASE64 "Content-Transfer-Encoding: base64\r\n"
#define PLAIN  "Content-Type: text/plain; charset=utf-8\r\n"

struct row {
	const char *name, *in, *out; /* out NULL: nothing changes */
};

static const struct row rows[] = {
	/* leaves */
	{ "ascii", MIME "\r\nplain\r\ntext\r\n", NULL },
	{ "empty", "", NULL },
	{ "no body", "Subject: x\r\n", NULL },
	{ "header without end", "Subject: x", NULL },
	{ "empty body", MIME "Content-Transfer-Encoding: 8bit\r\n\r\n", MIME "Content-Transfer-Encoding: 7bit\r\n\r\n" },
	{ "label 8bit", MIME "content-transfer-encoding:\r\n 8BIT (not really)\r\nX: y\r\n\r\nplain\r\n",
	  MIME "content-transfer-encoding: 7bit\r\nX: y\r\n\r\nplain\r\n" },
	{ "label binary", MIME "Content-Transfer-Encoding: binary\r\n\r\nplain",
	  MIME "Content-Transfer-Encoding: 7bit\r\n\r\nplain" },
	{ "quoted-printable", MIME PLAIN "Content-Transfer-Encoding: 8bit\r\n\r\nJ\xc3\xb6rg has a longer name = this\r\n",
	  MIME PLAIN QP "\r\nJ=C3=B6rg has a longer name =3D this\r\n" },
	{ "base64", MIME PLAIN "Content-Transfer-Encoding: 8bit\r\nX: y\r\n\r\n\xe6\x97\xa5\xe6\x9c\xac\r\n",
	  MIME PLAIN BASE64 "X: y\r\n\r\n5pel5pysDQo=\r\n" },
	{ "no label", MIME PLAIN "\r\nlong enough \xc3\xb6\r\n", MIME PLAIN QP "\r\nlong enough =C3=B6\r\n" },
	{ "label 7bit lies", MIME PLAIN "Content-Transfer-Encoding: 7bit\r\n\r\nlong enough \xc3\xb6\r\n",
	  MIME PLAIN QP "\r\nlong enough =C3=B6\r\n" },
	{ "two labels",
	  MIME PLAIN "Content-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: 7bit\r\n\r\nlong enough \xc3\xb6\r\n",
	  MIME PLAIN QP "\r\nlong enough =C3=B6\r\n" },
	{ "no last CRLF", MIME PLAIN "\r\nlong enough \xc3\xb6", MIME PLAIN QP "\r\nlong enough =C3=B6=\r\n" },
	{ "bare CR and LF", MIME PLAIN "\r\na\rb\nc and some more\r\r\n\n",
	  MIME PLAIN QP "\r\na=0Db=0Ac and some more=0D\r\n=0A=\r\n" },
	/* quoted-printable */
	{ "spaces at the end", MIME PLAIN "\r\n-- \r\nlong enough \xc3\xb6 \t\r\n \r\n\r\nx ",
	  MIME PLAIN QP "\r\n-=2D=20\r\nlong enough =C3=B6 =09\r\n=20\r\n\r\nx=20=\r\n" },
	{ "soft line break",
	  MIME PLAIN "\r\n\xc3\xb6 56789 123456789 123456789 123456789 123456789 123456789 123456789 1234--b\r\nFrom me\r\n",
	  MIME PLAIN QP
	  "\r\n=C3=B6 56789 123456789 123456789 123456789 123456789 123456789 123456789 12=\r\n34--b\r\nFrom=20me\r\n" },
	{ "delimiter after a soft break",
	  MIME "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"
	       "\xc3\xb6 56789 123456789 123456789 123456789 123456789 123456789 123456789 12--b\r\n--b--\r\n",
	  MIME "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" QP "\r\n"
	       "=C3=B6 56789 123456789 123456789 123456789 123456789 123456789 123456789 12=\r\n-=2Db\r\n--b--\r\n" },
	/* encoded already */
	{ "mended quoted-printable", MIME PLAIN QP "\r\n=C3=B6 raw \xc3\xb6=\r\n--x\xff \r\n",
	  MIME PLAIN QP "\r\n=C3=B6 raw =C3=B6=\r\n=2D-x=FF \r\n" },
	{ "mended base64",
	  MIME PLAIN BASE64 "\r\nUUFB\r\nUU\xff"
			    "FB\r\n",
	  MIME PLAIN BASE64 "\r\nUUFB\r\nUUFB\r\n" },
	{ "kept", MIME PLAIN QP "\r\n--x \r\n=\r\n", NULL },
	/* messages that say little */
	{ "no MIME, UTF-8", "Subject: x\r\n\r\nlong enough \xc3\xb6\r\n",
	  "Subject: x\r\n" MIME PLAIN QP "\r\nlong enough =C3=B6\r\n" },
	{ "no MIME, unknown", "Subject: x\r\n\r\nlong enough \xf6\r\n",
	  "Subject: x\r\n" MIME "Content-Type: text/plain; charset=unknown-8bit\r\n" QP "\r\nlong enough =F6\r\n" },
	{ "no MIME, ascii", "Subject: x\r\n\r\nx\r\n", NULL },
	{ "no MIME, odd type", "Content-Type: text\r\n\r\nlong enough \xf6\r\n",
	  "Content-Type: text\r\n" MIME QP "\r\nlong enough =F6\r\n" },
	{ "no header", "\r\nlong enough \xc3\xb6\r\n", MIME PLAIN QP "\r\nlong enough =C3=B6\r\n" },
	{ "8-bit header", MIME "Subject: \xc3\xb6\r\n\r\nx\r\n", MIME "Subject: =?utf-8?Q?=C3=B6?=\r\n\r\nx\r\n" },
	/* multiparts */
	{ "multipart",
	  MIME
	  "Content-Type: Multipart/Mixed; charset=x;\r\n\tboundary=\"a \\b\" (c)\r\nContent-Transfer-Encoding: 8bit\r\n\r\npre\r\n--a b \t\r\n" PLAIN
	  "Content-Transfer-Encoding: 8bit\r\n\r\nlong enough \xc3\xb6\r\n--a bc\r\n--a b\r\n\r\nx\r\n\r\n--a b\r\n--a b--\r\npost",
	  MIME
	  "Content-Type: Multipart/Mixed; charset=x;\r\n\tboundary=\"a \\b\" (c)\r\nContent-Transfer-Encoding: 7bit\r\n\r\npre\r\n--a b \t\r\n" PLAIN
		  QP "\r\nlong enough =C3=B6\r\n-=2Da bc\r\n--a b\r\n\r\nx\r\n\r\n--a b\r\n--a b--\r\npost" },
	{ "preamble and epilogue",
	  MIME "Content-Type: multipart/mixed; boundary=a?\r\n\r\np\xc3\xb6\r\n--a\xff\r\n--a?\r\n\r\nx\r\n--a?--\r\n\xff\r\n",
	  MIME "Content-Type: multipart/mixed; boundary=a?\r\n\r\np??\r\n?-a?\r\n--a?\r\n\r\nx\r\n--a?--\r\n?\r\n" },
	{ "nested, inner not closed",
	  MIME
	  "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/related; boundary=a1\r\n\r\n--a1\r\n\r\n"
	  "long enough \xc3\xb6\r\n--a\r\n\r\nlong enough \xc3\xb6\r\n--a--\r\n",
	  MIME
	  "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/related; boundary=a1\r\n\r\n--a1\r\n" QP
	  "\r\n"
	  "long enough =C3=B6\r\n--a\r\n" QP "\r\nlong enough =C3=B6\r\n--a--\r\n" },
	{ "base64 before a delimiter",
	  MIME "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\n\xe6\x97\xa5\xe6\x9c\xac\r\n\r\n--a--",
	  MIME "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n" BASE64 "\r\n5pel5pysDQo=\r\n--a--" },
	{ "no MIME-Version, multipart",
	  "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nlong enough \xc3\xb6\r\n--a--\r\n",
	  "Content-Type: multipart/mixed; boundary=a\r\n" MIME "\r\n--a\r\n" QP "\r\nlong enough =C3=B6\r\n--a--\r\n" },
	{ "no MIME-Version, clean multipart", "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a--\r\n",
	  "Content-Type: multipart/mixed; boundary=a\r\n" MIME "\r\n--a\r\n\r\nx\r\n--a--\r\n" },
	{ "message in a message",
	  MIME
	  "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n>From x 12:00\r\nSubject: y\r\n\r\nlong enough \xc3\xb6\r\n",
	  MIME
	  "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\n>From x 12:00\r\nSubject: y\r\n" MIME PLAIN QP
	  "\r\nlong enough =C3=B6\r\n" },
	{ "digest",
	  MIME "Content-Type: multipart/digest; boundary=a\r\n\r\n--a\r\n\r\nSubject: y\r\n\r\nlong enough \xc3\xb6\r\n--a--\r\n",
	  MIME "Content-Type: multipart/digest; boundary=a\r\n\r\n--a\r\n\r\nSubject: y\r\n" MIME PLAIN QP
	       "\r\nlong enough =C3=B6\r\n--a--\r\n" },
	{ "message/global is a leaf", MIME "Content-Type: message/global\r\n\r\nSubject: \xc3\xb6 and more\r\n",
	  MIME "Content-Type: message/global\r\n" QP "\r\nSubject: =C3=B6 and more\r\n" },
	{ "part that ends in its header", MIME "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nX: y\r\n--a--\r\n",
	  NULL },
	{ "part without blank line",
	  MIME "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nX: y\r\nlong enough \xc3\xb6\r\n--a--\r\n",
	  MIME "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nX: y\r\n" QP "\r\nlong enough =C3=B6\r\n--a--\r\n" },
	/* opaque, but nothing in it needs a change */
	{ "signed",
	  MIME "Content-Type: multipart/signed; boundary=a\r\n\r\n--a\r\nContent-Transfer-Encoding: 8bit\r\n\r\nx\r\n--a--\r\n",
	  NULL },
	{ "signed within",
	  MIME
	  "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: multipart/signed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a--\r\n"
	  "--o\r\n\r\nlong enough \xc3\xb6\r\n--o--\r\n",
	  MIME
	  "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: multipart/signed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a--\r\n"
	  "--o\r\n" QP "\r\nlong enough =C3=B6\r\n--o--\r\n" },
};

/* What must be refused, as header fields after MIME-Version; the body is a part with an 8-bit character. */
static const char *const refused[] = {
	"Content-Type: multipart/signed; boundary=a\r\n",
	"Content-Type: MULTIPART/Encrypted; boundary=a\r\n",
	"Content-Type: application/pkcs7-mime\r\n",
	"Content-Type: message/partial\r\n",
	"Content-Transfer-Encoding: x-uuencode\r\n",
	"Content-Type: multipart/mixed\r\n",
	"Content-Type: multipart/mixed; boundary=\"\"\r\n",
	"Content-Type: multipart/mixed; boundary=\"a\r\n",
	"Content-Type: multipart/mixed; boundary=a b\r\n",
	"Content-Type: multipart/mixed; boundary=a; boundary=b\r\n",
	"Content-Type: multipart/mixed; boundary*0=a\r\n",
	"Content-Type: multipart/mixed; boundary=a\r\nContent-Type: text/plain\r\n",
	"Content-Type: text/plain\r\nContent-Type: multipart/mixed; boundary=a\r\n",
	"Content-Type: multipart/mixed; boundary=a\r\nContent-Transfer-Encoding: base64\r\n",
};

/* One conversion in pieces of `size` bytes. */
static struct verdict convert(struct str in, size_t size, bool whole, struct buf *out)
{
	struct downgrade *c = downgrade_new(DOWNGRADE_7BIT, whole ? SIZE_MAX / 2 : DOWNGRADE_SAMPLE);
	struct verdict v = ok();

	buf_init(out, SIZE_MAX / 2);
	for (size_t at = 0; at < in.n && v.class == OK; at += size)
		v = downgrade_feed(c, str_head(str_from(in, at), size), out);
	if (v.class == OK)
		v = downgrade_end(c, out);
	if (v.class == OK)
		assert_true(str_starts(buf_view(out), downgrade_header(c)));
	downgrade_free(c);
	return v;
}

static void expect(const char *name, struct str in, struct str want)
{
	static const size_t sizes[] = { 100000000, 1, 2, 3, 7, 999, 1000, 1001 };
	struct buf out;

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct verdict v = convert(in, sizes[i], true, &out);
		if (v.class != OK || !str_eq(buf_view(&out), want))
			print_error("%s, in pieces of %zu:\n", name, sizes[i]);
		assert_int_equal(v.class, OK);
		assert_str(buf_view(&out), want);
		buf_fini(&out);
	}
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		expect(rows[i].name, str_of(rows[i].in), str_of(rows[i].out ? rows[i].out : rows[i].in));
	expect("NUL", S(MIME "Content-Transfer-Encoding: binary\r\n\r\na\0b and more\r\n"),
	       S(MIME BASE64 "Content-Type: text/plain; charset=us-ascii\r\n\r\nYQBiIGFuZCBtb3JlDQo=\r\n"));
}

static void test_refused(void **state)
{
	struct arena a = { 0 };
	struct buf out;

	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		for (unsigned whole = 0; whole < 2; whole++) {
			struct str bad = arena_printf(&a, MIME "%s\r\n--a\r\n\r\n\xc3\xb6\r\n--a--\r\n", refused[i]);
			struct verdict v = convert(bad, 1 + 100 * i, whole, &out);
			if (v.class == OK)
				print_error("%s: not refused\n", refused[i]);
			assert_int_equal(v.class, PERM);
			assert_int_equal(v.code, 554);
			assert_str(v.enhanced, S("5.6.3"));
			buf_fini(&out);
		}
		struct str good = arena_printf(&a, MIME "%s\r\n--a\r\n\r\no\r\n--a--\r\n", refused[i]);
		expect(refused[i], good, good);
	}
	arena_fini(&a);
}

static struct str repeat(struct arena *a, struct str what, size_t n)
{
	char *p = arena_alloc(a, what.n * n + 1);

	for (size_t i = 0; i < n; i++)
		memcpy(p + i * what.n, what.p, what.n);
	return str_make(p, what.n * n);
}

/* Lines of more than 998 bytes; and a part that is larger than what is looked at for the choice. */
static void test_long(void **state)
{
	struct arena a = { 0 };
	struct buf out;

	(void)state;
	struct str x = repeat(&a, S("x"), 998);
	struct str text = arena_printf(&a, MIME PLAIN "\r\n%.*s\r\n", STR_ARG(x));
	expect("998", text, text);
	text = arena_printf(&a, MIME PLAIN "\r\n%.*sx\r\n", STR_ARG(x));
	assert_int_equal(convert(text, 10, true, &out).class, OK);
	assert_true(str_search(buf_view(&out), S(QP "\r\nxxxx")) < out.n);
	assert_true(str_search(buf_view(&out), S("xxx=\r\nxxx")) < out.n);
	buf_fini(&out);

	/* base64 on one line */
	x = repeat(&a, S("QUJD"), 500);
	text = arena_printf(&a, MIME BASE64 "\r\n%.*s\r\n", STR_ARG(x));
	x = repeat(&a, arena_printf(&a, "%.*s\r\n", STR_ARG(str_head(x, 76))), 26);
	expect("base64", text, arena_printf(&a, MIME BASE64 "\r\n%.*sQUJDQUJDQUJDQUJDQUJDQUJD\r\n", STR_ARG(x)));

	/* 8-bit text after the front of a part, and none: known only where the whole part is kept */
	x = repeat(&a, S("0123456789 abcdef\r\n"), 400);
	text = arena_printf(&a, MIME PLAIN "\r\n%.*s", STR_ARG(x));
	expect("clean", text, text);
	assert_int_equal(convert(text, 4096, false, &out).class, OK);
	assert_str(buf_view(&out), arena_printf(&a, MIME PLAIN QP "\r\n%.*s", STR_ARG(x)));
	buf_fini(&out);
	text = arena_printf(&a, "\r\n%.*s\xc3\xb6\r\n", STR_ARG(x));
	expect("late", text, arena_printf(&a, MIME PLAIN QP "\r\n%.*s=C3=B6\r\n", STR_ARG(x)));
	arena_fini(&a);
}

/* What is bounded: nesting, a part's header section, parts that are encoded, the header section of the message. */
static void test_bounds(void **state)
{
	struct arena a = { 0 };
	struct buf out;

	(void)state;
	struct str nest = repeat(&a, S("Content-Type: message/rfc822\r\n\r\n"), 18);
	struct str deeper = repeat(&a, S(MIME "Content-Type: message/rfc822\r\n\r\n"), 40);
	struct str text = arena_printf(&a, "%.*sSubject: x\r\n\r\nlong enough \xc3\xb6\r\n", STR_ARG(nest));
	assert_int_equal(convert(text, 100, true, &out).class, OK);
	assert_true(str_ends(buf_view(&out), S(QP "\r\nlong enough =C3=B6\r\n")));
	buf_fini(&out);
	text = arena_printf(&a, "%.*sSubject: x\r\n\r\nlong enough \xc3\xb6\r\n", STR_ARG(deeper));
	assert_int_equal(convert(text, 100, true, &out).class, PERM);
	buf_fini(&out);
	text = arena_printf(&a, "%.*sSubject: x\r\n\r\no\r\n", STR_ARG(deeper));
	expect("deep", text, text);

	struct str fields = repeat(&a, S("X-Field: 0123456789\r\n"), 4000);
	text = arena_printf(&a, MIME "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n%.*s\r\n", STR_ARG(fields));
	struct str with = arena_printf(&a, "%.*so\r\n--a--\r\n", STR_ARG(text));
	expect("large part header", with, with);
	with = arena_printf(&a, "%.*s\xc3\xb6\r\n--a--\r\n", STR_ARG(text));
	assert_int_equal(convert(with, 100, false, &out).class, PERM);
	buf_fini(&out);

	struct str parts = repeat(&a, S("--a\r\n\r\n\xc3\xb6 and more\r\n"), 1001);
	text = arena_printf(&a, MIME "Content-Type: multipart/mixed; boundary=a\r\n\r\n%.*s--a--\r\n", STR_ARG(parts));
	assert_int_equal(convert(text, 100, true, &out).class, PERM);
	buf_fini(&out);

	fields = repeat(&a, S("X-Field: 0123456789\r\n"), HEADER_MAX / 20);
	assert_int_equal(convert(fields, 1000, true, &out).class, PERM);
	buf_fini(&out);
	arena_fini(&a);
}

/* A buffer that is too small is said, and the header is there once it is complete. */
static void test_use(void **state)
{
	struct downgrade *c = downgrade_new(DOWNGRADE_7BIT, DOWNGRADE_SAMPLE);
	struct buf small;

	(void)state;
	buf_init(&small, 10);
	assert_null(downgrade_header(c).p);
	assert_int_equal(downgrade_feed(c, S("Subject: x\r\n\r\n"), &small).class, OK);
	assert_null(downgrade_header(c).p);
	struct verdict v = downgrade_end(c, &small);
	assert_int_equal(v.class, TEMP);
	assert_str(downgrade_header(c), S("Subject: x\r\n"));
	buf_fini(&small);
	downgrade_free(c);
	downgrade_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),   cmocka_unit_test(test_refused), cmocka_unit_test(test_long),
		cmocka_unit_test(test_bounds), cmocka_unit_test(test_use),
	};

	return cmocka_run_group_tests_name("downgrade", tests, NULL, NULL);
}
