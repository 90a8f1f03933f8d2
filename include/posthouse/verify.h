/* verify.h - a message as its receivers see it: DKIM signatures and keys (RFC 6376 6), and what the servers on the way wrote
 * about it (RFC 8601). Pure functions; texts are in the arena, or views of the message. */
#ifndef POSTHOUSE_VERIFY_H
#define POSTHOUSE_VERIFY_H

#include "posthouse/mail.h"

#include <openssl/types.h>

/* ---- verify.c: DKIM ---- */

#define DKIM_SIGNATURES_MAX 20

/* A DKIM-Signature field (RFC 6376 3.5). */
struct dkim_signature {
	const struct header_field *field;
	struct str domain, selector; /* d=, s= */
	struct str algorithm;        /* a= */
	struct str identity;         /* i=, or "@" and the domain */
	struct str names;            /* h= as it is */
	struct str body_hash, value; /* bh=, b=, decoded */
	struct str value_text;       /* b= where it is in the field */
	bool relaxed_header, relaxed_body;
	uint64_t made_at, expires_at; /* s; 0: not said */
	struct str fault;             /* not "": why it cannot be verified, in words */
};

/* The signatures of a message from the top, at most DKIM_SIGNATURES_MAX; the number. */
size_t dkim_signatures(struct arena *a, const struct header *h, struct dkim_signature *signatures_out);

enum dkim_result {
	DKIM_GOOD,
	DKIM_BODY_CHANGED,   /* the body is not the one that was signed */
	DKIM_HEADER_CHANGED, /* the signature does not fit the signed fields: one was changed, or the key is another one */
	DKIM_EXPIRED,
	DKIM_UNUSABLE, /* `fault`, or the key is of another kind */
};
/* Verify with the key. `now_ms`: for x=. */
enum dkim_result dkim_verify(const struct dkim_signature *s, const struct header *h, struct str body, EVP_PKEY *key,
			     uint64_t now_ms);
/* ---- dkim_key.c ---- */

/* The key of a record's p= (decoded): SubjectPublicKeyInfo or RSAPublicKey, or the 32 bytes of Ed25519. NULL: it is none. The
 * caller frees it. */
EVP_PKEY *dkim_public_key(struct str bytes, bool ed25519);

/* The value of a tag in a tag list (RFC 6376 3.2), as DKIM records are: without any white space; "": it has none of that name. */
struct str dkim_tag(struct arena *a, struct str list, struct str name);

/* What vault signs to show that a key works. No header field begins like that, so the signature is good for no message. */
void dkim_sample_digest(struct str domain, struct str selector, unsigned char digest_out[DKIM_DIGEST_SIZE]);
/* Is it the key's signature of the digest? */
bool dkim_digest_fits(EVP_PKEY *key, const unsigned char *digest, struct str signature);

/* ---- results.c: Authentication-Results (RFC 8601) ---- */

struct auth_property {
	struct str name, value; /* "header.d", "smtp.mailfrom", "policy.iprev" … */
};
struct auth_result {
	struct str method, result; /* "dkim", "pass" */
	struct str reason;         /* of "reason=", or of the comment behind the result; "" */
	struct auth_property *properties;
	size_t properties_n;
};
struct auth_results {
	struct str server; /* authserv-id */
	struct auth_result *results;
	size_t n;
};
/* Parse the value of a field. False: it is malformed. A field without results ("none") has n == 0. */
bool auth_results_parse(struct arena *a, struct str value, struct auth_results *results_out);
/* The value of a property; "": it has none of that name. */
struct str auth_property_find(const struct auth_result *r, struct str name);

#endif
