/* store_nodes.h - a store that several nodes share (store_engine_postgresql). With an engine of one node there is no node: all
 * numbers are 0. */
#ifndef POSTHOUSE_STORE_NODES_H
#define POSTHOUSE_STORE_NODES_H

#include "posthouse/store.h"

/* AWAY: the database cannot be reached or would lose mail, or this node is not known to be a member. */
enum store_node_state {
	STORE_NODE_NONE,
	STORE_NODE_UP,
	STORE_NODE_DRAINING,
	STORE_NODE_DRAINED,
	STORE_NODE_DEAD,
	STORE_NODE_REMOVED,
	STORE_NODE_AWAY,
};
const char *store_node_state_name(enum store_node_state state); /* in lower case */

enum { STORE_NODE_FAULT = 300 }; /* the size of a text, with its end */

/* This process as a node. Deliveries of mail that was leased in this epoch must not end a text after horizon_ms (CLOCK_BOOTTIME;
 * 0: not at all); ids are made above id_floor_ms. Synchronous, and never older than the question. */
struct store_node {
	uint64_t number, epoch;
	uint64_t membership; /* number and epoch in one: no two of any nodes are the same; see due_message */
	enum store_node_state state;
	uint64_t horizon_ms, id_floor_ms;
	uint64_t timeline;            /* of the database: it grows with each promotion of a standby */
	uint64_t dead_rows;           /* of its busy tables, which are to be vacuumed, as of the last 15 seconds */
	char fault[STORE_NODE_FAULT]; /* AWAY: why, of a database that answers, and what comes next; "": it does not answer */
	bool accounts_known;          /* else the database was not asked so far */
	uint64_t accounts;            /* the version of the accounts, see store_accounts() */
};
void store_node(struct store *st, struct store_node *node_out);

/* All nodes but those that were removed; their numbers are 1 to 15. */
struct store_node_row {
	uint64_t number, epoch, schema;
	enum store_node_state state;
	struct str host, config_hash;
	uint64_t since;         /* when it came into this state */
	uint64_t silent_ms;     /* so long its beat has not moved, as far as this node has seen */
	uint64_t taken, shards; /* recipients that it delivers; of 64 parts of the lanes */
	bool self;
};
typedef void (*store_nodes_fn)(void *ctx, struct verdict v, const struct store_node_row *rows, size_t n);
void store_nodes(struct store *st, store_nodes_fn done, void *ctx);

/* Tell the other nodes a hash of this one's configuration: config_hash of its row, in hexadecimal digits. */
void store_node_config(struct store *st, uint64_t hash, store_done_fn done, void *ctx);

/* Order a node (0: this one) to end what it does and take nothing more, to work again, or to be forgotten; the last only when it
 * is drained or dead. OK with a text: it was so before, as when the order is repeated. PERM 550: why not. */
enum store_node_order { STORE_NODE_DRAIN, STORE_NODE_RESUME, STORE_NODE_REMOVE };
void store_node_order(struct store *st, enum store_node_order order, uint64_t number, store_done_fn done, void *ctx);

/* How many connections each node can have to a next hop whose number is limited: all nodes together hold no more than the limit,
 * and each goes by its own. A node that holds fewer than its fair part while others have more than theirs, or waits for its
 * turn where there is not one for each, gets them from those others, when they say that they use them no more. What a node
 * holds is free at the end of its epoch. */
struct slots_wish {
	struct str gate;
	uint64_t limit;  /* of this node's configuration */
	uint64_t wanted; /* connections that this node has work for; 0: what it does not use becomes free */
	uint64_t used;   /* connections that are, or can be, open now: these it goes on holding */
	bool had_turn;   /* it has had some for so long that it is others' turn, if there is not one for each */
};
struct slots_share {
	uint64_t held; /* by this node */
	uint64_t keep; /* of these: so many can be used; what is used beyond that is to be ended, since others wait for it */
	bool pressed;  /* another node waits */
	bool busy;     /* another node was just changing something: ask again soon, this is as it was */
};
/* All that this node holds, or wants: what is not named is given up. The wishes live until the callback; shares in that order.
 * Without OK nothing is known: what is used is held. */
typedef void (*store_slots_fn)(void *ctx, struct verdict v, const struct slots_share *shares, size_t n);
void store_slots(struct store *st, const struct slots_wish *wishes, size_t n, store_slots_fn done, void *ctx);

/* The accounts of all nodes, a row for each password. The store does not look into the lines. */
struct store_account {
	struct str name, device; /* device "": the main password */
	struct str line;         /* of the account file, without its end, in UTF-8; "": the row is to be removed */
};

/* All lines, behind "# login_key=" and the key that makes the salts of names which do not exist, in a file of memory (the
 * callback's to close; -1: none), and their version: a number that each change raises. 0: nobody has filled the table. Lines can
 * be newer than the version, never older. */
typedef void (*store_accounts_fn)(void *ctx, struct verdict v, uint64_t version, int fd);
void store_accounts(struct store *st, store_accounts_fn done, void *ctx);

/* Put and remove rows, if the accounts still have this version. The callback gets OK and the version from now on (of another
 * change, where this one was made before and its answer was lost); store_is_behind() and the version which they have instead:
 * nothing is changed; or TEMP: it is not known whether anything is. */
static inline bool store_is_behind(struct verdict v)
{
	return v.class == TEMP && str_eq(v.enhanced, S("4.3.2"));
}
void store_accounts_commit(struct store *st, uint64_t version, const struct store_account *rows, size_t n, store_count_fn done,
			   void *ctx);

#endif
