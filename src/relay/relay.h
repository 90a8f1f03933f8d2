/* relay.h - the relay role inside: deliveries that queue hands over, and connections to the next hops that carry them.
 *
 * relay.c       the role: messages, configuration, stop
 * delivery.c    one lease of queue: a message, its recipients, their outcomes
 * handover.c    what queue hands over goes to the pool of its next hop
 * pool.c        one next hop: its connections, and the deliveries that wait for one
 * nexthops.c        which next hops there are: upstreams by configuration, domains as deliveries for them come
 * resolver.c    the resolver for domains, opened when it is needed first
 * domain_lookup.c     queue asks for a domain's mail servers before it hands over its mail
 * candidates.c     the addresses of a next hop: by host name, or by the MX records of a domain
 * host_status.c      addresses that did not answer, or cannot do TLS or an extension
 * extensions.c  extensions that a next hop offers and cannot do
 * connection.c  one connection: TCP, TLS, time limits, its end
 * attempt.c     the addresses in turn until a session stands
 * client_events.c     what the client machine says on a connection, and what is done about it
 * tx_recipients.c       the recipients of one transaction
 * transfer.c    the text of a message, read piece by piece
 * downgrade.c  a text that the next hop does not take as it is: sizes and fresh signatures
 * reach.c       addresses that get no mail directly, and which are ourselves
 * requirements.c     what a message demands of its next hops: a time limit, TLS
 * complaints.c  what refusals say about the next hop
 * reply_class.c       what a refusal means; its table is replies.def
 * server_words.c  the server's own words of a reply
 * ca_store.c       the CA certificates that next hops are verified with */
#ifndef RELAY_RELAY_H
#define RELAY_RELAY_H

#include "reply_class.h"

#include "posthouse/dns.h"
#include "posthouse/list.h"
#include "posthouse/log.h"
#include "posthouse/mail.h"
#include "posthouse/net.h"
#include "posthouse/role.h"
#include "posthouse/smtp_client.h"
#include "posthouse/units.h"

#include <sys/stat.h>

enum relay_bounds {
	IDLE_MS = 5000,               /* a connection without work is closed, before the peer loses patience */
	QUIT_MS = 2000,               /* for the answer to QUIT (RFC 5321 4.1.1.10) */
	ADDRESSES_MS = 30000,         /* addresses are asked for again after this time … */
	FAILURE_MS = 10000,           /* … and those of a domain that could not be found after this one */
	SWEEP_MS = 5000,              /* domains that nobody needs any more are looked for so often */
	FEWER_MS = MINUTE_MS,         /* a next hop that refused one more connection is not asked for more in this time */
	THROTTLED_MS = 600000,        /* one that had too much at once gets fewer connections so long */
	FAMILY_MS = HOUR_MS,          /* an address family that was refused is avoided so long */
	COMPLAINT_MS = HOUR_MS,       /* the same complaint by another witness within this time means the next hop */
	LAST_RESULTS_MS = 500,        /* at the end: for queue to take the results */
	WRONG_PORT_MS = 8000,         /* for a greeting in clear text on port 465 */
	TURN_MS = 5000,               /* for an address to answer while there are others to try, at most */
	MEMORY_MS = 600000,           /* what is remembered of an address … */
	MEMORY_EXTENSION_MS = DAY_MS, /* … and of what it cannot do although it says so */
	GIVEN_UP_MAX = 2048,
	MEMORY_SLOTS = 4096,
	TARGETS_MAX = 32,                 /* addresses of a next hop … */
	TARGETS_OF_HOST_MAX = 16,         /* … and of one host of several */
	SESSIONS_MAX = 4,                 /* servers that answered and would not have us, then it is enough */
	SECOND_TURNS_MAX = 2,             /* addresses that get the whole time after all */
	PENDING_MAX = 256 * 1024,         /* text that the kernel has not taken; then reading the file waits */
	CHUNK = 64 * 1024,                /* of a file, read at once */
	CONVERTED_MAX = 16 * CHUNK + MIB, /* convert_feed(): a header section comes out at once */
	LEASE_BUCKETS = 256,
	OUTCOME_TEXT_MAX = 1000,     /* a peer's words in one outcome … */
	RESULT_TEXT_MAX = 88 * 1024, /* … and in a result, so that it fits a datagram */
	TRANSCRIPT_MAX = 4096,
	ATTEMPTS_MAX = 3000, /* of it: attempts before a session stood */
};

/* ---- host_status.c ---- */
enum memory_kind {
	MEMORY_DEAD,
	MEMORY_NO_TLS,
	MEMORY_OLD_TLS,
	/* from here on for a day */
	MEMORY_NO_CHUNKING,
	MEMORY_NO_PIPELINING,
	MEMORY_NO_DSN,
	MEMORY_NO_8BITMIME,
	MEMORY_NO_SMTPUTF8
};

struct memory_slot {
	uint64_t key, until;
};

struct family {
	unsigned silent; /* addresses in a row that did not answer in time */
	uint64_t until;
};

struct relay;
struct pool;
struct delivery;
struct connection;

/* What the parts below tell those above them. relay.c, which knows all of them, fills this in. */
struct relay_ops {
	/* connection.c */
	void (*begin)(struct connection *c); /* a new one: where does it go? */
	void (*not_found)(struct connection *c, struct verdict v);
	void (*not_connected)(struct connection *c, struct verdict v, enum smtp_step step, enum smtp_fault fault);
	void (*advance)(struct connection *c);  /* its machine may have events */
	void (*writable)(struct connection *c); /* the peer has taken some text, or has answered */
	void (*closed)(struct connection *c);   /* nothing of it is open any more; it is freed next */
	/* downgrade.c, transfer.c */
	void (*resume)(struct connection *c); /* the first pass is over */
	/* pool.c */
	void (*give)(struct connection *c, struct delivery *d); /* to an idle connection */
	/* candidates.c, resolver.c */
	void (*found)(struct pool *pool, struct verdict v); /* its candidates are there; or why there are none */
	void (*resolver_changed)(struct pool *pool);
	/* delivery.c, connection.c */
	void (*part_gone)(struct relay *relay); /* perhaps the last one while stopping */
};

struct relay {
	const struct relay_ops *ops;
	struct role *role;
	uv_loop_t *loop;
	struct log log;
	struct list pools, trusts;
	struct list leases[LEASE_BUCKETS];
	size_t deliveries, waiting, running, connections; /* deliveries: also those whose result is not settled */
	uint64_t next_connection;
	struct arena scratch;         /* texts of `configure` */
	struct arena arena;           /* of what follows */
	struct str dns_options, path; /* as configured; see nexthops.c */
	struct arena own_arena;
	struct str_list own;               /* this machine's addresses, as they were … */
	uint64_t own_at;                   /* … then */
	struct stat resolv_conf;           /* as it was when the resolver was set up, … */
	uint64_t resolv_conf_at;           /* … and when it was looked at last */
	struct dns *dns, *next_dns;        /* NULL: not needed yet; next_dns: prepared by `configure` */
	struct sockaddr_storage source[2]; /* IPv4, IPv6; family 0: none */
	struct tls_context *old_tls;       /* NULL: not needed yet */
	struct memory_slot memory[MEMORY_SLOTS];
	struct family families[2];
	uv_timer_t grace, sweep; /* sweep: of domains that were looked up and got no mail */
	bool stopping, stopped;
};

void memory_note(struct relay *relay, enum memory_kind kind, const struct sockaddr_storage *address);
void memory_forget(struct relay *relay, enum memory_kind kind, const struct sockaddr_storage *address);
bool memory_has(const struct relay *relay, enum memory_kind kind, const struct sockaddr_storage *address);
void memory_silent(struct relay *relay, const struct sockaddr_storage *address);   /* no answer in time */
void memory_answered(struct relay *relay, const struct sockaddr_storage *address); /* connected */
/* Better tried after the others: it, or its whole family, does not answer. */
bool memory_doubts(struct relay *relay, const struct sockaddr_storage *address);

/* ---- ca_store.c ---- */
struct trust {
	struct list in_relay;
	struct str ca_pem; /* owned; "": the system's */
	struct tls_context *context;
	unsigned users;
};

/* For opportunistic TLS with servers of another time, which beats clear text. NULL: not possible. */
struct tls_context *trust_old(struct relay *relay);
/* The context for these CA certificates, made when there is none; NULL and why (text in the arena). Not yet used by anybody. */
struct trust *trust_get(struct relay *relay, struct str ca_pem, struct arena *a, struct verdict *why_out);
void trust_use(struct trust *t);
void trust_leave(struct trust *t);      /* NULL is allowed */
void trusts_sweep(struct relay *relay); /* those that nobody uses go */

/* ---- pool.c ---- */
struct target {
	struct str host;
	struct sockaddr_storage address;
	bool cut; /* it had less than the whole time to answer */
};

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
	unsigned port, tls;    /* enum upstream_tls */
	bool mx;               /* a domain: the pool goes when it is not needed any more */
	bool login, proven;    /* proven: a login has succeeded since the definition, or the last refusal */
	struct str mechanisms; /* of logins, in order; the one that worked first */
	unsigned avoid;        /* features that are not to be used, by configuration */
	struct trust *trust;   /* NULL: no TLS */
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
	struct list inquiries; /* struct inquiry: queue waits for the answer */
	struct arena targets_arena;
	struct target *targets;
	size_t targets_n, first;  /* first: of a single host's, to be tried before the others */
	struct verdict not_found; /* of a domain: why there are no targets; OK: there are, or nobody has asked */
	uint64_t targets_at;      /* when that was learned … */
	bool early;               /* … before there was a delivery: kept for the first one */
	char *failure;            /* why the last connection could not be made; NULL after a success */
};

struct hop;

/* Why a session could not be had. */
struct failure {
	struct verdict verdict;
	enum smtp_step step;
	enum smtp_fault fault;
	bool by_peer; /* the other side said so */
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
void pool_end_waiting(struct pool *pool, struct verdict v, const struct hop *hop);
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
void inquiry_add(struct pool *pool, struct channel *queue, uint64_t call);
void inquiry_answer(struct channel *queue, uint64_t call, bool known);
void inquiries_answer(struct pool *pool, bool known);
void inquiries_drop(struct relay *relay); /* queue is gone */

/* ---- nexthops.c ---- */
struct verdict hops_check(struct relay *relay, const struct config *config); /* could it be used? */
void hops_apply(struct relay *relay, const struct config *config);
void hops_abandon(struct relay *relay);
/* The next hop of a route; NULL and why when there is none. */
struct pool *hop_find(struct relay *relay, struct str route, struct arena *a, struct str *why_out);

/* ---- resolver.c ---- */
/* Opened when it is needed first; NULL and why. */
struct dns *resolver_get(struct relay *relay, struct arena *a, struct verdict *why_out);
/* The configuration in one text, to see whether it is the same. */
struct str resolver_options(struct arena *a, const struct cfg_delivery *d);
struct verdict resolver_check(struct relay *relay, const struct cfg_delivery *d); /* could it be used? */
void resolver_apply(struct relay *relay);                                         /* what was checked, or none */
void resolver_abandon(struct relay *relay);

/* ---- candidates.c ---- */
/* Look them up, unless that is under way; relay_ops.found follows. False and why: it is not possible. */
bool targets_ask(struct pool *pool, struct arena *a, struct verdict *why_out);
/* Is there something that was found, or not found, lately? */
bool targets_fresh(const struct pool *pool);
void targets_forget(struct pool *pool);

/* ---- reach.c ---- */
/* Why mail is not delivered directly to this address ("a loopback address"); NULL: it may be. literal: a user named it. */
const char *reach_obstacle(const struct cfg_delivery *d, const struct sockaddr_storage *address, bool literal);
const struct str_list *reach_own(struct relay *relay); /* until the next call */
/* The server that has greeted is this relay itself. */
bool reach_is_ourselves(const struct connection *c);

/* ---- delivery.c ---- */
struct recipient {
	uint64_t n;
	struct str address, orcpt;
	unsigned notify;
	struct verdict verdict;
	enum smtp_step step; /* of the verdict */
	struct meaning meaning;
	bool heard;       /* the next hop has said the verdict in the present transaction */
	bool known;       /* it is final for this delivery */
	unsigned suspect; /* features that the verdict may be about */
};

/* The recipients of one transaction, in the delivery's arena. */
struct batch {
	size_t n;
	size_t *index;
	struct str sender, *addresses, *orcpt;
	unsigned *notify;
	bool utf8;
};

/* The last verdict that was judged. */
struct judged {
	bool known;
	enum smtp_step step;
	struct verdict verdict;
	struct meaning meaning;
};

enum delivery_state { DELIVERY_WAITING, DELIVERY_RUNNING, DELIVERY_REPORTED };

struct delivery {
	struct list in_leases, in_pool;
	struct relay *relay;
	struct pool *pool; /* NULL: no such next hop, or it is over */
	enum delivery_state state;
	struct log log;
	uint64_t lease, id; /* id: the message */
	struct arena arena;
	struct str sender, envid, sign_domain, prefix, text;
	uint64_t size;
	unsigned body, ret, utf8;
	uint64_t deliver_by; /* RFC 2852; enum smtp_by */
	unsigned deliver_by_mode, priority;
	bool require_tls;
	int fd; /* the text, when it is a file */
	struct recipient *recipients;
	size_t recipients_n;
	struct batch batch;
	struct judged judged;
	struct buf transcript; /* of the last transaction that was not all success */
	bool long_lines;       /* its body has some */
	/* What it is for a next hop that does not take it as it is, once that is known: downgrade.c */
	unsigned converted_as; /* CONVERT_...; 0: not yet, or not to its end */
	struct verdict unconvertible;
	struct str converted_prefix;
	uint64_t converted_size;
	bool retried; /* on a fresh connection, after an idle one had died */
	/* Features that a next hop offers and that seemed to break it; unproven: it has not answered without them yet. */
	unsigned avoid, unproven;
	struct buf given_up; /* lines about that, for the transcript */
	bool other_family;   /* it was refused for the address family, and goes by the other one */
	bool orphan;         /* the queue that gave it is gone: nobody waits for the result */
};

/* What is known of the next hop when a delivery ends. */
struct hop {
	struct str remote, tls, transcript, without;
	uint64_t connections, rcptmax;
	bool dsn;
	enum gate_state gate; /* of the session; else the outcomes decide */
	struct meaning gate_meaning;
	struct str gate_reason;
};

struct delivery *delivery_new(struct relay *relay, const struct msg_deliver *m, int fd); /* takes fd */
void delivery_free(struct delivery *d);
struct delivery *delivery_find(struct relay *relay, uint64_t lease);
void delivery_run(struct delivery *d); /* a connection takes it */
bool delivery_is_complete(const struct delivery *d);
void delivery_settle_rest(struct delivery *d, enum smtp_step step, struct verdict v);
/* What is not known yet fares like those that were refused for the next hop's reasons. */
void delivery_spread_blame(struct delivery *d);
void delivery_end(struct delivery *d, const struct hop *hop); /* report; what has no outcome yet is TEMP */
void delivery_end_blocked(struct delivery *d, struct verdict v, const struct hop *hop);
void delivery_end_untried(struct delivery *d);
void delivery_settled(struct delivery *d);

/* ---- handover.c ---- */
void delivery_begin(struct relay *relay, const struct msg_deliver *m, int fd); /* takes fd */
void deliveries_orphan(struct relay *relay);                                   /* queue is gone */

/* ---- complaints.c ---- */
void delivery_hear(struct delivery *d, size_t index, enum smtp_step step, struct verdict v); /* a verdict, and what it means */
/* The same, and it is final for this delivery. */
void delivery_outcome(struct delivery *d, size_t index, enum smtp_step step, struct verdict v);
/* Do the outcomes speak of the next hop rather than of this message? At RCPT and after the text two witnesses may be needed. */
enum gate_state delivery_gate(const struct delivery *d, struct meaning *meaning_out, struct str *reason_out);
struct rec_outcome delivery_answer(struct delivery *d, size_t index);
bool delivery_met_rate(const struct delivery *d);

/* ---- tx_recipients.c ---- */
/* Bits of `deliver`; the last one only here: an address in the header was found to need it. */
enum { UTF8_DECLARED = 1, UTF8_IN_ENVELOPE = 2, UTF8_IN_HEADER = 4, UTF8_IN_ADDRESS = 8 };
/* Does its header stay in UTF-8 for this next hop (RFC 6531)? Only together with an address that needs SMTPUTF8. */
bool batch_header_is_utf8(const struct delivery *d, unsigned usable);
/* Why the message as a whole must not go on this connection, or not any more; OK: it may. */
struct verdict batch_obstacle(const struct connection *c, unsigned usable);
/* Put as many open recipients as the next hop takes at once into d->batch; those that cannot go there get their outcome. False: there
 * are none left. */
bool batch_fill(const struct connection *c, unsigned usable);
void batch_forget(struct delivery *d); /* nothing that was heard counts */
/* Was a recipient refused for our address family? */
bool batch_meets_family(const struct delivery *d);
/* What was heard is final, but for recipients that were too many, or go by the other address family (`moves`), or
 * without what was given up. */
void batch_commit(struct delivery *d, bool moves, unsigned given_up);

/* ---- extensions.c ---- */
unsigned extensions_named(const struct str_list *names); /* enum smtp_peer_feature, as bits */
struct str extensions_words(struct arena *a, unsigned features);
unsigned extensions_broken(const struct connection *c); /* known of this address */
unsigned extensions_usable(const struct connection *c); /* for its delivery */
/* Of what may be why it was refused or lost: what the delivery goes without from now on; 0: nothing more can be given up. */
unsigned extensions_give_up(struct connection *c, unsigned suspect, struct verdict why);
void extensions_note(struct connection *c, unsigned features); /* remember it */

/* ---- requirements.c ---- */
/* Why it need not be tried at all: its time is over, or it must not go to this next hop, whatever that says. OK: it may go. */
struct verdict demands_check(const struct delivery *d, const struct pool *pool, uint64_t now_ms);
/* The same for this connection's delivery, now that it is known what the next hop offers. */
struct verdict demands_check_peer(const struct connection *c, uint64_t now_ms);
/* RFC 2852: the seconds that are left. */
int64_t demands_seconds(const struct delivery *d, uint64_t now_ms);

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

/* What becomes of the text as it is read. False: it must not go on, and whoever says so has ended it. */
struct transfer_ops {
	bool (*take)(struct connection *c, struct str bytes);
	void (*end)(struct connection *c);
};

struct transfer {
	const struct transfer_ops *ops; /* NULL: none */
	int fd;                         /* -1: none */
	uint64_t at, size;
	char *chunk;
	bool reading, waiting; /* waiting: until the peer has taken some of it */
	uv_fs_t request;
	/* On the way to a next hop that does not take it as it is: */
	struct convert *convert; /* NULL: the text goes as it is */
	struct buf converted;
	/* The first pass, which only counts and hashes: */
	unsigned what; /* CONVERT_...: for what it is made */
	struct dkim *dkim;
	uint64_t counted;
	struct dkim_key keys[DKIM_KEYS_MAX];
	size_t keys_n;
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
	struct str tls_name;
	unsigned tls; /* enum upstream_tls */
	struct tls_context *context;
	struct smtp_client_config config;
	struct smtp_client *client;
	struct stream *stream;
	uv_timer_t timer;
	uint64_t limited_at; /* the machine's progress when the timer was started last */
	unsigned parts;      /* not closed yet: timer, streams, a file being read */
	struct target *targets;
	size_t targets_n, tried, sessions, second_turns;
	bool second_turn;          /* only those that were cut short, with the whole time */
	bool handshaking, old_tls; /* old_tls: by the context for servers that know nothing better */
	bool by_peer;              /* the failure is the peer's own word */
	struct str mechanism;      /* by which it logs in; a view of the configuration's */
	bool other_mechanism;      /* it was opened anew for that */
	bool scram, proven;        /* proven: it has shown that it knows the password too (RFC 5802 5.1) */
	struct failure failure;    /* the most telling one so far; verdict OK: none */
	struct buf attempts;       /* what was tried, for transcripts */
	char remote[400];          /* "host [address]:port" */
	uint64_t call;             /* of vault or queue; 0: none open */
	struct delivery *delivery;
	bool converting; /* the delivery's first pass */
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
void connection_connect(struct connection *c, const struct target *t);
void connection_flush(struct connection *c);                                            /* write out what the machine has said */
void connection_break(struct connection *c, struct verdict why, enum smtp_fault fault); /* the connection is no more */
/* The attempts before this session, and its own dialogue. */
struct str connection_transcript(struct connection *c, struct arena *a);

/* ---- attempt.c ---- */
void attempt_begin(struct connection *c);
void attempt_found(struct pool *pool, struct verdict v); /* for connections and inquiries that wait for the targets */
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
void session_advance(struct connection *c); /* take the machine's events, write what it says, set the time limit */
void session_resume(struct connection *c);  /* the conversion is over */
void session_give(struct connection *c, struct delivery *d); /* to an idle one */

/* ---- transfer.c ---- */
void transfer_begin(struct connection *c, const struct transfer_ops *ops);
void transfer_to_wire(struct connection *c, unsigned what); /* what: CONVERT_... */
void transfer_go_on(struct connection *c); /* the peer has taken some, or has answered: read on if that lets us */
void transfer_fini(struct transfer *t);

/* ---- downgrade.c ---- */
/* What of its delivery's text must be changed for this next hop: CONVERT_... of mail.h; 0: nothing. */
unsigned conversion_of(const struct connection *c);
/* The first pass: at its end d->converted_prefix and converted_size are known, or d->unconvertible says why not, and c->converting is
 * false; perhaps before this returns, else session_resume() follows. */
void conversion_begin(struct connection *c);

#endif
