/* discovery.h - finding the policy of one domain: its TXT record, the addresses of its policy host, the text by HTTPS (RFC
 * 8461 3). A domain is looked at once at a time: all who want to know wait for the same discovery. */
#ifndef TLSPOLICY_DISCOVERY_H
#define TLSPOLICY_DISCOVERY_H

#include "posthouse/dns.h"
#include "posthouse/hashtable.h"
#include "posthouse/role.h"
#include "posthouse/tls_policy.h"

enum {
	DISCOVERIES_MAX = 10000, /* domains at once */
	FETCHES_MAX = 16,        /* requests at once */
};

enum discovered {
	DISCOVERED_NOTHING,   /* no usable TXT record, and why, or no answer: nothing new is known */
	DISCOVERED_UNCHANGED, /* the TXT record has the id that is known */
	DISCOVERED_POLICY,
	DISCOVERED_FAILURE, /* of a policy that the domain has: `fault` and `why` */
};

struct discovery {
	/* of whoever has started it: */
	struct str domain;
	bool refreshing;  /* the text is fetched whatever the TXT record says (RFC 8461 10.2) */
	bool urgent;      /* a policy is known: mail that waits needs no long search */
	struct list asks; /* of the owner */
	/* the result; texts are in the arena */
	enum discovered result;
	struct str id, text, why;
	struct sts_policy policy;
	enum tls_result fault;
	bool passing; /* the failure is this relay's own (fetch is away), so it is tried again soon */
	/* private: */
	struct hashtable_item item;
	struct list in_queue; /* for a place among the fetches */
	struct discoveries *all;
	struct arena arena;
	struct dns_lookup *lookup;
	struct str known_id, addresses, address_fault;
	uint64_t call;
	uint64_t wait_until; /* the end of all waiting for fetch, in ms of the loop */
	uv_timer_t limit;
	bool fetching, six;
};

struct discovery_ops {
	/* Does the id need no fetch? UNCHANGED or FAILURE (with fault and why): no. POLICY: it does. */
	enum discovered (*judge_id)(void *ctx, struct discovery *d, struct str id);
	/* It is over; freed when this returns. */
	void (*done)(void *ctx, struct discovery *d);
};

struct discoveries {
	struct role *role;
	struct dns *dns;
	const struct discovery_ops *ops;
	void *ctx;
	struct hashtable by_domain;
	struct list queue;
	size_t fetching_n;
	uint64_t fetches, failures;
};

void discoveries_init(struct discoveries *all, struct role *r, struct dns *dns, const struct discovery_ops *ops, void *ctx);

/* NULL: none is under way. */
struct discovery *discovery_find(struct discoveries *all, struct str domain);
/* NULL: too many are. `known_id` is what a refresh keeps where there is no TXT record. `done` comes from the loop. */
struct discovery *discovery_start(struct discoveries *all, struct str domain, bool refreshing, struct str known_id);

/* fetch is there, perhaps again. */
void discoveries_fetch_up(struct discoveries *all);
/* The resolver is another one: questions to the old one have no answer. */
void discoveries_ask_again(struct discoveries *all);

#endif
