/* store.h - messages on disk, owned by the queue role alone. Which state survives what: HACKING.md, "Spool states".
 *
 * Rules for all operations. Every function returns at once. Its callback comes exactly once, on the loop, and never before
 * the function has returned. The caller keeps the arguments, and what they point to, valid and unchanged until the callback:
 * nothing is copied. The results that a callback gets live until it returns.
 *
 * Operations that are issued while a commit is under way form one batch. Operations that name the same message keep their
 * order. Each operation gets its own verdict: OK means that it is durable, TEMP 452 4.3.1 that the disk is full, TEMP 451
 * 4.3.0 that the store is not available. No SQL, no row and no file name is visible here. Closing first finishes all
 * operations.
 *
 * A result (settle, report, gate_put) that finds the disk full is kept and tried again each second; its callback comes when
 * the result is durable, or with 452 when the store is closed before. Until then lanes, leases and administration get 452.
 * After an error of input, output or fsync the store logs store.failed and ends the process with 70; nothing of that batch
 * is acknowledged.
 *
 * Times are ms since 1970 UTC. */
#ifndef POSTHOUSE_STORE_H
#define POSTHOUSE_STORE_H

#include "posthouse/arena.h"
#include "posthouse/envelope.h"
#include "posthouse/store_limits.h"
#include "posthouse/tally.h"
#include "posthouse/tls_wish.h"
#include "posthouse/verdict.h"

#include <uv.h>

struct store;

enum message_kind { KIND_MAIL, KIND_FAILURE, KIND_DELAY, KIND_SUCCESS, KIND_NOTICE };
enum message_place { PLACE_NONE, PLACE_ROW, PLACE_FILE }; /* NONE: finished, the text is gone */
enum recipient_state {
	RCPT_WAITING = 1,
	RCPT_HELD,
	RCPT_DELIVERED,
	RCPT_FAILED,  /* permanently, not yet reported */
	RCPT_BOUNCED, /* permanently, reported */
	RCPT_RELAYED,
	RCPT_REMOVED,
	RCPT_DISCARDED, /* failed, and the null sender gets no report */
};
/* Words, as in show and trace. */
static inline const char *recipient_state_name(unsigned state)
{
	static const char *const names[] = { "",        "waiting", "held",    "delivered", "failed",
					     "bounced", "relayed", "removed", "discarded" };

	return state < sizeof names / sizeof names[0] ? names[state] : "";
}

struct new_recipient {
	struct str address, orcpt;
	struct str via; /* see store_reroute(); "" */
	unsigned notify;
	bool held; /* from the start, also when the message is not */
};

/* A message to store. */
struct accepted {
	uint64_t id, token;
	enum message_kind kind;
	uint64_t parent;
	uint64_t received_at, expires_at, warn_at;
	struct envelope envelope;
	struct str device, origin;
	struct str prefix;
	uint64_t size, header_size; /* of the text */
	enum message_place place;
	struct str text;                        /* PLACE_ROW: the bytes */
	const struct new_recipient *recipients; /* they are numbered n = 1, 2, … */
	size_t recipients_n;
	struct str held;                  /* the reason to hold the message from the start; "": not held */
	bool remember;                    /* from now on the login knows these recipients (store_known) */
	const struct bucket_row *charges; /* written in the same transaction */
	size_t charges_n;
	uint64_t *states_out; /* NULL, or room for one of each charge: see store_accept */
	struct str event;     /* fields of the first event, "mail.accepted": key=value … */
};

/* A recipient that is due, with its message's envelope. */
struct due_recipient {
	uint64_t n;
	struct str address, orcpt;
	struct str via; /* see store_reroute(); "" */
	unsigned notify;
	uint64_t attempts, deaths;
	uint64_t take_no; /* of this lease; 0: the store is not shared */
};

struct due_message {
	uint64_t id;
	enum message_kind kind;
	uint64_t received_at, expires_at;
	struct envelope envelope;
	struct str prefix;
	uint64_t size;
	enum message_place place;
	struct str text; /* PLACE_ROW and asked for with_text: the bytes; else empty */
	struct due_recipient *recipients;
	size_t recipients_n;
	uint64_t others_open; /* further recipients that keep the message open, not in here; 0: no siblings to ask for */
	uint64_t membership;  /* in which the node has leased it (store_nodes.h); 0: there is no node */
	uint64_t header_size;
};

/* The result of a delivery to one recipient of one message. */
struct outcome {
	uint64_t id, n;
	uint64_t take_no;           /* that the recipient was leased with: a result of an earlier lease changes nothing */
	enum recipient_state state; /* WAITING: due_at is the time of the next attempt */
	uint64_t due_at;
	bool attempted; /* counts as an attempt of the message */
	bool died;      /* relay died during this delivery */
	/* Final and good, and the sender is to be told: the message stays open until store_report(KIND_SUCCESS). */
	bool report_success;
	struct verdict verdict; /* the last reply; class OK and code 0: leave the earlier one */
	uint64_t meaning;       /* of this reply, packed as in meaning.h */
	struct str remote, route, tls;
	struct str event, event_fields; /* "" = no event */
	struct str transcript;          /* "" = none; at most 4 KiB are kept */
	uint64_t at;
};

/* Open the store: create the database, or bring an older one to today's schema. A tmpfs, a network file system, a directory
 * that is not writable and a newer schema are refused; nothing is repaired silently. This can take long (an older queue of a
 * million messages, a slow disk), so a thread does it. `opened` is called with OK when the store is open, or with the reason
 * why it cannot be opened; after that only store_close() is allowed. Before either of these it can be called with TEMP 452
 * (there is no room; the reserve is released) or TEMP 450 (another program has the database open); opening is then tried
 * again each second. It is never called before this function has returned, nor after store_close(). Operations that are
 * issued before OK wait for it. Later the store removes large files without a message, but only those that are older than
 * this call. */
typedef void (*store_opened_fn)(void *ctx, struct verdict v);
struct store_engine;
extern const struct store_engine store_engine_sqlite;     /* state_dir/queue.db */
extern const struct store_engine store_engine_postgresql; /* a database that several nodes share: struct store_database */

/* Where the rows are when they are not in state_dir. The store keeps copies of the texts. */
struct store_database {
	struct str connection, password;
	bool standby;             /* each commit waits for a standby server */
	uint64_t node_timeout_ms; /* a node that shows no life for so long is dead */
	uint64_t patience_ms;     /* how long an operation that must not be lost waits for the database to return */
};
struct store_options {
	const struct store_engine *engine;     /* keeps the rows: one of the above */
	const struct store_database *database; /* of the engine for PostgreSQL, else NULL */
	const char *state_dir;
	uint64_t min_free;     /* bytes that must stay free, else accepts get 452 4.3.1 */
	uint64_t max_messages; /* open ones; more get 452 4.3.1 */
};
struct store *store_open(uv_loop_t *loop, const struct store_options *options, store_opened_fn opened, void *ctx);
void store_set_limits(struct store *st, uint64_t min_free, uint64_t max_messages);
bool store_is_shared(const struct store *st); /* other nodes can use the database too */
void store_close(struct store *st, store_done_fn done, void *ctx);

/* Store a message with its recipients, lanes and first event, all or nothing. Idempotent: the same (id, token) again is OK
 * with code 250, also after a restart, and writes nothing; the same id with another token is PERM. PLACE_FILE: the large
 * file must be there with exactly `size` bytes and one link, opened by this store (store_spool_create), else TEMP; and
 * nobody must be able to write it any more, else PERM 554 5.7.0. Its data and directory are synced before the commit.
 *
 * A database that several nodes share judges the charges itself: when one that must fit is over its limit, because of what other
 * nodes have charged, nothing is stored and store_is_over() says so. The callback finds in states_out what tat_us of each charge
 * is in the database now, after OK and when a charge was over; 0: not told. */
void store_accept(struct store *st, const struct accepted *m, store_done_fn done, void *ctx);

/* Create the file of a large message and hand out a descriptor for writing (the callback's to close); or drop it again. */
typedef void (*store_fd_fn)(void *ctx, struct verdict v, int fd);
void store_spool_create(struct store *st, uint64_t id, uint64_t size_hint, store_fd_fn done, void *ctx);
void store_spool_drop(struct store *st, uint64_t id);

/* Lanes (recipient domain, login, priority, via, wish) with something due at `now`: those of higher priority first, in turn among
 * equals (a lane that was given goes to the end); but a quarter of each page goes to those that have waited longest,
 * whatever their priority. next_at_out: when the next lane will be due (0: none waits). */
struct due_lane {
	uint64_t lane;
	struct str domain, login;
	struct str via; /* see store_reroute(); "" */
	unsigned priority;
	enum tls_wish wish; /* of mail that a version before has stored perhaps TLS_WISH_NONE instead */
};
typedef void (*store_lanes_fn)(void *ctx, struct verdict v, const struct due_lane *lanes, size_t n, uint64_t next_at);
void store_lanes(struct store *st, uint64_t now, size_t max, store_lanes_fn done, void *ctx);

/* Lease due recipients of a lane: of up to `max` messages, first attempts before retries, each message with all of its due
 * recipients in this lane (at most 100; if there are more, it comes again and counts again). A leased recipient is not given
 * again until it is settled or returned. Leases live in memory: after a restart of the queue all are due again. with_text:
 * PLACE_ROW texts come along. */
typedef void (*store_due_fn)(void *ctx, struct verdict v, const struct due_message *messages, size_t n);
void store_lease(struct store *st, uint64_t lane, uint64_t now, size_t max, bool with_text, store_due_fn done, void *ctx);

/* Lease at most `max` other due recipients of the message, in any lane. */
void store_lease_siblings(struct store *st, uint64_t id, uint64_t now, size_t max, store_due_fn done, void *ctx);

/* A new read-only descriptor of a large message, which the callback must close, or the bytes of a small one. When a large file
 * is missing or has the wrong size, the message is held; the verdict is TEMP as long as a recipient waits, then PERM: reports
 * are made without the text. */
typedef void (*store_text_fn)(void *ctx, struct verdict v, struct str bytes, int fd);
void store_text(struct store *st, uint64_t id, store_text_fn done, void *ctx);

/* Record outcomes; the lease of each named recipient ends. A message whose last recipient becomes final is closed: text
 * dropped (row first, then the file). FAILED recipients keep it open until they are reported. Settling a recipient that is
 * final already, or a removed message, changes nothing and is OK. */
void store_settle(struct store *st, const struct outcome *outcomes, size_t n, store_done_fn done, void *ctx);

/* Messages that need a report to their sender. Messages take turns, so one whose report cannot be made does not hide others.
 *   KIND_FAILURE  those with FAILED recipients
 *   KIND_DELAY    those whose warn_at has passed at `now` (at most once per message), with the recipients that still wait
 *   KIND_SUCCESS  those with recipients settled with report_success
 * None of the message's recipients is in flight (leased). One call looks at a thousand messages, so a page can be empty without
 * being the last. */
struct failed_recipient {
	uint64_t n, attempts;
	struct str address, orcpt, remote;
	struct str route; /* of the last attempt */
	unsigned notify;
	uint64_t last_at;
	struct verdict verdict;
	uint64_t meaning;
};
struct unreported {
	uint64_t id;
	enum message_kind kind;
	uint64_t received_at, expires_at;
	struct envelope envelope;
	uint64_t header_size, size;
	struct failed_recipient *failed;
	size_t failed_n;
};
typedef void (*store_unreported_fn)(void *ctx, struct verdict v, const struct unreported *messages, size_t n);
void store_unreported(struct store *st, enum message_kind kind, uint64_t now, size_t max, store_unreported_fn done, void *ctx);

/* Store the report (NULL: no report is sent) and mark the parent's recipients in n_list, in one transaction: KIND_FAILURE:
 * FAILED -> BOUNCED (without a report: DISCARDED); KIND_DELAY: warned, warn_at is cleared; KIND_SUCCESS: told, and the
 * message is closed when nothing else keeps it open. The parent's event is mail.reported; without a report mail.discarded
 * (failures) or none. Idempotent: when none of the recipients needs the report (any more), it is not stored and the
 * answer is OK. */
void store_report(struct store *st, enum message_kind kind, const struct accepted *report, uint64_t parent,
		  const uint64_t *n_list, size_t n, struct str event_fields, store_done_fn done, void *ctx);

/* ---- administration ---- */
struct selector {
	uint64_t id;
	struct str user, sender, recipient, destination;
	struct str message_id; /* angle brackets and case do not matter */
	uint64_t older_than_ms;
};
enum alter { ALTER_RETRY = 1, ALTER_REMOVE, ALTER_HOLD, ALTER_RELEASE, ALTER_BOUNCE, ALTER_REROUTE };

struct message_row {
	uint64_t id, token, received_at, expires_at, warn_at, finished_at, size, header_size, parent;
	enum message_kind kind;
	struct envelope envelope;
	struct str device, origin, held, prefix;
	bool is_held; /* the message, and not only some of its recipients */
	uint64_t recipients, open;
	uint64_t due_at;      /* earliest of the waiting ones; 0 = none */
	struct str recipient; /* the first open one */
	struct str reply;     /* its last reply, as "451 4.7.1 text" */
};
struct recipient_row {
	uint64_t n;
	struct str address, orcpt, remote, route;
	struct str via; /* see store_reroute(); "" */
	unsigned notify;
	enum recipient_state state;
	bool leased;                              /* by this process */
	uint64_t due_at, attempts, last_at, node; /* node: that delivers it now, of several; else 0 */
	struct verdict verdict;
};
struct event_row {
	uint64_t at, n;
	struct str name, fields;
};
/* cursor: 0 = from the start; next_cursor 0 = the last page. A call looks at some thousand messages, so a page can be short or
 * empty without being the last. Lists open messages (and finished ones when selected by id or Message-ID). */
typedef void (*store_rows_fn)(void *ctx, struct verdict v, const struct message_row *rows, size_t n, uint64_t next_cursor);
void store_select(struct store *st, const struct selector *s, uint64_t cursor, size_t max, store_rows_fn done, void *ctx);

typedef void (*store_show_fn)(void *ctx, struct verdict v, const struct message_row *m, const struct recipient_row *rows,
			      size_t n, uint64_t next_cursor);
void store_show(struct store *st, uint64_t id, uint64_t cursor, size_t max, store_show_fn done, void *ctx);
void store_show_patiently(struct store *st, uint64_t id, store_show_fn done, void *ctx); /* see store_known_patiently() */

typedef void (*store_trace_fn)(void *ctx, struct verdict v, const struct event_row *rows, size_t n, struct str transcript,
			       uint64_t next_cursor);
void store_trace(struct store *st, uint64_t id, uint64_t cursor, size_t max, store_trace_fn done, void *ctx);

/* Find recipients by what people know of a message, finished or not: all that is set must hold. The newest messages come
 * first, as far as the time of their acceptance goes. sender, recipient: "a@b", a local part or a domain ("bob",
 * "gmail.test", "@gmail.test"), "*" for any text within them, "<>" for the null sender; `a` fits `a+tag` too, a recipient
 * also by the address of its ORCPT. Case, and U-labels for A-labels, do not matter. subject: each of the words is somewhere
 * in it. A message of before version 6 of the schema has neither subject nor Message-ID.
 *
 * Each call does a bounded amount of work, so a page can be empty without being the last. Begin with a place of zeros;
 * `next` is for the next call, its phase is 0 at the end. Messages that are accepted meanwhile can be missed. */
struct find {
	struct str user, message_id, sender, recipient, subject;
	uint64_t since, until; /* accepted in [since, until); 0: any time */
	unsigned states;       /* bits 1 << enum recipient_state; 0: any */
};
struct find_place {
	uint64_t phase, at, position, n; /* what they mean is the engine's business */
};
struct found_recipient {
	uint64_t id, received_at, size;
	enum message_kind kind;
	struct str login, device, origin, sender, subject, message_id, held;
	struct recipient_row recipient;
	struct str tls;   /* of the last attempt */
	uint64_t meaning; /* of the last reply */
};
typedef void (*store_found_fn)(void *ctx, struct verdict v, const struct found_recipient *rows, size_t n,
			       const struct find_place *next);
void store_find(struct store *st, const struct find *f, const struct find_place *from, size_t max, store_found_fn done,
		void *ctx);

/* 500 messages at a time, resumable by the cursor. A selector with recipient or destination alters only those recipients of
 * a message, any other all of them (and then HOLD and RELEASE mark the message itself). Leased recipients are counted but not
 * altered (REMOVE marks them durably: a result other than delivered, or a restart, ends them as REMOVED; HOLD: those that must
 * be tried again are held). RETRY makes waiting recipients due now; RETRY and RELEASE never deliver before release_at. BOUNCE
 * makes waiting and held recipients FAILED, with a reply that names the reason and the last answer; leased ones are marked as by
 * REMOVE. FAILED recipients are left to their report. Each altered message gets an event: mail.retried, mail.removed, mail.held,
 * mail.released, mail.bounced, mail.rerouted. */
struct altered {
	uint64_t count;         /* messages that were altered */
	uint64_t in_flight;     /* leased recipients that were met */
	const uint64_t *leased; /* their messages: the caller knows the deliveries */
	size_t leased_n;
	uint64_t next_cursor;
};
typedef void (*store_alter_fn)(void *ctx, struct verdict v, const struct altered *altered);
void store_alter(struct store *st, const struct selector *s, enum alter operation, struct str reason, uint64_t cursor,
		 store_alter_fn done, void *ctx);

/* ALTER_REROUTE: waiting and held recipients go by `via` from now on: a choice as routes have it (an upstream, or "mx"),
 * which the store does not look into; "": by the routes again. Those that wait are due now; leased
 * ones go by it when they come back. */
void store_reroute(struct store *st, const struct selector *s, struct str via, struct str reason, uint64_t cursor,
		   store_alter_fn done, void *ctx);

/* What waits, by recipient domain. Each call looks at some open messages after `cursor`, at most `max`: the caller adds the
 * pages. next_cursor 0: the last page. Of one message with very many domains the last ones are one row, with the destination
 * "*". */
#define SUMMARY_AGES 6 /* of messages: younger than 5 and 20 minutes, 1 hour, 4 hours, 1 day; older */
struct summary_row {
	struct str destination;
	uint64_t recipients, held;
	uint64_t ages[SUMMARY_AGES]; /* recipients */
	uint64_t oldest_at;          /* when the oldest message was received */
	struct str reply;            /* the last one that a recipient got, as "451 4.7.1 text"; "": none did */
	uint64_t reply_at;
};
typedef void (*store_summary_fn)(void *ctx, struct verdict v, const struct summary_row *rows, size_t n, uint64_t next_cursor);
void store_summary(struct store *st, uint64_t cursor, size_t max, store_summary_fn done, void *ctx);

/* ---- gates: the health of next hops, kept over restarts ---- */
struct gate_state {
	struct str name; /* "upstream:isp" */
	uint64_t down_until, failures, last_ok_at;
	uint64_t pause_ms; /* length of the pause that ends at down_until; 0: not known */
	uint64_t told;     /* the meaning of the fault of which the postmaster was told (meaning.h); 0: of none */
	struct str reason;
};
typedef void (*store_gates_fn)(void *ctx, struct verdict v, const struct gate_state *gates, size_t n);
void store_gates(struct store *st, store_gates_fn done, void *ctx);
/* An "mx:" gate without failures is forgotten. */
void store_gate_put(struct store *st, const struct gate_state *g, store_done_fn done, void *ctx);
/* Of several nodes one probes: give the gate this down_until and at least this pause_ms, if its down_until is still `seen`.
 * Called back with 1; with 0 when it is not, because another node was faster. */
typedef void (*store_count_fn)(void *ctx, struct verdict v, uint64_t count);
void store_gate_claim(struct store *st, const struct gate_state *g, uint64_t seen, store_count_fn done, void *ctx);

/* Forget messages that were finished before `before`, with their events, and the rows named above; at most `max` of each kind (a
 * thousand buckets). count: the largest number forgotten of one kind; `max` or more: call again. */
void store_prune(struct store *st, uint64_t before, size_t max, store_count_fn done, void *ctx);

/* ---- after the clock was set back (clock.h): mend the times of messages, recipients and other rows, one page in each call,
 * beginning with step and cursor 0. A message that was received later than now is received now, and its other times move with
 * it; a recipient that is due later than its last interval allows is due now, but not before its release; no other past event
 * is later than now. The callback gets the arguments for the next page; step MENDED is the end. ---- */
#define MENDED 3
struct mending {
	uint64_t now;
	uint64_t retry_ms;             /* the longest time from an attempt to its retry */
	uint64_t release_ms;           /* the longest time that mail is kept back (RFC 4865) */
	uint64_t step, cursor;         /* of the page; only the store sets them */
	uint64_t messages, recipients; /* mended so far */
};
typedef void (*store_mend_fn)(void *ctx, struct verdict v, const struct mending *next);
void store_mend(struct store *st, const struct mending *m, store_mend_fn done, void *ctx);

/* ---- a copy of all that the store has, as it is at one moment, while the store works: state_dir/backup/NAME, from which a store
 * can be opened. Large files are hard links. name: at most 64 letters, digits, "-", "_" and "."; "": the date and time. OK: the
 * copy is whole, checked and durable. PERM 550: the name cannot be used. TEMP: there is no room beside min_free, or another copy
 * is being made. What a copy that was interrupted has left is removed at the next opening, and by the next copy. ---- */
struct backup {
	struct str directory;
	uint64_t messages; /* that are not finished */
	uint64_t files;    /* of large messages; and those that the store itself has lost */
	uint64_t missing;
	uint64_t bytes; /* all files of the copy */
};
typedef void (*store_backup_fn)(void *ctx, struct verdict v, const struct backup *backup);
void store_backup(struct store *st, struct str name, store_backup_fn done, void *ctx);
void store_stop_backup(struct store *st); /* the one that is being made; closing does so too */

/* Why the operations of a transaction were repeated with more care. CONFLICT: with what other nodes did, or had charged. */
enum store_repeat { REPEAT_REFUSED, REPEAT_CONFLICT, REPEAT_FULL, REPEAT_AWAY, REPEATS };
const char *store_repeat_name(enum store_repeat reason);

/* Counters kept incrementally; synchronous. */
struct store_stats {
	uint64_t open_messages, waiting, held, failed, lanes; /* messages; recipients by state; lanes */
	uint64_t accepted, settled, commits;                  /* since the start */
	uint64_t operations;                                  /* that changed something, since the start: several in a commit */
	struct histogram commit_time;                         /* of the commits alone */
	uint64_t repeated[REPEATS];                           /* transactions, since the start */
	uint64_t late;                                        /* results that changed nothing, since the start */
	uint64_t over;                                        /* accepts that only the database knew to be over a limit */
	uint64_t file_bytes, free_bytes;                      /* of the engine's files; on their disk, UINT64_MAX: not known */
	bool full;                                            /* accepts are refused for want of space */
	bool lost;     /* the database was removed or replaced: every operation is refused */
	bool rerouted; /* some recipient goes by a `via` of its own, or did since the start */
	bool indexing; /* the index by which mail is found is behind: it takes longer */
	bool set_back; /* the clock is behind the latest time that the store knows, or it knows none: call store_mend */
};
void store_stats(const struct store *st, struct store_stats *stats_out);

#endif
