/* cache.c */
#include "cache.h"

#include "posthouse/base64.h"
#include "posthouse/clock.h"
#include "posthouse/directory.h"
#include "posthouse/file.h"
#include "posthouse/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "doctor.cache"
#define KEEP_MS   (2 * DAY_MS) /* answers are of no use for longer */
#define SINCE     "since "     /* keys of what cache_since() keeps */
#define SINCE_MS  (100 * DAY_MS)
#define BYTES_MAX (4 * MIB)

struct cache {
	struct arena *arena;
	const char *path;
	uid_t uid;
	gid_t gid;
	uint64_t now;
	json_t *entries; /* key: { at, value } */
	bool changed;
};

static void read_entries(struct cache *c)
{
	int fd = directory_open_file_as(c->path, c->uid, c->gid);
	FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
	json_t *all = f ? json_loadf(f, JSON_REJECT_DUPLICATES, NULL) : NULL;
	const char *key;
	json_t *entry;

	json_object_foreach(all, key, entry)
	{
		uint64_t at = (uint64_t)json_integer_value(json_object_get(entry, "at"));

		if (at <= c->now && c->now - at < (str_starts(str_of(key), S(SINCE)) ? SINCE_MS : KEEP_MS))
			json_object_set(c->entries, key, entry);
	}
	json_decref(all);
	if (f)
		fclose(f);
	else if (fd >= 0)
		close(fd);
}

struct cache *cache_open(struct arena *a, struct str state_dir, uid_t uid, gid_t gid, uint64_t now)
{
	struct cache *c = ARENA_NEW(a, struct cache);

	struct str place = directory_of(a, state_dir, "doctor");
	struct stat st;

	*c = (struct cache){ .arena = a, .uid = uid, .gid = gid, .now = now, .entries = json_object() };
	c->path = arena_cstr(a, arena_printf(a, "%.*s/" FILE_NAME, STR_ARG(place)));
	if (!str_eq(place, state_dir) && stat(arena_cstr(a, place), &st) == 0) { /* as the user of the role doctor */
		c->uid = st.st_uid;
		c->gid = st.st_gid;
	}
	read_entries(c);
	return c;
}

json_t *cache_find(struct cache *c, struct str key, uint64_t ms)
{
	json_t *entry = json_object_get(c->entries, arena_cstr(c->arena, key));
	uint64_t at = (uint64_t)json_integer_value(json_object_get(entry, "at"));

	return entry && at <= c->now && c->now - at < ms ? json_object_get(entry, "value") : NULL;
}

void cache_keep(struct cache *c, struct str key, json_t *value)
{
	json_object_set_new(c->entries, arena_cstr(c->arena, key),
			    json_pack("{s:I, s:o}", "at", (json_int_t)c->now, "value", value));
	c->changed = true;
}

static json_t *text_json(struct str s)
{
	json_t *j = json_stringn(s.p ? s.p : "", s.n);

	return j ? j : json_string("?");
}

static struct str text_of(struct arena *a, json_t *object, const char *key)
{
	json_t *j = json_object_get(object, key);

	return json_is_string(j) ? arena_str(a, str_make(json_string_value(j), json_string_length(j))) : S("");
}

uint64_t cache_since(struct cache *c, struct str key, struct str what)
{
	struct str full = arena_printf(c->arena, SINCE "%.*s", STR_ARG(key));
	json_t *old = cache_find(c, full, SINCE_MS);
	uint64_t first = (uint64_t)json_integer_value(json_object_get(old, "first"));

	if (!old || first > c->now || !str_eq(text_of(c->arena, old, "what"), what))
		first = c->now;
	cache_keep(c, full, json_pack("{s:I, s:o}", "first", (json_int_t)first, "what", text_json(what)));
	return first;
}

/* In place: a reader of half a file finds no JSON, and goes without. */
void cache_close(struct cache *c)
{
	char *text = c->changed ? json_dumps(c->entries, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	size_t n = text ? strlen(text) : 0;
	int fd = text && n < BYTES_MAX ? directory_open_file_as(c->path, c->uid, c->gid) : -1;

	if (fd >= 0 && ftruncate(fd, 0) == 0 && !file_write(fd, str_make(text, n)))
		(void)!ftruncate(fd, 0);
	if (fd >= 0)
		close(fd);
	free(text);
	json_decref(c->entries);
	c->entries = NULL;
}

/* ---- values ---- */

static bool flag_of(json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

json_t *cache_from_dns(const struct fact_dns *f)
{
	json_t *records = json_array();

	for (size_t i = 0; i < f->n; i++)
		json_array_append_new(records, text_json(f->records[i].text));
	return json_pack("{s:i, s:o, s:o, s:o}", "state", (int)f->state, "texts", records, "why", text_json(f->why), "server",
			 text_json(f->server));
}

bool cache_to_dns(struct arena *a, json_t *j, struct fact_dns *f)
{
	json_t *texts = json_object_get(j, "texts");
	json_int_t state = json_integer_value(json_object_get(j, "state"));

	if (state <= FACT_PENDING || state > FACT_UNKNOWN || !json_is_array(texts))
		return false;
	*f = (struct fact_dns){ .why = text_of(a, j, "why"), .server = text_of(a, j, "server") };
	f->n = json_array_size(texts);
	f->records = ARENA_ARRAY(a, struct fact_record, f->n + 1);
	for (size_t i = 0; i < f->n; i++) {
		json_t *text = json_array_get(texts, i);

		f->records[i].text = arena_str(a, str_make(json_string_value(text), json_string_length(text)));
	}
	f->state = (enum fact_state)state;
	return true;
}

json_t *cache_from_probe(const struct fact_probe *f)
{
	return json_pack("{s:i, s:b, s:b, s:b, s:o, s:o, s:o}", "state", (int)f->state, "refused", (int)f->refused, "timed_out",
			 (int)f->timed_out, "unreachable", (int)f->unreachable, "why", text_json(f->why), "greeting",
			 text_json(f->greeting), "ehlo", text_json(f->ehlo));
}

bool cache_to_probe(struct arena *a, json_t *j, struct fact_probe *f)
{
	json_int_t state = json_integer_value(json_object_get(j, "state"));

	if (state != FACT_THERE && state != FACT_UNKNOWN)
		return false;
	*f = (struct fact_probe){ .why = text_of(a, j, "why"),
				  .greeting = text_of(a, j, "greeting"),
				  .ehlo = text_of(a, j, "ehlo"),
				  .refused = flag_of(j, "refused"),
				  .timed_out = flag_of(j, "timed_out"),
				  .unreachable = flag_of(j, "unreachable") };
	f->state = (enum fact_state)state;
	return true;
}
