/* test_node.c - several nodes on one server. Their steps are made one by one, and boot time passes when a test says so; only the
 * last tests have threads. */
#include "../../../support/remove_tree.h"
#include "../../../support/unit.h"

#include "cluster.h"
#include "node.h"
#include "schema.h"

#include "posthouse/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMBERS_MAX 16
#define TIMEOUT     500
#define TICK        100
#define UNKNOWN     300000
#define RECIPIENT   1000 /* a message of 1970 */
#define LANE        77
#define NODE_NOW    "(extract(epoch FROM clock_timestamp())*1000)::int8"

const struct verdict store_away = { .class = TEMP, .code = 451, .enhanced = { "4.3.0", 5 }, .text = { "away", 4 } };

static uint64_t boot_ms;
static uint64_t fake_boottime(void)
{
	return boot_ms;
}

static uint64_t clock_off_ms;
static uint64_t wrong_clock(void)
{
	return clock_now_ms() + clock_off_ms;
}

/* ---- what is told ---- */

static uv_mutex_t notes_lock;
static char notes[8192];

void store_note(struct store *st, enum log_level level, const char *event, uint64_t id, const char *reason)
{
	size_t n;

	uv_mutex_lock(&notes_lock);
	n = strlen(notes);
	(void)snprintf(notes + n, sizeof notes - n, "%s %s\n", event, reason);
	uv_mutex_unlock(&notes_lock);
}

static size_t told(const char *event)
{
	size_t count = 0;

	for (const char *p = notes; (p = strstr(p, event)); p++)
		count++;
	return count;
}

/* ---- members ---- */

struct member {
	struct engine_host host;
	struct store_database database;
	struct node node;
	struct db db; /* the writer's */
	char directory[80];
};

struct fixture {
	char root[64], connection[256];
	struct member *members[MEMBERS_MAX];
	struct arena arena;
};

static const char *sql(struct fixture *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
static const char *sql(struct fixture *f, const char *format, ...)
{
	char text[1000];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return cluster_sql(f->connection, text);
}

static uint64_t number(struct fixture *f, const char *text)
{
	return strtoull(sql(f, "%s", text), NULL, 10);
}

/* A new process with its state_dir; its clock is the fake one. */
static struct member *member(struct fixture *f, unsigned i)
{
	struct member *m = NEW(struct member);

	(void)snprintf(m->directory, sizeof m->directory, "%s/%u", f->root, i);
	assert_true(mkdir(m->directory, 0700) == 0 || errno == EEXIST);
	m->database = (struct store_database){ .connection = str_of(f->connection), .node_timeout_ms = 20000 };
	m->host = (struct engine_host){ .state_dir = m->directory, .database = &m->database };
	node_init(&m->node, &m->host);
	m->node.boottime = fake_boottime;
	m->node.clock = wrong_clock;
	m->node.timing = (struct node_timing){ .beat = 50,
					       .timeout = TIMEOUT,
					       .margin = TICK,
					       .fresh = 2 * TICK,
					       .lock = 100,
					       .retry = 20,
					       .unknown = UNKNOWN,
					       .durability = 60000,
					       .id_ahead = 10000 };
	assert_true(db_open(&m->db, &(struct db_target){ .connection = f->connection, .application_name = "posthouse/0/0" }));
	assert_null(f->members[i]);
	f->members[i] = m;
	return m;
}

/* The process is gone, as after kill -9. */
static void end_member(struct fixture *f, unsigned i)
{
	struct member *m = f->members[i];

	node_stop(&m->node);
	db_close(&m->node.db);
	db_close(&m->db);
	node_fini(&m->node);
	free(m);
	f->members[i] = NULL;
}

static struct verdict claim(struct fixture *f, struct member *m)
{
	return node_claim(&m->node, &m->db, &f->arena);
}

/* A member that has claimed. */
static struct member *joined(struct fixture *f, unsigned i)
{
	struct member *m = member(f, i);
	struct verdict v = claim(f, m);

	if (v.class != OK)
		fail_msg("claim: %.*s", STR_ARG(v.text));
	return m;
}

static bool is_fenced(struct member *m)
{
	return db_exists(&m->db, db_query(&m->db, Q_node_fence, INT(node_number(&m->node)), INT(node_epoch(&m->node))));
}

/* Time passes, and these members make their steps, the last NULL. */
static void rounds(unsigned n, struct member *const *members)
{
	for (unsigned i = 0; i < n; i++) {
		boot_ms += TICK;
		for (struct member *const *m = members; *m; m++)
			assert_true(node_step(&(*m)->node));
	}
}
#define ROUNDS(n, ...) rounds((n), (struct member *const[]){ __VA_ARGS__, NULL })

static unsigned shards_n(struct member *m)
{
	return (unsigned)__builtin_popcountll(node_shards(&m->node));
}

/* A recipient in flight on the member, and its lane, which sleeps. */
static void take(struct fixture *f, struct member *m, unsigned n)
{
	(void)sql(f,
		  "INSERT INTO recipient(message,n,address,orcpt,notify,lane,state,attempts,deaths,reported,removing)"
		  " VALUES(%d,%u,'a@b','',0,%d,1,0,0,0,0)",
		  RECIPIENT, n, LANE);
	(void)sql(f, "INSERT INTO lane VALUES(%d,'b','l',0,'',0,9223372036854775807,1) ON CONFLICT DO NOTHING", LANE);
	(void)sql(f, "INSERT INTO taken VALUES(%d,%u,%d,nextval('take'),%u,%llu,1)", RECIPIENT, n, LANE, node_number(&m->node),
		  (unsigned long long)node_epoch(&m->node));
}

/* ---- set up ---- */

static int setup(void **state)
{
	struct fixture *f = NEW(struct fixture);
	struct db *db = NEW(struct db);
	struct schema_days days = { 0 };

	(void)snprintf(f->root, sizeof f->root, "/tmp/posthouse-node.XXXXXX");
	assert_non_null(mkdtemp(f->root));
	(void)snprintf(f->connection, sizeof f->connection, "%s", cluster_database("nodes"));
	assert_true(db_open(db, &(struct db_target){ .connection = f->connection, .application_name = "setup" }));
	assert_int_equal(schema_open(db, &f->arena).class, OK);
	assert_true(schema_partition(db, &days, RECIPIENT));
	db_close(db);
	free(db);
	notes[0] = 0;
	clock_off_ms = 0;
	boot_ms = 1000000;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < MEMBERS_MAX; i++)
		if (f->members[i])
			end_member(f, i);
	(void)remove_tree(f->root);
	arena_fini(&f->arena);
	free(f);
	return 0;
}

/* ---- claiming ---- */

static void claims_the_lowest_number(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = joined(f, 1);
	char path[100];
	struct stat s;

	assert_int_equal(node_number(&a->node), 1);
	assert_int_equal(node_epoch(&a->node), 1);
	assert_int_equal(node_number(&b->node), 2);
	assert_true(is_fenced(a));
	assert_string_equal(sql(f, "SELECT count(*) FROM pg_stat_activity WHERE application_name='posthouse/2/1'"), "1");
	(void)snprintf(path, sizeof path, "%s/node", a->directory);
	assert_int_equal(stat(path, &s), 0);
	assert_int_equal(s.st_mode & 0777, 0600);
	assert_int_equal(s.st_size, 37);
}

static void the_same_instance_has_what_it_had_due_at_once(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0);

	(void)joined(f, 1);
	take(f, a, 1);
	end_member(f, 0);
	a = joined(f, 0);
	assert_int_equal(node_number(&a->node), 1);
	assert_int_equal(node_epoch(&a->node), 2);
	assert_string_equal(sql(f, "SELECT count(*) FROM taken"), "0");
	assert_string_equal(sql(f, "SELECT count(*) FROM due WHERE due_at<=" NODE_NOW " AND take_no=1"), "1");
	assert_string_equal(sql(f, "SELECT attempts+deaths FROM recipient"), "0");
	assert_string_equal(sql(f, "SELECT next_at<=" NODE_NOW " FROM lane"), "t");
}

static void a_damaged_instance_is_refused(void **state)
{
	struct fixture *f = *state;
	struct member *a = member(f, 0);
	char path[100];
	FILE *file;

	(void)snprintf(path, sizeof path, "%s/node", a->directory);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs("c0ffee\n", file) >= 0 && fclose(file) == 0);
	assert_int_equal(claim(f, a).class, PERM);
	assert_string_equal(sql(f, "SELECT count(*) FROM node"), "0");
}

static void the_sixteenth_node_is_refused(void **state)
{
	struct fixture *f = *state;
	struct member *last;
	struct verdict v;

	for (unsigned i = 0; i < NODE_MAX; i++)
		assert_int_equal(node_number(&joined(f, i)->node), i + 1);
	last = member(f, NODE_MAX);
	v = claim(f, last);
	assert_int_equal(v.class, PERM);
	assert_true(str_search(v.text, S("posthouse node remove N")) < v.text.n);
	/* One of them dies and is removed. */
	(void)sql(f, "UPDATE node SET state='dead',epoch=epoch+1 WHERE number=7");
	assert_int_equal(node_order(&last->node, &last->db, &f->arena, NODE_REMOVE, 7).class, OK);
	assert_int_equal(claim(f, last).class, OK);
	assert_int_equal(node_number(&last->node), 7);
	assert_int_equal(node_epoch(&last->node), 4);
	assert_false(is_fenced(f->members[6]));
}

static void another_schema_is_refused_with_the_names_of_the_nodes(void **state)
{
	struct fixture *f = *state;
	struct member *a, *b = joined(f, 0);
	struct verdict v;

	(void)sql(f, "UPDATE meta SET value='3' WHERE key='schema_version'");
	assert_int_equal(claim(f, b).class, OK); /* 1 is content with what is compatible from 1 */
	(void)sql(f, "UPDATE meta SET value='2' WHERE key='compatible_from'");
	(void)sql(f, "UPDATE node SET host='alpha',schema=3");
	a = member(f, 1);
	v = claim(f, a);
	assert_int_equal(v.class, PERM);
	assert_true(str_search(v.text, S("1 (alpha, schema 3)")) < v.text.n);
	assert_true(str_search(v.text, S("newer version")) < v.text.n);
	a->node.schema = 4;
	v = claim(f, a);
	assert_int_equal(v.class, PERM);
	assert_true(str_search(v.text, S("store migrate")) < v.text.n);
}

/* ---- living ---- */

static void a_beat_moves_the_horizon_and_the_floor_of_ids(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0);
	uint64_t horizon = node_horizon(&a->node);

	assert_int_equal(horizon, boot_ms + TIMEOUT - TICK);
	ROUNDS(1, a);
	assert_int_equal(node_horizon(&a->node), boot_ms + TIMEOUT - TICK);
	assert_int_equal(node_state(&a->node), NODE_UP);
	assert_true(node_may_take(&a->node));
	assert_true(number(f, "SELECT id_floor FROM node") > number(f, "SELECT " NODE_NOW));
	assert_true(node_clock_ahead(&a->node) < 2000 && node_clock_ahead(&a->node) > -2000);
	boot_ms += TIMEOUT - TICK;
	assert_false(node_may_take(&a->node));
	end_member(f, 0);
	a = joined(f, 0);
	assert_true(node_id_floor(&a->node) > number(f, "SELECT " NODE_NOW));
}

static void the_horizon_stays_while_the_server_is_away(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0);
	uint64_t horizon;

	ROUNDS(1, a);
	horizon = node_horizon(&a->node);
	cluster_stop();
	boot_ms += TICK;
	assert_false(node_step(&a->node));
	assert_false(node_step(&a->node));
	assert_int_equal(node_state(&a->node), NODE_AWAY);
	assert_int_equal(node_horizon(&a->node), horizon);
	(void)cluster_start();
	ROUNDS(1, a);
	assert_int_equal(node_state(&a->node), NODE_UP);
	assert_int_equal(node_horizon(&a->node), boot_ms + TIMEOUT - TICK);
	assert_false(node_is_lost(&a->node));
}

static void the_others_are_known(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = joined(f, 1);
	struct node_row others[NODE_MAX];
	struct node_counters count;

	(void)sql(f, "INSERT INTO counter VALUES(1,100,100,100,100,0,0),(2,5,4,3,2,0,0),(3,-1,-1,0,0,0,0)");
	(void)sql(f, "UPDATE node SET host='beta',config_hash='abc' WHERE number=2");
	ROUNDS(1, a);
	ROUNDS(1, a);
	assert_int_equal(node_others(&a->node, others, &count), 1);
	assert_int_equal(others[0].number, node_number(&b->node));
	assert_int_equal(others[0].state, NODE_UP);
	assert_string_equal(others[0].host, "beta");
	assert_string_equal(others[0].config_hash, "abc");
	assert_int_equal(others[0].seen_at, boot_ms - TICK);
	assert_int_equal(count.open_messages, 4);
	assert_int_equal(count.waiting, 3);
	assert_int_equal(count.held, 3);
	assert_int_equal(count.failed, 2);
	ROUNDS(1, b, a);
	(void)node_others(&a->node, others, &count);
	assert_int_equal(others[0].seen_at, boot_ms);
}

static void a_wrong_clock_is_told_and_one_that_is_very_wrong_drains(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = joined(f, 1);

	ROUNDS(1, a);
	assert_int_equal(told("node.clock"), 0);
	clock_off_ms = (uint64_t)-10000;
	ROUNDS(2, a);
	assert_int_equal(told("node.clock"), 1); /* once */
	assert_true(node_clock_ahead(&a->node) > 9000 && node_clock_ahead(&a->node) < 12000);
	/* What is given back is due in the database's time. */
	take(f, b, 1);
	ROUNDS(TIMEOUT / TICK + 1, a);
	assert_string_equal(sql(f, "SELECT abs(due_at-" NODE_NOW "-%d)<5000 FROM due", UNKNOWN), "t");
	clock_off_ms = 0;
	ROUNDS(1, a);
	clock_off_ms = 100000;
	ROUNDS(2, a);
	assert_int_equal(told("node.clock"), 2);
	assert_int_equal(node_state(&a->node), NODE_DRAINING);
	ROUNDS(2, a);
	assert_int_equal(node_state(&a->node), NODE_DRAINED);
}

/* ---- dying ---- */

static void a_stopped_node_is_declared_dead_once(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = joined(f, 1), *c = joined(f, 2);
	struct node_row stale[NODE_MAX];
	size_t stale_n;
	uint64_t before, floor;

	ROUNDS(3, a, b, c);
	take(f, c, 1);
	take(f, c, 2);
	take(f, a, 3);
	(void)sql(f, "UPDATE recipient SET deaths=2 WHERE n=2");
	(void)sql(f, "UPDATE recipient SET removing=1 WHERE n=1");
	ROUNDS(TIMEOUT / TICK, a, b);
	assert_int_equal(told("node.dead"), 0); /* both saw the last beat one step after it */
	assert_true(is_fenced(c));
	stale_n = b->node.others_n;
	memcpy(stale, b->node.others, sizeof stale);
	floor = number(f, "SELECT " NODE_NOW);
	ROUNDS(1, a);
	assert_int_equal(told("node.dead"), 1);
	/* The other observer is about to say the same. */
	memcpy(b->node.others, stale, sizeof stale);
	b->node.others_n = stale_n;
	b->node.read_at = b->node.beat_at = boot_ms;
	node_judge(&b->node);
	db_rollback(&b->node.db);
	ROUNDS(2, b, a);
	assert_int_equal(told("node.dead"), 1);
	assert_string_equal(sql(f, "SELECT state||epoch FROM node WHERE number=3"), "dead2");
	assert_false(is_fenced(c));
	assert_true(is_fenced(a) && is_fenced(b));
	/* What it had: not what others have. */
	assert_string_equal(sql(f, "SELECT string_agg(n::text,',') FROM taken"), "3");
	before = number(f, "SELECT due_at FROM due WHERE n=1");
	assert_true(before >= floor + UNKNOWN - 1000 && before <= number(f, "SELECT " NODE_NOW) + UNKNOWN + 1000);
	assert_string_equal(sql(f, "SELECT string_agg(n||':'||tried,',') FROM due"), "1:true");
	assert_string_equal(sql(f, "SELECT string_agg(state||':'||attempts||':'||deaths,',' ORDER BY n) FROM recipient"),
			    "1:1:1,2:1:3,1:0:0");
	assert_int_equal(number(f, "SELECT next_at FROM lane"), before);
	assert_string_equal(sql(f, "SELECT string_agg(n||name,',' ORDER BY n) FROM event"), "1delivery.unknown,2delivery.held");
	assert_string_equal(sql(f, "SELECT fields FROM event WHERE n=1"), "reason=\"outcome unknown: node 3 was declared dead\"");
	assert_string_equal(sql(f, "SELECT waiting||':'||held FROM counter WHERE node=0"), "-1:1");
}

/* The writer ends them: an administrator has removed them while they were in flight. */
static void recipients_with_a_mark_are_left_to_the_writer(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = joined(f, 1);

	take(f, b, 1);
	take(f, b, 2);
	(void)sql(f, "UPDATE recipient SET removing=2 WHERE n=2");
	ROUNDS(TIMEOUT / TICK + 2, a);
	assert_string_equal(sql(f, "SELECT string_agg(message||':'||n,',') FROM marked"), "1000:2");
}

static void who_was_declared_dead_claims_again(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = joined(f, 1);

	ROUNDS(TIMEOUT / TICK + 2, a);
	assert_int_equal(told("node.dead"), 1);
	assert_int_equal(shards_n(a), 64);
	assert_true(node_step(&b->node));
	assert_true(node_is_lost(&b->node));
	assert_int_equal(node_horizon(&b->node), 0);
	assert_false(node_may_take(&b->node));
	assert_int_equal(told("node.lost"), 1);
	take(f, b, 1); /* of before, and not given back so far: this process may still be delivering it */
	assert_int_equal(claim(f, b).class, OK);
	assert_int_equal(node_number(&b->node), 2);
	assert_int_equal(node_epoch(&b->node), 3);
	assert_true(is_fenced(b));
	assert_string_equal(sql(f, "SELECT count(*) FROM due WHERE due_at>" NODE_NOW "+%d", UNKNOWN - 60000), "1");
	assert_string_equal(sql(f, "SELECT deaths FROM recipient"), "1");
	ROUNDS(3, a, b);
	assert_int_equal(shards_n(a), 32);
	assert_int_equal(shards_n(b), 32);
}

static void who_could_not_watch_declares_nobody_dead(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = joined(f, 1);

	ROUNDS(3, b, a); /* so the last beat is the one that was seen */
	cluster_stop();
	for (unsigned i = 0; i < 2 * TIMEOUT / TICK; i++) {
		boot_ms += TICK;
		assert_false(node_step(&a->node));
	}
	(void)cluster_start();
	ROUNDS(2, a);
	assert_int_equal(told("node.dead"), 0);
	assert_false(node_step(&b->node)); /* its connection is gone */
	ROUNDS(2, b, a);
	/* The same when it was stopped itself. */
	boot_ms += 10 * TIMEOUT;
	ROUNDS(2, a);
	assert_int_equal(told("node.dead"), 0);
	ROUNDS(TIMEOUT / TICK - 2, a);
	assert_int_equal(told("node.dead"), 0);
	/* Nor is a beat of long ago a reason to judge. */
	a->node.read_at = boot_ms += 3 * TICK;
	node_judge(&a->node);
	assert_int_equal(told("node.dead"), 0);
	ROUNDS(TIMEOUT / TICK + 1, a);
	assert_int_equal(told("node.dead"), 1);
}

static void a_stopped_backend_with_locks_is_ended(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = joined(f, 1);

	ROUNDS(1, a, b);
	/* Half a transaction, after which the process is stopped: its server process waits for more, and holds the row. */
	assert_true(db_begin(&b->db));
	assert_true(is_fenced(b));
	while (strcmp(sql(f, "SELECT count(*) FROM pg_stat_activity WHERE application_name='posthouse/2/1'"
			     " AND wait_event='ClientRead' AND state='active'"),
		      "1") != 0)
		uv_sleep(1);
	ROUNDS(TIMEOUT / TICK + 1, a);
	assert_int_equal(told("node.terminated"), 1);
	assert_int_equal(told("node.dead"), 1);
	assert_string_equal(sql(f, "SELECT state FROM node WHERE number=2"), "dead");
	db_rollback(&b->db);
	assert_false(db_commit(&b->db));
	assert_int_equal(db_error(&b->db), DB_AWAY);
}

/* Something else than a connection of the dead node. */
static void a_row_that_cannot_be_locked_is_told_once(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = joined(f, 1), *c = member(f, 2);

	assert_true(db_begin(&c->db));
	assert_true(db_exists(&c->db, db_query(&c->db, Q_node_fence, INT(2), INT(1))));
	ROUNDS(TIMEOUT / TICK + 3, a);
	assert_int_equal(told("node.locked"), 1);
	assert_int_equal(told("node.dead"), 0);
	assert_true(db_commit(&c->db));
	ROUNDS(2, a);
	assert_int_equal(told("node.dead"), 1);
	assert_false(is_fenced(b));
}

/* As while a standby is away. */
static void a_beat_that_cannot_be_made_is_told_once(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = member(f, 1);
	uint64_t horizon;

	ROUNDS(1, a);
	horizon = node_horizon(&a->node);
	assert_true(db_begin(&b->db));
	assert_true(db_exists(&b->db, db_query(&b->db, Q_node_beat, INT(1), INT(1), INT(0))));
	for (unsigned i = 0; i < 3; i++) {
		boot_ms += TICK;
		assert_false(node_step(&a->node));
	}
	assert_int_equal(told("node.refused"), 1);
	assert_int_equal(node_horizon(&a->node), horizon);
	assert_true(db_commit(&b->db));
	ROUNDS(1, a);
	assert_true(node_horizon(&a->node) > horizon);
}

static void a_claim_ends_what_holds_its_own_row(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *old = a;

	assert_true(db_begin(&old->db));
	assert_true(is_fenced(old));
	f->members[0] = NULL; /* it is stopped, and another process has its state_dir */
	a = joined(f, 0);
	assert_int_equal(node_epoch(&a->node), 2);
	assert_int_equal(told("node.terminated"), 1);
	f->members[5] = old;
}

static void a_copy_of_the_state_dir_is_told(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *copy;
	struct verdict v;

	f->members[5] = a;
	f->members[0] = NULL;
	copy = joined(f, 0); /* has the same directory */
	ROUNDS(1, a);
	assert_true(node_is_lost(&a->node));
	v = claim(f, a);
	assert_int_equal(v.class, TEMP);
	assert_true(str_search(v.text, S("has a copy of")) < v.text.n);
	assert_true(is_fenced(copy));
	/* But not when its own claim had no answer. */
	a->node.claim_doubtful = true;
	assert_int_equal(claim(f, a).class, OK);
}

/* What it has committed can be seen when it is ended, and would not be on the standby. */
static void a_backend_that_waits_for_a_standby_is_not_ended(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0);
	PGconn *conn = PQconnectdb(f->connection);

	PQclear(PQexec(conn, "SET application_name='posthouse/2/1'"));
	(void)sql(f, "ALTER SYSTEM SET synchronous_standby_names='nobody'");
	(void)sql(f, "SELECT pg_reload_conf()");
	do { /* the server's processes hear of it one by one */
		if (!PQconsumeInput(conn) || PQisBusy(conn))
			continue;
		PQclear(PQgetResult(conn));
		(void)PQsendQuery(conn, "INSERT INTO counter VALUES(2,0,0,0,0,0,0) ON CONFLICT(node) DO UPDATE SET at=0");
	} while (strcmp(sql(f, "SELECT count(*) FROM pg_stat_activity WHERE application_name='posthouse/2/1'"
			       " AND wait_event='SyncRep'"),
			"1") != 0);
	node_terminate(&a->node, &a->db, 2, 1);
	assert_int_equal(db_error(&a->db), DB_WELL);
	assert_int_equal(told("node.terminated"), 0);
	(void)sql(f, "ALTER SYSTEM RESET synchronous_standby_names");
	(void)sql(f, "SELECT pg_reload_conf()");
	for (PGresult *r; (r = PQgetResult(conn));)
		PQclear(r);
	node_terminate(&a->node, &a->db, 2, 1);
	assert_int_equal(told("node.terminated"), 1);
	PQfinish(conn);
}

/* ---- shards ---- */

static void shards_are_balanced_and_taken_over(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b, *c;

	ROUNDS(1, a);
	assert_int_equal(shards_n(a), 64);
	b = joined(f, 1);
	ROUNDS(2, a, b);
	assert_int_equal(shards_n(a), 32);
	assert_int_equal(shards_n(b), 32);
	assert_true((node_shards(&a->node) & node_shards(&b->node)) == 0);
	c = joined(f, 2);
	ROUNDS(3, a, b, c);
	assert_int_equal(shards_n(a), 22);
	assert_int_equal(shards_n(b), 22);
	assert_int_equal(shards_n(c), 20);
	assert_true((node_shards(&a->node) | node_shards(&b->node) | node_shards(&c->node)) == UINT64_MAX);
	ROUNDS(TIMEOUT / TICK + 3, a, b);
	assert_int_equal(shards_n(a), 32);
	assert_int_equal(shards_n(b), 32);
	assert_true((node_shards(&a->node) | node_shards(&b->node)) == UINT64_MAX);
	assert_string_equal(sql(f, "SELECT count(*) FROM shard WHERE node=3"), "0");
}

/* ---- orders ---- */

static void a_node_is_drained_and_removed(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = joined(f, 1);
	struct verdict v;

	ROUNDS(2, a, b);
	take(f, b, 1);
	v = node_order(&a->node, &a->db, &f->arena, NODE_REMOVE, 2);
	assert_int_equal(v.class, PERM);
	assert_true(str_search(v.text, S("node 2 is up")) < v.text.n);
	assert_int_equal(node_order(&a->node, &a->db, &f->arena, NODE_DRAIN, 9).class, PERM);
	assert_int_equal(node_order(&b->node, &b->db, &f->arena, NODE_DRAIN, 0).class, OK);
	ROUNDS(2, a, b);
	assert_int_equal(node_state(&b->node), NODE_DRAINING);
	assert_false(node_may_take(&b->node));
	assert_true(is_fenced(b));
	assert_int_equal(shards_n(b), 0);
	ROUNDS(2, a, b);
	assert_int_equal(shards_n(a), 64);
	assert_int_equal(node_state(&b->node), NODE_DRAINING); /* a delivery is in flight */
	(void)sql(f, "DELETE FROM taken");
	ROUNDS(2, a, b);
	assert_int_equal(node_state(&b->node), NODE_DRAINED);
	assert_int_equal(claim(f, b).class, TEMP);
	assert_int_equal(node_order(&a->node, &a->db, &f->arena, NODE_RESUME, 2).class, OK);
	ROUNDS(3, a, b);
	assert_int_equal(node_state(&b->node), NODE_UP);
	assert_int_equal(shards_n(b), 32);
	assert_int_equal(node_order(&a->node, &a->db, &f->arena, NODE_DRAIN, 2).class, OK);
	ROUNDS(3, a, b);
	assert_int_equal(node_order(&a->node, &a->db, &f->arena, NODE_REMOVE, 2).class, OK);
	ROUNDS(1, b);
	assert_true(node_is_lost(&b->node));
	v = claim(f, b);
	assert_int_equal(v.class, TEMP); /* not as a new node, as long as nobody restarts it */
	assert_true(str_search(v.text, S("removed")) < v.text.n);
	end_member(f, 1);
	b = joined(f, 1);
	assert_int_equal(node_number(&b->node), 2);
	assert_int_equal(node_epoch(&b->node), 3);
}

static void a_drained_node_that_ends_is_not_dead(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = joined(f, 1);

	assert_int_equal(node_order(&b->node, &b->db, &f->arena, NODE_DRAIN, 0).class, OK);
	ROUNDS(3, a, b);
	assert_int_equal(node_state(&b->node), NODE_DRAINED);
	ROUNDS(TIMEOUT / TICK + 2, a);
	assert_int_equal(told("node.dead"), 0);
	assert_int_equal(node_order(&a->node, &a->db, &f->arena, NODE_REMOVE, 2).class, OK);
}

/* ---- the thread ---- */

static void await_shards(struct member *m, unsigned n)
{
	while (shards_n(m) != n)
		uv_sleep(1);
}

static void threads_balance_and_give_up_at_the_end(void **state)
{
	struct fixture *f = *state;
	struct member *a = member(f, 0), *b = member(f, 1);

	f->members[0]->node.timing.fresh = f->members[1]->node.timing.fresh = 100000;
	assert_int_equal(claim(f, a).class, OK);
	assert_int_equal(claim(f, b).class, OK);
	assert_true(node_start(&a->node));
	await_shards(a, 32);
	assert_true(node_start(&b->node));
	await_shards(b, 32);
	node_stop(&b->node);
	assert_string_equal(sql(f, "SELECT count(*) FROM shard WHERE node=2"), "0");
	assert_string_equal(sql(f, "SELECT state FROM node WHERE number=2"), "drained");
	await_shards(a, 64);
	assert_int_equal(told("node.dead"), 0);
}

/* On the clock of this machine. */
static void a_thread_declares_a_stopped_one_dead(void **state)
{
	struct fixture *f = *state;
	struct member *a = member(f, 0), *b = member(f, 1);
	struct node real;

	node_init(&real, &a->host);
	a->node.boottime = real.boottime;
	a->node.timing.fresh = 100000;
	node_fini(&real);
	assert_int_equal(claim(f, a).class, OK);
	assert_int_equal(claim(f, b).class, OK);
	take(f, b, 1);
	assert_true(node_start(&a->node));
	await_shards(a, 64);
	while (strcmp(sql(f, "SELECT count(*) FROM due"), "1") != 0)
		uv_sleep(1);
	node_stop(&a->node);
	assert_int_equal(told("node.dead"), 1);
	assert_false(is_fenced(b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(claims_the_lowest_number),
		TEST(the_same_instance_has_what_it_had_due_at_once),
		TEST(a_damaged_instance_is_refused),
		TEST(the_sixteenth_node_is_refused),
		TEST(another_schema_is_refused_with_the_names_of_the_nodes),
		TEST(a_beat_moves_the_horizon_and_the_floor_of_ids),
		TEST(the_horizon_stays_while_the_server_is_away),
		TEST(the_others_are_known),
		TEST(a_wrong_clock_is_told_and_one_that_is_very_wrong_drains),
		TEST(a_stopped_node_is_declared_dead_once),
		TEST(recipients_with_a_mark_are_left_to_the_writer),
		TEST(who_was_declared_dead_claims_again),
		TEST(who_could_not_watch_declares_nobody_dead),
		TEST(a_stopped_backend_with_locks_is_ended),
		TEST(a_backend_that_waits_for_a_standby_is_not_ended),
		TEST(a_row_that_cannot_be_locked_is_told_once),
		TEST(a_beat_that_cannot_be_made_is_told_once),
		TEST(a_claim_ends_what_holds_its_own_row),
		TEST(a_copy_of_the_state_dir_is_told),
		TEST(shards_are_balanced_and_taken_over),
		TEST(a_node_is_drained_and_removed),
		TEST(a_drained_node_that_ends_is_not_dead),
		TEST(threads_balance_and_give_up_at_the_end),
		TEST(a_thread_declares_a_stopped_one_dead),
	};

	if (!cluster_start())
		return 0;
	if (uv_mutex_init(&notes_lock) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
