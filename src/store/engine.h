/* engine.h - the joint between the store and the engine that keeps its rows. The store gathers operations into batches, has
 * the files of large messages and looks at the disk; an engine runs the operations in its transactions. An engine is a
 * constant table of functions, chosen at store_open(). All of them are called by the writer's thread, but close() by the
 * loop after that thread has ended.
 *
 * The first error of an engine stays until forget_error(): from then on the engine does nothing and gives no rows, so that
 * an operation reads straight down, and the batch looks at error() once, at its end, and rolls back. */
#ifndef POSTHOUSE_STORE_ENGINE_H
#define POSTHOUSE_STORE_ENGINE_H

#include "posthouse/hashtable.h"
#include "posthouse/log.h"
#include "posthouse/store.h"

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

/* Arguments are the caller's memory; results are in `arena`. What is not named here is 0. */
struct request {
	enum request_kind kind;
	struct verdict verdict;
	struct arena arena;
	uint64_t id;     /* the message named, lane of store_lease; else 0 */
	uint64_t cursor; /* also `now`, `before` and the expected size */
	size_t max;
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

struct engine; /* each engine has its own */

extern const struct verdict store_full;    /* 452 4.3.1 */
extern const struct verdict store_away;    /* 451 4.3.0 */
extern const struct verdict store_busy;    /* 450 4.3.0: only while opening */
extern const struct verdict store_unknown; /* no such message */

/* ---- what an engine can use of the store ---- */

struct id_array {
	uint64_t *at;
	size_t n, capacity;
};
void id_array_add(struct id_array *a, uint64_t id);

/* Large files (spool.c), and what the transaction that is open does with them. */
struct spool {
	int dir_fd;               /* state_dir/large */
	struct hashtable created; /* by this store, not yet accepted: struct hashtable_item */
	uint64_t opened_sec;      /* files changed before this moment may be orphans */
	uint64_t opened_nsec;
	struct id_array unlinked; /* files whose rows are gone once the transaction is committed */
	struct id_array stored;   /* files that have a row then */
	bool sync_directory;      /* before that */
	struct id_array missing;  /* messages whose file was found missing while reading */
};

/* Room on the disk (disk_space.c). */
struct disk_space {
	int dir_fd;                    /* state_dir */
	uint64_t free_bytes, min_free; /* as of the last look */
	uint64_t checked_at_ms;        /* monotonic */
	uint64_t refused_at_ms;        /* monotonic: when a write last failed for want of space */
	bool full, reserve;
	bool look; /* do not wait for the next second */
};

/* The store around an engine. */
struct engine_host {
	struct store *store;
	const char *state_dir;
	struct arena arena; /* of the batch */
	struct spool spool;
	struct disk_space space;
	uint64_t min_free, max_messages;
	bool results_wait; /* for room on the disk: nothing is leased meanwhile */
	bool failed;       /* the loop ends the process: nothing more is done */
};

/* Does the loop want the threads to end? */
bool store_is_stopping(struct store *st);

/* Have the loop log something; or have it end the process, after which the calling thread does nothing more. Of any thread. */
void store_note(struct store *st, enum log_level level, const char *event, uint64_t id, const char *reason);
void store_fail(struct store *st, const char *what, const char *why);
/* The same by the writer's thread. */
void host_fail(struct engine_host *host, const char *what, const char *why);

/* spool.c: the file of a message that is to be accepted is as it was announced, and synced; it has its row with the commit;
 * it goes with the commit. */
struct verdict spool_check(struct engine_host *host, uint64_t id, uint64_t size);
void spool_keep(struct engine_host *host, uint64_t id);
void spool_forget(struct engine_host *host, uint64_t id);
/* Opens a large message's file: sets out.fd, or verdict where it cannot be opened. False: the file is missing or has not its
 * size, and the message will be held. */
bool spool_read(struct engine_host *host, struct request *r, uint64_t size);

/* disk_space.c: a write found no room: releases the reserve. */
void disk_space_refused(struct engine_host *host);

/* ---- the engine ---- */

enum engine_error {
	ENGINE_WELL,
	ENGINE_FULL,    /* no room on the disk */
	ENGINE_BUSY,    /* another program is at it */
	ENGINE_PRIVATE, /* only this operation has it, not the engine */
	ENGINE_BROKEN,
};

struct store_engine {
	/* Names in state_dir, up to NULL, whose files must stay where they are (presence.c). */
	const char *const *files;

	/* NULL: *why_out is store_full, store_busy (both are tried again) or what is wrong, its text in `a`. */
	struct engine *(*open)(struct engine_host *host, struct arena *a, struct verdict *why_out);
	void (*close)(struct engine *e);

	/* A transaction; false after an error. What only memory has changes with it. */
	bool (*begin)(struct engine *e);
	bool (*commit)(struct engine *e);
	void (*rollback)(struct engine *e);
	/* One state of the database for several requests. */
	void (*begin_read)(struct engine *e);
	void (*end_read)(struct engine *e);

	/* Within one of both: sets verdict and out of the request. */
	void (*run[REQUESTS_OF_ENGINE])(struct engine *e, struct request *r);

	enum engine_error (*error)(const struct engine *e);
	const char *(*error_text)(const struct engine *e);
	void (*forget_error)(struct engine *e);

	/* The engine's counters; the store adds its own. */
	void (*stats)(const struct engine *e, struct store_stats *stats_out);

	/* Between batches: after each of them; when there was nothing to do for a while (`was_idle`: nor in this round). */
	void (*after_batch)(struct engine *e);
	void (*idle)(struct engine *e, bool was_idle);

	/* Recovery. At the start, in a transaction: end what an earlier life left. Where a message's text is: false when
	 * there is no such message, or after an error. The next message with a large file: false at the end, or after an
	 * error. In a transaction: hold a message; false when it was held before. */
	void (*recover)(struct engine *e);
	bool (*place)(struct engine *e, uint64_t id, enum message_place *place_out);
	bool (*next_large)(struct engine *e, uint64_t after, uint64_t *id_out, uint64_t *size_out);
	bool (*hold)(struct engine *e, uint64_t id, struct str reason);
};

#endif
