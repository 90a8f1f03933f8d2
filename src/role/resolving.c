/* resolving.c - see resolving.h. */
#include "posthouse/resolving.h"

#include "posthouse/clock.h"

#include <stdlib.h>

struct name_question {
	struct list link; /* resolving->unasked */
	struct resolving *resolving;
	uint64_t call; /* 0: it is not asked */
	struct arena arena;
	struct dns_query about;
	uint64_t due;
	struct dns_waiter *waiter;
};

static void ask(struct name_question *q);

static void question_free(struct name_question *q)
{
	ipc_cancel(q->call);
	list_remove(&q->link);
	arena_fini(&q->arena);
	free(q);
}

static void on_resolved(void *ctx, struct verdict v, const struct msg_resolved *m, int fd)
{
	struct name_question *q = ctx;
	struct dns_waiter *w = q->waiter;
	struct dns_reply reply;

	q->call = 0;
	if (!m) { /* the role has ended without an answer: its next process is asked */
		ask(q);
		return;
	}
	question_free(q);
	w->question = NULL;
	reply = (struct dns_reply){ .why = m->why,
				    .rcode = (unsigned)(m->rcode & 0xffff),
				    .packet = m->packet,
				    .security = m->security == DNS_SECURE  ? DNS_SECURE
						: m->security == DNS_BOGUS ? DNS_BOGUS
									   : DNS_INSECURE };
	w->answered(w, &reply);
}

static void ask(struct name_question *q)
{
	struct channel *ch = role_peer(q->resolving->role, ROLE_RESOLVER, 0);
	uint64_t now = clock_mono_ms();
	struct msg_resolve m = {
		.name = q->about.name, .type = q->about.type, .first = q->about.first, .limit_ms = q->due > now ? q->due - now : 0
	};

	if (ch)
		q->call = ipc_call_resolve(ch, &m, -1, on_resolved, q);
	else
		list_append(&q->resolving->unasked, &q->link);
}

static void ask_name(void *ctx, const struct dns_query *about, struct dns_waiter *w)
{
	struct name_question *q = NEW(struct name_question);

	list_init(&q->link);
	q->resolving = ctx;
	q->waiter = w;
	q->about = *about;
	q->about.name = arena_str(&q->arena, about->name);
	q->due = clock_mono_ms() + about->limit_ms;
	w->question = q;
	ask(q);
}

static void drop_name(void *ctx, struct dns_waiter *w)
{
	question_free(w->question);
	w->question = NULL;
}

struct dns *resolving_start(struct resolving *s, struct role *r)
{
	struct dns_source source = { .ask = ask_name, .drop = drop_name, .ctx = s };

	s->role = r;
	list_init(&s->unasked);
	return dns_new(role_loop(r), &source, true, true);
}

void resolving_peer_up(struct resolving *s, struct channel *ch)
{
	if (channel_peer(ch) != ROLE_RESOLVER)
		return;
	LIST_EACH_OF (struct name_question, q, &s->unasked, link) {
		list_remove(&q->link);
		ask(q);
	}
}
