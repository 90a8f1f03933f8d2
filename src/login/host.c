/* host.c - hosts that the configuration lists (devices) send as a login without a password. Whether a client is such a host login
 * asks the kernel, by the client's connection, which submission passes. queue counts the host, as a device of the login. */
#include "login.h"
#include "posthouse/policy.h"
#include "posthouse/role.h"
#include "proof.h"

#include <stdlib.h>
#include <unistd.h>

/* A host that queue is asked about. */
struct host {
	struct list link;
	struct login *login;
	struct channel *ch;
	uint64_t call;
	struct arena arena;
	struct vouch vouch;
};

static void answer(struct channel *ch, uint64_t call, struct verdict v)
{
	ipc_send_host_checked(ch, &(struct msg_host_checked){ .call = call, .verdict = v }, -1);
}

static void host_free(struct host *h)
{
	vouch_drop(&h->vouch);
	list_remove(&h->link);
	role_busy(h->login->role, -1);
	arena_fini(&h->arena);
	free(h);
}

static void on_authorized(void *ctx, const struct msg_authorized *m)
{
	struct host *h = ctx;
	struct msg_host_checked reply = { .call = h->call };

	if (m && m->verdict.class == OK) {
		reply.login = h->vouch.m.login;
		reply.device = h->vouch.m.device;
		reply.reserving = m->reserving;
		reply.ticket = m->ticket;
	}
	reply.verdict = m ? m->verdict : temp(421, S("4.7.0"), S("Hosts cannot be checked now, try again"));
	ipc_send_host_checked(h->ch, &reply, -1);
	host_free(h);
}

static bool is_proxy(const struct config *c, struct str address)
{
	for (size_t i = 0; i < c->listen_n; i++)
		if (networks_contain(&c->listen[i].proxy_protocol, address))
			return true;
	return false;
}

/* The client's address. Of a connection that a listed proxy has made, only submission has read whose it is. */
static struct str client_address(const struct config *c, struct arena *a, int fd, struct str claimed)
{
	struct str address = proof_address(a, fd);

	return is_proxy(c, address) ? arena_str(a, claimed) : address;
}

void host_check(struct login *l, struct channel *ch, const struct msg_host_check *m, int fd)
{
	const struct cfg_device *device;
	struct arena a = { 0 };
	struct str address = client_address(l->config, &a, fd, m->client);
	struct host *h;

	close(fd);
	login_refresh(l);
	device = device_at(l->config, address);
	if (!device || watch_is_over(l, device->user, S(""), 0) || !vouches_have_room(l)) {
		answer(ch, m->call,
		       temp(421, S("4.7.0"),
			    !device                 ? S("What this host may do has changed, connect again")
			    : !vouches_have_room(l) ? S("too many logins at once, try again later")
						    : S("The login that this host sends as is locked")));
		arena_fini(&a);
		return;
	}
	h = NEW(struct host);
	*h = (struct host){ .login = l, .ch = ch, .call = m->call, .arena = a };
	list_append(&l->hosts, &h->link);
	role_busy(l->role, +1);
	h->vouch.m = (struct msg_authenticated){ .worker = channel_peer_index(ch),
						 .incarnation = channel_peer_incarnation(ch),
						 .session = m->session,
						 .login = arena_str(&h->arena, device->user),
						 .device = arena_printf(&h->arena, "@%.*s", STR_ARG(address)),
						 .success = 1,
						 .rights = RIGHT_LISTED };
	h->vouch.done = on_authorized;
	h->vouch.ctx = h;
	vouch_begin(l, &h->vouch);
}

void hosts_drop(struct login *l, const struct channel *ch)
{
	LIST_EACH_OF (struct host, h, &l->hosts, link)
		if (!ch || h->ch == ch)
			host_free(h);
}
