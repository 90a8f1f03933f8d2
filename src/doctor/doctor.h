/* doctor.h - what the checks of doctor share: facts on demand, and how findings are told. See posthouse/doctor.h.
 *
 * A check is a pure function: it does no I/O, keeps no state, and can ask for one thing after another: SPF includes, the
 * addresses of an MX host. A pending fact has no records: the check leaves what depends on it out, and runs again when the
 * fact is there. */
#ifndef POSTHOUSE_DOCTOR_DOCTOR_H
#define POSTHOUSE_DOCTOR_DOCTOR_H

#include "posthouse/dns.h"
#include "posthouse/doctor.h"

const struct config *doctor_config(const struct doctor *d);
uint64_t doctor_now(const struct doctor *d); /* ms UTC */

/* ---- facts.c: the answer is good until the run ends; names and probes need not be kept by the caller ---- */

/* A check asks with VIEW_WORLD or VIEW_CLIENTS. Where it finds a fault in records of our own domains, the engine runs it
 * once more with the answers of the domain's own servers in place of VIEW_WORLD: what is right there is only not seen
 * everywhere for now. */
const struct fact_dns *facts_dns(struct doctor *d, enum doctor_view view, struct str name, unsigned type);
/* The answer of one name server, whose address is a text. */
const struct fact_dns *facts_dns_at(struct doctor *d, struct str server, struct str name, unsigned type);
const struct fact_probe *facts_probe(struct doctor *d, const struct probe *p);
/* `name` of the upstream; or that, a blank, and the address of a sender, which is tried behind the login. */
const struct fact_upstream *facts_upstream(struct doctor *d, struct str name);
/* The greetings of all servers that some check has talked to so far. */
struct str_list facts_greetings(struct doctor *d);
const struct fact_sample *facts_sample(struct doctor *d, struct str domain, struct str selector);
const struct fact_policy *facts_policy(struct doctor *d, struct str domain);
/* The check that runs now has found `what` under this key: since when (ms UTC) have all runs found the same? A check that asks
 * this of a fault also has to say what it has found where all is well, as "". */
uint64_t facts_since(struct doctor *d, struct str key, struct str what);
const struct machine_facts *facts_machine(const struct doctor *d); /* NULL: nothing was looked at */
/* Is it an address (as text) of a private, shared, link-local or loopback network? It has no public reverse name. */
bool address_is_private(struct str address);

/* Can everybody have an address in this domain, as in gmail.com? */
bool domain_is_providers(struct str domain);

/* ---- findings.c ---- */

/* The check that runs now has found this; everything in it must live as long as the run. A check that finds nothing wrong
 * says so once for each subject, with DOCTOR_OK. What is found about a domain that does not exist, or that is not ours, is
 * skipped. */
void finding_add(struct doctor *d, const struct doctor_finding *f);
/* The common short forms; `text` as in struct doctor_finding. finding_skip(): `after` is the id of a check or a reason. */
void finding_ok(struct doctor *d, struct str domain, struct str subject, struct str text);
void finding_unknown(struct doctor *d, struct str domain, struct str subject, struct str text);
void finding_skip(struct doctor *d, struct str domain, struct str subject, struct str after);

/* Add a record to the remedy of a finding that is being made. */
void finding_record(struct doctor *d, struct doctor_finding *f, const char *type, struct str name, struct str value);

/* The worst result of an earlier check in this run, for this domain and subject ("" = any): so that one cause is one failure.
 * Skipped counts as worse than all: it stands for the failure that it comes after. */
enum doctor_result result_of(struct doctor *d, enum doctor_check check, struct str domain, struct str subject);
bool result_is_bad(enum doctor_result r); /* failure, or skipped after one */

/* ---- the checks ---- */

#define CHECK(ID, id, situations, run, why) void run(struct doctor *d);
#include "posthouse/checks.def"

#endif
