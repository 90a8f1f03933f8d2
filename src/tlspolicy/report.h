/* report.h - a report about TLS to the servers of one domain (RFC 8460 4): from what was counted to the file that is sent. Pure
 * functions. */
#ifndef TLSPOLICY_REPORT_H
#define TLSPOLICY_REPORT_H

#include "posthouse/arena.h"
#include "posthouse/tls_result.h"
#include "posthouse/units.h"

/* Which policy a session was judged by: policy-type of RFC 8460 4.4. The numbers are stored. */
enum report_policy { REPORT_NO_POLICY, REPORT_TLSA, REPORT_STS };

/* Sessions that failed in the same way. Empty texts are left out of the report. */
struct report_failure {
	enum tls_result result;
	struct str source;   /* our address */
	struct str host, ip; /* the mail server and its address */
	struct str helo;     /* as which it greeted */
	struct str reason;
	uint64_t count;
};

struct report_policy_counts {
	enum report_policy type;
	struct str domain; /* whose policy it is: the TLSA base domain, else the domain of the recipients (RFC 8460 1.1) */
	struct str text;   /* its lines, each with "\n" behind it: policy-string */
	struct str mx;     /* MTA-STS: its patterns, each with "\n" behind it: mx-host */
	uint64_t successful, failed;
	const struct report_failure *failures;
	size_t failures_n;
};

struct report {
	struct str domain;       /* whose servers it is about, and who gets it */
	struct str org, contact; /* as configured; contact is an address */
	struct str id;
	uint64_t day_ms; /* the beginning of its day, UTC */
	const struct report_policy_counts *policies;
	size_t policies_n;
};

/* The JSON of RFC 8460 4.4, for people to read or as short as it can be. */
struct str report_json(struct arena *a, const struct report *r, bool for_people);

/* RFC 8460 5.1, with the extension of a compressed file. `sender`: the domain of `contact`. */
struct str report_file_name(struct arena *a, const struct report *r);

/* RFC 1952. The same text gives the same bytes. */
struct str report_gzip(struct arena *a, struct str text);

#endif
