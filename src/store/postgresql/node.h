/* node.h - this process as a node of those that share a database: its number and epoch, how it shows that it lives, what it knows
 * of the others, and which shards of the lanes it looks after. The store's writer claims (claim.c); a thread with a connection of
 * its own beats, declares other nodes dead and balances the shards (beat.c, death.c, shards.c). Two nodes can look at one shard
 * for a moment: rows decide. No clock of day decides who is dead: a beat that has not moved for node_timeout, on our own
 * CLOCK_BOOTTIME, does. */
#ifndef POSTHOUSE_STORE_NODE_H
#define POSTHOUSE_STORE_NODE_H

#include "db.h"
#include "engine.h"
#include "identity_form.h"

#include "posthouse/id.h"

#include <assert.h>
#include <uv.h>

enum { NODE_MAX = ID_CLUSTER_NODES_MAX, NODE_SHARDS = 64, NODE_SCHEMA = 3 };
static_assert(NODE_MAX == 15, "NODE_IS_ONE of statements_node.def, four bits of ids and of a membership, bits of a uint32_t");

/* STORE_NODE_AWAY: this node's thread has no connection, or its epoch is over. The names of the others are those of
 * node.state. */
const char *node_state_name(enum store_node_state state);

enum node_order { NODE_DRAIN, NODE_RESUME, NODE_REMOVE };

/* All in ms. */
struct node_timing {
	uint64_t beat, timeout;
	uint64_t margin;     /* the horizon is so long before the timeout */
	uint64_t fresh;      /* who declares others dead has beaten within this time, and was not stopped for as long */
	uint64_t lock;       /* how long a declaration waits for locks of the dead node's connections */
	uint64_t retry;      /* the connection is tried again after this */
	uint64_t unknown;    /* what a dead node had taken is due after this: its relay can still be at work */
	uint64_t durability; /* the server's settings are checked each time this has passed */
	uint64_t id_ahead;   /* ids of this node are below its clock and this, until the next beat */
};

/* What was last told of this machine's clock, from good to bad. */
enum node_clock { CLOCK_WELL, CLOCK_OFF, CLOCK_ALONE, CLOCK_DRAINS };

/* Another node, as its row was read last. */
struct node_row {
	unsigned number;
	enum store_node_state state;
	uint64_t epoch, beat, schema;
	uint64_t since;      /* when it came into this state, in database time */
	uint64_t seen_at;    /* boot time: epoch and beat are the same since then at least */
	int64_t clock_ahead; /* its clock to the database's, ms, of its last beat; more when the clock was set back */
	char host[65];       /* HOST_NAME_MAX */
	char config_hash[65];
};

struct node_counters {
	uint64_t open_messages, waiting, held, failed;
};

struct node {
	/* Set by node_init(); a test changes them before node_start(). */
	struct engine_host *host;
	struct node_timing timing;
	uint64_t (*boottime)(void); /* ms */
	uint64_t (*clock)(void);    /* ms since 1970 */
	uint64_t schema;            /* of this program */

	uv_mutex_t file_lock; /* of state_dir/node */
	uv_mutex_t lock;      /* protects the members below, up to the next comment */
	uv_cond_t wake;
	unsigned number; /* 0: none so far */
	uint64_t epoch;
	enum store_node_state state; /* of the row; never AWAY */
	bool lost;                   /* the epoch is over: claim again */
	bool connected;              /* the thread's connection */
	bool durable;
	char excluded[STORE_NODE_FAULT]; /* why the writer cannot go on with a database that answers; "": it can */
	bool stop;
	uint32_t timeline;   /* the newest that was seen */
	char history[17];    /* of the database, whose timeline it is */
	uint64_t id_floor;   /* ids begin above this time */
	uint64_t beat_at;    /* boot time: the start of the last beat that was committed */
	uint64_t horizon;    /* boot time: no delivery goes past its dot after this; 0: none */
	int64_t clock_ahead; /* the database's clock to ours, ms */
	uint64_t shards;     /* bits */
	uint64_t dead_rows;  /* of the tables whose rows come and go, as the server counts them */
	struct node_row others[NODE_MAX];
	size_t others_n;
	struct node_counters others_count;
	bool accounts_known;
	uint64_t accounts; /* their version */

	/* The thread's own. */
	uv_thread_t thread;
	bool started;
	struct db db;
	uint64_t named_epoch; /* the connection has the name of this epoch */
	uint64_t stepped_at;  /* boot time: the end of the last step */
	uint64_t read_at;     /* boot time: when the rows were asked for */
	uint64_t durable_at;  /* boot time: when the server's settings were looked at; 0: not on this connection */
	uint64_t watched_at;  /* boot time: when dead_rows was read; 0: not on this connection */
	bool doubtful;        /* the last step failed: what was seen before it proves nothing */
	enum node_clock clock_told;
	bool refused_told;
	uint32_t locked_told; /* bits: nodes whose rows something holds */

	/* The writer's own. */
	bool claim_doubtful; /* the answer to a claim was lost */
};

void node_init(struct node *n, struct engine_host *host);
void node_fini(struct node *n);

/* PERM: the tables are of a version that does not fit a program which knows this one; the text, in `a`, says which nodes have
 * which. */
struct verdict node_check_versions(uint64_t known, struct db *db, struct arena *a);

/* Become a member, on the writer's connection, outside of a transaction: at the start, and again when the epoch was lost. The
 * number is the one that this state_dir had before, else the lowest that is free. What the epoch before had taken is given back:
 * at the start it is due at once, since state_dir/lock proves that no process of then still lives; later in some minutes. TEMP:
 * not now; PERM: only the administrator can help. The text is in `a`. */
struct verdict node_claim(struct node *n, struct db *db, struct arena *a);

/* The thread; false when there is none. Stopping gives up the shards, and the others need not wait for the node's death when it
 * has nothing in flight; no transaction of this process comes after it. */
bool node_start(struct node *n);
void node_stop(struct node *n);

/* What an administrator orders of any node (0: this one), within a transaction; OK with a text: it was so before; PERM says why
 * not. */
struct verdict node_order(struct node *n, struct db *db, struct arena *a, enum node_order order, unsigned number);

/* ---- which server it uses (seen.c) ---- */

/* What is known of the last process with this state_dir, before the first connection. PERM: state_dir/node cannot be used. */
struct verdict node_recall(struct node *n, struct arena *a);
/* For a connection of this node; in `a`. After each db_open(): the newest timeline is kept in state_dir/node. */
struct db_target node_target(const struct node *n, struct arena *a);
void node_saw_timeline(struct node *n, uint32_t timeline, const char *history);
/* The database was joined: keep which one it is, and the epoch. */
void node_saw_database(struct node *n, struct identity seen);

/* ---- what any thread can ask ---- */
unsigned node_number(const struct node *n);
uint64_t node_epoch(const struct node *n);
uint64_t node_membership(const struct node *n); /* both in one number: a node that was removed can return under another number */
struct str node_name(const struct node *n, struct arena *a); /* of connections: posthouse/NUMBER/EPOCH */
enum store_node_state node_state(const struct node *n);
bool node_is_lost(const struct node *n);
bool node_is_durable(const struct node *n);
/* Why it does not work with a database that answers, and what comes next: it is no member, or the database would lose mail; "":
 * it works, or the database does not answer. */
void node_fault(const struct node *n, char text_out[static STORE_NODE_FAULT]);
/* The writer says so, and logs it when it is new; "": it goes on. */
void node_exclude(struct node *n, struct str why);
/* Can deliveries begin? Not while it drains, nor when nobody would know in time that it lives. */
bool node_may_take(const struct node *n);
uint64_t node_horizon(const struct node *n);
uint64_t node_id_floor(const struct node *n);
uint64_t node_shards(const struct node *n);
int64_t node_clock_ahead(const struct node *n);
bool node_accounts(const struct node *n, uint64_t *version_out); /* false: not known so far */
uint32_t node_timeline(const struct node *n);
uint64_t node_dead_rows(const struct node *n);
size_t node_others(const struct node *n, struct node_row others_out[static NODE_MAX], struct node_counters *count_out);

/* ---- between the files of the node; tests call them too ---- */

/* beat.c: all that the thread does once in `beat`; false: the connection was lost, or could not be made. */
bool node_step(struct node *n);
void node_note(struct node *n, enum log_level level, const char *event, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* watch.c: what the server says of its tables, now and then. */
void node_watch(struct node *n);

/* death.c */
void node_judge(struct node *n);
void node_return_taken(struct node *n);
/* Within a transaction: what a number had taken before the epoch is due again, and the history says that its outcome is unknown.
 * False after an error. */
struct node_return {
	uint64_t number, epoch, due_at, now;
	bool died; /* it counts as an attempt that ended in the death of the deliverer */
};
bool node_give_back(struct node *n, struct db *db, const struct node_return *r);
/* End the connections of an epoch that is over. */
void node_terminate(struct node *n, struct db *db, unsigned number, uint64_t epoch);

/* shards.c */
void node_balance(struct node *n);
void node_leave(struct node *n);

#endif
