/* test_binding.c - SCRAM with channel binding: what a client may say of it, and what must fail (RFC 5802 section 6). */
#include "unit.h"
#include "remove_tree.h"

#include "client.h"
#include "gs2.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define PASSWORD  "wonder land"
#define EXPORTER  "0123456789abcdef0123456789abcdef"
#define END_POINT "the digest of the certificate...."

static char place[64];
static struct directory *directory;

static int set_up(void **state)
{
	struct arena a = { 0 };
	struct accounts *accounts;
	struct verdict v;
	struct str verifier;

	strcpy(place, "/tmp/posthouse-binding-XXXXXX");
	assert_non_null(mkdtemp(place));
	accounts = accounts_open(place, &v);
	assert_non_null(accounts);
	assert_int_equal(account_verifier(&a, S(""), S(PASSWORD), &verifier).class, OK);
	assert_int_equal(accounts_change(accounts, ACCOUNT_ADD, S("alice@example.org"), S(""), verifier, 0).class, OK);
	accounts_close(accounts);
	arena_fini(&a);
	directory = directory_new(place);
	assert_int_equal(directory_refresh(directory).class, OK);
	assert_int_equal(cyrus_start(directory, &(struct cfg_auth){ 0 }).class, OK);
	return 0;
}

static int tear_down(void **state)
{
	cyrus_stop();
	directory_free(directory);
	remove_tree(place);
	return 0;
}

static struct conversation *begin(bool offers, const char *exporter, const char *end_point)
{
	struct conversation_config config = { .service = "smtp",
					      .hostname = "relay.example.org",
					      .realm = S("example.org"),
					      .tls_bits = 256,
					      .exporter = str_of(exporter),
					      .end_point = str_of(end_point),
					      .offers_binding = offers };
	struct conversation *c = conversation_new(directory, &config);

	assert_non_null(c);
	return c;
}

#define BARE "SCRAM-SHA-256"
#define PLUS "SCRAM-SHA-256-PLUS"

static void test_what_clients_say(void **state)
{
	static const struct {
		const char *mechanism, *header;
		struct str binding; /* of the client */
		bool offers;
		const char *exporter, *end_point; /* of the connection */
		unsigned code;
		bool misbound;
	} rows[] = {
		{ PLUS, "p=tls-exporter,,", S(EXPORTER), true, EXPORTER, END_POINT, 235, false },
		{ PLUS, "p=tls-server-end-point,,", S(END_POINT), true, EXPORTER, END_POINT, 235, false },
		{ PLUS, "p=tls-server-end-point,,", S(END_POINT), true, "", END_POINT, 235, false },
		{ PLUS, "p=tls-exporter,a=alice,", S(EXPORTER), true, EXPORTER, END_POINT, 235, false },
		{ BARE, "n,,", S(""), true, EXPORTER, END_POINT, 235, false },
		{ BARE, "n,,", S(""), true, "", "", 235, false },
		{ BARE, "y,,", S(""), false, EXPORTER, END_POINT, 235, false },
		/* somebody has taken the offer out of what the client saw */
		{ BARE, "y,,", S(""), true, EXPORTER, END_POINT, 535, true },
		{ BARE, "y,,", S(""), true, "", "", 535, true },
		{ PLUS, "y,,", S(""), true, EXPORTER, END_POINT, 535, true },
		/* somebody sits between: the client's connection is not ours */
		{ PLUS, "p=tls-exporter,,", S("fedcba9876543210fedcba9876543210"), true, EXPORTER, END_POINT, 535, true },
		{ PLUS, "p=tls-exporter,,", S("short"), true, EXPORTER, END_POINT, 535, true },
		{ PLUS, "p=tls-exporter,,", S(""), true, EXPORTER, END_POINT, 535, true },
		{ PLUS, "p=tls-server-end-point,,", S(EXPORTER), true, EXPORTER, END_POINT, 535, true },
		/* a type that we do not have */
		{ PLUS, "p=tls-unique,,", S(EXPORTER), true, EXPORTER, END_POINT, 535, true },
		{ PLUS, "p=tls-exporter,,", S(""), true, "", END_POINT, 535, true },
		/* the mechanism and the flag must agree */
		{ BARE, "p=tls-exporter,,", S(EXPORTER), true, EXPORTER, END_POINT, 501, false },
		{ PLUS, "n,,", S(""), true, EXPORTER, END_POINT, 501, false },
		{ PLUS, "p=,,", S(""), true, EXPORTER, END_POINT, 501, false },
		{ PLUS, "p=tls exporter,,", S(""), true, EXPORTER, END_POINT, 501, false },
		{ PLUS, "p,,", S(""), true, EXPORTER, END_POINT, 501, false },
		{ BARE, "x,,", S(""), true, EXPORTER, END_POINT, 501, false },
		{ PLUS, "p=tls-exporter,,", S(""), true, "", "", 504, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int late = 0; late < 2; late++) {
			struct conversation *c = begin(rows[i].offers, rows[i].exporter, rows[i].end_point);
			struct outcome o = (late ? late_scram_login : scram_login)(c, rows[i].mechanism, rows[i].header,
										   rows[i].binding, "alice", PASSWORD);

			if (o.code != rows[i].code)
				print_message("row %zu late %d: %u %s %s\n", i, late, o.code, o.fault, o.misbound);
			assert_int_equal(o.code, rows[i].code);
			assert_int_equal(o.misbound[0] != '\0', rows[i].misbound);
			assert_string_equal(o.fault, "");
			if (o.code == 235)
				assert_string_equal(o.name, "alice@example.org");
			conversation_free(c);
		}
	}
}

static void test_wrong_password(void **state)
{
	struct conversation *c = begin(true, EXPORTER, END_POINT);
	struct outcome o = scram_login(c, PLUS, "p=tls-exporter,,", S(EXPORTER), "alice", "wrong");

	assert_int_equal(o.code, 535);
	assert_string_equal(o.misbound, "");
	assert_string_equal(o.name, "alice@example.org");
	conversation_free(c);
}

static void test_gs2(void **state)
{
	static const struct {
		struct str first;
		enum gs2_binding says;
		const char *type;
	} rows[] = {
		{ S("n,,n=a,r=b"), GS2_NONE, "" },
		{ S("y,a=x,n=a,r=b"), GS2_NOT_OFFERED, "" },
		{ S("p=tls-exporter,,"), GS2_BOUND, "tls-exporter" },
		{ S("p=a.b-C1,,"), GS2_BOUND, "a.b-C1" },
		{ S(""), GS2_MALFORMED, "" },
		{ S("n"), GS2_MALFORMED, "" },
		{ S(","), GS2_MALFORMED, "" },
		{ S("p=,"), GS2_MALFORMED, "" },
		{ S("p=a\0b,,"), GS2_MALFORMED, "" },
		{ S("p=a_b,,"), GS2_MALFORMED, "" },
		{ S("N,,"), GS2_MALFORMED, "" },
		{ S("p=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,,"), GS2_MALFORMED, "" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str type;

		assert_int_equal(gs2_read(rows[i].first, &type), rows[i].says);
		assert_true(str_eq(type, str_of(rows[i].type)));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_clients_say),
		cmocka_unit_test(test_wrong_password),
		cmocka_unit_test(test_gs2),
	};

	return cmocka_run_group_tests_name("binding", tests, set_up, tear_down);
}
