/* connection.h - one connection to a next hop, and the session on it. */
#ifndef RELAY_CONNECTION_H
#define RELAY_CONNECTION_H

#include "pool.h"

#include "posthouse/buf.h"
#include "posthouse/list.h"
#include "posthouse/log.h"
#include "posthouse/mail.h"
#include "posthouse/net.h"
#include "posthouse/smtp_client.h"
#include "posthouse/tls_policy.h"
#include "posthouse/units.h"

#include <uv.h>

struct connection;

enum {
	CHUNK = 64 * 1024,                 /* of a file, read at once */
	DOWNGRADED_MAX = 16 * CHUNK + MIB, /* downgrade_feed() writes a header section at once */
};

/* The receiver of a text as it is read. False: the receiver has ended the transfer. */
struct transfer_ops {
	bool (*take)(struct connection *c, struct str bytes);
	void (*end)(struct connection *c);
};

struct transfer {
	const struct transfer_ops *ops; /* NULL: none */
	int fd;                         /* -1: none */
	uint64_t at, size;
	char *chunk;
	bool reading, waiting; /* waiting: until the peer has taken some of the text */
	uv_fs_t request;
	bool ending;      /* the text is complete but for its end: see text_end.c */
	uint64_t look_ms; /* the next pause there */
	/* For a next hop that does not accept the text as it is: */
	struct downgrade *convert; /* NULL: the text goes as it is */
	struct buf downgraded;
	/* The first pass, which only counts and hashes: */
	unsigned what; /* DOWNGRADE_... */
	struct dkim *dkim;
	uint64_t counted;
	struct dkim_key keys[DKIM_KEYS_MAX];
	size_t keys_n;
};

/* ---- connection.c ---- */
enum connection_state {
	CONNECTION_RESOLVING,
	CONNECTION_WAITING,    /* for another token of vault's */
	CONNECTION_ASKING,     /* for the TLSA records of a host */
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
	enum tls_result tls_judged; /* the same, had MTA-STS in mode testing been enforced */
	bool tls_counted;           /* that was told for reports */
	bool handshake_failed;      /* the attempt before, with the same address */
	struct tls_context *context;
	struct smtp_client_config config;
	struct smtp_client *client;
	struct stream *stream;
	uv_timer_t timer, look; /* look: see text_end.c */
	uint64_t limited_at;    /* the machine's progress when the timer was started last */
	unsigned parts;         /* that are not closed: timers, streams, a file being read */
	struct candidate *candidates;
	size_t candidates_n, tried, sessions, second_turns;
	bool second_turn; /* the candidates that were cut short are tried with the whole time */
	bool handshaking;
	bool session_offered;    /* the handshake that has failed was to resume a session */
	bool whole_handshake;    /* no session is offered any more */
	bool by_peer;            /* the failure is a reply of the peer */
	struct str mechanism;    /* of the login; a view of the configuration */
	bool other_mechanism;    /* the session was opened a second time, for another mechanism */
	bool must_prove, proven; /* the server must show, has shown, that it knows the password too (RFC 5802 5.1) */
	struct failure failure;  /* the most telling one so far; verdict OK: none */
	bool maybe_fit;          /* some server failed for another reason than that it cannot do what REQUIRETLS demands */
	struct buf attempts;     /* lines about the addresses that were tried, for transcripts */
	char remote[400];        /* "host [address]:port" */
	uint64_t call;           /* to vault or queue; 0: none is open */
	struct dns_lookup *tlsa; /* of TLSA records; NULL: none */
	struct delivery *delivery;
	bool downgrading; /* in the first pass of downgrade.c */
	uint64_t transactions;
	struct transfer transfer;
};

/* The address that is tried, or was found good. */
static inline struct candidate *connection_candidate(const struct connection *c)
{
	return &c->candidates[c->tried];
}
struct connection *connection_open(struct pool *pool);
void connection_quit(struct connection *c, const char *reason);
void connection_close(struct connection *c, const char *reason);
void connection_part_closed(struct connection *c);
void connection_enter(struct connection *c, enum connection_state state);
void connection_limit(struct connection *c);          /* start the time limit of its present state */
void connection_limit_progress(struct connection *c); /* the same, but only when the session has made progress */
void connection_connect(struct connection *c, const struct candidate *t);
void connection_start_tls(struct connection *c); /* by the policy; can fail: take the machine's events afterwards */
void connection_flush(struct connection *c);     /* write the output of the machine to the stream */
void connection_break(struct connection *c, struct verdict why, enum smtp_fault fault); /* the session has ended */
/* The attempts before this session, and its own dialogue. */
struct str connection_transcript(struct connection *c, struct arena *a);

/* ---- attempt.c ---- */
void attempt_begin(struct connection *c);
void attempt_go_on(struct connection *c);                /* the TLSA records of its candidate are known */
void attempt_found(struct pool *pool, struct verdict v); /* tell the connections and calls that wait for the candidates */
void attempt_resolve_again(struct pool *pool);           /* name servers have changed: what they said is forgotten */
void attempt_failed(struct connection *c, struct verdict v, enum smtp_step step, enum smtp_fault fault);
void attempt_met_ourselves(struct connection *c); /* the server is this relay */
void attempt_lookup_failed(struct connection *c, struct verdict v);
/* The server closed the connection on a second mechanism after it had refused the first: open a session for the second alone.
 * False: this was done before. */
bool attempt_mechanism(struct connection *c, struct str mechanism, struct verdict v);
/* The peer refuses the address family of the connection: avoid it for a while. False: there are no addresses of another one. */
bool attempt_other_family(struct connection *c);
bool attempt_is_refused(const struct pool *pool, sa_family_t family);

/* ---- tls_reports.c ---- */
/* The session with the present candidate is open, or has failed for this reason, or is not begun because of its policy. Only the
 * first call for an attempt counts. */
void tls_reports_note(struct connection *c, struct str reason);

/* ---- host_tlsa.c ---- */
/* Are the TLSA records of the present candidate known? Then they are in `facts`, copied for the connection. Else they are asked
 * for, and relay_ops.tlsa_known follows. */
bool host_tlsa_known(struct connection *c, struct tls_facts *facts);

/* ---- tls_facts.c ---- */
/* Of the present candidate. False: its TLSA records are asked for, and relay_ops.tlsa_known follows. */
bool tls_facts_gather(struct connection *c, struct tls_facts *facts_out);

/* ---- explain.c ---- */
struct meaning explain_failure(struct connection *c, struct verdict v, enum smtp_step step, enum smtp_fault fault);

/* ---- client_events.c ---- */
void client_events_advance(struct connection *c); /* take the machine's events, write what it says, set the time limit */
void client_events_resume(struct connection *c);  /* the first pass of a downgrade is over */
void client_events_give(struct connection *c, struct delivery *d); /* to an idle one */

/* ---- extensions.c ---- */
unsigned extensions_named(const struct str_list *names); /* enum smtp_peer_feature, as bits */
struct str extensions_words(struct arena *a, unsigned features);
unsigned extensions_usable(const struct connection *c); /* for its delivery */
/* Which of the suspect features the delivery is sent without from now on; 0: none of them can be given up. */
unsigned extensions_give_up(struct connection *c, unsigned suspect, struct verdict why);
void extensions_note(struct connection *c, unsigned features); /* remember that the peer does not handle them */

/* ---- reach.c ---- */
/* The server that has greeted is this relay itself. */
bool reach_is_ourselves(const struct connection *c);

/* ---- transfer.c ---- */
void transfer_begin(struct connection *c, const struct transfer_ops *ops);
struct downgrade *transfer_conversion(const struct delivery *d, unsigned what); /* of its text */
void transfer_to_wire(struct connection *c, unsigned what);                     /* what: DOWNGRADE_... */
void transfer_go_on(struct connection *c); /* the peer has taken some text, or has answered */
void transfer_fini(struct transfer *t);

/* ---- text_end.c ---- */
void text_end_begin(struct connection *c); /* all of the text is written; the caller flushes the output */
void text_end_go_on(struct connection *c); /* the peer has taken some text, or has answered; no effect without text_end_begin() */
void text_end_over(struct connection *c);  /* the transaction has ended */

/* ---- downgrade.c ---- */
/* How the text of the delivery must be changed for this next hop: DOWNGRADE_... of mail.h; 0: not at all. */
unsigned downgrade_of(const struct connection *c);
/* Begin the first pass. At its end c->downgrading is false, and d->downgraded_prefix and downgraded_size are known, or
 * d->no_downgrade says why not. It can end before this returns; otherwise client_events_resume() follows. */
void downgrade_begin(struct connection *c);

#endif
