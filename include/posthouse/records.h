/* records.h - DNS records around mail: how they are written for people and programs that publish them. Pure functions: no I/O, no
 * clock. Texts that are made are in the arena or the buffer that is given. */
#ifndef POSTHOUSE_RECORDS_H
#define POSTHOUSE_RECORDS_H

#include "posthouse/arena.h"
#include "posthouse/buf.h"

#include <openssl/types.h>

/* ---- entries: what somebody is to publish ---- */

/* How an entry compares with what is in the DNS. */
enum dns_entry_state {
	ENTRY_MISSING,   /* to be added */
	ENTRY_CHANGED,   /* to be published in place of `was` */
	ENTRY_GOOD,      /* it is there already */
	ENTRY_ADVICE,    /* somebody has to decide about it, or to fill it in */
	ENTRY_ELSEWHERE, /* it is not for this zone: reverse names, which the owner of the address sets */
};

/* One record. */
struct dns_entry {
	const char *type;   /* "A", "TXT" … */
	struct str name;    /* in full, without the final dot; of ENTRY_ELSEWHERE: the address */
	struct str value;   /* TXT: the whole text, without quotes; others: as zone files have it, names with the final dot */
	unsigned ttl;       /* seconds; 0: as the zone has it */
	struct str comment; /* for people; "": none */
	struct str was;     /* ENTRY_CHANGED: the value that is in the DNS now */
	enum dns_entry_state state;
};

/* A list that grows in its arena. */
struct dns_entries {
	struct arena *arena;
	struct dns_entry *at;
	size_t n, capacity;
};
/* A new entry at the end of the list, to be filled in further. It is good until the next call. */
struct dns_entry *dns_entries_add(struct dns_entries *list, const char *type, struct str name, struct str value);

/* `name` as the zone `origin` has it: "@", "relay"; a name outside stays in full, with the final dot. */
struct str dns_name_in(struct arena *a, struct str name, struct str origin);

/* ---- written forms (zone.c, forms.c) ---- */

/* The value as zone files have it. TXT: strings in quotes, of 255 bytes at most (RFC 1035 3.3), with blanks between. */
struct str dns_value_text(struct arena *a, const struct dns_entry *e);
/* One record on one line: `relay.example.org.  TXT  "v=spf1 a -all"`. */
struct str dns_entry_line(struct arena *a, const struct dns_entry *e);

/* A zone file (RFC 1035 5) with names relative to `origin`. What is good already, advice, and what is for elsewhere are comments.
 * `title` becomes its first comment: "written by posthouse init on 2027-03-02". */
void dns_write_zone(struct buf *out, const struct dns_entries *list, struct str origin, struct str title);
/* For the forms of registrars: type and name; the value on a line of its own, unbroken and without quotes; the name in full. */
void dns_write_table(struct buf *out, const struct dns_entries *list, struct str origin);
/* For the console of Route 53: a record set for each name and type, names in full, TXT as quoted strings side by side. */
void dns_write_route53(struct buf *out, const struct dns_entries *list);

/* ---- keys (dkim_record.c) ---- */

/* The text of the DKIM record of a key (RFC 6376 3.6.1, RFC 8463 4). "": neither RSA nor Ed25519. */
struct str dkim_record_text(struct arena *a, const EVP_PKEY *key);

#endif
