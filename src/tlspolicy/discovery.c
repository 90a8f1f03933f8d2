/* discovery.c - see discovery.h. */
#include "discovery.h"

#include "posthouse/policy.h"
#include "posthouse/units.h"

#include <stdlib.h>

#define NAME_MS        (10 * SECOND_MS) /* for each question to the DNS … */
#define NAME_URGENT_MS (5 * SECOND_MS)  /* … while a policy is known */
#define WAIT_MS        (25 * SECOND_MS) /* for a place among the fetches, or for the role */
#define ADDRESSES_MAX  8
#define TEXTS_MAX      16 /* records at the name */

static void advance_queue(struct discoveries *all);

/* ---- the end ---- */

static void on_closed(uv_handle_t *h)
{
	struct discovery *d = h->data;

	arena_fini(&d->arena);
	free(d);
}

static void end(struct discovery *d, enum discovered result)
{
	struct discoveries *all = d->all;

	d->result = result;
	list_remove(&d->in_queue);
	hashtable_remove(&all->by_domain, &d->item);
	if (d->fetching)
		all->fetching_n--;
	all->failures += result == DISCOVERED_FAILURE;
	uv_close((uv_handle_t *)&d->limit, on_closed);
	all->ops->done(all->ctx, d);
	advance_queue(all);
}

static void fail(struct discovery *d, enum tls_result fault, struct str why)
{
	d->fault = fault;
	d->why = why;
	end(d, DISCOVERED_FAILURE);
}

/* ---- the text ---- */

/* "text/plain", whatever its parameters (RFC 8461 3.2). */
static bool is_plain_text(struct str content_type)
{
	return str_ieq(str_trim(str_head(content_type, str_find(content_type, ';'))), S("text/plain"));
}

static void take_text(struct discovery *d, const struct msg_text_fetched *m)
{
	struct arena *a = &d->arena;

	if (m->status != 200) {
		fail(d, TLS_RESULT_STS_POLICY_FETCH_ERROR,
		     arena_printf(a, "the policy host answers with HTTP status %llu%s", (unsigned long long)m->status,
				  m->status / 100 == 3 ? ": redirects are not followed" : ""));
		return;
	}
	if (!is_plain_text(m->content_type)) {
		fail(d, TLS_RESULT_STS_POLICY_FETCH_ERROR,
		     arena_printf(a, "what the policy host sends is not text/plain, but \"%.*s\"", STR_ARG(m->content_type)));
		return;
	}
	d->text = arena_str(a, m->text);
	d->why = sts_policy_read(a, d->text, &d->policy);
	if (d->why.n > 0)
		fail(d, TLS_RESULT_STS_POLICY_INVALID, arena_printf(a, "the policy is not valid: %.*s", STR_ARG(d->why)));
	else
		end(d, DISCOVERED_POLICY);
}

static void await_fetch(struct discovery *d);

static void on_text(void *ctx, struct verdict v, const struct msg_text_fetched *m, int fd)
{
	struct discovery *d = ctx;

	d->call = 0;
	if (m && m->verdict.class == OK) {
		take_text(d, m);
	} else if (m) {
		fail(d, m->untrusted ? TLS_RESULT_STS_WEBPKI_INVALID : TLS_RESULT_STS_POLICY_FETCH_ERROR,
		     arena_str(&d->arena, m->verdict.text));
	} else { /* the role has died: its next process is asked */
		d->fetching = false;
		d->all->fetching_n--;
		await_fetch(d);
	}
}

static void fetch(struct discovery *d, struct channel *ch)
{
	struct msg_fetch_text m = { .addresses = d->addresses };

	list_remove(&d->in_queue);
	uv_timer_stop(&d->limit);
	d->fetching = true;
	d->all->fetching_n++;
	d->all->fetches++;
	m.url = arena_printf(&d->arena, "https://mta-sts.%.*s/.well-known/mta-sts.txt", STR_ARG(d->domain));
	d->call = ipc_call_fetch_text(ch, &m, -1, on_text, d);
}

/* Also of what a fetch that dies again and again is asked. */
static void on_waited(uv_timer_t *timer)
{
	struct discovery *d = timer->data;

	d->passing = true;
	fail(d, TLS_RESULT_STS_POLICY_FETCH_ERROR,
	     role_peer(d->all->role, ROLE_FETCH, 0) ? S("the policy was not fetched: there are too many at once")
						    : S("the policy was not fetched: fetch is away"));
}

static void advance_queue(struct discoveries *all)
{
	struct channel *ch = role_peer(all->role, ROLE_FETCH, 0);

	while (ch && all->fetching_n < FETCHES_MAX && !list_empty(&all->queue))
		fetch(CONTAINER_OF(list_first(&all->queue), struct discovery, in_queue), ch);
}

static void await_fetch(struct discovery *d)
{
	uint64_t now = uv_now(role_loop(d->all->role));

	if (d->wait_until == 0)
		d->wait_until = now + WAIT_MS;
	list_append(&d->all->queue, &d->in_queue);
	uv_timer_start(&d->limit, on_waited, d->wait_until > now ? d->wait_until - now : 0, 0);
	advance_queue(d->all);
}

/* ---- the addresses of the policy host ---- */

static void ask_addresses(struct discovery *d);

static void add_address(struct discovery *d, struct str address)
{
	const struct cfg_delivery *delivery = &role_config(d->all->role)->delivery;
	const char *obstacle = address_obstacle(delivery, address, false);

	if (obstacle)
		d->address_fault = arena_printf(&d->arena, "the policy host has an address that is %s", obstacle);
	else
		d->addresses = arena_printf(&d->arena, "%.*s%s%.*s", STR_ARG(d->addresses), d->addresses.n > 0 ? " " : "",
					    STR_ARG(address));
}

static void on_addresses(void *ctx, const struct dns_found *found)
{
	struct discovery *d = ctx;

	d->lookup = NULL;
	for (size_t i = 0; found->verdict.class == OK && i < found->n && i < ADDRESSES_MAX; i++)
		add_address(d, dns_text(&d->arena, found->records[i]));
	if (found->verdict.class != OK && d->address_fault.n == 0)
		d->address_fault =
			arena_printf(&d->arena, "the address of the policy host is not found: %.*s", STR_ARG(found->why));
	if (!d->six && role_config(d->all->role)->delivery.ipv6) {
		d->six = true;
		ask_addresses(d);
	} else if (d->addresses.n > 0) {
		await_fetch(d);
	} else {
		fail(d, TLS_RESULT_STS_POLICY_FETCH_ERROR,
		     d->address_fault.n > 0 ? d->address_fault : S("the policy host has no address"));
	}
}

static void ask_addresses(struct discovery *d)
{
	struct str host = arena_printf(&d->arena, "mta-sts.%.*s", STR_ARG(d->domain));

	d->lookup = dns_ask(d->all->dns, host, d->six ? DNS_AAAA : DNS_A, NAME_MS, on_addresses, d);
}

static void find_host(struct discovery *d)
{
	d->six = !role_config(d->all->role)->delivery.ipv4;
	ask_addresses(d);
}

/* ---- the TXT record ---- */

static void take_id(struct discovery *d, struct str id)
{
	enum discovered judged = d->all->ops->judge_id(d->all->ctx, d, id);

	d->id = id;
	if (d->refreshing || judged == DISCOVERED_POLICY)
		find_host(d);
	else
		end(d, judged);
}

static void on_record(void *ctx, const struct dns_found *found)
{
	struct discovery *d = ctx;
	struct str at[TEXTS_MAX], id = S("");
	struct str_list texts = { .at = at };

	d->lookup = NULL;
	for (size_t i = 0; found->verdict.class == OK && i < found->n && i < TEXTS_MAX; i++)
		texts.at[texts.n++] = dns_text(&d->arena, found->records[i]);
	d->why = found->verdict.class == OK ? sts_record_choose(&d->arena, &texts, &id) : arena_str(&d->arena, found->why);
	if (id.n > 0) {
		take_id(d, id);
	} else if (d->refreshing) {
		d->id = d->known_id;
		find_host(d);
	} else {
		end(d, DISCOVERED_NOTHING);
	}
}

static void ask_record(struct discovery *d)
{
	struct str name = arena_printf(&d->arena, "_mta-sts.%.*s", STR_ARG(d->domain));

	d->lookup = dns_ask(d->all->dns, name, DNS_TXT, d->urgent ? NAME_URGENT_MS : NAME_MS, on_record, d);
}

/* ---- all of them ---- */

void discoveries_init(struct discoveries *all, struct role *r, struct dns *dns, const struct discovery_ops *ops, void *ctx)
{
	*all = (struct discoveries){ .role = r, .dns = dns, .ops = ops, .ctx = ctx };
	list_init(&all->queue);
}

struct discovery *discovery_find(struct discoveries *all, struct str domain)
{
	return HASHTABLE_NAMED(&all->by_domain, domain, struct discovery, item, domain);
}

struct discovery *discovery_start(struct discoveries *all, struct str domain, bool refreshing, struct str known_id)
{
	struct discovery *d;

	if (all->by_domain.n >= DISCOVERIES_MAX)
		return NULL;
	d = NEW(struct discovery);
	d->all = all;
	d->domain = arena_str(&d->arena, domain);
	d->refreshing = refreshing;
	d->known_id = arena_str(&d->arena, known_id);
	d->urgent = known_id.n > 0;
	list_init(&d->asks);
	list_init(&d->in_queue);
	uv_timer_init(role_loop(all->role), &d->limit);
	d->limit.data = d;
	hashtable_add(&all->by_domain, &d->item, hash_text(d->domain));
	ask_record(d);
	return d;
}

void discoveries_fetch_up(struct discoveries *all)
{
	advance_queue(all);
}

void discoveries_ask_again(struct discoveries *all)
{
	HASHTABLE_EACH_OF (struct discovery, d, &all->by_domain, item) {
		if (!d->lookup)
			continue;
		dns_cancel(d->lookup);
		d->addresses = d->address_fault = S("");
		d->fault = TLS_RESULT_NONE;
		ask_record(d);
	}
}
