/* sqlite.h - the inside of the engine that keeps mail in SQLite. Two threads: the store's writer, which alone owns the
 * connection and `struct sqlite`; and the checkpointer, which copies the log into the database (checkpoint.c). */
#ifndef POSTHOUSE_STORE_SQLITE_H
#define POSTHOUSE_STORE_SQLITE_H

#include "rows.h"

#include "posthouse/list.h"

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
void leased_add(struct leased *l, uint64_t id, uint64_t n, uint64_t lane);
void leased_commit(struct leased *l);
void leased_rollback(struct leased *l);
struct lane_cache *leased_lane(const struct leased *l, uint64_t lane);

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

/* What is next in the index by which mail is found. */
struct index_state {
	uint64_t next_block, older_block;
	uint64_t asked_at_ms, retry_at_ms; /* monotonic */
};

struct sqlite {
	struct engine e;
	char *database; /* path */
	bool alone;     /* see db_open() */
	uint64_t next_lane;
	struct leased leased;
	struct vacuum vacuum;
	struct index_state search;
	struct checkpoint checkpoint;
	int wal_frames; /* after the last commit */
};
static inline struct sqlite *sqlite_of(const struct engine *e)
{
	return CONTAINER_OF(e, struct sqlite, e);
}

/* schema.c: create or migrate the tables, and log the progress; the verdict's text lives in `a`. An error of the database is
 * in e->db. */
struct verdict schema_prepare(struct engine *e, struct arena *a);

/* search_index.c: read the state of the index at the start. step: index some messages, in a transaction of its own, when that is
 * wanted; it is put off after an error. */
void search_open(struct engine *e);
bool search_is_behind(const struct engine *e);
bool search_wants_step(const struct engine *e, bool was_idle);
void search_step(struct engine *e);
void search_put_off(struct engine *e);

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
