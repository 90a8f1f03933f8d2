/* probe.h - one dialogue with a mail server, made to see how it answers: for doctor, never to send mail. */
#ifndef POSTHOUSE_PROBE_H
#define POSTHOUSE_PROBE_H

#include "posthouse/arena.h"

/* Is the thing that was asked for there? Of DNS, only NO_NAME (NXDOMAIN) and EMPTY mean "not there"; UNKNOWN is SERVFAIL,
 * REFUSED, time-out, bogus, after all tries. */
enum fact_state { FACT_PENDING, FACT_THERE, FACT_EMPTY, FACT_NO_NAME, FACT_UNKNOWN };

/* Commands are sent one after another as they are given ("MAIL FROM:<>"), after EHLO and, as `tls` says, STARTTLS; QUIT is sent
 * in any case. DATA is never sent. */
enum probe_tls { PROBE_PLAIN, PROBE_STARTTLS, PROBE_IMPLICIT };
struct probe {
	struct str host; /* an address as text */
	unsigned port;
	enum probe_tls tls;
	unsigned tls_most;     /* enum tls_version: the highest version to offer, with all below it; 0: what is usual */
	struct str tls_name;   /* SNI, and the name that the certificate is verified for; "": host */
	struct str source;     /* local address; "": any */
	struct str_list lines; /* commands behind EHLO (and STARTTLS) */
};

struct fact_probe {
	enum fact_state state; /* THERE: a connection was made; UNKNOWN: not, see why; the others are not used */
	struct str why;
	bool refused, timed_out, unreachable; /* how it failed */
	struct str greeting;                  /* all lines with the code, with '\n' between them; "": none came */
	struct str ehlo;                      /* the same of the last EHLO's answer */
	struct str ehlo_clear;                /* of that before STARTTLS */
	struct str *replies;                  /* to `lines`, as far as they were sent; "": the connection was lost */
	size_t replies_n;
	bool tls;             /* a handshake was made */
	struct str tls_why;   /* why not, when it was tried */
	struct str tls_text;  /* "TLSv1.3 TLS_AES_256_GCM_SHA384" */
	struct str chain_pem; /* of the server */
	struct str verify;    /* "": the certificate is good for tls_name by the system's authorities; else why not */
};

/* Blocks for at most 5 s a step and 15 s in all: for a thread of the pool. `ehlo` is the name that we give. Texts are in `a`. */
void probe_run(struct arena *a, const struct probe *p, struct str ehlo, struct fact_probe *answer);

#endif
