/* import.c - `posthouse import postfix [DIR]`: reads main.cf, master.cf and their maps of text, and prints a configuration with
 * the origin of each part, and what has no equal. It writes nothing but that. */
#include "import.h"

#include "posthouse/log.h"
#include "posthouse/units.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>

/* A key that takes the value of one setting, with something around it. */
static void simple(struct import *t, const char *name, const char *before, const char *after)
{
	struct str value = import_value(t, name);

	if (value.n == 0)
		return;
	import_origin(t, name);
	buf_printf(&t->config, "%s%.*s%s\n", before, STR_ARG(value), after);
}

/* ---- ports ---- */

static void import_ports(struct import *t)
{
	struct imported_list services;
	const char *path = arena_cstr(&t->arena, arena_printf(&t->arena, "%s/master.cf", t->dir)), *before = "listen = (\n";

	if (!import_read(t, path, ' ', &services)) {
		import_lost(t, LOSS_OTHER, "%s: %s; listen has its default", path, strerror(errno));
		return;
	}
	for (size_t i = 0; i < services.n; i++) {
		struct str name = services.at[i].name,
			   port = str_from(name, str_rfind(name, ':') == name.n ? 0 : str_rfind(name, ':') + 1);
		bool implicit = str_eq(port, S("smtps")) || str_eq(port, S("submissions")) || str_eq(port, S("465"));

		if (!str_starts(services.at[i].value, S("inet")))
			continue;
		if (str_eq(port, S("smtp")) || str_eq(port, S("25")))
			import_lost(t, LOSS_MAIL, "master.cf:%u: port 25: Posthouse takes no mail of other servers",
				    services.at[i].line);
		if (!implicit && !str_eq(port, S("submission")) && !str_eq(port, S("587")))
			continue;
		buf_printf(&t->config, "%s  # master.cf:%u: %.*s\n  { address = \"*\"; port = %s; tls = \"%s\"; }", before,
			   services.at[i].line, STR_ARG(name), implicit ? "465" : "587", implicit ? "implicit" : "starttls");
		before = ",\n";
	}
	if (*before == ',')
		buf_printf(&t->config, "\n);\n\n");
}

static void import_certificates(struct import *t)
{
	struct str chain = import_value(t, "smtpd_tls_chain_files"), key;
	bool both = chain.n > 0; /* chain and key in one file */

	chain = both ? str_head(chain, str_find(chain, ',')) : import_value(t, "smtpd_tls_cert_file");
	key = both ? chain : import_value(t, "smtpd_tls_key_file");
	if (key.n == 0 || str_eq(key, S("$smtpd_tls_cert_file")))
		key = chain;
	import_origin(t, both ? "smtpd_tls_chain_files" : "smtpd_tls_cert_file");
	if (chain.n > 0)
		buf_printf(&t->config, "certificates = ( { chain = \"%.*s\"; key = \"%.*s\"; } );\n\n", STR_ARG(str_trim(chain)),
			   STR_ARG(str_trim(key)));
	else
		buf_printf(&t->config,
			   "# certificates = ( { chain = \"fullchain.pem\"; key = \"privkey.pem\"; } );   # needed\n\n");
}

/* ---- addresses ---- */

static void import_rewrite(struct import *t)
{
	static const struct {
		const char *map, *key;
	} maps[] = { { "sender_canonical_maps", "sender" },
		     { "canonical_maps", "sender" },
		     { "smtp_generic_maps", "sender" },
		     { "recipient_canonical_maps", "recipient" },
		     { "virtual_alias_maps", "recipient" } };
	const char *before = "rewrite = (\n";
	struct imported_list rows;

	for (size_t m = 0; m < sizeof maps / sizeof maps[0]; m++) {
		if (!import_map(t, maps[m].map, m == 4 ? LOSS_ROUTE : LOSS_MAIL, &rows))
			continue;
		for (size_t i = 0; i < rows.n; i++) {
			struct str from = rows.at[i].name, to = rows.at[i].value;

			if (str_find(to, ',') < to.n || str_find(to, ' ') < to.n || str_find(from, '@') == from.n) {
				import_lost(t, m == 4 ? LOSS_ROUTE : LOSS_MAIL,
					    "%s: %.*s to %.*s: one address and one target can be taken", maps[m].map,
					    STR_ARG(from), STR_ARG(to));
				continue;
			}
			if (str_find(to, '@') == to.n)
				to = arena_printf(&t->arena, "%.*s@%.*s", STR_ARG(to), STR_ARG(import_value(t, "myorigin")));
			buf_printf(&t->config, "%s  # %s\n  { %s = \"%.*s\"; to = \"%.*s\";%s }", before, maps[m].map,
				   maps[m].key, STR_ARG(from), STR_ARG(to), m < 3 ? " headers = true;" : "");
			before = ",\n";
		}
	}
	if (*before == ',')
		buf_printf(&t->config, "\n);\n\n");
}

static void import_senders(struct import *t)
{
	const char *before = "senders = (\n";
	struct imported_list rows;

	if (!import_map(t, "smtpd_sender_login_maps", LOSS_MAIL, &rows))
		return;
	import_origin(t, "smtpd_sender_login_maps");
	for (size_t i = 0; i < rows.n; i++) {
		struct str user = rows.at[i].value;
		const char *comma = "";

		if (str_find(user, ',') < user.n || str_find(user, ' ') < user.n) {
			import_lost(t, LOSS_MAIL, "smtpd_sender_login_maps: %.*s has several logins: %.*s",
				    STR_ARG(rows.at[i].name), STR_ARG(user));
			continue;
		}
		if (rows.at[i].used)
			continue;
		buf_printf(&t->config, "%s  { user = \"%.*s\"; addresses = [", before, STR_ARG(user));
		for (size_t k = i; k < rows.n; k++)
			if (str_eq(rows.at[k].value, user)) {
				struct str name = rows.at[k].name;

				buf_printf(&t->config, "%s \"%s%.*s\"", comma, str_find(name, '@') == name.n ? "@" : "",
					   STR_ARG(name));
				comma = ",";
				rows.at[k].used = true;
			}
		buf_printf(&t->config, " ]; }");
		before = ",\n";
	}
	if (*before == ',')
		buf_printf(&t->config, "\n);\n\n");
}

/* "name domain:selector:/path/of/the.key" */
static void import_keys(struct import *t, const char *path)
{
	const char *before = "sign = (\n";
	struct imported_list rows;

	if (!path)
		return;
	if (!import_read(t, path, ' ', &rows))
		die(EX_NOINPUT, "%s: %s", path, strerror(errno));
	for (size_t i = 0; i < rows.n; i++) {
		struct str rest = rows.at[i].value, domain = S(""), selector = S("");

		str_split(&rest, ':', &domain);
		str_split(&rest, ':', &selector);
		if (rest.n == 0 || str_eq(domain, S("%"))) {
			import_lost(t, LOSS_MAIL, "%s:%u: expected NAME DOMAIN:SELECTOR:FILE", path, rows.at[i].line);
			continue;
		}
		buf_printf(&t->config, "%s  # %s:%u\n  { domain = \"%.*s\"; selector = \"%.*s\"; key = \"%.*s\"; }", before, path,
			   rows.at[i].line, STR_ARG(domain), STR_ARG(selector), STR_ARG(rest));
		before = ",\n";
	}
	if (*before == ',')
		buf_printf(&t->config, "\n);\n\n");
}

/* ---- the rest ---- */

/* What is set and was not taken: in the words of the table of names. */
static void tell_the_rest(struct import *t)
{
	if (import_value(t, "mynetworks").n > 0)
		import_lost(t, LOSS_MAIL,
			    "mynetworks = %.*s: hosts there send without a login; give each program a login, and a printer an "
			    "entry of devices",
			    STR_ARG(import_value(t, "mynetworks")));
	import_lost(t, LOSS_MAIL,
		    "passwords of logins cannot be taken: their hashes are others. `posthouse user add` makes new ones, or "
		    "auth.backend = \"saslauthd\" asks the old place");
	for (size_t i = 0; i < t->settings.n; i++) {
		const struct imported *s = &t->settings.at[i];
		struct str hint = s->used ? S("") : foreign_hint(&t->arena, s->name);

		if (!s->used && s->value.n > 0)
			import_lost(t, LOSS_OTHER, "%.*s: %.*s", STR_ARG(s->name), STR_ARG(hint.n ? hint : S("not looked at")));
	}
}

static void print_all(struct import *t)
{
	static const char *const titles[] = { [LOSS_ROUTE] = "Mail would go another way, or nowhere:",
					      [LOSS_MAIL] = "Mail is refused, or looks different:",
					      [LOSS_OTHER] = "Not needed, or to be looked at:" };

	printf("# Made by `posthouse import postfix` from %s. Read it, mend it, then: posthouse -c FILE check\n\n%.*s", t->dir,
	       STR_ARG(buf_view(&t->config)));
	for (int i = LOSS_ROUTE; i <= LOSS_OTHER; i++) {
		if (t->losses[i].n > 0)
			printf("\n# %s\n%.*s", titles[i], STR_ARG(buf_view(&t->losses[i])));
		buf_fini(&t->losses[i]);
	}
	buf_fini(&t->config);
}

int command_import(const struct options *o, const char *config_path)
{
	struct import t = { .dir = o->arguments_n > 0 ? o->arguments[0] : "/etc/postfix" };
	const char *path = arena_cstr(&t.arena, arena_printf(&t.arena, "%s/main.cf", t.dir));

	if (!import_read(&t, path, '=', &t.settings))
		die(EX_NOINPUT, "%s: %s", path, strerror(errno));
	buf_init(&t.config, 4 * MIB);
	for (int i = LOSS_ROUTE; i <= LOSS_OTHER; i++)
		buf_init(&t.losses[i], MIB);
	import_value(&t, "myorigin");
	simple(&t, "myhostname", "hostname = \"", "\";");
	buf_printf(&t.config, "postmaster = \"postmaster@%.*s\";\nauth = { realm = \"%.*s\"; };\n\n",
		   STR_ARG(import_value(&t, "mydomain")), STR_ARG(import_value(&t, "mydomain")));
	import_ports(&t);
	import_certificates(&t);
	import_senders(&t);
	import_rewrite(&t);
	import_keys(&t, options_value(o, "keytable"));
	import_routes(&t);
	import_numbers(&t);
	tell_the_rest(&t);
	print_all(&t);
	if (t.unclear)
		fprintf(stderr, "posthouse: what decides where mail goes was not all understood: see the end of the output\n");
	arena_fini(&t.arena);
	return t.unclear ? EX_DATAERR : EX_OK;
}
