/* environment_upstream.c - the one upstream that variables describe. Each line of it names its own variable in faults. */
#include "environment.h"

#define NAME "upstream" /* in routes and in the log */

/* All but the first two demand TLS. */
static const char *const postfix_levels[] = { "none", "may", "encrypt", "dane", "dane-only", "fingerprint", "verify", "secure" };
#define LEVELS_N (sizeof postfix_levels / sizeof postfix_levels[0])
#define NEAR     4 /* letters between a word and the one that can be meant */

/* "host:port", "[address]:port"; a plain IPv6 address has no port. */
static void split_port(struct str text, struct str *host_out, struct str *port_out)
{
	size_t end = str_find(text, ']'), colon = str_rfind(text, ':');

	*host_out = text;
	*port_out = S("");
	if (text.n > 0 && text.p[0] == '[' && end < text.n) {
		*host_out = str_head(str_from(text, 1), end - 1);
		*port_out = end + 1 < text.n && text.p[end + 1] == ':' ? str_from(text, end + 2) : S("");
	} else if (colon < text.n && str_find(text, ':') == colon) {
		*host_out = str_head(text, colon);
		*port_out = str_from(text, colon + 1);
	}
}

static struct str port_of(struct variables *e)
{
	const struct variable *host = environment_get(e, "POSTHOUSE_UPSTREAM"), *smtp_port = environment_get(e, "SMTP_PORT");
	struct str name, port = S("");

	if (host)
		split_port(host->value, &name, &port);
	return port.n == 0 && smtp_port ? smtp_port->value : port;
}

static void add_host(struct variables *e)
{
	const struct variable *host = environment_get(e, "POSTHOUSE_UPSTREAM"), *smtp_port = environment_get(e, "SMTP_PORT");
	struct str name, port, ours = port_of(e);
	uint64_t number;

	if (!host)
		return;
	split_port(host->value, &name, &port);
	environment_add(e, host, "host = %.*s;", STR_ARG(environment_quoted(e->l->arena, name)));
	if (ours.n > 0 && str_to_u64(ours, &number))
		environment_add(e, port.n > 0 ? host : smtp_port, "port = %.*s;", STR_ARG(ours));
	else if (ours.n > 0)
		fault_at(e->l, (port.n > 0 ? host : smtp_port)->name, 0, false, "expected a number as port, not \"%.*s\"",
			 STR_ARG(ours));
}

/* In the words of the image that the variable is of. */
static void report_level(struct variables *e, const struct variable *v)
{
	const char *best = NULL;
	unsigned least = NEAR;

	for (size_t i = 0; i < LEVELS_N; i++) {
		unsigned d = str_distance(v->value, str_of(postfix_levels[i]));

		if (d < least) {
			best = postfix_levels[i];
			least = d;
		}
	}
	fault_at(e->l, v->name, 0, false,
		 "expected one of none, may, encrypt, dane, dane-only, fingerprint, verify, secure, not \"%.*s\"%s%s%s",
		 STR_ARG(v->value), best ? "; did you mean " : "", best ? best : "", best ? "?" : "");
}

/* Postfix's "may" takes any certificate; no login goes over such a connection here. */
static const char *tls_of_level(struct variables *e, const struct variable *v)
{
	bool login = environment_get(e, "POSTHOUSE_UPSTREAM_LOGIN") != NULL;

	if (str_eq(v->value, S("may")))
		return login ? "starttls" : "opportunistic";
	if (str_eq(v->value, S("none")))
		return "none";
	for (size_t i = 0; i < LEVELS_N; i++)
		if (str_eq(v->value, str_of(postfix_levels[i])))
			return "starttls";
	report_level(e, v);
	return "none"; /* with that fault nothing is sent */
}

/* Of ours, as it is. Other images have other defaults, and know port 465 by its number. */
static void add_tls(struct variables *e)
{
	const struct variable *host = environment_get(e, "POSTHOUSE_UPSTREAM"),
			      *tls = environment_get(e, "POSTHOUSE_UPSTREAM_TLS");
	bool ours = tls && tls->row->kind == ENV_UPSTREAM;
	const char *mode = tls && !ours ? tls_of_level(e, tls) : NULL;

	if (!ours && str_eq(port_of(e), S("465")))
		mode = "implicit";
	else if (!tls && host && host->row->kind == ENV_OTHER)
		mode = environment_get(e, "POSTHOUSE_UPSTREAM_LOGIN") ? "starttls" : "opportunistic";
	if (mode)
		environment_add(e, tls ? tls : host, "tls = \"%s\";", mode);
	else if (tls)
		environment_add(e, tls, "tls = %.*s;", STR_ARG(environment_quoted(e->l->arena, tls->value)));
}

/* Which provider the tokens are of, where no variable says so: the address of its tokens does. */
static void add_provider(struct variables *e)
{
	static const struct {
		const char *host, *name;
	} known[] = { { "google", "google" }, { "microsoftonline", "microsoft" }, { "yahoo", "yahoo" }, { "yandex", "yandex" } };
	const struct variable *url = environment_get(e, "POSTHOUSE_OAUTH_TOKEN_URL"),
			      *id = environment_get(e, "POSTHOUSE_OAUTH_CLIENT_ID");
	const char *name = url ? "custom" : "google";

	if (!id || environment_get(e, "POSTHOUSE_OAUTH_PROVIDER") || (!url && environment_get(e, "POSTHOUSE_UPSTREAM_PROFILE")))
		return;
	for (size_t i = 0; url && i < sizeof known / sizeof known[0]; i++)
		if (str_search(url->value, str_of(known[i].host)) < url->value.n)
			name = known[i].name;
	environment_add(e, url ? url : id, "provider = \"%s\";", name);
}

/* Left out: what has been added, and the password beside tokens, where boky/postfix has a file name of its own. */
static bool is_left_out(struct variables *e, const struct variable *v)
{
	const char *leaf = v->ours + strlen("POSTHOUSE_UPSTREAM_");

	return strcmp(v->ours, "POSTHOUSE_UPSTREAM_TLS") == 0 ||
	       (v->row->kind == ENV_OTHER && strcmp(leaf, "PASSWORD") == 0 && environment_get(e, "POSTHOUSE_OAUTH_CLIENT_ID"));
}

static void add_members(struct variables *e, bool oauth)
{
	for (size_t i = 0; i < environment_rows_n; i++) {
		const struct environment_row *row = &environment_rows[i];
		const struct variable *v = row->kind == ENV_UPSTREAM ? environment_get(e, row->names) : NULL;
		struct str text;

		if (!v || is_left_out(e, v) || str_starts(str_of(row->target), S("upstreams[].oauth.")) != oauth)
			continue;
		text = environment_member(e, v, &config_keys[schema_find(str_of(row->target))]);
		environment_add(e, v, "%.*s", STR_ARG(text));
	}
}

static bool has_oauth(const struct variables *e)
{
	return environment_get(e, "POSTHOUSE_OAUTH_CLIENT_ID") || environment_get(e, "POSTHOUSE_OAUTH_PROVIDER");
}

/* The first variable that is about the upstream; NULL: none is. */
static const struct variable *first_variable(const struct variables *e)
{
	const struct variable *v = environment_get(e, "POSTHOUSE_UPSTREAM");

	for (size_t i = 0; i < environment_rows_n && !v; i++)
		if (environment_rows[i].kind == ENV_UPSTREAM)
			v = environment_get(e, environment_rows[i].names);
	return v;
}

void environment_add_upstream(struct variables *e)
{
	const struct variable *first = first_variable(e);

	if (!first)
		return;
	environment_add(e, first, "upstreams = ( { name = \"" NAME "\";");
	add_host(e);
	add_tls(e);
	add_members(e, false);
	if (has_oauth(e)) {
		environment_add(e, first, "oauth = {");
		add_provider(e);
		add_members(e, true);
		environment_add(e, first, "};");
	}
	environment_add(e, first, "} );");
}
