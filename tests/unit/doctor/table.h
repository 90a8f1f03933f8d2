/* table.h - a run of doctor over a table: a configuration text, DNS records as lines, answers of mail servers, facts of the machine.
 *
 * Records, one in a line: "NAME TYPE DATA", as "example.org MX 10 mx.example.org". PTR can have an address in place of the name:
 * "203.0.113.25 PTR relay.example.org". TXT data is one text, or strings in quotes side by side. CAA: `0 issue "ca.example"`;
 * TLSA: "3 1 1 HEX"; SOA: "SERIAL"; SRV: "PRIORITY WEIGHT PORT TARGET". Further types: SERVFAIL (every question for the name gets no
 * answer), SECURE and BOGUS (what validation says of the name). A name that has none of these but has names below it is empty;
 * other names do not exist. CNAMEs are followed. The TTL of all is 300 s. */
#ifndef POSTHOUSE_TEST_DOCTOR_TABLE_H
#define POSTHOUSE_TEST_DOCTOR_TABLE_H

#include "../config/fixture.h"

#include "doctor.h"

#define ADDRESSES       "doctor = { addresses = [ \"203.0.113.25\", \"2001:db8::25\" ]; }; "
#define DIRECT          ADDRESSES "auth = { realm = \"example.org\"; }; "
#define BASICS_UPSTREAM "upstreams = ( { name = \"isp\"; host = \"smtp.isp.example\"; } ); "
/* What a correct world has, for DIRECT. */
#define WORLD                                                                                                                    \
	"example.org SOA 1\nexample.org NS ns.example.org\nns.example.org A 203.0.113.53\n"                                      \
	"relay.example.org A 203.0.113.25\nrelay.example.org AAAA 2001:db8::25\nrelay.example.org TXT v=spf1 a -all\n"           \
	"203.0.113.25 PTR relay.example.org\n2001:db8::25 PTR relay.example.org\n"                                               \
	"example.org MX 10 mx.mailbox.test\nmx.mailbox.test A 203.0.113.80\n"                                                    \
	"example.org TXT v=spf1 ip4:203.0.113.25 ip6:2001:db8::25 -all\n"                                                        \
	"_dmarc.example.org TXT v=DMARC1; p=none; rua=mailto:postmaster@example.org\n"

struct table;

/* The configuration gets host name, postmaster and a certificate when it does not begin with "hostname". It must be good. Files of
 * config/fixture.h can be named: the group set-up of the test is fixture_open(), its tear-down fixture_close(). */
struct table *table_new(const char *config);
void table_free(struct table *t);

void table_records(struct table *t, const char *records); /* of all views; more can be added */
/* WORLD, but names of these lines have only these records. */
void table_replaced(struct table *t, const char *lines);
/* What one name server says when it is asked by itself; names of these lines have only these records there. */
void table_server(struct table *t, const char *address, const char *lines);
/* Names of these lines have only these records in this view. */
void table_view(struct table *t, enum doctor_view view, const char *records);
/* WORLD, with `records` added, or replacing the records of the names that they have when it begins with '!'. */
void table_world(struct table *t, const char *records);
/* The answer of the server at host and port, whatever is asked; without one: time-out. Views must outlive the table. */
void table_probe(struct table *t, const char *host, unsigned port, struct fact_probe answer);
void table_upstream(struct table *t, const char *name, struct fact_upstream answer);
/* Only these checks ("spf.*"), and those that they ask for. A run of all takes long. */
void table_only(struct table *t, const char *pattern);
/* Vault's answer for every key; NULL: no relay runs. */
extern const struct fact_policy *table_policy; /* of all domains; NULL: nobody can be asked */
extern struct fact_sample (*table_sample)(struct arena *a, struct str domain, struct str selector);
/* For how long (ms) everything has been as it is. */
extern uint64_t table_age;
/* To be changed before the run. */
struct doctor_options *table_options(struct table *t);

/* Looks until nothing is pending; what is asked for is there at the next look. */
void table_run(struct table *t);
/* In its place: one look, then time is over. */
void table_stop(struct table *t);
struct doctor *table_doctor(struct table *t); /* NULL before the run */

/* The first finding of that check with that result, whose sentence (subject and text, or why, remedy, after) has the words; fails
 * the test when there is none. */
const struct doctor_finding *expect(struct table *t, const char *id, enum doctor_result result, const char *words);
/* No finding of these checks ("*" for all, "spf.*") but ok, advice and skipped. */
void expect_silent(struct table *t, const char *pattern);
/* Run the checks, expect that of `id`, which is silent where there are no words, and free the table. */
void table_end(struct table *t, const char *id, enum doctor_result result, const char *words);

/* One planted fault: a run of `config` with table_world(records), then expect(). The table is freed. */
void plant(const char *config, const char *records, const char *id, enum doctor_result result, const char *words);

#endif
