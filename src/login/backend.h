/* backend.h - where passwords are: in our account file, or with one of those whom Cyrus SASL can ask. */
#ifndef POSTHOUSE_LOGIN_BACKEND_H
#define POSTHOUSE_LOGIN_BACKEND_H

#include "posthouse/config.h"

struct backend {
	const char *name;    /* as in auth.backend */
	const char *plugin;  /* how the name of Cyrus' plug-in file begins; NULL: none is needed */
	const char *package; /* Debian's package that has it */
	const char *method;  /* Cyrus' pwcheck_method */
	const char *needs;   /* the option without which it cannot work; NULL: none */
	bool knows_scram;    /* hands out passwords or verifiers, rather than yes or no */
	bool is_sql;         /* tells of its faults where only much else is told, and must not be given quotes */
	unsigned threads;    /* steps at once: few where we hash ourselves, many where somebody is waited for */
};

/* The plug-in within this process, by its name. */
#define BACKEND_PLUGIN "posthouse"

/* "" is "accounts"; NULL: there is no such back-end. */
const struct backend *backend_find(struct str name);

/* Is it our account file? Only there passwords have names ("alice/phone"), may expire, and are remembered for a while. */
bool backend_is_ours(const struct backend *b);

/* The value of one of auth.options; its p is NULL when it is not given. */
struct str backend_option(const struct cfg_auth *auth, struct str name);

/* Could the back-end know this name, which is in its full form? False says nothing about who exists: it holds for whole kinds of names. */
bool backend_may_know(const struct backend *b, struct str realms, struct str our_realm, struct str name, struct str device);

/* PERM when the back-end cannot do what the configuration asks of it; the text is in `a`. */
struct verdict backend_check(struct arena *a, const struct cfg_auth *auth);

#endif
