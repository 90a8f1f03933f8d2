/* slot_rule.h - how nodes divide the connections of a next hop: what one node does with the rows of all, without a database.
 *
 * A node takes what is free. When others wait, it keeps its fair part (as much as others have, but what these do not want is
 * divided too; the rest to those with the lowest numbers) and hands the surplus to the one with the least, of these to the one
 * that waits longest. What its relay uses it never gives. Where there is not one for each, a node that has had its turn gives all
 * to one that has none. */
#ifndef POSTGRESQL_SLOT_RULE_H
#define POSTGRESQL_SLOT_RULE_H

#include "posthouse/store_nodes.h"

struct slot_row {
	uint64_t node, n, wanted, turn; /* see schema_slots.h */
	bool changed;                   /* by this node, just now */
};

/* rows: of one gate, in the order of their nodes, among them `own`. The wish is that of `own`, and its rows are changed so. */
struct slots_share slots_divide(struct slot_row *rows, size_t n, struct slot_row *own, const struct slots_wish *wish);

#endif
