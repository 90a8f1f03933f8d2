/* test_names.c - logins and passwords in their one form, and account files and verifiers that are older than it. */
#include "unit.h"

#include "posthouse/accounts.h"
#include "posthouse/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SALT                                                                                                                     \
	"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

/* StoredKeys and ServerKeys of Python's hashlib, of the bytes of the password. */
#define OLD_SQUARE                                                                                                               \
	"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$9VevUnK4NwW+yy1T44QVXAswFMpudUCigXczlUGZrgk=:aE7vLsY3NjQPAGkXoHmqMbbmnek7btpWoWh/ITbS4m4="
#define OLD_DECOMPOSED                                                                                                           \
	"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$zn1YABqUWdbLhn48lVv5Uyl84g5XRWojbIgBBHbjYYY=:Gg2V1S3bVa85TeFEiW1a7U2g8NQ+5Ere9+RrDW2yhUw="
#define OLD_LATIN                                                                                                                \
	"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$jzZ1UoShSt+h7t/P4jcKs+nXRcI08Viv1u8pSBXK078=:h+AYgTuDoTposccdFy2YPUee/jJTsQxKY/bLFuM5sdM="
#define OLD_MIXED                                                                                                                \
	"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$gAavir0qt9wZpAXJWZHpv0jhCEsQPH0qECZUrd06oQg=:mNjcY+jdsjzUZ5emymU1oVwsKgTrzmzR0qWr6pe/Guc="

static void assert_text(struct str got, const char *expected, const char *of)
{
	if (!str_eq(got, str_of(expected)))
		fail_msg("\"%s\" became \"%.*s\", expected \"%s\"", of, STR_ARG(got), expected);
}

/* RFC 4013 section 3 has the first six; the others are what keyboards give. */
static void test_saslprep(void **state)
{
	static const struct {
		const char *text, *prepared; /* NULL: refused */
	} rows[] = {
		{ "I\u00adX", "IX" },
		{ "user", "user" },
		{ "USER", "USER" },
		{ "\u00aa", "a" },
		{ "\u2168", "IX" },
		{ "\a", NULL },
		{ "\u06271", NULL },
		{ "m\u00b2", "m2" },
		{ "5\u00b5g", "5\u03bcg" },
		{ "\u00b4x\u00b4", " \u0301x \u0301" },
		{ "x\u00a8y", "x \u0308y" },
		{ "1\u00aa2\u00ba", "1a2o" },
		{ "\u00bd\u00bc", "1\u204421\u20444" },
		{ "pa\u0308sswo\u0308rd", "p\u00e4ssw\u00f6rd" },
		{ "\uff30\uff57", "Pw" },
		{ "\ufb01n", "fin" },
		{ "a\u00a0\u2003\u3000z", "a   z" },
		{ "\u0627\u0644\u0633\u0631", "\u0627\u0644\u0633\u0631" },
		{ "\u0627\u0644a\u0631", NULL },
		{ "\u05d0bc", NULL },
		{ "\U0001f600!", "\U0001f600!" },
		{ "tab\there", NULL },
		{ "\xc2\x85", NULL },
		{ "\u202etxt", NULL },
		{ "\ue000", NULL },
		{ "\u00ad", NULL },
		{ "", NULL },
		{ "\xc3\x28", NULL },
		{ "\xed\xa0\x80", NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct secret prepared = { 0 };
		struct verdict v = saslprep(str_of(rows[i].text), &prepared);

		if ((v.class == OK) != (rows[i].prepared != NULL))
			fail_msg("\"%s\": %.*s", rows[i].text, STR_ARG(v.text));
		if (rows[i].prepared)
			assert_text(secret_view(&prepared), rows[i].prepared, rows[i].text);
		else
			assert_true(v.class == PERM && v.code == 550 && v.text.n > 0);
		secret_fini(&prepared);
	}
}

/* RFC 8265 section 3.5 has some of them. */
static void test_precis(void **state)
{
	static const struct {
		const char *text, *name; /* NULL: not a name */
	} rows[] = {
		{ "juliet", "juliet" },
		{ "fussball", "fussball" },
		{ "fu\u00dfball", "fu\u00dfball" },
		{ "\u03c0", "\u03c0" },
		{ "\u03a3", "\u03c3" },
		{ "\u03c3", "\u03c3" },
		{ "\u03c2", "\u03c2" },
		{ "foo bar", NULL },
		{ "henry\u2163", NULL },
		{ "\u265a", NULL },
		{ "\u00c4RGER", "\u00e4rger" },
		{ "a\u0308rger", "\u00e4rger" },
		{ "A\u0308rger", "\u00e4rger" },
		{ "\uff21lice", "alice" },
		{ "\uff76\uff9e", "\u30ac" },
		{ "\u00aax", NULL },
		{ "x\u00b2", NULL },
		{ "co\u00b7l", NULL },
		{ "col\u00b7leg", "col\u00b7leg" },
		{ "\u05d3\u05d5\u05d3", "\u05d3\u05d5\u05d3" },
		{ "\u05d3a\u05d5", NULL },
		{ "a\u05d3", NULL },
		{ "\u0662\u06f3", NULL },
		{ "\u0130x", "i\u0307x" },
		{ "x\u200bx", NULL },
		{ "x\u00adx", NULL },
		{ "\U0001f600", NULL },
		{ "b\u00f8rge+tag", "b\u00f8rge+tag" },
		{ "", NULL },
		{ "\xff", NULL },
	};
	struct arena a = { 0 };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str name;
		bool allowed = precis_username(&a, str_of(rows[i].text), &name);

		if (allowed != (rows[i].name != NULL))
			fail_msg("\"%s\" is %sa name", rows[i].text, allowed ? "" : "not ");
		if (allowed)
			assert_text(name, rows[i].name, rows[i].text);
	}
	arena_fini(&a);
}

static void test_logins(void **state)
{
	static const struct {
		const char *text, *login;
		bool proper;
	} rows[] = {
		{ "Alice@Example.ORG", "alice@example.org", false },
		{ "alice@example.org", "alice@example.org", true },
		{ "alice@example.org/Phone", "alice@example.org/phone", false },
		{ "\u00c4rger@B\u00fccher.example", "\u00e4rger@xn--bcher-kva.example", false },
		{ "\u00e4rger@xn--bcher-kva.example/x", "\u00e4rger@xn--bcher-kva.example/x", true },
		{ "\u00e4rger@XN--Bcher-KVA.example", "\u00e4rger@xn--bcher-kva.example", false },
		{ "\u265aX@example.org", "\u265ax@example.org", false }, /* of old: no name any more, but found */
		{ "\u265ax@example.org", "\u265ax@example.org", false },
		{ "a@b_c.example", "a@b_c.example", true },
		{ "b\xc3\xbc\uff20Example.org@example.org", "b\xc3\xbc\uff20example.org@example.org", false }, /* two parts */
		{ "\uff0fx@example.org", "\uff0fx@example.org", false },
		{ "\uff11\uff21@example.org", "1a@example.org", false },
	};
	struct arena a = { 0 };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_text(login_canonical(&a, str_of(rows[i].text)), rows[i].login, rows[i].text);
		assert_int_equal(login_is_proper(str_of(rows[i].text)), rows[i].proper);
	}
	assert_true(str_eq(login_canonical(&a, S("x@b\xc3\xbc\0evil")), S("x@b\xc3\xbc\0evil"))); /* nothing is cut off */
	arena_fini(&a);
}

/* A verifier as it was made before, without normalisation, or by another program of the bytes as they are, fits; SCRAM's fits too. */
static void test_old_verifiers(void **state)
{
	static const struct {
		const char *given,
			*hashed; /* what the verifier was made of, which is ASCII so that all preparations leave it alone */
		bool fits;
	} rows[] = {
		{ "x\u00a0y", "x y", true }, /* all three agree */
		{ "m\u00b2", "m2", true },      { "m2", "m2", true },       { "m3", "m2", false },
		{ "\uff50\uff57", "pw", true }, { "p\u00adw", "pw", true },
	};
	static const struct {
		const char *given, *verifier;
	} old[] = {
		{ "m\u00b2", OLD_SQUARE },
		{ "a\u0308", OLD_DECOMPOSED },
		{ "m\xb2", OLD_LATIN },
		{ "\u05d0bc", OLD_MIXED },
	};
	struct arena a = { 0 };
	struct str verifier;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(account_verifier(&a, S(SALT), str_of(rows[i].hashed), &verifier).class, OK);
		assert_int_equal(account_check(verifier, str_of(rows[i].given)), rows[i].fits);
	}
	for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++) {
		assert_true(account_check(str_of(old[i].verifier), str_of(old[i].given)));
		assert_false(account_check(str_of(old[i].verifier), S("m2")));
		assert_false(account_check(str_of(old[i].verifier), S("-")));
	}
	arena_fini(&a);
}

/* ---- account files ---- */

static void write_file(const char *directory, const char *text)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/accounts", directory);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void remove_files(const char *directory)
{
	static const char *const names[] = { "accounts", "accounts.lock" };
	char path[200];

	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(directory), 0);
}

static void test_old_files(void **state)
{
	char directory[] = "/tmp/posthouse-names-XXXXXX";
	struct verdict v;
	struct accounts *f;
	struct arena a = { 0 };
	struct str name, device;

	assert_non_null(mkdtemp(directory));
	write_file(directory, "\u00c4rger@example.org - " SALT " 1\n"
			      "a\u0308rger@b\u00fccher.example - " SALT " 2\n"
			      "\u00d6l@example.org - " SALT " 3\n"
			      "\u00f6l@example.org - " SALT " 4\n"
			      "\u00f6l@example.org phone " SALT " 5\n"
			      "\u265ax@example.org - " SALT " 6\n");
	f = accounts_open(directory, &v);
	if (!f)
		fail_msg("%.*s", STR_ARG(v.text));
	assert_true(account_parse_name(&a, S("\u00c4rger"), S("example.org"), &name, &device));
	assert_int_equal(accounts_find(f, name, device)->created_at, 1);
	assert_true(account_parse_name(&a, S("\u00e4rger@xn--bcher-kva.example"), S("example.org"), &name, &device));
	assert_int_equal(accounts_find(f, name, device)->created_at, 2);
	assert_true(account_parse_name(&a, S("O\u0308L"), S("example.org"), &name, &device));
	assert_int_equal(accounts_find(f, name, device)->created_at, 4); /* who had the form already keeps it */
	assert_int_equal(accounts_find(f, name, S("phone"))->created_at, 5);
	assert_text(accounts_shadowed(f), "\u00d6l@example.org", "the file");
	assert_true(account_parse_name(&a, S("\u265aX"), S("example.org"), &name, &device));
	assert_int_equal(accounts_find(f, name, device)->created_at, 6);

	/* a name that is none any more gets devices, but nobody new gets such a name; nothing is lost */
	assert_int_equal(accounts_change(f, ACCOUNT_ADD, name, S("phone"), S(SALT), 0).class, OK);
	v = accounts_change(f, ACCOUNT_ADD, S("\u265by@example.org"), S(""), S(SALT), 0);
	assert_true(v.class == PERM && str_search(v.text, S("RFC 8265")) < v.text.n);
	assert_int_equal(accounts_count(f), 7);
	accounts_close(f);
	f = accounts_open(directory, &v);
	assert_int_equal(accounts_count(f), 7);
	accounts_close(f);
	arena_fini(&a);
	remove_files(directory);
}

/* What a name shadowed goes with the last password of its account, and comes to life neither by removing that nor later. */
static void test_shadowed_accounts(void **state)
{
	static const char *const removals[][2] = { { "", NULL }, { "phone", "" }, { "phone", NULL } };

	for (size_t i = 0; i < 3; i++) {
		char directory[] = "/tmp/posthouse-names-XXXXXX";
		bool has_main = removals[i][1] || !removals[i][0][0];
		struct verdict v;
		struct accounts *f;

		assert_non_null(mkdtemp(directory));
		write_file(directory, has_main ? "\u00c4@example.org - " SALT " 1\n"
						 "\u00c4@example.org laptop " SALT " 2\n"
						 "\u00e4@example.org - " SALT " 3\n"
						 "\u00e4@example.org phone " SALT " 4\n"
						 "\u00d6@example.org - " SALT " 5\n"
					       : "\u00c4@example.org - " SALT " 1\n"
						 "\u00c4@example.org laptop " SALT " 2\n"
						 "\u00e4@example.org phone " SALT " 4\n"
						 "\u00d6@example.org - " SALT " 5\n");
		f = accounts_open(directory, &v);
		assert_non_null(f);
		for (size_t j = 0; j < 2 && removals[i][j]; j++) {
			assert_non_null(accounts_any(f, S("\u00e4@example.org")));
			assert_int_equal(
				accounts_change(f, ACCOUNT_REMOVE, S("\u00e4@example.org"), str_of(removals[i][j]), S(""), 0)
					.class,
				OK);
		}
		accounts_close(f);
		f = accounts_open(directory, &v);
		assert_non_null(f);
		assert_int_equal(accounts_count(f), 1);
		assert_null(accounts_any(f, S("\u00e4@example.org")));
		assert_non_null(accounts_any(f, S("\u00f6@example.org")));
		assert_int_equal(accounts_shadowed(f).n, 0);
		accounts_close(f);
		remove_files(directory);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_saslprep),      cmocka_unit_test(test_precis),    cmocka_unit_test(test_logins),
		cmocka_unit_test(test_old_verifiers), cmocka_unit_test(test_old_files), cmocka_unit_test(test_shadowed_accounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
