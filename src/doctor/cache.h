/* cache.h - what is not asked of strangers again so soon: the answers of block lists, and of mail servers that were greeted; and
 * since when a thing is as it is.
 * A file in state_dir/doctor, one JSON document in a line. What cannot be read there, or not be written, is as if it were not
 * there. */
#ifndef POSTHOUSE_DOCTOR_CACHE_H
#define POSTHOUSE_DOCTOR_CACHE_H

#include "doctor.h"

#include <jansson.h>
#include <sys/types.h>

struct cache;
/* `uid` and `gid`: whose file it is. NULL is never returned. */
struct cache *cache_open(struct arena *a, struct str state_dir, uid_t uid, gid_t gid, uint64_t now);
/* What was kept under this key within the last `ms`; NULL: nothing. Good until cache_close(). */
json_t *cache_find(struct cache *c, struct str key, uint64_t ms);
void cache_keep(struct cache *c, struct str key, json_t *value); /* takes value */
/* `what` was found under this key now: since when (ms UTC) was nothing else? */
uint64_t cache_since(struct cache *c, struct str key, struct str what);
/* Writes the file when something new was kept. */
void cache_close(struct cache *c);

json_t *cache_from_dns(const struct fact_dns *f);
bool cache_to_dns(struct arena *a, json_t *j, struct fact_dns *f_out);
json_t *cache_from_probe(const struct fact_probe *f);
bool cache_to_probe(struct arena *a, json_t *j, struct fact_probe *f_out);

#endif
