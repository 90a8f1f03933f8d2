/* tls_sessions.c - see tls_sessions.h. Sessions are kept as OpenSSL writes them, about 2 KB each: the server's certificate with
 * what was found about it, and the keys, which are wiped. */
#include "tls_sessions.h"

#include "posthouse/arena.h"
#include "posthouse/clock.h"
#include "posthouse/secret.h"
#include "posthouse/units.h"

#include <openssl/err.h>
#include <stdlib.h>

enum {
	ROWS = 256,            /* chosen by the key */
	PLACES = 4,            /* of a row */
	PER_SERVER = 2,        /* of the same key: servers give one or two tickets with each connection */
	BYTES_MAX = 32 * 1024, /* of one session: a certificate can be large */
	VERIFIED_MS = HOUR_MS, /* after that time the certificate is looked at again */
};

struct kept {
	char key[SESSION_KEY];
	char *bytes; /* NULL: the place is free */
	size_t n;
	uint64_t born_ms, ends_ms, kept_ms;
	bool once; /* it can be used only once */
};

struct tls_sessions {
	struct kept at[ROWS][PLACES];
};

struct tls_sessions *tls_sessions_new(void)
{
	return NEW(struct tls_sessions);
}

static void drop(struct kept *k)
{
	if (!k->bytes)
		return;
	wipe(k->bytes, k->n);
	free(k->bytes);
	k->bytes = NULL;
}

void tls_sessions_clear(struct tls_sessions *t)
{
	for (size_t i = 0; i < ROWS; i++)
		for (size_t j = 0; j < PLACES; j++)
			drop(&t->at[i][j]);
}

void tls_sessions_free(struct tls_sessions *t)
{
	if (!t)
		return;
	tls_sessions_clear(t);
	free(t);
}

/* ---- keys ---- */

/* Each text behind its length, so that two lists never look the same. */
static void add(EVP_MD_CTX *md, struct str text)
{
	uint64_t n = text.n;

	EVP_DigestUpdate(md, &n, sizeof n);
	EVP_DigestUpdate(md, text.p, text.n);
}

static void add_list(EVP_MD_CTX *md, const struct str_list *list)
{
	add(md, str_make(&list->n, sizeof list->n));
	for (size_t i = 0; i < list->n; i++)
		add(md, list->at[i]);
}

void tls_sessions_key(const struct tls_client_options *o, char key_out[SESSION_KEY])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();

	if (!md || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
		abort();
	add(md, o->resume_as);
	add(md, o->sni);
	add(md, str_make(&o->demand, sizeof o->demand));
	add(md, str_make(&o->judge, sizeof o->judge));
	add_list(md, &o->names);
	add_list(md, &o->fingerprints);
	for (size_t i = 0; i < o->tlsa_n; i++) {
		const struct tlsa *r = &o->tlsa[i];

		add(md, str_make((const uint8_t[]){ r->usage, r->selector, r->matching_type }, 3));
		add(md, r->data);
	}
	EVP_DigestFinal_ex(md, (unsigned char *)key_out, NULL);
	EVP_MD_CTX_free(md);
}

/* ---- places ---- */

static struct kept *row_of(struct tls_sessions *t, const char key[SESSION_KEY])
{
	return t->at[(unsigned char)key[0] % ROWS];
}

static bool is_of(const struct kept *k, const char key[SESSION_KEY])
{
	return k->bytes && memcmp(k->key, key, SESSION_KEY) == 0;
}

/* A free place, else the oldest one of the same server when it has enough, else the oldest one. */
static struct kept *place_for(struct kept *row, const char key[SESSION_KEY])
{
	struct kept *oldest = &row[0], *own = NULL;
	unsigned n = 0;

	for (struct kept *k = row; k < row + PLACES; k++) {
		if (is_of(k, key) && ++n > 0 && (!own || k->kept_ms < own->kept_ms))
			own = k;
		if (!k->bytes || (oldest->bytes && k->kept_ms < oldest->kept_ms))
			oldest = k;
	}
	return n >= PER_SERVER ? own : oldest;
}

/* RFC 5077 3.3: in TLS 1.2 a lifetime of 0 is none that is told; RFC 8446 4.6.1: in TLS 1.3 the ticket is of no use then. */
static uint64_t lifetime_ms(SSL_SESSION *session, bool tls_1_3)
{
	uint64_t hint = SSL_SESSION_get_ticket_lifetime_hint(session);

	return hint > 0 || tls_1_3 ? hint * SECOND_MS : VERIFIED_MS;
}

void tls_sessions_put(struct tls_sessions *t, const char key[SESSION_KEY], SSL *ssl, SSL_SESSION *session, uint64_t born_ms)
{
	bool tls_1_3 = SSL_version(ssl) == TLS1_3_VERSION;
	uint64_t now = clock_mono_ms(), ends = now + lifetime_ms(session, tls_1_3);
	int n = i2d_SSL_SESSION(session, NULL);
	struct kept *k;
	unsigned char *to;

	if (ends > born_ms + VERIFIED_MS)
		ends = born_ms + VERIFIED_MS;
	/* RFC 7627 5.3: without the extended master secret a session is not bound to its handshake */
	if (ends <= now || n <= 0 || n > BYTES_MAX || SSL_SESSION_is_resumable(session) != 1 ||
	    (!tls_1_3 && SSL_get_extms_support(ssl) != 1))
		return;
	k = place_for(row_of(t, key), key);
	drop(k);
	*k = (struct kept){ .bytes = xcalloc(1, (size_t)n),
			    .n = (size_t)n,
			    .born_ms = born_ms,
			    .ends_ms = ends,
			    .kept_ms = now,
			    .once = tls_1_3 };
	memcpy(k->key, key, SESSION_KEY);
	to = (unsigned char *)k->bytes;
	i2d_SSL_SESSION(session, &to);
}

bool tls_sessions_offer(struct tls_sessions *t, const char key[SESSION_KEY], SSL *ssl, uint64_t *born_ms_out)
{
	struct kept *row = row_of(t, key), *best = NULL;
	const unsigned char *from;
	SSL_SESSION *session;
	bool offered;

	for (struct kept *k = row; k < row + PLACES; k++) {
		if (is_of(k, key) && k->ends_ms <= clock_mono_ms())
			drop(k);
		if (is_of(k, key) && (!best || k->kept_ms > best->kept_ms))
			best = k;
	}
	if (!best)
		return false;
	from = (const unsigned char *)best->bytes;
	session = d2i_SSL_SESSION(NULL, &from, (long)best->n);
	offered = session && SSL_set_session(ssl, session) == 1;
	SSL_SESSION_free(session);
	*born_ms_out = best->born_ms;
	if (best->once || !offered)
		drop(best);
	ERR_clear_error();
	return offered;
}

void tls_sessions_forget(struct tls_sessions *t, const char key[SESSION_KEY])
{
	struct kept *row = row_of(t, key);

	for (struct kept *k = row; k < row + PLACES; k++)
		if (is_of(k, key))
			drop(k);
}
