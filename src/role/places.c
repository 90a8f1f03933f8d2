/* places.c - the files and directories that are left to a role. */
#include "needs.h"
#include "openings.h"

#include <dirent.h>
#include <limits.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a look-up of a name reads. Others replace these files by new ones at any time. */
static const char *const resolver_files[] = { "/etc/resolv.conf", "/etc/hosts",    "/etc/nsswitch.conf", "/etc/host.conf",
					      "/etc/gai.conf",    "/etc/services", "/etc/protocols" };

/* Where the certificates of issuers are, beside the directory that OpenSSL was built with: that one has links into these. */
static const char *const issuers[] = { "/etc/ssl/certs", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates",
				       "/etc/pki" };

#define LINKED_MAX 16 /* directories */

static void add_below(struct openings *o, struct str directory, const char *name)
{
	openings_add(o,
		     (struct opening){ .path = arena_cstr(&o->arena, arena_printf(&o->arena, "%.*s%s", STR_ARG(directory), name)),
				       .writes = true });
}

/* The directory of a role, or the whole state directory where there is none. */
static void add_own(struct openings *o, struct str state_dir, const char *name)
{
	const char *own = arena_cstr(&o->arena, arena_printf(&o->arena, "%.*s%s", STR_ARG(state_dir), name));

	add_below(o, state_dir, access(own, F_OK) == 0 ? name : "");
}

static void add_read(struct openings *o, const char *path)
{
	openings_add(o, (struct opening){ .path = path });
}

static void add_file(struct openings *o, const char *path)
{
	openings_add(o, (struct opening){ .path = path, .watched = true });
}

/* The directory in which a link ends, where services rewrite the file; of /etc itself only the file is open. */
static void add_link_target(struct openings *o, const char *path)
{
	char whole[PATH_MAX];
	char *slash = realpath(path, whole) ? strrchr(whole, '/') : NULL;

	if (!slash)
		return;
	*slash = '\0';
	if (strcmp(whole, "/etc") != 0 && slash != whole)
		add_read(o, whole);
}

static void add_resolver(struct openings *o, const struct config *c)
{
	for (size_t i = 0; i < sizeof resolver_files / sizeof resolver_files[0]; i++)
		add_file(o, resolver_files[i]);
	add_link_target(o, resolver_files[0]);
	add_read(o, "/usr/share/dns");
	if (c->delivery.trust_anchor.n > 0)
		add_file(o, arena_cstr(&o->arena, c->delivery.trust_anchor));
}

static const char *from_environment(const char *variable, const char *built_in)
{
	const char *path = getenv(variable);

	return path ? path : built_in;
}

static bool is_below(const char *path, const char *directory)
{
	size_t n = strlen(directory);

	return strncmp(path, directory, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static bool is_open(const struct openings *o, const char *path)
{
	for (size_t i = 0; i < o->places_n; i++)
		if (is_below(path, o->places[i].path))
			return true;
	return false;
}

/* Certificates that an administrator or a distribution keeps elsewhere: the directories in which the links of this one end. Those
 * of the keys, which stay closed, are no such place. */
static void add_linked(struct openings *o, const char *directory)
{
	DIR *d = opendir(directory);
	size_t most = o->places_n + LINKED_MAX;
	char path[PATH_MAX], whole[PATH_MAX];
	struct dirent *e;

	while (d && o->places_n < most && (e = readdir(d)))
		if (e->d_type == DT_LNK && snprintf(path, sizeof path, "%s/%s", directory, e->d_name) < (int)sizeof path &&
		    realpath(path, whole) && !is_open(o, whole) && !is_below(whole, "/etc/ssl/private"))
			add_link_target(o, path);
	if (d)
		closedir(d);
}

static void add_certificates(struct openings *o)
{
	const char *directory = from_environment(X509_get_default_cert_dir_env(), X509_get_default_cert_dir());

	add_file(o, from_environment(X509_get_default_cert_file_env(), X509_get_default_cert_file()));
	add_read(o, directory);
	for (size_t i = 0; i < sizeof issuers / sizeof issuers[0]; i++)
		add_read(o, issuers[i]);
	add_linked(o, directory);
}

/* The files that ldap.conf(5) names: certificates of issuers. */
static void add_named(struct openings *o, const char *path)
{
	FILE *f = fopen(path, "re");
	char line[1024], word[PATH_MAX];

	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, " %*s %4095s", word) == 1 && word[0] == '/')
			add_read(o, word);
	if (f)
		fclose(f);
}

/* Libraries, their configuration, sockets in /run; and what the options name. */
static void add_backend(struct openings *o, const struct config *c)
{
	static const char *const read[] = { "/etc", "/usr", "/lib", "/lib64", "/run", "/proc", "/dev/urandom" };

	o->all = true;
	for (size_t i = 0; i < sizeof read / sizeof read[0]; i++)
		add_read(o, read[i]);
	openings_add(o, (struct opening){ .path = "/dev/null", .writes = true });
	add_named(o, "/etc/ldap/ldap.conf");
	add_named(o, "/etc/openldap/ldap.conf");
	for (size_t i = 0; i < c->auth.options.n; i++) {
		struct str option = c->auth.options.at[i], value = str_from(option, str_find(option, '=') + 1);

		if (value.n > 0 && value.p[0] == '/')
			add_below(o, value, "");
		/* SQLite makes its journal beside the file. */
		if (value.n > 0 && value.p[0] == '/' && str_starts(option, S("sql_database=")) && str_rfind(value, '/') > 0)
			add_below(o, str_head(value, str_rfind(value, '/')), "");
	}
}

static bool has_backend(const struct config *c)
{
	return c->auth.backend.n > 0 && !str_eq(c->auth.backend, S("accounts"));
}

static bool is_host(const struct config *c, struct str place)
{
	for (size_t i = 0; i < c->store.hosts.n; i++)
		if (str_eq(c->store.hosts.at[i], place))
			return true;
	return false;
}

/* Certificates and the key. A socket needs no place: Landlock does not look at connect(). */
static void add_database(struct openings *o, const struct config *c)
{
	for (size_t i = 0; i < c->store.places.n; i++)
		if (!is_host(c, c->store.places.at[i]))
			add_file(o, arena_cstr(&o->arena, c->store.places.at[i]));
}

void openings_add_places(struct openings *o, enum role_id role, const struct config *c)
{
	unsigned reaches = role_reaches(role, c);

	if (reaches & AT_STATE)
		add_below(o, c->state_dir, "");
	if (reaches & AT_ACCOUNTS) { /* libsasl2 opens a device for each session; without it the nonces would be weak */
		add_own(o, c->state_dir, "/login");
		add_read(o, "/dev/random");
		add_read(o, "/dev/urandom");
	}
	if (reaches & AT_TOKENS)
		add_below(o, c->state_dir, "/tokens");
	if (reaches & AT_FAULTS)
		add_own(o, c->state_dir, "/doctor");
	if (reaches & AT_POLICIES)
		add_below(o, c->state_dir, "/tlspolicy");
	if (reaches & AT_DROP && c->local.drop.n > 0)
		add_below(o, c->local.drop, "");
	if (reaches & AT_CERTIFICATES)
		add_certificates(o);
	if (reaches & AT_RESOLVER)
		add_resolver(o, c);
	if (reaches & AT_DATABASE)
		add_database(o, c);
	if (reaches & AT_BACKEND && has_backend(c))
		add_backend(o, c);
}
