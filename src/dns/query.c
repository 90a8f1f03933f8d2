/* query.c - one question to libunbound, and its answer.
 *
 * For each question that a name server does not answer, the library keeps a descriptor and 16 KiB for some seconds. A question
 * cannot be taken back, even when its look-up has been cancelled. So this file limits how many questions the library has. The
 * first questions of each look-up are asked before the later questions of all look-ups: a domain with twenty mail hosts whose
 * addresses are never answered must not delay other domains. */
#include "internal.h"

#include <stdlib.h>
#include <unbound.h>

#define CLASS_IN       1
#define RCODE_NOERROR  0
#define RCODE_SERVFAIL 2
#define RCODE_NXDOMAIN 3
#define CNAMES_MAX     16  /* in a row: longer chains are a fault of the zone */
#define REASON_MAX     200 /* bytes of the library's reason: it names parts of the answer */
#define BURST_MAX      50  /* questions within BURST_MS */
#define BURST_MS       10
#define UNHEARD_MS     60000  /* without an answer by the library for so long, a plain answer begins … */
#define PLAINLY_MS     600000 /* … a time of this length, in which plain questions come first */
#define FIRST_MAX      4      /* how many questions of a look-up are asked with priority */

/* A question that was given to the library. */
struct question {
	struct list in_dns;
	struct dns *dns;
	struct query *query; /* NULL: nobody waits for the answer any more */
};

enum security { INSECURE, BOGUS, SECURE }; /* as unbound-event.h numbers them */

static const char *type_name(unsigned type)
{
	static const struct {
		unsigned type;
		const char *name;
	} names[] = { { DNS_A, "A" },         { DNS_AAAA, "AAAA" }, { DNS_MX, "MX" },   { DNS_NS, "NS" },
		      { DNS_CNAME, "CNAME" }, { DNS_SOA, "SOA" },   { DNS_PTR, "PTR" }, { DNS_TXT, "TXT" },
		      { DNS_SRV, "SRV" },     { DNS_TLSA, "TLSA" }, { DNS_CAA, "CAA" } };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].type == type)
			return names[i].name;
	return "other";
}

static void fail(struct query *q, struct str why)
{
	q->why = why;
	q->verdict = temp(451, S("4.4.3"),
			  arena_printf(&q->lookup->arena, "no answer from DNS for %.*s (%s): %.*s", STR_ARG(q->name),
				       type_name(q->type), STR_ARG(why)));
}

/* Follow the CNAMEs of the answer, from the name of the question to q->owner (RFC 1034 3.6.2). False: the chain does not end. */
static bool follow_cnames(struct query *q, const struct dns_record *records, size_t n)
{
	q->owner = q->name;
	for (unsigned hops = 0; hops < CNAMES_MAX; hops++) {
		size_t i = 0;

		while (i < n &&
		       !(records[i].type == DNS_CNAME && records[i].class == CLASS_IN && str_eq(records[i].owner, q->owner)))
			i++;
		if (i == n)
			return true;
		q->owner = records[i].name;
	}
	return false;
}

/* RFC 1035 4.1.1, RFC 2136 2.2 */
static struct str rcode_text(struct arena *a, unsigned rcode)
{
	static const char *const texts[] = {
		[1] = "the server does not understand the question (FORMERR)",
		[2] = "server failure",
		[4] = "the server does not know this kind of question (NOTIMP)",
		[5] = "the server refuses to answer (REFUSED)",
		[9] = "the server is not the one of this zone (NOTAUTH)",
		[10] = "the name is not in the zone of the server (NOTZONE)",
	};

	if (rcode < sizeof texts / sizeof *texts && texts[rcode])
		return str_of(texts[rcode]);
	return arena_printf(a, "the server answers with code %u", rcode);
}

static void pick(struct query *q, const struct dns_answer *answer, bool secure)
{
	if (!follow_cnames(q, answer->records, answer->n)) {
		fail(q, S("its aliases (CNAME) do not end"));
		return;
	}
	q->verdict = ok();
	q->exists = answer->rcode == RCODE_NOERROR;
	q->secure = secure;
	q->records = ARENA_ARRAY(&q->lookup->arena, const struct dns_record *, answer->n + 1);
	q->ttl = answer->negative_ttl;
	for (size_t i = 0; i < answer->n; i++) {
		const struct dns_record *r = &answer->records[i];

		if (i == 0 || r->ttl < q->ttl)
			q->ttl = r->ttl;
		if (r->type == q->type && r->class == CLASS_IN && str_eq(r->owner, q->owner))
			q->records[q->n++] = r;
	}
}

/* Store the answer in the query. The packet belongs to the caller, so it is copied. */
static void take_answer(struct query *q, int rcode, struct str packet, int security, const char *why_bogus)
{
	struct arena *a = &q->lookup->arena;
	struct dns_answer answer;

	q->bogus = security == BOGUS;
	if (security == BOGUS)
		fail(q, arena_printf(a, "not authentic (DNSSEC): %.*s", REASON_MAX, why_bogus ? why_bogus : ""));
	else if (rcode != RCODE_NOERROR || packet.n == 0)
		fail(q, rcode_text(a, rcode == RCODE_NOERROR ? RCODE_SERVFAIL : (unsigned)rcode));
	else if (!dns_parse(a, arena_str(a, packet), &answer))
		fail(q, S("the answer is malformed"));
	else if (answer.rcode != RCODE_NOERROR && answer.rcode != RCODE_NXDOMAIN)
		fail(q, rcode_text(a, answer.rcode));
	else if (answer.referral)
		fail(q, S("the resolver only names other servers to ask"));
	else
		pick(q, &answer, security == SECURE);
}

static void close_query(struct query *q)
{
	q->open = false;
	if (--q->lookup->open == 0)
		uv_timer_start(&q->lookup->timer, q->lookup->step, 0, 0);
}

/* ---- asking ---- */

static void on_turn(uv_timer_t *timer);

static void wait_for_turn(struct dns *d, uint64_t ms)
{
	if (!uv_is_active((uv_handle_t *)&d->turn))
		uv_timer_start(&d->turn, on_turn, ms, 0);
}

static void end_question(struct question *u)
{
	struct dns *d = u->dns;

	list_remove(&u->in_dns);
	d->asked--;
	if (!list_empty(&d->first) || !list_empty(&d->more))
		wait_for_turn(d, 0); /* the library accepts no question within its callback */
	free(u);
}

/* Where the library has heard no answer for a minute, or never, later look-ups need not wait for it. */
static void on_plain_answer(struct query *q, struct str packet)
{
	struct dns *d = q->lookup->dns;
	uint64_t now = uv_now(d->base.loop);

	take_answer(q, RCODE_NOERROR, packet, INSECURE, NULL);
	if (q->verdict.class == OK && now >= d->plain_until && (d->heard_at == 0 || now - d->heard_at > UNHEARD_MS))
		d->plain_until = now + PLAINLY_MS;
	close_query(q);
}

static void on_answer(void *ctx, int rcode, void *packet, int packet_n, int security, char *why_bogus, int was_ratelimited)
{
	struct question *u = ctx;
	struct query *q = u->query;

	end_question(u);
	if (!q)
		return;
	q->question = NULL;
	take_answer(q, rcode, str_make(packet, packet && packet_n > 0 ? (size_t)packet_n : 0), security, why_bogus);
	if (q->verdict.class == OK)
		q->lookup->dns->heard_at = uv_now(q->lookup->dns->base.loop);
	else if (plain_ask(q, on_plain_answer))
		return;
	close_query(q);
}

static void ask(struct query *q)
{
	struct dns *d = q->lookup->dns;
	struct question *u = NEW(struct question);
	int error, id;

	u->dns = d;
	u->query = q;
	q->question = u;
	list_append(&d->questions, &u->in_dns);
	d->asked++;
	d->burst++;
	error = ub_resolve_event(d->ub, arena_cstr(&q->lookup->arena, q->name), (int)q->type, CLASS_IN, u, on_answer, &id);
	if (error == 0 || !q->open)
		return;
	q->question = NULL;
	end_question(u);
	fail(q, str_of(ub_strerror(error)));
	close_query(q);
}

/* Half of the room is kept for first questions. Bursts are limited because the socket of a resolver holds some hundred packets:
 * thousands of questions at one moment would be lost, and repeated at one moment. */
static bool has_room(struct dns *d, bool first)
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

void query_ask(struct query *q, struct dns_lookup *l, struct str name, unsigned type)
{
	struct dns *d = l->dns;
	bool first = l->open < FIRST_MAX;
	struct list *waiting = first ? &d->first : &d->more;

	*q = (struct query){ .lookup = l, .name = name, .type = type, .open = true };
	list_init(&q->in_waiting);
	l->open++;
	if (uv_now(d->base.loop) < d->plain_until && plain_ask(q, on_plain_answer))
		return;
	if (has_room(d, first) && list_empty(waiting))
		ask(q);
	else
		list_append(waiting, &q->in_waiting);
}

static void on_turn(uv_timer_t *timer)
{
	struct dns *d = timer->data;

	for (int first = 1; first >= 0; first--) {
		struct list *waiting = first ? &d->first : &d->more, *next;

		while (has_room(d, first) && (next = list_first(waiting)) != NULL) {
			list_remove(next);
			ask(CONTAINER_OF(next, struct query, in_waiting));
		}
	}
}

void questions_drop(struct dns *d)
{
	LIST_EACH (i, &d->questions)
		free(CONTAINER_OF(i, struct question, in_dns));
}

void query_give_up(struct query *q, struct str why)
{
	if (!q->open)
		return;
	query_cancel(q);
	fail(q, why);
}

void query_cancel(struct query *q)
{
	if (!q->open)
		return;
	list_remove(&q->in_waiting);
	if (q->question)
		q->question->query = NULL;
	q->question = NULL;
	if (q->plain)
		plain_cancel(q);
	q->open = false;
	q->lookup->open--;
}
