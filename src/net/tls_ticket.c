/* tls_ticket.c - session tickets under a key that changes every day, so that today's key reveals neither older tickets nor, with
 * TLS 1.2, their sessions (RFC 9325 section 3.4; RFC 5077 section 5.5). The secret of a day is a one-way function of the secret
 * of the day before, so processes with the same first secret make the same keys without talking to each other. */
#include "tls.h"

#include "posthouse/clock.h"
#include "posthouse/secret.h"
#include "posthouse/units.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>

#define SECRET_BYTES 32
#define DAYS_MAX     100000 /* a clock further ahead is broken: do not loop for that long */

static const char derive_day[] = "the next day", derive_name[] = "name", derive_mac[] = "mac", derive_cipher[] = "cipher";

/* Derive the key for one purpose from the secret. */
static void derive(const char secret[SECRET_BYTES], const char *purpose, bool legacy, char out[SECRET_BYTES])
{
	char label[32];
	size_t n = 0;
	int length = snprintf(label, sizeof label, "posthouse %s%s", purpose, legacy ? " L" : "");

	if (length < 0 || (size_t)length >= sizeof label ||
	    !EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, secret, SECRET_BYTES, (const unsigned char *)label, (size_t)length,
		       (unsigned char *)out, SECRET_BYTES, &n) ||
	    n != SECRET_BYTES)
		abort();
}

bool tls_ticket_secret_new(char secret_out[TLS_TICKET_SECRET], uint64_t now_ms)
{
	uint64_t day = now_ms / DAY_MS;

	memcpy(secret_out + SECRET_BYTES, &day, sizeof day);
	return RAND_bytes((unsigned char *)secret_out, SECRET_BYTES) == 1;
}

/* Replace the secret by that of the next day. */
static void next_day(char secret[TLS_TICKET_SECRET])
{
	char next[SECRET_BYTES];
	uint64_t day;

	derive(secret, derive_day, false, next);
	memcpy(secret, next, SECRET_BYTES);
	wipe(next, sizeof next);
	memcpy(&day, secret + SECRET_BYTES, sizeof day);
	day++;
	memcpy(secret + SECRET_BYTES, &day, sizeof day);
}

/* How many days the secret is behind; 0 when the clock was set back. */
static uint64_t days_behind(const char secret[TLS_TICKET_SECRET], uint64_t now_ms)
{
	uint64_t day, today = now_ms / DAY_MS;

	memcpy(&day, secret + SECRET_BYTES, sizeof day);
	return today <= day ? 0 : today - day < DAYS_MAX ? today - day : DAYS_MAX;
}

void tls_ticket_secret_age(char secret[TLS_TICKET_SECRET], uint64_t now_ms)
{
	for (uint64_t n = days_behind(secret, now_ms); n > 0; n--)
		next_day(secret);
}

/* ---- the keys of a context ---- */
static void make_key(struct ticket_keys *k, struct ticket_key *key)
{
	char name[SECRET_BYTES];

	derive(k->secret, derive_name, k->legacy, name);
	memcpy(key->name, name, sizeof key->name);
	derive(k->secret, derive_mac, k->legacy, key->mac);
	derive(k->secret, derive_cipher, k->legacy, key->cipher);
}

struct ticket_keys *ticket_keys_new(const struct tls_server_options *options)
{
	struct ticket_keys *k = NEW(struct ticket_keys);

	k->legacy = options->legacy;
	k->now_ms = options->now_ms ? options->now_ms : clock_now_ms;
	if (options->ticket_secret.n > 0)
		memcpy(k->secret, options->ticket_secret.p, TLS_TICKET_SECRET);
	else if (!tls_ticket_secret_new(k->secret, k->now_ms()))
		abort();
	make_key(k, &k->today);
	k->yesterday = k->today;
	return k;
}

void ticket_keys_free(struct ticket_keys *k)
{
	if (!k)
		return;
	wipe(k, sizeof *k);
	free(k);
}

/* Bring the keys to the present day. Only today's and yesterday's key open tickets. */
static void keep_up(struct ticket_keys *k)
{
	for (uint64_t n = days_behind(k->secret, k->now_ms()); n > 0; n--) {
		k->yesterday = k->today;
		next_day(k->secret);
		make_key(k, &k->today);
	}
}

static int set_mac(EVP_MAC_CTX *mac, struct ticket_key *key)
{
	OSSL_PARAM params[] = { OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof key->mac),
				OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0),
				OSSL_PARAM_construct_end() };

	return EVP_MAC_CTX_set_params(mac, params);
}

/* SSL_CTX_set_tlsext_ticket_key_evp_cb(3): -1 failed, 0 no such key, 1 good, 2 good but to be renewed. */
int on_ticket_key(SSL *ssl, unsigned char name[16], unsigned char iv[EVP_MAX_IV_LENGTH], EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
		  int encrypt)
{
	const struct tls_set *set = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	struct ticket_keys *k = set->context->tickets;
	struct ticket_key *key = &k->today;

	keep_up(k);
	if (encrypt) {
		memcpy(name, key->name, sizeof key->name);
		if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1 ||
		    !EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, (unsigned char *)key->cipher, iv))
			return -1;
		return set_mac(mac, key) ? 1 : -1;
	}
	if (memcmp(name, key->name, sizeof key->name) != 0)
		key = &k->yesterday;
	if (memcmp(name, key->name, sizeof key->name) != 0)
		return 0;
	if (!set_mac(mac, key) || !EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, (unsigned char *)key->cipher, iv))
		return -1;
	return key == &k->today ? 1 : 2;
}
