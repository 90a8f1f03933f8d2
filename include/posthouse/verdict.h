/* verdict.h - the one value that says how something went: from SASL, store or next hop to the SMTP reply, the retry,
 * the log line and the report. */
#ifndef POSTHOUSE_VERDICT_H
#define POSTHOUSE_VERDICT_H

#include "posthouse/str.h"

struct arena;

enum verdict_class { OK = 0, TEMP = 1, PERM = 2 };

struct verdict {
	enum verdict_class class;
	uint16_t code;       /* RFC 5321 reply code; 0 with OK means "the verb's own" */
	struct str enhanced; /* RFC 3463, as "4.3.0"; can be empty */
	struct str text;     /* a view: across an asynchronous callback it lives until the callback returns */
};

static inline struct verdict ok(void)
{
	return (struct verdict){ .class = OK };
}

static inline struct verdict ok_text(uint16_t code, struct str enhanced, struct str text)
{
	return (struct verdict){ .class = OK, .code = code, .enhanced = enhanced, .text = text };
}

static inline struct verdict temp(uint16_t code, struct str enhanced, struct str text)
{
	return (struct verdict){ .class = TEMP, .code = code, .enhanced = enhanced, .text = text };
}

static inline struct verdict perm(uint16_t code, struct str enhanced, struct str text)
{
	return (struct verdict){ .class = PERM, .code = code, .enhanced = enhanced, .text = text };
}

/* The length of the code "class.subject.detail" (RFC 3463 2) at the front of `s`; 0: there is none. */
size_t enhanced_length(struct str s);

/* The same verdict with its views copied into the arena. */
struct verdict verdict_keep(struct arena *a, struct verdict v);

#endif
