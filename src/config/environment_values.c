/* environment_values.c - variables that are more than one key, and what a configuration from the environment has where nobody
 * says anything. */
#include "environment.h"

#include "posthouse/policy.h"
#include "posthouse/units.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define HOST_MAX 256

static bool is_yes(const struct variable *v)
{
	return v && !str_ieq(v->value, S("no")) && !str_ieq(v->value, S("false")) && !str_eq(v->value, S("0"));
}

/* ---- listen ---- */

static void add_port(struct variables *e, const char *name, const char *otherwise, const char *tls, bool *any)
{
	const struct variable *v = environment_get(e, name), *address = environment_get(e, "POSTHOUSE_ADDRESS"),
			      *proxies = environment_get(e, "POSTHOUSE_PROXIES"),
			      *first = v         ? v
				       : address ? address
						 : proxies;
	struct arena *a = e->l->arena;
	struct str port = v ? v->value : str_of(otherwise);
	uint64_t number;

	if (v && (str_eq(port, S("none")) || str_eq(port, S("no"))))
		return;
	if (!str_to_u64(port, &number)) {
		fault_at(e->l, v->name, 0, false, "expected a port, or none, not \"%.*s\"", STR_ARG(port));
		return;
	}
	environment_add(e, first, "%s port = %.*s; tls = \"%s\";", *any ? ", {" : "{", STR_ARG(port), tls);
	if (address)
		environment_add(e, address, "address = %.*s;", STR_ARG(environment_quoted(a, address->value)));
	if (proxies) {
		struct str_list words = environment_words(a, proxies->value);

		environment_add(e, proxies, "proxy_protocol = %.*s;", STR_ARG(environment_list(a, &words, "")));
	}
	environment_add(e, first, "}");
	*any = true;
}

static void add_listen(struct variables *e)
{
	static const char *const names[] = { "POSTHOUSE_STARTTLS_PORT", "POSTHOUSE_TLS_PORT", "POSTHOUSE_ADDRESS",
					     "POSTHOUSE_PROXIES" };
	const struct variable *first = NULL;
	bool any = false;

	for (size_t i = 0; i < 4 && !first; i++)
		first = environment_get(e, names[i]);
	if (!first)
		return;
	environment_add(e, first, "listen = (");
	add_port(e, "POSTHOUSE_STARTTLS_PORT", "587", "starttls", &any);
	add_port(e, "POSTHOUSE_TLS_PORT", "465", "implicit", &any);
	environment_add(e, first, ");");
}

/* ---- certificates ---- */

static void add_certificate(struct variables *e)
{
	const struct variable *chain = environment_get(e, "POSTHOUSE_CERTIFICATE"), *key = environment_get(e, "POSTHOUSE_KEY");
	struct arena *a = e->l->arena;

	if (!chain && !key)
		return;
	if (!chain) {
		fault_at(e->l, key->name, 0, false, "expected POSTHOUSE_CERTIFICATE beside it");
		return;
	}
	environment_add(e, chain, "certificates = ( { chain = %.*s;", STR_ARG(environment_quoted(a, chain->value)));
	environment_add(e, key ? key : chain, "key = %.*s; } );",
			STR_ARG(environment_quoted(a, key ? key->value : chain->value)));
}

/* ---- addresses ---- */

/* OPENDKIM_DOMAINS names them too: DOMAIN=SELECTOR. */
static const struct variable *domains_of(struct variables *e, struct str_list *domains_out)
{
	const struct variable *v = environment_get(e, "POSTHOUSE_DOMAINS"), *keys = environment_get(e, "POSTHOUSE_DKIM_SELECTOR");

	*domains_out = (struct str_list){ 0 };
	if (!v && keys && keys->row->form == DOMAIN_LIST)
		v = keys;
	if (v)
		*domains_out = environment_words(e->l->arena, v->value);
	for (size_t i = 0; i < domains_out->n; i++) {
		struct str d = arena_lower(e->l->arena, domains_out->at[i]);

		domains_out->at[i] = str_head(d, str_find(d, '='));
		if (!format_domain.valid(domains_out->at[i]))
			fault_at(e->l, v->name, 0, false, "expected domains, not \"%.*s\"", STR_ARG(domains_out->at[i]));
	}
	return v;
}

static void add_senders(struct variables *e)
{
	const struct variable *from = environment_get(e, "POSTHOUSE_FROM"), *any = environment_get(e, "POSTHOUSE_ANY_SENDER");
	struct arena *a = e->l->arena;
	struct str_list domains;
	const struct variable *v = domains_of(e, &domains);
	struct str addresses = S("");

	if (v) {
		addresses = environment_list(a, &domains, "@");
	} else if (is_yes(any)) {
		v = any;
		addresses = S("[ \"*\" ]");
	} else if (from) {
		v = from;
		addresses = arena_printf(a, "[ %.*s ]", STR_ARG(environment_quoted(a, from->value)));
	}
	if (v)
		environment_add(e, v, "senders = ( { user = \"*\"; addresses = %.*s; } );", STR_ARG(addresses));
}

static void add_rewrite(struct variables *e)
{
	const struct variable *from = environment_get(e, "POSTHOUSE_FROM"), *cut = environment_get(e, "POSTHOUSE_MASQUERADE");
	struct arena *a = e->l->arena;
	struct str_list domains = { 0 };

	if (cut)
		domains = environment_words(a, cut->value);
	for (size_t i = 0; i < domains.n; i++) {
		struct str d = domains.at[i];

		if (d.p[0] == '!')
			fault_at(e->l, cut->name, 0, true, "not used: \"%.*s\": there are no exceptions", STR_ARG(d));
		else
			environment_add(e, cut, "%s { sender = \"@.%.*s\"; to = \"@%.*s\"; headers = true; }",
					i == 0 ? "rewrite = (" : ",", STR_ARG(d), STR_ARG(d));
	}
	if (domains.n > 0)
		environment_add(e, cut, ");");
	if (from)
		environment_add(e, from, "rewrite = ( { sender = \"*\"; to = %.*s; headers = true; } );",
				STR_ARG(environment_quoted(a, from->value)));
}

/* ---- devices ---- */

/* Behind the default gateway is everybody, where addresses are translated. */
static struct str_list without_gateways(struct arena *a, struct str_list networks)
{
	struct str_list gateways = gateways_read(a);

	for (size_t i = 0; i < gateways.n; i++) {
		struct str_list parts = { .at = ARENA_ARRAY(a, struct str, networks.n * NETWORK_PARTS + 1) };

		for (size_t k = 0; k < networks.n; k++)
			network_without(a, networks.at[k], gateways.at[i], &parts);
		networks = parts;
	}
	return networks;
}

/* Postfix writes [2001:db8::]/64. */
static struct str_list without_brackets(struct arena *a, struct str_list networks)
{
	for (size_t i = 0; i < networks.n; i++) {
		struct str n = networks.at[i];
		size_t end = str_find(n, ']');

		if (n.p[0] == '[' && end < n.n)
			networks.at[i] = arena_printf(a, "%.*s%.*s", STR_ARG(str_head(str_from(n, 1), end - 1)),
						      STR_ARG(str_from(n, end + 1)));
	}
	return networks;
}

/* Nothing that other images call their networks makes a device by itself: it takes POSTHOUSE_DEVICE_SENDER. */
static void add_devices(struct variables *e)
{
	const struct variable *networks = environment_get(e, "POSTHOUSE_DEVICES"),
			      *sender = environment_get(e, "POSTHOUSE_DEVICE_SENDER"),
			      *recipients = environment_get(e, "POSTHOUSE_DEVICE_RECIPIENTS"),
			      *tls = environment_get(e, "POSTHOUSE_DEVICE_TLS");
	struct arena *a = e->l->arena;
	struct str_list words, to;

	if (networks && !sender && networks->row->kind == ENV_OTHER)
		fault_at(e->l, networks->name, 0, true,
			 "not used: %s; give programs a login (POSTHOUSE_USERS), or set that variable", networks->row->remark);
	else if (networks && !sender)
		fault_at(e->l, networks->name, 0, false, "expected POSTHOUSE_DEVICE_SENDER beside it");
	if (!networks || !sender)
		return;
	words = without_gateways(a, without_brackets(a, environment_words(a, networks->value)));
	to = environment_words(a, recipients ? recipients->value : S("*"));
	fault_at(e->l, networks->name, 0, true, "whoever comes from these networks can send without a password, as %.*s",
		 STR_ARG(sender->value));
	environment_add(e, networks, "devices = ( { user = \"device\"; networks = %.*s;",
			STR_ARG(environment_list(a, &words, "")));
	environment_add(e, sender, "sender = %.*s;", STR_ARG(environment_quoted(a, sender->value)));
	environment_add(e, recipients ? recipients : networks, "recipients = %.*s;", STR_ARG(environment_list(a, &to, "")));
	if (tls)
		environment_add(e, tls, "tls = %.*s;", STR_ARG(environment_quoted(a, tls->value)));
	environment_add(e, networks, "} );");
}

/* ---- what the command line makes ---- */

static void add_user(struct variables *e, const struct variable *v, struct str login, struct str password)
{
	struct environment *made = e->l->config->environment;

	if (!format_login.valid(login) || password.n == 0) {
		fault_at(e->l, v->name, 0, false, "expected NAME:PASSWORD, with a login such as alice or alice@example.org");
		return;
	}
	ARENA_GROW(e->l->arena, made->users, made->users_n, made->users_capacity);
	made->users[made->users_n++] = (struct environment_user){ login, password, v->name };
}

/* In a variable commas are between users too, as in other images. */
static void note_users(struct variables *e, const struct variable *v)
{
	struct str rest = v->value, entry;

	while (rest.n > 0) {
		size_t n = str_find(rest, '\n'), comma = v->file.n > 0 ? rest.n : str_find(rest, ',');

		n = comma < n ? comma : n;
		entry = str_head(rest, n);
		rest = str_from(rest, n < rest.n ? n + 1 : n);
		if (str_ends(entry, S("\r")))
			entry.n--;
		if (entry.n == 0 || entry.p[0] == '#')
			continue;
		n = str_find(entry, ':');
		add_user(e, v, str_trim(str_head(entry, n)), str_from(entry, n < entry.n ? n + 1 : n));
	}
}

static void note_made(struct variables *e)
{
	const struct variable *users = environment_get(e, "POSTHOUSE_USERS"), *user = environment_get(e, "POSTHOUSE_USER"),
			      *password = environment_get(e, "POSTHOUSE_PASSWORD"), *dkim = environment_get(e, "POSTHOUSE_DKIM"),
			      *selector = environment_get(e, "POSTHOUSE_DKIM_SELECTOR");
	struct environment *made = ARENA_ARRAY(e->l->arena, struct environment, 1);

	e->l->config->environment = made;
	if (users)
		note_users(e, users);
	if (user && password)
		add_user(e, user, user->value, password->value);
	else if (user || password)
		fault_at(e->l, (user ? user : password)->name, 0, false, "expected both POSTHOUSE_USER and POSTHOUSE_PASSWORD");
	domains_of(e, &made->domains);
	made->dkim = !dkim || is_yes(dkim);
	made->selectors = selector ? environment_words(e->l->arena, selector->value) : (struct str_list){ 0 };
}

/* ---- all ---- */

void environment_add_all(struct variables *e)
{
	const struct variable *extra;

	environment_collect(e);
	note_made(e);
	environment_add_keys(e);
	environment_add_upstream(e);
	add_listen(e);
	add_certificate(e);
	add_senders(e);
	add_rewrite(e);
	add_devices(e);
	extra = environment_get(e, "POSTHOUSE_CONFIG_EXTRA");
	if (extra)
		environment_add_part(e, extra, 1, extra->value);
}

/* ---- defaults ---- */

/* Of the container, where that is a full name: most are made up. */
static struct str own_name(struct arena *a)
{
	const char *given = getenv("HOSTNAME");
	char name[HOST_MAX] = "";

	if (given && host_name_valid(str_of(given)))
		return arena_str(a, str_of(given));
	if (gethostname(name, sizeof name - 1) == 0 && host_name_valid(str_of(name)))
		return arena_str(a, str_of(name));
	return S("");
}

/* The same for every user, so that commands of root find the relay of another. */
static bool run_is_writable(void)
{
	struct statvfs v;
	struct stat st;

	if (stat("/run/posthouse", &st) == 0 && statvfs("/run/posthouse", &v) == 0)
		return !(v.f_flag & ST_RDONLY);
	return stat("/run", &st) == 0 && statvfs("/run", &v) == 0 && !(v.f_flag & ST_RDONLY) && st.st_mode & 0002;
}

/* Of a host name with three labels or more; "": there is none. */
static struct str domain_above(struct str name)
{
	struct str above = str_from(name, str_find(name, '.') < name.n ? str_find(name, '.') + 1 : name.n);

	return str_find(above, '.') < above.n ? above : S("");
}

/* A path in a directory, in quotes. */
static struct str below(struct arena *a, struct str directory, const char *name)
{
	return environment_quoted(a, arena_printf(a, "%.*s/%s", STR_ARG(directory), name));
}

void environment_add_defaults(struct variables *e)
{
	struct arena *a = e->l->arena;
	struct str state = rescue_text(e->l, "state_dir"), name = rescue_text(e->l, "hostname"), first, keys;
	struct str_list domains = e->l->config->environment->domains;

	name = name.n > 0 ? name : own_name(a);
	first = domains.n > 0 ? domains.at[0] : domain_above(name);
	state = state.n > 0 ? path_resolve(e->l, state) : S("/var/lib/posthouse");
	keys = arena_printf(a, "%.*s/dkim.conf", STR_ARG(state));
	if (name.n == 0 && first.n > 0)
		name = arena_printf(a, "relay.%.*s", STR_ARG(first));
	if (name.n > 0)
		environment_add(e, NULL, "hostname = %.*s;", STR_ARG(environment_quoted(a, name)));
	if (first.n > 0)
		environment_add(e, NULL, "postmaster = %.*s;",
				STR_ARG(environment_quoted(a, arena_printf(a, "postmaster@%.*s", STR_ARG(first)))));
	if (first.n > 0)
		environment_add(e, NULL, "auth = { realm = %.*s; };", STR_ARG(environment_quoted(a, first)));
	environment_add(e, NULL, "certificates = ( { chain = %.*s; key = %.*s; },", STR_ARG(below(a, state, "tls/fullchain.pem")),
			STR_ARG(below(a, state, "tls/privkey.pem")));
	environment_add(e, NULL, "{ chain = %.*s; key = %.*s; } );", STR_ARG(below(a, state, "tls/fullchain-rsa.pem")),
			STR_ARG(below(a, state, "tls/privkey-rsa.pem")));
	if (!run_is_writable())
		environment_add(e, NULL, "control = %.*s;", STR_ARG(below(a, state, "control.sock")));
	if (access(arena_cstr(a, keys), F_OK) == 0)
		environment_add(e, NULL, "\n@include %.*s", STR_ARG(environment_quoted(a, keys)));
}
