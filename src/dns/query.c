/* query.c - one question of a look-up, and what its answer says. Who asks the name servers: struct dns_source. */
#include "internal.h"

#define CLASS_IN       1
#define RCODE_NOERROR  0
#define RCODE_SERVFAIL 2
#define RCODE_NXDOMAIN 3
#define CNAMES_MAX     16  /* in a row: longer chains are a fault of the zone */
#define REASON_MAX     200 /* bytes of the reason for a failed validation: it names parts of the answer */
#define FIRST_MAX      4   /* how many questions of a look-up are asked with priority */

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

/* Store the answer in the query. */
static void take_answer(struct query *q, const struct dns_reply *reply)
{
	struct arena *a = &q->lookup->arena;
	struct dns_answer answer;

	q->bogus = reply->security == DNS_BOGUS;
	if (q->bogus)
		fail(q, arena_printf(a, "not authentic (DNSSEC; delivery.unsigned_zones excepts zones of your own network): %.*s",
				     STR_ARG(str_head(reply->why, REASON_MAX))));
	else if (reply->why.n > 0)
		fail(q, arena_str(a, str_head(reply->why, REASON_MAX)));
	else if (reply->rcode != RCODE_NOERROR || reply->packet.n == 0)
		fail(q, rcode_text(a, reply->rcode == RCODE_NOERROR ? RCODE_SERVFAIL : reply->rcode));
	else if (!dns_parse(a, arena_str(a, reply->packet), &answer))
		fail(q, S("the answer is malformed"));
	else if (answer.rcode != RCODE_NOERROR && answer.rcode != RCODE_NXDOMAIN)
		fail(q, rcode_text(a, answer.rcode));
	else if (answer.referral)
		fail(q, S("the resolver only names other servers to ask"));
	else
		pick(q, &answer, reply->security == DNS_SECURE);
}

static void on_answered(struct dns_waiter *w, const struct dns_reply *reply)
{
	struct query *q = CONTAINER_OF(w, struct query, waiter);

	take_answer(q, reply);
	q->open = false;
	if (--q->lookup->open == 0)
		uv_timer_start(&q->lookup->timer, q->lookup->step, 0, 0);
}

/* The first questions of each look-up come before the later ones of all look-ups: a domain with twenty mail hosts whose
 * addresses are never answered must not delay other domains. */
void query_ask(struct query *q, struct dns_lookup *l, struct str name, unsigned type)
{
	struct dns *d = l->dns;
	uint64_t now = uv_now(d->loop);
	struct dns_query question = {
		.name = name, .type = type, .limit_ms = l->deadline > now ? l->deadline - now : 0, .first = l->open < FIRST_MAX
	};

	*q = (struct query){ .lookup = l, .name = name, .type = type, .open = true, .waiter.answered = on_answered };
	l->open++;
	d->source.ask(d->source.ctx, &question, &q->waiter);
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
	struct dns *d;

	if (!q->open)
		return;
	d = q->lookup->dns;
	if (q->waiter.question)
		d->source.drop(d->source.ctx, &q->waiter);
	q->open = false;
	q->lookup->open--;
}
