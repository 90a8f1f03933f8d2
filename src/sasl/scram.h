/* scram.h - the client's side of SCRAM-SHA-1 and SCRAM-SHA-256 (RFC 5802, RFC 7677), without I/O and without channel binding. In
 * the order of use: first, challenge, salt (which takes long; any thread can do it), proof, verify. Verdicts: see sasl.h. */
#ifndef SASL_SCRAM_H
#define SASL_SCRAM_H

#include "posthouse/arena.h"
#include "posthouse/secret.h"
#include "posthouse/verdict.h"

#define SCRAM_KEY_MAX        32
#define SCRAM_ITERATIONS_MIN 4096 /* RFC 5802 section 5.1, RFC 7677 section 4 */
#define SCRAM_ITERATIONS_MAX 200000

enum scram_hash { SCRAM_SHA256, SCRAM_SHA1 };

/* One exchange: zero to begin with, but for the hash. */
struct scram {
	enum scram_hash hash;
	struct arena arena;
	struct str nonce;        /* the client's */
	struct str first_bare;   /* client-first-message-bare */
	struct str server_first; /* the whole message */
	struct str server_nonce; /* the client's and the server's */
	unsigned char server_signature[SCRAM_KEY_MAX];
};
void scram_fini(struct scram *s); /* wipes */

/* The computation between challenge and proof, for the thread that does it. */
struct scram_work {
	enum scram_hash hash;
	struct secret password; /* prepared */
	struct str salt;        /* in the exchange's arena */
	unsigned iterations;
	unsigned char salted[SCRAM_KEY_MAX];
};
void scram_work_fini(struct scram_work *w); /* wipes */

/* A name for the header of a message: "=" and "," have another meaning there (saslname of RFC 5801 section 4). */
struct str scram_escape(struct arena *a, struct str name);

/* client-first-message. `nonce` empty: 144 random bits. */
struct verdict scram_first(struct scram *s, struct str login, struct str nonce, struct secret *response_out);

/* Take server-first-message, and prepare the password for the work. */
struct verdict scram_challenge(struct scram *s, struct str server_first, struct str password, struct scram_work *work_out);

/* At most 0.34 ms for each 1000 iterations. False: OpenSSL failed. */
bool scram_salt(struct scram_work *w);

/* client-final-message. */
struct verdict scram_proof(struct scram *s, const struct scram_work *w, struct secret *response_out);

/* Has the server shown by server-final-message that it knows the password too? */
struct verdict scram_verify(struct scram *s, struct str server_final);

#endif
