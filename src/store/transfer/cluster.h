/* cluster.h - the nodes of a database, for what must not be done while they work. */
#ifndef STORE_TRANSFER_CLUSTER_H
#define STORE_TRANSFER_CLUSTER_H

#include "base.h"

/* No node starts on the database from now on, and one that runs is no member any more. */
bool cluster_seal(struct side *s, struct str directory);

#endif
