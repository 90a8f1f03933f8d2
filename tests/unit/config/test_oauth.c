/* test_oauth.c - upstreams.oauth: what a provider gives, the key files of service accounts, and what does not fit together. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>

#define FRONT                                                                                                                    \
	"hostname = \"relay.example.org\"; postmaster = \"p@example.org\"; certificates = ( { chain = \"chain.pem\"; key = "     \
	"\"key.pem\"; } );\n"

static struct config *load(const char *upstream, struct config_faults *faults)
{
	char text[2000];

	snprintf(text, sizeof text, FRONT "upstreams = ( { name = \"u\"; host = \"h.example\"; %s } );\n", upstream);
	return fixture_load(text, faults);
}

#define OAUTH(keys) "login = \"me@a.example\"; oauth = { " keys " };"

/* upstream, what the provider and the file give together */
static const struct {
	const char *upstream, *token_url, *device_url, *scope;
} good[] = {
	{ OAUTH("provider = \"google\"; client_id = \"i\"; client_secret = \"s\";"), "https://oauth2.googleapis.com/token", "",
	  "https://mail.google.com/" },
	{ OAUTH("provider = \"microsoft\"; client_id = \"i\";"), "https://login.microsoftonline.com/common/oauth2/v2.0/token",
	  "https://login.microsoftonline.com/common/oauth2/v2.0/devicecode",
	  "https://outlook.office.com/SMTP.Send offline_access" },
	{ OAUTH("provider = \"microsoft\"; client_id = \"i\"; tenant = \"a.example\"; client_secret = \"s\"; grant = \"client_credentials\";"),
	  "https://login.microsoftonline.com/a.example/oauth2/v2.0/token",
	  "https://login.microsoftonline.com/a.example/oauth2/v2.0/devicecode", "https://outlook.office365.com/.default" },
	{ OAUTH("provider = \"google\"; client_id = \"i\"; client_secret = \"s\"; token_url = \"https://t.example/t\"; scope = \"x y\";"),
	  "https://t.example/t", "", "x y" },
	{ OAUTH("provider = \"custom\"; client_id = \"i\"; token_url = \"https://t.example/t\"; device_url = \"https://t.example/d\";"),
	  "https://t.example/t", "https://t.example/d", "" },
	{ OAUTH("provider = \"google\"; grant = \"service_account\"; key = \"rsa.key\"; service_account = \"sa@p.example\";"),
	  "https://oauth2.googleapis.com/token", "", "https://mail.google.com/" },
	{ OAUTH("provider = \"custom\"; grant = \"command\"; command = [ \"/bin/token\", \"me\" ];"), "", "", "" },
};

static void providers(void **state)
{
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct config_faults faults;
		struct config *c = load(good[i].upstream, &faults);
		const struct cfg_oauth *o = &c->upstreams[0].oauth;

		if (faults.n > 0)
			fail_msg("%s: %s", good[i].upstream, fixture_faults(&faults));
		assert_string_equal(arena_cstr(&c->arena, o->token_url), good[i].token_url);
		assert_string_equal(arena_cstr(&c->arena, o->device_url), good[i].device_url);
		assert_string_equal(arena_cstr(&c->arena, o->scope), good[i].scope);
		config_free(c);
	}
}

/* The JSON that Google gives out has the account, the key and the URL. */
static void json_key(void **state)
{
	char *pem = fixture_slurp(fixture_path("rsa.key")), json[8000];
	struct config_faults faults;
	struct config *c;
	size_t n = 0;

	n += (size_t)snprintf(json, sizeof json,
			      "{ \"type\": \"service_account\", \"client_email\": \"sa@p.example\", "
			      "\"token_uri\": \"https://ignored.example/\", \"private_key\": \"");
	for (const char *p = pem; *p && n < sizeof json - 8; p++)
		n += (size_t)snprintf(json + n, sizeof json - n, *p == '\n' ? "\\n" : "%c", *p);
	snprintf(json + n, sizeof json - n, "\" }\n");
	fixture_write("account.json", json, 0600);
	c = load(OAUTH("provider = \"google\"; grant = \"service_account\"; key = \"account.json\";"), &faults);
	assert_int_equal(faults.n, 0);
	assert_true(str_eq(c->upstreams[0].oauth.service_account, S("sa@p.example")));
	assert_true(str_eq(c->upstreams[0].oauth.key_pem, str_of(pem)));
	assert_true(str_eq(c->upstreams[0].oauth.token_url, S("https://oauth2.googleapis.com/token")));
	config_free(c);
	free(pem);
}

static const struct {
	const char *upstream, *words;
} bad[] = {
	{ OAUTH("client_id = \"i\";"), "expected provider" },
	{ OAUTH("provider = \"goggle\";"), "expected one of" },
	{ OAUTH("provider = \"google\"; client_secret = \"s\";"), "client_id" },
	{ OAUTH("provider = \"google\"; client_id = \"i\";"), "client_secret too" },
	{ OAUTH("provider = \"google\"; client_id = \"i\"; client_secret = \"s\"; grant = \"client_credentials\";"),
	  "another grant" },
	{ OAUTH("provider = \"microsoft\"; client_id = \"i\"; grant = \"client_credentials\"; tenant = \"t\";"),
	  "client_secret_file" },
	{ OAUTH("provider = \"microsoft\"; client_id = \"i\"; client_secret = \"s\"; grant = \"client_credentials\";"),
	  "tenant" },
	{ OAUTH("provider = \"custom\"; client_id = \"i\";"), "token_url" },
	{ OAUTH("provider = \"custom\"; client_id = \"i\"; token_url = \"http://t.example\";"), "https://" },
	{ OAUTH("provider = \"custom\"; token_url = \"https://t.example\"; command = [ \"/x\" ];"), "or grant" },
	{ OAUTH("provider = \"custom\"; grant = \"command\";"), "a program" },
	{ OAUTH("provider = \"google\"; grant = \"service_account\"; service_account = \"s\";"), "key file" },
	{ OAUTH("provider = \"google\"; grant = \"service_account\"; service_account = \"s\"; key = \"ed25519.key\";"), "RSA" },
	{ OAUTH("provider = \"google\"; grant = \"service_account\"; key = \"rsa.key\";"), "service_account" },
	{ OAUTH("provider = \"google\"; grant = \"service_account\"; service_account = \"s\"; key = \"broken.json\";"),
	  "private_key" },
	{ "oauth = { provider = \"google\"; client_id = \"i\"; client_secret = \"s\"; };", "expected login" },
	{ "password = \"p\"; " OAUTH("provider = \"google\"; client_id = \"i\"; client_secret = \"s\";"), "never sent" },
	{ "tls = \"opportunistic\"; " OAUTH("provider = \"google\"; client_id = \"i\"; client_secret = \"s\";"),
	  "certificate was checked" },
	{ "tls = \"none\"; " OAUTH("provider = \"google\"; client_id = \"i\"; client_secret = \"s\";"),
	  "never sent without TLS" },
};

static void what_does_not_fit(void **state)
{
	fixture_write("broken.json", "{ \"client_email\": \"x\" }\n", 0600);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct config_faults faults;
		struct config *c = load(bad[i].upstream, &faults);

		if (!strstr(fixture_faults(&faults), bad[i].words))
			fail_msg("%s: should say \"%s\", said %s", bad[i].upstream, bad[i].words, fixture_faults(&faults));
		config_free(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(providers),
		cmocka_unit_test(json_key),
		cmocka_unit_test(what_does_not_fit),
	};

	return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
