/* scram.c - see scram.h. The names of messages and keys are those of RFC 5802 sections 3 and 7. */
#include "scram.h"

#include "posthouse/base64.h"
#include "posthouse/names.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#define NONCE_SIZE  18   /* bytes of randomness */
#define MESSAGE_MAX 2048 /* of the server */
#define REASON_MAX  40

/* gs2-header: no channel binding, no other identity; and its base 64, for client-final-message. */
#define GS2_HEADER  "n,,"
#define GS2_ENCODED "biws"

/* For each enum scram_hash; OpenSSL's functions, of which no build lacks one. */
static const struct {
	const EVP_MD *(*digest)(void);
	size_t size;
} hashes[] = { [SCRAM_SHA256] = { EVP_sha256, 32 }, [SCRAM_SHA1] = { EVP_sha1, 20 } };

/* A person must act: the two sides do not fit together. */
static struct verdict failed(struct str text)
{
	return temp(454, S("4.7.8"), text);
}

/* It can succeed another time. */
static struct verdict hindered(struct str text)
{
	return temp(454, S("4.7.0"), text);
}

void scram_fini(struct scram *s)
{
	wipe(s->server_signature, sizeof(s->server_signature));
	arena_fini(&s->arena);
	*s = (struct scram){ 0 };
}

void scram_work_fini(struct scram_work *w)
{
	secret_fini(&w->password);
	wipe(w->salted, sizeof(w->salted));
	*w = (struct scram_work){ 0 };
}

/* ---- client-first-message ---- */

static struct verdict make_nonce(struct scram *s)
{
	unsigned char bytes[NONCE_SIZE];

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return hindered(S("no random numbers"));
	s->nonce = base64_encode(&s->arena, str_make(bytes, sizeof(bytes)));
	return ok();
}

struct str scram_escape(struct arena *a, struct str name)
{
	char *p = arena_alloc(a, 3 * name.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] != '=' && name.p[i] != ',') {
			p[n++] = name.p[i];
			continue;
		}
		memcpy(p + n, name.p[i] == '=' ? "=3D" : "=2C", 3);
		n += 3;
	}
	return str_make(p, n);
}

struct verdict scram_first(struct scram *s, struct str login, struct str nonce, struct secret *response_out)
{
	struct verdict v = nonce.n > 0 ? ok() : make_nonce(s);
	struct secret prepared = { 0 };

	if (v.class != OK)
		return v;
	if (nonce.n > 0)
		s->nonce = arena_str(&s->arena, nonce);
	if (saslprep(login, &prepared).class != OK)
		return failed(S("the configured login has characters that SCRAM does not allow"));
	s->first_bare = arena_printf(&s->arena, "n=%.*s,r=%.*s", STR_ARG(scram_escape(&s->arena, secret_view(&prepared))),
				     STR_ARG(s->nonce));
	secret_fini(&prepared);
	secret_set(response_out, arena_printf(&s->arena, GS2_HEADER "%.*s", STR_ARG(s->first_bare)));
	return ok();
}

/* ---- server-first-message ---- */

/* Take "x=value" and the comma after it off the front. False: something else is there. */
static bool take_attribute(struct str *rest, char name, struct str *value_out)
{
	struct str part = str_head(*rest, str_find(*rest, ','));

	if (part.n < 3 || part.p[0] != name || part.p[1] != '=')
		return false;
	*value_out = str_from(part, 2);
	*rest = str_from(*rest, part.n + 1);
	return true;
}

/* The server's nonce begins with the client's, and adds printable characters. */
static bool nonce_valid(const struct scram *s, struct str nonce)
{
	for (size_t i = 0; i < nonce.n; i++)
		if (nonce.p[i] <= ' ' || nonce.p[i] > '~')
			return false;
	return nonce.n > s->nonce.n && str_starts(nonce, s->nonce);
}

static struct verdict prepare_password(struct str password, struct scram_work *w)
{
	if (saslprep(password, &w->password).class == OK)
		return ok();
	return failed(S("the configured password is empty or has characters that SCRAM does not allow"));
}

struct verdict scram_challenge(struct scram *s, struct str server_first, struct str password, struct scram_work *work_out)
{
	struct str rest = server_first, salt, count;
	uint64_t iterations;

	if (server_first.n > MESSAGE_MAX)
		return failed(S("the upstream's SCRAM challenge is too long"));
	if (str_starts(rest, S("m=")))
		return failed(S("the upstream demands an extension of SCRAM that is not supported here"));
	if (!take_attribute(&rest, 'r', &s->server_nonce) || !take_attribute(&rest, 's', &salt) ||
	    !take_attribute(&rest, 'i', &count) || !str_to_u64(count, &iterations))
		return failed(S("the upstream's SCRAM challenge is malformed"));
	if (!nonce_valid(s, s->server_nonce))
		return failed(S("the upstream's SCRAM challenge does not answer ours"));
	if (!base64_decode(&s->arena, salt, &work_out->salt) || work_out->salt.n == 0)
		return failed(S("the salt in the upstream's SCRAM challenge is malformed"));
	/* With fewer iterations an eavesdropper could guess the password cheaply; more are an attack on our processor. */
	if (iterations < SCRAM_ITERATIONS_MIN || iterations > SCRAM_ITERATIONS_MAX)
		return failed(S("the upstream asks for fewer than 4096 or more than 200000 SCRAM iterations"));
	work_out->hash = s->hash;
	work_out->iterations = (unsigned)iterations;
	s->server_first = arena_str(&s->arena, server_first);
	s->server_nonce = str_head(str_from(s->server_first, 2), s->server_nonce.n);
	return prepare_password(password, work_out);
}

bool scram_salt(struct scram_work *w)
{
	struct str password = secret_view(&w->password);

	return PKCS5_PBKDF2_HMAC(password.p, (int)password.n, (const unsigned char *)w->salt.p, (int)w->salt.n,
				 (int)w->iterations, hashes[w->hash].digest(), (int)hashes[w->hash].size, w->salted) == 1;
}

/* ---- client-final-message ---- */

static bool hmac(enum scram_hash hash, const unsigned char *key, struct str text, unsigned char *out)
{
	return HMAC(hashes[hash].digest(), key, (int)hashes[hash].size, (const unsigned char *)text.p, text.n, out, NULL) != NULL;
}

/* ClientProof, and the signature that only a server that knows the password can make. */
static bool sign(struct scram *s, const unsigned char *salted, struct str auth_message, unsigned char *proof_out)
{
	unsigned char client_key[SCRAM_KEY_MAX], stored_key[SCRAM_KEY_MAX], server_key[SCRAM_KEY_MAX], signature[SCRAM_KEY_MAX];
	size_t n = hashes[s->hash].size;
	bool made = hmac(s->hash, salted, S("Client Key"), client_key) &&
		    EVP_Digest(client_key, n, stored_key, NULL, hashes[s->hash].digest(), NULL) == 1 &&
		    hmac(s->hash, stored_key, auth_message, signature) && hmac(s->hash, salted, S("Server Key"), server_key) &&
		    hmac(s->hash, server_key, auth_message, s->server_signature);

	for (size_t i = 0; made && i < n; i++)
		proof_out[i] = client_key[i] ^ signature[i];
	wipe(client_key, sizeof(client_key));
	wipe(stored_key, sizeof(stored_key));
	wipe(server_key, sizeof(server_key));
	return made;
}

struct verdict scram_proof(struct scram *s, const struct scram_work *w, struct secret *response_out)
{
	struct str without_proof = arena_printf(&s->arena, "c=" GS2_ENCODED ",r=%.*s", STR_ARG(s->server_nonce));
	struct str auth_message = arena_printf(&s->arena, "%.*s,%.*s,%.*s", STR_ARG(s->first_bare), STR_ARG(s->server_first),
					       STR_ARG(without_proof));
	unsigned char proof[SCRAM_KEY_MAX];

	if (!sign(s, w->salted, auth_message, proof))
		return hindered(S("OpenSSL could not compute the SCRAM proof"));
	secret_set(response_out, arena_printf(&s->arena, "%.*s,p=%.*s", STR_ARG(without_proof),
					      STR_ARG(base64_encode(&s->arena, str_make(proof, hashes[s->hash].size)))));
	return ok();
}

/* ---- server-final-message ---- */

/* server-error-value is a word like "invalid-proof"; any other text is left out of the verdict. */
static struct verdict refused(struct scram *s, struct str reason)
{
	for (size_t i = 0; i < reason.n; i++)
		if (!(ascii_lower(reason.p[i]) >= 'a' && ascii_lower(reason.p[i]) <= 'z') && reason.p[i] != '-')
			reason = S("");
	if (reason.n == 0 || reason.n > REASON_MAX)
		return failed(S("the upstream refuses our login by SCRAM"));
	return failed(arena_printf(&s->arena, "the upstream refuses our login by SCRAM: %.*s", STR_ARG(reason)));
}

struct verdict scram_verify(struct scram *s, struct str server_final)
{
	struct str rest = server_final, value, signature;

	if (server_final.n > MESSAGE_MAX)
		return failed(S("the upstream's last SCRAM message is too long"));
	if (take_attribute(&rest, 'e', &value))
		return refused(s, value);
	if (!take_attribute(&rest, 'v', &value) || !base64_decode(&s->arena, value, &signature))
		return failed(S("the upstream's last SCRAM message is malformed"));
	if (!same_secret(signature, str_make(s->server_signature, hashes[s->hash].size)))
		return failed(S("the upstream does not know our password: "
				"its SCRAM signature is wrong, so it may be an impostor"));
	return ok();
}
