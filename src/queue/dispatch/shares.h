/* shares.h - entries of a route that have weights and stand next to each other are one step of its order: its deliveries are
 * divided among them by weight. The counters belong to the text of the step ("ses:3,mailgun:1"): the same step in several routes,
 * or after a reload, goes on counting; a restart begins at 0. */
#ifndef QUEUE_SHARES_H
#define QUEUE_SHARES_H

#include "posthouse/config.h"
#include "posthouse/hashtable.h"

struct dispatch;

/* One entry of a step. Each delivery moves it on by the reciprocal of its weight; the entry that is furthest behind is next. */
struct share {
	struct step *step;
	struct via via;
	uint64_t position; /* wraps */
	uint64_t sent;     /* deliveries that were not given back */
	bool is_closed;    /* when it was last looked at */
};

struct step {
	struct hashtable_item in_table;
	char *name; /* its entries with commas between */
	size_t n;
	struct share shares[];
};

/* The counters of the step that begins with number `first`; NULL when that entry has no weight. They live as long as `d`. */
struct step *step_get(struct dispatch *d, const struct str_list *via, size_t first);
void steps_fini(struct dispatch *d);

bool share_is_behind(const struct share *a, const struct share *b);

/* A delivery goes by this share (NULL: the entry has no weight). Shares that are closed come along: they do not catch up when
 * they open again. / The delivery came to nothing; sets it to NULL. */
void share_take(struct share *s);
void share_return(struct share **s);

void steps_stats(struct dispatch *d);

#endif
