/* test_decide.c - which TLS a candidate host gets: one table of all combinations for the servers of a domain, and smaller ones
 * for upstreams, addresses and names; and the words. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "posthouse/tls_policy.h"

#define N(array) (sizeof(array) / sizeof *(array))

/* ---- the servers of a domain ---- */

/* Values of the five dimensions, as bits: a row of the table is about many combinations. */
enum { DEFAULT = 1, EXCEPTION = 2, ENCRYPTED = 4, VERIFIED = 8, DANE = 16, NAMES = 32, OWN_CA = 64 }; /* the configuration */
enum { SECURE = 1, INSECURE = 2 };                                                                    /* MX records */
enum { NO_TLSA = 1, USABLE = 2, UNUSABLE = 4, FAILED = 8 };
enum { NO_STS = 1, TESTING = 2, TESTING_UNLISTED = 4, ENFORCE = 8, ENFORCE_UNLISTED = 16 };
enum { NO_WISH = 1, REQUIRETLS = 2, OPTIONAL = 4 };
enum { ANY = 255 };
enum { REQUIRES = 7, MX_STATES = 2, TLSA_STATES = 4, STS_STATES = 5, WISHES = 3 };

struct row {
	unsigned require, mx, tlsa, sts, wish; /* bits */
	enum tls_level level;
	enum tls_source source;
	enum verdict_class refused;
	enum tls_result refused_as;
};

#define GOES(level, source)      TLS_LEVEL_##level, TLS_SOURCE_##source, OK, TLS_RESULT_NONE
#define WAITS(level, source, as) TLS_LEVEL_##level, TLS_SOURCE_##source, TEMP, TLS_RESULT_##as
#define RETURNS                  TLS_LEVEL_VERIFY, TLS_SOURCE_MESSAGE, PERM, TLS_RESULT_VALIDATION_FAILURE

/* The first row that fits a combination says what follows from it. */
static const struct row rows[] = {
	/* names that the administrator gives are all that is needed */
	{ NAMES, ANY, ANY, ANY, ANY, GOES(VERIFY, CONFIGURATION) },
	/* so are certificates, unless REQUIRETLS has to know that the host is the domain's */
	{ OWN_CA, ANY, ANY, ANY, NO_WISH | OPTIONAL, GOES(VERIFY, CONFIGURATION) },
	{ OWN_CA, ANY, ANY, ENFORCE_UNLISTED, REQUIRETLS, WAITS(VERIFY, MTA_STS, VALIDATION_FAILURE) },
	{ OWN_CA, SECURE, ANY, ANY, REQUIRETLS, GOES(VERIFY, CONFIGURATION) },
	{ OWN_CA, INSECURE, ANY, TESTING | ENFORCE, REQUIRETLS, GOES(VERIFY, CONFIGURATION) },
	{ OWN_CA, INSECURE, ANY, NO_STS | TESTING_UNLISTED, REQUIRETLS, RETURNS },

	/* mandatory DANE: neither TLS-Required: No nor MTA-STS changes it */
	{ DANE, SECURE, USABLE, ANY, ANY, GOES(DANE, DANE) },
	{ DANE, SECURE, FAILED, ANY, ANY, WAITS(DANE, DANE, DNSSEC_INVALID) },
	{ DANE, ANY, ANY, ENFORCE_UNLISTED, NO_WISH | REQUIRETLS, WAITS(DANE, MTA_STS, VALIDATION_FAILURE) },
	{ DANE, ANY, ANY, ANY, ANY, WAITS(DANE, CONFIGURATION, DANE_REQUIRED) },

	/* TLS-Required: No puts the domain's word aside, not the administrator's */
	{ DEFAULT, ANY, ANY, ANY, OPTIONAL, GOES(MAY, MESSAGE) },
	{ EXCEPTION, ANY, ANY, ANY, OPTIONAL | NO_WISH, GOES(MAY, CONFIGURATION) },
	{ ENCRYPTED, ANY, ANY, ANY, OPTIONAL, GOES(ENCRYPT, CONFIGURATION) },
	{ VERIFIED, ANY, ANY, ANY, OPTIONAL, GOES(VERIFY, CONFIGURATION) },

	/* DANE before MTA-STS */
	{ ANY, SECURE, USABLE, ANY, ANY, GOES(DANE, DANE) },
	{ ANY, SECURE, FAILED, ANY, ANY, WAITS(DANE, DANE, DNSSEC_INVALID) },
	/* the host alone is secure: its records count, but for an enforced MTA-STS policy, and prove nothing for REQUIRETLS */
	{ ANY, INSECURE, USABLE, NO_STS | TESTING | TESTING_UNLISTED, NO_WISH, GOES(DANE, DANE) },
	{ ANY, INSECURE, FAILED, NO_STS | TESTING | TESTING_UNLISTED, NO_WISH, WAITS(DANE, DANE, DNSSEC_INVALID) },
	{ ANY, INSECURE, USABLE, TESTING, REQUIRETLS, GOES(DANE, DANE) },
	{ ANY, INSECURE, FAILED, TESTING, REQUIRETLS, WAITS(DANE, DANE, DNSSEC_INVALID) },
	/* MTA-STS, also where TLSA records ask for encryption only */
	{ ANY, ANY, ANY, ENFORCE_UNLISTED, ANY, WAITS(VERIFY, MTA_STS, VALIDATION_FAILURE) },
	{ ANY, ANY, ANY, ENFORCE, ANY, GOES(VERIFY, MTA_STS) },

	/* REQUIRETLS: DNSSEC or MTA-STS, in any mode, must say which hosts are the domain's */
	{ ANY, INSECURE, ANY, NO_STS | TESTING_UNLISTED, REQUIRETLS, RETURNS },
	{ VERIFIED, ANY, ANY, ANY, REQUIRETLS, GOES(VERIFY, CONFIGURATION) },
	{ ANY, ANY, ANY, ANY, REQUIRETLS, GOES(VERIFY, MESSAGE) },

	/* what the configuration adds */
	{ VERIFIED, ANY, ANY, ANY, ANY, GOES(VERIFY, CONFIGURATION) },
	{ DEFAULT | ENCRYPTED, ANY, UNUSABLE, ANY, ANY, GOES(ENCRYPT, DANE) },
	{ ENCRYPTED, ANY, ANY, ANY, ANY, GOES(ENCRYPT, CONFIGURATION) },
	/* opportunistic */
	{ DEFAULT, ANY, ANY, TESTING | TESTING_UNLISTED, ANY, GOES(MAY, MTA_STS) },
	{ DEFAULT, ANY, ANY, NO_STS, ANY, GOES(MAY, DEFAULT) },
};
static bool used[N(rows)];

static const struct tlsa record = { .usage = TLSA_DANE_EE, .selector = TLSA_PUBLIC_KEY, .matching_type = TLSA_SHA2_256 };
static struct str administrators[] = { S("relay.example.net"), S("relay2.example.net") };

static struct tls_facts facts_of(unsigned require, unsigned mx, unsigned tlsa, unsigned sts, unsigned wish)
{
	static const enum tls_require requires[] = { TLS_REQUIRE_DEFAULT,  TLS_REQUIRE_NONE, TLS_REQUIRE_ENCRYPTED,
						     TLS_REQUIRE_VERIFIED, TLS_REQUIRE_DANE, TLS_REQUIRE_VERIFIED,
						     TLS_REQUIRE_VERIFIED };
	struct tls_facts f = { .configured = UPSTREAM_OPPORTUNISTIC,
			       .mx = true,
			       .name = S("mx.example.org"),
			       .domain = S("example.org"),
			       .require = requires[require],
			       .own_ca = 1u << require == OWN_CA,
			       .mx_secure = 1u << mx == SECURE,
			       .tlsa_state = (enum tlsa_state)tlsa,
			       .sts = sts == 0  ? STS_NONE
				      : sts < 3 ? STS_TESTING
						: STS_ENFORCE,
			       .sts_listed = 1u << sts & (TESTING | ENFORCE),
			       .wish = (enum tls_wish)wish };

	if (1u << require == NAMES)
		f.require_names = (struct str_list){ administrators, N(administrators) };
	if (1u << tlsa == USABLE) {
		f.tlsa = &record;
		f.tlsa_n = 1;
	}
	return f;
}

static const struct row *row_of(unsigned require, unsigned mx, unsigned tlsa, unsigned sts, unsigned wish)
{
	for (size_t i = 0; i < N(rows); i++)
		if (rows[i].require & 1u << require && rows[i].mx & 1u << mx && rows[i].tlsa & 1u << tlsa &&
		    rows[i].sts & 1u << sts && rows[i].wish & 1u << wish) {
			used[i] = true;
			return &rows[i];
		}
	fail_msg("no row for %u %u %u %u %u", require, mx, tlsa, sts, wish);
	return NULL;
}

static void check_names(const struct tls_facts *f, const struct tls_policy *p)
{
	assert_true(str_eq(p->sni, f->name));
	if (p->level == TLS_LEVEL_DANE) { /* RFC 7672 3.2.2 */
		assert_int_equal(p->names.n, f->mx_secure ? 2 : 1);
		assert_true(str_eq(p->names.at[0], f->name) && (!f->mx_secure || str_eq(p->names.at[1], f->domain)));
	} else if (f->require_names.n > 0) {
		assert_int_equal(p->names.n, N(administrators));
		assert_true(str_eq(p->names.at[0], administrators[0]) && str_eq(p->names.at[1], administrators[1]));
	} else {
		assert_int_equal(p->names.n, 1);
		assert_true(str_eq(p->names.at[0], f->name));
	}
}

static void check(unsigned require, unsigned mx, unsigned tlsa, unsigned sts, unsigned wish)
{
	const struct row *row = row_of(require, mx, tlsa, sts, wish);
	struct tls_facts f = facts_of(require, mx, tlsa, sts, wish);
	struct arena a = { 0 };
	struct tls_policy p = tls_policy_decide(&a, &f);
	bool testing = f.sts == STS_TESTING && tls_policy_heeds_sts(&f) &&
		       !(tls_policy_heeds_dane(&f) && (f.tlsa_state == TLSA_USABLE || f.tlsa_state == TLSA_FAILED));

	if (p.level != row->level || p.source != row->source || p.refused.class != row->refused ||
	    p.refused_as != row->refused_as)
		fail_msg("row %zu, combination %u %u %u %u %u: %.*s, %d %s", (size_t)(row - rows), require, mx, tlsa, sts, wish,
			 STR_ARG(tls_policy_words(&a, &p)), p.refused.class, tls_result_word(p.refused_as));
	assert_int_equal(p.testing, testing);
	assert_int_equal(p.unlisted, testing && !f.sts_listed);
	assert_int_equal(p.tlsa_n, p.level == TLS_LEVEL_DANE && p.refused.class == OK ? 1 : 0);
	assert_int_equal(p.refused.text.n > 0, p.refused.class != OK);
	assert_false(p.implicit);
	check_names(&f, &p);
	/* a handshake that failed lately never leads to clear text where more is demanded */
	f.failed = f.too_old = f.no_context = true;
	p = tls_policy_decide(&a, &f);
	assert_int_equal(p.level, row->level == TLS_LEVEL_MAY ? TLS_LEVEL_NONE : row->level);
	assert_int_equal(p.source, row->source);
	assert_false(p.old);
	arena_fini(&a);
}

static void all_combinations(void **state)
{
	for (unsigned require = 0; require < REQUIRES; require++)
		for (unsigned mx = 0; mx < MX_STATES; mx++)
			for (unsigned tlsa = 0; tlsa < TLSA_STATES; tlsa++)
				for (unsigned sts = 0; sts < STS_STATES; sts++)
					for (unsigned wish = 0; wish < WISHES; wish++)
						check(require, mx, tlsa, sts, wish);
	for (size_t i = 0; i < N(rows); i++)
		if (!used[i])
			fail_msg("row %zu is never used", i);
}

/* Nobody has to ask for what cannot count. */
static void what_is_asked(void **state)
{
	static const struct {
		unsigned require, wish; /* numbers of the bits above */
		bool dane, sts;
	} asked[] = {
		{ 0, 0, true, true },   { 0, 1, true, true },   { 0, 2, false, false }, /* opportunistic */
		{ 1, 0, false, false }, { 1, 1, true, true },   { 1, 2, false, false }, /* an exception */
		{ 2, 0, true, true },   { 2, 1, true, true },   { 2, 2, false, false }, /* encrypted */
		{ 4, 0, true, true },   { 4, 1, true, true },   { 4, 2, true, false },  /* DANE */
		{ 5, 0, false, false }, { 5, 1, false, false }, { 5, 2, false, false }, /* names */
		{ 6, 0, false, false }, { 6, 1, false, true },  { 6, 2, false, false }, /* certificates */
	};

	for (size_t i = 0; i < N(asked); i++) {
		struct tls_facts f = facts_of(asked[i].require, 0, 0, 0, asked[i].wish);

		assert_int_equal(tls_policy_heeds_dane(&f), asked[i].dane);
		assert_int_equal(tls_policy_heeds_sts(&f), asked[i].sts);
		f.mx = false;
		assert_false(tls_policy_heeds_dane(&f));
		assert_false(tls_policy_heeds_sts(&f));
	}
}

/* RFC 7672 3.2.2: names are those of the TLSA records and of the domain, once each. */
static void names_of_dane(void **state)
{
	struct tls_facts f = facts_of(0, 0, 1, 0, 0);
	struct arena a = { 0 };
	struct tls_policy p;

	f.tlsa_base = S("host.example.net");
	p = tls_policy_decide(&a, &f);
	assert_true(str_eq(p.sni, f.tlsa_base));
	assert_int_equal(p.names.n, 2);
	assert_true(str_eq(p.names.at[0], f.tlsa_base) && str_eq(p.names.at[1], f.domain));
	f.domain_end = S("real.example.org"); /* the domain is an alias */
	p = tls_policy_decide(&a, &f);
	assert_int_equal(p.names.n, 3);
	assert_true(str_eq(p.names.at[2], f.domain_end));
	f.domain_end = f.domain;
	f.name = f.domain;
	f.tlsa_base = S("");
	p = tls_policy_decide(&a, &f);
	assert_int_equal(p.names.n, 1);
	assert_true(str_eq(p.names.at[0], f.domain));
	arena_fini(&a);
}

/* ---- upstreams, and addresses of any host ---- */

static void addresses(void **state)
{
	static const struct {
		struct tls_facts facts;
		enum tls_level level;
		bool implicit, old;
	} table[] = {
		/* an upstream has what is configured, whatever is known of its addresses */
		{ { .configured = UPSTREAM_IMPLICIT }, TLS_LEVEL_VERIFY, true, false },
		{ { .configured = UPSTREAM_STARTTLS }, TLS_LEVEL_VERIFY, false, false },
		{ { .configured = UPSTREAM_NONE }, TLS_LEVEL_NONE, false, false },
		{ { .configured = UPSTREAM_IMPLICIT, .failed = true, .too_old = true }, TLS_LEVEL_VERIFY, true, false },
		{ { .configured = UPSTREAM_STARTTLS, .failed = true, .too_old = true }, TLS_LEVEL_VERIFY, false, false },
		{ { .configured = UPSTREAM_IMPLICIT, .no_context = true }, TLS_LEVEL_VERIFY, true, false },
		{ { .configured = UPSTREAM_STARTTLS, .no_context = true }, TLS_LEVEL_VERIFY, false, false },
		{ { .configured = UPSTREAM_NONE, .too_old = true }, TLS_LEVEL_NONE, false, false },
		/* opportunistic: as well as the address can */
		{ { .configured = UPSTREAM_OPPORTUNISTIC }, TLS_LEVEL_MAY, false, false },
		{ { .configured = UPSTREAM_OPPORTUNISTIC, .mx = true }, TLS_LEVEL_MAY, false, false },
		{ { .configured = UPSTREAM_OPPORTUNISTIC, .mx = true, .too_old = true }, TLS_LEVEL_MAY, false, true },
		{ { .configured = UPSTREAM_OPPORTUNISTIC, .mx = true, .failed = true }, TLS_LEVEL_NONE, false, false },
		{ { .configured = UPSTREAM_OPPORTUNISTIC, .failed = true, .too_old = true }, TLS_LEVEL_NONE, false, false },
		{ { .configured = UPSTREAM_OPPORTUNISTIC, .no_context = true }, TLS_LEVEL_NONE, false, false },
	};

	for (size_t i = 0; i < N(table); i++) {
		struct tls_facts facts = table[i].facts;
		struct arena a = { 0 };
		struct tls_policy p;

		facts.name = S("mail.example.org");
		p = tls_policy_decide(&a, &facts);
		assert_int_equal(p.level, table[i].level);
		assert_int_equal(p.implicit, table[i].implicit);
		assert_int_equal(p.old, table[i].old);
		assert_int_equal(p.source, facts.mx ? TLS_SOURCE_DEFAULT : TLS_SOURCE_UPSTREAM);
		assert_int_equal(p.refused.class, OK);
		assert_int_equal(p.tlsa_n, 0);
		assert_int_equal(p.names.n, p.level == TLS_LEVEL_NONE ? 0 : 1);
		if (p.names.n > 0)
			assert_true(str_eq(p.names.at[0], facts.name));
		/* RFC 8689: only REQUIRETLS can need more than the upstream has */
		facts.wish = TLS_WISH_OPTIONAL;
		assert_int_equal(tls_policy_decide(&a, &facts).level, table[i].level);
		facts.wish = TLS_WISH_REQUIRE;
		if (!facts.mx)
			assert_int_equal(tls_policy_decide(&a, &facts).refused.class,
					 table[i].level == TLS_LEVEL_VERIFY ? OK : PERM);
		arena_fini(&a);
	}
}

/* tls = "dane": usable records or no mail (RFC 7672 6). */
static void dane_of_upstream(void **state)
{
	static const struct {
		enum tlsa_state state;
		enum verdict_class refused;
		enum tls_result as;
	} table[] = { { TLSA_USABLE, OK, TLS_RESULT_NONE },
		      { TLSA_NONE, TEMP, TLS_RESULT_DANE_REQUIRED },
		      { TLSA_UNUSABLE, TEMP, TLS_RESULT_DANE_REQUIRED },
		      { TLSA_FAILED, TEMP, TLS_RESULT_DNSSEC_INVALID } };

	for (size_t i = 0; i < N(table); i++)
		for (int wrapped = 0; wrapped < 2; wrapped++) {
			struct tls_facts f = { .configured = UPSTREAM_DANE,
					       .wrapped = wrapped,
					       .name = S("smtp.example.org"),
					       .tlsa_state = table[i].state,
					       .tlsa = &record,
					       .tlsa_n = table[i].state == TLSA_USABLE,
					       .tlsa_base = S("host.example.net") };
			struct arena a = { 0 };
			struct tls_policy p = tls_policy_decide(&a, &f);

			assert_true(tls_policy_heeds_dane(&f));
			assert_int_equal(p.level, TLS_LEVEL_DANE);
			assert_int_equal(p.implicit, wrapped);
			assert_int_equal(p.refused.class, table[i].refused);
			assert_int_equal(p.refused_as, table[i].as);
			assert_int_equal(p.tlsa_n, table[i].refused == OK);
			assert_true(str_eq(p.sni, f.tlsa_base));
			arena_fini(&a);
		}
}

static void fingerprints_of_upstream(void **state)
{
	struct tls_facts f = { .configured = UPSTREAM_STARTTLS,
			       .fingerprints = { administrators, N(administrators) },
			       .name = S("smtp.example.org"),
			       .wish = TLS_WISH_REQUIRE };
	struct arena a = { 0 };
	struct tls_policy p = tls_policy_decide(&a, &f);

	assert_int_equal(p.level, TLS_LEVEL_PINNED);
	assert_int_equal(p.refused.class, OK); /* it is as good as a verified name */
	assert_int_equal(p.fingerprints.n, N(administrators));
	assert_true(str_eq(p.sni, f.name));
	arena_fini(&a);
}

/* RFC 8460 4.3: the words of failures are those of its registry (6.6). */
static void words(void **state)
{
	static const struct {
		struct tls_policy policy;
		const char *text;
	} policies[] = {
		{ { .level = TLS_LEVEL_NONE, .source = TLS_SOURCE_UPSTREAM }, "none by upstream" },
		{ { .level = TLS_LEVEL_MAY }, "opportunistic" },
		{ { .level = TLS_LEVEL_NONE, .fell_back = true }, "opportunistic" },
		{ { .level = TLS_LEVEL_DANE, .source = TLS_SOURCE_DANE }, "dane" },
		{ { .level = TLS_LEVEL_VERIFY, .source = TLS_SOURCE_MTA_STS }, "verified by mta-sts" },
		{ { .level = TLS_LEVEL_VERIFY, .source = TLS_SOURCE_MESSAGE }, "verified by message" },
		{ { .level = TLS_LEVEL_ENCRYPT, .source = TLS_SOURCE_CONFIGURATION }, "encrypted by configuration" },
		{ { .level = TLS_LEVEL_MAY, .source = TLS_SOURCE_MTA_STS, .testing = true }, "opportunistic, mta-sts testing" },
	};
	struct arena a = { 0 };

	assert_string_equal(tls_result_word(TLS_RESULT_NONE), "none");
	assert_string_equal(tls_result_word(TLS_RESULT_SUCCESSFUL), "successful");
	assert_string_equal(tls_result_word(TLS_RESULT_STARTTLS_NOT_SUPPORTED), "starttls-not-supported");
	assert_string_equal(tls_result_word(TLS_RESULT_STS_WEBPKI_INVALID), "sts-webpki-invalid");
	assert_false(tls_result_failed(TLS_RESULT_NONE));
	assert_false(tls_result_failed(TLS_RESULT_SUCCESSFUL));
	assert_true(tls_result_failed(TLS_RESULT_STARTTLS_NOT_SUPPORTED));
	assert_true(tls_result_failed(TLS_RESULT_STS_WEBPKI_INVALID));
	for (size_t i = 0; i < N(policies); i++) {
		struct str text = tls_policy_words(&a, &policies[i].policy);

		if (!str_eq(text, str_of(policies[i].text)))
			fail_msg("%zu: %.*s", i, STR_ARG(text));
	}
	arena_fini(&a);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(all_combinations),
						   cmocka_unit_test(what_is_asked),
						   cmocka_unit_test(names_of_dane),
						   cmocka_unit_test(addresses),
						   cmocka_unit_test(dane_of_upstream),
						   cmocka_unit_test(fingerprints_of_upstream),
						   cmocka_unit_test(words) };

	return cmocka_run_group_tests_name("tls_policy decide", tests, NULL, NULL);
}
