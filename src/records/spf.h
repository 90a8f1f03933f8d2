/* spf.h - what the files of SPF share. */
#ifndef POSTHOUSE_RECORDS_SPF_H
#define POSTHOUSE_RECORDS_SPF_H

#include "posthouse/spf.h"

/* spf_macro.c */
/* The syntax of a domain-spec (RFC 7208 7.1; with_end: it ends in a top label or a macro). *why_out: what is wrong, in words. */
bool spf_spec_valid(struct arena *a, struct str spec, bool with_end, bool *macros_out, struct str *why_out);

struct spf_values {
	struct str sender, local, sender_domain, domain, address, helo;
	struct str validated; /* p: name of the address, "unknown" when there is none */
	bool ipv6;
	uint8_t bytes[16];
};
/* The domain-spec with its macros replaced; at most 253 bytes: labels on the left go (RFC 7208 7.3). */
struct str spf_expand(struct arena *a, struct str spec, const struct spf_values *v);
bool spf_uses_p(struct str spec);

/* A name that can be asked: labels of 1 to 63 bytes, 253 in all, at least two labels. */
bool spf_name_valid(struct str name);

/* spf_mechanism.c */
bool spf_in_network(const uint8_t *address, const uint8_t *network, unsigned bits);

enum { SPF_TYPE_A = 1, SPF_TYPE_PTR = 12, SPF_TYPE_MX = 15, SPF_TYPE_TXT = 16, SPF_TYPE_AAAA = 28 };

struct spf_run {
	struct arena *arena;
	const struct spf_question *q;
	struct spf_outcome *out;
	struct spf_values values;
	bool named; /* values.validated is known */
};

/* What a mechanism says: it matches, it does not, or the evaluation ends in an error, which the node tells. */
enum spf_match { SPF_NO_MATCH, SPF_MATCHES, SPF_BROKEN };

/* Always SPF_BROKEN. */
enum spf_match spf_broken(struct spf_node *node, enum spf_result result, struct str why);
bool spf_needs_lookup(enum spf_kind kind);
/* Terms are counted before the look-up is made (RFC 7208 4.6.4). False: there are too many, which the node tells. */
bool spf_counted(struct spf_run *r, struct spf_node *node, struct spf_step *step);
/* The domain of the step's term, with macros expanded. */
void spf_find_target(struct spf_run *r, struct spf_node *node, struct spf_step *step);
struct spf_answer spf_look_up(struct spf_run *r, struct str name, unsigned type);
/* `step` has its target, and is counted; every kind but SPF_INCLUDE. Modifiers do not match. */
enum spf_match spf_match_mechanism(struct spf_run *r, struct spf_node *node, struct spf_step *step);

#endif
