/* relay.h - the relay role inside: deliveries that queue hands over, and connections to the next hops that carry them.
 *
 * relay.c       the role: messages, configuration, stop, figures
 * delivery.c    one lease of queue: a message, its recipients, their outcomes
 * pool.c        one next hop: its connections, and the deliveries that wait for one
 * connection.c  one connection: addresses in turn, TLS, the session, its end
 * session.c     what the client machine says on a connection, and what is done about it
 * transfer.c    the text of a message on its way out
 * trust.c       the CA certificates that next hops are verified with */
#ifndef RELAY_RELAY_H
#define RELAY_RELAY_H

#include "posthouse/list.h"
#include "posthouse/log.h"
#include "posthouse/net.h"
#include "posthouse/role.h"
#include "posthouse/smtp_client.h"

enum relay_bounds {
	IDLE_MS = 5000,        /* a connection without work is closed, before the peer loses patience */
	QUIT_MS = 2000,        /* for the answer to QUIT (RFC 5321 4.1.1.10) */
	ADDRESSES_MS = 30000,  /* addresses are asked for again after this time */
	FEWER_MS = 60000,      /* a next hop that refused one more connection is not asked for more in this time */
	LAST_RESULTS_MS = 500, /* at the end: for queue to take the results */
	ADDRESSES_OF_HOST_MAX = 16,
	PENDING_MAX = 256 * 1024, /* text that the kernel has not taken; then reading the file waits */
	CHUNK = 64 * 1024,        /* of a file, read at once */
	LEASE_BUCKETS = 256,
	OUTCOME_TEXT_MAX = 1000,     /* a peer's words in one outcome … */
	RESULT_TEXT_MAX = 96 * 1024, /* … and in a result, so that it fits a datagram */
};

struct relay {
	struct role *role;
	uv_loop_t *loop;
	struct log log;
	struct list pools, trusts;
	struct list leases[LEASE_BUCKETS];
	size_t deliveries, waiting, running, connections; /* deliveries: also those whose result is not settled */
	uint64_t next_connection;
	struct arena scratch; /* texts of `configure` */
	uv_timer_t grace;
	bool stopping, stopped;
};

/* When the last of everything has gone while stopping: tell the frame. */
void relay_check_stopped(struct relay *relay);

/* ---- trust.c ---- */
struct trust {
	struct list in_relay;
	struct str ca_pem; /* owned; "": the system's */
	struct tls_context *context;
	unsigned users;
};

/* The context for these CA certificates, made when there is none; NULL and why (text in the arena). Not yet used by anybody. */
struct trust *trust_get(struct relay *relay, struct str ca_pem, struct arena *a, struct verdict *why_out);
void trust_use(struct trust *t);
void trust_leave(struct trust *t);      /* NULL is allowed */
void trusts_sweep(struct relay *relay); /* those that nobody uses go */

/* ---- pool.c ---- */
struct pool {
	struct list in_relay;
	struct relay *relay;
	struct arena arena; /* the definition: replaced as a whole */
	struct str name, host, tls_name;
	unsigned port, tls; /* enum upstream_tls */
	bool login;
	struct trust *trust; /* NULL: no TLS */
	size_t limit;
	unsigned generation; /* of the definition: connections of an older one are not used again */
	bool gone;           /* no longer configured */
	struct list connections, waiting;
	size_t connections_n, waiting_n;
	size_t fewer; /* 0, or how many connections the peer seems to allow, until … */
	uint64_t fewer_until;
	struct resolve *resolving;
	struct sockaddr_storage *addresses;
	size_t addresses_n, first; /* first: to be tried before the others */
	uint64_t addresses_at;
	char *failure; /* why the last connection could not be made; NULL after a success */
};

/* Make the pools what the configuration says. */
void pools_apply(struct relay *relay, const struct config *config);
struct pool *pool_find(struct relay *relay, struct str name);

struct delivery;
struct connection;
void pool_add(struct pool *pool, struct delivery *d, bool at_front);
struct delivery *pool_take(struct pool *pool); /* the next one; NULL when nobody waits */
void pool_advance(struct pool *pool);          /* give work to idle connections, open new ones within the limits */
void pool_close_idle(struct pool *pool, const char *reason);
void pool_connection_ready(struct pool *pool);
void pool_connection_failed(struct pool *pool, struct connection *c, struct verdict v, enum smtp_fault fault);
void pool_connection_gone(struct pool *pool, struct connection *c); /* frees a pool that is not configured any more */
void pool_find_addresses(struct pool *pool, struct connection *c);

/* ---- delivery.c ---- */
struct recipient {
	uint64_t n;
	struct verdict verdict;
	bool known;
};

enum delivery_state { DELIVERY_WAITING, DELIVERY_RUNNING, DELIVERY_REPORTED };

struct delivery {
	struct list in_leases, in_pool;
	struct relay *relay;
	struct pool *pool; /* NULL: no such upstream */
	enum delivery_state state;
	struct log log;
	uint64_t lease;
	struct arena arena;
	struct str sender, prefix, text;
	uint64_t size;
	unsigned body;
	bool utf8;
	int fd; /* the text, when it is a file */
	struct recipient *recipients;
	struct str *addresses;
	size_t recipients_n;
	bool retried; /* on a fresh connection, after an idle one had died */
	bool orphan;  /* the queue that gave it is gone: nobody waits for the result */
};

/* What is known of the next hop when a delivery ends. */
struct hop {
	struct str remote, tls, transcript;
	uint64_t rcptmax;
	struct str gate_reason; /* not empty: the next hop is at fault, not the message */
};

void delivery_begin(struct relay *relay, const struct msg_deliver *m, int fd); /* takes fd */
struct delivery *delivery_find(struct relay *relay, uint64_t lease);
void delivery_run(struct delivery *d);   /* a connection takes it */
void delivery_rerun(struct delivery *d); /* from the beginning, on another connection */
void delivery_outcome(struct delivery *d, size_t index, struct verdict v);
void delivery_end(struct delivery *d, const struct hop *hop); /* report; what has no outcome yet is TEMP */
void delivery_end_blocked(struct delivery *d, struct verdict v, struct str remote, struct str reason);
void delivery_end_untried(struct delivery *d);
void delivery_settled(struct delivery *d);
void deliveries_orphan(struct relay *relay); /* queue is gone */

/* ---- connection.c ---- */
enum connection_state {
	CONNECTION_RESOLVING,
	CONNECTION_CONNECTING, /* TCP */
	CONNECTION_OPENING,    /* TLS, greeting, EHLO, AUTH */
	CONNECTION_IDLE,
	CONNECTION_BUSY, /* a delivery, or RSET after one */
	CONNECTION_QUITTING,
	CONNECTION_CLOSING,
};

/* The text in flight when it comes from a file. */
struct transfer {
	int fd; /* -1: none */
	uint64_t at, size;
	char *chunk;
	bool reading, waiting_for_drain;
	uv_fs_t request;
};

struct connection {
	struct list in_pool;
	struct relay *relay;
	struct pool *pool;
	enum connection_state state;
	struct log log; /* session = number of this connection */
	uint64_t number;
	unsigned generation;
	struct arena arena;
	struct str host, tls_name;
	unsigned tls; /* enum upstream_tls */
	struct tls_context *context;
	struct smtp_client_config config;
	struct smtp_client *client;
	struct stream *stream;
	uv_timer_t timer;
	unsigned parts; /* not closed yet: timer, streams, a file being read */
	struct sockaddr_storage *addresses;
	size_t addresses_n, tried;
	bool handshaking;
	bool in_clear;    /* opportunistic TLS has failed with this address */
	char remote[400]; /* "host [address]:port" */
	uint64_t call;    /* of vault; 0: none open */
	struct delivery *delivery;
	uint64_t transactions;
	struct transfer transfer;
};

struct connection *connection_open(struct pool *pool);
void connection_try_addresses(struct connection *c);            /* the pool has them now */
void connection_give(struct connection *c, struct delivery *d); /* to an idle one */
void connection_quit(struct connection *c, const char *reason);
void connection_close(struct connection *c, const char *reason);
void connection_part_closed(struct connection *c);
void connection_enter(struct connection *c, enum connection_state state);
void connection_attempt_failed(struct connection *c, struct verdict v, enum smtp_fault fault);
void connection_timed_out(struct connection *c);

/* ---- session.c ---- */
void session_advance(struct connection *c); /* take the machine's events, write what it says, set the time limit */
void session_flush(struct connection *c);
void session_limit(struct connection *c);
void session_break(struct connection *c, struct verdict why, enum smtp_fault fault); /* the connection is no more */
void session_start(struct connection *c, struct delivery *d);

/* ---- transfer.c ---- */
void transfer_begin(struct connection *c);
void transfer_drained(struct connection *c);
void transfer_fini(struct transfer *t);

#endif
