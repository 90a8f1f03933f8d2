/* node_fixture.c */
#include "node_fixture.h"

#include "../../../support/remove_tree.h"
#include "schema.h"

#include "posthouse/clock.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

const struct verdict store_away = { .class = TEMP, .code = 451, .enhanced = { "4.3.0", 5 }, .text = { "away", 4 } };

uint64_t boot_ms, clock_off_ms;

static uint64_t fake_boottime(void)
{
	return boot_ms;
}

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

size_t told(const char *event)
{
	size_t count = 0;

	for (const char *p = notes; (p = strstr(p, event)); p++)
		count++;
	return count;
}

/* ---- members ---- */

const char *sql(struct fixture *f, const char *format, ...)
{
	char text[1000];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return cluster_sql(f->connection, text);
}

uint64_t number(struct fixture *f, const char *text)
{
	return strtoull(sql(f, "%s", text), NULL, 10);
}

struct member *member(struct fixture *f, unsigned i)
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

void end_member(struct fixture *f, unsigned i)
{
	struct member *m = f->members[i];

	node_stop(&m->node);
	db_close(&m->node.db);
	db_close(&m->db);
	node_fini(&m->node);
	free(m);
	f->members[i] = NULL;
}

struct verdict claim(struct fixture *f, struct member *m)
{
	return node_claim(&m->node, &m->db, &f->arena);
}

struct member *joined(struct fixture *f, unsigned i)
{
	struct member *m = member(f, i);
	struct verdict v = claim(f, m);

	if (v.class != OK)
		fail_msg("claim: %.*s", STR_ARG(v.text));
	return m;
}

bool is_fenced(struct member *m)
{
	return db_exists(&m->db, db_query(&m->db, Q_node_fence, INT(node_number(&m->node)), INT(node_epoch(&m->node))));
}

void rounds(unsigned n, struct member *const *members)
{
	for (unsigned i = 0; i < n; i++) {
		boot_ms += TICK;
		for (struct member *const *m = members; *m; m++)
			assert_true(node_step(&(*m)->node));
	}
}

unsigned shards_n(struct member *m)
{
	return (unsigned)__builtin_popcountll(node_shards(&m->node));
}

void take(struct fixture *f, struct member *m, unsigned n)
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

int setup(void **state)
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

int teardown(void **state)
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

bool node_fixture_begin(void)
{
	return cluster_start() && uv_mutex_init(&notes_lock) == 0;
}
