/* init_config.c - writes the configuration of `posthouse init`. */
#include "dkim.h"
#include "init.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#include <sysexits.h>

/* A text in libconfig's quotes. */
static struct str quoted(struct init *t, struct str s)
{
	char *p = arena_alloc(&t->arena, 2 * s.n + 3);
	size_t n = 0;

	p[n++] = '"';
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] < ' ')
			init_fail(t, EX_USAGE, "control characters cannot be part of \"%.*s\"", STR_ARG(s));
		if (s.p[i] == '"' || s.p[i] == '\\')
			p[n++] = '\\';
		p[n++] = s.p[i];
	}
	p[n++] = '"';
	return str_make(p, n);
}

static void write_text(struct init *t, FILE *file, const char *key, const char *value)
{
	if (value)
		fprintf(file, " %s = %.*s;", key, STR_ARG(quoted(t, str_of(value))));
}

/* The loader fills the rest in by the profile. */
static void write_profile(struct init *t, FILE *file)
{
	const struct profile *p = t->profile;

	if (p->from)
		fprintf(file, "# What From can be there: %s.\n", p->from);
	fprintf(file, "upstreams = ( { name = \"%s\"; profile = \"%s\";", p->name, p->name);
	write_text(t, file, "region", t->region);
	write_text(t, file, "login", t->login);
	if (t->login)
		fprintf(file, "\n               ");
	write_text(t, file, "password_file", t->password_file);
	if (t->client_id) {
		fprintf(file, " oauth = {");
		write_text(t, file, "provider", init_provider(t));
		write_text(t, file, "client_id", t->client_id);
		write_text(t, file, "client_secret_file", t->client_secret_file);
		write_text(t, file, "tenant", t->tenant);
		fprintf(file, " };");
	}
	write_text(t, file, "ca", t->ca);
	if (p->only_own_from && t->login && strchr(t->login, '@'))
		fprintf(file, "\n                rewrite_from = true;");
	if (t->personal.n == 0 && p->null_sender == NULL_REFUSED &&
	    p->form != FORM_ADDRESS) /* reports come from an address of the domain */
		fprintf(file, "\n                report_sender = \"mailer-daemon@%.*s\";", STR_ARG(t->domain));
	fprintf(file, " } );\nroutes = ( { via = [ \"%s\" ]; } );\n", p->name);
}

static void write_upstream(struct init *t, FILE *file)
{
	if (t->profile) {
		write_profile(t, file);
		return;
	}
	if (t->mx) {
		fprintf(file,
			"# Mail goes directly to the servers of its recipients' domains.\nroutes = ( { via = [ \"mx\" ]; } );\n");
		return;
	}
	if (!t->upstream_host.n) {
		fprintf(file,
			"# Without these lines mail goes directly to the servers of its recipients' domains. "
			"To hand it to your provider's\n"
			"# submission server instead, fill them in and remove the //.\n"
			"//upstreams = ( { name = \"smarthost\"; host = \"smtp.isp.example\"; port = 587; tls = \"starttls\";\n"
			"//                login = \"me@isp.example\"; password_file = \"%s/smarthost.password\"; } );\n"
			"//routes = ( { via = [ \"smarthost\" ]; } );\n",
			t->directory);
		return;
	}
	fprintf(file, "upstreams = ( { name = \"smarthost\"; host = %.*s; ", STR_ARG(quoted(t, t->upstream_host)));
	if (t->upstream_port.n)
		fprintf(file, "port = %.*s; ", STR_ARG(t->upstream_port));
	fprintf(file, "tls = \"%s\";", t->upstream_tls);
	if (t->login || t->ca)
		fprintf(file, "\n               ");
	write_text(t, file, "login", t->login);
	write_text(t, file, "password_file", t->password_file);
	write_text(t, file, "ca", t->ca);
	fprintf(file, " } );\nroutes = ( { via = [ \"smarthost\" ]; } );\n");
}

/* The domain has keys, so receivers believe what comes from it. */
static void write_tls_reports(const struct init *t, FILE *file)
{
	if (t->tls_reports)
		fprintf(file,
			"# Domains that ask for it get a daily report about TLS with their servers (RFC 8460).\n"
			"tls_report = { from = \"tls-reports@%.*s\"; };\n",
			STR_ARG(t->domain));
}

/* RSA for all receivers, Ed25519 for those that know it; in a file that `posthouse dkim` changes from then on. */
static void write_keys(struct init *t, FILE *file)
{
	const char *path = init_path_in(t, t->directory, S(DKIM_FILE));
	FILE *own = init_create(t, path, 0644);
	struct cfg_sign keys[INIT_KEYS];
	struct buf b;

	for (size_t i = 0; i < INIT_KEYS; i++)
		keys[i] = (struct cfg_sign){ .domain = t->domain,
					     .selector = t->keys[i].selector,
					     .key = str_of(t->keys[i].path),
					     .oversign = true,
					     .since = dkim_time(&t->arena, clock_now_ms()) };
	buf_init(&b, 64 * KIB);
	dkim_file_format(&b, keys, INIT_KEYS, S("")); /* with whole paths */
	init_finish(t, own, path, fwrite(b.p + b.from, 1, b.n, own) == b.n);
	buf_fini(&b);
	fprintf(file,
		"# The keys that mail is signed with: `posthouse dkim list`. Reports and notices, which come from\n"
		"# mailer-daemon@%.*s, are signed with them too.\n@include \"" DKIM_FILE "\"\n\n",
		STR_ARG(t->domain));
}

/* All mail has one sender, whoever sends it: that is what the provider takes, and where answers and reports can go to. */
static void write_personal(struct init *t, FILE *file)
{
	struct str me = quoted(t, t->personal);

	fprintf(file,
		"# All mail leaves as this address; the names that programs and devices give are kept.\n"
		"rewrite = ( { sender = \"*\"; to = %.*s; headers = true; } );\n"
		"senders = ( { user = \"*\"; addresses = [ %.*s ]; } );\nreport_sender = %.*s;\n\n",
		STR_ARG(me), STR_ARG(me), STR_ARG(me));
}

static void write_addresses(struct init *t, FILE *file)
{
	if (!t->addresses_given)
		return;
	fprintf(file, "# As the world sees this machine.\ndoctor = { addresses = [");
	for (size_t i = 0; i < t->addresses.n; i++)
		fprintf(file, "%s \"%.*s\"", i > 0 ? "," : "", STR_ARG(t->addresses.at[i]));
	fprintf(file, " ]; };\n\n");
}

static void write_machine(struct init *t, FILE *file)
{
	struct str address = quoted(t, str_of(t->address));

	fprintf(file,
		"# Written by `posthouse init`. All keys: posthouse.conf(5). After a change: `posthouse check`, then "
		"`posthouse reload`.\n\n"
		"hostname = \"%.*s\";\n",
		STR_ARG(t->hostname));
	if (t->personal.n > 0)
		fprintf(file, "postmaster = %.*s;\n", STR_ARG(quoted(t, t->personal)));
	else
		fprintf(file, "postmaster = \"postmaster@%.*s\";\n", STR_ARG(t->domain));
	fprintf(file, "state_dir = %.*s;\n", STR_ARG(quoted(t, str_of(t->state_dir))));
	if (t->run_as)
		fprintf(file, "run_as = %.*s;\n", STR_ARG(quoted(t, str_of(t->run_as))));
	fprintf(file, "control = %.*s;\n\n", STR_ARG(quoted(t, str_of(t->control))));
	fprintf(file,
		"listen = ( { address = %.*s; port = %s; tls = \"starttls\"; },\n"
		"           { address = %.*s; port = %s; tls = \"implicit\"; } );\n\n",
		STR_ARG(address), t->port_starttls, STR_ARG(address), t->port_implicit);
	if (t->rsa_chain)
		fprintf(file, "# Clients that can take the first one; the second is for old devices, which know only RSA.\n");
	fprintf(file, "certificates = ( { chain = %.*s; key = %.*s; }", STR_ARG(quoted(t, str_of(t->chain))),
		STR_ARG(quoted(t, str_of(t->key))));
	if (t->rsa_chain)
		fprintf(file, ",\n                 { chain = %.*s; key = %.*s; }", STR_ARG(quoted(t, str_of(t->rsa_chain))),
			STR_ARG(quoted(t, str_of(t->rsa_key))));
	fprintf(file, " );\n\n");
}

void init_write_config(struct init *t)
{
	FILE *file = init_create(t, t->config, 0644);

	write_machine(t, file);
	fprintf(file, "# The domain of logins without @.\nauth = { realm = \"%.*s\"; };\n\n", STR_ARG(t->domain));
	if (t->personal.n > 0)
		write_personal(t, file);
	else
		write_keys(t, file);
	write_addresses(t, file);
	fprintf(file,
		"# What one login may send, against the thief of a password; \"hold\" would keep the rest until somebody looks.\n"
		"//limits = { messages = [ \"200/1h\", \"1000/1d\" ]; recipients = [ \"500/1h\" ]; over = \"reject\"; };\n\n");
	write_upstream(t, file);
	write_tls_reports(t, file);
	init_finish(t, file, t->config, ferror(file) == 0);
}
