/* tls_policy.h - how TLS protects the way to a next hop: what decides it, and what is decided. Pure functions over facts that
 * others have found: no I/O, no clock.
 *
 * The order is that of RFC 8461 2 and RFC 7672 2.2: DANE comes before MTA-STS, and both before opportunistic TLS, which encrypts
 * where it can. The configuration can demand more, or by a named exception less; so can a message (RFC 8689). */
#ifndef POSTHOUSE_TLS_POLICY_H
#define POSTHOUSE_TLS_POLICY_H

#include "posthouse/arena.h"
#include "posthouse/tls_result.h"
#include "posthouse/tls_wish.h"
#include "posthouse/verdict.h"

/* `tls` of an upstream. */
enum upstream_tls { UPSTREAM_IMPLICIT, UPSTREAM_STARTTLS, UPSTREAM_OPPORTUNISTIC, UPSTREAM_NONE, UPSTREAM_DANE };

/* What the configuration demands of the servers of a domain: delivery.tls, or an entry of `tls` or a route that fits. */
enum tls_require {
	TLS_REQUIRE_DEFAULT,   /* "opportunistic": what DANE and MTA-STS of the domain say, else TLS where it is offered */
	TLS_REQUIRE_NONE,      /* "none": a named exception; neither DANE nor MTA-STS counts */
	TLS_REQUIRE_ENCRYPTED, /* TLS, with any certificate; more where the domain says so */
	TLS_REQUIRE_VERIFIED,  /* TLS with a certificate that is trusted; DANE is as good */
	TLS_REQUIRE_DANE,      /* mandatory DANE (RFC 7672 6): no mail without usable TLSA records */
};

/* What the TLS of a domain's own mail servers must be. */
struct cfg_tls_demand {
	unsigned require; /* enum tls_require; DEFAULT: nothing is said */
	struct str ca;    /* path to a PEM bundle; empty = the system's */
	struct str ca_pem;
	struct str_list names; /* of the certificate; empty: the name of the server */
};

/* An entry of `tls`: the first one that fits a domain counts. */
struct cfg_tls {
	struct str_list destinations; /* patterns of domains: "@bank.example", "@.bank.example", "*" */
	struct cfg_tls_demand demand;
};

/* ---- tlsa.c ---- */

/* A TLSA record (RFC 6698 2.1). */
struct tlsa {
	uint8_t usage, selector, matching_type;
	struct str data;
};
enum { TLSA_DANE_TA = 2, TLSA_DANE_EE = 3 };            /* usage: an issuer of the chain, or the server's own certificate */
enum { TLSA_WHOLE, TLSA_SHA2_256, TLSA_SHA2_512 };      /* matching type */
enum { TLSA_CERTIFICATE = 0, TLSA_PUBLIC_KEY = 1 };     /* selector */
enum { TLSA_RECORDS_MAX = 100, TLSA_DATA_MAX = 65535 }; /* of a set, which are looked at; bytes of one */

/* What DNS says of the TLSA records of a host. */
enum tlsa_state {
	TLSA_NONE,     /* there are none, or their zone is not signed */
	TLSA_USABLE,   /* secure, and at least one can be used */
	TLSA_UNUSABLE, /* secure, but none can be used: TLS is demanded, and any certificate is good (RFC 7672 2.2) */
	TLSA_FAILED,   /* no answer, or a bogus one: the host gets no mail now (RFC 7672 2.1.2) */
};

/* The usable ones of the `n` records of a secure set, in `a`; their data are views of `rdata`. */
enum tlsa_state tlsa_read_set(struct arena *a, const struct str *rdata, size_t n, const struct tlsa **out, size_t *n_out);

/* ---- sts_record.c: the TXT record of MTA-STS (RFC 8461 3.1) ---- */

enum { STS_ID_MAX = 32, STS_NAME_MAX = 32 };

/* Reads one: its id, a view of the text. "": it is good; else what is wrong, for people; the id is "" then. */
struct str sts_record_read(struct arena *a, struct str text, struct str *id_out);
/* The same of all texts at the name, of which one has to be a record. */
struct str sts_record_choose(struct arena *a, const struct str_list *texts, struct str *id_out);
/* sts-ext-name of both grammars */
bool sts_name_is_valid(struct str name);

/* ---- sts_policy.c: the policy (RFC 8461 3.2) ---- */

enum { STS_POLICY_MAX = 64 * 1024, STS_MX_MAX = 1000 };
#define STS_MAX_AGE_S 31557600 /* a longer time counts as this */

enum sts_mode { STS_NONE, STS_TESTING, STS_ENFORCE };
struct sts_policy {
	enum sts_mode mode;
	uint64_t max_age_s;
	struct str_list mx; /* in lower case: a host name, or one with "*" in place of its first label */
};
/* Reads the text of a policy. "": it is good; else what is wrong, for people, and the policy is { 0 }. */
struct str sts_policy_read(struct arena *a, struct str text, struct sts_policy *policy_out);

/* RFC 8461 4.1: does the name of an MX record fit one of the patterns? */
bool sts_policy_lists(const struct sts_policy *policy, struct str host);

const char *sts_mode_word(enum sts_mode mode);

/* ---- decide.c ---- */

enum tls_level {
	TLS_LEVEL_NONE,    /* in clear text */
	TLS_LEVEL_MAY,     /* if offered, with any certificate; after a failed handshake, once more in clear text */
	TLS_LEVEL_ENCRYPT, /* with any certificate; otherwise no mail is sent */
	TLS_LEVEL_VERIFY,  /* with a trusted certificate for one of the names; otherwise no mail is sent */
	TLS_LEVEL_DANE,    /* with a certificate that one of the TLSA records fits; otherwise no mail is sent */
	TLS_LEVEL_PINNED,  /* with a certificate or a key that has one of the fingerprints; otherwise no mail is sent */
};

enum tls_source {
	TLS_SOURCE_DEFAULT, /* opportunistic TLS: nothing demands more */
	TLS_SOURCE_UPSTREAM,
	TLS_SOURCE_CONFIGURATION, /* delivery.tls, an entry of `tls`, or the route */
	TLS_SOURCE_DANE,
	TLS_SOURCE_MTA_STS,
	TLS_SOURCE_MESSAGE, /* REQUIRETLS, or TLS-Required: No */
};

/* The facts about one candidate host, or one of its addresses. */
struct tls_facts {
	enum upstream_tls configured; /* of an upstream */
	bool wrapped;                 /* of an upstream: TLS comes first at its port, also with UPSTREAM_DANE */
	struct str_list fingerprints; /* of an upstream: SHA-256 of the certificate or the key that it must have; none: any */
	bool mx;                      /* a server of a domain: what is here for "mx" only does not count for an upstream */
	struct str name;              /* the tls_name of an upstream, the host name of a domain's server */
	struct str domain;            /* mx: where the mail goes */
	struct str domain_end;        /* mx: the name at the end of the domain's CNAMEs; "": it has none */
	/* mx, of the configuration: */
	enum tls_require require;
	struct str_list require_names; /* that the certificate must have one of; none: the name of the host */
	bool own_ca;                   /* the entry has certificates of its own to verify with */
	/* mx, of DNS and MTA-STS; what tls_policy_heeds_...() does not ask for can be left at 0: */
	bool mx_secure; /* the MX records were validated */
	enum tlsa_state tlsa_state;
	const struct tlsa *tlsa;
	size_t tlsa_n;
	struct str tlsa_base; /* RFC 7672 2.2.3: the name that the TLSA records were found at; "": name */
	enum sts_mode sts;
	bool sts_listed;    /* the host fits a pattern of the MTA-STS policy */
	enum tls_wish wish; /* of the messages of the connection */
	/* of the address: */
	bool no_context;      /* there are no CA certificates, so TLS is not possible */
	bool failed, too_old; /* a handshake with this address failed lately; it failed because the server is outdated */
};

struct tls_policy {
	enum tls_level level;
	enum tls_source source;
	struct verdict refused; /* OK: the host can be used; else why it gets no mail: TEMP, or PERM 5.7.10 (RFC 8689 4.2.1) */
	enum tls_result refused_as; /* the same as a word; NONE: it is not refused */
	bool implicit;              /* from the first byte; else by STARTTLS */
	bool fell_back;             /* opportunistic, but in clear text: TLS has failed there, or is not possible here */
	bool old;                   /* outdated versions and ciphers are allowed, which are better than clear text */
	bool testing;               /* MTA-STS in mode testing: what would fail is counted, and the mail goes (RFC 8461 5) */
	bool unlisted;              /* testing, and the host fits no pattern of the policy */
	struct str sni;             /* the name that is sent to the server */
	struct str_list names;      /* hosts that the certificate can name, never patterns: see stream_start_client_tls() */
	const struct tlsa *tlsa;    /* of TLS_LEVEL_DANE; views of the facts */
	size_t tlsa_n;
	struct str_list fingerprints; /* of TLS_LEVEL_PINNED; views of the facts */
};

/* Does the domain's own word count, so that somebody has to ask for it: DANE of its servers, its MTA-STS policy? */
bool tls_policy_heeds_dane(const struct tls_facts *f);
bool tls_policy_heeds_sts(const struct tls_facts *f);

/* Names and refusals are in `a`. */
struct tls_policy tls_policy_decide(struct arena *a, const struct tls_facts *f);

/* ---- where a domain wants to have its reports: the record at _smtp._tls.DOMAIN (RFC 8460 3), rpt_record.c ---- */

enum { RPT_URIS_MAX = 8 }; /* of one record; further ones get no report */

struct rpt_uri {
	bool https;
	struct str
		target; /* https: the URI as it is written; else the address of mailto:, decoded, which can be no address yet */
};

struct rpt_record {
	struct rpt_uri at[RPT_URIS_MAX];
	size_t n;         /* 0: nobody wants reports */
	struct str fault; /* what is wrong with the record, in words, also of one that has usable places; "": nothing */
};

/* `texts`: all TXT records of that name, the strings of each joined. Exactly one of them must be of this version. */
void rpt_record_read(struct arena *a, struct str_list texts, struct rpt_record *record_out);

/* ---- words.c: for log, trace and `posthouse explain` ---- */

const char *tlsa_state_word(enum tlsa_state state);
/* "opportunistic", "dane", "verified by mta-sts", "encrypted by configuration", "verified by upstream, mta-sts testing". */
struct str tls_policy_words(struct arena *a, const struct tls_policy *p);

#endif
