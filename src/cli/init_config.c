/* init_config.c - writes the configuration of `posthouse init`, and prints what the administrator still has to do. */
#include "init.h"

#include "cli.h"

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
	if (p->null_sender == NULL_REFUSED && p->form != FORM_ADDRESS) /* reports come from an address of the domain */
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

void init_write_config(struct init *t)
{
	FILE *file = init_create(t, t->config, 0644);
	struct str address = quoted(t, str_of(t->address));

	fprintf(file,
		"# Written by `posthouse init`. All keys: posthouse.conf(5). After a change: `posthouse check`, then "
		"`posthouse reload`.\n\n"
		"hostname = \"%.*s\";\npostmaster = \"postmaster@%.*s\";\nstate_dir = %.*s;\n",
		STR_ARG(t->hostname), STR_ARG(t->domain), STR_ARG(quoted(t, str_of(t->state_dir))));
	if (t->run_as)
		fprintf(file, "run_as = %.*s;\n", STR_ARG(quoted(t, str_of(t->run_as))));
	fprintf(file, "control = %.*s;\n\n", STR_ARG(quoted(t, str_of(t->control))));
	fprintf(file,
		"listen = ( { address = %.*s; port = %s; tls = \"starttls\"; },\n"
		"           { address = %.*s; port = %s; tls = \"implicit\"; } );\n\n",
		STR_ARG(address), t->port_starttls, STR_ARG(address), t->port_implicit);
	fprintf(file, "certificates = ( { chain = %.*s; key = %.*s; } );\n\n", STR_ARG(quoted(t, str_of(t->chain))),
		STR_ARG(quoted(t, str_of(t->key))));
	fprintf(file, "# The domain of logins without @.\nauth = { realm = \"%.*s\"; };\n\n", STR_ARG(t->domain));
	fprintf(file, "sign = ( { domain = \"%.*s\"; selector = \"%.*s\"; key = %.*s; } );\n\n", STR_ARG(t->domain),
		STR_ARG(t->selector), STR_ARG(quoted(t, str_of(t->dkim_key))));
	fprintf(file,
		"# What one login may send, against the thief of a password; \"hold\" would keep the rest until somebody looks.\n"
		"//limits = { messages = [ \"200/1h\", \"1000/1d\" ]; recipients = [ \"500/1h\" ]; over = \"reject\"; };\n\n");
	write_upstream(t, file);
	init_finish(t, file, t->config, ferror(file) == 0);
}

/* ---- what remains to be done by people ---- */
static void print_dkim_record(struct init *t)
{
	struct dns_entries list = { .arena = &t->arena };
	struct str text = dkim_record_text(&t->arena, t->dkim_pkey);

	if (text.n == 0)
		init_fail(t, EX_SOFTWARE, "OpenSSL could not write the public key");
	dns_entries_add(&list, "TXT", arena_printf(&t->arena, "%.*s._domainkey.%.*s", STR_ARG(t->selector), STR_ARG(t->domain)),
			text)
		->ttl = 300;
	printf("DNS record to publish, so that others can verify the signatures:\n\n");
	print_records(&list, t->domain, S("written by posthouse init"), t->format);
	printf("\n");
}

void init_print_summary(struct init *t)
{
	printf("Written:\n  %s\n"
	       "  %s (self-signed, %d days: clients must be told to trust it; better take one of an authority)\n"
	       "  %s\n  %s\n  %s\n",
	       t->config, t->chain, CERTIFICATE_DAYS, t->key, t->dkim_key, t->accounts);
	if (t->typed.n)
		printf("  %s\n", t->client_id ? t->client_secret_file : t->password_file);
	printf("\n");
	print_dkim_record(t);
	printf("Settings for a mail client (outgoing server, SMTP):\n\n"
	       "  server      %.*s\n  port        %s with STARTTLS, or %s with SSL/TLS\n  login       %.*s\n",
	       STR_ARG(t->hostname), t->port_starttls, t->port_implicit, STR_ARG(t->name));
	if (!t->password_given)
		printf("  password    %.*s   (shown only now)\n", STR_ARG(secret_view(&t->password)));
	printf("  method      normal password (PLAIN or LOGIN) or, as \"encrypted password\", SCRAM-SHA-256\n\n");
	if (!t->upstream_host.n && !t->profile)
		printf("Mail goes directly to its recipients' servers. "
		       "They expect that this machine can connect to port 25 elsewhere, that its\n"
		       "address has the reverse name %.*s, and that SPF of %.*s allows it.%s\n\n",
		       STR_ARG(t->hostname), STR_ARG(t->domain),
		       t->mx ? "" : "\nOtherwise fill in `upstreams`: a server that takes the mail from here.");
	init_print_steps(t);
}
