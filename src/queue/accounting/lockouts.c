/* lockouts.c - see lockouts.h. */
#include "queue.h"

#include "posthouse/clock.h"
#include "posthouse/policy.h"

#include <stdlib.h>

#define LOCKOUTS_MAX  20000
#define SITE_MAX      256 /* of one login from one site: as many as an IPv4 one has networks */
#define SITE_TEXT_MAX 100
#define HOUR_MS       (3600 * 1000ull)

/* How many a login has; how many it has from one site. */
struct share {
	struct hashtable_item in_table;
	struct share *login;  /* of a site's: the login's */
	struct list in_order; /* of a site's: struct lockout, the oldest first */
	char *key;
	size_t n;
};

struct lockout {
	struct hashtable_item in_table;
	struct list in_order;
	struct share *site;
	char *key;
	uint64_t since;
};

void lockouts_init(struct queue *q)
{
}

/* ---- shares ---- */

static struct share *share_join(struct queue *q, struct str key, struct share *login)
{
	uint64_t hash = hash_text(key);
	struct share *s;

	HASHTABLE_FIND (i, &q->lockouts.shares, hash) {
		s = CONTAINER_OF(i, struct share, in_table);
		if (str_eq(str_of(s->key), key)) {
			s->n++;
			return s;
		}
	}
	s = NEW(struct share);
	s->login = login;
	s->key = copy_text(key);
	s->n = 1;
	list_init(&s->in_order);
	hashtable_add(&q->lockouts.shares, &s->in_table, hash);
	return s;
}

static void share_leave(struct queue *q, struct share *s)
{
	if (--s->n > 0)
		return;
	hashtable_remove(&q->lockouts.shares, &s->in_table);
	free(s->key);
	free(s);
}

static struct lockout *oldest(const struct share *site)
{
	return CONTAINER_OF(list_first(&site->in_order), struct lockout, in_order);
}

/* Of the login's sites, or of all logins (NULL), the one that has most; of sites that have as many, the oldest. */
static struct share *greatest(struct queue *q, const struct share *login)
{
	struct share *best = NULL;

	HASHTABLE_EACH (i, &q->lockouts.shares) {
		struct share *s = CONTAINER_OF(i, struct share, in_table);

		if (s->login != login)
			continue;
		if (!best || s->n > best->n || (login && s->n == best->n && oldest(s)->since < oldest(best)->since))
			best = s;
	}
	return best;
}

/* ---- lockouts ---- */

static void drop(struct queue *q, struct lockout *l)
{
	hashtable_remove(&q->lockouts.table, &l->in_table);
	list_remove(&l->in_order);
	share_leave(q, l->site->login);
	share_leave(q, l->site);
	free(l->key);
	free(l);
}

void lockouts_fini(struct queue *q)
{
	HASHTABLE_EACH (i, &q->lockouts.table)
		drop(q, CONTAINER_OF(i, struct lockout, in_table));
	hashtable_fini(&q->lockouts.table);
	hashtable_fini(&q->lockouts.shares);
}

static struct lockout *find(struct queue *q, struct str key)
{
	uint64_t hash = hash_text(key);

	HASHTABLE_FIND (i, &q->lockouts.table, hash) {
		struct lockout *l = CONTAINER_OF(i, struct lockout, in_table);

		if (str_eq(str_of(l->key), key))
			return l;
	}
	return NULL;
}

static void begin(struct queue *q, struct str key, struct str login, struct str network, uint64_t now)
{
	struct lockout *l = NEW(struct lockout);
	struct arena a = { 0 };
	struct str whose = login_key(&a, login), site = site_of(&a, str_head(network, str_find(network, '/')));
	struct share *share;

	share = share_join(q, whose, NULL);
	share = share_join(q, arena_printf(&a, "%.*s %.*s", STR_ARG(whose), STR_ARG(str_head(site, SITE_TEXT_MAX))), share);
	l->site = share;
	l->key = copy_text(key);
	l->since = now;
	hashtable_add(&q->lockouts.table, &l->in_table, hash_text(key));
	list_append(&share->in_order, &l->in_order);
	arena_fini(&a);
	if (q->lockouts.table.n > LOCKOUTS_MAX)
		share = greatest(q, greatest(q, NULL));
	else if (share->n <= SITE_MAX)
		return;
	drop(q, oldest(share));
}

uint64_t lockout_ms(struct queue *q, struct str login, struct str device, struct str network, uint64_t now)
{
	struct arena a = { 0 };
	struct str key = turn_key(&a, login, device, network);
	struct lockout *l = find(q, key);
	uint64_t left = HOUR_MS;

	if (l)
		l->since = clock_mended(l->since, now, 0);
	else
		begin(q, key, login, network, now);
	if (l)
		left = now - l->since < HOUR_MS ? HOUR_MS - (now - l->since) : 0;
	if (left == 0)
		drop(q, l);
	arena_fini(&a);
	return left;
}
