/* job_post.c - a report goes by POST to an HTTPS server (RFC 8460 5.4), by way of the role fetch. */
#include "reporting.h"

#include "posthouse/policy.h"

#define LIMIT_MS      (20 * SECOND_MS)
#define ADDRESSES_MAX 8 /* of each family */

/* In the order they happen. */
static void on_ipv4(void *ctx, const struct dns_found *found);
static void on_ipv6(void *ctx, const struct dns_found *found);
static void post(struct job *j);

/* The host of the URL; "": it is none that reports go to. The walls around the role fetch let only the usual port through. */
static struct str host_of(struct job *j)
{
	struct str rest = str_from(j->target, sizeof "https://" - 1), port;
	size_t n = 0;

	while (n < rest.n && !strchr("/?#", rest.p[n]))
		n++;
	rest = str_head(rest, n);
	port = str_from(rest, str_find(rest, ':') + 1);
	rest = str_head(rest, str_find(rest, ':'));
	if (str_ends(rest, S(".")))
		rest = str_head(rest, rest.n - 1);
	return (port.n == 0 || str_eq(port, S("443"))) && dns_is_askable(rest) ? arena_lower(&j->arena, rest) : S("");
}

void job_send_by_https(struct job *j)
{
	struct str host = host_of(j);

	if (host.n == 0) {
		job_sent(j, perm(550, S("5.1.3"), S("the URL names no host, or another port than 443")));
		return;
	}
	j->lookup = dns_ask(j->reporting->dns, host, DNS_A, LIMIT_MS, on_ipv4, j);
}

/* The owner of the domain could otherwise have us talk to this machine, or to its network. */
static void keep_addresses(struct job *j, const struct dns_found *found)
{
	const struct cfg_delivery *d = &role_config(j->reporting->role)->delivery;

	for (size_t i = 0; found->verdict.class == OK && i < found->n && i < ADDRESSES_MAX; i++) {
		struct str address = dns_text(&j->arena, found->records[i]);

		if (!address_obstacle(d, address, false))
			j->addresses = arena_printf(&j->arena, "%.*s%s%.*s", STR_ARG(j->addresses), j->addresses.n > 0 ? " " : "",
						    STR_ARG(address));
	}
}

static void on_ipv4(void *ctx, const struct dns_found *found)
{
	struct job *j = ctx;

	keep_addresses(j, found);
	j->lookup = dns_ask(j->reporting->dns, host_of(j), DNS_AAAA, LIMIT_MS, on_ipv6, j);
}

static void on_ipv6(void *ctx, const struct dns_found *found)
{
	struct job *j = ctx;

	j->lookup = NULL;
	keep_addresses(j, found);
	if (j->addresses.n > 0)
		post(j);
	else
		job_sent(j, temp(451, S("4.4.3"), S("the host of the URL has no address that can be used")));
}

static void on_posted(void *ctx, struct verdict v, const struct msg_text_fetched *m, int fd)
{
	struct job *j = ctx;

	j->call = 0;
	if (m)
		v = m->verdict;
	if (v.class == OK && m->status / 100 != 2) /* RFC 8460 5.4 */
		v = temp(451, S("4.4.0"), arena_printf(&j->arena, "HTTP status %llu", (unsigned long long)m->status));
	job_sent(j, v);
}

static void post(struct job *j)
{
	struct msg_fetch_text m = {
		.url = j->target, .content_type = S("application/tlsrpt+gzip"), .body = j->file, .addresses = j->addresses
	};

	j->call = ipc_call_fetch_text(role_peer(j->reporting->role, ROLE_FETCH, 0), &m, -1, on_posted, j);
}
