/* test_verifier.c - verifiers, password preparation, names and lines. */
#include "unit.h"

#include "posthouse/accounts.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

/* RFC 7677 section 3: user "user", password "pencil". */
#define SALT "W22ZaJ0SNY7soEsUEjb6gQ=="
#define PENCIL                                                                                                                   \
	"SCRAM-SHA-256$4096:" SALT "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static void assert_str(struct str got, const char *expected)
{
	assert_int_equal(got.n, strlen(expected));
	assert_memory_equal(got.p, expected, got.n);
}

/* The example's ServerSignature comes out of the ServerKey that we store. */
static void test_rfc7677(void **state)
{
	static const char message[] = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=" SALT
				      ",i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
	unsigned char key[48], signature[32], text[48];
	struct arena a = { 0 };
	struct str verifier;
	unsigned n;

	assert_int_equal(account_verifier(&a, S(PENCIL), S("pencil"), &verifier).class, OK);
	assert_str(verifier, PENCIL);
	assert_int_equal(EVP_DecodeBlock(key, (const unsigned char *)verifier.p + str_rfind(verifier, ':') + 1, 44), 33);
	assert_non_null(HMAC(EVP_sha256(), key, 32, (const unsigned char *)message, sizeof(message) - 1, signature, &n));
	EVP_EncodeBlock(text, signature, 32);
	assert_string_equal((char *)text, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
	arena_fini(&a);
}

static void test_check(void **state)
{
	struct arena a = { 0 };
	struct str one, other;

	assert_true(account_check(S(PENCIL), S("pencil")));
	assert_false(account_check(S(PENCIL), S("pencil2")));
	assert_false(account_check(S(PENCIL), S("Pencil")));
	assert_false(account_check(S(PENCIL), S("")));
	assert_false(account_check(S(PENCIL), S("-")));
	assert_false(account_check(S("nonsense"), S("pencil")));
	assert_int_equal(account_verifier(&a, str_of(""), S("secret"), &one).class, OK);
	assert_int_equal(account_verifier(&a, str_of(""), S("secret"), &other).class, OK);
	assert_true(str_starts(one, S("SCRAM-SHA-256$10000:")));
	assert_false(str_eq(one, other)); /* each has a salt of its own */
	assert_true(account_check(one, S("secret")));
	assert_true(account_check(other, S("secret")));
	assert_int_equal(account_verifier(&a, S("SCRAM-SHA-256$1:x$y:z"), S("secret"), &other).class, TEMP);
	arena_fini(&a);
}

static void test_preparation(void **state)
{
	static const struct {
		const char *stored, *given;
		bool fits;
	} rows[] = {
		{ "a b",
		  "a\xc2\xa0"
		  "b",
		  true }, /* no-break space is a space */
		{ "ab",
		  "a\xc2\xad"
		  "b",
		  true }, /* soft hyphen vanishes */
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f", true },
		{ "gr\xc3\xbc\xc3\x9f", "gr\xfc\xdf", false }, /* Latin-1 is not UTF-8 */
		{ "secret", "secret\n", false },
		{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", true },
	};
	static const char *const refused[] = {
		"",         "\xc2\xad",     "a\tb", "a\x7f",       "\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80",
		"\xe2\x80", "\xe2\x80\x8f", "\xff", "\xee\x80\x80"
	};
	struct arena a = { 0 };
	struct str verifier;
	char large[1025];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(account_verifier(&a, S(PENCIL), str_of(rows[i].stored), &verifier).class, OK);
		assert_int_equal(account_check(verifier, str_of(rows[i].given)), rows[i].fits);
	}
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_int_equal(account_verifier(&a, S(PENCIL), str_of(refused[i]), &verifier).class, PERM);
	memset(large, 'x', sizeof(large));
	assert_int_equal(account_verifier(&a, S(PENCIL), str_make(large, 1024), &verifier).class, OK);
	assert_true(account_check(verifier, str_make(large, 1024)));
	assert_int_equal(account_verifier(&a, S(PENCIL), str_make(large, 1025), &verifier).class, PERM);
	assert_false(account_check(S(PENCIL), str_make(large, 1025)));
	arena_fini(&a);
}

static void test_decoy(void **state)
{
	struct arena a = { 0 };
	struct secret key = { 0 }, other_key = { 0 };
	struct str one;

	secret_set(&key, S("0123456789abcdef0123456789abcdef"));
	secret_set(&other_key, S("1123456789abcdef0123456789abcdef"));
	one = account_decoy(&a, &key, S("nobody@example.org"));
	assert_true(str_starts(one, S("SCRAM-SHA-256$10000:")));
	assert_true(str_eq(one, account_decoy(&a, &key, S("nobody@example.org"))));
	assert_false(str_eq(one, account_decoy(&a, &key, S("anybody@example.org"))));
	assert_false(str_eq(one, account_decoy(&a, &other_key, S("nobody@example.org"))));
	assert_false(account_check(one, S("nobody@example.org")));
	secret_fini(&key);
	secret_fini(&other_key);
	arena_fini(&a);
}

static void test_names(void **state)
{
	static const struct {
		const char *text, *realm, *name, *device; /* name NULL: malformed */
	} rows[] = {
		{ "alice", "example.org", "alice@example.org", "" },
		{ "Alice", "Example.ORG", "alice@example.org", "" },
		{ "alice@example.net", "example.org", "alice@example.net", "" },
		{ "alice/Phone", "example.org", "alice@example.org", "phone" },
		{ "alice@example.net/phone", "example.org", "alice@example.net", "phone" },
		{ "gr\xc3\xbc"
		  "n",
		  "example.org",
		  "gr\xc3\xbc"
		  "n@example.org",
		  "" },
		{ "alice", "", NULL, NULL },
		{ "", "example.org", NULL, NULL },
		{ "@example.org", "example.org", NULL, NULL },
		{ "alice@", "example.org", NULL, NULL },
		{ "a@b@c", "example.org", NULL, NULL },
		{ "alice/", "example.org", NULL, NULL },
		{ "/phone", "example.org", NULL, NULL },
		{ "alice/a/b", "example.org", NULL, NULL },
		{ "alice/-", "example.org", NULL, NULL },
		{ "al ice", "example.org", NULL, NULL },
		{ "al:ice", "example.org", NULL, NULL },
		{ "al\nice", "example.org", NULL, NULL },
		{ "al\xc2\x85ice", "example.org", NULL, NULL },
		{ "al\xffice", "example.org", NULL, NULL },
		{ "#alice", "example.org", NULL, NULL },
	};
	struct arena a = { 0 };
	struct str name, device;
	char large[300];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool valid = account_parse_name(&a, str_of(rows[i].text), str_of(rows[i].realm), &name, &device);

		assert_int_equal(valid, rows[i].name != NULL);
		if (!valid)
			continue;
		assert_str(name, rows[i].name);
		assert_str(device, rows[i].device);
	}
	memset(large, 'x', sizeof(large));
	assert_true(account_parse_name(&a, str_make(large, 253), S("e"), &name, &device));
	assert_false(account_parse_name(&a, str_make(large, 254), S("e"), &name, &device));
	arena_fini(&a);
}

static void test_lines(void **state)
{
	static const char *const bad[] = {
		"",
		"a@b",
		"a@b - " PENCIL,
		"a@b - " PENCIL " ",
		"a@b - " PENCIL " 12x",
		"a@b - " PENCIL " 12 13x",
		"a@b - " PENCIL " 12 0",
		"a@b - " PENCIL " 12 ",
		"a@b - " PENCIL " 12 13 14",
		"a@b  " PENCIL " 12",
		"a - " PENCIL " 12",
		"A@b - " PENCIL " 12",
		"a@b - SCRAM-SHA-1$4096:" SALT "$x:y 12",
		"a@b - SCRAM-SHA-256$4095:" SALT
		"$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU= 1",
		"a@b - SCRAM-SHA-256$1000001:" SALT
		"$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU= 1",
		"a@b - SCRAM-SHA-256$4096:AA==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU= 1",
		"a@b - SCRAM-SHA-256$4096:" SALT "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=: 1",
		"a@b - SCRAM-SHA-256$4096:" SALT
		"$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4q:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU= 1",
		"a@b - SCRAM-SHA-256$4096:" SALT
		"$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qZ=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU= 1",
	};
	struct arena a = { 0 };
	struct account account;

	assert_true(account_parse_line(S("a@b phone " PENCIL " 1700000000000"), &account));
	assert_str(account.name, "a@b");
	assert_str(account.device, "phone");
	assert_str(account.verifier, PENCIL);
	assert_true(account.created_at == 1700000000000);
	assert_str(account_format_line(&a, &account), "a@b phone " PENCIL " 1700000000000\n");
	assert_true(account_parse_line(S("a@b - " PENCIL " 5"), &account));
	assert_str(account.device, "");
	assert_str(account_format_line(&a, &account), "a@b - " PENCIL " 5\n");
	assert_true(account.expires_at == 0);
	assert_true(account_parse_line(S("a@b - " PENCIL " 5 1700000000000"), &account));
	assert_true(account.expires_at == 1700000000000);
	assert_str(account_format_line(&a, &account), "a@b - " PENCIL " 5 1700000000000\n");
	assert_true(account_parse_line(S("a@b - " PENCIL " 5 locked=1700000000001"), &account));
	assert_true(account.expires_at == 0 && account.locked_at == 1700000000001);
	assert_str(account.reason, "");
	assert_str(account_format_line(&a, &account), "a@b - " PENCIL " 5 locked=1700000000001\n");
	assert_true(account_parse_line(S("a@b - " PENCIL " 5 locked=8 lost\0in the bus"), &account));
	assert_str(account_format_line(&a, &account), "a@b - " PENCIL " 5 locked=8 lost\n");
	assert_true(account_parse_line(S("a@b - " PENCIL " 5 7 locked=8 phone lost, in the bus"), &account));
	assert_true(account.expires_at == 7 && account.locked_at == 8);
	assert_str(account.reason, "phone lost, in the bus");
	assert_str(account_format_line(&a, &account), "a@b - " PENCIL " 5 7 locked=8 phone lost, in the bus\n");
	assert_false(account_parse_line(S("a@b - " PENCIL " 5 locked="), &account));
	assert_false(account_parse_line(S("a@b - " PENCIL " 5 locked=0"), &account));
	assert_false(account_parse_line(S("a@b - " PENCIL " 5 locked=1 "), &account));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(account_parse_line(str_of(bad[i]), &account));
	arena_fini(&a);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc7677), cmocka_unit_test(test_check), cmocka_unit_test(test_preparation),
		cmocka_unit_test(test_decoy),   cmocka_unit_test(test_names), cmocka_unit_test(test_lines),
	};

	return cmocka_run_group_tests_name("verifier", tests, NULL, NULL);
}
