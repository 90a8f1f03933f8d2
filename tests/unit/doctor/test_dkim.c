/* test_dkim.c - the checks of DKIM records: each kind of damage with its words, and silence where the record is good in whatever
 * way it is written. */
#include "table.h"

#include "posthouse/records.h"

#define SIGN    "sign = ( { domain = \"example.org\"; selector = \"r\"; key = \"rsa.key\"; } ); "
#define ED25519 "sign = ( { domain = \"example.org\"; selector = \"e\"; key = \"ed25519.key\"; } ); "
#define NEWS    "senders = ( { user = \"a\"; addresses = [ \"a@news.example.org\" ]; } ); "
#define NAME    "r._domainkey.example.org TXT "

static struct str record_of(const char *keys)
{
	static char text[2000];
	struct config *c = fixture_good(keys);
	struct str record = str_make(text, c->sign[0].record.n);

	memcpy(text, c->sign[0].record.p, record.n);
	config_free(c);
	return record;
}

/* A run with a record for the selector r. */
static struct table *run(const char *config, const char *records)
{
	struct table *t = table_new(config);

	table_only(t, "dkim.*");
	table_world(t, records);
	table_run(t);
	return t;
}

static void published(void **state)
{
	struct str good = record_of(HOST CERT DIRECT SIGN);
	struct arena a = { 0 };
	const char *const at_name = arena_cstr(&a, arena_printf(&a, NAME "%.*s", STR_ARG(good)));
	const char *const cname = arena_cstr(
		&a, arena_printf(&a, "r._domainkey.example.org CNAME r.keys.test\nr.keys.test TXT %.*s", STR_ARG(good)));
	const char *const twice = arena_cstr(&a, arena_printf(&a, NAME "%.*s\n" NAME "v=DKIM1; p=", STR_ARG(good)));
	const char *const doubled =
		arena_cstr(&a, arena_printf(&a, "r._domainkey.example.org.example.org TXT %.*s", STR_ARG(good)));
	const char *const bare = arena_cstr(&a, arena_printf(&a, "r.example.org TXT %.*s", STR_ARG(good)));

	plant(DIRECT SIGN, "", "dkim.published", DOCTOR_FAILURE, "r is not published");
	plant(DIRECT SIGN, "", "dkim.match", DOCTOR_SKIPPED, "dkim.published");
	plant(DIRECT SIGN, at_name, "dkim.published", DOCTOR_OK, "");
	plant(DIRECT SIGN, cname, "dkim.published", DOCTOR_OK, "");
	plant(DIRECT SIGN, cname, "dkim.match", DOCTOR_OK, "");
	plant(DIRECT SIGN, "r._domainkey.example.org CNAME r.keys.test", "dkim.published", DOCTOR_FAILURE,
	      "is a CNAME to r.keys.test, where no record is");
	plant(DIRECT SIGN, doubled, "dkim.published", DOCTOR_FAILURE, "the form appended the domain");
	plant(DIRECT SIGN, bare, "dkim.published", DOCTOR_FAILURE, "without \"_domainkey\"");
	plant(DIRECT SIGN, twice, "dkim.published", DOCTOR_FAILURE, "has 2 TXT records");
	plant(DIRECT SIGN, NAME "v=spf1 -all", "dkim.published", DOCTOR_FAILURE, "a wildcard of the domain answers");
	plant(DIRECT SIGN, "r._domainkey.example.org SERVFAIL", "dkim.published", DOCTOR_UNKNOWN, "server failure");
	arena_fini(&a);
}

/* `form` is that of printf: the good p= is its argument. */
static const char *with_key(struct arena *a, struct str good, const char *before, const char *behind)
{
	struct str p = str_from(good, str_search(good, S("p=")) + 2);

	return arena_cstr(a, arena_printf(a, "%s%.*s%s", before, STR_ARG(p), behind));
}

static void expect_match(const char *config, struct str text, enum doctor_result result, const char *words)
{
	struct arena a = { 0 };
	struct table *t = run(config, arena_cstr(&a, arena_printf(&a, NAME "%.*s", STR_ARG(text))));
	const struct doctor_finding *f = expect(t, "dkim.match", result, words);

	if (result == DOCTOR_FAILURE) {
		assert_int_equal(f->remedy.records_n, 1);
		assert_true(str_starts(f->remedy.records[0].value, S("v=DKIM1; k=rsa; p=")));
	}
	table_free(t);
	arena_fini(&a);
}

static void damage(void **state)
{
	struct str good = record_of(HOST CERT DIRECT SIGN);
	static const struct {
		const char *before, *behind;
		enum doctor_result result;
		const char *words;
		const char *config;
	} rows[] = {
		{ "v=DKIM1; k=rsa; p=", "", DOCTOR_OK, "" },
		{ "v=DKIM1; k=rsa; p=", ";", DOCTOR_OK, "" },
		{ "p=", "", DOCTOR_OK, "" },
		{ "k=rsa; t=s; n=note; s=email; h=sha1:sha256; p=", "", DOCTOR_OK, "" },
		{ "v=DKIM1;p=", ";k=rsa", DOCTOR_OK, "" },
		{ "v = DKIM1 ; k = rsa ; p = ", " ; s = *", DOCTOR_OK, "" },
		{ "v=DKIM1; k=ed25519; p=", "", DOCTOR_FAILURE, "says k=ed25519, but the key is rsa" },
		{ "v=DKIM1; h=sha1; p=", "", DOCTOR_FAILURE, "h=sha1" },
		{ "v=DKIM1; s=tlsrpt; p=", "", DOCTOR_FAILURE, "is not for mail" },
		{ "v=DKIM1; t=s; p=", "", DOCTOR_FAILURE, "t=s, which forbids", DIRECT SIGN NEWS },
		{ "v=DKIM1; t=s; p=", "", DOCTOR_OK, "" },
		{ "v=DKIM1; t=y; p=", "", DOCTOR_WARNING, "test mode" },
		{ "v=DKIM1; t=y:s; p=", "", DOCTOR_WARNING, "test mode" },
		{ "k=rsa; v=DKIM1; p=", "", DOCTOR_FAILURE, "has v= behind another tag" },
		{ "v=DKIM2; p=", "", DOCTOR_FAILURE, "has v=DKIM2" },
		{ "v=DKIM1\\; k=rsa\\; p=", "", DOCTOR_FAILURE, "has a backslash inside" },
		{ "v=DKIM1; k=rsa; P=", "", DOCTOR_FAILURE, "has no p=" },
		{ "v=DKIM1; k=rsa; p=", "!", DOCTOR_FAILURE, "no base64" },
		{ "v=DKIM1; k=rsa; rubbish; p=", "", DOCTOR_FAILURE, "\"rubbish\" is no tag" },
	};
	struct arena a = { 0 };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect_match(rows[i].config ? rows[i].config : DIRECT SIGN,
			     str_of(with_key(&a, good, rows[i].before, rows[i].behind)), rows[i].result, rows[i].words);
	arena_fini(&a);
}

static void keys(void **state)
{
	struct str good = record_of(HOST CERT DIRECT SIGN), p = str_from(good, str_search(good, S("p=")) + 2);
	struct arena a = { 0 };
	struct str cut = str_head(good, 255),
		   other = arena_str(&a, record_of(HOST CERT DIRECT "sign = ( { domain = \"example.org\"; "
								    "selector = \"r\"; key = \"weak.key\"; } ); "));

	good = record_of(HOST CERT DIRECT SIGN);
	expect_match(DIRECT SIGN, cut, DOCTOR_FAILURE, "is cut after 255 characters");
	expect_match(DIRECT SIGN, str_head(good, 100), DOCTOR_FAILURE, "is cut after 100 characters");
	expect_match(DIRECT SIGN, str_head(good, 13), DOCTOR_FAILURE, "is cut after 13 characters");
	expect_match(DIRECT SIGN, S("v=DKIM1; k=rsa; p="), DOCTOR_FAILURE, "is revoked");
	expect_match(DIRECT SIGN, S("v=DKIM1; p="), DOCTOR_FAILURE, "is revoked");
	expect_match(DIRECT SIGN, other, DOCTOR_FAILURE, "of another private key");
	expect_match(DIRECT SIGN,
		     arena_printf(&a, "v=DKIM1; k=rsa; p=%.*s %.*s", STR_ARG(str_head(p, 60)), STR_ARG(str_from(p, 60))),
		     DOCTOR_ADVICE, "blanks inside p=");
	expect_match(DIRECT SIGN, arena_printf(&a, "'%.*s'", STR_ARG(good)), DOCTOR_FAILURE, "");
	/* split at 100, in three strings */
	expect_match(DIRECT SIGN,
		     arena_printf(&a, "\"%.*s\" \"%.*s\" \"%.*s\"", STR_ARG(str_head(good, 100)),
				  STR_ARG(str_head(str_from(good, 100), 100)), STR_ARG(str_from(good, 200))),
		     DOCTOR_OK, "");
	arena_fini(&a);
}

static void sizes(void **state)
{
	static const char weak[] = "sign = ( { domain = \"example.org\"; selector = \"w\"; key = \"weak.key\"; } ); ";
	static const char both[] = "sign = ( { domain = \"example.org\"; selector = \"r\"; key = \"rsa.key\"; }, "
				   "{ domain = \"example.org\"; selector = \"e\"; key = \"ed25519.key\"; } ); ";
	struct arena a = { 0 };

	plant(DIRECT SIGN, "", "dkim.size", DOCTOR_OK, "r has 2048 bits");
	plant(arena_cstr(&a, arena_printf(&a, "%s%s", DIRECT, weak)), "", "dkim.size", DOCTOR_WARNING, "w has 1024 bits");
	plant(DIRECT ED25519, "", "dkim.size", DOCTOR_FAILURE, "e is an Ed25519 key, and there is no RSA key");
	plant("auth = { realm = \"example.org\"; }; " BASICS_UPSTREAM ED25519, "", "dkim.size", DOCTOR_WARNING, "no RSA key");
	plant(arena_cstr(&a, arena_printf(&a, "%s%s", DIRECT, both)), "", "dkim.size", DOCTOR_OK, "e is an Ed25519 key beside");
	arena_fini(&a);
}

/* RFC 8463: the bare 32 bytes; keys that wait for their record are not judged here. */
static void others(void **state)
{
	struct arena a = { 0 };
	struct str good = record_of(HOST CERT DIRECT ED25519);

	plant(DIRECT ED25519, arena_cstr(&a, arena_printf(&a, "e._domainkey.example.org TXT %.*s", STR_ARG(good))), "dkim.match",
	      DOCTOR_OK, "");
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published), cmocka_unit_test(damage), cmocka_unit_test(keys),
		cmocka_unit_test(sizes),     cmocka_unit_test(others),
	};

	return cmocka_run_group_tests_name("doctor_dkim", tests, fixture_open, fixture_close);
}
