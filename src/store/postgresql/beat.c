/* beat.c - the node's thread: shows each second that this node lives, and looks at the others. What it does when another node
 * shows no life is in death.c. */
#include "node.h"

#include "schema.h"

#include "posthouse/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define CLOCK_WARN_MS  2000
#define CLOCK_DRAIN_MS 60000

/* ---- the connection ---- */

static void disconnect(struct node *n)
{
	db_close(&n->db);
	n->named_epoch = 0;
	n->durable_at = 0;
	uv_mutex_lock(&n->lock);
	n->connected = false;
	uv_mutex_unlock(&n->lock);
}

static bool connect_server(struct node *n)
{
	struct arena a = { 0 };
	struct db_target target = node_target(n, &a);
	bool opened = db_open(&n->db, &target) && schema_session(&n->db);

	if (opened) {
		node_saw_timeline(n, n->db.timeline, n->db.history);
		uv_mutex_lock(&n->lock);
		n->connected = true;
		uv_mutex_unlock(&n->lock);
	}
	arena_fini(&a);
	return opened;
}

/* After a claim the connection has the name of the new epoch, by which others can end it. It waits for locks only so long that
 * no beat is late. */
static bool name_connection(struct node *n, uint64_t epoch)
{
	struct arena a = { 0 };

	if (n->named_epoch != epoch &&
	    db_exists(&n->db, db_query(&n->db, Q_node_lock_timeout, INT(n->timing.lock), INT(false))) &&
	    db_exists(&n->db, db_query(&n->db, Q_node_rename, TEXT(node_name(n, &a)))))
		n->named_epoch = epoch;
	arena_fini(&a);
	return n->named_epoch == epoch;
}

/* Is the server's durability still what was configured? A promotion can have emptied synchronous_standby_names; until an operator
 * has mended that, each beat looks. */
static void check_durability(struct node *n)
{
	uint64_t now = n->boottime();
	char why[200];
	bool durable;

	if (node_is_durable(n) && n->durable_at != 0 && now - n->durable_at < n->timing.durability)
		return;
	durable = db_check_durability(&n->db, n->host->database->standby, why, sizeof why);
	if (db_error(&n->db) != DB_WELL)
		return;
	n->durable_at = now > 0 ? now : 1;
	if (!durable && node_is_durable(n))
		node_note(n, LOG_ERROR, "node.not_durable", "the database would lose mail: %s", why);
	uv_mutex_lock(&n->lock);
	if (durable != n->durable)
		(void)snprintf(n->excluded, sizeof n->excluded, "%s%s", durable ? "" : "the database would lose mail: ", why);
	n->durable = durable;
	uv_mutex_unlock(&n->lock);
}

/* ---- the beat ---- */

static enum store_node_state state_of(struct str name)
{
	for (enum store_node_state s = STORE_NODE_UP; s <= STORE_NODE_REMOVED; s++)
		if (str_eq(name, str_of(node_state_name(s))))
			return s;
	return STORE_NODE_NONE;
}

static int64_t distance(int64_t ms)
{
	return ms < 0 ? -ms : ms;
}

/* Does the clock of another node that works agree with the database's? */
static bool another_agrees(const struct node *n)
{
	for (size_t i = 0; i < n->others_n; i++)
		if (n->others[i].state == STORE_NODE_UP && distance(n->others[i].clock_ahead) < CLOCK_DRAIN_MS)
			return true;
	return false;
}

/* A node whose clock is far from the database's is of no use: its due times and reports would be wrong. But when no other node
 * agrees with the database, the clock that is wrong is the database's, or nobody would take the mail. */
static void judge_clock(struct node *n)
{
	static const char *const consequences[] = {
		[CLOCK_OFF] = "",
		[CLOCK_ALONE] = ": no other node agrees with the database, so this one goes on; correct the clock that is wrong",
		[CLOCK_DRAINS] = ": the node drains; correct the clock, then run `posthouse node resume`",
	};
	int64_t ahead = node_clock_ahead(n);
	enum node_clock found = distance(ahead) < CLOCK_WARN_MS    ? CLOCK_WELL
				: distance(ahead) < CLOCK_DRAIN_MS ? CLOCK_OFF
				: another_agrees(n)                ? CLOCK_DRAINS
								   : CLOCK_ALONE;
	struct arena a = { 0 };

	if (found > n->clock_told)
		node_note(n, found == CLOCK_OFF ? LOG_WARNING : LOG_ERROR, "node.clock",
			  "the database's clock is %lld ms ahead of this machine's%s", (long long)ahead, consequences[found]);
	if (found > n->clock_told && found == CLOCK_DRAINS)
		(void)node_order(n, &n->db, &a, NODE_DRAIN, 0); /* PERM: it drains already */
	if (found > n->clock_told || found == CLOCK_WELL)
		n->clock_told = found;
	arena_fini(&a);
}

/* The beat's UPDATE found no row. */
static void lose_epoch(struct node *n, uint64_t epoch)
{
	bool ours;

	uv_mutex_lock(&n->lock);
	ours = n->epoch == epoch && !n->lost; /* else the writer has claimed meanwhile */
	if (ours) {
		n->lost = true;
		n->shards = 0;
		n->horizon = 0;
	}
	uv_mutex_unlock(&n->lock);
	if (ours)
		node_note(n, LOG_ERROR, "node.lost", "another node has declared this one dead in epoch %llu, or it was removed",
			  (unsigned long long)epoch);
}

/* Remember a beat that was committed. */
static void beaten(struct node *n, uint64_t epoch, uint64_t start, enum store_node_state state, int64_t ahead)
{
	bool drained = false;

	uv_mutex_lock(&n->lock);
	if (n->epoch == epoch && !n->lost) {
		drained = state == STORE_NODE_DRAINED && n->state != STORE_NODE_DRAINED;
		n->state = state;
		n->beat_at = start;
		n->horizon = start + n->timing.timeout - n->timing.margin;
		n->clock_ahead = ahead;
	}
	uv_mutex_unlock(&n->lock);
	if (drained)
		node_note(n, LOG_INFO, "node.drained", "nothing is under way: this node can be stopped and removed");
}

static bool beat(struct node *n)
{
	uint64_t start = n->boottime(), own = n->clock(), database = 0, epoch = node_epoch(n);
	struct db *db = &n->db;
	enum store_node_state state = STORE_NODE_NONE;
	struct db_rows *q;

	if (!name_connection(n, epoch) || !db_begin(db))
		return false;
	q = db_query(db, Q_node_beat, INT(node_number(n)), INT(epoch), INT(own + n->timing.id_ahead));
	if (db_row(db, q)) {
		state = state_of(db_str(q, 0));
		database = db_u64(q, 1);
		db_end(q);
	}
	own += (n->clock() - own) / 2;
	if (db_error(db) == DB_WELL && state == STORE_NODE_NONE)
		lose_epoch(n, epoch);
	if (!db_commit(db))
		return false;
	if (state == STORE_NODE_NONE)
		return true;
	/* Who was stopped, or had to wait, has not watched the others meanwhile. */
	if (start - n->stepped_at > n->timing.fresh || n->boottime() - start > n->timing.fresh)
		n->doubtful = true;
	beaten(n, epoch, start, state, (int64_t)(database - own));
	return true;
}

/* ---- the others ---- */

static void copy_text(char *to, size_t size, struct str s)
{
	(void)snprintf(to, size, "%.*s", STR_ARG(s));
}

/* The row as it was known, of a node in the same epoch. */
static const struct node_row *known_row(const struct node *n, unsigned number)
{
	for (size_t i = 0; i < n->others_n; i++)
		if (n->others[i].number == number)
			return &n->others[i];
	return NULL;
}

/* Read a row; it is seen from now on unless it was seen before. */
static void read_row(const struct node *n, struct db_rows *q, uint64_t now, struct node_row *out)
{
	const struct node_row *before = n->doubtful ? NULL : known_row(n, (unsigned)db_u64(q, 0));

	*out = (struct node_row){ .number = (unsigned)db_u64(q, 0),
				  .epoch = db_u64(q, 1),
				  .beat = db_u64(q, 2),
				  .state = state_of(db_str(q, 3)),
				  .schema = db_u64(q, 4),
				  .since = db_u64(q, 5),
				  .clock_ahead = (int64_t)(db_u64(q, 8) - n->timing.id_ahead),
				  .seen_at = now };
	copy_text(out->host, sizeof out->host, db_str(q, 6));
	copy_text(out->config_hash, sizeof out->config_hash, db_str(q, 7));
	if (before && before->epoch == out->epoch && before->beat == out->beat)
		out->seen_at = before->seen_at;
}

/* Read all rows of node, what the others count, and which version the accounts have. */
static bool look(struct node *n)
{
	struct node_row rows[NODE_MAX];
	struct node_counters count = { 0 };
	struct db *db = &n->db;
	struct db_rows *q;
	size_t rows_n = 0;
	uint64_t now, accounts;

	n->read_at = n->boottime();
	q = db_query(db, Q_node_rows);
	now = n->boottime();
	while (db_row(db, q))
		if (rows_n < NODE_MAX && db_u64(q, 0) != node_number(n))
			read_row(n, q, now, &rows[rows_n++]);
	(void)db_numbers(db, db_query(db, Q_node_counters, INT(node_number(n))), &count.open_messages, &count.waiting,
			 &count.held, &count.failed);
	accounts = db_number(db, db_query(db, Q_accounts_version));
	if (db_error(db) != DB_WELL)
		return false;
	uv_mutex_lock(&n->lock);
	memcpy(n->others, rows, rows_n * sizeof rows[0]);
	n->others_n = rows_n;
	n->others_count = count;
	n->accounts = accounts;
	n->accounts_known = true;
	uv_mutex_unlock(&n->lock);
	n->doubtful = false;
	return true;
}

/* ---- the thread ---- */

/* An error of one of the steps does not end the others. */
static bool clear_error(struct node *n)
{
	struct db *db = &n->db;

	if (db_error(db) == DB_WELL)
		return true;
	if (db_error(db) == DB_AWAY)
		return false;
	if (!n->refused_told) /* while a standby is away, each beat meets the one before, which still waits */
		node_note(n, LOG_WARNING, "node.refused", "%s", db->error);
	n->refused_told = true;
	db_rollback(db);
	if (db_error(db) == DB_AWAY)
		return false;
	db_forget_error(db);
	return true;
}

static bool work(struct node *n)
{
	static void (*const steps[])(struct node * n) = { judge_clock,       check_durability, node_judge,
							  node_return_taken, node_balance,     node_watch };
	bool well = true;

	if (node_is_lost(n))
		return true; /* until the writer has claimed */
	if (!beat(n) || !look(n))
		return false;
	for (size_t i = 0; i < sizeof steps / sizeof steps[0] && !node_is_lost(n); i++) {
		steps[i](n);
		well = well && db_error(&n->db) == DB_WELL;
		if (!clear_error(n))
			return false;
	}
	if (well)
		n->refused_told = false;
	return true;
}

bool node_step(struct node *n)
{
	bool connected, good;

	if (n->db.timeline < node_timeline(n)) /* the writer has found a newer primary */
		disconnect(n);
	connected = n->db.conn || connect_server(n);
	good = connected && work(n);
	if (!good) {
		n->doubtful = true;
		if (!connected || !clear_error(n)) /* the writer tells of a database that is away */
			disconnect(n);
	}
	n->stepped_at = n->boottime();
	return good;
}

/* Until the next beat, or the thread is to end; false: it is. */
static bool rest(struct node *n, uint64_t ms)
{
	bool stop;

	uv_mutex_lock(&n->lock);
	if (!n->stop && ms > 0)
		(void)uv_cond_timedwait(&n->wake, &n->lock, ms * 1000000); /* either way the caller goes on */
	stop = n->stop;
	uv_mutex_unlock(&n->lock);
	return !stop;
}

static void run(void *arg)
{
	struct node *n = arg;
	uint64_t begun, took;
	bool good;

	do {
		begun = clock_mono_ms();
		good = node_step(n);
		took = clock_mono_ms() - begun;
	} while (rest(n, !good ? n->timing.retry : took < n->timing.beat ? n->timing.beat - took : 0));
	if (n->db.conn && !node_is_lost(n))
		node_leave(n);
	disconnect(n);
}

bool node_start(struct node *n)
{
	n->stepped_at = n->boottime();
	n->started = uv_thread_create(&n->thread, run, n) == 0;
	return n->started;
}

void node_stop(struct node *n)
{
	if (!n->started)
		return;
	uv_mutex_lock(&n->lock);
	n->stop = true;
	uv_cond_signal(&n->wake);
	uv_mutex_unlock(&n->lock);
	(void)uv_thread_join(&n->thread); /* fails only for a thread that is not ours */
	n->started = false;
}
