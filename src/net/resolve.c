/* resolve.c - addresses of a host through getaddrinfo on libuv's thread pool; literal addresses take the same way. */
#include "posthouse/arena.h"
#include "posthouse/net.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#define ADDRESSES_MAX 64 /* of a host; more have no use */

struct resolve {
	uv_getaddrinfo_t request;
	resolve_fn done; /* NULL: cancelled */
	void *ctx;
};

static void on_resolved(uv_getaddrinfo_t *request, int error, struct addrinfo *found);

struct resolve *resolve_host(uv_loop_t *loop, struct str host, unsigned port, bool ipv4, bool ipv6, resolve_fn done, void *ctx)
{
	struct resolve *r = NEW(struct resolve);
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	struct arena scratch = { 0 };
	char service[sizeof("4294967295")];
	const char *name;

	r->done = done;
	r->ctx = ctx;
	r->request.data = r;
	hints.ai_family = ipv4 && ipv6 ? AF_UNSPEC : ipv6 ? AF_INET6 : AF_INET;
	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = str_make(host.p + 1, host.n - 2);
	name = arena_cstr(&scratch, host);
	snprintf(service, sizeof(service), "%u", port);
	if (host.n == 0 || strlen(name) != host.n || port > 65535 || (!ipv4 && !ipv6) ||
	    uv_getaddrinfo(loop, &r->request, on_resolved, name, service, &hints) != 0) {
		/* the answer comes from the loop too: a text that is no address gives it without a question to the DNS */
		hints.ai_flags |= AI_NUMERICHOST;
		if (uv_getaddrinfo(loop, &r->request, on_resolved, "none", NULL, &hints) != 0)
			abort(); /* no memory: as every other allocation */
	}
	arena_fini(&scratch);
	return r;
}

/* Is this address in the list? The resolver repeats addresses that /etc/hosts repeats. */
static bool known(const struct sockaddr_storage *have, size_t n, const struct addrinfo *a)
{
	for (size_t i = 0; i < n; i++)
		if (memcmp(&have[i], a->ai_addr, a->ai_addrlen) == 0)
			return true;
	return false;
}

/* The answer for the user when there is no address. */
static struct verdict refusal(int error)
{
	if (error == UV_EAI_NONAME || error == UV_EAI_NODATA || error == UV_EAI_ADDRFAMILY || error == UV_EAI_FAMILY ||
	    error == UV_EINVAL || error == UV_ENAMETOOLONG)
		return perm(550, S("5.4.4"), S("there is no such host"));
	return temp(450, S("4.4.3"), str_of(uv_strerror(error)));
}

static void on_resolved(uv_getaddrinfo_t *request, int error, struct addrinfo *found)
{
	struct resolve *r = request->data;
	struct sockaddr_storage addresses[ADDRESSES_MAX];
	size_t n = 0;

	memset(addresses, 0, sizeof(addresses));
	for (const struct addrinfo *a = found; a && n < ADDRESSES_MAX; a = a->ai_next) {
		if (a->ai_addrlen <= sizeof(addresses[0]) && !known(addresses, n, a))
			memcpy(&addresses[n++], a->ai_addr, a->ai_addrlen);
	}
	if (error == 0 && n == 0)
		error = UV_EAI_NODATA;
	if (r->done)
		r->done(r->ctx, error ? refusal(error) : ok(), addresses, n);
	uv_freeaddrinfo(found);
	free(r);
}

/* The user no longer listens. A look-up that runs already ends by itself. */
void resolve_cancel(struct resolve *r)
{
	if (!r)
		return;
	r->done = NULL;
	uv_cancel((uv_req_t *)&r->request);
}
