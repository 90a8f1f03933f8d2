/* txt.h - what the checks of records share. */
#ifndef POSTHOUSE_DOCTOR_TXT_H
#define POSTHOUSE_DOCTOR_TXT_H

#include "doctor.h"

#include "posthouse/dmarc.h"
#include "posthouse/profiles.h"
#include "posthouse/records.h"
#include "posthouse/spf.h"

/* A text in the arena of the run. */
#define SAY(...) arena_printf(doctor_arena(d), __VA_ARGS__)

/* ---- txt.c ---- */

/* A record for a remedy; `was` is in the DNS now, "": nothing. */
const struct dns_entry *entry_of(struct doctor *d, const char *type, struct str name, struct str value, struct str was);
/* Nothing can be said: the answer is pending, or a finding tells that it is unknown. False: it is there, or surely not there. */
bool answer_missing(struct doctor *d, const struct fact_dns *f, struct str domain, struct str subject);
/* The texts at a name that begin with a version ("v=DMARC1"), with what people write wrong around it: letters of the other case,
 * blanks and quotes in front. */
struct str_list texts_like(struct doctor *d, const struct fact_dns *f, struct str version);
/* Does the configuration have a key for the domain, or for a parent of the same organisation? NULL: no. */
const struct cfg_sign *key_of(struct doctor *d, struct str domain);
/* The domain that an upstream belongs to. */
struct str upstream_domain(const struct cfg_upstream *u);

/* ---- dmarc_facts.c ---- */

/* The DMARC record that holds for a domain: at the domain, else at the organisational domain (RFC 7489 6.6.3). */
struct dmarc_found {
	const struct fact_dns *fact; /* that of the last name that was looked at */
	struct str domain;           /* where it is: without "_dmarc."; "": there is none */
	struct str text;             /* the first one */
	size_t n;                    /* how many there are at that name */
	bool valid;                  /* one that can be read: */
	struct dmarc_record record;
	struct str why; /* not valid: what is wrong with it */
};
struct dmarc_found dmarc_of(struct doctor *d, struct str domain);
/* The policy that holds for mail from the domain; DMARC_NONE without a valid record. */
enum dmarc_policy dmarc_policy_for(const struct dmarc_found *found, struct str domain);
/* Is mail from `domain` signed by a key in a way that aligns? *broken_out: there is such a key, but its record is not good. */
bool dkim_aligns(struct doctor *d, struct str domain, bool strict, bool *broken_out);

/* ---- spf_facts.c ---- */

/* The SPF record of a domain: the first text that is one, and how many there are. f->state tells the rest. */
struct spf_found {
	const struct fact_dns *fact;
	struct str text; /* "": there is none */
	size_t n;
};
struct spf_found spf_record_of(struct doctor *d, struct str domain);
/* check_host() with the answers of the run; `sender` "": none. */
void spf_ask(struct doctor *d, struct str address, struct str sender, struct str domain, bool whole, struct spf_outcome *out);
/* The whole record as a tree; false: pending. The address is one of ours, or any. */
bool spf_tree(struct doctor *d, const struct doctor_domain *domain, struct spf_outcome *out);

/* The name that a record has to include for an upstream: that of its profile, or of the upstream's own domain when the record
 * there has the upstream's address. "": it is not known, or (*pending_out) a fact is not there. */
struct str spf_include_of(struct doctor *d, const struct cfg_upstream *u, bool *pending_out);
/* Does the tree include it, or another name of the same organisation? */
bool spf_includes(const struct spf_node *node, struct str name);

/* The one record that the domain should have: what is in `old`, and what is missing of ours. */
const struct dns_entry *spf_proposal(struct doctor *d, const struct doctor_domain *domain, struct str old);

#endif
