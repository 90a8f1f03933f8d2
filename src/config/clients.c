/* clients.c - the clients that are allowed, and their logins: checks of auth, listen's proxies, devices, limits and rewrite.
 * Each check also works with values that had a fault already. */
#include "loader.h"

#include "posthouse/names.h"
#include "posthouse/policy.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <sys/socket.h>

/* A device's network is a few hosts, not a site: /16 and /48 are the most. */
#define DEVICE_V4_BITS 16
#define DEVICE_V6_BITS 48

#define USERS_COMPARED 1000 /* more entries are not compared with each other */

struct str login_complete(struct arena *a, struct str login, struct str realm)
{
	size_t slash = str_find(login, '/');
	struct str name = str_head(login, slash);

	if (name.n > 0 && str_find(name, '@') == name.n)
		login = arena_printf(a, "%.*s@%.*s%.*s", STR_ARG(name), STR_ARG(realm), STR_ARG(str_from(login, slash)));
	return login_canonical(a, login);
}

/* ---- auth ---- */

static bool is_scram(struct str mechanism)
{
	return str_starts(mechanism, S("SCRAM-"));
}

/* saslauthd only says whether a password is right; for SCRAM the server must know the password or its verifier. */
static void check_mechanisms(struct loader *l)
{
	struct str_list *mechanisms = &l->config->auth.mechanisms;
	bool given = setting_exact(l, "auth.mechanisms") != NULL;
	size_t kept = 0;

	if (!str_eq(l->config->auth.backend, S("saslauthd")))
		return;
	for (size_t i = 0; i < mechanisms->n; i++)
		if (!is_scram(mechanisms->at[i]))
			mechanisms->at[kept++] = mechanisms->at[i];
		else if (given)
			fault(l, setting_near(l, "auth.mechanisms.[%zu]", i),
			      "auth.mechanisms: expected \"PLAIN\" and \"LOGIN\" only beside backend = \"saslauthd\", which sees "
			      "passwords and cannot do \"%.*s\"",
			      STR_ARG(mechanisms->at[i]));
	mechanisms->n = kept;
}

/* The options that a back-end needs. */
static const struct {
	const char *backend, *option, *why;
} needed[] = {
	{ "ldapdb", "ldapdb_uri", "the server, such as \"ldap://127.0.0.1\"" },
	{ "sql", "sql_engine", "\"sqlite3\", \"pgsql\" or \"mysql\"" },
	{ "sql", "sql_database", "the database's name, or its file" },
	{ "sql", "sql_select", "such as \"SELECT password FROM users WHERE name = '%u' AND realm = '%r'\"" },
};

/* Options that other keys decide: Cyrus would ignore them here. */
static const struct {
	const char *option, *instead;
} own_keys[] = {
	{ "mech_list", "auth.mechanisms" },
	{ "pwcheck_method", "auth.backend" },
	{ "auxprop_plugin", "auth.backend" },
};

static void check_options(struct loader *l)
{
	const struct cfg_auth *auth = &l->config->auth;

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (str_eq(auth->backend, str_of(needed[i].backend)) && auth_option(auth, str_of(needed[i].option)).n == 0)
			fault(l, setting_near(l, "auth.options"), "auth.options: expected %s beside backend = \"%s\": %s",
			      needed[i].option, needed[i].backend, needed[i].why);
	for (size_t i = 0; i < sizeof(own_keys) / sizeof(own_keys[0]); i++)
		if (auth_option(auth, str_of(own_keys[i].option)).n > 0)
			fault(l, setting_near(l, "auth.options.%s", own_keys[i].option),
			      "auth.options: expected the key %s instead of %s", own_keys[i].instead, own_keys[i].option);
	if (str_eq(auth->backend, S("accounts")) && auth->options.n > 0)
		warning(l, setting_near(l, "auth.options"),
			"auth.options: not used while auth.backend is \"accounts\", which needs none");
}

/* ---- listen ---- */

static void check_proxies(struct loader *l)
{
	const struct config *c = l->config;

	for (size_t i = 0; i < c->listen_n; i++)
		for (size_t k = 0; k < c->listen[i].proxy_protocol.n; k++)
			if (network_wider(c->listen[i].proxy_protocol.at[k], 1, 1))
				warning(l, setting_near(l, "listen.[%zu].proxy_protocol.[%zu]", i, k),
					"listen.proxy_protocol: \"%.*s\" is everybody: whoever connects may claim to come "
					"from anywhere",
					STR_ARG(c->listen[i].proxy_protocol.at[k]));
}

/* ---- devices ---- */

/* An address of this machine in that network; NULL when there is none. */
static const char *own_address_in(struct str network, char text[NI_MAXHOST])
{
	struct ifaddrs *all = NULL;
	const char *found = NULL;

	if (getifaddrs(&all) != 0)
		return NULL; /* nothing to compare with: so in the unit of systemd, which has no netlink */
	for (struct ifaddrs *a = all; a && !found; a = a->ifa_next) {
		sa_family_t family = a->ifa_addr ? a->ifa_addr->sa_family : AF_UNSPEC;
		socklen_t n = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);

		if ((family != AF_INET && family != AF_INET6) ||
		    getnameinfo(a->ifa_addr, n, text, NI_MAXHOST, NULL, 0, NI_NUMERICHOST) != 0)
			continue;
		if (network_contains(network, str_of(text)))
			found = text;
	}
	freeifaddrs(all);
	return found;
}

/* The reason why strangers could come from that network; empty: none is known. */
static struct str strangers_in(struct loader *l, struct str network)
{
	const struct config *c = l->config;

	for (size_t i = 0; i < c->gateways.n; i++)
		if (network_contains(network, c->gateways.at[i]))
			return arena_printf(
				l->arena,
				"has this machine's default gateway %.*s in it: where addresses are translated (home routers, "
				"Docker), every stranger seems to come from there",
				STR_ARG(c->gateways.at[i]));
	for (size_t i = 0; i < c->listen_n; i++)
		for (size_t k = 0; k < c->listen[i].proxy_protocol.n; k++)
			if (networks_overlap(network, c->listen[i].proxy_protocol.at[k]))
				return arena_printf(
					l->arena,
					"has addresses of the proxies %.*s in it: everybody whom they let through may come "
					"from there",
					STR_ARG(c->listen[i].proxy_protocol.at[k]));
	if (network_wider(network, DEVICE_V4_BITS, DEVICE_V6_BITS))
		return S("is larger than a /16 of IPv4 or a /48 of IPv6");
	return S("");
}

static void check_device_network(struct loader *l, size_t i, size_t k)
{
	const struct cfg_device *d = &l->config->devices[i];
	const config_setting_t *s = setting_near(l, "devices.[%zu].networks.[%zu]", i, k);
	struct str network = d->networks.at[k], why = strangers_in(l, network);
	char text[NI_MAXHOST];
	const char *own;

	if (why.n > 0 && d->i_know)
		warning(l, s, "devices.networks: \"%.*s\" %.*s", STR_ARG(network), STR_ARG(why));
	else if (why.n > 0)
		fault(l, s,
		      "devices.networks: \"%.*s\" %.*s. They could send without logging in; expected single addresses, or "
		      "i_know = true",
		      STR_ARG(network), STR_ARG(why));
	own = why.n == 0 && !d->i_know ? own_address_in(network, text) : NULL;
	if (own)
		warning(l, s,
			"devices.networks: \"%.*s\" has this machine's own address %s in it: all programs here count as the "
			"device, and whoever comes through a tunnel or a proxy that runs here; i_know = true says that this "
			"is meant",
			STR_ARG(network), own);
}

static void check_devices(struct loader *l)
{
	struct config *c = l->config;

	c->gateways = gateways_read(l->arena);
	for (size_t i = 0; i < c->devices_n; i++) {
		struct cfg_device *d = &c->devices[i];

		d->user = login_complete(l->arena, d->user, l->config->auth.realm);
		rates_check(l, setting_near(l, "devices.[%zu].messages", i), "devices.messages", &d->messages);
		for (size_t k = 0; k < d->networks.n; k++)
			check_device_network(l, i, k);
	}
}

/* ---- limits ---- */

static void check_limits_user(struct loader *l, size_t i)
{
	struct cfg_limits_user *all = l->config->limits.users, *u = &all[i];
	bool is_device;

	u->user = login_complete(l->arena, u->user, l->config->auth.realm);
	is_device = str_find(u->user, '/') < u->user.n;
	for (size_t k = 0; k < i && i < USERS_COMPARED; k++)
		if (u->user.n > 0 && str_ieq(all[k].user, u->user)) {
			fault(l, setting_near(l, "limits.users.[%zu].user", i),
			      "limits.users: expected one entry for \"%.*s\"; element %zu of the list is one already",
			      STR_ARG(u->user), k + 1);
			break;
		}
	rates_check(l, setting_near(l, "limits.users.[%zu].messages", i), "limits.users.messages", &u->messages);
	rates_check(l, setting_near(l, "limits.users.[%zu].recipients", i), "limits.users.recipients", &u->recipients);
	rates_check(l, setting_near(l, "limits.users.[%zu].bytes", i), "limits.users.bytes", &u->bytes);
	rates_check(l, setting_near(l, "limits.users.[%zu].new_recipients", i), "limits.users.new_recipients",
		    &u->new_recipients);
	if (is_device && (u->connections > 0 || u->priority > 0 || u->over != OVER_UNSET || u->breaker != BREAKER_UNSET))
		fault(l, setting_near(l, "limits.users.[%zu]", i),
		      "limits.users: expected only messages, recipients, bytes and new_recipients for a device password; the "
		      "rest is that of its login");
}

static void check_limits(struct loader *l)
{
	struct cfg_limits *limits = &l->config->limits;

	rates_check(l, setting_near(l, "limits.messages"), "limits.messages", &limits->messages);
	rates_check(l, setting_near(l, "limits.recipients"), "limits.recipients", &limits->recipients);
	rates_check(l, setting_near(l, "limits.bytes"), "limits.bytes", &limits->bytes);
	rates_check(l, setting_near(l, "limits.new_recipients"), "limits.new_recipients", &limits->new_recipients);
	for (size_t i = 0; i < limits->users_n; i++)
		check_limits_user(l, i);
}

/* ---- rewrite ---- */

bool is_given(const config_setting_t *s)
{
	const char *text = s ? config_setting_get_string(s) : NULL;

	return s && !(text && text[0] == '\0');
}

static void check_rewrite(struct loader *l)
{
	const struct config *c = l->config;

	for (size_t i = 0; i < c->rewrite_n; i++) {
		bool sender = is_given(setting_exact(l, "rewrite.[%zu].sender", i)),
		     recipient = is_given(setting_exact(l, "rewrite.[%zu].recipient", i));

		if (sender == recipient)
			fault(l, setting_near(l, "rewrite.[%zu]", i), "rewrite: expected either sender or recipient, %s",
			      sender ? "not both: that is two rules" : "the pattern of what is replaced");
	}
}

void clients_check(struct loader *l)
{
	check_mechanisms(l);
	check_options(l);
	check_proxies(l);
	check_devices(l);
	check_limits(l);
	check_rewrite(l);
}
