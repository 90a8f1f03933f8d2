/* test_downgrade.c - 8-bit messages to a next hop without 8BITMIME: converted, counted, signed anew, or refused. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

static const char eight_bit[] =
	"From: a@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
	"Content-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9f"
	"e aus K\xc3\xb6ln\r\n.\r\n";

static int setup_conversion(void **state)
{
	static struct cfg_sign keys[] = {
		{ .domain = { "example.org", 11 }, .selector = { "p1", 2 }, .algorithm = DKIM_RSA_SHA256 },
		{ .domain = { "example.com", 11 }, .selector = { "c", 1 }, .algorithm = DKIM_RSA_SHA256 },
		{ .domain = { "example.org", 11 }, .selector = { "p2", 2 }, .algorithm = DKIM_ED25519_SHA256 }
	};
	struct world *w;

	setup(state);
	w = *state;
	w->config.sign = keys;
	w->config.sign_n = 3;
	w->like.envelope.body = BODY_8BITMIME;
	w->like.envelope.sign_domain = S("example.org");
	w->like.prefix = S("Received: by us\r\nDKIM-Signature: v=1; a=rsa-sha256;\r\n\tb=stale\r\n");
	return 0;
}

static void deliver_text(struct world *w, uint64_t lease, const char *text)
{
	deliver_to(w, lease, S("upstream:hop"), "a@x b@x", str_of(text), -1, 0);
}

/* The bh= that a message's body should have. */
static struct str body_hash(struct world *w, struct str message)
{
	size_t end = str_search(message, S("\r\n\r\n"));
	struct dkim_key key = { .domain = S("example.org"), .selector = S("p1"), .algorithm = DKIM_RSA_SHA256 };
	struct dkim *d = dkim_new();
	struct header header;
	struct str digest, field;
	size_t at;

	assert_int_equal(header_parse(&w->arena, str_head(message, end + 2), &header).class, OK);
	dkim_body(d, str_from(message, end + 4));
	dkim_finish(d, &header, &key, 1, 0, &digest);
	field = dkim_field(&w->arena, d, 0, S("x"));
	dkim_free(d);
	at = str_search(field, S("bh="));
	return str_head(str_from(field, at), 3 + 44);
}

static bool is_seven_bit(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

static size_t count(struct str s, const char *part)
{
	size_t n = 0;

	for (; holds(s, part); n++)
		s = str_from(s, str_search(s, str_of(part)) + 1);
	return n;
}

static void expect_converted(struct world *w)
{
	struct str got = buf_view(&w->sink.text), hash = body_hash(w, got);

	assert_true(is_seven_bit(got));
	assert_true(str_starts(got, S("Received: by us\r\nDKIM-Signature: ")));
	assert_int_equal(count(got, "DKIM-Signature: "), 2);
	assert_false(holds(got, "stale"));
	assert_true(holds(got, "s=p1;") && holds(got, "s=p2;") && !holds(got, "s=c;"));
	assert_int_equal(count(got, arena_cstr(&w->arena, hash)), 2);
	assert_true(holds(buf_view(&w->sink.commands),
			  arena_cstr(&w->arena, arena_printf(&w->arena, "SIZE=%zu\n", got.n)))); /* and no BODY */
}

static void test_signed_anew(void **state)
{
	struct world *w = *state;

	w->sink.features = "SIZE 100000\nPIPELINING\nLIMITS RCPTMAX=1";
	start(w);
	deliver_text(w, 1, eight_bit);
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	expect(result_of(w, 1), 1, OK, 250, "2.0.0", "taken");
	expect_converted(w);
	assert_true(holds(buf_view(&w->sink.text), "Gr=C3=BC=C3=9Fe aus K=C3=B6ln") ||
		    holds(buf_view(&w->sink.text), "Content-Transfer-Encoding: base64"));
	assert_int_equal(w->resigns, 1); /* for both transactions */
	assert_int_equal(w->sink.messages, 2);
}

static void test_not_needed(void **state)
{
	struct world *w = *state;

	w->sink.features = "8BITMIME";
	start(w);
	deliver_text(w, 1, eight_bit);
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	assert_true(holds(buf_view(&w->sink.text), "stale") && holds(buf_view(&w->sink.text), "K\xc3\xb6ln"));
	assert_true(holds(buf_view(&w->sink.commands), "BODY=8BITMIME"));
	assert_int_equal(w->resigns, 0);
}

/* From a file of many chunks, through both passes. */
static void test_large(void **state)
{
	struct world *w = *state;
	FILE *file = tmpfile();
	long size;

	fputs(eight_bit, file);
	for (int i = 0; i < 20000; i++)
		fprintf(file,
			"%s%d mal Gr\xc3\xbc\xc3\x9f"
			"e\r\n",
			i % 5 ? "" : ".", i);
	fflush(file);
	size = ftell(file);
	w->sink.features = "SIZE\nPIPELINING";
	start(w);
	deliver_to(w, 1, S("upstream:hop"), "a@x", S(""), fileno(file), (uint64_t)size);
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	expect_converted(w);
	fclose(file);
}

/* ---- headers ---- */

#define UE "\xc3\xbc"

/* Whether the next hop got `text`, and in MAIL these words. */
static void expect_got(struct world *w, const char *text, const char *parameters)
{
	if (!holds(buf_view(&w->sink.text), text) || !holds(buf_view(&w->sink.commands), parameters))
		print_error("%.*s%.*s", STR_ARG(buf_view(&w->sink.commands)), STR_ARG(buf_view(&w->sink.text)));
	assert_true(holds(buf_view(&w->sink.text), text));
	assert_true(holds(buf_view(&w->sink.commands), parameters));
	buf_clear(&w->sink.commands);
}

static const char utf8_header[] = "From: J" UE "rg <a@example.org>\r\nSubject: Gr" UE "n\r\n\r\n" UE "\r\n.\r\n";

/* Text in UTF-8 needs no SMTPUTF8, whatever the client has declared; a next hop with 8BITMIME gets the body as it is. */
static void test_header(void **state)
{
	static const char *const features[] = { "8BITMIME", "SMTPUTF8\n8BITMIME", "" };
	struct world *w = *state;

	w->config.delivery.reuse = 1;
	start(w);
	for (uint64_t i = 0; i < 6; i++) {
		w->like.envelope.utf8 = i < 3 ? 1 | 4 : 4;
		w->sink.features = features[i % 3];
		deliver_text(w, i + 1, utf8_header);
		expect(result_of(w, i + 1), 0, OK, 250, "2.0.0", "taken");
		assert_false(holds(buf_view(&w->sink.commands), "SMTPUTF8"));
		assert_int_equal(holds(buf_view(&w->sink.text), "\r\n\r\n" UE "\r\n"), i % 3 < 2);
		expect_got(w,
			   "From: =?utf-8?Q?J=C3=BCrg?= <a@example.org>\r\n"
			   "Subject: =?utf-8?Q?Gr=C3=BCn?=\r\n",
			   i % 3 < 2 ? "MAIL FROM:<s@example.org> BODY=8BITMIME\n" : "MAIL FROM:<s@example.org>\n");
		assert_int_equal(count(buf_view(&w->sink.text), "DKIM-Signature: "), 2);
		assert_false(holds(buf_view(&w->sink.text), "stale"));
	}
	assert_int_equal(w->resigns, 6);
}

/* An address does: then the header stays as it is where the next hop can do that, and else the answer names the address. */
static void test_header_address(void **state)
{
	static const char text[] = "From: a@example.org\r\nTo: x@y, \"J" UE "rg\" <j" UE "rg@x>\r\n\r\nx\r\n.\r\n";
	struct world *w = *state;

	w->config.delivery.reuse = 1;
	w->like.envelope.utf8 = 1 | 4;
	w->sink.features = "SMTPUTF8\n8BITMIME";
	start(w);
	deliver_text(w, 1, text);
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	expect_got(w, "To: x@y, \"J" UE "rg\" <j" UE "rg@x>\r\n", " SMTPUTF8");
	assert_true(holds(buf_view(&w->sink.text), "stale")); /* nothing was changed */
	w->like.envelope.utf8 = 1 | 2 | 4;                    /* in the envelope */
	deliver_text(w, 2, utf8_header);
	expect(result_of(w, 2), 0, OK, 250, "2.0.0", "taken");
	expect_got(w, "Subject: Gr" UE "n\r\n", " SMTPUTF8");
	w->like.envelope.utf8 = 1 | 4;
	w->sink.features = "8BITMIME";
	deliver_text(w, 3, text);
	expect(result_of(w, 3), 0, PERM, 550, "5.6.7", "<j" UE "rg@x> in the field To");
	assert_int_equal(w->sink.messages, 2);
}

/* ---- long lines ---- */

static void deliver_long(struct world *w, uint64_t lease, const char *before, const char *after)
{
	char line[1001];

	memset(line, 'x', sizeof line - 1);
	line[sizeof line - 1] = '\0';
	w->like.envelope.options = OPTION_LONG_LINES;
	deliver_to(w, lease, S("upstream:hop"), "a@x", arena_printf(&w->arena, "%s%s%s", before, line, after), -1, 0);
}

/* No next hop has to take them, also one that takes 8 bits; what is signed stays as it is. */
static void test_long_lines(void **state)
{
	struct world *w = *state;
	struct str line, text;

	w->sink.features = "SMTPUTF8\n8BITMIME";
	start(w);
	deliver_long(w, 1, "From: a@example.org\r\n\r\n" UE "\r\n", "\r\n.\r\n");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	expect_got(w, "Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC\r\nxxx", "BODY=8BITMIME");
	for (text = buf_view(&w->sink.text); str_split(&text, '\n', &line);)
		assert_true(line.n <= 999);
	assert_int_equal(w->resigns, 1);
	/* text, however little of it is ASCII */
	deliver_long(w, 3, "From: a@example.org\r\n\r\n" UE UE UE UE UE UE UE UE UE UE UE UE UE UE UE UE, "\r\n.\r\n");
	expect(result_of(w, 3), 0, OK, 250, "2.0.0", "taken");
	assert_true(holds(buf_view(&w->sink.text), "quoted-printable\r\n\r\n=C3=BC=C3=BC"));
	deliver_long(w, 2,
		     "From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n",
		     "\r\n--b\r\n\r\nx\r\n--b--\r\n.\r\n");
	expect(result_of(w, 2), 0, OK, 250, "2.0.0", "taken");
	text = buf_view(&w->sink.text);
	text = str_from(text, str_search(text, S("\r\nx")) + 2);
	assert_int_equal(str_search(text, S("\r\n")), 1000);
}

/* ---- binary text ---- */

static const char binary[] =
	"From: a@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n"
	"Content-Transfer-Encoding: binary\r\n\r\n\0\1\2\r\n.\r\n\r\xff\n\n end";

static void deliver_binary(struct world *w, uint64_t lease)
{
	w->like.envelope.body = BODY_BINARYMIME;
	deliver_to(w, lease, S("upstream:hop"), "a@x", str_make(binary, sizeof binary - 1), -1, 0);
}

/* The message of `binary` as it must arrive where it had to be converted. */
static void expect_base64(struct world *w)
{
	struct str got = buf_view(&w->sink.text);

	expect_converted(w);
	assert_true(holds(got, "Content-Transfer-Encoding: base64\r\n"));
	assert_false(holds(got, "Content-Transfer-Encoding: binary"));
	assert_true(holds(got, "\r\n\r\nAAECDQouDQoN/woKIGVuZA==\r\n"));
	assert_false(holds(buf_view(&w->sink.commands), "BODY="));
}

static void test_binary(void **state)
{
	struct world *w = *state;
	struct str got;

	w->sink.features = "SIZE\nPIPELINING\n8BITMIME\nCHUNKING\nBINARYMIME";
	start(w);
	deliver_binary(w, 1);
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	got = buf_view(&w->sink.text);
	assert_int_equal(got.n, w->like.prefix.n + sizeof binary - 1);
	assert_memory_equal(got.p, w->like.prefix.p, w->like.prefix.n);
	assert_memory_equal(got.p + w->like.prefix.n, binary, sizeof binary - 1);
	assert_true(holds(buf_view(&w->sink.commands), "BODY=BINARYMIME"));
	assert_int_equal(w->resigns, 0);
	assert_int_equal(w->sink.datas, 0);
}

/* All peers but those get 7 bits. */
static void test_binary_converted(void **state)
{
	static const char *const features[] = { "SIZE\nPIPELINING", "SIZE\n8BITMIME", "SIZE\n8BITMIME\nBINARYMIME",
						"SIZE\n8BITMIME\nCHUNKING" };
	struct world *w = *state;

	w->config.delivery.reuse = 1;
	start(w);
	for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
		w->sink.features = features[i];
		buf_clear(&w->sink.commands);
		deliver_binary(w, i + 1);
		expect(result_of(w, i + 1), 0, OK, 250, "2.0.0", "taken");
		expect_base64(w);
	}
	assert_int_equal(w->resigns, 4);
}

/* It offers BINARYMIME and does not know BDAT: it gets the message by DATA, converted, and so do the next ones. */
static void test_binary_unchunked(void **state)
{
	struct world *w = *state;

	w->sink.features = "SIZE\n8BITMIME\nCHUNKING\nBINARYMIME";
	w->sink.no_bdat = true;
	start(w);
	for (uint64_t lease = 1; lease < 3; lease++) {
		deliver_binary(w, lease);
		expect(result_of(w, lease), 0, OK, 250, "2.0.0", "taken");
		assert_int_equal(w->sink.datas, lease);
		buf_consume(&w->sink.commands, str_rfind(buf_view(&w->sink.commands), 'M')); /* the last MAIL */
		expect_base64(w);
		buf_clear(&w->sink.commands);
	}
	assert_int_equal(w->sink.mails, 3);
	assert_int_equal(w->resigns, 2);
}

/* The next hop hangs up during the first pass: the next connection makes it anew, and sends nothing half made. */
static void test_lost_in_the_first_pass(void **state)
{
	struct world *w = *state;

	w->sink.features = "SIZE\nPIPELINING";
	w->lose_resign = true;
	start(w);
	deliver_to(w, 1, S("upstream:hop"), "a@x", str_of(eight_bit), -1, 0);
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	expect_converted(w);
	assert_int_equal(w->resigns, 2);
	assert_int_equal(w->sink.sessions, 2);
}

static void test_unsigned(void **state)
{
	struct world *w = *state;

	w->like.envelope.sign_domain = S("");
	w->like.prefix = S("Received: by us\r\n");
	start(w);
	deliver_text(w, 1, eight_bit);
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	assert_true(is_seven_bit(buf_view(&w->sink.text)));
	assert_true(str_starts(buf_view(&w->sink.text), S("Received: by us\r\nFrom: a@example.org\r\n")));
	assert_int_equal(w->resigns, 0);
}

/* A signature that is not ours must not break; the next message goes over the same connection. */
static void test_untouchable(void **state)
{
	struct world *w = *state;

	start(w);
	deliver_text(w, 1,
		     "From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b;\r\n"
		     " protocol=\"application/pgp-signature\"\r\n\r\n--b\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\r\n"
		     "--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n");
	expect(result_of(w, 1), 0, PERM, 554, "5.6.3", "a signed part (multipart/signed)");
	expect(result_of(w, 1), 1, PERM, 554, "5.6.3", "");
	assert_int_equal(result_of(w, 1)->gate, 0);
	deliver_text(w, 2, eight_bit);
	expect(result_of(w, 2), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(w->sink.sessions, 1);
	assert_int_equal(w->sink.messages, 1);
}

static void test_cannot_sign(void **state)
{
	struct world *w = *state;

	w->sign_verdict = temp(451, S("4.7.5"), S("vault is away"));
	start(w);
	deliver_text(w, 1, eight_bit);
	expect(result_of(w, 1), 0, TEMP, 451, "4.7.5", "vault is away");
	assert_int_equal(result_of(w, 1)->gate, 0);
	w->sign_verdict = ok();
	deliver_text(w, 2, eight_bit);
	expect(result_of(w, 2), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(w->sink.mails, 1);
}

int main(int argc, char **argv)
{
#define CONVERSION_TEST(f) cmocka_unit_test_setup_teardown(f, setup_conversion, teardown)
	const struct CMUnitTest tests[] = {
		CONVERSION_TEST(test_signed_anew),
		CONVERSION_TEST(test_not_needed),
		CONVERSION_TEST(test_large),
		CONVERSION_TEST(test_unsigned),
		CONVERSION_TEST(test_untouchable),
		CONVERSION_TEST(test_cannot_sign),
		CONVERSION_TEST(test_binary),
		CONVERSION_TEST(test_binary_converted),
		CONVERSION_TEST(test_binary_unchunked),
		CONVERSION_TEST(test_lost_in_the_first_pass),
		CONVERSION_TEST(test_header),
		CONVERSION_TEST(test_header_address),
		CONVERSION_TEST(test_long_lines),
	};

	if (argc < 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
