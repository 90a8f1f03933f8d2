/* writer.h - the inside of the store. Only the writer's thread uses `struct writer`, and with it the engine (engine.h). The
 * members that it shares with the loop are in `struct store`, under `lock`. */
#ifndef POSTHOUSE_STORE_WRITER_H
#define POSTHOUSE_STORE_WRITER_H

#include "engine.h"

#include "posthouse/list.h"
#include "posthouse/secret.h"
#include "posthouse/units.h"

#include <dirent.h>

#define RESERVE_BYTES (8 * MIB) /* released so that results can be stored on a full disk */

/* ---- operations (operations.c) ---- */

/* The order within a batch: results first, since they end deliveries that could otherwise be made twice. */
enum rank { RANK_RESULT, RANK_ADMIN, RANK_ACCEPT, RANK_READ, RANK_COUNT };

/* Which messages an operation names: operations that name the same message keep their order. */
enum names { NAMES_NONE, NAMES_ID, NAMES_ID_AND_PARENT, NAMES_OUTCOMES };

struct op;

struct op_kind {
	enum rank rank;
	enum names names;
	void (*finish)(struct op *op); /* on the loop: the caller's callback */
};

/* One operation from its call to its callback. */
struct op {
	struct list link;
	const struct op_kind *kind;
	void (*callback)(void);
	void *ctx;
	size_t bytes;          /* of text */
	uint64_t issued_at_ms; /* monotonic */
	struct request request;
};

/* ---- the part that the loop sees ---- */

/* Something that a thread wants to log: only the loop writes to the log. */
struct note {
	struct list link;
	enum log_level level;
	const char *event;
	uint64_t id;
	char reason[1100];
};

/* How far the opening has come, as the thread says it. */
enum opening { OPEN_BEGUN, OPEN_WITHOUT_ROOM, OPEN_BUSY, OPEN_REFUSED, OPEN_DONE };

struct store {
	uv_loop_t *loop;
	uv_async_t async;
	uv_thread_t thread;

	uv_mutex_t lock; /* protects the members below, up to the next comment */
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

	char noted[1100]; /* the writer's: the reason that store_note_change() was given last */

	/* The loop's own. */
	struct list refused; /* operations that were issued too late */
	struct store_stats stats;
	bool closing, threads_joined;
	store_done_fn on_closed;
	void *on_closed_ctx;
	enum opening told; /* what on_opened was told last */
	store_opened_fn on_opened;
	void *on_opened_ctx;
	const struct store_engine *engine;
	struct store_database database; /* whose texts are these two */
	struct secret connection, password;
	bool has_database;
	char *state_dir;
	struct writer *writer;     /* the thread's until it has ended */
	struct backup_job *backup; /* whose thread works: closing waits for it */
};

/* Give an operation to the writer. */
void store_issue(struct store *st, const struct op_kind *kind, const struct request *request, void (*callback)(void), void *ctx);

/* ---- are the files still in their places? (presence.c) ---- */
#define PRESENCE_FILES_MAX 4
struct presence_file {
	dev_t device;
	ino_t inode; /* 0: not seen yet */
};
struct presence {
	struct presence_file files[PRESENCE_FILES_MAX];
	uint64_t looked_at_ms; /* monotonic */
	uint64_t bytes;        /* of the files together */
	bool lost;
};

/* The walk through the files and rows that an earlier process left (large.c). */
enum recovery { RECOVER_FILES, RECOVER_ROWS, RECOVERED };

struct writer {
	struct store *st;
	struct engine_host host;
	const struct store_engine *engine;
	struct engine *e;
	struct list batch[RANK_COUNT];
	struct list stalled; /* results for which there was no room, or which were denied: they are tried again each second */
	bool denied;         /* in this batch */
	uint64_t retry_at_ms;
	struct hashtable named; /* the messages that the batch names, each with its highest rank */
	uint64_t commits, operations;
	uint64_t away_since_ms; /* monotonic; 0: the database is there */
	uint64_t try_again_ms;  /* monotonic; only while it is away */
	uint64_t repeated[REPEATS];
	struct histogram commit_time;
	struct presence presence;
	enum recovery recovery;
	DIR *recovery_dir;
	uint64_t recovery_id;
};

void writer_main(struct writer *w); /* until the store is closed */

/* batch.c: move operations from the loop's list into the batch. */
void batch_fill(struct writer *w, struct list *pending);

/* The thread: opens the store, then runs as the writer. */
void store_main(void *arg);
void writer_free(struct writer *w);
struct store_stats writer_stats(const struct writer *w);

/* transaction.c: a transaction of the engine, together with its changes of files; false after an error, or when the host has
 * failed. */
bool transaction_begin(struct writer *w);
bool transaction_commit(struct writer *w);
void transaction_count_failure(struct writer *w);          /* of several operations together, rolled back; its error stands */
void transaction_expect(struct writer *w, enum rank rank); /* operations of the batch: engine->expect */

/* outage.c: the database is away. Wait until it can be reached again; false: not until that time (monotonic, ms), or the store is
 * to be closed. There is a try, unless one has just failed and until_ms has passed. */
bool outage_wait(struct writer *w, uint64_t until_ms);
uint64_t outage_patience(const struct writer *w, const struct op *op);
/* Set host.results_wait, and why they wait. */
void outage_look_at_results(struct writer *w);
bool outage_is_patient(const struct writer *w, const struct op *op);
/* The store is closed: what waits is kept by the engine, or refused. */
void outage_end(struct writer *w);
/* Move the operations that wait no longer; until when the first of the others waits. */
uint64_t outage_split(struct writer *w, struct list *ops, struct list *impatient);

/* spool.c */
bool spool_open(struct spool *s, int state_fd);
void spool_close(struct spool *s);
void spool_begin(struct spool *s);
bool spool_before_commit(struct engine_host *host);
void spool_after_commit(struct engine_host *host);
void spool_unlink(struct engine_host *host, uint64_t id);
void run_spool_create(struct writer *w, struct request *r);
void run_spool_drop(struct writer *w, struct request *r);
void spool_remove(struct engine_host *host, uint64_t id); /* the same as spool_unlink; during a backup when it has ended */

/* backup.c: between these no file of a message is removed. */
void store_backup_begin(struct store *st, store_done_fn done, void *ctx);
void store_backup_end(struct store *st, store_done_fn done, void *ctx);
void run_backup_begin(struct writer *w, struct request *r);
void run_backup_end(struct writer *w, struct request *r);

/* backup_directory.c: open state_dir/backup, which is made when it is not there; -1 with errno. Remove what copies that were
 * interrupted have left in it. */
#define BACKUP_PART ".part"
int backup_open(int state_fd);
void backup_clear(int state_fd);

/* disk_space.c: all but the first are cheap enough to be called for each batch. */
void disk_space_init(struct disk_space *s, int state_fd, uint64_t min_free);
void disk_space_check(struct engine_host *host);
void disk_space_close(struct disk_space *s);
bool disk_space_release(int dir_fd);             /* removes the reserve; false: there was none */
void disk_space_found(struct engine_host *host); /* the results that waited for room are stored */

/* presence.c: looks at the files, but at most twice a second. */
void presence_check(struct writer *w);

/* large.c */
void large_step(struct writer *w); /* a little of the recovery, between batches */
void large_hold_missing(struct writer *w);
void large_end(struct writer *w);

#endif
