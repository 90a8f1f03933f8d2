/* dns_library.h - questions to name servers by libunbound, in this process. The relay's look-ups ask the role resolver instead,
 * which uses this; programs of one user ask here (dns_open()). */
#ifndef POSTHOUSE_DNS_LIBRARY_H
#define POSTHOUSE_DNS_LIBRARY_H

#include "posthouse/dns.h"

struct dns_options {
	/* "" = the servers of /etc/resolv.conf; "recursive" = from the root servers; else "ADDRESS[@PORT] ..." */
	struct str resolver;
	/* Path of a file with DS or DNSKEY records, or of root.key; "" = no validation ("recursive": Debian's root key if
	 * installed). */
	struct str trust_anchor;
	/* Zones that are not signed, though those above them say otherwise: what they answer is insecure, never bogus. */
	struct str_list unsigned_zones;
	bool ipv4, ipv6; /* address families to look up */
};

struct dns_library;
/* PERM with the reason in `a` (NULL is returned) when the resolver cannot be set up. Reads its files now, never later. */
struct dns_library *dns_library_open(uv_loop_t *loop, const struct dns_options *options, struct arena *a,
				     struct verdict *why_out);
/* Drops what is left of its questions; nobody waits for them any more. The memory is freed when the loop next runs. */
void dns_library_close(struct dns_library *d);
/* As ask() and drop() of struct dns_source. */
void dns_library_ask(struct dns_library *d, const struct dns_query *q, struct dns_waiter *w);
void dns_library_drop(struct dns_waiter *w);

/* Debian's trust anchor, of the package dns-root-data, which follows changes of the root's key. */
#define DNS_ROOT_KEY "/usr/share/dns/root.key"
/* Is it the trust anchor to try? None is configured, and recursion takes it by itself. */
bool dns_tries_root_key(const struct dns_options *o);
/* Is there a trust anchor: are answers validated? */
bool dns_library_validates(const struct dns_library *d);

/* ---- validation.c: can answers be validated with these name servers? ---- */
enum dns_validation {
	DNS_VALIDATES,
	DNS_STRIPPED, /* what they answer lacks signatures, or has wrong ones: the clock can be wrong too */
	DNS_SILENT,   /* they do not answer, perhaps only not now */
};
typedef void (*dns_probe_fn)(void *ctx, enum dns_validation v, struct str why);
struct dns_probe;
/* Asks a library that has the trust anchor of the root. The callback comes once, never before the return, and can close the
 * library; dns_probe_cancel() forbids it, and must come before the library is closed. */
struct dns_probe *dns_probe_validation(struct dns_library *d, uint64_t limit_ms, dns_probe_fn done, void *ctx);
void dns_probe_cancel(struct dns_probe *p); /* NULL is allowed */

/* Look-ups that ask by a library of their own. */
struct dns *dns_open(uv_loop_t *loop, const struct dns_options *options, struct arena *a, struct verdict *why_out);

#endif
