/* dmarc.h - DMARC (RFC 7489): records, organisational domains, alignment. Pure functions; texts live in the arena. */
#ifndef POSTHOUSE_DMARC_H
#define POSTHOUSE_DMARC_H

#include "posthouse/arena.h"

/* ---- public_suffix.c ---- */

/* The part of a name under which its owner registered it: "example.co.uk" of "a.b.example.co.uk" (RFC 7489 3.2, by the list of
 * public suffixes that libpsl has). A public suffix, and a name without dots, is its own. `name` is lower-case A-labels. */
struct str organisational_domain(struct str name);
/* The same organisation? `strict`: the same name (RFC 7489 3.1). */
bool domains_align(struct str one, struct str other, bool strict);

/* ---- dmarc.c ---- */

enum dmarc_policy { DMARC_NONE, DMARC_QUARANTINE, DMARC_REJECT };
extern const char *const dmarc_policy_names[];

struct dmarc_record {
	enum dmarc_policy policy, subdomains; /* p, and sp (without one: p) */
	bool adkim_strict, aspf_strict;
	unsigned pct;
	struct str_list rua; /* as they are written, without the limit of a size ("!10m") */
};

/* Is it meant to be a DMARC record, with or without faults? Other texts at the name do not count. */
bool dmarc_likely(struct str text);
/* False: receivers take it for no record (RFC 7489 6.3, 6.6.3); `why_out` says why, in words. Unknown tags are no fault. */
bool dmarc_parse(struct arena *a, struct str text, struct dmarc_record *record_out, struct str *why_out);
/* The record with the faults taken out: what can be read stays, p=none where no policy can be read, and rua= where none is. */
struct str dmarc_mended(struct arena *a, struct str text, struct str rua);

/* ---- texts.c: records of one tag list ---- */

/* BIMI: l= of an assertion record; its words in fault_out, "": in order. */
struct str bimi_logo(struct arena *a, struct str text, struct str *fault_out);

/* CAA (RFC 8659 4.1): the raw data of a record. False: it is damaged. `value` is without its parameters. */
struct caa {
	bool critical;
	struct str tag, value;
};
bool caa_read(struct str data, struct caa *caa_out);

#endif
