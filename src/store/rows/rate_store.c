/* rate_store.c - what limits keep over restarts: token buckets, bans, and the recipients that each login has written to. */
#include "rows.h"

#include "posthouse/clock.h"
#include "posthouse/id.h"
#include "posthouse/units.h"

#define HALF_YEAR_MS    (182 * DAY_MS)
#define WEEK_MS         (7 * DAY_MS)
#define BUCKETS_SEEN    1000 /* that one call of store_prune looks at */
#define BUCKETS_PAGE    10000
#define BUCKET_TEXT_MAX 4096
#define KNOWN_MAX       100000 /* recipients of one login */
#define LOGINS_SEEN     50     /* that one call of store_prune looks at */

/* Read the 16 bytes of meta's known_key from hexadecimal digits. */
static bool parse_key(struct str hex, struct siphash_key *key_out)
{
	uint64_t halves[2] = { 0, 0 };

	if (hex.n != 32)
		return false;
	for (size_t i = 0; i < hex.n; i++) {
		char c = hex.p[i];
		unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a') + 10;

		if (digit > 15)
			return false;
		halves[i / 16] = halves[i / 16] << 4 | digit;
	}
	*key_out = (struct siphash_key){ .k0 = halves[0], .k1 = halves[1] };
	return true;
}

bool rate_store_open(struct engine *e, struct arena *a)
{
	struct str hex;

	buf_init(&e->pruned_key, BUCKET_TEXT_MAX);
	buf_init(&e->pruned_rule, BUCKET_TEXT_MAX);
	buf_init(&e->pruned_login, BUCKET_TEXT_MAX);
	return schema_meta(&e->db, S("known_key"), a, &hex) && parse_key(hex, &e->known_key);
}

void rate_store_close(struct engine *e)
{
	buf_fini(&e->pruned_key);
	buf_fini(&e->pruned_rule);
	buf_fini(&e->pruned_login);
}

/* ---- the recipients that a login has written to: two addresses with the same hash count as one, which does no harm ---- */

static struct db_value hash_of(struct engine *e, struct arena *a, struct str address)
{
	return INT(siphash(&e->known_key, arena_lower(a, address)));
}

void remember_recipients(struct engine *e, const struct accepted *m)
{
	/* A row is written again at most once a day. */
	uint64_t stale = m->received_at > DAY_MS ? m->received_at - DAY_MS : 0;

	for (size_t i = 0; i < m->recipients_n; i++)
		db_run(&e->db, Q_known_put, TEXT(m->envelope.login), hash_of(e, &e->host->arena, m->recipients[i].address),
		       INT(m->received_at), INT(stale));
}

void run_known(struct engine *e, struct request *r)
{
	uint64_t since = r->cursor > HALF_YEAR_MS ? r->cursor - HALF_YEAR_MS : 0;
	bool *known = ARENA_ARRAY(&r->arena, bool, r->max + 1);

	for (size_t i = 0; i < r->max; i++) {
		struct db_rows *q =
			db_query(&e->db, Q_known_get, TEXT(r->text), hash_of(e, &r->arena, r->in.addresses[i]), INT(since));

		known[i] = db_exists(&e->db, q);
	}
	r->out.rows = known;
	r->out.n = r->max;
}

/* ---- token buckets ---- */

void write_bucket(struct engine *e, const struct bucket_row *row)
{
	if (row->tat_us == 0 && row->warned_at == 0)
		db_run(&e->db, Q_bucket_forget, TEXT(row->key), TEXT(row->rule));
	else
		db_run(&e->db, Q_bucket_put, TEXT(row->key), TEXT(row->rule), INT(row->tat_us), INT(row->warned_at));
}

void put_buckets(struct engine *e, const struct bucket_row *rows, size_t n, struct request *r)
{
	if (charges_add(e, rows, n, r))
		return;
	for (size_t i = 0; i < n; i++)
		write_bucket(e, &rows[i]);
}

void run_bucket_put(struct engine *e, struct request *r)
{
	put_buckets(e, r->in.buckets, r->max, r);
}

/* Read at most `max` buckets that follow this one. */
static size_t read_buckets(struct engine *e, struct arena *a, struct str key, struct str rule, size_t max,
			   struct bucket_row *rows)
{
	struct db_rows *q = db_query(&e->db, Q_buckets_after, TEXT(key), TEXT(rule), INT(max));
	size_t n = 0;

	while (n < max && db_row(&e->db, q))
		rows[n++] = (struct bucket_row){
			.key = db_keep(a, q, 0), .rule = db_keep(a, q, 1), .tat_us = db_u64(q, 2), .warned_at = db_u64(q, 3)
		};
	db_end(q);
	return n;
}

void run_buckets(struct engine *e, struct request *r)
{
	size_t max = r->max < BUCKETS_PAGE ? r->max : BUCKETS_PAGE;
	struct bucket_row *rows = ARENA_ARRAY(&r->arena, struct bucket_row, max + 1);

	r->out.n = read_buckets(e, &r->arena, r->in.after, r->text, max, rows);
	r->out.rows = rows;
}

/* Forget buckets that were full again before that time: a bucket without a row is full. An index by time would cost a write with
 * each charge, so each call looks through the next part of the table instead. */
static size_t prune_buckets(struct engine *e, uint64_t before_us)
{
	struct bucket_row *rows = ARENA_ARRAY(&e->host->arena, struct bucket_row, BUCKETS_SEEN);
	size_t n = read_buckets(e, &e->host->arena, buf_view(&e->pruned_key), buf_view(&e->pruned_rule), BUCKETS_SEEN, rows),
	       gone = 0;

	buf_clear(&e->pruned_key);
	buf_clear(&e->pruned_rule);
	for (size_t i = 0; i < n; i++) {
		if (rows[i].tat_us >= before_us)
			continue;
		db_run(&e->db, Q_bucket_prune, TEXT(rows[i].key), TEXT(rows[i].rule), INT(before_us));
		gone++;
	}
	if (n == BUCKETS_SEEN && (!buf_add(&e->pruned_key, rows[n - 1].key) || !buf_add(&e->pruned_rule, rows[n - 1].rule)))
		buf_clear(&e->pruned_key); /* the name is too long to be remembered: begin again from the start */
	return gone;
}

/* ---- bans ---- */

void run_ban_put(struct engine *e, struct request *r)
{
	for (size_t i = 0; i < r->max; i++) {
		const struct ban_row *b = &r->in.bans[i];

		if (b->level == 0)
			db_run(&e->db, Q_ban_forget, TEXT(b->key));
		else
			db_run(&e->db, Q_ban_put, TEXT(b->key), INT(b->level), INT(b->until < INT64_MAX ? b->until : INT64_MAX),
			       TEXT(b->reason), INT(b->length_ms));
	}
}

void run_bans(struct engine *e, struct request *r)
{
	struct ban_row *rows = NULL;
	size_t n = 0, capacity = 0;
	struct db_rows *q = db_query(&e->db, Q_bans);

	while (db_row(&e->db, q)) {
		ARENA_GROW(&r->arena, rows, n, capacity);
		rows[n++] = (struct ban_row){ .key = db_keep(&r->arena, q, 0),
					      .level = db_u64(q, 1),
					      .until = db_u64(q, 2),
					      .reason = db_keep(&r->arena, q, 3),
					      .length_ms = db_u64(q, 4) };
	}
	r->out.rows = rows;
	r->out.n = n;
}

/* Forget older recipients of a login that has too many: in a random run of rows, those that are not newer than the average of
 * the run. Sorting all rows of the login would hold up the mail. */
static size_t drop_older(struct engine *e, struct str login, size_t max)
{
	struct sample {
		uint64_t hash, last_at;
	} *rows = ARENA_ARRAY(&e->host->arena, struct sample, 2 * max);
	struct db_rows *q = db_query(&e->db, Q_known_sample, TEXT(login), INT(random_u64()), INT(2 * max));
	uint64_t sum = 0;
	size_t n = 0, gone = 0;

	while (n < 2 * max && db_row(&e->db, q)) {
		rows[n] = (struct sample){ db_u64(q, 0), db_u64(q, 1) };
		sum += rows[n++].last_at;
	}
	db_end(q);
	for (size_t i = 0; i < n && gone < max; i++) {
		if (rows[i].last_at > sum / n)
			continue;
		db_run(&e->db, Q_known_drop, TEXT(login), INT(rows[i].hash));
		gone++;
	}
	return gone;
}

/* Check the next few logins; `max`: there is more to do at once. */
static size_t prune_known(struct engine *e, size_t max)
{
	for (unsigned i = 0; i < LOGINS_SEEN; i++) {
		struct db_rows *q = db_query(&e->db, Q_known_login, TEXT(buf_view(&e->pruned_login)));
		bool found = db_row(&e->db, q);
		struct str login = found ? db_keep(&e->host->arena, q, 0) : S("");

		db_end(q);
		if (found && db_exists(&e->db, db_query(&e->db, Q_known_beyond, TEXT(login), INT(KNOWN_MAX))))
			return drop_older(e, login, max) > 0 ? max : 0;
		buf_clear(&e->pruned_login);
		if (!found || !buf_add(&e->pruned_login, login)) {
			buf_clear(&e->pruned_login); /* all were checked, or the name is too long */
			return 0;
		}
	}
	return 0;
}

uint64_t rate_store_prune(struct engine *e, uint64_t before, size_t max)
{
	uint64_t now = clock_now_ms(), gone, most;

	most = prune_buckets(e, before * 1000);
	db_run(&e->db, Q_bans_forget, INT(before > WEEK_MS ? before - WEEK_MS : 0), INT(max));
	gone = db_changes(&e->db);
	most = gone > most ? gone : most;
	db_run(&e->db, Q_known_forget, INT(now > HALF_YEAR_MS ? now - HALF_YEAR_MS : 0), INT(max));
	gone = db_changes(&e->db);
	most = gone > most ? gone : most;
	gone = prune_known(e, max);
	return gone > most ? gone : most;
}
