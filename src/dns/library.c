/* library.c - questions to libunbound, and without it to the same name servers (plain.c) where it gets no good answer.
 *
 * For each question that a name server does not answer, the library keeps a descriptor and 16 KiB for some seconds. A question
 * cannot be taken back, even when nobody waits for it any more. So this file limits how many questions the library has. */
#include "library.h"

#include <stdlib.h>
#include <unbound.h>

#define CLASS_IN       1
#define RCODE_NOERROR  0
#define RCODE_SERVFAIL 2
#define RCODE_NXDOMAIN 3
#define BURST_MAX      50 /* questions within BURST_MS */
#define BURST_MS       10
#define UNHEARD_MS     60000  /* without an answer by the library for so long, a plain answer begins … */
#define PLAINLY_MS     600000 /* … a time of this length, in which plain questions come first */

static void on_turn(uv_timer_t *timer);

static void question_free(struct question *u)
{
	if (u->gone)
		*u->gone = true;
	list_remove(&u->link);
	arena_fini(&u->arena);
	free(u);
}

/* The end of a question; nobody waits for it any more when its waiter is NULL. */
static void finish(struct question *u, const struct dns_reply *reply)
{
	struct dns_waiter *w = u->waiter;

	question_free(u);
	if (!w)
		return;
	w->question = NULL;
	w->answered(w, reply);
}

/* Is it an answer about the name, be it that there is none? */
static bool says_something(const struct dns_reply *reply)
{
	struct arena a = { 0 };
	struct dns_answer answer;
	bool says = reply->why.n == 0 && reply->security != DNS_BOGUS && reply->rcode == RCODE_NOERROR && reply->packet.n > 0 &&
		    dns_parse(&a, reply->packet, &answer) && (answer.rcode == RCODE_NOERROR || answer.rcode == RCODE_NXDOMAIN) &&
		    !answer.referral;

	arena_fini(&a);
	return says;
}

/* ---- asking the library ---- */

static void wait_for_turn(struct dns_library *d, uint64_t ms)
{
	if (!uv_is_active((uv_handle_t *)&d->turn))
		uv_timer_start(&d->turn, on_turn, ms, 0);
}

static void left_library(struct question *u)
{
	struct dns_library *d = u->library;

	list_remove(&u->link);
	u->given = false;
	d->asked--;
	if (!list_empty(&d->first) || !list_empty(&d->more))
		wait_for_turn(d, 0); /* the library accepts no question within its callback */
}

/* Where the library has heard no answer for a minute, or never, later questions need not wait for it. */
static void on_plain_answer(struct question *u, struct str packet)
{
	struct dns_library *d = u->library;
	struct dns_reply reply = { .packet = packet, .why = packet.n == 0 ? S("time is over") : S("") };
	uint64_t now = uv_now(d->base.loop);

	if (says_something(&reply) && now >= d->plain_until && (d->heard_at == 0 || now - d->heard_at > UNHEARD_MS))
		d->plain_until = now + PLAINLY_MS;
	finish(u, &reply);
}

static void on_answer(void *ctx, int rcode, void *packet, int packet_n, int security, char *why_bogus, int was_ratelimited)
{
	struct question *u = ctx;
	struct dns_reply reply = { .rcode = (unsigned)rcode,
				   .packet = str_make(packet, packet && packet_n > 0 ? (size_t)packet_n : 0),
				   .security = (enum dns_security)security,
				   .why = security == DNS_BOGUS && why_bogus ? str_of(why_bogus) : S("") };

	left_library(u);
	if (!u->waiter) {
		question_free(u);
		return;
	}
	if (says_something(&reply))
		u->library->heard_at = uv_now(u->library->base.loop);
	else if (plain_ask(u, on_plain_answer))
		return;
	finish(u, &reply);
}

static void ask(struct question *u)
{
	struct dns_library *d = u->library;
	struct dns_reply reply = { .rcode = RCODE_SERVFAIL };
	bool gone = false; /* the answer can come before the return */
	int error, id;

	list_append(&d->questions, &u->link);
	u->given = true;
	u->gone = &gone;
	d->asked++;
	d->burst++;
	error = ub_resolve_event(d->ub, arena_cstr(&u->arena, u->name), (int)u->type, CLASS_IN, u, on_answer, &id);
	if (gone)
		return;
	u->gone = NULL;
	if (error == 0)
		return;
	left_library(u);
	reply.why = str_of(ub_strerror(error));
	finish(u, &reply);
}

/* Half of the room is kept for first questions. Bursts are limited because the socket of a resolver holds some hundred packets:
 * thousands of questions at one moment would be lost, and repeated at one moment. */
static bool has_room(struct dns_library *d, bool first)
{
	uint64_t now = uv_now(d->base.loop);

	if (d->asked >= (first ? d->asked_max : d->asked_max / 2))
		return false;
	if (now - d->burst_at >= BURST_MS) {
		d->burst_at = now;
		d->burst = 0;
	}
	if (d->burst < BURST_MAX)
		return true;
	wait_for_turn(d, BURST_MS);
	return false;
}

static void on_turn(uv_timer_t *timer)
{
	struct dns_library *d = timer->data;

	for (int first = 1; first >= 0; first--) {
		struct list *waiting = first ? &d->first : &d->more, *next;

		while (has_room(d, first) && (next = list_first(waiting)) != NULL) {
			list_remove(next);
			ask(CONTAINER_OF(next, struct question, link));
		}
	}
}

void dns_library_ask(struct dns_library *d, const struct dns_query *q, struct dns_waiter *w)
{
	struct list *waiting = q->first ? &d->first : &d->more;
	struct question *u = NEW(struct question);

	u->library = d;
	u->waiter = w;
	u->name = arena_str(&u->arena, q->name);
	u->type = q->type;
	u->deadline = uv_now(d->base.loop) + q->limit_ms;
	list_init(&u->link);
	w->question = u;
	if (uv_now(d->base.loop) < d->plain_until && plain_ask(u, on_plain_answer))
		return;
	if (has_room(d, q->first) && list_empty(waiting))
		ask(u);
	else
		list_append(waiting, &u->link);
}

/* The library itself keeps the question until it has ended. */
void dns_library_drop(struct dns_waiter *w)
{
	struct question *u = w->question;

	w->question = NULL;
	u->waiter = NULL;
	if (u->plain)
		plain_cancel(u);
	else if (u->given)
		return;
	question_free(u);
}

void questions_drop(struct dns_library *d)
{
	struct list *lists[] = { &d->questions, &d->first, &d->more };

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		LIST_EACH (at, lists[i])
			question_free(CONTAINER_OF(at, struct question, link));
}
