/* smtp_call.h - one session with a mail server, by the command line itself: up to the login, or with a message. */
#ifndef POSTHOUSE_CLI_SMTP_CALL_H
#define POSTHOUSE_CLI_SMTP_CALL_H

#include "posthouse/arena.h"
#include "posthouse/verdict.h"

struct smtp_transaction;

struct smtp_call {
	struct str host;
	unsigned port;
	unsigned tls;               /* enum upstream_tls */
	struct str ca_pem;          /* "": the system's authorities */
	struct str hostname;        /* for EHLO */
	struct str login, password; /* login "": there is none, and the session ends after EHLO */
	struct str mechanisms;      /* with blanks between, the best first */
	/* a message to send behind the login; NULL: none. Its text, from the beginning of the file, has CR LF at its line ends */
	const struct smtp_transaction *message;
	int text_fd;
};

struct smtp_called {
	/* OK: the server has accepted the login, or the message for those recipients whose verdict is OK; else its reply, or the
	 * reason of ours */
	struct verdict verdict;
	const char *at; /* where it failed: "the name", "the connection", "TLS", "the dialogue", "the login", "the message" */
	bool replied;   /* the verdict is a reply of the server */
	struct verdict *recipients; /* those of the message have an answer each when `at` is "the message"; else NULL */
	struct str transcript;      /* of the dialogue, as smtp_client.h has it */
	struct str tls;             /* "TLS 1.3"; "": the connection is in clear text */
	const char *hint;           /* what a person has to know about such a reply; "" */
};

/* Without a message it takes 30 s at most; with one, a server that makes no progress is waited for as RFC 5321 4.5.3.2 has
 * it. The texts are in `a`. */
void smtp_call(struct arena *a, const struct smtp_call *what, struct smtp_called *result_out);

#endif
