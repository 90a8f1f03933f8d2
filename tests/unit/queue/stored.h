/* stored.h - the real store under the queue role: on a temporary directory, with an engine around SQLite's that counts, and
 * fails or waits on order. What the store keeps is read by a second connection: it is there when it is committed. */
#ifndef TEST_STORED_H
#define TEST_STORED_H

#include "engine.h"
#include "harness.h"

#include <stdatomic.h>

/* ---- what a test reads; all of it lives until the harness ends ---- */

struct stored_recipient {
	struct str address, orcpt;
	unsigned notify;
	enum recipient_state state;
	bool report_success; /* delivered, and the sender is still to be told */
	uint64_t due_at, attempts, deaths, last_at;
	struct verdict verdict;
	struct str remote, route, transcript;
};
const struct stored_recipient *recipient(uint64_t id, uint64_t n); /* fails where there is none */

/* As it was accepted, without its recipients; NULL: there is none. `held`: "" where it is not held. */
const struct accepted *stored(uint64_t id);
size_t stored_messages(void);
/* Notices to this address (NULL: to any) whose texts contain `part`. */
size_t stored_notices(const char *to, const char *part);

/* Is there an event of the message with this name whose fields contain `part`? */
bool stored_event(uint64_t id, const char *name, const char *part);

const struct gate_state *stored_gate(const char *name); /* NULL: none */
const struct bucket_row *stored_bucket(const char *key, const char *rule);
uint64_t stored_tat(const char *key, const char *rule); /* of a bucket; 0: none */
const struct ban_row *stored_ban(const char *key);

/* The first column of the first row, as a number. */
uint64_t stored_number(const char *sql);

/* ---- what a test changes ---- */

void store_sql(const char *sql); /* a short change, beside the store's own */

/* An orderly end, and a start as with harness_again() that finds these gates from before. */
struct harness *harness_again_with_gates(struct harness *h, uint64_t now, const struct gate_state *gates, size_t n);

/* A message of 24 bytes, 16 of them header, in a large message's file; returns when it is accepted. */
void submit_file_and_wait(struct harness *h, uint64_t id, const char *sender, const char *recipient);
void store_lose_files(void); /* those of all large messages */
size_t store_files(void);    /* how many there are */

/* The login has written to this address before: a held message does that. */
void store_remember(struct harness *h, const char *login, const char *address);

/* ---- the engine around SQLite's; `kind` is a request without files ---- */

/* How often the engine was asked for this since the start of the harness, with what was refused. */
unsigned store_runs(enum request_kind kind);
unsigned store_leases(void);                           /* of lanes and of siblings */
void store_refuse(enum request_kind kind, unsigned n); /* the next `n`: 451, and nothing is written */
/* Another node has charged each bucket up to this state (0: there is no other); the next `n` accepts are over because of that. */
void store_share(uint64_t state_us, unsigned n);
void store_hold(enum request_kind kind); /* the writer's thread waits in the next one until store_go_on() */
void store_go_on(void);

/* For the next start: the store is one that several nodes share, and this process is the node of store_be_node(). The others are
 * rows of which only numbers matter; an order is 100 * order + number, and those above the number of rows are refused. */
extern atomic_bool store_has_nodes;
void stored_tell_node(const struct engine *e, struct store_node *node_out); /* for stored.c: these three */
void stored_run_nodes(struct engine *e, struct request *r);
void stored_run_order(struct engine *e, struct request *r);
void stored_run_accounts(struct engine *e, struct request *r);
void stored_run_accounts_commit(struct engine *e, struct request *r);
/* Takes have numbers, from 1 on. store_settled_take: of the last result that was stored. */
extern _Atomic uint64_t store_settled_take;
void stored_number_takes(struct request *r); /* for stored.c */
/* The accounts of the nodes are the line "alice", with version 7. A change of another version finds them changed; of this one it is noted:
 * "put NAME/DEVICE;" or "remove ...;" for each row. */
extern char store_accounts_noted[200];
/* The first next hop: this node has `held` connections and is to keep `keep`, whatever it asks; false: all that it wants, as at the
 * beginning. / What it asked last. */
void stored_run_slots(struct engine *e, struct request *r); /* for stored.c */
void store_give_slots(bool fixed, struct slots_share share);
struct slots_wish store_slots_wish(void); /* without its gate */
extern atomic_uint store_node_looks;      /* how often the role has looked */
void store_be_node(const struct store_node *node);
void store_set_nodes(const struct store_node_row *rows, size_t n);
extern atomic_uint store_ordered; /* the last order; 0: none */

/* Was the last message that is accepted one whose recipients are remembered? */
extern atomic_bool store_remembers;

/* For the next opening, until it is false again. */
extern atomic_bool store_without_room, store_on_tmpfs;

#endif
