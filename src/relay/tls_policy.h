/* tls_policy.h - the TLS that a connection to one candidate address must have. */
#ifndef RELAY_TLS_POLICY_H
#define RELAY_TLS_POLICY_H

#include "posthouse/arena.h"
#include "posthouse/config.h"

enum tls_level {
	TLS_LEVEL_NONE,   /* in clear text */
	TLS_LEVEL_MAY,    /* if offered, with any certificate; after a failed handshake, once more in clear text */
	TLS_LEVEL_VERIFY, /* with a trusted certificate for one of the names; otherwise no mail is sent */
};

/* What decided; DANE and MTA-STS are to follow. */
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
	bool old;              /* outdated versions and ciphers are allowed, which are better than clear text */
	struct str_list names; /* hosts that the certificate can name, never patterns: see stream_start_client_tls() */
	const struct tlsa *tlsa;
	size_t tlsa_n; /* 0, which is always so today: certificates are verified by CA certificates */
};

/* The facts that decide. */
struct tls_facts {
	enum upstream_tls configured; /* UPSTREAM_OPPORTUNISTIC for the servers of a domain */
	bool mx;                      /* a server of a domain */
	struct str name;              /* the tls_name of an upstream, the host name of a domain's server */
	bool no_context;              /* there are no CA certificates, so TLS is not possible */
	bool failed, too_old;         /* a handshake with this address failed lately; it failed because the server is outdated */
};

struct tls_policy tls_policy_decide(struct arena *a, const struct tls_facts *f);
/* The best level that a next hop with this setting can have. */
enum tls_level tls_level_of(enum upstream_tls configured);

#endif
