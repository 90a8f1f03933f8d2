/* resolve.c - addresses of a host through getaddrinfo on libuv's thread pool; literal addresses take the same way. */
#include "posthouse/arena.h"
#include "posthouse/list.h"
#include "posthouse/net.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#define ADDRESSES_MAX 64 /* of a host; more have no use */

struct resolve {
	uv_getaddrinfo_t request;
	uv_timer_t later; /* for names that cannot even be asked for */
	int error;
	resolve_fn done; /* NULL: cancelled */
	void *ctx;
};

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found);
static void on_refused(uv_timer_t *timer);
static void on_refused_closed(uv_handle_t *h);

struct resolve *resolve_host(uv_loop_t *loop, struct str host, unsigned port, bool ipv4, bool ipv6, resolve_fn done, void *ctx)
{
	struct resolve *r = NEW(struct resolve);
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	struct arena scratch = { 0 };
	char service[sizeof("65535")];
	const char *name;

	r->done = done;
	r->ctx = ctx;
	r->request.data = r;
	hints.ai_family = ipv4 && ipv6 ? AF_UNSPEC : ipv6 ? AF_INET6 : AF_INET;
	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = str_make(host.p + 1, host.n - 2);
	name = arena_cstr(&scratch, host);
	if (host.n == 0 || strlen(name) != host.n || port > 65535 || (!ipv4 && !ipv6)) {
		r->error = UV_EAI_NONAME;
	} else {
		snprintf(service, sizeof(service), "%u", port);
		r->error = uv_getaddrinfo(loop, &r->request, on_resolved, name, service, &hints);
	}
	arena_fini(&scratch);
	if (r->error < 0) {
		uv_timer_init(loop, &r->later);
		r->later.data = r;
		uv_timer_start(&r->later, on_refused, 0, 0);
	}
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

/* The resolver's answer, or our own refusal. */
static void report(struct resolve *r, int error, const struct addrinfo *found)
{
	struct sockaddr_storage addresses[ADDRESSES_MAX];
	size_t n = 0;

	if (!r->done)
		return;
	memset(addresses, 0, sizeof(addresses));
	for (const struct addrinfo *a = found; a && n < ADDRESSES_MAX; a = a->ai_next) {
		if (a->ai_addrlen <= sizeof(addresses[0]) && !known(addresses, n, a))
			memcpy(&addresses[n++], a->ai_addr, a->ai_addrlen);
	}
	if (error == 0 && n == 0)
		error = UV_EAI_NODATA;
	r->done(r->ctx, error ? refusal(error) : ok(), addresses, n);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
	struct resolve *r = request->data;

	report(r, status, found);
	uv_freeaddrinfo(found);
	free(r);
}

static void on_refused(uv_timer_t *timer)
{
	struct resolve *r = timer->data;

	report(r, r->error, NULL);
	uv_close((uv_handle_t *)&r->later, on_refused_closed);
}

static void on_refused_closed(uv_handle_t *h)
{
	free(h->data);
}

/* The user no longer listens. A look-up that runs already ends by itself; the timer fires at once anyway. */
void resolve_cancel(struct resolve *r)
{
	if (!r)
		return;
	r->done = NULL;
	if (r->error == 0)
		uv_cancel((uv_req_t *)&r->request);
}
