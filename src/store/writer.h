/* writer.h - the inside of the store. Two threads besides the loop's: the writer, which alone owns the database connection and
 * `struct writer`; and the checkpointer, which copies the log into the database (checkpoint.c). What they share with the loop is
 * in `struct store` under `lock`. */
#ifndef POSTHOUSE_STORE_WRITER_H
#define POSTHOUSE_STORE_WRITER_H

#include "db.h"
#include "posthouse/hashtable.h"
#include "posthouse/hash.h"

#include "posthouse/buf.h"
#include "posthouse/list.h"
#include "posthouse/log.h"
#include "posthouse/smtp_server.h"
#include "posthouse/store.h"
#include "posthouse/units.h"

#include <dirent.h>

#define KIND_COUNT     (KIND_NOTICE + 1)
#define RESERVE_BYTES  (8 * MIB) /* released so that results can be stored on a full disk */
#define TRANSCRIPT_MAX 4096
#define CLOCK_STEP_MS  1000 /* a clock that is corrected by so little is not set back */

/* ---- operations (ops.c) ---- */

/* The order within a batch: results first, since they end deliveries that could otherwise be made twice. */
enum rank { RANK_RESULT, RANK_ADMIN, RANK_ACCEPT, RANK_READ, RANK_COUNT };

struct writer;
struct op;

struct op_kind {
	enum rank rank;
	void (*run)(struct writer *w, struct op *op); /* in the writer: sets op->verdict and op->out */
	void (*finish)(struct op *op);                /* on the loop: the caller's callback */
};

/* One operation from its call to its callback. Arguments are the caller's memory; results are in `arena`. */
struct op {
	struct list link;
	const struct op_kind *kind;
	void (*callback)(void);
	void *ctx;
	struct verdict verdict;
	struct arena arena;
	uint64_t id;     /* the message named, lane of store_lease; else 0 */
	uint64_t cursor; /* also `now` and `before` */
	size_t max;
	size_t bytes; /* of text */
	union {
		const struct accepted *accepted;
		const struct outcome *outcomes;
		const struct selector *selector;
		const struct gate_state *gate;
		const struct bucket_row *buckets;
		const struct ban_row *bans;
		const struct str *addresses;
		const struct mending *mending;
		struct str after;
		bool with_text;
	} in;
	/* store_report and store_alter have more to say. */
	uint64_t parent;
	const uint64_t *n_list;
	struct str text;
	enum alter alter;
	enum message_kind report_kind; /* also of store_unreported */
	struct {
		const void *rows;
		size_t n;
		const struct message_row *message;
		struct str text;
		int fd;
		uint64_t next, count, in_flight;
		struct mending mending;
	} out;
};

extern const struct verdict store_full;    /* 452 4.3.1 */
extern const struct verdict store_away;    /* 451 4.3.0 */
extern const struct verdict store_busy;    /* 450 4.3.0: only while opening */
extern const struct verdict store_unknown; /* no such message */

/* Ids of messages that an operation names: the i-th, or 0 after the last. */
uint64_t op_named(const struct op *op, size_t i);

/* ---- the part that the loop sees ---- */

/* Something that a thread wants logged: only the loop logs. */
struct note {
	struct list link;
	enum log_level level;
	const char *event;
	uint64_t id;
	char reason[300];
};

/* How far the opening is, as the thread says it. */
enum opening { OPEN_BEGUN, OPEN_WITHOUT_ROOM, OPEN_BUSY, OPEN_REFUSED, OPEN_DONE };

struct store {
	uv_loop_t *loop;
	uv_async_t async;
	uv_thread_t thread;

	uv_mutex_t lock; /* for what follows, up to the next comment */
	uv_cond_t wake;  /* the writer's */
	struct list pending, done, notes;
	size_t notes_n;
	uint64_t min_free, max_messages;
	struct store_stats shared_stats;
	enum opening opening;
	struct verdict refused_why; /* OPEN_REFUSED */
	struct arena why_arena;
	bool stop, ended;
	char failure[300]; /* "" = none; else the loop ends the process */

	/* The loop's own. */
	struct list refused; /* issued too late */
	struct store_stats stats;
	bool closing, threads_joined;
	store_done_fn on_closed;
	void *on_closed_ctx;
	enum opening told; /* what on_opened has heard */
	store_opened_fn on_opened;
	void *on_opened_ctx;
	char *state_dir;
	struct writer *writer; /* the thread's until it has ended */
};

/* Does the loop want the thread to end? */
bool store_is_stopping(struct store *st);

/* Give an operation to the writer. */
struct op *op_new(const struct op_kind *kind, void (*callback)(void), void *ctx);
void store_issue(struct store *st, struct op *op);

/* ---- leases (leases.c): who is in flight, in memory only ---- */
struct lease {
	struct hashtable_item node; /* by message */
	uint64_t n, lane;
	bool ended; /* within the transaction that is open */
	struct lease *next_ended;
};

/* What memory knows better than the lane's row: only of lanes with leases. `quiet`: all that is due is leased; the next that is
 * not leased is due at `next_at` (0: none). */
struct lane_memo {
	struct hashtable_item node; /* by lane */
	struct list link;
	size_t leased;
	bool quiet;
	uint64_t next_at;
};

struct leases {
	struct hashtable by_message, lanes;
	struct list memos;
	struct lease *ended;
};
void leases_init(struct leases *l);
void leases_fini(struct leases *l);
bool leases_has(const struct leases *l, uint64_t id, uint64_t n);
bool leases_has_any(const struct leases *l, uint64_t id); /* of this message */
void leases_add(struct leases *l, uint64_t id, uint64_t n, uint64_t lane);
void leases_end(struct leases *l, uint64_t id, uint64_t n); /* takes effect with leases_commit, is undone by leases_rollback */
void leases_commit(struct leases *l);
void leases_rollback(struct leases *l);
struct lane_memo *leases_memo(const struct leases *l, uint64_t lane);
void leases_note_due(struct leases *l, uint64_t lane, uint64_t due_at); /* the lane has something due then */

/* ---- large files (spool.c) ---- */
struct spool {
	int dir_fd;               /* state_dir/large */
	struct hashtable created; /* by this store, not yet accepted: struct hashtable_item */
	uint64_t opened_sec;      /* files changed before this moment may be orphans */
	uint64_t opened_nsec;
};

/* ---- space (space.c) ---- */
struct space {
	int dir_fd;                    /* state_dir */
	uint64_t free_bytes, min_free; /* as of the last look */
	uint64_t checked_at_ms;        /* monotonic */
	uint64_t refused_at_ms;        /* monotonic: when a write last failed for want of space */
	bool full, reserve;
	bool look; /* do not wait for the next second */
};

/* ---- are the files still there? (presence.c) ---- */
#define PRESENCE_FILES 3
struct presence_file {
	dev_t device;
	ino_t inode; /* 0: not seen yet */
};
struct presence {
	struct presence_file files[PRESENCE_FILES];
	uint64_t looked_at_ms; /* monotonic */
	bool lost;
};

/* ---- giving space back (vacuum.c) ---- */
struct vacuum {
	bool possible, shrinking;
	uint64_t busy_at_ms, retry_at_ms; /* monotonic */
};

/* ---- checkpoints (checkpoint.c) ---- */
struct checkpoint {
	struct store *st;
	uv_thread_t thread;
	struct db db; /* the checkpointer's own connection */
	uv_mutex_t lock;
	uv_cond_t wake, passed;
	bool wanted, running, stop;
	bool done;            /* a pass has ended since the writer last looked */
	bool full;            /* it found no room */
	uint64_t retry_at_ms; /* the writer's: not before, after a pass without room */
};

/* Bits of recipient.reported: what the sender was told; the last one: a success that is still to be told. */
enum reported { TOLD_FAILURE = 1, TOLD_DELAY = 2, TOLD_SUCCESS = 4, TO_TELL_SUCCESS = 8 };

/* ---- what one transaction changes besides rows ---- */
struct counters {
	uint64_t open_messages, waiting, held, failed, lanes, accepted, settled;
};

struct id_array {
	uint64_t *at;
	size_t n, capacity;
};
void id_array_add(struct id_array *a, uint64_t id);

struct transaction {
	struct counters before;   /* to return to */
	struct id_array unlinked; /* large files whose rows are gone once this is committed */
	struct id_array stored;   /* large files that have a row then */
	bool sync_directory;
	bool settles;
};

/* Walking through what an earlier life left behind (recover.c). */
enum recovery { RECOVER_FILES, RECOVER_ROWS, RECOVERED };

/* Where a round through the lanes is (turns.c). */
struct turn {
	uint64_t next_at, lane; /* the last lane given */
	uint64_t end;           /* lanes due later than this wait for the next round */
};

/* A message in the order in which those of one kind of report take turns: by `at`, which is its warn_at or 0, then by id. */
struct told_turn {
	uint64_t at, id;
};

struct writer {
	struct store *st;
	struct db db;
	struct list batch[RANK_COUNT];
	bool failed;
	struct list stalled; /* results that found no room: tried again each second */
	uint64_t retry_at_ms;
	struct hashtable named; /* of the batch: message -> highest rank */
	struct arena arena;     /* of the batch */
	struct transaction tx;
	struct counters counters;
	uint64_t commits, next_lane, max_messages, min_free;
	uint64_t clock_at; /* the latest time that was seen */
	bool set_back;     /* at the start the clock was behind it, and not all is mended yet */
	struct leases leases;
	struct spool spool;
	struct space space;
	struct presence presence;
	struct vacuum vacuum;
	struct checkpoint checkpoint;
	int wal_frames; /* after the last commit */
	struct turn turns[PRIORITY_MAX + 1], turn_by_time;
	uint64_t lanes_given;
	struct siphash_key known_key;
	struct buf pruned_login;                 /* to whom it wrote was looked at last; "": nobody's */
	struct buf pruned_key, pruned_rule;      /* the bucket that store_prune looked at last; "": none */
	struct told_turn unreported[KIND_COUNT]; /* the last message that store_unreported looked at */
	enum recovery recovery;
	DIR *recovery_dir;
	uint64_t recovery_id;
	struct id_array missing; /* messages whose large file was found missing while reading */
	char *database;          /* path */
	bool alone;              /* see db_open() */
};

void writer_main(struct writer *w); /* until the store is closed */

/* The thread: opens, then is the writer. */
void store_main(void *arg);
void writer_free(struct writer *w);
struct store_stats writer_stats(const struct writer *w);

/* One transaction of the writer's own; false: rolled back, and the error is in w->db. */
bool transaction_begin(struct writer *w);
bool transaction_commit(struct writer *w);
void transaction_rollback(struct writer *w);

/* Have the loop log it; or have it end the process, after which the calling thread does nothing more. */
void writer_note(struct writer *w, enum log_level level, const char *event, uint64_t id, const char *reason);
void store_note(struct store *st, enum log_level level, const char *event, uint64_t id, const char *reason);
void writer_fail(struct writer *w, const char *what, const char *why);
void store_fail(struct store *st, const char *what, const char *why);

/* schema.c: create or migrate, and say in the log how far it is; the verdict's text lives in `a`. An error of the database is in w->db. */
struct verdict schema_prepare(struct writer *w, struct arena *a);
bool schema_value(struct db *db, const char *sql, struct arena *a, struct str *value_out);

/* accept.c, turns.c, lanes.c, settle.c, unreported.c, report.c, admin.c, alter.c, history.c, ledger.c: what op kinds run. */
void run_accept(struct writer *w, struct op *op);
void run_spool_create(struct writer *w, struct op *op);
void run_spool_drop(struct writer *w, struct op *op);
void run_lanes(struct writer *w, struct op *op);
void run_lease(struct writer *w, struct op *op);
void run_lease_siblings(struct writer *w, struct op *op);
void run_text(struct writer *w, struct op *op);
void run_settle(struct writer *w, struct op *op);
void run_unreported(struct writer *w, struct op *op);
void run_report(struct writer *w, struct op *op);
void run_select(struct writer *w, struct op *op);
void run_show(struct writer *w, struct op *op);
void run_trace(struct writer *w, struct op *op);
void run_alter(struct writer *w, struct op *op);
void run_gates(struct writer *w, struct op *op);
void run_gate_put(struct writer *w, struct op *op);
void run_buckets(struct writer *w, struct op *op);
void run_bucket_put(struct writer *w, struct op *op);
void run_known(struct writer *w, struct op *op);
void run_bans(struct writer *w, struct op *op);
void run_ban_put(struct writer *w, struct op *op);
void run_prune(struct writer *w, struct op *op);
void run_mend(struct writer *w, struct op *op);

/* accept.c: `refusable` unless it is a report, which is a result and waits rather than fails. */
struct verdict accept_message(struct writer *w, const struct accepted *m, bool refusable);
void add_event(struct writer *w, uint64_t id, uint64_t n, uint64_t at, struct str name, struct str fields);

/* ledger.c: what limits remember. */
bool ledger_open(struct writer *w, struct arena *a);
void ledger_close(struct writer *w);
void put_buckets(struct writer *w, const struct bucket_row *rows, size_t n);
void remember_recipients(struct writer *w, const struct accepted *m);
uint64_t prune_ledger(struct writer *w, uint64_t before, size_t max); /* how many rows of one kind went, at most */

/* lanes.c: keep lane rows and the index of due times together. A priority in the database is RFC 6710's: -9 to 9. */
static inline struct db_value PRIORITY(unsigned priority) {
	return INT((uint64_t)priority - PRIORITY_NORMAL);
} static inline unsigned stored_priority(sqlite3_stmt *q, int column)
{
	return (unsigned)(db_u64(q, column) + PRIORITY_NORMAL);
}
uint64_t lane_for(struct writer *w, struct str address, struct str login, unsigned priority, uint64_t due_at);
void lane_refresh(struct writer *w, uint64_t lane);

/* alter.c: reason="…" for an event, escaped; "" without a reason. */
struct str reason_field(struct arena *a, struct str reason);
/* One message; false when nothing had to be changed. `leased_too`: also recipients in flight. */
/* Does the selector's recipient and destination ("" = any) take this address? */
bool selector_takes(const struct selector *s, struct str address);
/* only: NULL, or the selector whose recipient and destination say which recipients are meant. */
bool alter_message(struct writer *w, uint64_t id, enum alter operation, struct str reason, const struct selector *only,
		   bool leased_too, uint64_t *in_flight);

/* settle.c */
void count_state(struct writer *w, unsigned from, unsigned to); /* 0: none */
bool state_is_final(unsigned state);
void message_reduce_open(struct writer *w, uint64_t id, uint64_t closed_n, uint64_t at);

/* admin.c: the messages that a selector means, from `cursor` on. Stops after `max`, or after looking at SCAN_MAX. */
#define SCAN_MAX 5000
size_t select_messages(struct writer *w, const struct selector *s, uint64_t cursor, size_t max, bool finished_too,
		       struct arena *a, uint64_t **ids_out, uint64_t *next_out);
struct verdict stored_verdict(struct arena *a, sqlite3_stmt *q, int class_column); /* class, code, enhanced, reply */

/* spool.c */
bool spool_open(struct spool *s, int state_fd);
void spool_close(struct spool *s);
struct verdict spool_check(struct writer *w, uint64_t id, uint64_t size);
int spool_open_read(struct spool *s, uint64_t id); /* -1: errno */
void spool_stored(struct spool *s, uint64_t id);
void spool_unlink(struct writer *w, uint64_t id);

/* space.c: all but the first cheap enough for each batch. */
void space_init(struct space *s, int state_fd, uint64_t min_free);
void space_check(struct writer *w);
void space_close(struct space *s);
bool space_release(int dir_fd);       /* the reserve goes; false: there was none */
void space_refused(struct writer *w); /* a write found no room: releases the reserve */
void space_found(struct writer *w);   /* what had waited for room is stored */

/* checkpoint.c */
bool checkpoint_start(struct writer *w);
void checkpoint_after_commit(struct writer *w); /* asks for a pass, makes the short one, bounds the log */
void checkpoint_now(struct writer *w);          /* the writer's own pass: nothing else is to be done */
void checkpoint_stop(struct writer *w);

/* presence.c: look, but not more often than twice a second. */
void presence_check(struct writer *w);

/* vacuum.c: after opening; an old and small database is made one that can give space back; a step in idle time. */
void vacuum_init(struct writer *w);
void vacuum_convert(struct db *db);
void vacuum_idle(struct writer *w, bool was_idle);

/* recover.c */
bool recover_at_open(struct writer *w);
void recover_step(struct writer *w); /* a little of it, between batches */
void recover_missing(struct writer *w);
void recover_end(struct writer *w);

#endif
