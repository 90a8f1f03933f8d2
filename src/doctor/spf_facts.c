/* spf_facts.c - SPF over the facts of a run, and the record that a domain should have. */
#include "txt.h"

#include "posthouse/policy.h"

static enum spf_dns state_of(enum fact_state s)
{
	static const enum spf_dns states[] = {
		[FACT_PENDING] = SPF_DNS_PENDING, [FACT_THERE] = SPF_DNS_THERE,   [FACT_EMPTY] = SPF_DNS_EMPTY,
		[FACT_NO_NAME] = SPF_DNS_NO_NAME, [FACT_UNKNOWN] = SPF_DNS_ERROR,
	};

	return states[s];
}

static struct spf_answer look_up(void *ctx, struct str name, unsigned type)
{
	struct doctor *d = ctx;
	const struct fact_dns *f = facts_dns(d, VIEW_WORLD, name, type);
	struct str *values = ARENA_ARRAY(doctor_arena(d), struct str, f->n);

	for (size_t i = 0; i < f->n; i++)
		values[i] = f->records[i].text;
	return (struct spf_answer){ .state = state_of(f->state), .values = values, .n = f->n };
}

struct spf_found spf_record_of(struct doctor *d, struct str domain)
{
	struct spf_found found = { .fact = facts_dns(d, VIEW_WORLD, domain, DNS_TXT), .text = S("") };

	for (size_t i = 0; i < found.fact->n; i++)
		if (spf_is_record(found.fact->records[i].text) && found.n++ == 0)
			found.text = found.fact->records[i].text;
	return found;
}

static void ask(struct doctor *d, struct spf_question *q, struct spf_outcome *out)
{
	q->helo = doctor_config(d)->hostname;
	q->lookup = look_up;
	q->ctx = d;
	spf_check(doctor_arena(d), q, out);
}

void spf_ask(struct doctor *d, struct str address, struct str sender, struct str domain, bool whole, struct spf_outcome *out)
{
	struct spf_question q = { .address = address, .sender = sender, .domain = domain, .whole = whole };

	ask(d, &q, out);
}

bool spf_tree(struct doctor *d, const struct doctor_domain *domain, struct spf_outcome *out)
{
	const struct situation *s = doctor_situation(d);
	struct str address = s->addresses_n > 0 ? s->addresses[0].text : S("192.0.2.1");
	struct str sender = domain->senders.n > 0 ? domain->senders.at[0] : S("");

	spf_ask(d, address, sender.n > 0 ? sender : SAY("postmaster@%.*s", STR_ARG(domain->name)), domain->name, true, out);
	return !out->pending;
}

/* ---- upstreams ---- */

static bool passes(struct doctor *d, struct str address, struct str domain, bool *pending_out)
{
	struct spf_outcome out;

	spf_ask(d, address, SAY("postmaster@%.*s", STR_ARG(domain)), domain, false, &out);
	*pending_out |= out.pending;
	return out.result == SPF_PASS && !out.pending;
}

/* Does the record at `name` have an address of the upstream? */
static bool has_upstream(struct doctor *d, const struct cfg_upstream *u, struct str name, bool *pending_out)
{
	static const unsigned types[] = { DNS_A, DNS_AAAA };

	for (size_t i = 0; i < 2; i++) {
		const struct fact_dns *f = facts_dns(d, VIEW_WORLD, u->host, types[i]);

		*pending_out |= f->state == FACT_PENDING;
		for (size_t j = 0; j < f->n; j++)
			if (passes(d, f->records[j].text, name, pending_out))
				return true;
	}
	return false;
}

struct str spf_include_of(struct doctor *d, const struct cfg_upstream *u, bool *pending_out)
{
	const struct profile *p = profile_find(u->profile);
	struct str domain = upstream_domain(u), own = S("");

	if (p && p->spf)
		own = profile_spf(p, doctor_arena(d), u->region);
	if (own.n > 0) {
		struct spf_found found = spf_record_of(d, own);

		*pending_out |= found.fact->state == FACT_PENDING;
		return found.n == 1 ? own : S("");
	}
	if (str_find(domain, '.') == domain.n)
		return S("");
	if (has_upstream(d, u, domain, pending_out))
		return domain;
	own = SAY("_spf.%.*s", STR_ARG(domain));
	return has_upstream(d, u, own, pending_out) ? own : S("");
}

bool spf_includes(const struct spf_node *node, struct str name)
{
	for (size_t i = 0; node && i < node->record.n; i++) {
		const struct spf_step *step = &node->steps[i];

		if (step->term->kind != SPF_INCLUDE && step->term->kind != SPF_REDIRECT)
			continue;
		if (step->target.n > 0 && domains_align(step->target, name, false))
			return true;
		if (spf_includes(step->child, name))
			return true;
	}
	return false;
}

/* ---- the proposal ---- */

static void add_addresses(struct doctor *d, const struct doctor_domain *domain, struct spf_found *found, struct str_list *terms)
{
	const struct situation *s = doctor_situation(d);
	bool known = false;

	for (size_t i = 0; domain->by_mx && i < s->addresses_n; i++) {
		struct str address = s->addresses[i].text;
		bool pending = false;

		if (address_is_private(address))
			continue; /* the world sees another one */
		known = true;
		if (found->n != 1 || !passes(d, address, domain->name, &pending))
			terms->at[terms->n++] =
				SAY("%s:%.*s", str_find(address, ':') < address.n ? "ip6" : "ip4", STR_ARG(address));
	}
	if (domain->by_mx && !known && found->n != 1)
		terms->at[terms->n++] = SAY("a:%.*s", STR_ARG(doctor_config(d)->hostname));
}

static void add_includes(struct doctor *d, const struct doctor_domain *domain, struct spf_found *found, struct str_list *terms)
{
	struct spf_outcome out = { 0 };
	bool pending = false;

	if (found->n == 1)
		spf_tree(d, domain, &out);
	for (size_t i = 0; i < domain->upstreams_n; i++) {
		struct str name = spf_include_of(d, domain->upstreams[i], &pending);

		if (name.n > 0 && !spf_includes(out.tree, name))
			terms->at[terms->n++] = SAY("include:%.*s", STR_ARG(name));
	}
}

const struct dns_entry *spf_proposal(struct doctor *d, const struct doctor_domain *domain, struct str old)
{
	const struct situation *s = doctor_situation(d);
	struct spf_found found = spf_record_of(d, domain->name);
	struct str_list terms = { ARENA_ARRAY(doctor_arena(d), struct str, s->addresses_n + domain->upstreams_n + 1), 0 };
	struct spf_merged merged;
	struct spf_wish wish;

	add_addresses(d, domain, &found, &terms);
	add_includes(d, domain, &found, &terms);
	wish = (struct spf_wish){ .terms = terms, .all = S("~all") };
	spf_merge(doctor_arena(d), old, &wish, &merged);
	return entry_of(d, "TXT", domain->name, merged.text, old);
}
