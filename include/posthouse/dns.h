/* dns.h - questions to DNS: where a domain takes its mail (RFC 5321 5.1, RFC 7505), and any other. What answers say is decided
 * here; who asks the name servers is a struct dns_source: libunbound in this process (dns_library.h), or another role. */
#ifndef POSTHOUSE_DNS_H
#define POSTHOUSE_DNS_H

#include "posthouse/arena.h"
#include "posthouse/verdict.h"

#include <sys/socket.h>
#include <uv.h>

struct dns;

/* ---- who asks the name servers ---- */
struct dns_query {
	struct str name; /* with at most 253 bytes, labels of at most 63; without the final dot */
	unsigned type;
	uint64_t limit_ms; /* an answer has no use after this time */
	bool first;        /* of its look-up: those come before others */
};
enum dns_security { DNS_INSECURE, DNS_BOGUS, DNS_SECURE }; /* as unbound-event.h numbers them */
struct dns_reply {
	struct str why;    /* "" or why there is no answer; of a bogus one: the reason */
	unsigned rcode;    /* RFC 1035 4.1.1 */
	struct str packet; /* the answer, when rcode is 0 */
	enum dns_security security;
};
/* Who waits for the answer to a question. The callback comes once, perhaps before ask() returns; its views live until it
 * returns. */
struct dns_waiter {
	void (*answered)(struct dns_waiter *w, const struct dns_reply *reply);
	void *question; /* the source's; NULL: there is none, or it is answered */
};
struct dns_source {
	void (*ask)(void *ctx, const struct dns_query *q, struct dns_waiter *w);
	void (*drop)(void *ctx, struct dns_waiter *w); /* nobody waits any more; only while `question` is set */
	void (*close)(void *ctx);                      /* after the last look-up; NULL: nothing to do */
	void *ctx;
};

/* Can this be the name of a question? Labels can have any octets. */
bool dns_is_askable(struct str name);

/* Look-ups of these address families that ask the source. */
struct dns *dns_new(uv_loop_t *loop, const struct dns_source *source, bool ipv4, bool ipv6);
void dns_use(struct dns *d, bool ipv4, bool ipv6); /* other families, for the next look-ups */
/* Drops all look-ups without their callbacks; the memory is freed when the loop next runs. NULL is allowed; so is a call from
 * within a callback. */
void dns_close(struct dns *d);

struct dns_host {
	/* The name in the MX record, not the end of its CNAMEs: A-labels, lower case, no final dot; or the address literal. */
	struct str name;
	unsigned preference;
	/* With the port; IPv4 and IPv6 in turn, so that a dead family costs one attempt; at most 16. */
	const struct sockaddr_storage *addresses;
	size_t addresses_n;     /* 0: `failure` says why */
	struct verdict failure; /* TEMP 451 4.4.3: no answer now; PERM 550 5.4.4: the host has no address */
	bool secure;            /* the addresses were validated, and the CNAMEs that lead to them */
	struct str end;         /* the name at the end of these CNAMEs; the name itself: there are none */
	bool mx_secure;         /* the MX record was validated, or that there is none */
	struct str domain_end;  /* as `end`, of the domain */
};

/* Hosts in the order in which to try them: by preference, at random among equals (RFC 5321 5.1), at most 20; MX records that
 * have an address or no host name are left out. Without MX records: the domain itself (implicit MX). CNAMEs are followed.
 * `own_names` (NULL: none; copied) are names and addresses ("192.0.2.1", "2001:db8::1") of this relay. A look-up takes at most
 * 30 s; a host whose addresses are not known by then has a TEMP failure. `domain` is UTF-8 (IDNA 2008) or an address literal
 * "[192.0.2.1]", "[IPv6:...]".
 *   PERM 556 5.1.10  null MX (RFC 7505)          PERM 550 5.1.2  the domain does not exist, or has neither MX nor address
 *   TEMP 451 4.4.3   SERVFAIL, time-out, bogus    PERM 554 5.4.6  the best host is one of own_names: a loop; hosts that
 *                                                 are no better than this relay are left out (RFC 5321 5.1)
 * OK: at least one host has an address; TEMP 451 4.4.3: none has, but one can have an address later; else PERM 550 5.4.4.
 * The callback comes once, never before the return; its views live until it returns. Answers are cached by the library. */
typedef void (*dns_mx_fn)(void *ctx, struct verdict v, const struct dns_host *hosts, size_t n);
struct dns_lookup;
struct dns_lookup *dns_mx(struct dns *d, struct str domain, unsigned port, const struct str_list *own_names, dns_mx_fn done,
			  void *ctx);
void dns_cancel(struct dns_lookup *l); /* NULL is allowed; no callback after it */

/* ---- ask.c: any question ---- */

struct dns_record;
/* What is known of a name and type. Its views live until the callback returns. */
struct dns_found {
	struct verdict verdict; /* OK; else TEMP 451 4.4.3 with the reason in `why`: nothing is known */
	struct str why;
	bool exists;    /* not NXDOMAIN */
	bool secure;    /* validated */
	bool bogus;     /* validation has failed: the verdict is not OK */
	struct str end; /* the name at the end of the CNAMEs; the name itself: it has none */
	uint32_t ttl;   /* seconds: the shortest of the answer; of an answer without records, of the zone's SOA (RFC 2308 5) */
	const struct dns_record *const *records; /* of this type */
	size_t n;
};
typedef void (*dns_found_fn)(void *ctx, const struct dns_found *found);
/* A question for the records of a name (host name or not, as "_dmarc.example.org"; "" and "." are no names here) of any
 * type, class IN. CNAMEs are followed. It takes at most `limit_ms`. The callback comes once, never before the return;
 * dns_cancel() forbids it. */
struct dns_lookup *dns_ask(struct dns *d, struct str name, unsigned type, uint64_t limit_ms, dns_found_fn done, void *ctx);

/* ---- tlsa.c: which certificate a server has (RFC 7672 2.2.2, 2.2.3) ---- */

struct dns_tlsa_query {
	struct str host;
	unsigned port;
	uint64_t limit_ms;
	bool known; /* `secure` and `end` are those of a struct dns_host; else the addresses are asked for */
	bool secure;
	struct str end;
};
/* Its views live until the callback returns. */
struct dns_tlsa {
	enum { DNS_TLSA_NONE, DNS_TLSA_THERE, DNS_TLSA_FAILED } state;
	struct str why;  /* FAILED: no answer, or a bogus one */
	struct str base; /* THERE: the host, or the end of its CNAMEs: the name that the records were found at */
	const struct dns_record *const *records; /* validated */
	size_t n;
};
typedef void (*dns_tlsa_fn)(void *ctx, const struct dns_tlsa *found);
/* The TLSA records of the server at this port. Nothing is asked where the addresses are insecure: those name servers often do not
 * answer such questions. The callback comes once, never before the return; dns_cancel() forbids it. */
struct dns_lookup *dns_tlsa(struct dns *d, const struct dns_tlsa_query *q, dns_tlsa_fn done, void *ctx);

/* wire.c: a DNS answer (RFC 1035 4.1) as records, for the fuzzer and the look-ups. Names are lower case without the final dot,
 * in the arena; octets that no host name has are escaped as \DDD. Raw data are views of the packet. False when it is malformed
 * or has more than 512 records in a section; never reads past the packet, never follows compression pointers forward or in
 * circles. */
enum dns_type {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_SRV = 33,
	DNS_TLSA = 52,
	DNS_CAA = 257,
};
struct dns_record {
	struct str owner;
	unsigned type, class; /* enum dns_type and others; 1 IN */
	uint32_t ttl;
	unsigned preference;      /* MX; SRV: the priority */
	unsigned weight, port;    /* SRV */
	uint32_t serial, minimum; /* SOA */
	struct str name;          /* MX, CNAME, NS, PTR, SRV: the target; SOA: the primary server; "" = the root */
	struct str data;          /* raw, of all others */
};
struct dns_answer {
	unsigned rcode;
	struct dns_record *records; /* of the answer section */
	size_t n;
	uint32_t negative_ttl; /* of the SOA in the authority section (RFC 2308 5); 0: there is none */
	bool referral;         /* only name servers to ask instead (RFC 1034 4.3.1): the server that was asked does not resolve */
};
bool dns_parse(struct arena *a, struct str packet, struct dns_answer *answer_out);

/* ---- text.c ---- */

/* TXT: its strings joined; A, AAAA: the address; others: the name that they lead to. */
struct str dns_text(struct arena *a, const struct dns_record *r);
/* "25.113.0.203.in-addr.arpa" of "203.0.113.25", where below_v4 is "in-addr.arpa"; block lists have names of their own there (RFC
 * 5782). "": it is no address. */
struct str reverse_name(struct arena *a, struct str address, struct str below_v4, struct str below_v6);

#endif
