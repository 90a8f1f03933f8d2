/* fuzz_exchange.c - a login at an upstream, whose challenges are anything: the first byte is the mechanism, each line a challenge.
 * A password leaves only in the ways of the mechanism, and what goes into the log has neither password nor token. */
#include "fuzz.h"

#include "posthouse/sasl.h"
#include "posthouse/secret.h"

static const struct sasl_credentials credentials = { .login = S("alice@example.org"),
						     .password = S("correcthorse1battery"),
						     .token = S("ya29.token0123456789"),
						     .host = S("smtp.isp.example"),
						     .port = 587 };

static bool has(struct str text, struct str word)
{
	return str_search(text, word) < text.n;
}

static void check_step(struct verdict v, const struct secret *response, const struct sasl_mechanism *m)
{
	assert(v.class == OK || (v.class == TEMP && v.code == 454));
	assert(!has(v.text, credentials.password) && !has(v.text, credentials.token));
	if (v.class != OK)
		return;
	assert(response->n < 4096 || m->id == SASL_SCRAM_SHA_256 || m->id == SASL_SCRAM_SHA_1);
	if (m->id != SASL_PLAIN && m->id != SASL_LOGIN)
		assert(!has(secret_view(response), credentials.password));
	if (m->id != SASL_OAUTHBEARER && m->id != SASL_XOAUTH2)
		assert(!has(secret_view(response), credentials.token));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "EXTERNAL",    "OAUTHBEARER", "XOAUTH2", "SCRAM-SHA-256",
					     "SCRAM-SHA-1", "PLAIN",       "LOGIN",   "CRAM-MD5" };
	struct str rest = str_make(data, size), challenge = S("");
	const struct sasl_mechanism *m = sasl_find(str_of(names[fuzz_byte(&rest) % 8]));
	struct sasl_exchange *x = sasl_new(m);
	struct secret response = { 0 };
	struct arena a = { 0 };
	struct verdict v;

	if (m->traits & SASL_SERVER_FIRST)
		challenge = fuzz_line(&rest);
	v = sasl_initial(x, &credentials, challenge, &response);
	check_step(v, &response, m);
	for (int i = 0; v.class == OK && i < 5 && rest.n > 0; i++) {
		struct str harmless;

		challenge = fuzz_line(&rest);
		harmless = sasl_harmless(&a, &credentials, challenge);
		fuzz_assert_shown(harmless);
		assert(harmless.n <= 1024 && !has(harmless, credentials.password) && !has(harmless, credentials.token));
		v = sasl_step(x, &credentials, challenge, &response);
		if (v.class == OK && sasl_work_left(x) != SASL_NO_WORK)
			break; /* it only costs time */
		check_step(v, &response, m);
	}
	sasl_free(x);
	secret_fini(&response);
	arena_fini(&a);
	return 0;
}
