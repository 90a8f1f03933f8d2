/* lane_name.h - the numbers of lanes: the same on each node, and for ever. */
#ifndef POSTGRESQL_LANE_NAME_H
#define POSTGRESQL_LANE_NAME_H

#include "rows.h"

/* Two lanes with the same number share a turn, no more: the way of a recipient is decided from the recipient itself. */
uint64_t lane_number(struct arena *a, struct str domain, const struct lane_key *key);
/* Which of the 64 shards it is in. */
uint64_t lane_shard(struct str domain);

#endif
