/* connection.h - one connection to a next hop, and what is said on it. */
#ifndef RELAY_CONNECTION_H
#define RELAY_CONNECTION_H

#include "pool.h"
#include "tls_policy.h"
#include "transfer.h"

#include "posthouse/buf.h"
#include "posthouse/list.h"
#include "posthouse/log.h"
#include "posthouse/net.h"
#include "posthouse/smtp_client.h"
#include "posthouse/tls_result.h"

#include <uv.h>

struct relay;
struct delivery;

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

struct connection {
	struct list in_pool;
	struct relay *relay;
	struct pool *pool;
	enum connection_state state;
	struct log log; /* session = number of this connection */
	uint64_t number;
	unsigned generation;
	struct arena arena;
	struct tls_policy tls;      /* for the candidate that is tried, or was found good */
	enum tls_result tls_result; /* how it went there */
	struct tls_context *context;
	struct smtp_client_config config;
	struct smtp_client *client;
	struct stream *stream;
	uv_timer_t timer;
	uint64_t limited_at; /* the machine's progress when the timer was started last */
	unsigned parts;      /* not closed yet: timer, streams, a file being read */
	struct candidate *candidates;
	size_t candidates_n, tried, sessions, second_turns;
	bool second_turn; /* only those that were cut short, with the whole time */
	bool handshaking;
	bool by_peer;            /* the failure is the peer's own word */
	struct str mechanism;    /* by which it logs in; a view of the configuration's */
	bool other_mechanism;    /* it was opened anew for that */
	bool must_prove, proven; /* the server must show that it knows the password too (RFC 5802 5.1); it has */
	struct failure failure;  /* the most telling one so far; verdict OK: none */
	struct buf attempts;     /* what was tried, for transcripts */
	char remote[400];        /* "host [address]:port" */
	uint64_t call;           /* of vault or queue; 0: none open */
	struct delivery *delivery;
	bool downgrading; /* the delivery's first pass */
	uint64_t transactions;
	struct transfer transfer;
};

struct connection *connection_open(struct pool *pool);
void connection_quit(struct connection *c, const char *reason);
void connection_close(struct connection *c, const char *reason);
void connection_part_closed(struct connection *c);
void connection_enter(struct connection *c, enum connection_state state);
void connection_limit(struct connection *c);          /* start the time limit for what it waits for now */
void connection_limit_progress(struct connection *c); /* the same, but only when the session has come further */
void connection_connect(struct connection *c, const struct candidate *t);
void connection_start_tls(struct connection *c); /* as the policy says; then take the machine's events: it may have failed */
void connection_flush(struct connection *c);     /* write out what the machine has said */
void connection_break(struct connection *c, struct verdict why, enum smtp_fault fault); /* the connection is no more */
/* The attempts before this session, and its own dialogue. */
struct str connection_transcript(struct connection *c, struct arena *a);

/* ---- attempt.c ---- */
void attempt_begin(struct connection *c);
void attempt_found(struct pool *pool, struct verdict v); /* for connections, and calls of queue, that wait for the candidates */
void attempt_resolve_again(struct pool *pool);           /* the resolver is another one: look-ups are gone with the old one */
void attempt_failed(struct connection *c, struct verdict v, enum smtp_step step, enum smtp_fault fault);
void attempt_met_ourselves(struct connection *c); /* the server is this relay */
void attempt_lookup_failed(struct connection *c, struct verdict v);
/* The server hung up on a second mechanism after it had refused the first: once more, by that one alone. False: that was done. */
bool attempt_mechanism(struct connection *c, struct str mechanism, struct verdict v);
/* Its family is refused, and there is another one: avoid it for a while. False: there is none. */
bool attempt_other_family(struct connection *c);
bool attempt_is_refused(const struct pool *pool, sa_family_t family);

/* ---- client_events.c ---- */
void client_events_advance(struct connection *c); /* take the machine's events, write what it says, set the time limit */
void client_events_resume(struct connection *c);  /* the first pass of a downgrade is over */
void client_events_give(struct connection *c, struct delivery *d); /* to an idle one */

/* ---- extensions.c ---- */
unsigned extensions_named(const struct str_list *names); /* enum smtp_peer_feature, as bits */
struct str extensions_words(struct arena *a, unsigned features);
unsigned extensions_usable(const struct connection *c); /* for its delivery */
/* Of what may be why it was refused or lost: what the delivery goes without from now on; 0: nothing more can be given up. */
unsigned extensions_give_up(struct connection *c, unsigned suspect, struct verdict why);
void extensions_note(struct connection *c, unsigned features); /* remember it */

/* ---- reach.c ---- */
/* The server that has greeted is this relay itself. */
bool reach_is_ourselves(const struct connection *c);

#endif
