/* tls_policy.h - what TLS must be like on a connection to one candidate address. */
#ifndef RELAY_TLS_POLICY_H
#define RELAY_TLS_POLICY_H

#include "posthouse/arena.h"
#include "posthouse/config.h"

enum tls_level {
	TLS_LEVEL_NONE,   /* in clear text */
	TLS_LEVEL_MAY,    /* where it is offered, by any certificate; when the handshake fails, once more without */
	TLS_LEVEL_VERIFY, /* only by a certificate that is trusted and has one of the names; otherwise no mail */
};

/* Who says so; DANE and MTA-STS are to follow. */
enum tls_source { TLS_SOURCE_DEFAULT, TLS_SOURCE_UPSTREAM };

/* A TLSA record (RFC 6698 2.1). */
struct tlsa {
	uint8_t usage, selector, matching_type;
	struct str data;
};

struct tls_policy {
	enum tls_level level;
	enum tls_source source;
	bool implicit;         /* from the first byte; else by STARTTLS */
	bool old;              /* also versions and ciphers of another time, which are better than clear text */
	struct str_list names; /* that the certificate is allowed to have; the first one is named to the server (SNI) */
	const struct tlsa *tlsa;
	size_t tlsa_n; /* 0: certificates are judged by the CA certificates; so are all today */
};

/* What the decision is made from. */
struct tls_facts {
	enum upstream_tls configured; /* UPSTREAM_OPPORTUNISTIC for the servers of a domain */
	bool mx;                      /* a server of a domain */
	struct str name;              /* of the upstream's certificate; of a domain's server its own name */
	bool no_context;              /* there are no CA certificates, so there is no client side of TLS */
	bool failed, too_old;         /* a handshake with this address failed lately; because the server knows only what is old */
};

struct tls_policy tls_policy_decide(struct arena *a, const struct tls_facts *f);
/* The best level that a next hop with this setting can have. */
enum tls_level tls_level_of(enum upstream_tls configured);

#endif
