/* client.c - `posthouse client NAME`: what to enter in a mail client, a device or a program that sends through this relay. */
#include "client.h"

#include "cli.h"

#include "posthouse/accounts.h"
#include "posthouse/log.h"
#include "posthouse/names.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sysexits.h>

/* Its issuer is its subject, and no authority of anybody. */
static bool is_self_signed(struct str path)
{
	struct arena a = { 0 };
	FILE *file = fopen(arena_cstr(&a, path), "r");
	X509 *c = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
	bool is = c && (X509_get_extension_flags(c) & EXFLAG_SS) != 0;

	X509_free(c);
	if (file)
		fclose(file);
	arena_fini(&a);
	return is;
}

/* The port of the first listener of this kind that clients can reach. */
static struct str port_of(struct arena *a, const struct config *c, unsigned tls)
{
	for (size_t i = 0; i < c->listen_n; i++)
		if (c->listen[i].tls == tls && c->listen[i].proxy_protocol.n == 0)
			return arena_printf(a, "%llu", (unsigned long long)c->listen[i].port);
	return S("");
}

/* The first account, when this user is allowed to read the file and there is one. */
static struct str first_login(struct arena *a, const struct config *c)
{
	struct verdict why;
	struct accounts *accounts = accounts_open(arena_cstr(a, c->state_dir), &why);
	struct str name = accounts && accounts_count(accounts) > 0 ? arena_str(a, accounts_at(accounts, 0)->name) : S("");

	accounts_close(accounts);
	return name.n > 0 ? name : arena_printf(a, "alice@%.*s", STR_ARG(c->auth.realm.n > 0 ? c->auth.realm : c->hostname));
}

static struct str login_of(struct arena *a, const struct config *c, const char *user)
{
	struct str login = login_canonical(a, str_of(user));

	return str_find(login, '@') < login.n || c->auth.realm.n == 0
		       ? login
		       : arena_printf(a, "%.*s@%.*s", STR_ARG(login), STR_ARG(c->auth.realm));
}

static int print_for(const struct client_row *row, const struct options *o, const char *config_path)
{
	const char *user = options_value(o, "user");
	struct arena a = { 0 };
	struct config_faults faults;
	struct config *c = config_load(config_path, &faults);
	struct client_values v = { .program = program_with(&a, config_path), .config = str_of(config_path) };

	if (faults_print(&faults) > 0) {
		config_free(c);
		arena_fini(&a);
		return EX_CONFIG;
	}
	v.host = c->hostname;
	v.login = user ? login_of(&a, c, user) : first_login(&a, c);
	v.secure = port_of(&a, c, LISTEN_IMPLICIT);
	v.starttls = port_of(&a, c, LISTEN_STARTTLS);
	v.ca = c->certificates_n > 0 && is_self_signed(c->certificates[0].chain) ? c->certificates[0].chain : S("");
	client_print(&a, row, &v);
	config_free(c);
	arena_fini(&a);
	return EX_OK;
}

int command_client(const struct options *o, const char *config_path)
{
	const struct client_row *row = client_find(str_of(o->arguments[0]));

	if (strcmp(o->arguments[0], "list") == 0) {
		client_list();
		return EX_OK;
	}
	if (!row)
		die(EX_USAGE, "there are no settings for \"%s\"; `posthouse client list` says for what there are",
		    o->arguments[0]);
	return print_for(row, o, config_path);
}
