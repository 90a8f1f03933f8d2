/* internal.h - what the files of dns share: a look-up, its questions and hosts. */
#ifndef POSTHOUSE_DNS_INTERNAL_H
#define POSTHOUSE_DNS_INTERNAL_H

#include "posthouse/dns.h"
#include "posthouse/list.h"

#include <netinet/in.h>

#define HOSTS_MAX     20 /* of a domain: the best ones, at random among equals */
#define ADDRESSES_MAX 16 /* of a host */
#define LIMIT_MS      30000

/* ---- open.c ---- */
struct dns {
	uv_loop_t *loop;
	struct dns_source source;
	struct list lookups; /* those that have not called back */
	bool ipv4, ipv6;
	uint64_t limit_ms; /* of a whole look-up: tests shorten it */
};

/* ---- query.c: one question of a look-up ---- */
struct query {
	struct dns_waiter waiter;
	struct dns_lookup *lookup;
	struct str name;
	unsigned type;
	bool open;              /* no answer yet */
	struct verdict verdict; /* with the answer: OK, or TEMP 451 4.4.3 with the reason in the look-up's arena */
	struct str why;         /* that reason alone */
	bool exists;            /* not NXDOMAIN */
	bool secure, bogus;
	uint32_t ttl;                      /* see struct dns_found */
	struct str owner;                  /* the name at the end of the CNAMEs */
	const struct dns_record **records; /* of this type and owner; n == 0: "no data" */
	size_t n;
};
/* The look-up's timer runs its `step` at once when the last open query of the look-up has an answer. */
void query_ask(struct query *q, struct dns_lookup *l, struct str name, unsigned type);
/* Time is over: the verdict of an open query is a failure for this reason. */
void query_give_up(struct query *q, struct str why);
void query_cancel(struct query *q);
/* ---- lookup.c ---- */
struct host {
	struct str name;
	unsigned preference;
	struct query queries[2]; /* IPv4, IPv6; without a `lookup`: not asked */
};

enum lookup_state { LOOKUP_NEW, LOOKUP_ASKED, LOOKUP_MX, LOOKUP_ADDRESSES, LOOKUP_DONE };

struct dns_lookup {
	struct list item;
	struct dns *dns;
	struct arena arena;
	uv_timer_t timer; /* runs `step`: at once (0 ms), or when time is over */
	uv_timer_cb step;
	enum lookup_state state;
	struct str domain; /* as given, then as A-labels */
	unsigned port;
	struct str_list own_names;
	dns_mx_fn done;
	unsigned type;      /* of dns_ask() */
	uint64_t limit_ms;  /* of dns_ask() */
	dns_found_fn found; /* of dns_ask(), in place of `done` */
	struct {
		dns_tlsa_fn done;
		struct str bases[2]; /* of the records, in the order to ask */
		size_t bases_n, at;
		bool known, secure; /* of the addresses */
		struct str end;
	} tlsa; /* of dns_tlsa(), in place of `done` */
	void *ctx;
	uint64_t deadline;
	unsigned open;   /* queries without an answer */
	struct query mx; /* or the only one of dns_ask() */
	struct host *hosts;
	size_t hosts_n;
};
/* A new look-up, whose first step comes with the next turn of the loop. */
struct dns_lookup *lookup_new(struct dns *d, struct str domain, uv_timer_cb step, void *ctx);
/* Wait for the open queries, or until time is over; then the look-up's step comes again. */
void lookup_await(struct dns_lookup *l, enum lookup_state state);
/* The only way out: no callback from the source or the timer comes after this. The memory lives until the loop next runs. */
void lookup_end(struct dns_lookup *l);

/* ---- host.c: the addresses of one host ---- */
void host_begin(struct dns_lookup *l, struct host *h);
void host_give_up(struct host *h); /* time is over */
/* Were all addresses validated, with the CNAMEs that lead to them? *end_out: the name at the end of these. */
bool host_secure(const struct host *h, struct str *end_out);

/* ---- hosts.c ---- */
/* Fill l->hosts with the usable hosts of the MX answer, in the order to try them. Not OK: there is none, and why. */
struct verdict choose_hosts(struct dns_lookup *l);
struct verdict loop_found(struct dns_lookup *l); /* the mail would come back to this relay */
void shuffle(void *items, size_t n, size_t size);

/* ---- result.c ---- */
/* The result of the look-up, in its arena. */
struct verdict gather_result(struct dns_lookup *l, struct dns_host **hosts_out, size_t *n_out);
/* The result for an address literal, which has brackets. */
struct verdict literal_result(struct dns_lookup *l, struct dns_host **hosts_out, size_t *n_out);

void address_set_port(struct sockaddr_storage *address, unsigned port);

/* ---- name.c ---- */
/* A domain in lower case, as A-labels, without final dot. False: it cannot be a host name in DNS. */
bool name_to_ascii(struct arena *a, struct str domain, struct str *name_out);
/* Labels of letters, digits and hyphens (RFC 5321 2.3.5), also underscores, which some hosts have; not an IPv4 address. */
bool name_is_host(struct str name);
/* "192.0.2.1", "2001:db8::1", "IPv6:2001:db8::1", with or without brackets. */
bool parse_address(struct str text, struct sockaddr_storage *address_out);
bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b); /* ports are not compared */
/* Is the name or address in the list of those that this relay has? */
bool is_own_name(const struct str_list *own, struct str name);
bool is_own_address(const struct str_list *own, const struct sockaddr_storage *address);

#endif
