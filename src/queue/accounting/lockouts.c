/* lockouts.c - see failed_logins.h. */
#include "accounting/accounting.h"

#include "posthouse/clock.h"
#include "posthouse/policy.h"
#include "posthouse/units.h"

#include <stdlib.h>

#define LOCKOUTS_MAX  20000
#define SITE_MAX      256 /* of one login from one site: the number of networks of an IPv4 site */
#define SITE_TEXT_MAX 100

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

/* ---- shares ---- */

static struct share *share_join(struct accounting *acc, struct str key, struct share *login)
{
	struct share *s = HASHTABLE_NAMED(&acc->lockouts.shares, key, struct share, in_table, key);

	if (!s) {
		s = NEW(struct share);
		s->login = login;
		s->key = str_dup(key);
		list_init(&s->in_order);
		hashtable_add(&acc->lockouts.shares, &s->in_table, hash_text(key));
	}
	s->n++;
	return s;
}

static void share_leave(struct accounting *acc, struct share *s)
{
	if (--s->n > 0)
		return;
	hashtable_remove(&acc->lockouts.shares, &s->in_table);
	free(s->key);
	free(s);
}

static struct lockout *oldest(const struct share *site)
{
	return CONTAINER_OF(list_first(&site->in_order), struct lockout, in_order);
}

/* Of the login's sites, or of all logins (NULL), the one that has most; of sites that have as many, the oldest. */
static struct share *greatest(struct accounting *acc, const struct share *login)
{
	struct share *best = NULL;

	HASHTABLE_EACH_OF (struct share, s, &acc->lockouts.shares, in_table) {
		if (s->login != login)
			continue;
		if (!best || s->n > best->n || (login && s->n == best->n && oldest(s)->since < oldest(best)->since))
			best = s;
	}
	return best;
}

/* ---- lockouts ---- */

static void drop(struct accounting *acc, struct lockout *l)
{
	hashtable_remove(&acc->lockouts.table, &l->in_table);
	list_remove(&l->in_order);
	share_leave(acc, l->site->login);
	share_leave(acc, l->site);
	free(l->key);
	free(l);
}

void lockouts_fini(struct accounting *acc)
{
	HASHTABLE_EACH (i, &acc->lockouts.table)
		drop(acc, CONTAINER_OF(i, struct lockout, in_table));
	hashtable_fini(&acc->lockouts.table);
	hashtable_fini(&acc->lockouts.shares);
}

static void begin(struct accounting *acc, struct arena *a, struct str key, struct str login, struct str network, uint64_t now)
{
	struct lockout *l = NEW(struct lockout);
	struct str whose = login_key(a, login), site = site_of(a, str_head(network, str_find(network, '/')));
	struct share *share;

	share = share_join(acc, whose, NULL);
	share = share_join(acc, arena_printf(a, "%.*s %.*s", STR_ARG(whose), STR_ARG(str_head(site, SITE_TEXT_MAX))), share);
	l->site = share;
	l->key = str_dup(key);
	l->since = now;
	hashtable_add(&acc->lockouts.table, &l->in_table, hash_text(key));
	list_append(&share->in_order, &l->in_order);
	if (acc->lockouts.table.n > LOCKOUTS_MAX)
		share = greatest(acc, greatest(acc, NULL));
	else if (share->n <= SITE_MAX)
		return;
	drop(acc, oldest(share));
}

uint64_t lockout_ms(struct accounting *acc, struct arena *a, struct str login, struct str device, struct str network,
		    uint64_t now)
{
	struct str key = turn_key(a, login, device, network);
	struct lockout *l = HASHTABLE_NAMED(&acc->lockouts.table, key, struct lockout, in_table, key);
	uint64_t left = HOUR_MS;

	if (l) {
		l->since = clock_mended(l->since, now, 0);
		left = now - l->since < HOUR_MS ? HOUR_MS - (now - l->since) : 0;
	} else {
		begin(acc, a, key, login, network, now);
	}
	if (left == 0)
		drop(acc, l);
	return left;
}
