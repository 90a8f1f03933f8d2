/* doctor.h - the room that looks at everything a mail relay needs around it, and says what is wrong, why it matters and what
 * mends it: DNS records, reverse names, ports, certificates, this machine. The command `posthouse doctor` and the role
 * doctor use it.
 *
 * A run (struct doctor) has a configuration, a source of facts, and findings. Checks are pure functions over the facts; what
 * is not known at that moment is PENDING, and the source fetches it. doctor_look() runs all checks with fresh findings,
 * again and again, until no check has met a pending fact. doctor_start() does that on a loop with real questions; unit tests
 * have a table of answers (tests/unit/doctor/table.h).
 *
 * Everything lives in the arena of the run. Names of domains are lower-case A-labels without the final dot. */
#ifndef POSTHOUSE_DOCTOR_H
#define POSTHOUSE_DOCTOR_H

#include "posthouse/arena.h"
#include "posthouse/config.h"
#include "posthouse/probe.h"
#include "posthouse/verdict.h"

#include <sys/socket.h>
#include <uv.h>

struct dns_entry; /* records.h */

/* ---- facts ---- */

/* Whose answer counts: the resolver of the configuration, as this network's clients see it; a recursion of our own, as the
 * world sees it (the first, when that is not possible here); the name servers of the domain itself, without any cache. */
enum doctor_view { VIEW_CLIENTS, VIEW_WORLD, VIEW_OWN, VIEW_MAIL }; /* MAIL: as CLIENTS, and validated as mail has it */

struct fact_record {
	struct str text;     /* TXT: its strings joined; MX, PTR, NS, CNAME, SRV, SOA: the name; A, AAAA: the address as text */
	unsigned preference; /* MX; SRV: the priority */
	unsigned port;       /* SRV */
	uint32_t serial;     /* SOA */
	struct str data;     /* TXT, CAA, TLSA and types that are not named here: the raw data of the record */
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

/* The test of an upstream by the relay that runs here. */
struct fact_upstream {
	enum fact_state state; /* THERE: tested, see below; UNKNOWN: the test could not be made, see verdict.text */
	struct verdict verdict;
	unsigned step, meaning; /* as upstream_tested has them */
	uint64_t size;          /* of messages, that it takes; 0: it did not say */
	struct str remote, tls, mechanism, extensions;
};

/* The signature of dkim_sample_digest() (verify.h) that the vault of the relay that runs here made with a key. */
struct fact_sample {
	enum fact_state
		state; /* THERE: made; EMPTY: vault does not have the key, or it does not work; UNKNOWN: nobody could be asked */
	struct str why, signature;
};

/* The MTA-STS policy of a domain, as the relay that runs here finds it by HTTPS. */
struct fact_policy {
	enum fact_state state; /* THERE: it was found; EMPTY: it was not, see `why`; UNKNOWN: nobody could be asked */
	struct str why;
	unsigned mode;      /* enum sts_mode of tls_policy.h */
	struct str_list mx; /* its patterns */
};

/* What can be seen on this machine, found once before the run (machine.h). */
struct machine_facts;

/* Where facts come from. Each function is called once for a fact: it fills in the answer, at once or later, whose state is
 * PENDING until then; texts of the answer live as long as the run (doctor_arena()). */
struct dns_question {
	enum doctor_view view;
	struct str name;
	unsigned type;      /* enum dns_type of dns.h */
	struct str servers; /* VIEW_OWN: "192.0.2.1 2001:db8::1" */
};
struct doctor_source {
	void *ctx;
	void (*dns)(void *ctx, const struct dns_question *q, struct fact_dns *answer);
	void (*probe)(void *ctx, const struct probe *p, struct fact_probe *answer);
	void (*upstream)(void *ctx, struct str name, struct fact_upstream *answer);
	void (*sample)(void *ctx, struct str domain, struct str selector, struct fact_sample *answer);
	void (*policy)(void *ctx, struct str domain, struct fact_policy *answer);
	/* Since when (ms UTC) all runs have found the same `what` under this key; at once. */
	uint64_t (*since)(void *ctx, struct str key, struct str what);
};

/* ---- the situation ---- */

struct doctor_address {
	struct sockaddr_storage at;
	struct str text;
};

struct doctor_domain {
	struct str name;
	bool by_mx, by_upstream; /* which ways mail of this domain can take */
	bool foreign;            /* it is not ours to publish for: it is that of the provider by whose upstream it goes */
	const struct cfg_upstream **upstreams;
	size_t upstreams_n;
	struct str_list senders; /* addresses (no patterns) of this domain that the configuration names */
};

struct situation {
	bool mx, upstream, container;
	bool mx_is_spare;                 /* "mx" is in routes only behind an upstream */
	struct doctor_address *addresses; /* that we send from, as the world sees them */
	size_t addresses_n;
	struct str addresses_from; /* "delivery.source", …; "": none is known */
	bool addresses_pending;    /* they depend on a fact that is not there yet */
	struct doctor_domain *domains;
	size_t domains_n;
	bool deep, offline;
};

/* ---- findings ---- */

enum doctor_result { DOCTOR_OK, DOCTOR_ADVICE, DOCTOR_WARNING, DOCTOR_FAILURE, DOCTOR_UNKNOWN, DOCTOR_SKIPPED, DOCTOR_IGNORED };
#define DOCTOR_RESULTS 7
const char *doctor_result_name(enum doctor_result r); /* "ok", "advice", … */

enum doctor_check {
#define CHECK(ID, id, situations, run, why) CHECK_##ID,
#include "posthouse/checks.def"
	DOCTOR_CHECKS
};
const char *doctor_check_id(enum doctor_check check); /* "ptr.exists" */

struct doctor_finding {
	enum doctor_check check;
	enum doctor_result result;
	struct str domain;  /* the sender domain that it is about; "": the machine */
	struct str subject; /* an address, a selector, a host …; "" */
	/* What was found. It is printed behind the subject, or else behind the domain, as one sentence: "has no reverse name".
	 * Where both are empty it is the sentence. */
	struct str text;
	struct str why; /* why it matters; "": that of the table */
	struct str found, expected;
	struct {
		struct str text; /* what to do, in words; can have several lines */
		const struct dns_entry *records;
		size_t records_n;
		struct str config, command;
	} remedy;
	struct str after; /* SKIPPED: the check to be mended first, or the reason */
};

/* ---- a run ---- */

struct doctor_options {
	struct str domain;    /* judge this one only; "": all */
	struct str_list only; /* patterns of ids, as "spf.*"; none: all */
	struct str resolver;  /* in place of the configured one; "": that */
	bool deep, offline;
	bool container;                 /* we run in one */
	struct str_list kernel;         /* the addresses that the kernel would send from */
	struct str_list last_addresses; /* that the last run has found; set by doctor_start() */
	struct str_list temporary;      /* those of them that change by themselves (RFC 8981) */
	const struct machine_facts *machine;
	uint64_t now; /* ms UTC */
};

struct doctor; /* a run */

/* `c` must live as long as the run. */
struct doctor *doctor_new(const struct config *c, const struct doctor_options *o, const struct doctor_source *source);
void doctor_free(struct doctor *d);
struct arena *doctor_arena(struct doctor *d);
const struct situation *doctor_situation(const struct doctor *d);

/* Run all checks once. True: no fact was pending, so the findings are those of the run. */
bool doctor_look(struct doctor *d);
/* No more time: what is pending is unknown from now on, and nothing is asked any more. */
void doctor_give_up(struct doctor *d);

/* What DNS has of a key's record. Asked of the run (check_dkim_keys.c); afterwards everybody can see it. */
enum dkim_sight_state {
	DKIM_SEEN,       /* the record, with this key */
	DKIM_NOT_SEEN,   /* no record */
	DKIM_OTHER_SEEN, /* a record with another key, or with a fault */
	DKIM_UNSEEN,     /* no answer, or none of whom is asked here */
};
struct dkim_sight {
	enum dkim_sight_state own, world; /* at the domain's own servers, and as the world sees it */
	uint32_t ttl;                     /* of the world's answer */
	struct str found, why;            /* what is there; why there is no answer */
};
void dkim_look_at(struct doctor *d, const struct cfg_sign *key, struct dkim_sight *out);

/* In the order of the table. */
const struct doctor_finding *doctor_findings(const struct doctor *d, size_t *n_out);

/* The finding before this one, of the same check and domain, whose remedy has the same records: they are to be published once.
 * NULL: there is none. */
const struct doctor_finding *doctor_same_records(const struct doctor *d, const struct doctor_finding *f);

/* The questions to DNS that the finding's check has asked, one after another; false: no more. */
struct doctor_evidence {
	const struct dns_question *question;
	const struct fact_dns *answer;
};
/* What people are shown of a text that has names of DNS: KEY in place of the key of a customer of Spamhaus. */
struct str text_without_key(struct arena *a, struct str text);
bool doctor_evidence(const struct doctor *d, const struct doctor_finding *f, size_t i, struct doctor_evidence *out);

/* ---- a real run (run.c): looks on a loop until nothing is pending, or its time is over (20 s; with `deep` 60 s) ---- */

struct doctor_hooks {
	void *ctx;
	/* Tests an upstream by the relay that runs here; called on a thread of the pool, and can wait. Texts are in `a`. NULL: no
	 * relay can be asked. */
	void (*upstream)(void *ctx, struct arena *a, struct str name, struct fact_upstream *answer);
	void (*done)(void *ctx); /* the findings are there */
	/* As `upstream`, for a sample of vault's. */
	void (*sample)(void *ctx, struct arena *a, struct str domain, struct str selector, struct fact_sample *answer);
	/* As `upstream`, for the MTA-STS policy of a domain. */
	void (*policy)(void *ctx, struct arena *a, struct str domain, struct fact_policy *answer);
};
struct doctor_run;
/* `c` must live until the run is freed. The cache in state_dir is a file of `uid`. */
struct doctor_run *doctor_start(uv_loop_t *loop, const struct config *c, const struct doctor_options *o,
				const struct doctor_hooks *hooks, uid_t uid, gid_t gid);
struct doctor *doctor_of(struct doctor_run *r);
/* Does the world see us by a recursion of our own? No: port 53 outward is closed, or one resolver was asked for. */
bool doctor_sees_world(const struct doctor_run *r);
/* Questions were asked, and none got any answer: there is no DNS here. */
bool doctor_is_deaf(const struct doctor_run *r);
/* Also before it is done; the memory is freed when the last thread has come back. NULL is allowed. */
void doctor_end(struct doctor_run *r);

/* What the runner finds out before a run: the addresses that the kernel would send from (nothing is sent), those of them that are
 * temporary, and whether this is a container. In `a`. */
void doctor_look_around(struct arena *a, struct doctor_options *o);

#endif
