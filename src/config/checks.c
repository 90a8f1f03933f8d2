/* checks.c - what the table cannot say: how keys go together. Each check copes with values that had a fault already. */
#include "loader.h"

#include "posthouse/mail.h"

#include <sys/stat.h>

static const char in_clear[] = "the password goes over the network without TLS";

/* Two listeners on one port need different addresses; "*" is all of them. */
static void check_listen(struct loader *l)
{
	const struct config *c = l->config;

	for (size_t i = 0; i < c->listen_n; i++) {
		const struct cfg_listen *a = &c->listen[i];

		for (size_t k = 0; k < i; k++) {
			const struct cfg_listen *b = &c->listen[k];

			if (a->port != 0 && a->port == b->port &&
			    (str_eq(a->address, b->address) || str_eq(a->address, S("*")) || str_eq(b->address, S("*"))))
				fault(l, setting_near(l, "listen.[%zu].port", i),
				      "listen: expected a port of its own; %u is taken by element %zu of the list",
				      (unsigned)a->port, k + 1);
		}
	}
}

static void check_certificates(struct loader *l)
{
	if (l->config->certificates_n > 1)
		fault(l, setting_near(l, "certificates.[1]"),
		      "certificates: several, chosen by the name that the client asks for (SNI), are not built yet; expected exactly one");
}

/* The path as given fits, but the kernel gets the whole. */
static void check_control(struct loader *l)
{
	struct config *c = l->config;

	if (c->control.n > 0 && !format_socket.valid(c->control))
		fault(l, setting_near(l, "control"), "control: expected %s once the directory is put before it",
		      format_socket.expected);
}

/* The first entry of a login decides, so a second one would be ignored. */
static void check_senders(struct loader *l)
{
	const struct config *c = l->config;

	for (size_t i = 1; i < c->senders_n; i++)
		for (size_t k = 0; k < i && c->senders_n <= 1000; k++)
			if (str_ieq(c->senders[i].user, c->senders[k].user)) {
				fault(l, setting_near(l, "senders.[%zu].user", i),
				      "senders: expected one entry for the login \"%.*s\"; element %zu of the list is one already",
				      STR_ARG(c->senders[i].user), k + 1);
				break;
			}
}

static void check_sign(struct loader *l)
{
	const struct config *c = l->config;

	for (size_t i = 0; i < c->sign_n; i++) {
		unsigned same_domain = 0;

		for (size_t k = 0; k < i; k++) {
			if (!str_eq(c->sign[i].domain, c->sign[k].domain))
				continue;
			same_domain++;
			if (str_ieq(c->sign[i].selector, c->sign[k].selector))
				fault(l, setting_near(l, "sign.[%zu].selector", i),
				      "sign: expected a selector of its own; element %zu of the list has the same domain and selector",
				      k + 1);
		}
		if (same_domain == DKIM_KEYS_MAX)
			fault(l, setting_near(l, "sign.[%zu]", i), "sign: expected at most %d keys for the domain \"%.*s\"",
			      DKIM_KEYS_MAX, STR_ARG(c->sign[i].domain));
	}
}

static bool is_loopback(struct str host)
{
	return str_ieq(host, S("localhost")) || str_starts(host, S("127.")) || str_eq(host, S("::1"));
}

/* Login and password belong together. */
static void check_credentials(struct loader *l, size_t i)
{
	const struct cfg_upstream *u = &l->config->upstreams[i];
	bool given = config_setting_type(setting_near(l, "upstreams.[%zu].password_file", i)) == CONFIG_TYPE_STRING ||
		     config_setting_type(setting_near(l, "upstreams.[%zu].password", i)) == CONFIG_TYPE_STRING;

	if (u->login.n > 0 && !given)
		fault(l, setting_near(l, "upstreams.[%zu].login", i),
		      "upstreams: expected password_file (or password) beside login");
	if (u->login.n == 0 && u->password.n > 0)
		fault(l, setting_near(l, "upstreams.[%zu]", i), "upstreams: expected login beside the password");
	if (u->login.n > 0 && (u->tls == UPSTREAM_NONE || u->tls == UPSTREAM_OPPORTUNISTIC) && !is_loopback(u->host))
		warning(l, setting_near(l, "upstreams.[%zu].tls", i), "upstreams: with tls = \"%s\" %s%s",
			u->tls == UPSTREAM_NONE ? "none" : "opportunistic", in_clear,
			u->tls == UPSTREAM_NONE ? "" : " whenever somebody between suppresses STARTTLS");
}

/* Whoever reads the file reads the passwords in it. */
static void check_file_mode(struct loader *l, size_t i)
{
	const config_setting_t *s = setting_near(l, "upstreams.[%zu].password", i);
	struct source_run where;
	struct stat st;

	if (!s || !config_setting_name(s) || strcmp(config_setting_name(s), "password") != 0)
		return;
	where = source_of(l, (unsigned)config_setting_source_line(s));
	if (stat(arena_cstr(l->arena, where.file), &st) == 0 && st.st_mode & 0004)
		warning(l, s,
			"upstreams: everybody can read this file and the password in it; expected mode 0600, or password_file");
}

static void check_upstreams(struct loader *l)
{
	struct config *c = l->config;

	for (size_t i = 0; i < c->upstreams_n; i++) {
		struct cfg_upstream *u = &c->upstreams[i];

		if (u->port == 0)
			u->port = u->tls == UPSTREAM_IMPLICIT ? 465 : 587;
		if (str_ieq(u->name, S("mx")))
			fault(l, setting_near(l, "upstreams.[%zu].name", i),
			      "upstreams: expected another name: \"mx\" means direct delivery in routes");
		for (size_t k = 0; k < i; k++)
			if (u->name.n > 0 && str_eq(u->name, c->upstreams[k].name))
				fault(l, setting_near(l, "upstreams.[%zu].name", i),
				      "upstreams: expected a name of its own; element %zu of the list is called \"%.*s\" too",
				      k + 1, STR_ARG(u->name));
		check_credentials(l, i);
		check_file_mode(l, i);
	}
}

static bool has_upstream(const struct config *c, struct str name)
{
	for (size_t i = 0; i < c->upstreams_n; i++)
		if (str_eq(c->upstreams[i].name, name))
			return true;
	return false;
}

/* Without routes everything goes through the only upstream. */
static void default_route(struct loader *l)
{
	struct config *c = l->config;

	if (c->upstreams_n != 1) {
		if (c->upstreams_n > 1)
			fault(l, setting_near(l, "upstreams"),
			      "expected the key routes: which of the upstreams takes the mail? For example routes = ( { via = [ \"%.*s\" ]; } );",
			      STR_ARG(c->upstreams[0].name));
		return;
	}
	c->routes = ARENA_NEW(l->arena, struct cfg_route);
	c->routes_n = 1;
	c->routes->via.at = ARENA_NEW(l->arena, struct str);
	c->routes->via.at[0] = c->upstreams[0].name;
	c->routes->via.n = 1;
}

static void check_routes(struct loader *l)
{
	const struct config *c = l->config;
	const struct str_list *via = c->routes_n > 0 ? &c->routes[0].via : NULL;

	if (!via) {
		default_route(l);
		return;
	}
	if (c->routes_n > 1)
		fault(l, setting_near(l, "routes.[1]"), "routes: several rules are not built yet; expected exactly one");
	if (via->n > 1)
		fault(l, setting_near(l, "routes.[0].via"),
		      "routes: several upstreams in via (fail-over) are not built yet; expected exactly one name");
	for (size_t i = 0; i < via->n; i++) {
		if (str_eq(via->at[i], S("mx")))
			fault(l, setting_near(l, "routes.[0].via.[%zu]", i),
			      "routes: \"mx\" (direct delivery) is not built yet; expected the name of an upstream");
		else if (via->at[i].n > 0 && c->upstreams_n > 0 && !has_upstream(c, via->at[i]))
			fault(l, setting_near(l, "routes.[0].via.[%zu]", i),
			      "routes: expected the name of an upstream; there is none called \"%.*s\"", STR_ARG(via->at[i]));
	}
	for (size_t i = 0; i < c->upstreams_n && via->n == 1 && has_upstream(c, via->at[0]); i++)
		if (!str_eq(c->upstreams[i].name, via->at[0]))
			warning(l, setting_near(l, "upstreams.[%zu].name", i), "upstreams: \"%.*s\" is named by no route",
				STR_ARG(c->upstreams[i].name));
}

static void check_delivery(struct loader *l)
{
	if (!l->config->delivery.ipv4 && !l->config->delivery.ipv6)
		fault(l, setting_near(l, "delivery.ipv6"), "delivery: expected ipv4 or ipv6 to be true");
}

void checks_run(struct loader *l)
{
	struct config *c = l->config;

	if (c->auth.realm.n == 0)
		c->auth.realm = c->hostname;
	check_control(l);
	check_listen(l);
	check_certificates(l);
	check_senders(l);
	check_sign(l);
	check_upstreams(l);
	check_routes(l);
	check_delivery(l);
}
