#include "lane_name.h"

#define SHARDS 64

static const struct siphash_key lane_names = { 0x706f7374686f7573, 0x65206c616e657331 };

uint64_t lane_number(struct arena *a, struct str domain, const struct lane_key *key)
{
	struct str name = arena_printf(a, "%.*s\n%.*s\n%u\n%.*s\n%u", STR_ARG(domain), STR_ARG(key->login), key->priority,
				       STR_ARG(key->via), (unsigned)key->wish);
	uint64_t number = siphash(&lane_names, name) & INT64_MAX;

	return number ? number : 1;
}

uint64_t lane_shard(struct str domain)
{
	return siphash(&lane_names, domain) % SHARDS;
}
