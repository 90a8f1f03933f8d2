/* cluster.h - the nodes of a database, for what must not be done while they work. */
#ifndef STORE_TRANSFER_CLUSTER_H
#define STORE_TRANSFER_CLUSTER_H

#include "base.h"

/* Has every node stopped? `drained`: one that is drained can run. A node that was killed is waited for: until its beat has not
 * moved for node_timeout. */
struct verdict cluster_stopped(struct side *s, const struct store_database *d, bool drained, struct arena *a);

/* No node starts on the database from now on, and one that runs is no member any more. */
bool cluster_seal(struct side *s, struct str directory);

#endif
