/* spf.h - SPF records (RFC 7208): read with the place of an error, evaluated for an address, and merged with what is ours.
 * No I/O: answers of DNS come from a callback, which can say that one is not there yet. Everything lives in the arena. */
#ifndef POSTHOUSE_SPF_H
#define POSTHOUSE_SPF_H

#include "posthouse/arena.h"

/* ---- spf_parse.c ---- */

enum spf_kind {
	SPF_ALL,
	SPF_INCLUDE,
	SPF_A,
	SPF_MX,
	SPF_PTR,
	SPF_IP4,
	SPF_IP6,
	SPF_EXISTS,
	SPF_REDIRECT, /* modifiers from here on */
	SPF_EXP,
	SPF_OTHER,
};

struct spf_term {
	enum spf_kind kind;
	char qualifier;        /* '+' '-' '~' '?'; 0: a modifier */
	struct str text;       /* as it is written */
	size_t at;             /* where it is in the record */
	struct str domain;     /* domain-spec with its macros; "": none, the domain that is evaluated */
	bool macros;           /* in `domain` */
	unsigned bits4, bits6; /* prefix lengths; 32 and 128 when none is written */
	uint8_t address[16];   /* ip4 (its first 4 bytes), ip6 */
};

struct spf_record {
	struct spf_term *terms;
	size_t n;
	const struct spf_term *all, *redirect; /* the first of each; NULL: there is none */
};

struct spf_fault {
	size_t at;       /* byte of the record, from 0 */
	struct str term; /* the one with the fault */
	struct str why;  /* in words: "111.222.33.44 is no name" */
};

/* Is it an SPF record: "v=spf1", then a blank or the end (RFC 7208 4.5)? */
bool spf_is_record(struct str text);
/* False: a syntax error (RFC 7208 4.6), told in fault_out; the terms before it are there. */
bool spf_parse(struct arena *a, struct str text, struct spf_record *record_out, struct spf_fault *fault_out);

/* One term, which begins at byte `at` of a record; false: `why_out` says what is wrong with it. */
bool spf_read_term(struct arena *a, struct str text, size_t at, struct spf_term *term_out, struct str *why_out);

/* ---- spf_check.c ---- */

enum spf_result { SPF_NONE, SPF_NEUTRAL, SPF_PASS, SPF_FAIL, SPF_SOFTFAIL, SPF_TEMPERROR, SPF_PERMERROR };
extern const char *const spf_result_names[];

enum spf_dns { SPF_DNS_PENDING, SPF_DNS_THERE, SPF_DNS_EMPTY, SPF_DNS_NO_NAME, SPF_DNS_ERROR };
struct spf_answer {
	enum spf_dns state;
	const struct str *values; /* TXT: strings joined; A, AAAA: addresses as text; MX, PTR: names */
	size_t n;
};
/* `type` is that of DNS: 1 A, 12 PTR, 15 MX, 16 TXT, 28 AAAA. The answer must be the same each time. */
typedef struct spf_answer (*spf_lookup_fn)(void *ctx, struct str name, unsigned type);

struct spf_question {
	struct str address; /* of the client, as text */
	struct str sender;  /* "alice@example.org"; "": postmaster@ the HELO name (RFC 7208 2.4) */
	struct str helo;
	struct str domain; /* to begin with; "": that of the sender */
	/* Do not stop at a match, an error or a limit, so that the tree has all terms and the counts are of the whole record;
	 * the result has no meaning then. */
	bool whole;
	spf_lookup_fn lookup;
	void *ctx;
};

#define SPF_LOOKUPS_MAX 10 /* RFC 7208 4.6.4 */
#define SPF_VOIDS_MAX   2
#define SPF_HOSTS_MAX   10 /* of one mx or ptr */

/* A record with what became of its terms. */
struct spf_step {
	const struct spf_term *term;
	struct str target;      /* the domain that was asked, macros expanded; "": none */
	struct spf_node *child; /* include, redirect; NULL: not looked at */
	bool reached, matched;
	unsigned lookups; /* terms that were counted until after this one */
	unsigned hosts;   /* mx: how many there are */
	unsigned voids;   /* look-ups of this term (without its child's) that found nothing */
};
struct spf_node {
	struct str domain;
	struct str text; /* its record; "": none */
	struct spf_record record;
	struct spf_step *steps; /* one for each term of the record */
	enum spf_result result;
	struct str why; /* an error, in words */
};

struct spf_outcome {
	bool pending; /* an answer is not there yet: nothing else has a meaning */
	enum spf_result result;
	struct str why;               /* an error, in words */
	struct str where;             /* the domain whose record decided */
	const struct spf_term *match; /* the term that decided; NULL: none */
	unsigned lookups, voids;
	struct spf_node *tree; /* of the first record; NULL: the domain is no name */
};

/* check_host() of RFC 7208 4. Explanations (exp=) are read, but not fetched. */
void spf_check(struct arena *a, const struct spf_question *q, struct spf_outcome *out);

/* ---- spf_merge.c ---- */

struct spf_wish {
	struct str_list terms; /* ours: "ip4:203.0.113.25", "ip6:2001:db8::25", "include:spf.isp.example" */
	/* How a new record ends, and one that ends in nothing, "?all" or "+all": "~all", "-all"; "": its end stays. */
	struct str all;
};

struct spf_merged {
	struct str text;
	struct str dropped; /* terms of the old record that are no terms, with blanks between; "" */
	bool changed;       /* it is not the old record */
	/* Longer than what an answer over UDP surely carries (RFC 7208 3.4: 450 bytes with all other TXT records of the name). */
	bool long_text;
};

/* The one record that has the terms of `old` ("": there is none; a damaged one is mended as far as that goes) and ours: addresses
 * in front, includes before `all` or `redirect`. What is there already, or covered by a network there, is not added. */
void spf_merge(struct arena *a, struct str old, const struct spf_wish *wish, struct spf_merged *merged_out);

#endif
