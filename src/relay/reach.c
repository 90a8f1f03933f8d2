/* reach.c - addresses that get no mail directly (address_obstacle() of policy.h says which), and those of this machine. */
#include "connection.h"
#include "relay.h"

#include "posthouse/clock.h"
#include "posthouse/policy.h"

#include <arpa/inet.h>

#define OWN_MS 30000 /* the machine's addresses are looked at again after this time */

static struct str address_text(struct arena *a, const struct sockaddr_storage *address)
{
	char text[INET6_ADDRSTRLEN] = "";

	uv_ip_name((const struct sockaddr *)address, text, sizeof text);
	return arena_str(a, str_of(text));
}

const char *reach_obstacle(const struct cfg_delivery *d, const struct sockaddr_storage *address, bool literal)
{
	struct arena a = { 0 };
	const char *words = address_obstacle(d, address_text(&a, address), literal);

	arena_fini(&a);
	return words;
}

/* ---- is the server this relay? ---- */

static void read_own(struct relay *relay)
{
	uv_interface_address_t *list;
	int n = 0;

	arena_reset(&relay->own_arena);
	relay->own = (struct str_list){ .at = NULL };
	relay->own_at = clock_mono_ms();
	if (uv_interface_addresses(&list, &n) != 0) { /* the service is not allowed to ask for all: is_here() tries each */
		relay->own = kernel_addresses(&relay->own_arena);
		return;
	}
	relay->own.at = ARENA_ARRAY(&relay->own_arena, struct str, n > 0 ? (size_t)n : 1);
	for (int i = 0; i < n; i++) {
		struct sockaddr_storage address = { 0 };

		memcpy(&address, &list[i].address, sizeof list[i].address);
		relay->own.at[relay->own.n++] = address_text(&relay->own_arena, &address);
	}
	uv_free_interface_addresses(list, n);
}

const struct str_list *reach_own(struct relay *relay)
{
	if (relay->own_at == 0 || clock_mono_ms() - relay->own_at >= OWN_MS)
		read_own(relay);
	return &relay->own;
}

static bool is_here(struct relay *relay, struct str address)
{
	const struct str_list *own = reach_own(relay);

	for (size_t i = 0; i < own->n; i++)
		if (str_eq(own->at[i], address))
			return true;
	return network_contains(S("127.0.0.0/8"), address) || network_contains(S("::1/128"), address) || address_is_own(address);
}

static bool is_our_port(const struct config *c, unsigned port)
{
	for (size_t i = 0; i < c->listen_n; i++)
		if (c->listen[i].port == port)
			return true;
	return false;
}

/* A server that greets by our name is this relay, except another program of this machine, at a port on which we do not listen. */
bool reach_is_ourselves(const struct connection *c)
{
	const struct config *config = role_config(c->relay->role);
	const struct candidate *t = connection_candidate(c);
	struct str greeting = smtp_client_peer(c->client)->greeting;
	struct arena a = { 0 };
	bool same;

	if (!str_ieq(str_head(greeting, str_find(greeting, ' ')), config->hostname))
		return false;
	same = is_our_port(config, candidate_port(t)) || !is_here(c->relay, address_text(&a, &t->address));
	arena_fini(&a);
	return same;
}
