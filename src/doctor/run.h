/* run.h - a run of doctor: what its engine's files share. */
#ifndef POSTHOUSE_DOCTOR_RUN_H
#define POSTHOUSE_DOCTOR_RUN_H

#include "doctor.h"

#include "posthouse/hashtable.h"

enum situations { SIT_ALL = 1, SIT_MX = 2, SIT_UP = 4, SIT_BOX = 8, SIT_DEEP = 16, SIT_LOCAL = 32 };

struct check_row {
	const char *id, *why;
	unsigned situations;
};
extern const struct check_row check_rows[DOCTOR_CHECKS];

struct dns_fact {
	struct hashtable_item item;
	struct dns_question question;
	struct fact_dns answer;
};

struct use {
	enum doctor_check check;
	const struct dns_fact *fact;
};

struct doctor {
	void (*const *functions)(struct doctor *d); /* of each check; NULL: not written */
	struct arena arena;
	const struct config *config;
	struct doctor_options options;
	struct doctor_source source;
	struct situation situation;
	size_t addresses_capacity;
	struct hashtable dns, probes, upstreams, samples, policies;
	bool over; /* no more time */

	/* of this look */
	struct doctor_finding *findings;
	size_t findings_n, findings_capacity;
	bool *selected;   /* of each check */
	bool *was_run;    /* of each check: it was run already */
	struct use *uses; /* the facts that each check asked for */
	size_t uses_n, uses_capacity;
	size_t pending; /* facts that were not there */
	enum doctor_check now;
	bool own;       /* the check is run again with the answers of the domains' own servers */
	bool asked_own; /* the check has asked for a name that is ours */
	uint32_t ttl;   /* the longest time that a cache can have one of these answers */
};

/* situation.c: what is judged, from the configuration alone; the addresses (source_address.c) can depend on facts. */
void situation_find(struct doctor *d);
void addresses_find(struct doctor *d);

/* Is it a name that the owner of this relay publishes: that of the relay, one of a sender domain, a reverse name of ours? */
bool name_is_ours(const struct doctor *d, struct str name);
/* Why a name of this form is nothing to the world; "": it can be looked up. */
struct str name_form_fault(struct str name);

/* providers.c: does its mail go by the upstream of the provider whose domain it is? The profile of the provider in whose domain
 * everybody can have an address; "": it has none; NULL: it is no such domain. */
bool domain_is_foreign(const struct doctor_domain *domain);
const char *provider_profile(struct str domain);

/* greeted.c: the address of the best mail server of a domain that has one in the family; "": none (or that is pending). What the
 * server of doctor.probe[domain] answers; NULL: there is none. */
struct str greeted_address(struct doctor *d, struct str domain, bool v6, struct str *host_out);
const struct fact_probe *port25_probe(struct doctor *d, size_t domain, bool v6);

/* engine.c */
void check_run(struct doctor *d, enum doctor_check check);

/* findings.c: the end of a look */
void findings_finish(struct doctor *d);

#endif
