/* import_routes.c - `posthouse import postfix`: relayhost, transport_maps and sender_dependent_relayhost_maps become upstreams
 * and routes, which are the part of a configuration that decides where mail goes. */
#include "import.h"

#include <stdio.h>

#define UPSTREAMS_MAX 100

struct upstream {
	struct str next_hop; /* as Postfix has it: the key of the map of passwords */
	struct str host, port, sender;
	bool looked_up; /* without brackets: Postfix asks for MX records of the name */
};

struct routing {
	struct import *t;
	struct upstream upstreams[UPSTREAMS_MAX];
	size_t n;
	struct buf routes;
	struct imported_list passwords;
};

static struct str port_number(struct import *t, struct str word)
{
	static const char *const names[][2] = {
		{ "submission", "587" }, { "submissions", "465" }, { "smtps", "465" }, { "smtp", "25" }
	};
	uint64_t number;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (str_eq(word, str_of(names[i][0])))
			return str_of(names[i][1]);
	if (word.n > 0 && !str_to_u64(word, &number))
		import_lost(t, LOSS_ROUTE, "the port \"%.*s\" has no known number: 25 is in its place", STR_ARG(word));
	return str_to_u64(word, &number) ? word : S("25");
}

/* The number of the upstream for "[host]:port"; UPSTREAMS_MAX: there are too many. */
static size_t upstream_of(struct routing *r, struct str next_hop, struct str sender)
{
	struct upstream *u = &r->upstreams[r->n];
	size_t end = str_find(next_hop, ']');

	for (size_t i = 0; i < r->n; i++)
		if (str_eq(r->upstreams[i].next_hop, next_hop) && str_eq(r->upstreams[i].sender, sender))
			return i;
	if (r->n == UPSTREAMS_MAX)
		return r->n;
	*u = (struct upstream){ .next_hop = next_hop, .sender = sender, .looked_up = next_hop.p[0] != '[' };
	if (!u->looked_up) {
		u->host = str_head(str_from(next_hop, 1), end - 1);
		u->port = port_number(r->t, str_from(next_hop, end + 2));
	} else {
		u->host = str_head(next_hop, str_find(next_hop, ':'));
		u->port = port_number(r->t, str_from(next_hop, u->host.n + 1));
	}
	return r->n++;
}

/* "upstream1", or "mx" for an empty next hop. */
static struct str via(struct routing *r, struct str next_hop, struct str sender)
{
	size_t i = next_hop.n > 0 ? upstream_of(r, next_hop, sender) : UPSTREAMS_MAX;

	return i < UPSTREAMS_MAX ? arena_printf(&r->t->arena, "upstream%zu", i + 1) : S("mx");
}

/* "example.org" of a map is "@example.org" here, ".example.org" is "@.example.org", an address stays. */
static struct str pattern(struct arena *a, struct str key)
{
	return str_find(key, '@') < key.n || str_eq(key, S("*")) ? key : arena_printf(a, "@%.*s", STR_ARG(key));
}

/* ---- transports ---- */

static void read_transports(struct routing *r)
{
	struct imported_list rows;

	if (!import_map(r->t, "transport_maps", LOSS_ROUTE, &rows))
		return;
	import_origin(r->t, "transport_maps");
	for (size_t i = 0; i < rows.n; i++) {
		const struct imported *row = &rows.at[i];
		struct str transport = str_head(row->value, str_find(row->value, ':')),
			   next_hop = str_from(row->value, transport.n + 1);

		if (transport.n > 0 && !str_eq(transport, S("smtp")) && !str_eq(transport, S("relay"))) {
			import_lost(r->t, LOSS_ROUTE, "transport_maps: %.*s goes to %.*s, which has no equal", STR_ARG(row->name),
				    STR_ARG(row->value));
			continue;
		}
		buf_printf(&r->routes, "  { recipients = [ \"%.*s\" ]; via = [ \"%.*s\" ]; },\n",
			   STR_ARG(pattern(&r->t->arena, row->name)), STR_ARG(via(r, next_hop, S(""))));
	}
}

static void read_sender_relays(struct routing *r)
{
	struct imported_list rows;

	if (!import_map(r->t, "sender_dependent_relayhost_maps", LOSS_ROUTE, &rows))
		return;
	import_origin(r->t, "sender_dependent_relayhost_maps");
	for (size_t i = 0; i < rows.n; i++)
		buf_printf(&r->routes, "  { senders = [ \"%.*s\" ]; via = [ \"%.*s\" ]; },\n",
			   STR_ARG(pattern(&r->t->arena, rows.at[i].name)), STR_ARG(via(r, rows.at[i].value, rows.at[i].name)));
}

/* ---- upstreams ---- */

static const char *tls_of(struct routing *r)
{
	struct str level = import_value(r->t, "smtp_tls_security_level");

	if (str_eq(import_value(r->t, "smtp_tls_wrappermode"), S("yes")))
		return "implicit";
	if (str_eq(level, S("encrypt")) || str_eq(level, S("secure")) || str_eq(level, S("verify")) ||
	    str_eq(level, S("fingerprint")))
		return "starttls";
	return str_eq(level, S("none")) ? "none" : "opportunistic";
}

/* The login that the map of passwords has for the server, or for the sender. The password is never printed. */
static struct str login_of(struct routing *r, const struct upstream *u)
{
	for (size_t i = 0; i < r->passwords.n; i++) {
		struct str name = r->passwords.at[i].name, value = r->passwords.at[i].value;

		if (str_eq(name, u->next_hop) || str_eq(name, u->host) || (u->sender.n > 0 && str_eq(name, u->sender)))
			return str_head(value, str_find(value, ':'));
	}
	return S("");
}

static void print_upstream(struct routing *r, size_t i)
{
	struct buf *out = &r->t->config;
	const struct upstream *u = &r->upstreams[i];
	struct str login = login_of(r, u), ca = import_value(r->t, "smtp_tls_CAfile");

	buf_printf(out, "  { name = \"upstream%zu\"; host = \"%.*s\"; port = %.*s; tls = \"%s\";", i + 1, STR_ARG(u->host),
		   STR_ARG(u->port), tls_of(r));
	if (ca.n > 0)
		buf_printf(out, " ca = \"%.*s\";", STR_ARG(ca));
	if (login.n > 0)
		buf_printf(out,
			   "\n    login = \"%.*s\"; password_file = \"upstream%zu.password\"; # write it there, mode 0600\n ",
			   STR_ARG(login), i + 1);
	buf_printf(out, " }%s\n", i + 1 < r->n ? "," : "");
	if (u->looked_up)
		import_lost(r->t, LOSS_MAIL,
			    "%.*s is not in brackets: Postfix asks for its MX records, Posthouse takes it as a host",
			    STR_ARG(u->next_hop));
}

/* ---- mail that stayed on this machine ---- */

static void look_for_mailboxes(struct import *t)
{
	static const char *const lists[] = { "virtual_mailbox_domains", "virtual_mailbox_maps", "relay_domains",
					     "relay_recipient_maps",    "mailbox_transport",    "local_transport" };
	struct str rest = import_value(t, "mydestination"), word, host = import_value(t, "myhostname");

	for (size_t i = 0; i < rest.n; i++)
		if (rest.p[i] == '\t' || rest.p[i] == ',')
			((char *)(uintptr_t)rest.p)[i] = ' ';
	while (str_split(&rest, ' ', &word))
		if (word.n > 0 && !str_eq(word, host) && !str_starts(word, S("localhost")))
			import_lost(t, LOSS_ROUTE,
				    "mydestination: mail to %.*s was delivered here; a route must lead to its mailboxes",
				    STR_ARG(word));
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		word = import_value(t, lists[i]);
		if (word.n > 0)
			import_lost(t, LOSS_ROUTE, "%s = %.*s: Posthouse has no mailboxes and takes no mail from outside",
				    lists[i], STR_ARG(word));
	}
}

void import_routes(struct import *t)
{
	struct routing r = { .t = t };
	struct str relayhost = import_value(t, "relayhost"), fallback = import_value(t, "smtp_fallback_relay"), first, second;

	buf_init(&r.routes, 1 << 20);
	if (import_value(t, "smtp_sasl_password_maps").n > 0)
		import_map(t, "smtp_sasl_password_maps", LOSS_MAIL, &r.passwords);
	read_transports(&r);
	read_sender_relays(&r);
	first = via(&r, relayhost, S(""));
	second = fallback.n > 0 ? via(&r, fallback, S("")) : S("");
	buf_printf(&r.routes, "  { via = [ \"%.*s\"%s%.*s%s ]; }\n", STR_ARG(first), second.n ? ", \"" : "", STR_ARG(second),
		   second.n ? "\"" : "");
	import_origin(t, "relayhost");
	import_origin(t, "smtp_sasl_password_maps");
	import_origin(t, "smtp_tls_security_level");
	if (r.n > 0) {
		buf_printf(&t->config, "upstreams = (\n");
		for (size_t i = 0; i < r.n; i++)
			print_upstream(&r, i);
		buf_printf(&t->config, ");\n");
	}
	buf_printf(&t->config, "routes = (\n%.*s);\n\n", STR_ARG(buf_view(&r.routes)));
	buf_fini(&r.routes);
	look_for_mailboxes(t);
}
