/* engine.h - the interface between the store and the engine that keeps its rows. The store gathers operations into batches, keeps
 * the files of large messages and watches the room on the disk; an engine runs the operations in its transactions. An engine is
 * a constant table of functions, chosen at store_open(). The writer's thread calls all of them, except close(), which the loop
 * calls after that thread has ended, and copy(), which has a thread of its own.
 *
 * An engine keeps its first error until forget_error(). As long as there is an error, the engine does nothing and gives no rows.
 * So operations need no checks of their own: the batch asks for error() once, at its end, and rolls back. */
#ifndef POSTHOUSE_STORE_ENGINE_H
#define POSTHOUSE_STORE_ENGINE_H

#include "posthouse/hashtable.h"
#include "posthouse/log.h"
#include "posthouse/store.h"
#include "posthouse/store_nodes.h"

/* ---- requests: operations as an engine sees them ---- */

enum request_kind {
#define REQUEST(name, ...)      REQUEST_##name,
#define FILE_REQUEST(name, ...) REQUEST_##name,
#include "requests.def"
#undef REQUEST
#undef FILE_REQUEST
	REQUEST_COUNT,
	REQUESTS_OF_ENGINE = REQUEST_SPOOL_CREATE,
};

/* Arguments point to memory of the caller; results are in `arena`. Members that the operation does not use are 0. */
struct request {
	enum request_kind kind;
	struct verdict verdict;
	struct arena arena;
	uint64_t id;     /* the message that the operation names, or the lane of store_lease; else 0 */
	uint64_t cursor; /* or the argument `now`, `before`, or the expected size */
	size_t max;
	bool patient; /* a read that waits for a database that is away, as an accept does */
	union {
		const struct accepted *accepted;
		const struct outcome *outcomes;
		const struct selector *selector;
		const struct find *find;
		const struct gate_state *gate;
		const struct slots_wish *slots;
		const struct bucket_row *buckets;
		const struct ban_row *bans;
		const struct store_account *accounts;
		const struct str *addresses;
		const struct mending *mending;
		struct str after;
		bool with_text;
	} in;
	/* Further arguments, most of store_report and store_alter. */
	uint64_t parent;
	const uint64_t *n_list;
	uint64_t *states_out;    /* of charges, the caller's: written on the loop from out.rows */
	struct find_place place; /* of store_find */
	uint64_t at;             /* of store_alter: the time of its events, also when it is repeated; 0: it was not run */
	struct str text, via;
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
		struct find_place place;
	} out;
};

struct engine; /* each engine has its own */

extern const struct verdict store_full;    /* 452 4.3.1 */
extern const struct verdict store_away;    /* 451 4.3.0 */
extern const struct verdict store_busy;    /* 450 4.3.0: only while opening */
extern const struct verdict store_unknown; /* no such message */
extern const struct verdict store_over;    /* 450 4.7.1: store_is_over() */
extern const struct verdict store_behind;  /* 451 4.3.2: store_is_behind() */

/* ---- what an engine can use of the store ---- */

struct id_array {
	uint64_t *at;
	size_t n, capacity;
};
void id_array_add(struct id_array *a, uint64_t id);

/* Large files (spool.c), and what the open transaction does with them. */
struct spool {
	int dir_fd;               /* state_dir/large */
	struct hashtable created; /* by this store, and not accepted so far: struct hashtable_item */
	uint64_t opened_sec;      /* files that were changed before this moment can be orphans */
	uint64_t opened_nsec;
	struct id_array unlinked; /* files to remove after the commit, because their rows are gone then */
	struct id_array stored;   /* files that have a row after the commit */
	bool sync_directory;      /* before the commit */
	struct id_array missing;  /* messages whose file was not found when it was to be read */
	bool in_backup;           /* no file of a message is removed, since a copy of the rows can name it */
	struct id_array kept;     /* what is removed afterwards */
	bool without_leases;      /* the log says that the file system knows none */
};

/* Room on the disk (disk_space.c). */
struct disk_space {
	int dir_fd;                    /* state_dir */
	uint64_t free_bytes, min_free; /* as of the last look */
	uint64_t checked_at_ms;        /* monotonic */
	uint64_t refused_at_ms;        /* monotonic: when a write last failed because there was no room */
	bool full, reserve;
	bool look; /* check again at once, not when a second has passed */
};

/* The store around an engine. */
struct engine_host {
	struct store *store;
	const char *state_dir;
	struct arena arena; /* of the batch */
	struct spool spool;
	struct disk_space space;
	uint64_t min_free, max_messages;
	const struct store_database *database;
	bool results_wait;      /* results of deliveries could not be stored: nothing is leased meanwhile */
	bool results_lack_room; /* because there is no room on the disk; else the database is away */
	bool failed;            /* the loop is about to end the process: nothing more is done */
	bool alone;             /* the operation is the only one of its transaction, because that of its batch failed */
};

/* The answer to a lease while results wait. */
static inline struct verdict why_results_wait(const struct engine_host *host)
{
	return host->results_lack_room ? store_full : store_away;
}

/* Does the loop want the threads to end? */
bool store_is_stopping(struct store *st);

/* Have the loop log something; or have the loop end the process, after which the calling thread does nothing more. Any thread can
 * call them. */
void store_note(struct store *st, enum log_level level, const char *event, uint64_t id, const char *reason);
void store_fail(struct store *st, const char *what, const char *why);
/* The same by the writer's thread; of a note only when the reason is not the one of before. */
void store_note_change(struct store *st, enum log_level level, const char *event, const char *reason);
void host_fail(struct engine_host *host, const char *what, const char *why);

/* spool.c. check: is the file of a message that is to be accepted as it was announced? The file is synced. / keep: the file gets
 * its row with the commit. / forget: the file is removed after the commit. */
struct verdict spool_check(struct engine_host *host, uint64_t id, uint64_t size);
void spool_keep(struct engine_host *host, uint64_t id);
void spool_forget(struct engine_host *host, uint64_t id);
/* Open the file of a large message: sets out.fd, or the verdict if the file cannot be opened. False: the file is missing or has
 * another size, and the message will be held. */
bool spool_read(struct engine_host *host, struct request *r, uint64_t size);

/* disk_space.c: a write found no room: releases the reserve. */
void disk_space_refused(struct engine_host *host);

/* ---- the engine ---- */

enum engine_error {
	ENGINE_WELL,
	ENGINE_FULL,    /* no room on the disk */
	ENGINE_BUSY,    /* another program uses it */
	ENGINE_PRIVATE, /* the error concerns this operation, not the engine */
	ENGINE_PASSING, /* another transaction was in the way: the same again can succeed */
	ENGINE_DENIED,  /* the database refuses what is asked of it, whatever is in it: a lost privilege, a missing table */
	ENGINE_AWAY,    /* the database cannot be reached, and what was not answered is unknown: see reopen() */
	ENGINE_BROKEN,
};

/* A copy of the rows (store_backup). */
struct engine_copy {
	const char *directory;                             /* gets the engine's files */
	bool (*go_on)(struct engine_copy *c);              /* is asked again and again; false: the copy is given up */
	bool (*large)(struct engine_copy *c, uint64_t id); /* a message of the copy has a large file; false: as above */
	uint64_t messages;                                 /* out: that are not finished */
	bool full;                                         /* out: there was no room */
	char why[300];                                     /* out: of a copy that failed; "": it was given up */
};

struct store_engine {
	/* What is told when open() says store_busy. */
	const char *busy;

	/* Names in state_dir, up to NULL, whose files must stay where they are (presence.c). */
	const char *const *files;

	/* NULL: *why_out is store_full or store_busy (opening is then tried again), or what is wrong, with its text in `a`. */
	struct engine *(*open)(struct engine_host *host, struct arena *a, struct verdict *why_out);
	void (*close)(struct engine *e);

	/* A transaction; false after an error. State that is only in memory is committed and rolled back with it. */
	bool (*begin)(struct engine *e);
	bool (*commit)(struct engine *e);
	void (*rollback)(struct engine *e);
	/* After a transaction that failed, and rollback(): can the same requests succeed together, if the engine looks at them
	 * with more care? Then the next transaction is that. NULL: never. */
	bool (*again)(struct engine *e);
	/* One state of the database for several requests. */
	void (*begin_read)(struct engine *e);
	void (*end_read)(struct engine *e);

	/* After a begin: this request will be run in the transaction or read, unless an error comes first. The engine can then
	 * read for all of them at once. NULL: there is no need to know. */
	void (*expect)(struct engine *e, struct request *r);

	/* Run a request within a transaction or a read: sets verdict and out of the request. */
	void (*run[REQUESTS_OF_ENGINE])(struct engine *e, struct request *r);

	enum engine_error (*error)(const struct engine *e);
	const char *(*error_text)(const struct engine *e);
	void (*forget_error)(struct engine *e);

	/* After ENGINE_AWAY and rollback(): one try, of some seconds at most, to reach the database. True: it is there, and there
	 * is no error. NULL: the engine knows no such error. */
	bool (*reopen)(struct engine *e);

	/* At the end, after rollback(): results of deliveries (REQUEST_SETTLE) that could not be stored. True: the next process
	 * stores them, so they are as good as stored. NULL: the engine keeps none. */
	bool (*keep)(struct engine *e, const struct request *const *results, size_t n);

	/* This process as a node; any thread asks. NULL: an engine of one node. */
	void (*node)(const struct engine *e, struct store_node *node_out);

	/* The engine's counters; the store adds its own. */
	void (*stats)(const struct engine *e, struct store_stats *stats_out);

	/* Between batches: after each batch; and in each round of the writer (`was_idle`: the round had nothing to do). */
	void (*after_batch)(struct engine *e);
	void (*idle)(struct engine *e, bool was_idle);

	/* Recovery. recover, at the start, in a transaction: ends what an earlier process left unfinished. place: where the
	 * text of a message is; false when there is no such message, or after an error. next_large: the next message with a
	 * large file; false at the end, or after an error. hold, in a transaction: holds a message; false when it was held
	 * before. */
	void (*recover)(struct engine *e);
	bool (*place)(struct engine *e, uint64_t id, enum message_place *place_out);
	bool (*next_large)(struct engine *e, uint64_t after, uint64_t *id_out, uint64_t *size_out);
	bool (*hold)(struct engine *e, uint64_t id, struct str reason);

	/* On a thread of its own, while the writer works: copy all rows as they are at one moment; the files are checked and
	 * synced. */
	bool (*copy)(const struct engine *e, struct engine_copy *c);
};

#endif
