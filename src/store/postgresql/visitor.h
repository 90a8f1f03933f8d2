/* visitor.h - the database for a program that is no node of it. */
#ifndef POSTGRESQL_VISITOR_H
#define POSTGRESQL_VISITOR_H

#include "db.h"

#include "posthouse/store.h"

/* Connect as a node does. TEMP: the database is away; PERM: only the administrator can help. `db` is to be closed also then. */
struct verdict visitor_open(struct db *db, const struct store_database *d, struct arena *a);
/* The same; `target` says what else is wanted. */
struct verdict visitor_open_as(struct db *db, const struct store_database *d, struct db_target target, struct arena *a);

/* What commits wait for, as far as an ordinary role can see it; in `a`. */
struct visitor_standbys {
	struct str names;     /* synchronous_standby_names; "": no commit waits */
	struct str connected; /* their own names */
	uint64_t connected_n;
	struct str fault; /* why no commit ends: not enough of them are connected; "": nothing is known that is in the way */
};
void visitor_standbys(struct db *db, struct arena *a, struct visitor_standbys *out);

/* For who is going to write: would a commit end? TEMP: it waits for a standby that is not connected. */
struct verdict visitor_can_commit(struct db *db, struct arena *a);

/* Has every node stopped? `drained`: one that is drained can run. A node that was killed is waited for: until its beat has not
 * moved for node_timeout. TEMP: no. Outside a transaction. */
struct verdict visitor_stopped(struct db *db, const struct store_database *d, bool drained, struct arena *a);

/* Within a transaction: every node is out of its epoch, and what it still has is not stored. A node that claims from now on waits
 * for the end of the transaction, and then sees what it has changed in meta. False after an error. */
bool visitor_end_epochs(struct db *db);

/* The error of `db` as a verdict; OK when there is none. */
struct verdict visitor_verdict(const struct db *db, struct arena *a);

#endif
