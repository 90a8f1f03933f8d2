/* pool.h - one next hop: its definition, its connections, and the deliveries that wait for one. */
#ifndef RELAY_POOL_H
#define RELAY_POOL_H

#include "candidates.h"
#include "reply_class.h"

#include "posthouse/config.h"
#include "posthouse/ipc.h"
#include "posthouse/list.h"
#include "posthouse/smtp_client.h"
#include "posthouse/tls_result.h"

struct relay;
struct connection;
struct delivery;
struct nexthop_report;
struct ca_store;

/* What a next hop held against a recipient or a message, which may be meant for all. */
struct complaint {
	enum smtp_step step;
	enum trouble trouble;
	char witness[256]; /* the recipient's domain, at an MX host its address; of a message its number */
	uint64_t until;
};

struct pool {
	struct list in_relay;
	struct relay *relay;
	struct arena arena; /* the definition: replaced as a whole */
	struct str route;   /* "upstream:isp", "mx:example.org" */
	struct str name;    /* the upstream's, or the domain */
	struct str host, tls_name;
	unsigned port, tls;        /* enum upstream_tls */
	bool mx;                   /* a domain: the pool goes when it is not needed any more */
	bool login, proven;        /* proven: a login has succeeded since the definition, or the last refusal */
	struct str mechanisms;     /* of logins, in order; the one that worked first */
	unsigned avoid;            /* features that are not to be used, by configuration */
	struct ca_store *ca_store; /* NULL: no TLS */
	size_t limit;
	unsigned generation; /* of the definition: connections of an older one are not used again */
	bool gone;           /* no longer configured */
	struct list connections, waiting;
	size_t connections_n, waiting_n;
	size_t fewer; /* 0, or how many connections the peer seems to allow, until … */
	uint64_t fewer_until;
	struct complaint complaint;
	sa_family_t refused_family; /* AF_UNSPEC, or the one by which it takes nothing, until … */
	uint64_t refused_until;
	uint64_t rcptmax; /* recipients that it took in one transaction before it wanted no more; 0 = not known */
	struct resolve *resolving;
	struct dns_lookup *lookup;
	struct list asking; /* struct lookup_call: queue waits for the answer */
	struct arena candidates_arena;
	struct candidate *candidates;
	size_t candidates_n, first; /* first: of a single host's, to be tried before the others */
	struct verdict not_found;   /* of a domain: why there are no candidates; OK: there are, or nobody has asked */
	uint64_t candidates_at;     /* when that was learned … */
	bool early;                 /* … before there was a delivery: kept for the first one */
	char *failure;              /* why the last connection could not be made; NULL after a success */
};

/* Why a session could not be had. */
struct failure {
	struct verdict verdict;
	enum smtp_step step;
	enum smtp_fault fault;
	bool by_peer; /* the other side said so */
	enum tls_result tls_result;
	struct str remote;
};

void pool_add(struct pool *pool, struct delivery *d, bool at_front);
struct delivery *pool_take(struct pool *pool); /* the next one; NULL when nobody waits */
void pool_remove(struct delivery *d);          /* one that waits */
void pool_give_back(struct delivery *d);       /* what is not known yet, on another connection */
void pool_advance(struct pool *pool);          /* give work to idle connections, open new ones within the limits */
void pool_close_idle(struct pool *pool, const char *reason);
void pool_close_opening(struct pool *pool);
void pool_connection_ready(struct pool *pool, struct str mechanism); /* … by which it logged in; "": by none */
void pool_connection_failed(struct pool *pool, struct connection *c, const struct failure *f);
/* No delivery can go this way any more: hand all that wait back, with the next hop at fault … */
void pool_end_waiting(struct pool *pool, struct verdict v, const struct nexthop_report *hop);
void pool_throttle(struct pool *pool); /* fewer connections for a while */
/* … or because their recipients' domain takes no mail at all. */
void pool_refuse_waiting(struct pool *pool, struct verdict v, struct str transcript);
void pool_connection_gone(struct pool *pool, struct connection *c); /* may free the pool */
void pool_free_if_unused(struct pool *pool);
/* From now on domains for which nothing came after all are looked for. */
void pools_sweep(struct relay *relay);
size_t pool_limit(struct pool *pool); /* connections that it may have now */

/* ---- domain_lookup.c ---- */
/* queue waits for an answer to its call about this domain; the answer can come before this returns. */
void domain_lookup_add(struct pool *pool, struct channel *queue, uint64_t call);
void domain_lookup_answer(struct channel *queue, uint64_t call, bool known);
void domain_lookups_answer(struct pool *pool, bool known);
void domain_lookups_drop(struct relay *relay); /* queue is gone */

/* ---- nexthops.c ---- */
struct verdict nexthops_check(struct relay *relay, const struct config *config); /* could it be used? */
void nexthops_apply(struct relay *relay, const struct config *config);
void nexthops_abandon(struct relay *relay);
/* The next hop of a route; NULL and why when there is none. */
struct pool *nexthop_find(struct relay *relay, struct str route, struct arena *a, struct str *why_out);

#endif
