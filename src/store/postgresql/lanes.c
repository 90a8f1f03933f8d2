/* lanes.c - lanes of a database that several nodes write to, and how recipients are taken from them. A lane that is busy is not
 * written: accepts only make sure that the lane is awake at the time at which they need it. */
#include "postgresql.h"

#include "posthouse/clock.h"

#define SHARDS 64

/* The same on each node, and for ever. */
static const struct siphash_key lane_names = { 0x706f7374686f7573, 0x65206c616e657331 };

/* Two lanes with the same number share a turn, no more: the way of a recipient is decided from the recipient itself. */
static uint64_t lane_number(struct arena *a, struct str domain, const struct lane_key *key)
{
	struct str name = arena_printf(a, "%.*s\n%.*s\n%u\n%.*s\n%u", STR_ARG(domain), STR_ARG(key->login), key->priority,
				       STR_ARG(key->via), (unsigned)key->wish);
	uint64_t number = siphash(&lane_names, name) & INT64_MAX;

	return number ? number : 1;
}

/* Three statements, and not one: the last has to see what was committed while the second one waited for its lock. A lane that was
 * removed in between fails the transaction, which is then repeated. */
static void wake(struct engine *e, uint64_t lane, uint64_t due_at)
{
	db_run(&e->db, Q_lane_lock, INT(lane));
	db_run(&e->db, Q_lane_lower, INT(lane), INT(due_at));
}

uint64_t lane_for(struct engine *e, struct str address, const struct lane_key *key, uint64_t due_at)
{
	struct str domain = lane_domain(&e->host->arena, address);
	uint64_t lane = lane_number(&e->host->arena, domain, key);

	db_run(&e->db, Q_lane_add, INT(lane), TEXT(domain), TEXT(key->login), PRIORITY(key->priority), TEXT(key->via),
	       INT(key->wish), INT(due_at), INT(siphash(&lane_names, domain) % SHARDS));
	wake(e, lane, due_at);
	e->rerouted = e->rerouted || key->via.n > 0;
	return lane;
}

void lane_note_due(struct engine *e, uint64_t lane, uint64_t due_at)
{
	wake(e, lane, due_at);
}

/* Nothing (more) is due: the lane sleeps until the next recipient is, unless somebody is waking it just now. */
static void put_to_sleep(struct engine *e, uint64_t lane)
{
	if (db_exists(&e->db, db_query(&e->db, Q_lane_sleep_lock, INT(lane))))
		db_run(&e->db, Q_lane_sleep, INT(lane));
}

/* Recipients have changed: is the lane awake too early? Mostly not, and then it is not locked. */
void lane_refresh(struct engine *e, uint64_t lane)
{
	if (db_exists(&e->db, db_query(&e->db, Q_lane_is_early, INT(lane))))
		put_to_sleep(e, lane);
}

bool lane_is_quiet(const struct engine *e, uint64_t lane, uint64_t now)
{
	return false;
}

uint64_t lanes_quiet_until(const struct engine *e, uint64_t now, uint64_t next_at)
{
	return next_at;
}

/* ---- taking ---- */

/* Rows "message, n, address, orcpt, notify, attempts, deaths, lane, via, take_no", those of one message together. lanes: NULL, or
 * room for those of as many as are taken. */
static void take_rows(struct due_page *p, struct db_rows *q, uint64_t *lanes, size_t *lanes_n)
{
	struct due_message *m = NULL;
	size_t capacity = 0;

	while (db_row(&p->e->db, q)) {
		uint64_t id = db_u64(q, 0);

		if (!m || m->id != id) {
			m = due_page_add(p, id);
			m->membership = node_membership(&postgresql_of(p->e)->node);
			capacity = 0;
		}
		due_page_recipient(p, m, &capacity, q, 1);
		taken_add(&postgresql_of(p->e)->taken, id, db_u64(q, 1), db_u64(q, 9));
		if (lanes)
			lanes_note(lanes, lanes_n, db_u64(q, 7));
	}
}

static void take_lane(struct due_page *p, bool tried)
{
	const struct node *node = &postgresql_of(p->e)->node;
	const struct request *r = p->r;

	size_t before;

	do {
		before = p->n;
		if (p->n < r->max)
			take_rows(p,
				  db_query(&p->e->db, Q_take_lane, INT(r->id), INT(tried), INT(r->cursor), INT(r->max - p->n),
					   INT(node_number(node)), INT(node_epoch(node))),
				  NULL, NULL);
	} while (p->n > before); /* recipients of one message use up several places of a page */
}

static bool can_take(struct engine *e, struct request *r)
{
	if (e->host->results_wait) {
		r->verdict = why_results_wait(e->host);
		return false;
	}
	if (!node_may_take(&postgresql_of(e)->node)) {
		r->verdict = store_away;
		return false;
	}
	fence(e);
	return true;
}

void run_lease(struct engine *e, struct request *r)
{
	struct due_page p = { .e = e, .r = r };

	if (!can_take(e, r))
		return;
	take_lane(&p, false);
	take_lane(&p, true);
	if (p.n < r->max)
		put_to_sleep(e, r->id);
	for (size_t i = 0; i < p.n; i++)
		due_page_envelope(&p, &p.at[i], r->in.with_text);
	r->out.rows = p.at;
	r->out.n = p.n;
}

void run_lease_siblings(struct engine *e, struct request *r)
{
	const struct node *node = &postgresql_of(e)->node;
	struct due_page p = { .e = e, .r = r };
	size_t max = r->max < GROUP_MAX ? r->max : GROUP_MAX, lanes_n = 0;
	uint64_t *lanes = ARENA_ARRAY(&r->arena, uint64_t, max + 1);

	if (!can_take(e, r))
		return;
	take_rows(&p,
		  db_query(&e->db, Q_take_siblings, INT(r->id), INT(r->cursor), INT(max), INT(node_number(node)),
			   INT(node_epoch(node))),
		  lanes, &lanes_n);
	for (size_t i = 0; i < lanes_n; i++)
		lane_refresh(e, lanes[i]);
	if (p.n > 0)
		due_page_envelope(&p, &p.at[0], false);
	r->out.rows = p.at;
	r->out.n = p.n;
}
