/* rows.h - the operations of the store on rows of a database, once for all engines. An engine's folder has the same names for its
 * database: db.h and db.c (how statements are run), statements.def (the statements; their parameters and columns are in the same
 * order in each), schema.c, lanes and leases, large texts, and engine.c. The files of this folder are compiled with the headers
 * of each of them. Only the store's writer uses `struct engine`. */
#ifndef POSTHOUSE_STORE_ROWS_H
#define POSTHOUSE_STORE_ROWS_H

#include "db.h"
#include "engine.h"

#include "posthouse/buf.h"
#include "posthouse/hash.h"
#include "posthouse/hashtable.h"
#include "posthouse/smtp_server.h"
#include "posthouse/units.h"

#define KIND_COUNT     (KIND_NOTICE + 1)
#define TRANSCRIPT_MAX 4096

/* Bits of recipient.reported: what the sender was told; TO_TELL_SUCCESS: the report of success is still missing. */
enum reported { TOLD_FAILURE = 1, TOLD_DELAY = 2, TOLD_SUCCESS = 4, TO_TELL_SUCCESS = 8 };

struct counters {
	uint64_t open_messages, waiting, held, failed, lanes, accepted, settled;
	uint64_t late, over;
	uint64_t unsearched; /* messages that were accepted and are not in the index by which mail is found (search.h) */
	uint64_t older_than; /* messages of before there was that index, and below this id, are not in it; 0: there are none */
};

/* What a counter says. A node of several hears of what the others have added later than it takes that away itself, so that a
 * counter of its own can be below zero meanwhile. */
static inline uint64_t counted(uint64_t counter)
{
	return counter > INT64_MAX ? 0 : counter;
}

/* The position of a round through the lanes (lane_rotation.c). */
struct turn {
	uint64_t next_at, lane; /* the last lane given */
	uint64_t end;           /* lanes due later than this wait for the next round */
};

/* A message in the order in which those of one kind of report take turns: by `at`, which is its warn_at or 0, then by id. */
struct report_turn {
	uint64_t at, id;
};

/* What the operations know of the engine; an engine's own structure begins with it. */
struct engine {
	struct engine_host *host;
	struct db db;
	struct counters counters, tx_before; /* now, and when the transaction began: to return to */
	bool tx_settles;
	bool rerouted;     /* there is, or was since the start, a lane with `via` */
	uint64_t clock_at; /* the latest time that was seen */
	bool set_back;     /* at the start the clock was behind that time, and some times are still to be mended */
	struct turn turns[PRIORITY_MAX + 1], turn_by_time;
	uint64_t lanes_given;
	struct siphash_key known_key;
	struct buf pruned_login;                 /* the login whose recipients store_prune checked last; "": none */
	struct buf pruned_key, pruned_rule;      /* the bucket that store_prune checked last; "": none */
	struct report_turn reported[KIND_COUNT]; /* the last message that store_unreported looked at */
};

/* ==== what an engine provides ==== */

/* schema.c: a value of the table meta; false when there is none, or after an error. */
bool schema_meta(struct db *db, struct str key, struct arena *a, struct str *value_out);

/* nodes.c: the number of this node; 0: the engine has none. */
uint64_t own_node(const struct engine *e);

/* many.c: a statement about one message, asked of many. It begins as { .e, .statement, .ids, .n } and, for the parameters behind
 * the message, .values and .values_n. many_row: the next row, those of one message after those of another, in the order of `ids`;
 * NULL at the end, or after an error; a walk goes on until then. An engine can ask of all at once, so the rows of all must have
 * room in memory. One walk at a time, as of each statement. */
#define MANY_VALUES 2
struct many {
	struct engine *e;
	enum statement statement;
	const uint64_t *ids;
	size_t n;
	struct db_value values[MANY_VALUES];
	size_t values_n;
	struct db_rows *q; /* from here on many.c's */
	size_t asked;
};
struct db_rows *many_row(struct many *m);

/* What beside the recipient's domain names a lane. */
struct lane_key {
	struct str login;
	unsigned priority;
	struct str via;
	enum tls_wish wish; /* so that mail which is content without TLS does not wait behind mail for which TLS fails */
};

/* lanes.c: keep lane rows and the index of due times together. lane_for: the lane of such recipients, which is made if need
 * be, and is awake at due_at. lane_refresh: recipients of the lane have changed; lane_settled: by results. lane_note_due: a
 * recipient of the lane is due at that time. lane_is_quiet: all due recipients of the lane are leased, so it is passed by;
 * lanes_quiet_until: the time at which the first of these lanes has something due after `now`, unless next_at (0: none) is
 * earlier. */
uint64_t lane_for(struct engine *e, struct str address, const struct lane_key *key, uint64_t due_at);
void lane_refresh(struct engine *e, uint64_t lane);
void lane_settled(struct engine *e, uint64_t lane);
void lane_note_due(struct engine *e, uint64_t lane, uint64_t due_at);
bool lane_is_quiet(const struct engine *e, uint64_t lane, uint64_t now);
uint64_t lanes_quiet_until(const struct engine *e, uint64_t now, uint64_t next_at);

/* Leases. lease_end: the transaction ends the lease of the result's recipient; false: a later delivery has it, so this result is
 * too late. */
bool lease_has(struct engine *e, uint64_t id, uint64_t n);
bool lease_has_any(struct engine *e, uint64_t id); /* a recipient of this message */
bool lease_end(struct engine *e, const struct outcome *o);

/* An engine can read what results have to know for a whole batch (expect() in engine.h). result_known: the lease is ended, and
 * the recipient was so; message_known: the message is so. False: ask as if for it alone. */
struct result {
	bool counts; /* as lease_end says */
	unsigned state, removing;
	uint64_t lane;
	uint64_t last_at; /* of one that does not count: of the last result */
};
struct open_message {
	uint64_t open, place; /* open 0: it is finished */
	bool held;
};
bool result_known(struct engine *e, const struct outcome *o, struct result *was_out);
bool message_known(struct engine *e, uint64_t id, struct open_message *was_out);

/* Texts that are too large for a row. large_check: can the text of the message be stored, is all of it there? large_keep, and
 * large_drop: with the commit of this transaction the text is kept, or is gone. large_read: sets out.fd, or the verdict. False:
 * the text is missing or damaged. */
struct verdict large_check(struct engine *e, const struct accepted *m);
void large_keep(struct engine *e, uint64_t id);
void large_drop(struct engine *e, uint64_t id);
bool large_read(struct engine *e, struct request *r, uint64_t size);

/* Make a place for the rows of a message with this id. */
void message_room(struct engine *e, uint64_t id);

/* Messages that were finished before this time are pruned: what else the engine does with their history. */
void history_prune(struct engine *e, uint64_t before);

/* The index by which mail is found: a message was accepted; messages are gone. */
void search_add(struct engine *e, uint64_t id);
void search_forget(struct engine *e, const uint64_t *ids, size_t n);

/* charges.c: charges of buckets that several nodes share. charges_add: takes over rows for the end of the transaction; false:
 * one node knows of all charges, so the states that it has computed are written. charges_are_judged: the charges of the message
 * must be judged before anything is written; charges_fit: do they fit? Sets out.rows of the request to the states, a uint64_t for
 * each charge. */
bool charges_add(struct engine *e, const struct bucket_row *rows, size_t n, struct request *r);
bool charges_are_judged(const struct engine *e, const struct accepted *m);
bool charges_fit(struct engine *e, const struct accepted *m, struct request *r);

/* ==== the operations ==== */

/* What the kinds of requests run: accept.c, lane_rotation.c, text.c, settle.c, pending_reports.c, report.c, admin.c, alter.c,
 * summary.c, history.c, rate_store.c, mend.c; lease, lease_siblings and find are the engine's. */
#define REQUEST(name, run, ...) void run_##run(struct engine *e, struct request *r);
#define FILE_REQUEST(...)
#include "requests.def"
#undef REQUEST
#undef FILE_REQUEST

/* accept.c: `r` is NULL for a report: a report is a result, which waits for room on a full disk. */
struct verdict accept_message(struct engine *e, const struct accepted *m, struct request *r);

/* events.c: an event of a message; has it this very event of this node, because what is repeated was done before? reason="…"
 * for its fields, escaped; "" without a reason. */
void add_event(struct engine *e, uint64_t id, uint64_t n, uint64_t at, struct str name, struct str fields);
bool has_event(struct engine *e, uint64_t id, uint64_t n, uint64_t at, struct str name, struct str fields);
struct str reason_field(struct arena *a, struct str reason);

/* envelope.c: the columns ENVELOPE_COLUMNS of statements.def, from `column` on. */
struct envelope stored_envelope(struct arena *a, struct db_rows *q, int column);

/* text.c: where a text is, and the text of a message whose place is PLACE_ROW ("" after an error). */
struct str text_read(struct engine *e, struct arena *a, uint64_t id);
bool text_place(struct engine *e, uint64_t id, enum message_place *place_out);
bool text_next_large(struct engine *e, uint64_t after, uint64_t *id_out, uint64_t *size_out);

/* rate_store.c: what limits keep over restarts. */
bool rate_store_open(struct engine *e, struct arena *a);
void rate_store_close(struct engine *e);
void put_buckets(struct engine *e, const struct bucket_row *rows, size_t n,
		 struct request *r); /* r: who asks for the states, or NULL */
void write_bucket(struct engine *e, const struct bucket_row *row);
void remember_recipients(struct engine *e, const struct accepted *m);
uint64_t rate_store_prune(struct engine *e, uint64_t before, size_t max); /* the largest number of rows removed of one kind */

/* A priority in the database is RFC 6710's: -9 to 9; another one is damage, and counts as the next of these. */
static inline struct db_value PRIORITY(unsigned priority) {
	return INT((uint64_t)priority - PRIORITY_NORMAL);
} static inline unsigned stored_priority(struct db_rows *q, int column)
{
	int64_t priority = (int64_t)db_u64(q, column);

	if (priority < -PRIORITY_NORMAL)
		return 0;
	return priority > PRIORITY_MAX - PRIORITY_NORMAL ? PRIORITY_MAX : (unsigned)(priority + PRIORITY_NORMAL);
}

/* lane_notes.c */
struct str lane_domain(struct arena *a, struct str address);      /* in lower case; an address without @ is a domain of its own */
void lanes_note(uint64_t *lanes, size_t *lanes_n, uint64_t lane); /* adds a lane to refresh, once; 0: none */

/* due_page.c: the messages whose recipients an engine leases. due_page_add: a message; due_page_envelope: read what is known of
 * it, after all of its recipients were added. */
struct due_page {
	struct engine *e;
	struct request *r;
	struct due_message *at;
	size_t n, capacity;
};
#define GROUP_MAX 100 /* recipients of one message in one lease */
struct due_message *due_page_add(struct due_page *p, uint64_t id);
void due_page_envelope(struct due_page *p, struct due_message *m, bool with_text);
/* The columns "n, address, orcpt, notify, attempts, deaths, lane, via" of a recipient, from `column` on; those of Q_envelope. */
void due_recipient(struct arena *a, struct due_message *m, size_t *capacity, struct db_rows *q, int column);
void due_envelope(struct arena *a, struct due_message *m, struct db_rows *q, int column);

/* alter.c: what becomes of recipients that were in flight when an administrator removed or returned them, and its event. */
enum removing { REMOVING_NOT, REMOVING_REMOVED, REMOVING_BOUNCED };
struct str removing_event(enum removing removing);

/* Hold a message, also when recipients are in flight; false when it was held before. */
bool hold_message(struct engine *e, uint64_t id, struct str reason);

/* recipient_state.c */
void count_state(struct engine *e, unsigned from, unsigned to); /* 0: none */
bool state_is_final(unsigned state);
bool recipient_read(struct engine *e, uint64_t id, uint64_t n, struct result *was_out); /* all but `counts` */

/* settle.c */
void message_reduce_open(struct engine *e, uint64_t id, uint64_t closed_n, uint64_t at);

/* marked.c: end recipients that were in flight when an administrator removed or returned them, and whose result never came. */
void end_marked(struct engine *e);

/* admin.c: a row whose first columns are those of Q_recipient_rows. */
struct recipient_row read_recipient_row(struct engine *e, struct arena *a, struct db_rows *q, uint64_t id);
/* admin.c: the messages that a selector selects, from `cursor` on. Stops after `max`, or after looking at SCAN_MAX. */
#define SCAN_MAX 5000
size_t select_messages(struct engine *e, const struct selector *s, uint64_t cursor, size_t max, bool finished_too,
		       struct arena *a, uint64_t **ids_out, uint64_t *next_out);
/* Does the address match the selector's recipient and destination ("": any)? */
bool selector_takes(const struct selector *s, struct str address);
struct verdict stored_verdict(struct arena *a, struct db_rows *q, int class_column); /* class, code, enhanced, reply */
struct str stored_reply(struct arena *a, struct db_rows *q, int code_column);        /* "451 4.7.1 text"; code, enhanced, reply */

#endif
