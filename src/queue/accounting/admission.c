/* admission.c - connections of clients; logins.c decides about their logins. */
#include "accounting/accounting.h"

#include "posthouse/clock.h"
#include "posthouse/policy.h"

#include <stdlib.h>

#define CLIENTS_MAX  200000 /* of one channel: far more than a submission process can have */
#define CLIENT_MAX   100    /* bytes of an address */
#define TELL_EACH_MS 60000

static void on_tell(uv_timer_t *t);

void admission_init(struct accounting *acc)
{
	struct admission *ad = &acc->admission;

	list_init(&ad->peers);
	list_init(&ad->asking);
	list_init(&ad->ending);
	timers_add(acc->timers, &ad->tell, acc);
}

/* ---- places ---- */

static struct place *place_find(struct accounting *acc, struct str network)
{
	return HASHTABLE_NAMED(&acc->admission.places, network, struct place, in_table, name);
}

static struct place *place_enter(struct accounting *acc, struct str network)
{
	struct place *p = place_find(acc, network);

	if (!p) {
		p = NEW(struct place);
		p->name = str_dup(network);
		hashtable_add(&acc->admission.places, &p->in_table, hash_text(network));
	}
	p->clients++;
	p->unauthenticated++;
	return p;
}

static void place_leave(struct accounting *acc, struct place *p)
{
	p->unauthenticated--;
	if (--p->clients > 0)
		return;
	hashtable_remove(&acc->admission.places, &p->in_table);
	free(p->name);
	free(p);
}

/* ---- clients ---- */

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
	list_init(&p->clients);
	list_append(&acc->admission.peers, &p->in_peers);
	return p;
}

struct client *client_find(struct accounting *acc, const struct channel *ch, uint64_t session)
{
	const struct admission_peer *p = peer_find(acc, ch);
	uint64_t hash = hash_numbers((uintptr_t)p, session);

	HASHTABLE_FIND_OF (struct client, c, &acc->admission.clients, hash, in_table)
		if (c->peer == p && c->session == session)
			return c;
	return NULL;
}

struct client *client_of(struct accounting *acc, uint64_t worker, uint64_t incarnation, uint64_t session)
{
	LIST_EACH_OF (const struct admission_peer, p, &acc->admission.peers, in_peers)
		if (channel_peer_index(p->channel) == worker && channel_peer_incarnation(p->channel) == incarnation)
			return client_find(acc, p->channel, session);
	return NULL;
}

static struct client *client_new(struct accounting *acc, struct admission_peer *p, uint64_t session, struct str client)
{
	struct client *c = NEW(struct client);
	struct arena a = { 0 };

	client = str_head(client, CLIENT_MAX);
	c->accounting = acc;
	c->peer = p;
	c->session = session;
	c->address = str_dup(client);
	c->place = place_enter(acc, network_of(&a, client));
	c->site = place_enter(acc, site_of(&a, client));
	arena_fini(&a);
	list_init(&c->reservations);
	list_append(&p->clients, &c->in_peer);
	p->n++;
	hashtable_add(&acc->admission.clients, &c->in_table, hash_numbers((uintptr_t)p, session));
	return c;
}

void client_log_in(struct client *c, struct str login, struct str device, uint64_t rights, uint64_t stamp)
{
	c->login = str_dup(login);
	c->device_name = str_dup(device);
	c->rights = rights;
	c->stamp = stamp;
	c->account = account_hold(account_of(c->accounting, login));
	c->device = account_hold(account_of_device(c->accounting, login, device));
	c->account->connections++;
	c->place->unauthenticated--;
	c->site->unauthenticated--;
	c->accounting->admission.logged_in++;
}

void client_log_out(struct client *c)
{
	if (!c->account)
		return;
	reservations_drop(c);
	c->account->connections--;
	c->place->unauthenticated++;
	c->site->unauthenticated++;
	c->accounting->admission.logged_in--;
	account_release(c->account);
	account_release(c->device);
	free(c->login);
	free(c->device_name);
	c->login = c->device_name = NULL;
	c->rights = c->stamp = 0;
	c->account = c->device = NULL;
}

static void client_free(struct client *c)
{
	struct accounting *acc = c->accounting;

	client_log_out(c);
	place_leave(acc, c->place);
	place_leave(acc, c->site);
	hashtable_remove(&acc->admission.clients, &c->in_table);
	list_remove(&c->in_peer);
	c->peer->n--;
	free(c->address);
	free(c);
}

static void peer_free(struct admission_peer *p)
{
	LIST_EACH (i, &p->clients)
		client_free(CONTAINER_OF(i, struct client, in_peer));
	list_remove(&p->in_peers);
	free(p);
}

void admission_peer_gone(struct accounting *acc, const struct channel *ch)
{
	struct admission_peer *p = peer_find(acc, ch);

	reserve_peer_gone(acc, ch);
	revocation_peer_gone(acc, ch);
	if (p)
		peer_free(p);
}

void admission_fini(struct accounting *acc)
{
	revocation_fini(acc);
	LIST_EACH (i, &acc->admission.peers)
		peer_free(CONTAINER_OF(i, struct admission_peer, in_peers));
	hashtable_fini(&acc->admission.clients);
	hashtable_fini(&acc->admission.places);
	hashtable_fini(&acc->admission.reservations);
	free(acc->admission.last);
}

/* ---- connecting ---- */

/* One line each minute, however many clients are refused: each ban has a line of its own. */
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

/* Does the network have too many connections that are not logged in? */
static bool is_crowded(struct accounting *acc, struct str network, uint64_t most)
{
	const struct place *p = most > 0 ? place_find(acc, network) : NULL;

	return p && p->unauthenticated >= most;
}

/* Is this client allowed to connect? */
static struct verdict judge_client(struct accounting *acc, struct arena *a, struct str client, bool *banned_out)
{
	const struct cfg_limits *limits = &role_config(acc->role)->limits;
	struct str network = network_of(a, client);
	uint64_t banned = network_banned_ms(acc, a, network, clock_now_ms());
	uint64_t most = is_crowded(acc, network, limits->connections_per_network)           ? limits->connections_per_network
			: is_crowded(acc, site_of(a, client), limits->connections_per_site) ? limits->connections_per_site
											    : 0;

	if (device_at(role_config(acc->role), client))
		return ok(); /* a listed host is allowed, whatever another program on the same host did */
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
	struct arena a = { 0 };
	bool banned = false;
	struct verdict v;

	if (client_find(acc, ch, m->session) || peer_get(acc, ch)->n >= CLIENTS_MAX) {
		channel_close(ch, "a session is admitted twice, or there are too many");
		return;
	}
	v = judge_client(acc, &a, str_head(m->client, CLIENT_MAX), &banned);
	if (v.class == OK)
		client_new(acc, peer_get(acc, ch), m->session, m->client);
	ipc_send_admitted(ch, &(struct msg_admitted){ .call = m->call, .verdict = v, .banned = banned }, -1);
	arena_fini(&a);
}

void accounting_present(struct accounting *acc, struct channel *ch, const struct msg_present *m)
{
	struct ticket t = { .worker = channel_peer_index(ch),
			    .incarnation = channel_peer_incarnation(ch),
			    .session = m->session,
			    .login = m->login,
			    .device = m->device };
	struct client *c;

	if (client_find(acc, ch, m->session) || peer_get(acc, ch)->n >= CLIENTS_MAX) {
		channel_close(ch, "a session is presented twice, or there are too many");
		return;
	}
	if (m->login.n > 0 && !ticket_fits(role_config(acc->role)->ticket_secret, m->ticket, &t)) {
		channel_close(ch, "a session has a false ticket");
		return;
	}
	c = client_new(acc, peer_get(acc, ch), m->session, m->client);
	if (m->login.n == 0 || revocation_holds(acc, m->login, m->device, t.stamp))
		return;
	client_log_in(c, m->login, m->device, t.rights, t.stamp);
	revocation_present(c); /* it can have ended while there was no queue */
}

void accounting_leave(struct accounting *acc, struct channel *ch, const struct msg_leave *m)
{
	struct client *c = client_find(acc, ch, m->session);

	if (c)
		client_free(c);
}

/* ---- figures ---- */

void admission_stats(struct accounting *acc)
{
	role_stat(acc->role, METRIC_QUEUE_CONNECTIONS, acc->admission.clients.n);
	role_stat(acc->role, METRIC_QUEUE_LOGGED_IN, acc->admission.logged_in);
}
