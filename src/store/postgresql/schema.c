/* schema.c - the tables in the database, and the partitions of days. */
#include "schema.h"
#include "schema_script.h"

#include "posthouse/id.h"
#include "posthouse/units.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SCHEMA_LOCK    0x706f737468757365 /* "posthuse": nodes that change tables do so one after another */
#define DAYS_AHEAD     7
#define FIRST_DAY      10957 /* 1 January 2000; earlier ids, which only tests have, share one partition */
#define TIME_LIMIT_MS  (1ull << 42)
#define BOUND_TEXT_MAX 24
#define DAY_TEXT_MAX   16

#define COUNT_FIELD(type, name, stored, seen, most) +1
static_assert(0 ENVELOPE_FIELDS(COUNT_FIELD) == ENVELOPE_PLACES_COUNT, "ENVELOPE_PLACES has a place for each field");

/* ---- the connection ---- */

/* Every statement follows an index from where its parameters say, and is planned once, whatever the tables hold at that moment:
 * planning for each day's partition again took longer than the statement. */
bool schema_session(struct db *db)
{
	return db_exists(db, db_query(db, Q_schema_session));
}

/* ---- the tables ---- */

bool schema_meta(struct db *db, struct str key, struct arena *a, struct str *value_out)
{
	struct db_rows *q = db_query(db, Q_schema_meta, TEXT(key));

	if (!db_row(db, q))
		return false;
	*value_out = db_keep(a, q, 0);
	db_end(q);
	return true;
}

bool schema_lock(struct db *db)
{
	return db_run(db, Q_schema_lock, INT(SCHEMA_LOCK));
}

/* End the transaction one way or the other; an error stays. */
static bool finish(struct db *db, bool done)
{
	if (done && db_commit(db))
		return true;
	db_rollback(db);
	return false;
}

/* Make all tables, unless another node has done so since we looked. */
static bool create(struct db *db)
{
	bool done = db_begin(db) && schema_lock(db);

	if (done && db_exists(db, db_query(db, Q_schema_exists)))
		return finish(db, true);
	for (size_t i = 0; i < sizeof schema_script / sizeof *schema_script; i++)
		done = done && db_script(db, schema_script[i]);
	return finish(db, done);
}

static struct verdict failed(struct db *db, struct arena *a, const char *what)
{
	return temp(
		451, S("4.3.0"),
		arena_printf(a, "%s: %s; the database is to be of Posthouse alone, and to belong to its role", what, db->error));
}

struct verdict schema_open(struct db *db, struct arena *a)
{
	if (db_exists(db, db_query(db, Q_schema_exists)) || (db_error(db) == DB_WELL && create(db)))
		return ok();
	return failed(db, a, "the tables cannot be made");
}

/* ---- days: of ids, in UTC; 0: all before 2000 ---- */

static uint64_t day_of_time(uint64_t ms)
{
	return ms / DAY_MS < FIRST_DAY ? 0 : ms / DAY_MS;
}

/* Its name in the names of partitions: names sort as the days do. */
static struct str day_name(uint64_t day, char text[DAY_TEXT_MAX])
{
	time_t seconds = (time_t)((day ? day : FIRST_DAY - 1) * (DAY_MS / 1000));
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || strftime(text, DAY_TEXT_MAX, "%Y%m%d", &tm) == 0)
		abort();
	return str_of(text);
}

static uint64_t day_of_name(struct str name)
{
	uint64_t number;
	struct tm tm = { 0 };

	if (!str_to_u64(name, &number) || number >= 100000000)
		return 0;
	tm.tm_year = (int)(number / 10000) - 1900;
	tm.tm_mon = (int)(number / 100 % 100) - 1;
	tm.tm_mday = (int)(number % 100);
	return day_of_time((uint64_t)timegm(&tm) * 1000);
}

/* The lowest id of the day, and the lowest one after it. */
static uint64_t first_id(uint64_t day)
{
	return day ? id_first_of(day * DAY_MS) : 0;
}

static uint64_t end_id(uint64_t day)
{
	uint64_t end_ms = (day ? day + 1 : FIRST_DAY) * DAY_MS;

	return end_ms < TIME_LIMIT_MS ? id_first_of(end_ms) : INT64_MAX;
}

/* ---- partitions ---- */

static bool is_known(const struct schema_days *days, uint64_t day)
{
	for (size_t i = 0; i < days->n && i < sizeof days->at / sizeof *days->at; i++)
		if (days->at[i] == day)
			return true;
	return false;
}

static void note_known(struct schema_days *days, uint64_t day)
{
	days->at[days->n++ % (sizeof days->at / sizeof *days->at)] = day;
}

/* Make one partition: a table of its own, which is then attached. Attaching does not wait for those who read or write other
 * partitions, nor they for it. */
static bool add_partition(struct db *db, struct arena *a, const char *table, const char *settings, uint64_t day)
{
	char name[DAY_TEXT_MAX], from[BOUND_TEXT_MAX] = "MINVALUE", to[BOUND_TEXT_MAX] = "MAXVALUE";
	struct str made, attached;

	day_name(day, name);
	if (day)
		(void)snprintf(from, sizeof from, "%llu", (unsigned long long)first_id(day));
	if (end_id(day) < INT64_MAX)
		(void)snprintf(to, sizeof to, "%llu", (unsigned long long)end_id(day));
	made = arena_printf(a, "CREATE TABLE %s_%s (LIKE %s INCLUDING ALL) WITH(%s)", table, name, table, settings);
	attached = arena_printf(a, "ALTER TABLE %s ATTACH PARTITION %s_%s FOR VALUES FROM (%s) TO (%s)", table, table, name, from,
				to);
	return db_script(db, arena_cstr(a, made)) && db_script(db, arena_cstr(a, attached));
}

/* Which tables lack a partition of the day? Places in `partitioned`. */
static size_t read_missing(struct db *db, uint64_t day, size_t missing[])
{
	char name[DAY_TEXT_MAX];
	struct db_rows *q = db_query(db, Q_partition_missing, TEXT(day_name(day, name)));
	size_t n = 0;

	while (db_row(db, q) && n < sizeof partitioned / sizeof *partitioned)
		missing[n++] = (size_t)db_u64(q, 0);
	db_end(q);
	return n;
}

/* Make those that are missing, unless another node has done so since we looked. */
static bool add_partitions(struct db *db, uint64_t day)
{
	size_t missing[sizeof partitioned / sizeof *partitioned], n;
	struct arena a = { 0 };
	bool done = schema_lock(db);

	n = done ? read_missing(db, day, missing) : 0;
	for (size_t i = 0; i < n; i++)
		done = done && add_partition(db, &a, partitioned[missing[i]].name, partitioned[missing[i]].settings, day);
	arena_fini(&a);
	return done;
}

bool schema_partition(struct db *db, struct schema_days *days, uint64_t id)
{
	uint64_t day = day_of_time(id_time_ms(id));
	size_t missing[sizeof partitioned / sizeof *partitioned];

	if (is_known(days, day) || id > INT64_MAX) /* the accept refuses such an id */
		return true;
	if (read_missing(db, day, missing) == 0) {
		if (db_error(db) != DB_WELL)
			return false;
		note_known(days, day);
		return true;
	}
	/* The day is noted when it is asked for again: until the commit it can still be undone. */
	if (db->in_transaction)
		return add_partitions(db, day);
	return finish(db, db_begin(db) && add_partitions(db, day));
}

bool schema_partitions_ahead(struct db *db, struct schema_days *days, uint64_t now_ms)
{
	bool done = true;

	for (uint64_t i = 0; i <= DAYS_AHEAD && done; i++)
		done = schema_partition(db, days, id_first_of(now_ms + i * DAY_MS));
	return done;
}

/* ---- dropping ---- */

/* Is a message of the day open, or was finished too late for the day to go? Without a lock, since it can take a while. */
static bool is_in_use(struct db *db, uint64_t day, uint64_t before_ms)
{
	return db_exists(db, db_query(db, Q_open_between, INT(first_id(day)), INT(end_id(day)))) ||
	       db_exists(db, db_query(db, Q_finished_between, INT(first_id(day)), INT(end_id(day)), INT(before_ms)));
}

/* Drop one partition. *open_out: it stays, since a message in it is open again. A transaction for each of them: one that waited
 * for a second table while it has locked the first could wait for somebody who waits for the first. */
static bool drop_partition(struct db *db, struct arena *a, size_t table, uint64_t day, bool *open_out)
{
	char name[DAY_TEXT_MAX];
	struct str locked = arena_printf(a, "LOCK TABLE %s IN ACCESS EXCLUSIVE MODE", partitioned[table].name);
	struct str dropped = arena_printf(a, "DROP TABLE %s_%.*s", partitioned[table].name, STR_ARG(day_name(day, name)));
	bool done = db_begin(db) && db_script(db, "SET LOCAL lock_timeout='200ms'") && db_script(db, arena_cstr(a, locked));

	if (done && table == 0)
		*open_out = db_exists(db, db_query(db, Q_open_between, INT(first_id(day)), INT(end_id(day))));
	if (done && !*open_out)
		done = db_script(db, arena_cstr(a, dropped));
	return finish(db, done);
}

struct old_partition {
	uint64_t day;
	size_t table;
};

static size_t read_old(struct db *db, struct arena *a, uint64_t before_ms, struct old_partition **old_out)
{
	char name[DAY_TEXT_MAX];
	struct db_rows *q = db_query(db, Q_partitions_before, TEXT(day_name(day_of_time(before_ms), name)));
	struct old_partition *old = NULL;
	size_t n = 0, capacity = 0;

	while (db_row(db, q)) {
		ARENA_GROW(a, old, n, capacity);
		old[n++] = (struct old_partition){ day_of_name(db_str(q, 0)), (size_t)db_u64(q, 1) };
	}
	*old_out = old;
	return n;
}

bool schema_drop_before(struct db *db, struct schema_days *days, uint64_t before_ms)
{
	struct arena a = { 0 };
	struct old_partition *old;
	size_t n = read_old(db, &a, before_ms, &old);
	bool done = db_error(db) == DB_WELL, open = false;

	for (size_t i = 0; i < n && done; i++) {
		if (i == 0 || old[i].day != old[i - 1].day)
			open = is_in_use(db, old[i].day, before_ms);
		if (!open)
			done = drop_partition(db, &a, old[i].table, old[i].day, &open);
	}
	if (n > 0)
		*days = (struct schema_days){ 0 };
	arena_fini(&a);
	if (done || db_error(db) != DB_PRIVATE)
		return done;
	db_forget_error(db); /* somebody uses the table: another time */
	return true;
}
