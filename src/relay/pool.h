/* pool.h - one next hop: its definition, its connections, and the deliveries that wait for one. */
#ifndef RELAY_POOL_H
#define RELAY_POOL_H

#include "candidates.h"
#include "reply_class.h"

#include "posthouse/config.h"
#include "posthouse/ipc.h"
#include "posthouse/list.h"
#include "posthouse/mx_route.h"
#include "posthouse/smtp_client.h"
#include "posthouse/tls_result.h"

struct relay;
struct role;
struct connection;
struct delivery;
struct ca_store;
struct probe;
struct look;

/* A refusal of one recipient or message that possibly means all mail by this next hop: complaints.c. */
struct complaint {
	enum smtp_step step;
	enum trouble trouble;
	char witness[256]; /* of RCPT at an upstream the domain, at an MX host the address; of a text the message's number */
	uint64_t until;
};

struct pool {
	struct list in_relay;
	struct relay *relay;
	struct arena arena;    /* of the definition, which is replaced as a whole */
	struct str route;      /* "upstream:isp", "mx:example.org", the latter see mx_route.h */
	struct str name;       /* the name of the upstream, or the domain */
	struct str definition; /* of an upstream, or what is demanded of the TLS of a domain, as one text */
	struct str host, tls_name;
	struct str_list fingerprints; /* SHA-256 of the certificate or the key that an upstream must have */
	unsigned port, tls;           /* tls: enum upstream_tls */
	bool mx;                      /* a domain: the pool is freed when it is not needed any more */
	enum tls_require require;     /* of the route that leads to this domain; DEFAULT: it says nothing */
	enum tls_wish wish;           /* of all messages of this domain's pool; an upstream takes all */
	struct str mechanisms;        /* of logins, in the order of use: the one that worked comes first; "": no login */
	bool login_optional;          /* there is only our certificate: without EXTERNAL mail goes without a login */
	bool proven;                  /* a login has succeeded since the definition or the last refusal */
	bool token_refused;           /* the last login was refused although vault had a token */
	unsigned avoid;               /* features that the configuration forbids */
	struct ca_store *ca_store;    /* NULL: no TLS */
	size_t limit;
	uint64_t messages_per_connection; /* of the configuration; 0: no limit */
	unsigned generation;              /* of the definition: connections of an older one get no further delivery */
	bool gone;                        /* no longer configured, or made for `probe` alone: it gets no delivery */
	struct probe *probe;              /* NULL, or the test of the upstream that this pool was made for */
	struct look *look;                /* NULL, or the question about TLS that this pool was made for */
	struct list connections, waiting;
	size_t connections_n, waiting_n;
	uint64_t allowed_epoch; /* where nodes share the connections: see `allow` in messages.def */
	uint64_t allowed_number;
	size_t allowed;
	bool tell_allowed; /* when there are no more than that */
	size_t fewer;      /* 0, or the number of connections that the peer seems to allow, until … */
	uint64_t fewer_until;
	struct complaint complaint;
	sa_family_t refused_family; /* AF_UNSPEC, or the family by which the peer accepts nothing, until … */
	uint64_t refused_until;
	uint64_t rcptmax; /* how many recipients the peer accepted in one transaction before it refused more; 0: not known */
	struct question *resolving; /* for the addresses of the host */
	struct question *asking_policy;
	struct dns_lookup *lookup;
	struct list asking; /* struct lookup_call: calls of queue that wait for the answer */
	struct sts sts;     /* of a domain */
	struct arena candidates_arena;
	struct candidate *candidates;
	struct host_tlsa *tlsa;     /* of hosts that were asked about */
	size_t candidates_n, first; /* first: the index of the address of an upstream that is tried first */
	struct verdict not_found;   /* of a domain: why there are no candidates; OK: there are some, or the DNS was not asked */
	uint64_t candidates_at;     /* when the DNS answered … */
	bool early;                 /* … before there was a delivery: the pool is kept for the first one */
	char *failure;              /* why the last connection could not be opened; NULL after a success */
};

/* Why a session could not be opened. */
struct failure {
	struct verdict verdict;
	enum smtp_step step;
	enum smtp_fault fault;
	struct meaning meaning;
	enum tls_result tls_result;
	struct str remote, tls_policy; /* tls_policy: as words */
};

void pool_add(struct pool *pool, struct delivery *d, bool at_front);
struct delivery *pool_take(struct pool *pool); /* the next one; NULL: none waits */
void pool_remove(struct delivery *d);          /* which waits */
void pool_give_back(struct delivery *d);       /* its open recipients go on another connection */
void pool_advance(struct pool *pool);          /* give work to idle connections, open new ones within the limits */
void pool_close_idle(struct pool *pool, const char *reason);
void pool_close_opening(struct pool *pool);
void pool_connection_ready(struct pool *pool, struct str mechanism); /* of its login; "": there was none */
void pool_connection_failed(struct connection *c);                   /* by c->failure */
void pool_throttle(struct pool *pool);                               /* fewer connections for a while */
/* Its domain accepts no mail at all: end all waiting deliveries. */
void pool_refuse_waiting(struct pool *pool, struct verdict v, struct str transcript);
void pool_connection_gone(struct pool *pool, struct connection *c); /* can free the pool */
void pool_free_if_unused(struct pool *pool);
void pools_sweep(struct relay *relay); /* start the timer that frees unused pools of domains */
size_t pool_limit(struct pool *pool);  /* of connections now, by the peer and the configuration */

/* ---- allowance.c: several nodes share the connections of an upstream ---- */
void allowance_begin(struct relay *relay, const struct msg_allow *m);
size_t allowance_of(const struct pool *pool); /* SIZE_MAX: there is no such limit */
bool allowance_is_over(const struct pool *pool);
void allowance_connection_gone(struct pool *pool);
void allowances_horizon(struct relay *relay, const struct msg_horizon *m);

/* ---- domain_lookup.c ---- */
/* queue waits for the answer to its call about this domain; the answer can be sent before this returns. */
void domain_lookup_add(struct pool *pool, struct channel *queue, uint64_t call);
void domain_lookup_answer(struct channel *queue, uint64_t call, bool known);
void domain_lookups_answer(struct pool *pool, bool known);

/* ---- nexthops.c ---- */
struct verdict nexthops_check(struct relay *relay, const struct config *config); /* OK: the configuration can be applied */
void nexthops_apply(struct role *r);
void nexthops_abandon(struct role *r);
/* For the test of an upstream: a pool that no route leads to, and that ends with its one connection. */
struct pool *nexthop_outside(struct relay *relay, const struct cfg_upstream *u);
/* The same for a question about the servers of a domain. */
struct pool *nexthop_domain_outside(struct relay *relay, const struct mx_route *mx);
/* The next hop of a route. NULL: there is none, and why. */
struct pool *nexthop_find(struct relay *relay, struct str route, struct arena *a, struct str *why_out);

/* ---- probe.c ---- */
void probe_begin(struct relay *relay, struct channel *console, const struct msg_upstream_test *m);
void probe_note(struct connection *c);                    /* how far the session has come; before its client machine is freed */
void probe_ended(struct connection *c, bool open);        /* the session is open, or c->failure says why not */
bool probe_sender(struct connection *c);                  /* the session is open: is a sender to be tried first? It is begun */
void probe_heard(struct connection *c, struct verdict v); /* the answer to MAIL */
void probe_free(struct connection *c);
void probes_forget(struct relay *relay); /* something was reloaded: what was refused can work now */

/* ---- look.c ---- */
void look_begin(struct relay *relay, struct channel *console, const struct msg_tls_look *m);
void look_note(struct connection *c); /* the policy of its candidate */
void look_free(struct connection *c); /* answers */

#endif
