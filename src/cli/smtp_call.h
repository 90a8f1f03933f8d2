/* smtp_call.h - a session with a provider up to the login and QUIT, before anything is configured. */
#ifndef POSTHOUSE_CLI_SMTP_CALL_H
#define POSTHOUSE_CLI_SMTP_CALL_H

#include "posthouse/arena.h"
#include "posthouse/verdict.h"

struct smtp_call {
	struct str host;
	unsigned port;
	unsigned tls;               /* enum upstream_tls */
	struct str ca_pem;          /* "": the system's authorities */
	struct str hostname;        /* for EHLO */
	struct str login, password; /* login "": there is none, and the session ends after EHLO */
	struct str mechanisms;      /* with blanks between, the best first */
};

struct smtp_called {
	struct verdict verdict; /* OK: the server has accepted the login; else its reply, or the reason of ours */
	const char *at;         /* where it failed: "the name", "the connection", "TLS", "the dialogue", "the login" */
	bool replied;           /* the verdict is a reply of the server */
	struct str tls;         /* "TLS 1.3"; "": the connection is in clear text */
	const char *hint;       /* what a person has to know about such a reply; "" */
};

/* Takes 30 s at most. The texts are in `a`. */
void smtp_call(struct arena *a, const struct smtp_call *what, struct smtp_called *result_out);

#endif
