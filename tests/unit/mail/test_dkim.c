/* test_dkim.c - canonical forms by table, for every division into pieces; the fields that are signed; the field itself. */
#include "mail_test.h"
#include "relaxed_reference.h"

#include "posthouse/base64.h"

#include <openssl/evp.h>

#define EMPTY_HASH "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" /* RFC 6376 3.4.4 */
#define NOW        1795289874000

static struct str sha256(struct arena *a, struct str s)
{
	unsigned char *digest = arena_alloc(a, DKIM_DIGEST_SIZE);

	assert_int_equal(EVP_Digest(s.p, s.n, digest, NULL, EVP_sha256(), NULL), 1);
	return str_make(digest, DKIM_DIGEST_SIZE);
}

static struct header parsed(struct arena *a, struct str section)
{
	struct header h;

	assert_int_equal(header_parse(a, section, &h).class, OK);
	return h;
}

static const struct dkim_key rsa_key = { S("example.org"), S("p1r"), DKIM_RSA_SHA256, false };
static const struct dkim_key ed_key = { S("example.org"), S("p1e"), DKIM_ED25519_SHA256, false };

/* The bh= of a body that is fed in pieces of one size. */
static struct str body_hash(struct arena *a, struct str body, size_t size)
{
	struct dkim *d = dkim_new();
	struct header h = { NULL, 0 };
	struct str digest;

	for (size_t at = 0; at < body.n; at += size) {
		struct str piece = exact(str_head(str_from(body, at), size));
		dkim_body(d, piece);
		exact_free(piece);
	}
	dkim_finish(d, &h, &rsa_key, 1, NOW, &digest);
	struct str field = dkim_field(a, d, 0, S("x"));
	dkim_free(d);
	struct str rest = str_from(field, str_search(field, S("bh=")) + 3);
	return str_head(rest, str_find(rest, ';'));
}

static const struct {
	const char *body, *canonical;
} bodies[] = {
	{ "", "" },
	{ "\r\n", "" },
	{ "\r\n\r\n\r\n", "" },
	{ " \r\n\t\r\n", "" },
	{ " ", "" },
	{ "a", "a\r\n" },
	{ "a\r\n", "a\r\n" },
	{ "a\r\n\r\n\r\n", "a\r\n" },
	{ "a\r\n \r\n\t \r\n", "a\r\n" },
	{ "a\r\n ", "a\r\n" },
	{ "\r\n\r\na\r\n", "\r\n\r\na\r\n" },
	{ " a\r\n", " a\r\n" },
	{ "a \t \r\n", "a\r\n" },
	{ "a  b\tc \t d\r\n", "a b c d\r\n" },
	{ "a b c\r\nd e f\r\n", "a b c\r\nd e f\r\n" },
	{ "a\r\n\r\n\r\nb", "a\r\n\r\n\r\nb\r\n" },
	{ "a\r\n \r\nb\r\n", "a\r\n\r\nb\r\n" },
	{ "a \r\n  b  \r\n\tc\r\n", "a\r\n b\r\n c\r\n" },
	{ " C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n" }, /* RFC 6376 3.4.5 */
	{ "a\rb\r\n", "a\rb\r\n" },
	{ "a \rb \r\n", "a \rb\r\n" },
	{ "a\r\r\nb", "a\r\r\nb\r\n" },
	{ "a\nb \n c\r\n", "a\nb \n c\r\n" },
	{ "a\r", "a\r\r\n" },
	{ "a \r", "a \r\r\n" },
	{ "\r", "\r\r\n" },
	{ "\r\r\n\r\n", "\r\r\n" },
	{ "a \n\r\nb\n\n\r\n\n \r\n", "a \n\r\nb\n\n\r\n\n\r\n" }, /* a bare LF ends no line */
	{ "\n\n", "\n\n\r\n" },
	{ "\xc2\xa0 \xc2\xa0 \r\n", "\xc2\xa0 \xc2\xa0\r\n" }, /* nor is this white space */
	{ "\xf6\xff\xc3\xb6 \x80\r\n", "\xf6\xff\xc3\xb6 \x80\r\n" },
};

static void test_bodies(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		struct arena a = { 0 };
		struct str want = base64_encode(&a, sha256(&a, str_of(bodies[i].canonical)));
		for (size_t size = 1; size <= strlen(bodies[i].body) + 1; size++) {
			struct str got = body_hash(&a, str_of(bodies[i].body), size);
			if (!str_eq(got, want))
				fail_msg("\"%s\" in pieces of %zu", bodies[i].body, size);
		}
		arena_fini(&a);
	}
	struct arena a = { 0 };
	assert_str(body_hash(&a, S(""), 1), S(EMPTY_HASH));
	assert_str(body_hash(&a, S("\r\n\r\n"), 1), S(EMPTY_HASH));
	arena_fini(&a);
}

/* Bodies larger than any buffer within, of the stuff that mail is made of, in pieces that end anywhere. */
static void test_large_bodies(void **state)
{
	static const char *const words[] = {
		"word",     " ",
		"  ",       "\t",
		"\r\n",     "\r\n",
		" \r\n",    "\r\n\r\n\r\n",
		"\xc3\xb6", "=20",
		".",        "SGVsbG8gd29ybGQhSGVsbG8gd29ybGQhSGVsbG8gd29ybGQhSGVsbG8gd29ybGQhSGVsbG8gd29ybGQh\r\n"
	};
	unsigned seed = 1;

	(void)state;
	for (int round = 0; round < 40; round++) {
		struct arena a = { 0 };
		struct buf body;
		buf_init(&body, 1 << 20);
		while (body.n < 30000) {
			seed = seed * 1103515245 + 12345;
			assert_true(buf_add(&body, str_of(words[(seed >> 16) % (sizeof words / sizeof *words)])));
		}
		assert_true(buf_add(&body, S("\r\n")));
		struct str want = base64_encode(&a, sha256(&a, slow_canonical(&a, buf_view(&body))));
		assert_str(body_hash(&a, buf_view(&body), body.n), want);
		assert_str(body_hash(&a, buf_view(&body), 1 + seed % 3000), want);
		assert_str(body_hash(&a, buf_view(&body), 1 + (size_t)round % 5), want);
		buf_fini(&body);
		arena_fini(&a);
	}
}

/* What the digest is made over: `canonical`, and the field without its signature, canonical and without CRLF. */
static void check_header(const char *section, const char *canonical, const char *list)
{
	struct arena a = { 0 };
	struct header h = parsed(&a, str_of(section));
	struct dkim *d = dkim_new();
	struct dkim_key keys[2] = { rsa_key, ed_key };
	struct str digests[2];

	dkim_finish(d, &h, keys, 2, NOW + 999, digests);
	for (size_t i = 0; i < 2; i++) {
		struct str own = arena_printf(&a,
					      "%sdkim-signature:v=1; a=%s-sha256; c=relaxed/relaxed; d=example.org; s=p1%s; "
					      "t=1795289874; h=%s; bh=" EMPTY_HASH "; b=",
					      canonical, i ? "ed25519" : "rsa", i ? "e" : "r", list);
		assert_str(digests[i], sha256(&a, own));
	}
	dkim_free(d);
	arena_fini(&a);
}

/* The list for a header without fields, from Message-ID on. */
#define REST "Message-ID:MIME-Version: Content-Type:Content-Transfer-Encoding:In-Reply-To:References"

static void test_headers(void **state)
{
	(void)state;
	check_header("", "", "From:Subject:Date:To:Cc:Reply-To:" REST);
	check_header("From: a@b\r\n", "from:a@b\r\n",
		     "From:From:Subject:Date:To:Cc:Reply-To:Message-ID:MIME-Version: Content-Type:"
		     "Content-Transfer-Encoding:In-Reply-To:References");
	/* RFC 6376 3.4.5's folds and white space; the order is ours; of two the lower first; the rest is not signed */
	check_header("X-Other: 1\r\nReceived: 2\r\nDKIM-Signature: 3\r\nReturn-Path: 4\r\n"
		     "SUBject : Y\t\r\n\tZ  \r\nMIME-Version:1.0\r\nmime-version: 2.0\r\nFrom:\r\n a@b\r\n \r\n",
		     "from:a@b\r\nsubject:Y Z\r\nmime-version:2.0\r\nmime-version:1.0\r\n",
		     "From:From:Subject:Subject:Date:To:Cc:Reply-To:Message-ID: MIME-Version:MIME-Version:MIME-Version:"
		     "Content-Type: Content-Transfer-Encoding:In-Reply-To:References");
	/* signed where it is, not over-signed */
	check_header("List-Unsubscribe: <x>\r\nFrom:a@b\r\n", "from:a@b\r\nlist-unsubscribe:<x>\r\n",
		     "From:From:Subject:Date:To:Cc:Reply-To:Message-ID:MIME-Version: Content-Type:"
		     "Content-Transfer-Encoding:In-Reply-To:References: List-Unsubscribe");
	check_header("Subject:\r\n", "subject:\r\n",
		     "From:Subject:Subject:Date:To:Cc:Reply-To:Message-ID:MIME-Version: Content-Type:"
		     "Content-Transfer-Encoding:In-Reply-To:References");
}

/* NUL is a byte like others. */
static void test_nul(void **state)
{
	struct arena a = { 0 };
	struct str body = S("\0 \t\0\r\n\0\r\n \r\n"), want = base64_encode(&a, sha256(&a, S("\0 \0\r\n\0\r\n")));

	(void)state;
	for (size_t size = 1; size <= body.n; size++)
		assert_str(body_hash(&a, body, size), want);
	arena_fini(&a);
}

/* A name with more fields than are signed is not listed once more: a verifier would take the next one above for it. */
static void test_nine_fields(void **state)
{
	(void)state;
	for (size_t n = 8; n <= 9; n++) {
		struct arena a = { 0 };
		struct dkim *d = dkim_new();
		struct str section = S(""), digest;
		size_t listed = 0;
		for (size_t i = 0; i < n; i++)
			section = arena_printf(&a, "%.*sMIME-Version: 1.0\r\n", STR_ARG(section));
		struct header h = parsed(&a, section);
		dkim_finish(d, &h, &rsa_key, 1, NOW, &digest);
		struct str field = dkim_field(&a, d, 0, S("x"));
		for (size_t at; (at = str_search(field, S("MIME-Version"))) < field.n; field = str_from(field, at + 1))
			listed++;
		assert_int_equal(listed, n == 8 ? 9 : 8);
		dkim_free(d);
		arena_fini(&a);
	}
}

/* However often a field occurs, the list is bounded. */
static void test_many_fields(void **state)
{
	struct arena a = { 0 };
	struct buf section;
	struct str digest;

	(void)state;
	buf_init(&section, HEADER_MAX);
	while (buf_add(&section, S("MIME-Version:\r\nContent-Type:\r\nList-Id:\r\n"))) {
	}
	struct header h = parsed(&a, buf_view(&section));
	struct dkim *d = dkim_new();
	dkim_finish(d, &h, &rsa_key, 1, NOW, &digest);
	assert_true(dkim_field(&a, d, 0, S("x")).n < 1000);
	dkim_free(d);
	buf_fini(&section);
	arena_fini(&a);
}

static void test_field(void **state)
{
	struct arena a = { 0 };
	struct dkim *d = dkim_new();
	struct header h = parsed(&a, S("From: a@b\r\n"));
	struct str digest, rest, line;
	char signature[256];

	(void)state;
	memset(signature, 'x', sizeof signature);
	dkim_finish(d, &h, &rsa_key, 1, NOW, &digest);
	struct str field = dkim_field(&a, d, 0, str_make(signature, sizeof signature));
	struct header one = parsed(&a, field); /* one field, well-formed */
	assert_int_equal(one.n, 1);
	assert_str(one.fields[0].name, S("DKIM-Signature"));
	assert_str(one.fields[0].whole, field);
	rest = field;
	while (str_split(&rest, '\n', &line))
		assert_true(line.n <= 79);
	/* without signature it still ends as a field */
	assert_true(str_ends(dkim_field(&a, d, 0, S("")), S("\tb=\r\n")));
	assert_true(str_ends(dkim_field(&a, d, 0, S("foob")), S("\tb=Zm9vYg==\r\n")));
	dkim_free(d);
	dkim_free(NULL);
	arena_fini(&a);
}

/* The h= list of a header for two keys, of which each asks for more or not. */
static struct str signed_names(struct arena *a, const char *section, bool first, bool second)
{
	struct header h = parsed(a, str_of(section));
	struct dkim *d = dkim_new();
	struct dkim_key keys[2] = { rsa_key, ed_key };
	struct str digests[2];

	keys[0].oversign = first;
	keys[1].oversign = second;
	dkim_finish(d, &h, keys, 2, NOW, digests);
	struct str field = dkim_field(a, d, 0, S("x")), list = S("");
	dkim_free(d);
	field = str_from(field, str_search(field, S("h=")) + 2);
	for (size_t i = 0; field.p[i] != ';'; i++) {
		if (strchr(" \t\r\n", field.p[i]) == NULL)
			list = arena_printf(a, "%.*s%c", STR_ARG(list), field.p[i]);
	}
	return list;
}

/* What is added when a message is sent on: signed where it is, and as absent only when all keys ask for it. */
static void test_oversign(void **state)
{
	static const char section[] = "From: a@b\r\nList-Unsubscribe: <x>\r\nContent-Disposition: inline\r\nList-Id: <y>\r\n";
	static const char front[] = "From:From:Subject:Date:To:Cc:Reply-To:";
	static const char base[] = "Message-ID:MIME-Version:Content-Type:Content-Transfer-Encoding:";
	struct arena a = { 0 };
	struct str less =
		arena_printf(&a, "%s%sContent-Disposition:In-Reply-To:References:List-Id:List-Unsubscribe", front, base);

	(void)state;
	assert_str(signed_names(&a, section, false, false), less);
	assert_str(signed_names(&a, section, true, false), less);
	assert_str(signed_names(&a, section, false, true), less);
	assert_str(
		signed_names(&a, section, true, true),
		arena_printf(
			&a,
			"%sSender:%sContent-Disposition:Content-Disposition:In-Reply-To:References:Resent-From:Resent-Sender:Resent-Date:Resent-To:"
			"Resent-Cc:Resent-Message-ID:List-Id:List-Unsubscribe:List-Unsubscribe:List-Unsubscribe-Post",
			front, base));
	arena_fini(&a);
}

/* What is signed is one field of one key, whoever has written it. */
static void test_unsigned(void **state)
{
	static const char *const others[] = {
		"",
		"DKIM-Signature:",
		"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n\td=example.org; s=p1r; t=b=\r\n",
		"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n\td=example.org; s=p1r; t=1;\r\nX: b=",
		"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n\td=example.org; s=p1r; t=1;\n b=",
		"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n\td=example.org; s=p1r; t=1;\r\n\r\n b=",
		"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n\td=example.org.evil.example; s=p1r; t=1; b=",
		"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n\td=example.org; s=p1r; t=\xc3\xbc; b=",
	};
	struct arena a = { 0 };
	struct header h = parsed(&a, S("From: a@example.org\r\nSubject: x\r\n"));
	struct dkim *d = dkim_new();
	struct str digest;

	(void)state;
	dkim_finish(d, &h, &rsa_key, 1, NOW, &digest);
	assert_true(dkim_is_unsigned(dkim_unsigned(d, 0), &rsa_key));
	assert_false(dkim_is_unsigned(dkim_unsigned(d, 0), &ed_key));
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		assert_false(dkim_is_unsigned(str_of(others[i]), &rsa_key));
	assert_true(str_eq(dkim_field(&a, d, 0, S("x")), dkim_signed(&a, dkim_unsigned(d, 0), S("x"))));
	assert_true(field_is_one(S("Received: a;\r\n\tb\r\n"), S("Received")));
	assert_false(field_is_one(S("Received: a;\r\n\tb\r\n\r\n"), S("Received")));
	assert_false(field_is_one(S("Received-SPF: a"), S("Received")));
	assert_false(field_is_one(str_make("Received: \0", 11), S("Received")));
	dkim_free(d);
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_oversign),    cmocka_unit_test(test_bodies),      cmocka_unit_test(test_large_bodies),
		cmocka_unit_test(test_headers),     cmocka_unit_test(test_many_fields), cmocka_unit_test(test_nul),
		cmocka_unit_test(test_nine_fields), cmocka_unit_test(test_field),       cmocka_unit_test(test_unsigned),
	};

	return cmocka_run_group_tests_name("dkim", tests, NULL, NULL);
}
