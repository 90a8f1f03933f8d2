#include "stored.h"
#include "remove_tree.h"

#include <ftw.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

static char dir[256]; /* "": none */
static sqlite3 *reader;
static struct arena kept;

/* ---- a directory: in memory where that is possible, so that a sync costs nothing ---- */

/* The store refuses a tmpfs, on which mail is not safe. This mail need not be. */
atomic_bool store_on_tmpfs;
int __real_fstatfs64(int fd, struct statfs *fs);
int __wrap_fstatfs64(int fd, struct statfs *fs);
int __wrap_fstatfs64(int fd, struct statfs *fs)
{
	int rc = __real_fstatfs64(fd, fs);

	fs->f_type = store_on_tmpfs ? TMPFS_MAGIC : 0;
	return rc;
}

static void make_directory(void)
{
	const char *places[] = { "/dev/shm", getenv("TMPDIR"), "/tmp" };

	for (size_t i = 0; i < sizeof places / sizeof *places && !dir[0]; i++) {
		(void)snprintf(dir, sizeof dir, "%s/queue-test.XXXXXX", places[i] ? places[i] : ".");
		if (!mkdtemp(dir))
			dir[0] = 0;
	}
	assert_true(dir[0]);
}

/* ---- the engine ---- */

static atomic_uint runs[REQUESTS_OF_ENGINE], refusals[REQUESTS_OF_ENGINE];
atomic_bool store_remembers;
static atomic_int held_kind = -1; /* none */
static atomic_uint overs;
static _Atomic uint64_t shared_state; /* 0: SQLite tells none */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t go_on = PTHREAD_COND_INITIALIZER;

/* As an engine does that several nodes share. */
static void tell_shared_state(struct request *r)
{
	size_t n = r->kind == REQUEST_ACCEPT ? r->in.accepted->charges_n : r->max;
	uint64_t *states = ARENA_ARRAY(&r->arena, uint64_t, n + 1);

	for (size_t i = 0; i < n; i++)
		states[i] = shared_state;
	r->out.rows = states;
}

static void run_watched(struct engine *e, struct request *r)
{
	atomic_fetch_add(&runs[r->kind], 1);
	if (r->kind == REQUEST_ACCEPT)
		store_remembers = r->in.accepted->remember;
	pthread_mutex_lock(&lock);
	while (held_kind == (int)r->kind)
		pthread_cond_wait(&go_on, &lock);
	pthread_mutex_unlock(&lock);
	if (refusals[r->kind] > 0) {
		atomic_fetch_sub(&refusals[r->kind], 1);
		r->verdict = store_away;
		return;
	}
	if (r->kind == REQUEST_ACCEPT && overs > 0) {
		atomic_fetch_sub(&overs, 1);
		r->verdict = store_over;
	} else if (store_has_nodes && r->kind == REQUEST_NODES) {
		stored_run_nodes(e, r);
	} else if (store_has_nodes && r->kind == REQUEST_NODE_ORDER) {
		stored_run_order(e, r);
	} else if (store_has_nodes && r->kind == REQUEST_ACCOUNTS) {
		stored_run_accounts(e, r);
	} else if (store_has_nodes && r->kind == REQUEST_ACCOUNTS_COMMIT) {
		stored_run_accounts_commit(e, r);
	} else if (store_has_nodes && r->kind == REQUEST_SLOTS) {
		stored_run_slots(e, r);
	} else {
		store_engine_sqlite.run[r->kind](e, r);
		if (store_has_nodes)
			stored_number_takes(r);
	}
	if (shared_state > 0 && (r->kind == REQUEST_ACCEPT || r->kind == REQUEST_BUCKET_PUT))
		tell_shared_state(r);
}

/* As on a disk without room. */
atomic_bool store_without_room;

static struct engine *open_watched(struct engine_host *host, struct arena *a, struct verdict *why_out)
{
	if (!store_without_room)
		return store_engine_sqlite.open(host, a, why_out);
	*why_out = store_full;
	return NULL;
}

unsigned store_runs(enum request_kind kind)
{
	return runs[kind];
}

unsigned store_leases(void)
{
	return runs[REQUEST_LEASE] + runs[REQUEST_LEASE_SIBLINGS];
}

void store_refuse(enum request_kind kind, unsigned n)
{
	refusals[kind] = n;
}

void store_share(uint64_t state_us, unsigned n)
{
	shared_state = state_us;
	overs = n;
}

void store_hold(enum request_kind kind)
{
	held_kind = (int)kind;
}

void store_go_on(void)
{
	pthread_mutex_lock(&lock);
	held_kind = -1;
	pthread_cond_broadcast(&go_on);
	pthread_mutex_unlock(&lock);
}

/* ---- for the harness ---- */

void test_store_begin(struct config *c)
{
	static struct store_engine watched;

	watched = store_engine_sqlite;
	for (size_t i = 0; i < REQUESTS_OF_ENGINE; i++) {
		watched.run[i] = run_watched;
		runs[i] = 0;
	}
	watched.open = open_watched;
	if (store_has_nodes)
		watched.node = stored_tell_node;
	c->store.engine = store_has_nodes ? ENGINE_POSTGRESQL : ENGINE_SQLITE;
	queue_use_engine(&watched, c->store.engine);
	if (!dir[0])
		make_directory();
	c->state_dir = str_of(dir);
	c->queue.min_free = 1;
	c->queue.max_messages = 1000000;
}

void test_store_end(bool forget)
{
	(void)sqlite3_close(reader);
	reader = NULL;
	if (!forget)
		return;
	memset(refusals, 0, sizeof refusals);
	store_share(0, 0);
	(void)remove_tree(dir);
	dir[0] = 0;
	arena_fini(&kept);
}

/* ---- reading ---- */

static sqlite3 *open_database(int flags)
{
	char path[300];
	sqlite3 *db;

	(void)snprintf(path, sizeof path, "%s/queue.db", dir);
	assert_int_equal(sqlite3_open_v2(path, &db, flags, NULL), SQLITE_OK);
	(void)sqlite3_busy_timeout(db, 5000);
	return db;
}

void store_sql(const char *sql)
{
	sqlite3 *db = open_database(SQLITE_OPEN_READWRITE);

	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

struct harness *harness_again_with_gates(struct harness *h, uint64_t now, const struct gate_state *gates, size_t n)
{
	harness_stop(h, 50);
	UNTIL(h, harness_stopped(h));
	for (size_t i = 0; i < n; i++)
		store_sql(arena_cstr(&kept,
				     arena_printf(&kept,
						  "INSERT INTO gate(name,down_until,failures,last_ok_at,pause,reason)"
						  " VALUES('%.*s',%llu,%llu,%llu,%llu,'%.*s')",
						  STR_ARG(gates[i].name), (unsigned long long)gates[i].down_until,
						  (unsigned long long)gates[i].failures, (unsigned long long)gates[i].last_ok_at,
						  (unsigned long long)gates[i].pause_ms, STR_ARG(gates[i].reason))));
	return harness_again(h, now);
}

/* ---- the files of large messages ---- */

static size_t files;
static bool losing;

static int meet_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	if (type != FTW_F || !strstr(path, "/large/"))
		return 0;
	files++;
	return losing ? remove(path) : 0;
}

size_t store_files(void)
{
	files = 0;
	assert_int_equal(nftw(dir, meet_file, 8, FTW_PHYS), 0);
	return files;
}

void store_lose_files(void)
{
	losing = true;
	assert_true(store_files() > 0);
	losing = false;
}

/* The first row; NULL: there is none. */
static sqlite3_stmt *first_row(const char *sql, uint64_t id, uint64_t n, const char *key, const char *rule)
{
	sqlite3_stmt *q;

	if (!reader)
		reader = open_database(SQLITE_OPEN_READONLY);
	if (sqlite3_prepare_v2(reader, sql, -1, &q, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(reader));
	(void)sqlite3_bind_int64(q, 1, (sqlite3_int64)id); /* those that the query has */
	(void)sqlite3_bind_int64(q, 2, (sqlite3_int64)n);
	(void)sqlite3_bind_text(q, 3, key, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(q, 4, rule, -1, SQLITE_STATIC);
	if (sqlite3_step(q) == SQLITE_ROW)
		return q;
	(void)sqlite3_finalize(q);
	return NULL;
}

static uint64_t number(sqlite3_stmt *q, int column)
{
	return (uint64_t)sqlite3_column_int64(q, column);
}

static struct str text(sqlite3_stmt *q, int column)
{
	const void *p = sqlite3_column_blob(q, column);

	return p ? arena_str(&kept, str_make(p, (size_t)sqlite3_column_bytes(q, column))) : S("");
}

const struct stored_recipient *recipient(uint64_t id, uint64_t n)
{
	struct stored_recipient *r = ARENA_NEW(&kept, struct stored_recipient);
	sqlite3_stmt *q =
		first_row("SELECT address,orcpt,notify,state,reported&8,due_at,attempts,deaths,last_at,class,code,enhanced,"
			  "reply,remote,route,(SELECT lines FROM transcript t WHERE t.message=r.message AND t.n=r.n)"
			  " FROM recipient r WHERE message=?1 AND n=?2",
			  id, n, NULL, NULL);

	assert_non_null(q);
	*r = (struct stored_recipient){ .address = text(q, 0),
					.orcpt = text(q, 1),
					.notify = (unsigned)number(q, 2),
					.state = (enum recipient_state)number(q, 3),
					.report_success = number(q, 4) != 0,
					.due_at = number(q, 5),
					.attempts = number(q, 6),
					.deaths = number(q, 7),
					.last_at = number(q, 8),
					.verdict = { .class = (enum verdict_class)number(q, 9),
						     .code = (unsigned)number(q, 10),
						     .enhanced = text(q, 11),
						     .text = text(q, 12) },
					.remote = text(q, 13),
					.route = text(q, 14),
					.transcript = text(q, 15) };
	(void)sqlite3_finalize(q);
	return r;
}

const struct accepted *stored(uint64_t id)
{
	struct accepted *m = ARENA_NEW(&kept, struct accepted);
	sqlite3_stmt *q = first_row(
		"SELECT token,kind,parent,received_at,expires_at,warn_at,release_at,login,device,origin,sender,envid,ret,"
		"priority,sign_domain,size,header_size,place,recipients,held,prefix,"
		"(SELECT bytes FROM text t WHERE t.id=m.id),body,deliver_by,deliver_by_mode FROM message m WHERE id=?1",
		id, 0, NULL, NULL);

	if (!q)
		return NULL;
	*m = (struct accepted){ .id = id,
				.token = number(q, 0),
				.kind = (enum message_kind)number(q, 1),
				.parent = number(q, 2),
				.received_at = number(q, 3),
				.expires_at = number(q, 4),
				.warn_at = number(q, 5),
				.envelope = { .release_at = number(q, 6),
					      .login = text(q, 7),
					      .sender = text(q, 10),
					      .envid = text(q, 11),
					      .ret = (unsigned)number(q, 12),
					      .priority = (unsigned)(sqlite3_column_int(q, 13) + PRIORITY_NORMAL),
					      .sign_domain = text(q, 14),
					      .body = (unsigned)number(q, 22),
					      .deliver_by = number(q, 23),
					      .deliver_by_mode = (unsigned)number(q, 24) },
				.device = text(q, 8),
				.origin = text(q, 9),
				.size = number(q, 15),
				.header_size = number(q, 16),
				.place = (enum message_place)number(q, 17),
				.recipients_n = number(q, 18),
				.held = text(q, 19),
				.prefix = text(q, 20),
				.text = text(q, 21) };
	(void)sqlite3_finalize(q);
	return m;
}

uint64_t stored_number(const char *sql)
{
	sqlite3_stmt *q = first_row(sql, 0, 0, NULL, NULL);
	uint64_t value = q ? number(q, 0) : 0;

	(void)sqlite3_finalize(q);
	return value;
}

size_t stored_messages(void)
{
	return stored_number("SELECT count(*) FROM message");
}

size_t stored_notices(const char *to, const char *part)
{
	sqlite3_stmt *q = first_row("SELECT count(*) FROM message m JOIN recipient r ON r.message=m.id"
				    " JOIN text t ON t.id=m.id"
				    " WHERE ?1=0 AND ?2=0 AND m.kind=4 AND (?3 IS NULL OR r.address=?3)"
				    " AND instr(CAST(t.bytes AS TEXT),?4)>0",
				    0, 0, to, part);
	size_t n = number(q, 0);

	(void)sqlite3_finalize(q);
	return n;
}

bool stored_event(uint64_t id, const char *name, const char *part)
{
	sqlite3_stmt *q =
		first_row("SELECT 1 FROM event WHERE message=?1 AND ?2=0 AND name=?3 AND instr(fields,?4)>0", id, 0, name, part);

	(void)sqlite3_finalize(q);
	return q != NULL;
}

const struct gate_state *stored_gate(const char *name)
{
	struct gate_state *g = ARENA_NEW(&kept, struct gate_state);
	sqlite3_stmt *q =
		first_row("SELECT down_until,failures,last_ok_at,pause,reason FROM gate WHERE name=?3", 0, 0, name, NULL);

	if (!q)
		return NULL;
	*g = (struct gate_state){ .name = str_of(name),
				  .down_until = number(q, 0),
				  .failures = number(q, 1),
				  .last_ok_at = number(q, 2),
				  .pause_ms = number(q, 3),
				  .reason = text(q, 4) };
	(void)sqlite3_finalize(q);
	return g;
}

const struct bucket_row *stored_bucket(const char *key, const char *rule)
{
	struct bucket_row *b = ARENA_NEW(&kept, struct bucket_row);
	sqlite3_stmt *q = first_row("SELECT tat_us,warned_at FROM bucket WHERE key=?3 AND rule=?4", 0, 0, key, rule);

	if (!q)
		return NULL;
	*b = (struct bucket_row){ .key = str_of(key), .rule = str_of(rule), .tat_us = number(q, 0), .warned_at = number(q, 1) };
	(void)sqlite3_finalize(q);
	return b;
}

uint64_t stored_tat(const char *key, const char *rule)
{
	const struct bucket_row *b = stored_bucket(key, rule);

	return b ? b->tat_us : 0;
}

const struct ban_row *stored_ban(const char *key)
{
	struct ban_row *b = ARENA_NEW(&kept, struct ban_row);
	sqlite3_stmt *q = first_row("SELECT level,until,reason,length FROM ban WHERE key=?3", 0, 0, key, NULL);

	if (!q)
		return NULL;
	*b = (struct ban_row){
		.key = str_of(key), .level = number(q, 0), .until = number(q, 1), .reason = text(q, 2), .length_ms = number(q, 3)
	};
	(void)sqlite3_finalize(q);
	return b;
}
