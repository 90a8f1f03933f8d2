/* test_profiles.c - the table of providers agrees with itself, and the loader fills in what it knows and warns of what does not fit. */
#include "fixture.h"

#include "schema.h"

#include "posthouse/profiles.h"

#define HEAD                                                                                                                     \
	"hostname = \"relay.example.org\"; postmaster = \"p@example.org\";"                                                      \
	"certificates = ( { chain = \"chain.pem\"; key = \"key.pem\"; } );\n"

static void check_rates(const struct profile *p, const char *rates)
{
	struct str rest = str_of(rates ? rates : ""), word;
	struct rate rate;

	while (str_split(&rest, ' ', &word))
		if (!value_rate(word, false, &rate) || rate.amount == 0)
			fail_msg("%s: %.*s", p->name, STR_ARG(word));
}

/* Tokens are taken where there is a provider of tokens, and passwords where they have a name. */
static void check_mechanisms(const struct profile *p)
{
	struct str rest = str_of(p->mechanisms), word;
	unsigned tokens = 0, passwords = 0;

	while (str_split(&rest, ' ', &word)) {
		bool token = str_eq(word, S("XOAUTH2")) || str_eq(word, S("OAUTHBEARER"));

		assert_true(token || str_eq(word, S("PLAIN")) || str_eq(word, S("LOGIN")));
		tokens += token;
		passwords += !token;
	}
	if ((tokens > 0) != (p->oauth != OAUTH_NONE) || (passwords > 0) != (p->password != NULL) || tokens + passwords == 0)
		fail_msg("%s: %s", p->name, p->mechanisms);
}

static void check_facts(const struct profile *p)
{
	struct profile_fact facts[PROFILE_FACTS_MAX];
	struct arena a = { 0 };
	size_t n = profile_facts(p, &a, facts);
	bool host = false;

	for (size_t i = 0; i < n; i++) {
		host = host || strcmp(facts[i].label, "host") == 0;
		assert_true(facts[i].value.n > 0);
	}
	assert_true(host && n <= PROFILE_FACTS_MAX);
	arena_fini(&a);
}

static void each_profile(void **state)
{
	struct arena a = { 0 };

	for (size_t i = 0; i < profiles_n; i++) {
		const struct profile *p = &profiles[i];
		struct str host = profile_host(p, &a, S("eu-west-1"));

		assert_ptr_equal(profile_find(str_of(p->name)), p);
		if (!format_host.valid(host) || str_search(host, S("REGION")) < host.n || (p->region && !profile_wants_region(p)))
			fail_msg("%s: %.*s", p->name, STR_ARG(host));
		if (p->port != 465 && p->port != 587 && !p->own_ca)
			fail_msg("%s: port %u", p->name, p->port);
		assert_int_equal(profile_tls(p), p->port == 465 ? UPSTREAM_IMPLICIT : UPSTREAM_STARTTLS);
		assert_true(p->login && p->from && p->form <= FORM_ID && p->null_sender <= NULL_REFUSED);
		assert_true(p->connections >= 1 && p->connections <= 10 && p->recipients_per_message <= 1000);
		assert_true(p->confidence >= 'A' && p->confidence <= 'C');
		check_rates(p, p->messages);
		check_rates(p, p->recipients);
		check_mechanisms(p);
		check_facts(p);
	}
	assert_true(profiles_n >= 50);
	arena_fini(&a);
}

/* What a provider's users include is a name in DNS; private mailboxes have nothing to include. */
static void spf_includes(void **state)
{
	struct arena a = { 0 };

	for (size_t i = 0; i < profiles_n; i++) {
		struct str include = profile_spf(&profiles[i], &a, S(""));

		if (include.n > 0 && (str_find(include, '.') == include.n || str_search(include, S("REGION")) < include.n))
			fail_msg("%s: %.*s", profiles[i].name, STR_ARG(include));
	}
	assert_true(str_eq(profile_spf(profile_find(S("zoho")), &a, S("")), S("zoho.com")));
	assert_true(str_eq(profile_spf(profile_find(S("zoho")), &a, S("eu")), S("zoho.eu")));
	assert_true(str_eq(profile_spf(profile_find(S("google-workspace")), &a, S("")), S("_spf.google.com")));
	assert_int_equal(profile_spf(profile_find(S("gmail")), &a, S("")).n, 0);
	assert_true(profile_find(S("gmail"))->own_envelope && profile_find(S("brevo"))->own_envelope);
	arena_fini(&a);
}

/* The names of earlier versions are still valid; each name is there once. */
static void names(void **state)
{
	static const char *const old[] = { "gmail",   "outlook365", "office365", "yandex",     "mail.ru",  "rambler",
					   "ukr.net", "meta.ua",    "brevo",     "sendinblue", "unisender" };
	for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++)
		assert_non_null(profile_find(str_of(old[i])));
	assert_ptr_equal(profile_find(S("office365")), profile_find(S("microsoft365")));
	assert_null(profile_find(S("")));
	for (const struct choice *c = profile_choices; c->name; c++) {
		assert_non_null(profile_find(str_of(c->name)));
		for (const struct choice *o = profile_choices; o < c; o++)
			assert_string_not_equal(o->name, c->name);
	}
}

static struct config *load(const char *keys)
{
	char text[2048];

	snprintf(text, sizeof(text), HEAD "upstreams = ( { name = \"isp\"; %s } );", keys);
	return fixture_good(text);
}

static void hosts(void **state)
{
	static const struct {
		const char *keys, *host;
	} rows[] = {
		{ "profile = \"ses\"; region = \"eu-central-1\";", "email-smtp.eu-central-1.amazonaws.com" },
		{ "profile = \"ses\"; host = \"vpc.example\";", "vpc.example" },
		{ "profile = \"zoho\";", "smtp.zoho.com" },
		{ "profile = \"zoho-pro\"; region = \"com.au\";", "smtppro.zoho.com.au" },
		{ "profile = \"ionos\"; region = \"com\";", "smtp.ionos.com" },
		{ "profile = \"mailgun-eu\";", "smtp.eu.mailgun.org" },
		{ "profile = \"outlook365\";", "smtp.office365.com" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config *c = load(rows[i].keys);

		if (!str_eq(c->upstreams[0].host, str_of(rows[i].host)))
			fail_msg("%s: %.*s", rows[i].keys, STR_ARG(c->upstreams[0].host));
		config_free(c);
	}
}

static void limits(void **state)
{
	struct config *c = load("profile = \"microsoft365\";");
	const struct cfg_upstream *u = &c->upstreams[0];

	assert_true(u->messages.n == 1 && u->messages.at[0].amount == 15 && u->recipients.n == 1 &&
		    u->recipients.at[0].amount == 5000);
	assert_int_equal(u->recipients_per_message, 500);
	assert_int_equal(u->message_size, 157286400);
	config_free(c);
	c = load("profile = \"sparkpost\"; recipients = [ \"7/1m\" ];");
	assert_int_equal(c->upstreams[0].messages_per_connection, 100);
	assert_int_equal(c->upstreams[0].recipients.at[0].amount, 7);
	config_free(c);
	c = load(
		"profile = \"yahoo\"; recipients = [ ]; recipients_per_message = 0; messages_per_connection = 0; message_size = \"1M\";");
	u = &c->upstreams[0];
	assert_true(u->recipients.n == 0 && u->recipients_per_message == 0 && u->messages_per_connection == 0 &&
		    u->message_size == 1048576);
	config_free(c);
}

static bool has_mechanisms(const struct cfg_upstream *u, const char *first, size_t n)
{
	return u->mechanisms.n == n && str_eq(u->mechanisms.at[0], str_of(first));
}

/* The login of a word, mechanisms by what the upstream logs in with, the provider of tokens. */
static void logins(void **state)
{
	struct config *c = load("profile = \"sendgrid\"; password = \"k\";");

	assert_true(str_eq(c->upstreams[0].login, S("apikey")) && has_mechanisms(&c->upstreams[0], "PLAIN", 2));
	config_free(c);
	c = load("profile = \"microsoft365\"; login = \"a@b.example\"; password = \"k\";");
	assert_true(has_mechanisms(&c->upstreams[0], "LOGIN", 1) && c->upstreams[0].oauth.provider == OAUTH_NONE);
	config_free(c);
	c = load("profile = \"outlook.com\"; login = \"a@outlook.com\"; oauth = { client_id = \"1\"; };");
	assert_true(has_mechanisms(&c->upstreams[0], "XOAUTH2", 1) && c->upstreams[0].oauth.provider == OAUTH_MICROSOFT);
	assert_true(str_eq(c->upstreams[0].oauth.tenant, S("consumers")));
	config_free(c);
	c = load("profile = \"163\"; login = \"a@163.com\"; password = \"k\";");
	assert_true(str_eq(c->upstreams[0].report_sender, S("a@163.com")));
	config_free(c);
}

/* A warning with these words; NULL: none. */
static void warnings(void **state)
{
	static const struct {
		const char *keys, *words;
	} rows[] = {
		{ "profile = \"gmail\"; login = \"me@gmail.com\"; password_file = \"password\";", NULL },
		{ "profile = \"gmail\"; login = \"me\"; password_file = \"password\";",
		  "expected another login for gmail: the whole address" },
		{ "profile = \"sendgrid\"; login = \"me@x.example\"; password_file = \"password\";",
		  "for sendgrid: the word apikey" },
		{ "profile = \"sendgrid\"; password_file = \"password\";", NULL },
		{ "profile = \"postmark\"; login = \"me@x.example\"; password_file = \"password\";",
		  "for postmark: the server token" },
		{ "profile = \"gmx\"; login = \"12345\"; password_file = \"password\";", NULL },
		{ "profile = \"outlook.com\"; login = \"me@outlook.com\"; password_file = \"password\";",
		  "outlook.com takes no password" },
		{ "profile = \"hotmail\"; login = \"me@hotmail.com\"; oauth = { client_id = \"1\"; };", NULL },
		{ "profile = \"gmx\"; login = \"1\"; oauth = { provider = \"google\"; client_id = \"1\"; client_secret = \"x\"; };",
		  "gmx is not known to take tokens" },
		{ "profile = \"microsoft365\"; login = \"a@b.example\"; password_file = \"password\"; mechanisms = [ \"PLAIN\" ];",
		  "one of the mechanisms of microsoft365: XOAUTH2 LOGIN" },
		{ "profile = \"gmail\"; login = \"a@b.example\"; password_file = \"password\"; mechanisms = [ \"PLAIN\" ];",
		  NULL },
		{ "profile = \"ses-sandbox\"; region = \"us-east-1\"; login = \"AKIA\"; password_file = \"password\";",
		  "expected report_sender" },
		{ "profile = \"ses\"; region = \"us-east-1\"; login = \"AKIA\"; password_file = \"password\"; "
		  "report_sender = \"bounces@example.org\";",
		  NULL },
		{ "profile = \"gmail\"; region = \"eu\";", "gmail has no regions" },
		{ "profile = \"proton-bridge\"; login = \"a@b.example\"; password_file = \"password\";", "expected ca" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config_faults faults;
		char text[2048];
		struct config *c;
		bool found = false, serious = false;

		snprintf(text, sizeof(text), HEAD "upstreams = ( { name = \"isp\"; %s } );", rows[i].keys);
		c = fixture_load(text, &faults);
		for (size_t k = 0; k < faults.n; k++) {
			found = found ||
				(rows[i].words ? str_search(faults.at[k].text, str_of(rows[i].words)) < faults.at[k].text.n
					       : str_starts(faults.at[k].text, S("upstreams: ")));
			serious = serious || !faults.at[k].warning;
		}
		if (serious || found != (rows[i].words != NULL))
			fail_msg("%s: %s", rows[i].keys, fixture_faults(&faults));
		config_free(c);
	}
}

static void no_region(void **state)
{
	struct config_faults faults;
	struct config *c = fixture_load(HEAD "upstreams = ( { name = \"isp\"; profile = \"ses\"; } );", &faults);

	if (!strstr(fixture_faults(&faults), "2: expected the key upstreams.region"))
		fail_msg("%s", fixture_faults(&faults));
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_profile), cmocka_unit_test(spf_includes), cmocka_unit_test(names),
		cmocka_unit_test(hosts),        cmocka_unit_test(limits),       cmocka_unit_test(logins),
		cmocka_unit_test(warnings),     cmocka_unit_test(no_region),
	};

	return cmocka_run_group_tests_name("config profiles", tests, fixture_open, fixture_close);
}
