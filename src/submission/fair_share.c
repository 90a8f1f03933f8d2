/* fair_share.c - fair shares of the loop. A session that has used its share waits, and in each round of the loop the waiting
 * sessions get a little time in turn. So rounds stay short, however many sessions wait, and all others are served in each
 * round. Of the costly work (handshakes, which need the private key, and floods of input) only a little is begun in a round,
 * in the order of arrival. */
#include "fair_share.h"

#include "session.h"

#define SHARE           16   /* events at once: a message and more; */
#define TEXT_PER_EVENT  4096 /* so many bytes of text cost as much as one, */
#define REPLY_PER_EVENT 1024 /* and so many bytes of replies: a pipelined flood of NOOPs is answered without events */
#define ROUND_NS        1000000
#define COSTLY_ROUND    2

bool fair_share_spend(struct session *s, unsigned events, size_t text_bytes, size_t reply_bytes)
{
	uint64_t now = uv_now(s->sub->loop); /* the same value within a round; two short rounds in a millisecond count as one */
	size_t cost = events + text_bytes / TEXT_PER_EVENT + reply_bytes / REPLY_PER_EVENT;

	if (s->share_at != now)
		s->share = SHARE;
	s->share_at = now;
	s->share = cost < s->share ? s->share - (unsigned)cost : 0;
	return s->share == 0;
}

/* Called once in each round of the loop while sessions wait; the loop does not sleep meanwhile. */
static void on_round(uv_idle_t *round)
{
	struct submission *sub = round->data;
	uint64_t end = uv_hrtime() + ROUND_NS;
	struct list *i;

	do {
		i = list_first(&sub->fair_share.waiting);
		if (i == NULL)
			break;
		list_remove(i);
		CONTAINER_OF(i, struct session, turn)->share = SHARE;
		sub->ops->turn(CONTAINER_OF(i, struct session, turn));
	} while (uv_hrtime() < end);
	for (unsigned k = 0; k < COSTLY_ROUND && (i = list_first(&sub->fair_share.costly)) != NULL; k++) {
		list_remove(i);
		sub->ops->costly_turn(CONTAINER_OF(i, struct session, turn));
	}
	if (list_empty(&sub->fair_share.waiting) && list_empty(&sub->fair_share.costly))
		uv_idle_stop(round);
}

void fair_share_init(struct submission *sub)
{
	list_init(&sub->fair_share.waiting);
	list_init(&sub->fair_share.costly);
	uv_idle_init(sub->loop, &sub->fair_share.round);
	sub->fair_share.round.data = sub;
}

void fair_share_wait(struct session *s)
{
	list_append(&s->sub->fair_share.waiting, &s->turn);
	uv_idle_start(&s->sub->fair_share.round, on_round);
}

void fair_share_wait_costly(struct session *s)
{
	if (!list_empty(&s->turn))
		return;
	list_append(&s->sub->fair_share.costly, &s->turn);
	uv_idle_start(&s->sub->fair_share.round, on_round);
}
