/* tlsa.c - the TLSA records of a server (RFC 7672 2.2.2, 2.2.3).
 *
 * Addresses come first. Where these are insecure, the records are not asked for, unless the host is an alias and this alias
 * itself is secure. The end of a secure alias comes before the host's own name. What has no answer, or a bogus one, is a failure
 * of the whole: it must not look as if there were no records (2.1.2). */
#include "internal.h"

static void report(struct dns_lookup *l, struct dns_tlsa found)
{
	lookup_end(l);
	l->tlsa.done(l->ctx, &found);
}

static void report_none(struct dns_lookup *l)
{
	report(l, (struct dns_tlsa){ .state = DNS_TLSA_NONE });
}

static void report_failure(struct dns_lookup *l, struct str why)
{
	report(l, (struct dns_tlsa){ .state = DNS_TLSA_FAILED, .why = why });
}

static void ask(struct dns_lookup *l, struct str name, unsigned type)
{
	l->type = type;
	query_ask(&l->mx, l, name, type);
	lookup_await(l, LOOKUP_ASKED);
}

/* A name that is too long for a question has no records either. */
static void ask_next_base(struct dns_lookup *l)
{
	while (l->tlsa.at < l->tlsa.bases_n) {
		struct str base = l->tlsa.bases[l->tlsa.at++];
		struct str name = arena_printf(&l->arena, "_%u._tcp.%.*s", l->port, STR_ARG(base));

		if (dns_is_askable(name)) {
			ask(l, name, DNS_TLSA);
			return;
		}
	}
	report_none(l);
}

/* RFC 7672 2.2.2: "Non-CNAME", "Insecure CNAME" and "Secure CNAME". */
static void choose_bases(struct dns_lookup *l)
{
	bool alias = !str_eq(l->tlsa.end, l->domain);

	if (!l->tlsa.secure && alias) {
		ask(l, l->domain, DNS_CNAME);
		return;
	}
	if (l->tlsa.secure && alias)
		l->tlsa.bases[l->tlsa.bases_n++] = l->tlsa.end;
	if (l->tlsa.secure)
		l->tlsa.bases[l->tlsa.bases_n++] = l->domain;
	ask_next_base(l);
}

static void begin(struct dns_lookup *l)
{
	l->deadline = uv_now(l->dns->loop) + l->limit_ms;
	if (!dns_is_askable(l->domain)) {
		report_none(l);
		return;
	}
	if (l->tlsa.known) {
		choose_bases(l);
		return;
	}
	l->hosts = ARENA_NEW(&l->arena, struct host);
	l->hosts_n = 1;
	l->hosts[0].name = l->domain;
	host_begin(l, &l->hosts[0]);
	lookup_await(l, LOOKUP_ADDRESSES);
}

/* Where one family has an answer, the other one can be without: some name servers never answer about IPv6. */
static void addresses_known(struct dns_lookup *l)
{
	const struct query *failed = NULL;
	bool answered = false;

	host_give_up(&l->hosts[0]);
	for (unsigned family = 0; family < 2; family++) {
		const struct query *q = &l->hosts[0].queries[family];

		if (q->lookup && q->bogus) {
			report_failure(l, q->why);
			return;
		}
		if (q->lookup && q->verdict.class != OK)
			failed = q;
		answered = answered || (q->lookup && q->verdict.class == OK);
	}
	if (!answered && failed) {
		report_failure(l, failed->why);
		return;
	}
	l->tlsa.secure = host_secure(&l->hosts[0], &l->tlsa.end);
	choose_bases(l);
}

static void answered(struct dns_lookup *l)
{
	const struct query *q = &l->mx;

	query_give_up(&l->mx, S("time is over"));
	if (q->verdict.class != OK) {
		report_failure(l, q->why);
	} else if (l->type == DNS_CNAME) {
		if (q->secure)
			l->tlsa.bases[l->tlsa.bases_n++] = l->domain;
		ask_next_base(l);
	} else if (q->secure && q->n > 0) {
		report(l, (struct dns_tlsa){ .state = DNS_TLSA_THERE,
					     .base = l->tlsa.bases[l->tlsa.at - 1],
					     .records = q->records,
					     .n = q->n });
	} else {
		ask_next_base(l);
	}
}

static void on_step(uv_timer_t *timer)
{
	struct dns_lookup *l = timer->data;

	switch (l->state) {
	case LOOKUP_NEW: begin(l); break;
	case LOOKUP_ADDRESSES: addresses_known(l); break;
	case LOOKUP_ASKED: answered(l); break;
	case LOOKUP_MX:
	case LOOKUP_DONE: break;
	}
}

struct dns_lookup *dns_tlsa(struct dns *d, const struct dns_tlsa_query *q, dns_tlsa_fn done, void *ctx)
{
	struct dns_lookup *l = lookup_new(d, q->host, on_step, ctx);

	l->domain = arena_lower(&l->arena, l->domain);
	l->port = q->port;
	l->limit_ms = q->limit_ms;
	l->tlsa.done = done;
	l->tlsa.known = q->known;
	l->tlsa.secure = q->secure;
	l->tlsa.end = arena_lower(&l->arena, q->end);
	return l;
}
