/* facts.c - facts on demand: each is asked for once, and found again by its question. */
#include "run.h"

#define SERVERS_MAX 4 /* of a domain, that are asked */
#define LABELS_MAX  24

static const struct fact_dns pending_dns = { .state = FACT_PENDING },
			     over_dns = { .state = FACT_UNKNOWN, .why = { "time is over", 12 } };

static void note_use(struct doctor *d, const struct dns_fact *f)
{
	for (size_t i = d->uses_n; i-- > 0 && d->uses[i].check == d->now;)
		if (d->uses[i].fact == f)
			return;
	ARENA_GROW(&d->arena, d->uses, d->uses_n, d->uses_capacity);
	d->uses[d->uses_n++] = (struct use){ d->now, f };
}

static struct dns_fact *find_dns(struct doctor *d, const struct dns_question *q, uint64_t hash)
{
	HASHTABLE_FIND_OF (struct dns_fact, f, &d->dns, hash, item)
		if (f->question.view == q->view && f->question.type == q->type && str_eq(f->question.name, q->name) &&
		    str_eq(f->question.servers, q->servers))
			return f;
	return NULL;
}

static struct fact_dns *ask(struct doctor *d, struct dns_question q)
{
	uint64_t hash;
	struct dns_fact *f;

	q.name = arena_lower(&d->arena, str_ends(q.name, S(".")) ? str_head(q.name, q.name.n - 1) : q.name);
	hash = hash_texts(q.name, q.servers) ^ ((uint64_t)q.type << 8 | q.view);
	f = find_dns(d, &q, hash);
	if (!f) {
		f = ARENA_NEW(&d->arena, struct dns_fact);
		f->question = q;
		hashtable_add(&d->dns, &f->item, hash);
		if (d->over)
			f->answer = over_dns;
		else
			d->source.dns(d->source.ctx, &f->question, &f->answer);
	}
	note_use(d, f);
	d->pending += f->answer.state == FACT_PENDING;
	return &f->answer;
}

/* ---- the domain's own servers ---- */

/* The addresses of a host, as the world sees them. */
static size_t add_addresses(struct doctor *d, struct str host, struct str *to, size_t n)
{
	static const unsigned types[] = { DNS_A, DNS_AAAA };

	for (size_t t = 0; t < 2; t++) {
		const struct fact_dns *f = ask(d, (struct dns_question){ .view = VIEW_WORLD, .name = host, .type = types[t] });

		for (size_t i = 0; i < f->n && n < SERVERS_MAX; i++)
			to[n++] = f->records[i].text;
	}
	return n;
}

/* "192.0.2.1 2001:db8::1" of the zone that the name is in; "": not known, see `pending`. */
static struct str servers_of(struct doctor *d, struct str name)
{
	struct str at[SERVERS_MAX], all = S("");
	size_t n = 0;

	for (unsigned label = 0; name.n > 0 && label < LABELS_MAX; label++) {
		const struct fact_dns *ns = ask(d, (struct dns_question){ .view = VIEW_WORLD, .name = name, .type = DNS_NS });

		if (ns->state == FACT_PENDING)
			return S("");
		for (size_t i = 0; i < ns->n && n < SERVERS_MAX; i++)
			n = add_addresses(d, ns->records[i].text, at, n);
		if (ns->n > 0)
			break;
		name = str_from(name, str_find(name, '.') + 1);
	}
	for (size_t i = 0; i < n; i++)
		all = arena_printf(&d->arena, "%.*s%s%.*s", STR_ARG(all), i ? " " : "", STR_ARG(at[i]));
	return all;
}

/* The answer of the zone's own servers; when they cannot be asked, that of the world. They do not validate: what is bogus stays
 * so. */
static const struct fact_dns *ask_own(struct doctor *d, struct str name, unsigned type)
{
	size_t before = d->pending;
	struct str servers = servers_of(d, name);
	const struct fact_dns *world;
	struct fact_dns *own;

	if (d->pending != before)
		return &pending_dns;
	world = ask(d, (struct dns_question){ .view = VIEW_WORLD, .name = name, .type = type });
	if (servers.n == 0 || world->bogus)
		return world;
	own = ask(d, (struct dns_question){ .view = VIEW_OWN, .name = name, .type = type, .servers = servers });
	own->secure = world->secure;
	return own->state == FACT_UNKNOWN ? world : own;
}

const struct fact_dns *facts_dns(struct doctor *d, enum doctor_view view, struct str name, unsigned type)
{
	const struct fact_dns *f;

	if (view == VIEW_OWN)
		return ask_own(d, name, type);
	if (view == VIEW_WORLD && name_is_ours(d, name)) {
		d->asked_own = true;
		if (d->own)
			return ask_own(d, name, type);
		f = ask(d, (struct dns_question){ .view = view, .name = name, .type = type });
		if (f->ttl > d->ttl)
			d->ttl = f->ttl;
		return f;
	}
	return ask(d, (struct dns_question){ .view = view, .name = name, .type = type });
}

const struct fact_dns *facts_dns_at(struct doctor *d, struct str server, struct str name, unsigned type)
{
	return ask(d, (struct dns_question){
			      .view = VIEW_OWN, .name = name, .type = type, .servers = arena_str(&d->arena, server) });
}

/* ---- dialogues ---- */

struct probe_fact {
	struct hashtable_item item;
	struct str key;
	struct probe probe;
	struct fact_probe answer;
};

static struct str key_of(struct arena *a, const struct probe *p)
{
	struct str key = arena_printf(a, "%.*s\n%u\n%d\n%u\n%.*s\n%.*s", STR_ARG(p->host), p->port, (int)p->tls, p->tls_most,
				      STR_ARG(p->tls_name), STR_ARG(p->source));

	for (size_t i = 0; i < p->lines.n; i++)
		key = arena_printf(a, "%.*s\n%.*s", STR_ARG(key), STR_ARG(p->lines.at[i]));
	return key;
}

static struct probe keep(struct arena *a, const struct probe *p)
{
	struct probe copy = *p;

	copy.host = arena_str(a, p->host);
	copy.tls_name = arena_str(a, p->tls_name.n > 0 ? p->tls_name : p->host);
	copy.source = arena_str(a, p->source);
	copy.lines.at = ARENA_ARRAY(a, struct str, p->lines.n + 1);
	for (size_t i = 0; i < p->lines.n; i++)
		copy.lines.at[i] = arena_str(a, p->lines.at[i]);
	return copy;
}

const struct fact_probe *facts_probe(struct doctor *d, const struct probe *p)
{
	struct str key = key_of(&d->arena, p);
	struct probe_fact *f = HASHTABLE_NAMED(&d->probes, key, struct probe_fact, item, key);

	if (!f) {
		f = ARENA_NEW(&d->arena, struct probe_fact);
		f->key = key;
		f->probe = keep(&d->arena, p);
		hashtable_add(&d->probes, &f->item, hash_text(key));
		if (d->over)
			f->answer = (struct fact_probe){ .state = FACT_UNKNOWN, .why = S("time is over") };
		else
			d->source.probe(d->source.ctx, &f->probe, &f->answer);
	}
	d->pending += f->answer.state == FACT_PENDING;
	return &f->answer;
}

struct str_list facts_greetings(struct doctor *d)
{
	struct str_list all = { 0 };
	size_t capacity = 0;

	HASHTABLE_EACH_OF (struct probe_fact, f, &d->probes, item) {
		if (f->answer.state != FACT_THERE || f->answer.greeting.n == 0)
			continue;
		ARENA_GROW(&d->arena, all.at, all.n, capacity);
		all.at[all.n++] = f->answer.greeting;
	}
	return all;
}

struct upstream_fact {
	struct hashtable_item item;
	struct str name;
	struct fact_upstream answer;
};

const struct fact_upstream *facts_upstream(struct doctor *d, struct str name)
{
	struct upstream_fact *f = HASHTABLE_NAMED(&d->upstreams, name, struct upstream_fact, item, name);

	if (!f) {
		f = ARENA_NEW(&d->arena, struct upstream_fact);
		f->name = arena_str(&d->arena, name);
		hashtable_add(&d->upstreams, &f->item, hash_text(f->name));
		if (d->over)
			f->answer = (struct fact_upstream){ .state = FACT_UNKNOWN, .verdict = temp(0, S(""), S("time is over")) };
		else
			d->source.upstream(d->source.ctx, f->name, &f->answer);
	}
	d->pending += f->answer.state == FACT_PENDING;
	return &f->answer;
}

struct sample_fact {
	struct hashtable_item item;
	struct str key;
	struct fact_sample answer;
};

const struct fact_sample *facts_sample(struct doctor *d, struct str domain, struct str selector)
{
	struct str key = arena_printf(&d->arena, "%.*s %.*s", STR_ARG(domain), STR_ARG(selector));
	struct sample_fact *f = HASHTABLE_NAMED(&d->samples, key, struct sample_fact, item, key);

	if (!f) {
		f = ARENA_NEW(&d->arena, struct sample_fact);
		f->key = key;
		hashtable_add(&d->samples, &f->item, hash_text(key));
		if (d->over)
			f->answer = (struct fact_sample){ .state = FACT_UNKNOWN, .why = S("time is over") };
		else
			d->source.sample(d->source.ctx, arena_str(&d->arena, domain), arena_str(&d->arena, selector), &f->answer);
	}
	d->pending += f->answer.state == FACT_PENDING;
	return &f->answer;
}

struct policy_fact {
	struct hashtable_item item;
	struct str domain;
	struct fact_policy answer;
};

const struct fact_policy *facts_policy(struct doctor *d, struct str domain)
{
	struct policy_fact *f = HASHTABLE_NAMED(&d->policies, domain, struct policy_fact, item, domain);

	if (!f) {
		f = ARENA_NEW(&d->arena, struct policy_fact);
		f->domain = arena_str(&d->arena, domain);
		hashtable_add(&d->policies, &f->item, hash_text(f->domain));
		if (d->over)
			f->answer = (struct fact_policy){ .state = FACT_UNKNOWN, .why = S("time is over") };
		else
			d->source.policy(d->source.ctx, f->domain, &f->answer);
	}
	d->pending += f->answer.state == FACT_PENDING;
	return &f->answer;
}

uint64_t facts_since(struct doctor *d, struct str key, struct str what)
{
	return d->source.since(d->source.ctx, arena_printf(&d->arena, "%s %.*s", check_rows[d->now].id, STR_ARG(key)), what);
}

void doctor_give_up(struct doctor *d)
{
	d->over = true;
	HASHTABLE_EACH_OF (struct dns_fact, f, &d->dns, item)
		if (f->answer.state == FACT_PENDING)
			f->answer = over_dns;
	HASHTABLE_EACH_OF (struct probe_fact, p, &d->probes, item)
		if (p->answer.state == FACT_PENDING)
			p->answer = (struct fact_probe){ .state = FACT_UNKNOWN, .why = S("time is over"), .timed_out = true };
	HASHTABLE_EACH_OF (struct upstream_fact, u, &d->upstreams, item)
		if (u->answer.state == FACT_PENDING)
			u->answer = (struct fact_upstream){ .state = FACT_UNKNOWN, .verdict = temp(0, S(""), S("time is over")) };
	HASHTABLE_EACH_OF (struct sample_fact, s, &d->samples, item)
		if (s->answer.state == FACT_PENDING)
			s->answer = (struct fact_sample){ .state = FACT_UNKNOWN, .why = S("time is over") };
	HASHTABLE_EACH_OF (struct policy_fact, y, &d->policies, item)
		if (y->answer.state == FACT_PENDING)
			y->answer = (struct fact_policy){ .state = FACT_UNKNOWN, .why = S("time is over") };
}

const struct machine_facts *facts_machine(const struct doctor *d)
{
	return d->options.machine;
}

bool doctor_evidence(const struct doctor *d, const struct doctor_finding *f, size_t i, struct doctor_evidence *out)
{
	for (size_t u = 0; u < d->uses_n; u++) {
		if (d->uses[u].check != f->check || i-- > 0)
			continue;
		*out = (struct doctor_evidence){ &d->uses[u].fact->question, &d->uses[u].fact->answer };
		return true;
	}
	return false;
}
