/* certificate.h - what a chain of certificates is, for people and for checks: names, dates, keys, and whether clients can
 * follow it to an authority that they know. No network and no clock; the only files are those of the system's authorities. */
#ifndef POSTHOUSE_DOCTOR_CERTIFICATE_H
#define POSTHOUSE_DOCTOR_CERTIFICATE_H

#include "posthouse/arena.h"

enum chain_state {
	CHAIN_GOOD,        /* it leads to a known authority, in order */
	CHAIN_INCOMPLETE,  /* a certificate between the first and an authority is not there */
	CHAIN_DISORDERED,  /* all are there, but one does not certify the one before it (RFC 5246 7.4.2) */
	CHAIN_SELF_SIGNED, /* the certificate has signed itself */
	CHAIN_PRIVATE,     /* complete, but its authority is not among the known ones */
	CHAIN_WRONG,       /* a signature or a use that does not fit: see `detail` */
};
enum certificate_key { KEY_RSA, KEY_EC, KEY_EDWARDS, KEY_OTHER };

/* Of the first certificate, if nothing else is said. Texts are in the arena. */
struct certificate {
	struct str subject, issuer; /* "CN=relay.example.org", in the order of the certificate */
	struct str common_name;
	struct str_list names;          /* DNS names of subjectAltName in lower case, addresses as text */
	uint64_t not_before, not_after; /* ms UTC */
	enum certificate_key key;
	unsigned bits;
	struct str curve;       /* KEY_EC: "P-256", or the name that OpenSSL has */
	struct str old_hash;    /* "SHA-1": a signature in the chain has it; "": none; roots do not count */
	bool must_staple;       /* RFC 7633: TLS feature 5 */
	struct str fingerprint; /* SHA-256, hexadecimal */
	enum chain_state chain;
	struct str detail; /* INCOMPLETE: the issuer that is not there; DISORDERED: which one is misplaced; PRIVATE: the root */
	struct str issuer_url; /* where the certificate says its issuer is; "": nowhere */
};

/* Reads the certificates of a PEM text. authorities_pem "": those of the system. Dates do not count for the chain. False: there
 * is none that can be read. */
bool certificate_facts(struct arena *a, struct str pem, struct str authorities_pem, struct certificate *out);

/* RFC 6125 6.4: is the host name (lower case) one of the names, or covered by a wildcard for exactly one label? The common name
 * does not count. */
bool certificate_bears(const struct certificate *c, struct str name);

#endif
