/* doctor.h - what the checks of doctor share: facts on demand, findings, and the situation that is judged.
 *
 * A check is a pure function over facts. It asks for what it needs; what is not known at that moment is PENDING, and the engine
 * (run.c) fetches it. All checks run again, with fresh findings, until no check has met a pending fact; the findings of the
 * last run count. So a check does no I/O, keeps no state, and can ask for one thing after another: SPF includes, the addresses
 * of an MX host. Unit tests give the facts as a table.
 *
 * Everything lives in the arena of the run. Names of domains are lower-case A-labels without the final dot. */
#ifndef POSTHOUSE_DOCTOR_DOCTOR_H
#define POSTHOUSE_DOCTOR_DOCTOR_H

#include "posthouse/arena.h"
#include "posthouse/config.h"
#include "posthouse/records.h"

#include <sys/socket.h>

/* ---- facts ---- */

/* Whose answer counts: the resolver of the configuration, as this network's clients see it; a recursion of our own, as the world
 * sees it (the first, when that is not possible here); the name servers of the domain itself, without any cache. */
enum doctor_view { VIEW_CLIENTS, VIEW_WORLD, VIEW_OWN };

/* Only NO_NAME (NXDOMAIN) and EMPTY mean "not there"; UNKNOWN is SERVFAIL, REFUSED, time-out, bogus, after all tries. */
enum fact_state { FACT_PENDING, FACT_THERE, FACT_EMPTY, FACT_NO_NAME, FACT_UNKNOWN };

struct fact_record {
	struct str text;     /* TXT: its strings joined; MX, PTR, NS, CNAME, SRV: the name; A, AAAA: the address as text */
	unsigned preference; /* MX; SRV: the priority */
	unsigned port;       /* SRV */
	struct str data;     /* the raw data of the record */
};

struct fact_dns {
	enum fact_state state;
	struct fact_record *records; /* of the type that was asked for, at the end of the CNAMEs */
	size_t n;
	struct str alias; /* the end of the CNAMEs; "": there is none */
	uint32_t ttl;     /* seconds that the answer can still be in caches */
	bool secure, bogus;
	struct str why; /* UNKNOWN: the reason in words */
	struct str server;
	uint64_t ms; /* how long the answer took */
};

/* One dialogue with a mail server, or with a listener of ours. Commands are sent one after another as they are given
 * ("MAIL FROM:<>"), after EHLO and, as `tls` says, STARTTLS; QUIT is sent in any case. DATA is never sent. */
enum probe_tls { PROBE_PLAIN, PROBE_STARTTLS, PROBE_IMPLICIT };
struct probe {
	struct str host; /* an address as text, or a name, which is resolved by VIEW_WORLD */
	unsigned port;
	enum probe_tls tls;
	unsigned tls_most;     /* enum tls_version: the highest version to offer; 0: all */
	struct str tls_name;   /* SNI, and the name that the certificate is verified for; "": host */
	struct str source;     /* local address; "": any */
	struct str_list lines; /* commands behind EHLO (and STARTTLS) */
};

struct fact_probe {
	enum fact_state state; /* THERE: a connection was made; UNKNOWN: not, see why; the others are not used */
	struct str why;
	bool refused, timed_out, unreachable; /* how it failed */
	struct str address;                   /* the peer's */
	struct str greeting;                  /* with the code; "": none came */
	struct str ehlo;                      /* all lines of the last EHLO's answer, with '\n' between them */
	struct str ehlo_clear;                /* the same before STARTTLS */
	struct str *replies;                  /* to `lines`, as far as they were sent */
	size_t replies_n;
	bool tls;           /* a handshake was made */
	struct str tls_why; /* why not, when it was tried */
	struct str tls_text;
	struct str chain_pem; /* of the server */
	struct str verify;    /* "": the certificate is good for tls_name by the system's authorities; else why not */
};

struct doctor; /* a run */

/* The answer is good until the run ends. `name` need not be kept by the caller. */
const struct fact_dns *facts_dns(struct doctor *d, enum doctor_view view, struct str name, unsigned type);
const struct fact_probe *facts_probe(struct doctor *d, const struct probe *p);

/* What the relay that runs here says; asked once, on demand. */
struct fact_upstream {
	enum fact_state state; /* THERE: tested, see below; UNKNOWN: the test could not be made */
	struct verdict verdict;
	unsigned step, meaning; /* as upstream_tested has them */
	struct str remote, tls, mechanism, extensions;
};
const struct fact_upstream *facts_upstream(struct doctor *d, struct str name);

/* What can be seen on this machine, found once before the first run (machine.c; the owner of each group adds its fields).
 * In the daemon only what a role can see is there. */
struct machine_facts;
const struct machine_facts *facts_machine(struct doctor *d);

/* ---- the situation ---- */

struct doctor_address {
	struct sockaddr_storage at;
	struct str text;
};

struct doctor_domain {
	struct str name;
	bool by_mx, by_upstream; /* which ways mail of this domain can take */
	const struct cfg_upstream **upstreams;
	size_t upstreams_n;
	struct str_list senders; /* addresses (no patterns) of this domain that the configuration names */
};

struct situation {
	bool mx, upstream, container;
	struct doctor_address *addresses; /* that we send from, as the world sees them */
	size_t addresses_n;
	struct str addresses_from; /* "delivery.source", …; "": none is known */
	struct doctor_domain *domains;
	size_t domains_n;
	bool deep, offline;
};

const struct config *doctor_config(const struct doctor *d);
const struct situation *doctor_situation(const struct doctor *d);
struct arena *doctor_arena(struct doctor *d);
uint64_t doctor_now(const struct doctor *d); /* ms UTC */

/* ---- findings ---- */

enum doctor_result { DOCTOR_OK, DOCTOR_ADVICE, DOCTOR_WARNING, DOCTOR_FAILURE, DOCTOR_UNKNOWN, DOCTOR_SKIPPED, DOCTOR_IGNORED };

enum doctor_check {
#define CHECK(ID, id, situations, run, why) CHECK_##ID,
#include "checks.def"
	DOCTOR_CHECKS
};

struct doctor_finding {
	enum doctor_check check;
	enum doctor_result result;
	struct str domain;  /* the sender domain that it is about; "": the machine */
	struct str subject; /* an address, a selector, a host …; "" */
	struct str text;    /* what was found, in words: one sentence without the subject's repetition */
	struct str why;     /* why it matters; "": that of the table */
	struct str found, expected;
	struct {
		struct str text; /* what to do, in words */
		const struct dns_entry *records;
		size_t records_n;
		struct str config, command;
	} remedy;
	struct str after; /* SKIPPED: the check to be mended first, or the reason */
};

/* The check that runs now has found this; everything in it must live as long as the run. A check that finds nothing wrong says so
 * once for each subject, with DOCTOR_OK. */
void finding_add(struct doctor *d, const struct doctor_finding *f);
/* The common short forms. */
void finding_ok(struct doctor *d, struct str domain, struct str subject, struct str text);
void finding_unknown(struct doctor *d, struct str domain, struct str subject, struct str why);
void finding_skip(struct doctor *d, struct str domain, struct str subject, struct str after);

/* The worst result of an earlier check in this run, for this domain and subject ("" = any): so that one cause is one failure. */
enum doctor_result result_of(struct doctor *d, enum doctor_check check, struct str domain, struct str subject);

typedef void (*check_fn)(struct doctor *d);
#define CHECK(ID, id, situations, run, why) void run(struct doctor *d);
#include "checks.def"

#endif
