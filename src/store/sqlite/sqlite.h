/* sqlite.h - the inside of the engine that keeps mail in SQLite. Two threads: the store's writer, which alone owns the
 * connection and `struct engine`; and the checkpointer, which copies the log into the database (checkpoint.c). */
#ifndef POSTHOUSE_STORE_SQLITE_H
#define POSTHOUSE_STORE_SQLITE_H

#include "db.h"
#include "engine.h"

#include "posthouse/buf.h"
#include "posthouse/hash.h"
#include "posthouse/hashtable.h"
#include "posthouse/list.h"
#include "posthouse/smtp_server.h"
#include "posthouse/units.h"

#define KIND_COUNT     (KIND_NOTICE + 1)
#define TRANSCRIPT_MAX 4096

/* ---- leased.c: the recipients that store_lease() has given out, so that none is given out twice; in memory only ---- */
struct leased_recipient {
	struct hashtable_item node; /* by message */
	uint64_t n, lane;
	bool ended; /* by the open transaction */
	struct leased_recipient *next_ended;
};

/* Of a lane with leased recipients: what is not in its row. `quiet`: all due recipients are leased, and the next recipient that
 * is not leased is due at `next_at` (0: there is none). */
struct lane_cache {
	struct hashtable_item node; /* by lane */
	struct list link;
	size_t leased;
	bool quiet;
	uint64_t next_at;
};

struct leased {
	struct hashtable by_message, lanes;
	struct list cached; /* lanes */
	struct leased_recipient *ended;
};
void leased_init(struct leased *l);
void leased_fini(struct leased *l);
bool leased_has(const struct leased *l, uint64_t id, uint64_t n);
bool leased_has_any(const struct leased *l, uint64_t id); /* of this message */
void leased_add(struct leased *l, uint64_t id, uint64_t n, uint64_t lane);
void leased_end(struct leased *l, uint64_t id, uint64_t n); /* takes effect with leased_commit, is undone by leased_rollback */
void leased_commit(struct leased *l);
void leased_rollback(struct leased *l);
struct lane_cache *leased_lane(const struct leased *l, uint64_t lane);
void leased_note_due(struct leased *l, uint64_t lane, uint64_t due_at); /* a recipient of the lane is due at that time */

/* ---- giving space back (vacuum.c) ---- */
struct vacuum {
	bool possible, shrinking;
	uint64_t busy_at_ms, retry_at_ms; /* monotonic */
};

/* ---- checkpoints (checkpoint.c) ---- */
struct checkpoint {
	struct store *store;
	uv_thread_t thread;
	struct db db; /* the checkpointer's own connection */
	uv_mutex_t lock;
	uv_cond_t wake, passed;
	bool started; /* the thread */
	bool wanted, running, stop;
	bool done;            /* a pass has ended since the writer last looked */
	bool full;            /* that pass found no room */
	uint64_t retry_at_ms; /* used by the writer: the next pass after one that found no room */
};

/* Bits of recipient.reported: what the sender was told; TO_TELL_SUCCESS: the report of success is still missing. */
enum reported { TOLD_FAILURE = 1, TOLD_DELAY = 2, TOLD_SUCCESS = 4, TO_TELL_SUCCESS = 8 };

struct counters {
	uint64_t open_messages, waiting, held, failed, lanes, accepted, settled;
	uint64_t unsearched; /* messages that were accepted and are not in the index by which mail is found (search.h) */
	uint64_t older_than; /* messages of before there was that index, and below this id, are not in it; 0: there are none */
};

/* What is next in the index by which mail is found. */
struct index_state {
	uint64_t next_block, older_block;
	uint64_t asked_at_ms, retry_at_ms; /* monotonic */
};

/* The position of a round through the lanes (lane_rotation.c). */
struct turn {
	uint64_t next_at, lane; /* the last lane given */
	uint64_t end;           /* lanes due later than this wait for the next round */
};

/* A message in the order in which those of one kind of report take turns: by `at`, which is its warn_at or 0, then by id. */
struct report_turn {
	uint64_t at, id;
};

struct engine {
	struct engine_host *host;
	struct db db;
	char *database;                      /* path */
	bool alone;                          /* see db_open() */
	struct counters counters, tx_before; /* now, and when the transaction began: to return to */
	bool tx_settles;
	uint64_t next_lane;
	bool rerouted;     /* there is, or was since the start, a lane with `via` */
	uint64_t clock_at; /* the latest time that was seen */
	bool set_back;     /* at the start the clock was behind that time, and some times are still to be mended */
	struct leased leased;
	struct vacuum vacuum;
	struct index_state search;
	struct checkpoint checkpoint;
	int wal_frames; /* after the last commit */
	struct turn turns[PRIORITY_MAX + 1], turn_by_time;
	uint64_t lanes_given;
	struct siphash_key known_key;
	struct buf pruned_login;                 /* the login whose recipients store_prune checked last; "": none */
	struct buf pruned_key, pruned_rule;      /* the bucket that store_prune checked last; "": none */
	struct report_turn reported[KIND_COUNT]; /* the last message that store_unreported looked at */
};

/* schema.c: create or migrate the tables, and log the progress; the verdict's text lives in `a`. An error of the database is
 * in e->db. */
struct verdict schema_prepare(struct engine *e, struct arena *a);
bool schema_value(struct db *db, const char *sql, struct arena *a, struct str *value_out);

/* What the kinds of requests run: accept.c, lane_rotation.c, lanes.c, text.c, settle.c, pending_reports.c, report.c,
 * admin.c, find.c, alter.c, summary.c, history.c, rate_store.c, mend.c. */
#define REQUEST(name, run, ...) void run_##run(struct engine *e, struct request *r);
#define FILE_REQUEST(...)
#include "requests.def"
#undef REQUEST
#undef FILE_REQUEST

/* accept.c: `refusable` is false for a report: a report is a result, which waits for room on a full disk. */
struct verdict accept_message(struct engine *e, const struct accepted *m, bool refusable);

/* events.c: an event of a message; reason="…" for its fields, escaped; "" without a reason. */
void add_event(struct engine *e, uint64_t id, uint64_t n, uint64_t at, struct str name, struct str fields);
struct str reason_field(struct arena *a, struct str reason);

/* envelope.c: the columns ENVELOPE_COLUMNS of statements.def, from `column` on. */
struct envelope stored_envelope(struct arena *a, sqlite3_stmt *q, int column);

/* text.c: where a text is, and the text of a message whose place is PLACE_ROW ("" after an error). */
struct str text_read(struct engine *e, struct arena *a, uint64_t id);
bool text_place(struct engine *e, uint64_t id, enum message_place *place_out);
bool text_next_large(struct engine *e, uint64_t after, uint64_t *id_out, uint64_t *size_out);

/* rate_store.c: what limits keep over restarts. */
bool rate_store_open(struct engine *e, struct arena *a);
void rate_store_close(struct engine *e);
void put_buckets(struct engine *e, const struct bucket_row *rows, size_t n);
void remember_recipients(struct engine *e, const struct accepted *m);
uint64_t rate_store_prune(struct engine *e, uint64_t before, size_t max); /* the largest number of rows removed of one kind */

/* What beside the recipient's domain names a lane. */
struct lane_key {
	struct str login;
	unsigned priority;
	struct str via;
	enum tls_wish wish; /* so that mail which is content without TLS does not wait behind mail for which TLS fails */
};

/* lanes.c: keep lane rows and the index of due times together. A priority in the database is RFC 6710's: -9 to 9; another one is
 * damage, and counts as the next of these. */
static inline struct db_value PRIORITY(unsigned priority) {
	return INT((uint64_t)priority - PRIORITY_NORMAL);
} static inline unsigned stored_priority(sqlite3_stmt *q, int column)
{
	int64_t priority = (int64_t)db_u64(q, column);

	if (priority < -PRIORITY_NORMAL)
		return 0;
	return priority > PRIORITY_MAX - PRIORITY_NORMAL ? PRIORITY_MAX : (unsigned)(priority + PRIORITY_NORMAL);
}
struct str lane_domain(struct arena *a, struct str address); /* in lower case; an address without @ is a domain of its own */
uint64_t lane_for(struct engine *e, struct str address, const struct lane_key *key, uint64_t due_at);
void lane_refresh(struct engine *e, uint64_t lane);
void lanes_note(uint64_t *lanes, size_t *lanes_n, uint64_t lane); /* adds a lane to refresh, once; 0: none */

/* alter.c: what becomes of recipients that were in flight when an administrator removed or returned them, and its event. */
enum removing { REMOVING_NOT, REMOVING_REMOVED, REMOVING_BOUNCED };
struct str removing_event(enum removing removing);

/* Hold a message, also when recipients are in flight; false when it was held before. */
bool hold_message(struct engine *e, uint64_t id, struct str reason);

/* settle.c */
void count_state(struct engine *e, unsigned from, unsigned to); /* 0: none */
bool state_is_final(unsigned state);
void message_reduce_open(struct engine *e, uint64_t id, uint64_t closed_n, uint64_t at);

/* search_index.c: read the state of the index at the start; note an accepted message, and forget messages that are gone, in the
 * transaction that does so. step: index some messages, in a transaction of its own, when that is wanted; it is put off after an
 * error. */
void search_open(struct engine *e);
void search_add(struct engine *e, uint64_t id);
void search_forget(struct engine *e, const uint64_t *ids, size_t n);
bool search_is_behind(const struct engine *e);
bool search_wants_step(const struct engine *e, bool was_idle);
void search_step(struct engine *e);
void search_put_off(struct engine *e);

/* admin.c: a row whose first columns are those of Q_recipient_rows. */
struct recipient_row read_recipient_row(struct engine *e, struct arena *a, sqlite3_stmt *q, uint64_t id);
/* admin.c: the messages that a selector selects, from `cursor` on. Stops after `max`, or after looking at SCAN_MAX. */
#define SCAN_MAX 5000
size_t select_messages(struct engine *e, const struct selector *s, uint64_t cursor, size_t max, bool finished_too,
		       struct arena *a, uint64_t **ids_out, uint64_t *next_out);
/* Does the address match the selector's recipient and destination ("": any)? */
bool selector_takes(const struct selector *s, struct str address);
struct verdict stored_verdict(struct arena *a, sqlite3_stmt *q, int class_column); /* class, code, enhanced, reply */
struct str stored_reply(struct arena *a, sqlite3_stmt *q, int code_column);        /* "451 4.7.1 text"; code, enhanced, reply */

/* checkpoint.c */
bool checkpoint_start(struct engine *e);
void checkpoint_after_commit(struct engine *e); /* asks the thread for a pass, makes the writer's own, bounds the log */
void checkpoint_now(struct engine *e);          /* a pass by the writer itself, at once */
void checkpoint_stop(struct engine *e);

/* vacuum.c: init after opening; convert makes an old and small database able to give space back; a step in idle time. */
void vacuum_init(struct engine *e);
void vacuum_convert(struct db *db);
void vacuum_idle(struct engine *e, bool was_idle);

/* copy.c */
bool copy_rows(const struct engine *e, struct engine_copy *c);

/* recover.c */
void read_counters(struct engine *e);
void recover_rows(struct engine *e);

#endif
