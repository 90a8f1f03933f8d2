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
/* The names of the mechanisms that need no more than `have`, the strongest first, separated by blanks. */
struct str sasl_names(struct arena *a, unsigned have);

/* What vault knows of an upstream; views, which a call does not keep. */
struct sasl_credentials {
	struct str login, password;
	struct str token; /* OAuth's access token (RFC 6750) */
	struct str host;  /* of the upstream, with `port`: RFC 7628 section 3.1 */
	unsigned port;
};

/* One exchange. Verdicts are OK, or TEMP 454 4.7.0, which ends the exchange. The caller wipes response_out. */
struct sasl_exchange;
struct sasl_exchange *sasl_new(const struct sasl_mechanism *m);
void sasl_free(struct sasl_exchange *x); /* NULL is allowed; wipes its secrets, and frees the texts of its verdicts */

struct verdict sasl_initial(struct sasl_exchange *x, const struct sasl_credentials *c, struct secret *response_out);
/* When sasl_work_left() is not SASL_NO_WORK afterwards, there is no response until sasl_work() and sasl_worked() were called. */
struct verdict sasl_step(struct sasl_exchange *x, const struct sasl_credentials *c, struct str challenge,
			 struct secret *response_out);
enum sasl_work_left { SASL_NO_WORK, SASL_SHORT_WORK, SASL_LONG_WORK }; /* long: more than 7 ms, too long for a loop */
enum sasl_work_left sasl_work_left(const struct sasl_exchange *x);
void sasl_work(struct sasl_exchange *x); /* in any thread, while no other thread uses the exchange */
struct verdict sasl_worked(struct sasl_exchange *x, struct secret *response_out);
/* The client has no further response, and the server has proved itself where the mechanism demands that. */
bool sasl_is_done(const struct sasl_exchange *x);

#endif
