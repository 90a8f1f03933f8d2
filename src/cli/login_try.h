/* login_try.h - a session with a provider up to the login and QUIT, before anything is configured. */
#ifndef POSTHOUSE_CLI_LOGIN_TRY_H
#define POSTHOUSE_CLI_LOGIN_TRY_H

#include "posthouse/arena.h"
#include "posthouse/verdict.h"

struct login_try {
	struct str host;
	unsigned port;
	unsigned tls;               /* enum upstream_tls */
	struct str ca_pem;          /* "": the system's authorities */
	struct str hostname;        /* for EHLO */
	struct str login, password; /* login "": there is none, and the session ends after EHLO */
	struct str mechanisms;      /* with blanks between, the best first */
};

struct login_tried {
	struct verdict verdict; /* OK: the server has accepted the login; else its reply, or the reason of ours */
	const char *at;         /* where it failed: "the name", "the connection", "TLS", "the dialogue", "the login" */
	bool replied;           /* the verdict is a reply of the server */
	struct str tls;         /* "TLS 1.3"; "": the connection is in clear text */
	const char *hint;       /* what a person has to know about such a reply; "" */
};

/* Takes 30 s at most. The texts are in `a`. */
void login_try(struct arena *a, const struct login_try *what, struct login_tried *result_out);

#endif
