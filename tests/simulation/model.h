/* model.h - a world in which the rules of a cluster (HACKING.md, "Simulation of the cluster's rules") are played: a database of a
 * few rows with its locks, snapshots and standby, three machines with queue and relay, clients, and misfortunes. No I/O, no
 * clock, no chance but the seed: one seed is one schedule. Numbers are small so that things meet: four mails (a mail has one
 * recipient), two lanes, each of which is a shard, five node numbers. */
#ifndef SIMULATION_MODEL_H
#define SIMULATION_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int64_t us; /* microseconds: of true time, which every CLOCK_BOOTTIME follows, or of a wall clock */
#define MS(n)     ((us)(n)*1000)
#define SECOND(n) MS((n)*1000)
#define NEVER     INT64_MAX

/* The times of the rules. The beat is each second; here it is slower, because most steps of a schedule are beats. */
#define BEAT         MS(1500)
#define OWN_BEAT_AGE SECOND(3)
#define OUTAGE       SECOND(5) /* so long without a beat of its own, a node counts the silence of others anew */
#define NODE_TIMEOUT SECOND(20)
#define HORIZON      (NODE_TIMEOUT - SECOND(5))
#define UNKNOWN_WAIT SECOND(300) /* until a recipient of unknown outcome is due again */
#define ANSWER_WAIT  SECOND(10)  /* a commit without an answer: the connection is closed */
#define LOCK_TIMEOUT SECOND(1)   /* of who declares a node dead */
#define REREAD       SECOND(10)  /* between two looks at what is taken in the own name */
#define RETRY_WAIT   SECOND(60)

enum { MAILS = 4, LANES = 2, NUMBERS = 5, MACHINES = 3, SERVERS = 3, TXS = 24, DELIVERIES = 8, LOG = 64, DOTS = 16, IDS = 32 };

/* Every row that there can be has its place, whether it is there or not: the place is the key, and what locks it. */
#define NODE(n)           (n)
#define SHARD(s)          (NUMBERS + (s))
#define MAIL(m)           (NUMBERS + LANES + (m))
#define DUE(m)            (NUMBERS + LANES + MAILS + (m))
#define TAKEN(m)          (NUMBERS + LANES + 2 * MAILS + (m))
#define LANE(l)           (NUMBERS + LANES + 3 * MAILS + (l))
#define ROWS              (NUMBERS + 2 * LANES + 3 * MAILS)
#define LANE_OF(m)        ((m) % LANES)
#define BIT(n)            (1u << (n))
#define NO_NUMBER         (-1)
#define NO_TX             (-1)
#define NO_DOT            (-1)
#define NO_ONE            (-1)
#define A_NODE_WORKS(row) ((row)->there && ((row)->state == UP || (row)->state == DRAINING))

enum state { UP = 1, DRAINING, DRAINED, DEAD, REMOVED, /* of a node */ ACTIVE, HELD, FINAL /* of a mail */ };

/* The columns of all tables; a table uses some of them. */
struct row {
	bool there;
	bool hold;    /* mail: to be held when it comes back */
	int8_t state; /* node, mail */
	int node;     /* shard, taken: number; node: instance */
	int epoch;    /* node, shard, taken */
	int take_no;  /* mail (while held), due, taken */
	us at;        /* due: due_at; lane: next_at; mail: due_at while held; node: id_floor */
	int64_t beat; /* node */
};

enum lock { KEY_SHARE, NO_KEY_UPDATE, FOR_UPDATE, LOCKS };

struct record { /* of the write-ahead log: what one commit changes */
	uint32_t written;
	struct row rows[ROWS];
};

struct standby {
	bool attached;
	us stalled_until;
	uint64_t received; /* records that it has and has applied */
	struct row rows[ROWS];
};

/* A server of the database; its index is its timeline. Promotion makes the next one from its standby. */
struct server {
	bool alive;
	struct row rows[ROWS];       /* what is committed and visible */
	uint32_t locks[ROWS][LOCKS]; /* which transactions hold them */
	uint64_t written;            /* records in the log */
	struct record log[LOG];
	struct standby standby;
	us clock; /* its wall clock is true time and this */
	us receives_at;
};

struct world;
struct tx;

/* What a statement ends with. BLOCKED: waits for a lock, and goes on with the snapshot that it has. BACK: to the
 * statement before. REFUSED: rolls back. ENOUGH: the other statements have nothing to do, commit. */
enum after { DONE, BLOCKED, BACK, REFUSED, ENOUGH };
typedef enum after statement_fn(struct world *w, struct tx *t);

struct transaction { /* a kind of them */
	const char *name;
	statement_fn *statements[9]; /* the last is followed by a null */
	bool asynchronous;           /* its commit does not wait for the standby */
	us lock_timeout;             /* 0: none */
};

enum outcome { COMMITTED, ROLLED_BACK, TIMED_OUT, LOST };
enum result { UNTRIED, DELIVERED, RETRY, REJECTED };

/* A transaction at work: a backend of a server. It goes on when whoever began it is frozen, cut off or dead. */
struct tx {
	enum { TX_FREE, TX_RUNS, TX_AWAITS_STANDBY, TX_ANSWERED } state;
	const struct transaction *kind;
	int server, machine; /* NO_ONE: nobody reads its answer */
	int sent;            /* statements that have arrived */
	int statement;       /* the next one */
	bool has_snapshot, blocked;
	us wakes_at, blocked_since;
	us keepalive_at; /* when half a pipeline of a lost client is ended */
	uint32_t written, locked;
	uint64_t record;
	struct row rows[ROWS]; /* the statement's snapshot, under it the own changes; a row that gets locked is read again */
	enum outcome outcome;
	/* who and what */
	int number, epoch;        /* in whose name */
	int mail, take_no, shard; /* shard: or lane */
	int instance;             /* claim */
	int delivery;             /* settle: of its machine */
	bool again;               /* an accept that was sent before */
	enum result result;
	us now;                   /* database time, as its node believes */
	int victim, victim_epoch; /* whose recipients are given back; the epoch is the last of them */
	int64_t victim_beat;
	us delay;          /* until they are due again */
	int listed[MAILS]; /* or these, by take number; 0: not */
	uint32_t lanes;    /* to be woken */
	us wake_at;        /* for this time */
	uint32_t looks_at; /* take: lanes */
	us floor;          /* beat: id_floor */
	/* what came of it */
	int taken[MAILS];      /* take, look: take numbers */
	int matched;           /* settle: the take number of the row that was found; 0: none, the result is stale */
	int found_in;          /* settle: which row */
	int given_back[MAILS]; /* take numbers */
	us clock;              /* beat: the database's */
	us given_back_at;
	struct row nodes[NUMBERS], shards[LANES]; /* beat, claim: what was read afterwards */
};

enum stage { NOTHING, GIVEN, CHECKED, DOTTED, ANSWERED };

struct delivery { /* in the relay of a machine until its result is stored */
	enum stage stage;
	int mail, take_no, number, epoch;
	us at; /* of its next step */
	bool frozen_since_check;
	bool settling;
	enum result result;
	int dot; /* in the truth, or NO_DOT */
};

enum connection { CONTROL, COMMITS, TAKES, CONNECTIONS };

struct machine {
	bool running;
	int instance;
	us wall;                                  /* its wall clock is true time and this */
	us queue_frozen, relay_frozen;            /* until */
	us cut_off;                               /* from the database, until */
	us starts_at;                             /* when it does not run */
	int tx[CONNECTIONS], server[CONNECTIONS]; /* server NO_ONE: not connected */
	bool loses[CONNECTIONS];                  /* what was sent last arrives late, and the connection is lost */
	us asked_at[CONNECTIONS], task_at[CONNECTIONS];
	bool member, draining, leaving, fresh; /* fresh: nothing of an earlier process is left */
	int number, epoch, timeline;
	us beat_start, beat_done, next_beat; /* of the last that succeeded */
	us horizon;                          /* what relay was told last: no dot after it */
	int horizon_number, horizon_epoch;
	us database_time, database_time_at;
	struct {
		int epoch;
		int64_t beat;
		us seen_at;
		bool works;
	} view[NUMBERS];                /* of the other nodes */
	int last_victim, timeouts;      /* of its declarations; timeouts: one after another */
	int left_over, left_over_epoch; /* broken variant: a dead node whose recipients are still to be given back */
	uint32_t shards, free_shards;   /* those that it looks at, and those of nobody, as it read last */
	int share;                      /* how many of them should be its own */
	us reread_at;
	int unknown[MAILS]; /* taken in our name and unknown to us */
	struct delivery deliveries[DELIVERIES];
	struct {
		bool wanted, again;
	} accepts[MAILS];
	us last_id, floor;
};

/* What has really happened, for the invariants alone. */
struct dot {
	int mail, take_no;
	us at;
	bool gap;      /* there was a freeze between the check and the write */
	bool lost;     /* its machine died before the result was stored */
	us given_back; /* its take, when: 0 = not */
};

struct truth {
	int dots;
	struct dot dot[DOTS]; /* the delivered ones */
	int settled_take[MAILS];
	enum result settled[MAILS];
	uint64_t given[MAILS];  /* the take numbers of the deliveries given to a relay */
	bool removed[MAILS];    /* by the administrator */
	us row_locked[NUMBERS]; /* when a lock for update on a node's row was given up last */
	bool clock_jumped;      /* the database's, forward */
	struct {
		int number, epoch;
		us id;
	} id[IDS];
	int ids;
};

struct client {
	enum { NOT_YET, ASKS, HAS_ID, ACKNOWLEDGED } state;
	us at;
	int machine;
};

struct world {
	uint64_t dice;
	uint64_t broken; /* BREAKS_... */
	bool tracing;
	bool calm; /* no more misfortunes: everything must come to its end */
	us now;
	long steps;
	int current; /* server: the one promoted last */
	struct server servers[SERVERS];
	struct tx txs[TXS];
	struct machine machines[MACHINES];
	struct client clients[MAILS];
	struct truth truth;
	int instances;
	int misfortunes, freezes; /* left */
	us misfortune_at, promotion_at;
	bool keep_old_primary;
	char fault[160]; /* empty: none yet */
};

#include "situations.h"
#include "variants.h"

/* database.c */
void db_init(struct world *w);
struct tx *db_begin(struct world *w, const struct transaction *kind, int server, int machine);
bool db_lock(struct world *w, struct tx *t, int row, enum lock lock);
bool db_lock_key(struct world *w, struct tx *t, int row, enum lock lock);
struct row *db_write(struct tx *t, int row);
void db_step(struct world *w, struct tx *t);
void db_receive(struct world *w, struct server *s);
void db_terminate(struct world *w, int server, int number, int epoch);
void db_terminate_lost(struct world *w, int server, int number);
void db_let_go(struct world *w, struct tx *t, bool noticed);
void db_crash(struct world *w, int server, bool restarts);
void db_promote(struct world *w, bool keep_old);

/* members.c, recipients.c, lanes.c: the transactions */
extern const struct transaction tx_claim, tx_beat, tx_declare, tx_declare_only, tx_shard_take, tx_shard_leave, tx_drain,
	tx_remove_node;
extern const struct transaction tx_take, tx_take_asynchronous, tx_accept, tx_settle, tx_look, tx_give_back;
extern const struct transaction tx_hold, tx_release, tx_delete;
extern const struct transaction tx_sleep, tx_janitor;
int number_for(const struct row *rows, int instance);
statement_fn fence, give_back_lock, give_back_move, lane_insert, lane_share, lane_wake;

/* node.c, relay.c */
void queue_start(struct world *w, int machine);
void queue_kill(struct world *w, int machine);
void queue_step(struct world *w, int machine, enum connection c);
void queue_lose(struct world *w, int machine, enum connection c, bool noticed);
struct delivery *relay_give(struct world *w, int machine, int mail, int take_no, int number, int epoch);
void relay_step(struct world *w, int machine, struct delivery *d);

/* control.c, tasks.c: what a queue does with a connection that is free, and with an answer */
void control_task(struct world *w, int machine);
void control_answered(struct world *w, int machine, const struct tx *t);
void commits_task(struct world *w, int machine);
void takes_task(struct world *w, int machine);
void task_answered(struct world *w, int machine, enum connection c, struct tx *t);
void task_unknown(struct world *w, int machine, enum connection c, const struct tx *t);
struct tx *queue_begin(struct world *w, int machine, enum connection c, const struct transaction *kind);
us database_time(const struct world *w, const struct machine *m);

/* misfortune.c */
void misfortune_step(struct world *w);
void misfortune_freeze(struct world *w, int machine);
void misfortune_clock_ahead(struct world *w, int machine, bool (*give_id)(struct world *w, int machine));
void misfortunes_end(struct world *w);

/* scheduler.c */
void schedule_run(struct world *w, uint64_t seed, uint64_t broken, bool tracing);
uint64_t dice(struct world *w, uint64_t sides);
bool chance(struct world *w, uint64_t one_in);
us between(struct world *w, us least, us most);
us soon(struct world *w);
__attribute__((format(printf, 2, 3))) void trace(struct world *w, const char *format, ...);

/* invariants.c: each notes the first fault */
__attribute__((format(printf, 2, 3))) void fault(struct world *w, const char *format, ...);
void check_commit(struct world *w, const struct tx *t);
void check_rows(struct world *w, const struct row *rows);
void check_given(struct world *w, int mail, int take_no);
void check_dot(struct world *w, int machine, struct delivery *d, bool delivered);
void check_id(struct world *w, int number, int epoch, us id);
void check_declaration(struct world *w, int number, int epoch);
void check_timeout(struct world *w, int machine);
bool check_settled(const struct world *w);
void check_end(struct world *w);

#endif
