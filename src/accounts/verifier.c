/* verifier.c - SCRAM-SHA-256 verifiers (RFC 5802 section 3, RFC 7677): made from a password, compared with one, invented for
 * names that do not exist. The form is that of RFC 5803 as Cyrus SASL reads it. */
#include "internal.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#define SCHEME        "SCRAM-SHA-256$"
#define SALT_MIN      8
#define SALT_SIZE     16 /* of the salts made here */
#define PASSWORD_MAX  1024
#define BASE64_MAX(n) (((n) + 2) / 3 * 4)

/* Strict base 64 of at least `min` and at most `max` bytes. */
static bool decode(struct str text, size_t min, size_t max, unsigned char *bytes_out, size_t *n_out)
{
	unsigned char bytes[BASE64_MAX(VERIFIER_SALT_MAX)], again[BASE64_MAX(VERIFIER_SALT_MAX) + 1];
	size_t padding = 0;
	int n;

	if (text.n == 0 || text.n % 4 || text.n > BASE64_MAX(max))
		return false;
	while (padding < 2 && text.p[text.n - 1 - padding] == '=')
		padding++;
	n = EVP_DecodeBlock(bytes, (const unsigned char *)text.p, (int)text.n);
	if (n < 0 || (size_t)n - padding < min || (size_t)n - padding > max)
		return false;

	/* OpenSSL accepts white space and stray bits: a text that encodes to another one was not base 64. */
	*n_out = (size_t)n - padding;
	EVP_EncodeBlock(again, bytes, (int)*n_out);
	memcpy(bytes_out, bytes, *n_out);
	return memcmp(again, text.p, text.n) == 0;
}

bool verifier_parse(struct str text, struct verifier *v_out)
{
	struct str salt, stored, server;
	uint64_t iterations;
	size_t colon, n;

	if (!str_starts(text, S(SCHEME)))
		return false;
	text = str_from(text, sizeof(SCHEME) - 1);
	colon = str_find(text, ':');
	if (!str_to_u64(str_head(text, colon), &iterations))
		return false;
	if (iterations < VERIFIER_ITERATIONS_MIN || iterations > VERIFIER_ITERATIONS_MAX)
		return false;
	text = str_from(text, colon + 1);
	salt = str_head(text, str_find(text, '$'));
	text = str_from(text, salt.n + 1);
	stored = str_head(text, str_find(text, ':'));
	server = str_from(text, stored.n + 1);
	v_out->iterations = (unsigned)iterations;
	return decode(salt, SALT_MIN, VERIFIER_SALT_MAX, v_out->salt, &v_out->salt_n) &&
	       decode(stored, VERIFIER_KEY_SIZE, VERIFIER_KEY_SIZE, v_out->stored, &n) &&
	       decode(server, VERIFIER_KEY_SIZE, VERIFIER_KEY_SIZE, v_out->server, &n);
}

struct str verifier_shared(struct str text)
{
	return str_head(text, str_rfind(text, '$'));
}

static struct str verifier_format(struct arena *a, const struct verifier *v)
{
	unsigned char salt[BASE64_MAX(VERIFIER_SALT_MAX) + 1], stored[BASE64_MAX(VERIFIER_KEY_SIZE) + 1];
	unsigned char server[BASE64_MAX(VERIFIER_KEY_SIZE) + 1];

	EVP_EncodeBlock(salt, v->salt, (int)v->salt_n);
	EVP_EncodeBlock(stored, v->stored, VERIFIER_KEY_SIZE);
	EVP_EncodeBlock(server, v->server, VERIFIER_KEY_SIZE);
	return arena_printf(a, SCHEME "%u:%s$%s:%s", v->iterations, (char *)salt, (char *)stored, (char *)server);
}

/* HMAC-SHA-256 of a key and a text; false when OpenSSL fails. */
static bool hmac(struct str key, struct str text, unsigned char out[VERIFIER_KEY_SIZE])
{
	unsigned n = 0;

	return HMAC(EVP_sha256(), key.p, (int)key.n, (const unsigned char *)text.p, text.n, out, &n) && n == VERIFIER_KEY_SIZE;
}

/* RFC 5802 section 3: fill in StoredKey and ServerKey from salt, iterations and the prepared password. */
static bool derive(struct verifier *v, struct str prepared)
{
	unsigned char salted[VERIFIER_KEY_SIZE], client[VERIFIER_KEY_SIZE];
	struct str salted_view = str_make(salted, sizeof(salted));
	bool done;

	done = PKCS5_PBKDF2_HMAC(prepared.p, (int)prepared.n, v->salt, (int)v->salt_n, (int)v->iterations, EVP_sha256(),
				 sizeof(salted), salted) &&
	       hmac(salted_view, S("Client Key"), client) && SHA256(client, sizeof(client), v->stored) &&
	       hmac(salted_view, S("Server Key"), v->server);
	wipe(salted, sizeof(salted));
	wipe(client, sizeof(client));
	return done;
}

/* Salt and iterations of a new verifier: those of the account, or a salt of its own. */
static struct verdict choose_salt(struct verifier *v, struct str existing)
{
	*v = (struct verifier){ .iterations = ACCOUNTS_ITERATIONS, .salt_n = SALT_SIZE };
	if (existing.n > 0)
		return verifier_parse(existing, v) ? ok() : temp(451, S("4.3.0"), S("the account's verifier is malformed"));
	return RAND_bytes(v->salt, SALT_SIZE) == 1 ? ok() : temp(451, S("4.3.0"), S("no random numbers"));
}

struct verdict account_verifier(struct arena *a, struct str existing, struct str password, struct str *verifier_out)
{
	struct secret prepared = { 0 };
	struct verifier made;
	struct verdict v = saslprep(password, &prepared);

	if (v.class == OK)
		v = choose_salt(&made, existing);
	if (v.class == OK && !derive(&made, secret_view(&prepared)))
		v = temp(451, S("4.3.0"), S("cannot hash the password"));
	if (v.class == OK)
		*verifier_out = verifier_format(a, &made);
	secret_fini(&prepared);
	wipe(&made, sizeof(made));
	return v;
}

static bool fits(const struct verifier *expected, struct str prepared)
{
	struct verifier given = *expected;
	bool derived = derive(&given, prepared);
	bool same = same_secret(str_make(expected->stored, VERIFIER_KEY_SIZE), str_make(given.stored, VERIFIER_KEY_SIZE));

	wipe(&given, sizeof(given));
	return derived && same;
}

/* The texts from which a verifier for this password can have been made, without repetition: the password prepared as today,
 * prepared as in earlier versions, and unchanged (other programs make verifiers too). An ASCII password has one. */
static size_t collect(struct str password, struct secret texts[3])
{
	size_t n = 0;

	if (saslprep(password, &texts[n]).class == OK)
		n++;
	password_prepare_old(password, &texts[n]);
	if (texts[n].n > 0 && (n == 0 || !str_eq(secret_view(&texts[n]), secret_view(&texts[0]))))
		n++;
	for (size_t i = 0; i < n; i++)
		if (str_eq(secret_view(&texts[i]), password))
			return n;
	secret_set(&texts[n], password);
	return n + 1;
}

/* The number of hashes depends on the given password, not on the expected one: nothing stops at the first that fits. A text that
 * cannot be a password takes the time of one, and never fits. */
bool account_check(struct str verifier, struct str password)
{
	struct secret texts[3] = { { 0 } };
	bool possible = password.n > 0 && password.n <= PASSWORD_MAX, fit = false;
	struct verifier expected;
	size_t n;

	if (!verifier_parse(verifier, &expected))
		return false;
	n = collect(possible ? password : S("-"), texts);
	for (size_t i = 0; i < n; i++)
		fit |= fits(&expected, secret_view(&texts[i]));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		secret_fini(&texts[i]);
	wipe(&expected, sizeof(expected));
	return possible && fit;
}

/* The keys are HMACs, not hashes of anything: finding a password for them is as hard as guessing 256 bits. */
struct str account_decoy(struct arena *a, const struct secret *process_key, struct str name)
{
	static const struct str labels[] = { { "salt:", 5 }, { "stored:", 7 }, { "server:", 7 } };
	unsigned char made[3][VERIFIER_KEY_SIZE] = { { 0 } };
	struct verifier v = { .iterations = ACCOUNTS_ITERATIONS, .salt_n = SALT_SIZE };

	for (size_t i = 0; i < 3; i++) {
		struct str text = arena_printf(a, "%.*s%.*s", STR_ARG(labels[i]), STR_ARG(name));

		if (!hmac(secret_view(process_key), text, made[i]))
			return str_of("");
	}
	memcpy(v.salt, made[0], SALT_SIZE);
	memcpy(v.stored, made[1], VERIFIER_KEY_SIZE);
	memcpy(v.server, made[2], VERIFIER_KEY_SIZE);
	return verifier_format(a, &v);
}
