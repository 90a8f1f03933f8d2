/* queue.h - the role as a whole: what its parts share. A message's way through it: intake, store, scheduler, lease, outcome,
 * settle, and report where it failed. */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include "accounting/accounting.h"
#include "dispatch/dispatch.h"
#include "intake/intake.h"
#include "common/route.h"
#include "report/report.h"
#include "common/format.h"
#include "common/timers.h"

#include "posthouse/limit.h"
#include "posthouse/log.h"
#include "posthouse/role.h"
#include "posthouse/smtp_server.h"
#include "posthouse/store.h"
#include "posthouse/store_nodes.h"

struct queue;

/* ---- setback.c: the clock is set back, while we run or while we did not: what another clock wrote is mended (clock.h), in
 * memory and in the store, so that nothing stays closed for as long as the clock went back ---- */

struct setback {
	uv_timer_t look, retry;
	uint64_t seen; /* the latest time that a look has seen */
	bool mending;  /* the store is at it */
	bool again;    /* the clock was set back once more meanwhile */
	struct mending page;
};

void setback_init(struct queue *q);

/* The store is open: look at the clock from now on, each second. */
void setback_start(struct queue *q);

/* ---- nodes_seen.c: all nodes, as they were lately, for figures ---- */

struct nodes;
struct nodes_seen {
	struct arena arena;
	const struct store_node_row *rows; /* in the arena */
	size_t n;
	uint64_t look_at; /* monotonic: when to ask the store again */
	bool asking, telling;
	uint32_t differing; /* bits: nodes whose other configuration was told */
};

/* Has this node, which works, another configuration than this one? */
bool nodes_config_differs(const struct queue *q, const struct store_node_row *row);

void nodes_seen_look(struct queue *q); /* the store can be asked */
void nodes_stats(struct queue *q);

/* When the outage of the database began, by the clock of this machine; 0: there is none. */
uint64_t nodes_away_since(const struct nodes *n);

/* Why it is so, where more is known than that the database cannot be reached; "" else. A view that lives until the next look. */
struct str nodes_fault(const struct nodes *n);

/* Can the store be asked for what only the database knows? If not, why: an administrator does not wait for the end of an
 * outage. The text is in `a`. */
struct verdict nodes_can_ask(struct queue *q, struct arena *a);

/* ---- node.c: this process as one of the nodes that share the store; without such a store it does nothing ---- */

struct nodes {
	uv_timer_t look;
	bool shared;           /* several nodes can share the store */
	struct store_node now; /* as of the last look */
	bool told;             /* to the other roles: what follows */
	enum node_state told_state;
	uint64_t away_at;            /* monotonic: since then the database is away; 0: it is there */
	uint64_t beat_at;            /* monotonic: when the last beat has ended … */
	bool silent;                 /* … which is so long ago that the server seems to say nothing */
	uint64_t wake_at, report_at; /* monotonic */
	bool changing_accounts;      /* what login has brought is in memory, and can be large: one after the other */
	struct nodes_seen seen;
};

void nodes_init(struct queue *q);
void nodes_start(struct queue *q);  /* the store is being opened */
void nodes_opened(struct queue *q); /* it is open, and knows the number of the node */
void nodes_peer_up(struct queue *q, struct channel *ch);

/* ---- admin.c: the questions and orders of the console ---- */

struct admin {
	struct list calls; /* that the store works on */
	size_t n;
	void (*idle)(void *queue);
};

/* idle is called when a call has been answered. */
void admin_init(struct queue *q, void (*idle)(void *queue));
void admin_peer_gone(struct queue *q, const struct channel *ch);

/* Handlers; their ctx is the role. */
void handle_queue_page(void *ctx, struct channel *ch, const struct msg_queue_page *m, int fd);
void handle_queue_alter(void *ctx, struct channel *ch, const struct msg_queue_alter *m, int fd);
void handle_queue_summary(void *ctx, struct channel *ch, const struct msg_queue_summary *m, int fd);
void handle_queue_show(void *ctx, struct channel *ch, const struct msg_queue_show *m, int fd);
void handle_queue_text(void *ctx, struct channel *ch, const struct msg_queue_text *m, int fd);
void handle_queue_import(void *ctx, struct channel *ch, const struct msg_queue_import *m, int fd);
void handle_queue_backup(void *ctx, struct channel *ch, const struct msg_queue_backup *m, int fd);
void handle_tls_report_send(void *ctx, struct channel *ch, const struct msg_tls_report_send *m, int fd);
void handle_test_message(void *ctx, struct channel *ch, const struct msg_test_message *m, int fd);
void handle_reached(void *ctx, struct channel *ch, const struct msg_reached *m, int fd);
void handle_find(void *ctx, struct channel *ch, const struct msg_find *m, int fd);
void handle_node_list(void *ctx, struct channel *ch, const struct msg_node_list *m, int fd);
void handle_node_order(void *ctx, struct channel *ch, const struct msg_node_order *m, int fd);
void handle_accounts_read(void *ctx, struct channel *ch, const struct msg_accounts_read *m, int fd);
void handle_accounts_commit(void *ctx, struct channel *ch, const struct msg_accounts_commit *m, int fd);
void handle_trace(void *ctx, struct channel *ch, const struct msg_trace *m, int fd);

struct queue {
	struct role *role;
	struct store *store;
	bool stopping;    /* nothing is accepted or leased any more */
	bool open;        /* the store is: until then mail is refused for the moment */
	bool opens_later; /* no room, or another program has the database: the role is ready without it */
	bool applied;     /* the first configuration */
	bool closing;     /* store_close() was called */
	struct intake intake;
	struct accounting accounting;
	struct accounting_observer accounting_observer;
	struct dispatch dispatch;
	struct dispatch_observer dispatch_observer;
	struct reports reports;
	struct report_observer report_observer;
	struct intake_observer intake_observer;
	struct setback setback;
	struct nodes nodes;
	struct admin admin;
	uv_timer_t housekeeping, grace;
	uint64_t collect_at;          /* monotonic: memory is gone through then, however often the store is pruned */
	uint64_t letters, letters_at; /* to the postmaster, lately; monotonic */
	struct timers timers;
	size_t open_parts; /* the role itself, handles that close, file reads: all must end before the memory can go */
};

extern const struct role_ops queue_ops;

/* Before the start: the engine that keeps the store's rows. The start fails with a configuration that wants another kind. */
void queue_use_engine(const struct store_engine *chosen, enum cfg_engine kind);

/* rooms.c: the messages from other roles; fill in the observers of the rooms, and start these. */
extern const struct ipc_handlers queue_handlers;
void rooms_init(struct queue *q);

/* May the store be asked for anything? Not once it is closing: a callback that comes then ends its chain. */
static inline bool queue_may_store(const struct queue *q)
{
	return q->open && !q->closing;
}

/* Something ended: when the role is to stop, is all done now? */
void queue_check_idle(void *queue);

/* One of the open parts has ended. */
void queue_part_ended(void *queue);

#endif
