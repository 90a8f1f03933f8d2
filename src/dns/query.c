/* query.c - one question to libunbound, and what its answer says. */
#include "internal.h"

#include <stdio.h>
#include <unbound.h>

#define CLASS_IN       1
#define RCODE_NOERROR  0
#define RCODE_SERVFAIL 2
#define RCODE_NXDOMAIN 3
#define CNAMES_MAX     16  /* in a row: longer chains are a fault of the zone */
#define REASON_MAX     200 /* bytes of the library's reason: it names parts of the answer */

enum security { INSECURE, BOGUS, SECURE }; /* as unbound-event.h numbers them */

static const char *type_name(enum dns_type type)
{
	switch (type) {
	case DNS_A: return "A";
	case DNS_AAAA: return "AAAA";
	case DNS_MX: return "MX";
	default: return "?"; /* nothing else is asked for */
	}
}

/* No answer now. */
static void fail(struct query *q, struct str why)
{
	q->verdict = temp(451, S("4.4.3"),
			  arena_printf(&q->lookup->arena, "no answer from DNS for %.*s (%s): %.*s", STR_ARG(q->name),
				       type_name(q->type), STR_ARG(why)));
}

/* Where the CNAMEs of the answer lead from the name that was asked for (RFC 1034 3.6.2); false: in circles. */
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

/* The records that answer the question. */
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
	for (size_t i = 0; i < answer->n; i++) {
		const struct dns_record *r = &answer->records[i];

		if (r->type == q->type && r->class == CLASS_IN && str_eq(r->owner, q->owner))
			q->records[q->n++] = r;
	}
}

/* What the library says, into the question. The packet is the library's: all that is kept is copied. */
static void take_answer(struct query *q, int rcode, struct str packet, int security, const char *why_bogus)
{
	struct arena *a = &q->lookup->arena;
	struct dns_answer answer;

	if (security == BOGUS)
		fail(q, arena_printf(a, "not authentic (DNSSEC): %.*s", REASON_MAX, why_bogus ? why_bogus : ""));
	else if (rcode == RCODE_SERVFAIL || packet.n == 0)
		fail(q, S("server failure"));
	else if (rcode != RCODE_NOERROR)
		fail(q, arena_printf(a, "response code %d", rcode));
	else if (!dns_parse(a, arena_str(a, packet), &answer))
		fail(q, S("the answer is malformed"));
	else if (answer.rcode != RCODE_NOERROR && answer.rcode != RCODE_NXDOMAIN)
		fail(q, arena_printf(a, "response code %u", answer.rcode));
	else if (answer.referral)
		fail(q, S("the resolver only names other servers to ask"));
	else
		pick(q, &answer, security == SECURE);
}

static void close_query(struct query *q)
{
	q->open = false;
	if (--q->lookup->open == 0)
		lookup_answered(q->lookup);
}

static void on_answer(void *ctx, int rcode, void *packet, int packet_n, int security, char *why_bogus, int was_ratelimited)
{
	struct query *q = ctx;

	take_answer(q, rcode, str_make(packet, packet && packet_n > 0 ? (size_t)packet_n : 0), security, why_bogus);
	close_query(q);
}

void query_ask(struct query *q, struct dns_lookup *l, struct str name, enum dns_type type)
{
	int error;

	*q = (struct query){ .lookup = l, .name = name, .type = type, .open = true };
	l->open++;
	error = ub_resolve_event(l->dns->ub, arena_cstr(&l->arena, name), (int)type, CLASS_IN, q, on_answer, &q->id);
	if (error != 0 && q->open) {
		fail(q, str_of(ub_strerror(error)));
		close_query(q);
	}
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
	ub_cancel(q->lookup->dns->ub, q->id);
	q->open = false;
	q->lookup->open--;
}
