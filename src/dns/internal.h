/* internal.h - what the files of dns share: the resolver, a look-up, its questions and hosts. */
#ifndef POSTHOUSE_DNS_INTERNAL_H
#define POSTHOUSE_DNS_INTERNAL_H

#include "event.h"

#include "posthouse/dns.h"
#include "posthouse/list.h"

#include <netinet/in.h>

#define HOSTS_MAX     20 /* of a domain: the best ones, at random among equals */
#define ADDRESSES_MAX 16 /* of a host */
#define LIMIT_MS      30000
#define SERVERS_MAX   8

struct ub_ctx;

/* ---- context.c ---- */
struct dns {
	struct event_base_on_uv base; /* libunbound's view of the loop */
	struct ub_ctx *ub;
	struct list lookups; /* that have not called back */
	bool ipv4, ipv6;
	uint64_t limit_ms;                            /* of a whole look-up: tests shorten it */
	struct list questions;                        /* struct question: those that the library has */
	size_t asked, asked_max;                      /* their number, and what there are descriptors for */
	struct list first, more;                      /* struct query: those that wait for their turn, see query.c */
	uv_timer_t turn;                              /* the next ones may be asked */
	uint64_t burst_at;                            /* ms: when the present burst of questions began, … */
	size_t burst;                                 /* … and how many it has */
	bool validates;                               /* only what the library has looked at may be believed */
	struct sockaddr_storage servers[SERVERS_MAX]; /* that are asked for us; none: the world's */
	size_t servers_n, plain_n;
	uint64_t heard_at, plain_until; /* the library had an answer; questions are asked plainly at once */
};

/* ---- query.c: one question to libunbound ---- */
struct question;
struct plain;
struct query {
	struct list in_waiting;    /* of the resolver's: not asked yet */
	struct question *question; /* the library has it */
	struct plain *plain;       /* it is asked without the library */
	struct dns_lookup *lookup;
	struct str name;
	enum dns_type type;
	bool open;
	struct verdict verdict; /* once it is not open: OK, or TEMP 451 4.4.3 with the reason in the look-up's arena */
	bool exists;            /* not NXDOMAIN */
	bool secure;
	struct str owner;                  /* where CNAMEs led */
	const struct dns_record **records; /* of that type and owner; none is "no data" */
	size_t n;
};
/* Ask; lookup_answered() is called when the last open question of the look-up has its answer, perhaps before this returns. */
void query_ask(struct query *q, struct dns_lookup *l, struct str name, enum dns_type type);
/* Answer it ourselves: there was no time. */
void query_give_up(struct query *q, struct str why);
void query_cancel(struct query *q);
/* Ask those that wait, as far as there is room. */
void queries_advance(struct dns *d);
/* An answer to plain_ask(). */
void query_answered_plainly(struct query *q, struct str packet);
/* The library is gone, and its questions with it. */
void questions_drop(struct dns *d);

/* ---- plain.c: the same without EDNS and without the library ---- */
/* False: not possible now. query_answered_plainly() follows, unless plain_cancel() comes first. */
bool plain_ask(struct query *q);
void plain_cancel(struct query *q);

/* ---- lookup.c ---- */
struct host {
	struct str name;
	unsigned preference;
	struct query queries[2]; /* per family, those with a `lookup` were asked */
};

enum lookup_state { LOOKUP_NEW, LOOKUP_MX, LOOKUP_ADDRESSES, LOOKUP_DONE };

struct dns_lookup {
	struct list item;
	struct dns *dns;
	struct arena arena;
	uv_timer_t timer; /* the next step (0 ms), or the end of patience */
	enum lookup_state state;
	struct str domain; /* as given, then as A-labels */
	unsigned port;
	struct str_list own_names;
	dns_mx_fn done;
	void *ctx;
	uint64_t deadline;
	unsigned open; /* questions without answer */
	struct query mx;
	struct host *hosts;
	size_t hosts_n;
};
void lookup_answered(struct dns_lookup *l);

/* ---- hosts.c ---- */
/* The hosts of the MX answer in the order to try them (in l->hosts), those left out that cannot be used. Not OK: there is
 * none. */
struct verdict choose_hosts(struct dns_lookup *l);
void shuffle(void *items, size_t n, size_t size);

/* ---- result.c ---- */
/* What the look-up found, in its arena. */
struct verdict gather_result(struct dns_lookup *l, struct dns_host **hosts_out, size_t *n_out);
/* The result for an address literal, which has brackets. */
struct verdict literal_result(struct dns_lookup *l, struct dns_host **hosts_out, size_t *n_out);

void address_set_port(struct sockaddr_storage *address, unsigned port);

/* ---- name.c ---- */
/* A domain in lower case, A-labels, without final dot; false when it is no host name that DNS could know. */
bool name_to_ascii(struct arena *a, struct str domain, struct str *name_out);
/* Letters, digits, hyphens and underscores in labels, and not an IPv4 address: RFC 5321 2.3.5, and tolerance for underscores. */
bool name_is_host(struct str name);
/* "192.0.2.1", "2001:db8::1", "IPv6:2001:db8::1", with or without brackets. */
bool parse_address(struct str text, struct sockaddr_storage *address_out);
/* Is it among the names and addresses that are ourselves? */
bool is_own_name(const struct str_list *own, struct str name);
bool is_own_address(const struct str_list *own, const struct sockaddr_storage *address);

#endif
