/* dkim_record.h - DKIM key records (RFC 6376 3.6.1, RFC 8463) as they are found in DNS, beside what they should be. The text of a
 * record for a key: dkim_record_text() in records.h. Pure functions; texts live in the arena. */
#ifndef POSTHOUSE_DKIM_RECORD_H
#define POSTHOUSE_DKIM_RECORD_H

#include "posthouse/arena.h"

/* What verifiers make of a record, from the best to the worst: GOOD; POOR: some stumble over it; TEST: many ignore signatures
 * with it; BAD: no signature of ours can be verified. */
enum dkim_grade { DKIM_RECORD_GOOD, DKIM_RECORD_POOR, DKIM_RECORD_TEST, DKIM_RECORD_BAD };

struct dkim_judgement {
	enum dkim_grade grade;
	struct str words; /* the worst of what is wrong: "is cut after 255 characters"; "": GOOD */
	bool revoked;     /* p= is empty */
};

/* The published text beside `ours`, the text of the record that belongs to our key. `subdomain`: a domain below the key's own
 * signs with it, which t=s forbids. */
struct dkim_judgement dkim_record_judge(struct arena *a, struct str published, struct str ours, bool subdomain);

/* Is it meant to be such a record at all? Other texts come from wildcards. */
bool dkim_record_likely(struct str text);

/* The bits of an RSA key in a record; 0: it has none. */
unsigned dkim_record_rsa_bits(struct arena *a, struct str text);

#endif
