/* search_index.c - fills the index of search.h: in idle time, a block at each step, first with mail that was accepted, then
 * with mail of before there was an index, the newest first. Forgets blocks whose messages are gone. */
#include "search.h"

#include "posthouse/clock.h"

#include <stdlib.h>

#define BUSY_MAX  8192   /* so many messages wait for idle time; more are indexed between batches */
#define PAIRS_MAX 500000 /* ends a block early: messages with many recipients have many terms */
#define RETRY_MS  60000
#define FINDER_MS 1000 /* somebody is turning pages: what they look through stays as it is */

/* The messages and terms of the block that is being made. */
struct gathering {
	struct engine *e;
	uint64_t ids[BLOCK_MESSAGES];
	size_t n;
	uint64_t first_at, last_at;
	uint64_t *pairs;
	size_t pairs_n, capacity;
	struct term_list terms; /* of one message */
	struct arena scratch;
};

static void gather_recipients(struct gathering *g, uint64_t id)
{
	struct db_rows *q = db_query(&g->e->db, Q_search_recipients, INT(id));

	while (db_row(&g->e->db, q))
		terms_of_recipient(&g->terms, &g->scratch, db_str(q, 0), db_str(q, 1));
}

/* A message that is gone stays away. */
static void gather(struct gathering *g, uint64_t id)
{
	struct db_rows *q = db_query(&g->e->db, Q_search_message, INT(id));
	struct envelope envelope = { 0 };
	uint64_t at;

	if (!db_row(&g->e->db, q))
		return;
	at = db_u64(q, 0);
	envelope.login = db_str(q, 1);
	envelope.sender = db_str(q, 2);
	envelope.subject = db_str(q, 3);
	envelope.message_id = db_str(q, 4);
	g->terms.n = 0;
	terms_of_message(&g->terms, &g->scratch, &envelope);
	db_end(q);
	gather_recipients(g, id);
	for (size_t i = 0; i < g->terms.n; i++) {
		ARRAY_GROW(g->pairs, g->pairs_n, g->capacity);
		g->pairs[g->pairs_n++] = g->terms.at[i] * BLOCK_MESSAGES + g->n;
	}
	g->ids[g->n++] = id;
	g->first_at = g->first_at == 0 || at < g->first_at ? at : g->first_at;
	g->last_at = at > g->last_at ? at : g->last_at;
	arena_reset(&g->scratch);
}

static void write_block(struct gathering *g, uint64_t block)
{
	if (g->n == 0)
		return;
	pairs_sort(g->pairs, g->pairs_n);
	block_write(g->e, block, g->pairs, g->pairs_n);
	db_run(&g->e->db, Q_block_add, INT(block), INT(g->ids[0]), INT(g->ids[g->n - 1]), INT(g->first_at), INT(g->last_at),
	       BLOB(str_make(g->ids, g->n * sizeof g->ids[0])));
}

static void gathering_fini(struct gathering *g)
{
	free(g->pairs);
	free(g->terms.at);
	arena_fini(&g->scratch);
	free(g);
}

/* At most BLOCK_MESSAGES ids. */
static size_t read_ids(struct engine *e, struct db_rows *q, uint64_t ids[BLOCK_MESSAGES])
{
	size_t n = 0;

	while (n < BLOCK_MESSAGES && db_row(&e->db, q))
		ids[n++] = db_u64(q, 0);
	db_end(q);
	return n;
}

static void index_accepted(struct engine *e)
{
	struct gathering *g = NEW(struct gathering);
	uint64_t ids[BLOCK_MESSAGES];
	size_t n = read_ids(e, db_query(&e->db, Q_unsearched_ids), ids), i = 0;

	g->e = e;
	while (i < n && g->pairs_n < PAIRS_MAX)
		gather(g, ids[i++]);
	write_block(g, sqlite_of(e)->search.next_block);
	if (i > 0 && db_run(&e->db, Q_unsearched_done, INT(ids[i - 1])))
		e->counters.unsearched -= db_changes(&e->db);
	sqlite_of(e)->search.next_block += g->n > 0;
	gathering_fini(g);
}

/* Mail of before there was an index: from the newest to the oldest. */
static void index_older(struct engine *e)
{
	struct gathering *g = NEW(struct gathering);
	uint64_t ids[BLOCK_MESSAGES];
	size_t n = read_ids(e, db_query(&e->db, Q_older_ids, INT(e->counters.older_than)), ids);

	g->e = e;
	for (size_t i = n; i > 0; i--) /* in the order of the others: the newest is the last */
		gather(g, ids[i - 1]);
	write_block(g, sqlite_of(e)->search.older_block);
	sqlite_of(e)->search.older_block -= g->n > 0;
	e->counters.older_than = n < BLOCK_MESSAGES ? 0 : ids[n - 1];
	db_run(&e->db, Q_older_put, INT(e->counters.older_than));
	if (e->counters.older_than == 0)
		store_note(e->host->store, LOG_INFO, "store.indexed", 0,
			   "mail of before this version can be found as fast as other");
	gathering_fini(g);
}

void search_open(struct engine *e)
{
	sqlite_of(e)->search.next_block = FIRST_BLOCK;
	sqlite_of(e)->search.older_block = FIRST_BLOCK - 1;
	if (!db_numbers(&e->db, db_query(&e->db, Q_search_state), &e->counters.older_than, &e->counters.unsearched,
			&sqlite_of(e)->search.next_block, &sqlite_of(e)->search.older_block))
		return;
}

void search_add(struct engine *e, uint64_t id)
{
	if (id < e->counters.older_than) /* the walk through the older mail comes to it */
		return;
	db_run(&e->db, Q_unsearched_add, INT(id));
	e->counters.unsearched++;
}

bool search_is_behind(const struct engine *e)
{
	return e->counters.unsearched >= BLOCK_MESSAGES || e->counters.older_than > 0;
}

bool search_wants_step(const struct engine *e, bool was_idle)
{
	uint64_t now = clock_mono_ms(), n = e->counters.unsearched;

	if (now < sqlite_of(e)->search.retry_at_ms || e->host->space.full)
		return false;
	if (n >= BUSY_MAX)
		return true;
	if (!was_idle || now < sqlite_of(e)->search.asked_at_ms + FINDER_MS)
		return false;
	return search_is_behind(e);
}

void search_step(struct engine *e)
{
	if (e->counters.unsearched >= BLOCK_MESSAGES)
		index_accepted(e);
	else
		index_older(e);
}

void search_put_off(struct engine *e)
{
	sqlite_of(e)->search.retry_at_ms = clock_mono_ms() + RETRY_MS;
}

/* ---- forgetting ---- */

/* The blocks whose first and last message have one of the ids between them, and no message any more. */
static size_t empty_blocks(struct engine *e, uint64_t first, uint64_t last, uint64_t **blocks_out)
{
	struct db_rows *q = db_query(&e->db, Q_blocks_between, INT(last), INT(first));
	size_t n = 0, capacity = 0;

	*blocks_out = NULL;
	while (db_row(&e->db, q)) {
		if (db_exists(&e->db, db_query(&e->db, Q_message_between, INT(db_u64(q, 1)), INT(db_u64(q, 2)))))
			continue;
		ARENA_GROW(&e->host->arena, *blocks_out, n, capacity);
		(*blocks_out)[n++] = db_u64(q, 0);
	}
	return n;
}

void search_forget(struct engine *e, const uint64_t *ids, size_t n)
{
	uint64_t first = UINT64_MAX, last = 0, *blocks;
	size_t blocks_n;

	for (size_t i = 0; i < n; i++) {
		first = ids[i] < first ? ids[i] : first;
		last = ids[i] > last ? ids[i] : last;
		if (e->counters.unsearched > 0 && db_run(&e->db, Q_unsearched_forget, INT(ids[i])))
			e->counters.unsearched -= db_changes(&e->db);
	}
	blocks_n = n ? empty_blocks(e, first, last, &blocks) : 0;
	for (size_t i = 0; i < blocks_n; i++) {
		db_run(&e->db, Q_words_forget, INT(blocks[i] * BUCKETS), INT(blocks[i] * BUCKETS + BUCKETS));
		db_run(&e->db, Q_block_forget, INT(blocks[i]));
	}
}
