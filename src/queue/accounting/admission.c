/* admission.c - connections; what becomes of logins is in logins.c. */
#include "accounting/accounting.h"

#include "posthouse/clock.h"
#include "posthouse/policy.h"

#include <stdlib.h>

#define VISITORS_MAX 200000 /* of one channel: far more than a submission process can have */
#define CLIENT_MAX   100    /* bytes of an address */
#define TELL_EACH_MS 60000

static void on_tell(uv_timer_t *t);

void admission_init(struct accounting *acc)
{
	struct admission *ad = &acc->admission;

	list_init(&ad->peers);
	list_init(&ad->asking);
	timers_add(acc->timers, &ad->tell, acc);
}

/* ---- places ---- */

static struct place *place_find(struct accounting *acc, struct str network)
{
	uint64_t hash = hash_text(network);

	HASHTABLE_FIND (i, &acc->admission.places, hash) {
		struct place *p = CONTAINER_OF(i, struct place, in_table);

		if (str_eq(str_of(p->name), network))
			return p;
	}
	return NULL;
}

static struct place *place_enter(struct accounting *acc, struct str network)
{
	struct place *p = place_find(acc, network);

	if (!p) {
		p = NEW(struct place);
		p->name = str_dup(network);
		hashtable_add(&acc->admission.places, &p->in_table, hash_text(network));
	}
	p->visitors++;
	p->strangers++;
	return p;
}

static void place_leave(struct accounting *acc, struct place *p)
{
	p->strangers--;
	if (--p->visitors > 0)
		return;
	hashtable_remove(&acc->admission.places, &p->in_table);
	free(p->name);
	free(p);
}

/* ---- visitors ---- */

static struct admission_peer *peer_find(struct accounting *acc, const struct channel *ch)
{
	LIST_EACH (i, &acc->admission.peers) { /* as many as there are submission processes */
		struct admission_peer *p = CONTAINER_OF(i, struct admission_peer, in_peers);

		if (p->channel == ch)
			return p;
	}
	return NULL;
}

static struct admission_peer *peer_get(struct accounting *acc, struct channel *ch)
{
	struct admission_peer *p = peer_find(acc, ch);

	if (p)
		return p;
	p = NEW(struct admission_peer);
	p->channel = ch;
	list_init(&p->visitors);
	list_append(&acc->admission.peers, &p->in_peers);
	return p;
}

struct visitor *visitor_find(struct accounting *acc, const struct channel *ch, uint64_t session)
{
	const struct admission_peer *p = peer_find(acc, ch);
	uint64_t hash = hash_numbers((uintptr_t)p, session);

	for (struct hashtable_item *i = p ? hashtable_find(&acc->admission.visitors, hash, NULL) : NULL; i;
	     i = hashtable_find(&acc->admission.visitors, hash, i)) {
		struct visitor *v = CONTAINER_OF(i, struct visitor, in_table);

		if (v->peer == p && v->session == session)
			return v;
	}
	return NULL;
}

static struct visitor *visitor_new(struct accounting *acc, struct admission_peer *p, uint64_t session, struct str client)
{
	struct visitor *v = NEW(struct visitor);
	struct arena a = { 0 };

	client = str_head(client, CLIENT_MAX);
	v->accounting = acc;
	v->peer = p;
	v->session = session;
	v->client = str_dup(client);
	v->place = place_enter(acc, network_of(&a, client));
	v->site = place_enter(acc, site_of(&a, client));
	arena_fini(&a);
	list_init(&v->reservations);
	list_append(&p->visitors, &v->in_peer);
	p->n++;
	hashtable_add(&acc->admission.visitors, &v->in_table, hash_numbers((uintptr_t)p, session));
	return v;
}

void visitor_log_in(struct visitor *v, struct str login, struct str device)
{
	v->login = str_dup(login);
	v->account = account_hold(account_of(v->accounting, login));
	v->device = account_hold(account_of_device(v->accounting, login, device));
	v->account->connections++;
	v->place->strangers--;
	v->site->strangers--;
	v->accounting->admission.logged_in++;
}

void visitor_log_out(struct visitor *v)
{
	if (!v->account)
		return;
	reservations_drop(v);
	v->account->connections--;
	v->place->strangers++;
	v->site->strangers++;
	v->accounting->admission.logged_in--;
	account_release(v->account);
	account_release(v->device);
	free(v->login);
	v->login = NULL;
	v->account = v->device = NULL;
}

static void visitor_free(struct visitor *v)
{
	struct accounting *acc = v->accounting;

	visitor_log_out(v);
	reservations_drop(v);
	place_leave(acc, v->place);
	place_leave(acc, v->site);
	hashtable_remove(&acc->admission.visitors, &v->in_table);
	list_remove(&v->in_peer);
	v->peer->n--;
	free(v->client);
	free(v);
}

static void peer_free(struct admission_peer *p)
{
	LIST_EACH (i, &p->visitors)
		visitor_free(CONTAINER_OF(i, struct visitor, in_peer));
	list_remove(&p->in_peers);
	free(p);
}

void admission_peer_gone(struct accounting *acc, const struct channel *ch)
{
	struct admission_peer *p = peer_find(acc, ch);

	reserve_peer_gone(acc, ch);
	if (p)
		peer_free(p);
}

void admission_fini(struct accounting *acc)
{
	LIST_EACH (i, &acc->admission.peers)
		peer_free(CONTAINER_OF(i, struct admission_peer, in_peers));
	hashtable_fini(&acc->admission.visitors);
	hashtable_fini(&acc->admission.places);
	hashtable_fini(&acc->admission.reservations);
	free(acc->admission.last);
}

/* ---- the door ---- */

/* A line each minute, however many are turned away: each ban has a line of its own. */
static void tell(struct accounting *acc)
{
	struct admission *ad = &acc->admission;

	log_warning(NULL, "clients.refused", kv("banned", ad->banned), kv("too_many", ad->crowded), kv("last", ad->last));
	ad->banned = ad->crowded = 0;
	uv_timer_start(&ad->tell, on_tell, TELL_EACH_MS, 0);
}

static void on_tell(uv_timer_t *t)
{
	struct accounting *acc = t->data;

	if (acc->admission.banned + acc->admission.crowded > 0)
		tell(acc);
}

void admission_refused(struct accounting *acc, uint64_t *counter, struct str client)
{
	++*counter;
	free(acc->admission.last);
	acc->admission.last = str_dup(str_head(client, CLIENT_MAX));
	if (!uv_is_active((uv_handle_t *)&acc->admission.tell) && !acc->closing)
		tell(acc);
}

/* Are there too many already of those who are not logged in? */
static bool is_crowded(struct accounting *acc, struct str network, uint64_t most)
{
	const struct place *p = most > 0 ? place_find(acc, network) : NULL;

	return p && p->strangers >= most;
}

/* May this client come in? */
static struct verdict judge_client(struct accounting *acc, struct arena *a, struct str client, bool *banned_out)
{
	const struct cfg_limits *limits = &role_config(acc->role)->limits;
	struct str network = network_of(a, client);
	uint64_t banned = network_banned_ms(acc, network, clock_now_ms());
	uint64_t most = is_crowded(acc, network, limits->connections_per_network)           ? limits->connections_per_network
			: is_crowded(acc, site_of(a, client), limits->connections_per_site) ? limits->connections_per_site
											    : 0;

	if (device_at(role_config(acc->role), client))
		return ok(); /* a listed host, whatever another program on it did */
	*banned_out = banned > 0;
	if (banned > 0) {
		admission_refused(acc, &acc->admission.banned, client);
		return network_banned(a, banned);
	}
	if (most == 0)
		return ok();
	admission_refused(acc, &acc->admission.crowded, client);
	return temp(421, S("4.7.0"),
		    arena_printf(a, "too many connections at once from your network, at most %llu that are not logged in",
				 (unsigned long long)most));
}

void accounting_admit(struct accounting *acc, struct channel *ch, const struct msg_admit *m)
{
	struct verdict v = ok();
	struct arena a = { 0 };
	bool banned = false;

	if (acc && (visitor_find(acc, ch, m->session) || peer_get(acc, ch)->n >= VISITORS_MAX)) {
		channel_close(ch, "a session is admitted twice, or there are too many");
		return;
	}
	if (acc)
		v = judge_client(acc, &a, str_head(m->client, CLIENT_MAX), &banned);
	if (acc && v.class == OK)
		visitor_new(acc, peer_get(acc, ch), m->session, m->client);
	ipc_send_admitted(ch, &(struct msg_admitted){ .call = m->call, .verdict = v, .banned = banned }, -1);
	arena_fini(&a);
}

void accounting_present(struct accounting *acc, struct channel *ch, const struct msg_present *m)
{
	struct visitor *v;

	if (!acc)
		return;
	if (visitor_find(acc, ch, m->session) || peer_get(acc, ch)->n >= VISITORS_MAX) {
		channel_close(ch, "a session is presented twice, or there are too many");
		return;
	}
	v = visitor_new(acc, peer_get(acc, ch), m->session, m->client);
	if (m->login.n > 0)
		visitor_log_in(v, m->login, m->device);
}

void accounting_leave(struct accounting *acc, struct channel *ch, const struct msg_leave *m)
{
	struct visitor *v = acc ? visitor_find(acc, ch, m->session) : NULL;

	if (v)
		visitor_free(v);
}

/* ---- figures ---- */

void admission_stats(struct accounting *acc)
{
	role_stat(acc->role, S("connections"), acc->admission.visitors.n, S(""));
	role_stat(acc->role, S("logged_in"), acc->admission.logged_in, S(""));
}
