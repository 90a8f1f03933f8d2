/* test_scram.c - our side of SCRAM at an upstream: RFC 7677's example, Cyrus SASL as the server, servers that lie, and what is kept of
 * exchanges between the steps. */
#include "unit.h"
#include "remove_tree.h"

#include "cyrus.h"
#include "upstream_logins.h"
#include "scram.h"

#include <stdio.h>
#include <stdlib.h>

/* RFC 7677 section 3 */
#define NONCE        "rOprNGfwEbeRWgbNEkqO"
#define SERVER_NONCE NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define SERVER_FIRST "r=" SERVER_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define CLIENT_FINAL "c=biws,r=" SERVER_NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define SERVER_FINAL "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

static void assert_text(struct str got, struct str expected)
{
	if (!str_eq(got, expected))
		fail_msg("%.*s, expected %.*s", STR_ARG(got), STR_ARG(expected));
}

static void begin(struct scram *s, struct str login, struct str expected)
{
	struct secret response = { 0 };

	assert_int_equal(scram_first(s, login, S(NONCE), &response).class, OK);
	assert_text(secret_view(&response), expected);
	secret_fini(&response);
}

static void rfc_example(void **state)
{
	struct scram s = { 0 };
	struct scram_work w = { 0 };
	struct secret response = { 0 };

	begin(&s, S("user"), S("n,,n=user,r=" NONCE));
	assert_int_equal(scram_challenge(&s, S(SERVER_FIRST), S("pencil"), &w).class, OK);
	assert_int_equal(w.iterations, 4096);
	assert_true(scram_salt(&w));
	assert_int_equal(scram_proof(&s, &w, &response).class, OK);
	assert_text(secret_view(&response), S(CLIENT_FINAL));
	assert_int_equal(scram_verify(&s, S(SERVER_FINAL)).class, OK);
	assert_int_equal(scram_verify(&s, S(SERVER_FINAL ",x=later")).class, OK);
	secret_fini(&response);
	scram_work_fini(&w);
	scram_fini(&s);
}

/* The password goes in as RFC 4013 has it, as the upstream's own does. */
static void prepared(void **state)
{
	static const struct {
		const char *password, *prepared; /* NULL: cannot be */
	} rows[] = { { "m\u00b2", "m2" },
		     { "a\u0308", "\u00e4" },
		     { "5\u00b5g", "5\u03bcg" },
		     { "a\u00a0\u00adb", "a b" },
		     { "tab\t", NULL } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scram s = { 0 };
		struct scram_work w = { 0 };

		begin(&s, S("\u2168"), S("n,,n=IX,r=" NONCE));
		assert_int_equal(scram_challenge(&s, S(SERVER_FIRST), str_of(rows[i].password), &w).class == OK,
				 rows[i].prepared != NULL);
		if (rows[i].prepared)
			assert_text(secret_view(&w.password), str_of(rows[i].prepared));
		scram_work_fini(&w);
		scram_fini(&s);
	}
}

/* Names as they go on the wire, and what cannot. */
static void names(void **state)
{
	static const struct {
		struct str login, wire;
	} rows[] = {
		{ S("a=b,c"), S("n,,n=a=3Db=2Cc,r=" NONCE) },
		{ S("me@isp.example"), S("n,,n=me@isp.example,r=" NONCE) },
		{ S("us\xc2\xad"
		    "er\xc2\xa0x"),
		  S("n,,n=user x,r=" NONCE) }, /* a soft hyphen, and a space that is not U+0020 */
		{ S("a\x07"), S("") },
		{ S("a\xff"), S("") },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scram s = { 0 };
		struct secret response = { 0 };
		struct verdict v = scram_first(&s, rows[i].login, S(NONCE), &response);

		assert_int_equal(v.class, rows[i].wire.n > 0 ? OK : TEMP);
		assert_text(secret_view(&response), rows[i].wire);
		secret_fini(&response);
		scram_fini(&s);
	}
}

static void bad_challenges(void **state)
{
	static const struct {
		const char *message, *words;
	} rows[] = {
		{ "", "malformed" },
		{ "r=" NONCE, "malformed" },
		{ "s=AAAA,r=" NONCE "x,i=4096", "malformed" },
		{ "r=" NONCE "x,s=AAAA", "malformed" },
		{ "r=" NONCE "x,s=AAAA,i=", "malformed" },
		{ "r=" NONCE "x,s=AAAA,i=4096x", "malformed" },
		{ "r=" NONCE "x,s=AAAA,i=-4096", "malformed" },
		{ "r=" NONCE "x,s=AAAA,i=99999999999999999999999", "malformed" },
		{ "m=new,r=" NONCE "x,s=AAAA,i=4096", "extension" },
		{ "r=" NONCE ",s=AAAA,i=4096", "does not answer ours" },
		{ "r=another,s=AAAA,i=4096", "does not answer ours" },
		{ "r=" NONCE "\x01,s=AAAA,i=4096", "does not answer ours" },
		{ "r=" NONCE "x,s=A,i=4096", "salt" },
		{ "r=" NONCE "x,s=AAA\n,i=4096", "salt" },
		{ "r=" NONCE "x,s=====,i=4096", "salt" },
		{ "r=" NONCE "x,s=AAAA,i=4095", "iterations" },
		{ "r=" NONCE "x,s=AAAA,i=200001", "iterations" },
		{ "r=" NONCE "x,s=AAAA,i=4294971392", "iterations" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scram s = { 0 };
		struct scram_work w = { 0 };
		struct verdict v;

		begin(&s, S("user"), S("n,,n=user,r=" NONCE));
		v = scram_challenge(&s, str_of(rows[i].message), S("pencil"), &w);
		assert_int_equal(v.class, TEMP);
		assert_int_equal(v.code, 454);
		if (str_search(v.text, str_of(rows[i].words)) == v.text.n)
			fail_msg("%s: %.*s", rows[i].message, STR_ARG(v.text));
		scram_work_fini(&w);
		scram_fini(&s);
	}
}

static void too_long(void **state)
{
	static char message[4000];
	struct scram s = { 0 };
	struct scram_work w = { 0 };

	memset(message, 'A', sizeof(message) - 1);
	memcpy(message, "r=" NONCE, strlen("r=" NONCE));
	begin(&s, S("user"), S("n,,n=user,r=" NONCE));
	assert_int_equal(scram_challenge(&s, str_of(message), S("pencil"), &w).class, TEMP);
	assert_int_equal(scram_verify(&s, str_of(message)).class, TEMP);
	scram_work_fini(&w);
	scram_fini(&s);
}

static void bad_passwords(void **state)
{
	static const struct str rows[] = { { "", 0 }, { "\xff", 1 }, { "a\x7f", 2 }, { "\xc2\xad", 2 } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scram s = { 0 };
		struct scram_work w = { 0 };
		struct verdict v;

		begin(&s, S("user"), S("n,,n=user,r=" NONCE));
		v = scram_challenge(&s, S(SERVER_FIRST), rows[i], &w);
		assert_int_equal(v.class, TEMP);
		assert_true(str_search(v.text, S("configured password")) < v.text.n);
		scram_work_fini(&w);
		scram_fini(&s);
	}
}

/* A server that does not know the password, or says what is not to be repeated. */
static void impostors(void **state)
{
	static const struct {
		const char *message, *words;
	} rows[] = {
		{ "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=", "malformed" },
		{ "v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", "impostor" },
		{ "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95A==", "impostor" },
		{ "v=AAAA", "impostor" },
		{ "v=", "malformed" },
		{ "", "malformed" },
		{ "e=invalid-proof", "refuses our login by SCRAM: invalid-proof" },
		{ "e=\x1b[31mred", "refuses our login by SCRAM" },
		{ "e=a-word-that-is-far-too-long-to-be-repeated-in-a-log", "refuses our login by SCRAM" },
		{ "x=1," SERVER_FINAL, "malformed" },
	};
	struct scram s = { 0 };
	struct scram_work w = { 0 };
	struct secret response = { 0 };

	begin(&s, S("user"), S("n,,n=user,r=" NONCE));
	assert_int_equal(scram_challenge(&s, S(SERVER_FIRST), S("pencil"), &w).class, OK);
	assert_true(scram_salt(&w));
	assert_int_equal(scram_proof(&s, &w, &response).class, OK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct verdict v = scram_verify(&s, str_of(rows[i].message));

		assert_int_equal(v.class, TEMP);
		if (str_search(v.text, str_of(rows[i].words)) == v.text.n || str_find(v.text, '\x1b') < v.text.n)
			fail_msg("%s: %.*s", rows[i].message, STR_ARG(v.text));
	}
	secret_fini(&response);
	scram_work_fini(&w);
	scram_fini(&s);
}

/* ---- exchanges: the channels are never looked into, so their addresses are enough ---- */

static struct channel *const relay = (struct channel *)1, *const other = (struct channel *)2;
static struct cfg_upstream isp = { .name = S("isp"), .login = S("me"), .password = S("pencil") };
static const struct config with_isp = { .upstreams = &isp, .upstreams_n = 1 };
static struct upstream_logins logins;

/* The last answer. */
static struct {
	unsigned count;
	struct channel *channel;
	uint64_t call;
	enum verdict_class class;
	bool done;
	char response[1000], text[300];
} got;

static void on_answer(struct channel *ch, uint64_t call, struct str upstream, struct verdict v, struct str response, bool done)
{
	got.count++;
	got.channel = ch;
	got.call = call;
	got.class = v.class;
	got.done = done;
	snprintf(got.response, sizeof(got.response), "%.*s", STR_ARG(response));
	snprintf(got.text, sizeof(got.text), "%.*s", STR_ARG(v.text));
}

static void step(struct channel *ch, uint64_t connection, const char *challenge)
{
	static uint64_t call;
	struct msg_upstream_step m = { .call = ++call,
				       .upstream = S("isp"),
				       .connection = connection,
				       .mechanism = S("SCRAM-SHA-256"),
				       .first = challenge == NULL,
				       .challenge = challenge ? str_of(challenge) : S("") };

	upstream_login_step(&logins, ch, &with_isp, S(""), &m);
}

/* A server-first for the client-first of the last answer. */
static const char *challenge_for_last(unsigned iterations)
{
	static char text[1100];
	const char *nonce = strstr(got.response, ",r=");

	assert_non_null(nonce);
	snprintf(text, sizeof(text), "r=%s+server,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=%u", nonce + 3, iterations);
	return text;
}

static void open_exchanges(void)
{
	memset(&got, 0, sizeof(got));
	upstream_logins_init(&logins, uv_default_loop(), on_answer);
}

static void close_exchanges(void)
{
	upstream_logins_drop(&logins, relay);
	upstream_logins_drop(&logins, other);
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	assert_int_equal(logins.n, 0);
	assert_true(list_empty(&logins.all));
}

static void exchange_order(void **state)
{
	char first[1000];

	open_exchanges();
	step(relay, 1, "too early");
	assert_int_equal(got.class, TEMP);
	step(relay, 1, NULL);
	assert_int_equal(got.class, OK);
	assert_false(got.done);
	assert_true(str_starts(str_of(got.response), S("n,,n=me,r=")));
	strcpy(first, got.response);
	step(relay, 2, NULL); /* another connection: another nonce */
	assert_string_not_equal(first, got.response);
	step(other, 1, NULL);
	assert_int_equal(logins.n, 3);
	step(relay, 1, "r=nonsense");
	assert_int_equal(got.class, TEMP);
	assert_int_equal(logins.n, 2); /* what fails is over */
	step(relay, 1, "r=nonsense");
	assert_true(strstr(got.text, "more than SCRAM-SHA-256 has") != NULL);
	step(relay, 2, NULL); /* from the beginning */
	assert_int_equal(logins.n, 2);
	step(relay, 2, challenge_for_last(4096));
	assert_int_equal(got.class, OK);
	assert_false(got.done);
	assert_true(str_starts(str_of(got.response), S("c=biws,r=")));
	step(relay, 2, "v=AAAA");
	assert_int_equal(got.class, TEMP);
	assert_false(got.done);
	assert_int_equal(logins.n, 1);
	close_exchanges();
}

/* Many iterations are computed beside the loop: the answer comes later, or not at all when nobody waits any more. */
static void exchange_salting(void **state)
{
	unsigned before;

	open_exchanges();
	step(relay, 1, NULL);
	before = got.count;
	step(relay, 1, challenge_for_last(100000));
	assert_int_equal(got.count, before);
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	assert_int_equal(got.count, before + 1);
	assert_int_equal(got.class, OK);
	assert_true(str_starts(str_of(got.response), S("c=biws,r=")));

	step(relay, 2, NULL); /* a second step meanwhile is refused, the first goes on */
	before = got.count;
	step(relay, 2, challenge_for_last(100000));
	step(relay, 2, "v=AAAA");
	assert_int_equal(got.count, before + 1);
	assert_int_equal(got.class, TEMP);
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	assert_int_equal(got.count, before + 2);
	assert_int_equal(got.class, OK);

	step(relay, 3, NULL); /* begun anew meanwhile: the old one is not answered */
	step(relay, 3, challenge_for_last(100000));
	step(relay, 3, NULL);
	before = got.count;
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	assert_int_equal(got.count, before);
	assert_int_equal(logins.n, 3);

	step(relay, 3, challenge_for_last(100000)); /* relay dies meanwhile */
	upstream_logins_drop(&logins, relay);
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	assert_int_equal(got.count, before);
	close_exchanges();
}

static void exchange_bounds(void **state)
{
	open_exchanges();
	for (uint64_t i = 0; i < 3 * UPSTREAM_LOGINS_MAX; i++) {
		step(relay, i, NULL);
		assert_int_equal(got.class, OK);
		assert_in_range(logins.n, 1, UPSTREAM_LOGINS_MAX);
	}
	step(relay, 0, "r=x"); /* long forgotten */
	assert_true(strstr(got.text, "more than SCRAM-SHA-256 has") != NULL);
	upstream_logins_drop(&logins, relay);
	assert_int_equal(logins.n, 0);
	close_exchanges();
}

/* ---- Cyrus SASL as the server, as our own login role uses it ---- */

static char directory_path[64];

static struct directory *make_account(const char *name, const char *password)
{
	struct arena a = { 0 };
	struct verdict v;
	struct accounts *accounts;
	struct directory *d;
	struct str verifier;

	strcpy(directory_path, "/tmp/posthouse-scram-XXXXXX");
	assert_non_null(mkdtemp(directory_path));
	accounts = accounts_open(directory_path, &v);
	assert_non_null(accounts);
	assert_int_equal(account_verifier(&a, S(""), str_of(password), &verifier).class, OK);
	assert_int_equal(accounts_change(accounts, ACCOUNT_ADD, str_of(name), S(""), verifier, 0).class, OK);
	accounts_close(accounts);
	arena_fini(&a);
	d = directory_new(directory_path);
	assert_int_equal(directory_refresh(d).class, OK);
	return d;
}

/* The code that the server ends with, which is believed only when it has proved itself. */
static unsigned log_in(struct directory *d, struct str login, struct str password)
{
	struct conversation_config config = {
		.service = "smtp", .hostname = "isp.example", .realm = S("isp.example"), .tls_bits = 256
	};
	struct conversation *c = conversation_new(d, &config);
	struct scram s = { 0 };
	struct scram_work w = { 0 };
	struct secret response = { 0 };
	struct conversation_result r;
	unsigned code;

	assert_int_equal(scram_first(&s, login, S(""), &response).class, OK);
	r = conversation_start(c, "SCRAM-SHA-256", secret_view(&response));
	assert_int_equal(r.verdict.code, 334);
	assert_int_equal(scram_challenge(&s, r.challenge, password, &w).class, OK);
	assert_true(scram_salt(&w));
	assert_int_equal(scram_proof(&s, &w, &response).class, OK);
	r = conversation_step(c, secret_view(&response));
	code = r.verdict.code;
	if (code == 334) {
		assert_int_equal(scram_verify(&s, r.challenge).class, OK);
		code = conversation_step(c, S("")).verdict.code;
	}
	secret_fini(&response);
	scram_work_fini(&w);
	scram_fini(&s);
	conversation_free(c);
	return code;
}

static void with_cyrus(void **state)
{
	struct directory *d = make_account("m=e,x@isp.example", "pass w\xc3\xb6rd");

	assert_int_equal(cyrus_start(d, &(struct cfg_auth){ 0 }).class, OK);
	assert_int_equal(log_in(d, S("m=e,x@isp.example"), S("pass w\xc3\xb6rd")), 235);
	assert_int_equal(log_in(d, S("m=e,x"), S("pass w\xc3\xb6rd")), 235);
	assert_int_equal(log_in(d, S("m=e,x@isp.example"), S("wrong")), 535);
	assert_int_equal(log_in(d, S("nobody"), S("pass")), 535);
	cyrus_stop();
	directory_free(d);
	remove_tree(directory_path);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_example),     cmocka_unit_test(prepared),       cmocka_unit_test(names),
		cmocka_unit_test(bad_challenges),  cmocka_unit_test(too_long),       cmocka_unit_test(bad_passwords),
		cmocka_unit_test(impostors),       cmocka_unit_test(exchange_order), cmocka_unit_test(exchange_salting),
		cmocka_unit_test(exchange_bounds), cmocka_unit_test(with_cyrus),
	};

	return cmocka_run_group_tests_name("scram", tests, NULL, NULL);
}
