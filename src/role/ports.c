/* ports.c - the TCP ports to which a role is allowed to connect. */
#include "needs.h"
#include "openings.h"

#define HTTPS_PORT 443

static const unsigned name_server_ports[] = { 53, 853 };

/* Of LDAP, the global catalogue of Active Directory, Kerberos (tickets and passwords), MySQL and PostgreSQL. */
static const unsigned backend_ports[] = { 389, 636, 3268, 3269, 88, 464, 3306, 5432 };

static void add_fixed(struct openings *o, const unsigned *ports, size_t n)
{
	for (size_t i = 0; i < n; i++)
		openings_add_port(o, ports[i]);
}

/* The number behind each `mark` of the text: "192.0.2.53@5353 192.0.2.54", "ldap://ldap.example:1389". */
static void add_marked(struct openings *o, struct str text, char mark)
{
	for (size_t at = str_find(text, mark); at < text.n; at = str_find(text, mark)) {
		uint64_t port;
		size_t n = 0;

		text = str_from(text, at + 1);
		while (n < text.n && text.p[n] >= '0' && text.p[n] <= '9')
			n++;
		if (str_to_u64(str_head(text, n), &port) && port > 0 && port <= UINT16_MAX)
			openings_add_port(o, port);
	}
}

/* Of "https://host:port/path". */
static void add_url(struct openings *o, struct str url)
{
	struct str host = str_from(url, S("https://").n);

	if (url.n == 0)
		return;
	openings_add_port(o, HTTPS_PORT);
	add_marked(o, str_head(host, str_find(host, '/')), ':');
}

static void add_token_servers(struct openings *o, const struct config *c)
{
	for (size_t i = 0; i < c->upstreams_n; i++) {
		const struct cfg_oauth *oauth = &c->upstreams[i].oauth;

		add_url(o, oauth->token_url);
		add_url(o, oauth->authorization_url);
		add_url(o, oauth->device_url);
	}
}

static void add_database_ports(struct openings *o, const struct config *c)
{
	uint64_t port;

	for (size_t i = 0; role_can(ROLE_QUEUE, c) & CAN_CONNECT && i < c->store.ports.n; i++)
		if (str_to_u64(c->store.ports.at[i], &port))
			openings_add_port(o, port);
}

void openings_add_ports(struct openings *o, enum role_id role, const struct config *c)
{
	unsigned reaches = role_reaches(role, c);

	if (reaches & TO_NEXT_HOPS) {
		openings_add_port(o, c->delivery.port);
		for (size_t i = 0; i < c->upstreams_n; i++)
			if (c->upstreams[i].port > 0)
				openings_add_port(o, c->upstreams[i].port);
	}
	for (size_t i = 0; reaches & TO_LISTENERS && i < c->listen_n; i++)
		openings_add_port(o, c->listen[i].port);
	if (reaches & TO_NAME_SERVERS || o->all) {
		add_fixed(o, name_server_ports, sizeof name_server_ports / sizeof name_server_ports[0]);
		add_marked(o, c->delivery.resolver, '@');
	}
	if (reaches & TO_TOKEN_SERVERS)
		add_token_servers(o, c);
	if (reaches & TO_HTTPS && (c->delivery.uses_mta_sts || c->tls_report.from.n > 0))
		openings_add_port(o, HTTPS_PORT);
	if (reaches & AT_DATABASE)
		add_database_ports(o, c);
	for (size_t i = 0; o->all && i < c->auth.options.n; i++)
		add_marked(o, c->auth.options.at[i], ':');
	if (o->all)
		add_fixed(o, backend_ports, sizeof backend_ports / sizeof backend_ports[0]);
}
