/* sasl.h - logging in at upstreams (RFC 4422): the mechanisms of sasl.def, and one exchange by one of them, without I/O. relay
 * chooses a mechanism and never sees a secret; vault, which has the credentials, runs the exchange. */
#ifndef POSTHOUSE_SASL_H
#define POSTHOUSE_SASL_H

#include "posthouse/arena.h"
#include "posthouse/secret.h"
#include "posthouse/str.h"
#include "posthouse/verdict.h"

enum sasl_needs { SASL_PASSWORD = 1, SASL_CERTIFICATE = 2, SASL_TOKEN = 4 }; /* bits */
enum sasl_trait {
	SASL_REMEMBERS = 1,     /* a step depends on those before it; else one exchange can be made for each step */
	SASL_PROVES_SERVER = 2, /* it ends when the server has shown that it knows the secret too (RFC 5802 5.1) */
	SASL_SERVER_FIRST = 4,  /* there is no initial response: the server sends the first challenge */
	SASL_ONE_RESPONSE = 8,  /* the initial one: a challenge after it asks for the same once more */
	SASL_WORDS = 16,        /* the answer to a challenge does not depend on it, so some servers do not encode it */
	SASL_ON_REQUEST = 32,   /* weak: used only when the configuration names it */
};
enum sasl_id {
#define SASL(id, ...) SASL_##id,
#include "posthouse/sasl.def"
	SASL_MECHANISMS
};

struct sasl_mechanism {
	enum sasl_id id;
	const char *name;
	unsigned needs, traits;
};

/* NULL: no such mechanism is built. Upper and lower case are the same. */
const struct sasl_mechanism *sasl_find(struct str name);
/* The mechanisms to log in with, the best first, separated by blanks: those that the configuration has `named`, in its order, or
 * the table's when it has named none. Never one that needs more than `have` (enum sasl_needs): "" when nothing is left. */
struct str sasl_wanted(struct arena *a, const struct str_list *named, unsigned have);
/* The first of `wanted` that is in `offered`, both separated by blanks, and is not `refused`; "" when there is none. */
struct str sasl_choose(struct str wanted, struct str offered, struct str refused);

/* What vault knows of an upstream; views, which a call does not keep. */
struct sasl_credentials {
	struct str login, password;
	struct str token; /* OAuth's access token (RFC 6750); "": there is none now */
	struct str host;  /* of the upstream, with `port`: RFC 7628 section 3.1 */
	unsigned port;
};

/* One exchange. Verdicts are OK, or TEMP 454, which ends the exchange: 4.7.0 when the same can succeed later, 4.7.8 when a person
 * must act. The caller wipes response_out. */
struct sasl_exchange;
struct sasl_exchange *sasl_new(const struct sasl_mechanism *m);
void sasl_free(struct sasl_exchange *x); /* NULL is allowed; wipes its secrets, and frees the texts of its verdicts */

/* challenge: the server's first one, with SASL_SERVER_FIRST. */
struct verdict sasl_initial(struct sasl_exchange *x, const struct sasl_credentials *c, struct str challenge,
			    struct secret *response_out);
/* When sasl_work_left() is not SASL_NO_WORK afterwards, there is no response until sasl_work() and sasl_worked() were called. */
struct verdict sasl_step(struct sasl_exchange *x, const struct sasl_credentials *c, struct str challenge,
			 struct secret *response_out);
enum sasl_work_left { SASL_NO_WORK, SASL_SHORT_WORK, SASL_LONG_WORK }; /* long: more than 7 ms, too long for a loop */
enum sasl_work_left sasl_work_left(const struct sasl_exchange *x);
void sasl_work(struct sasl_exchange *x); /* in any thread, while no other thread uses the exchange */
struct verdict sasl_worked(struct sasl_exchange *x, struct secret *response_out);
/* The client has no further response, and the server has proved itself where the mechanism demands that. */
bool sasl_is_done(const struct sasl_exchange *x);

/* A challenge for the log: bounded, printable, and without what could be a secret: the token, the password, and each long piece
 * of letters and digits, such as base64 of them. */
struct str sasl_harmless(struct arena *a, const struct sasl_credentials *c, struct str challenge);

#endif
