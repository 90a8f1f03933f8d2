/* backend.h - where passwords are checked: by the account file, or by one of the back-ends of Cyrus SASL. */
#ifndef POSTHOUSE_LOGIN_BACKEND_H
#define POSTHOUSE_LOGIN_BACKEND_H

#include "posthouse/config.h"

struct backend {
	const char *name;    /* as in auth.backend */
	const char *plugin;  /* the beginning of the file name of Cyrus' plug-in; NULL: none is needed */
	const char *package; /* the package of Debian with this plug-in */
	const char *method;  /* Cyrus' pwcheck_method */
	const char *needs;   /* the option without which it cannot work; NULL: none */
	bool knows_scram;    /* it gives passwords or verifiers to Cyrus, not just yes or no */
	bool is_sql;         /* its faults are logged only among many other messages; names with quotes must not reach it */
	unsigned threads;    /* steps at once: few where this process computes hashes, many where it waits for another program */
};

/* The name of the plug-in of this program (plugin.c). */
#define BACKEND_PLUGIN "posthouse"

/* "" is "accounts"; NULL: there is no such back-end. */
const struct backend *backend_find(struct str name);

/* Is it the account file? Only its passwords have names ("alice/phone"), can expire, and are kept in the cache. */
bool backend_is_ours(const struct backend *b);

/* Can the back-end know this name (in its full form)? False does not reveal who exists, because it depends only on the kind of
 * the name. */
bool backend_may_know(const struct backend *b, struct str realms, struct str our_realm, struct str name, struct str device);

/* PERM: the back-end cannot do what the configuration requires; the text is in `a`. */
struct verdict backend_check(struct arena *a, const struct cfg_auth *auth);

#endif
