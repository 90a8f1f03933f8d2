/* sasl.h - logging in at upstreams (RFC 4422): the mechanisms of sasl.def, and one exchange by one of them, without I/O. relay
 * chooses a mechanism and never sees a secret; vault, which has the credentials, runs the exchange. */
#ifndef POSTHOUSE_SASL_H
#define POSTHOUSE_SASL_H

#include "posthouse/arena.h"
#include "posthouse/secret.h"
#include "posthouse/str.h"
#include "posthouse/verdict.h"

enum sasl_needs { SASL_PASSWORD = 1, SASL_CERTIFICATE = 2 }; /* bits */
enum sasl_trait {
	SASL_REMEMBERS = 1,     /* a step depends on those before it; else one exchange can be made for each step */
	SASL_PROVES_SERVER = 2, /* it is over when the server has shown that it knows the secret too (RFC 5802 5.1) */
};
enum sasl_id {
#define SASL(id, ...) SASL_##id,
#include "posthouse/sasl.def"
#undef SASL
	SASL_MECHANISMS
};

struct sasl_mechanism {
	enum sasl_id id;
	const char *name;
	unsigned needs, traits;
};

/* NULL: not built. Upper and lower case are the same. */
const struct sasl_mechanism *sasl_find(struct str name);
/* The names of those that need no more than `have`, the strongest first, separated by blanks. */
struct str sasl_names(struct arena *a, unsigned have);

/* What vault knows of an upstream; views, which a call does not keep. */
struct sasl_credentials {
	struct str login, password;
};

/* One exchange. The verdicts are OK or TEMP 454 4.7.0, after which it is over; response_out is the caller's to wipe. */
struct sasl_exchange;
struct sasl_exchange *sasl_new(const struct sasl_mechanism *m);
void sasl_free(struct sasl_exchange *x); /* NULL is allowed; wipes, and ends the texts of its verdicts */

struct verdict sasl_initial(struct sasl_exchange *x, const struct sasl_credentials *c, struct secret *response_out);
/* When sasl_work_left() says so afterwards, there is no response yet: sasl_work() and sasl_worked() follow. */
struct verdict sasl_step(struct sasl_exchange *x, const struct sasl_credentials *c, struct str challenge,
			 struct secret *response_out);
enum sasl_work_left { SASL_NO_WORK, SASL_SHORT_WORK, SASL_LONG_WORK }; /* long: more than 7 ms, nothing for a loop */
enum sasl_work_left sasl_work_left(const struct sasl_exchange *x);
void sasl_work(struct sasl_exchange *x); /* by any thread, alone with the exchange */
struct verdict sasl_worked(struct sasl_exchange *x, struct secret *response_out);
/* We have nothing more to say, and the server has proved itself where the mechanism demands it. */
bool sasl_is_done(const struct sasl_exchange *x);

#endif
