/* init_options.c - the options of `posthouse init`. */
#include "init.h"

#include "cli.h"

#include "posthouse/accounts.h"
#include "posthouse/log.h"
#include "posthouse/names.h"

#include <errno.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

static struct str read_domain(struct init *t, const char *what, const char *text)
{
	struct str s = domain_canonical(&t->arena, str_of(text));

	if (!host_name_valid(s))
		die(EX_USAGE, "%s: expected a domain such as example.org, not \"%s\"", what, text);
	return s;
}

/* An absolute path, of which only the last part can be missing. */
static const char *absolute(struct init *t, const char *path)
{
	struct str s = str_of(path), last;
	size_t slash;
	char *real;

	while (s.n > 1 && s.p[s.n - 1] == '/')
		s.n--;
	slash = str_rfind(s, '/');
	last = slash == s.n ? s : str_from(s, slash + 1);
	real = realpath(slash == s.n ? "." : slash == 0 ? "/" : arena_cstr(&t->arena, str_head(s, slash)), NULL);
	if (!real)
		die(EX_CANTCREAT, "%s: the directory above it: %s", path, strerror(errno));
	path = arena_cstr(&t->arena, arena_printf(&t->arena, "%s/%.*s", strcmp(real, "/") == 0 ? "" : real, STR_ARG(last)));
	free(real);
	return path;
}

/* HOST, HOST:PORT or [ADDRESS]:PORT. */
static void read_upstream(struct init *t, const char *text)
{
	struct str s = str_of(text);
	size_t colon = str_rfind(s, ':');
	uint64_t port = 1;

	t->upstream_port = str_of("");
	if (s.n && s.p[0] == '[') {
		size_t end = str_find(s, ']');

		t->upstream_host = str_head(str_from(s, 1), end - 1);
		if (end + 1 < s.n)
			t->upstream_port = str_from(s, end + 2);
	} else if (colon < s.n && str_find(s, ':') == colon) {
		t->upstream_host = str_head(s, colon);
		t->upstream_port = str_from(s, colon + 1);
	} else {
		t->upstream_host = s;
	}
	if (t->upstream_port.n && (!str_to_u64(t->upstream_port, &port) || port == 0 || port > 65535))
		die(EX_USAGE, "--upstream: expected HOST or HOST:PORT, not \"%s\"", text);
	if (t->upstream_host.n == 0)
		die(EX_USAGE, "--upstream: expected a host");
}

static const char *read_port(const struct options *o, const char *option, const char *otherwise)
{
	const char *text = options_value(o, option);
	uint64_t port;

	if (text && (!str_to_u64(str_of(text), &port) || port == 0 || port > 65535))
		die(EX_USAGE, "--%s: expected a port, not \"%s\"", option, text);
	return text ? text : otherwise;
}

static const char *readable_file(struct init *t, const char *path)
{
	if (!path)
		return NULL;
	path = absolute(t, path);
	if (access(path, R_OK) != 0)
		die(EX_NOINPUT, "%s: %s", path, strerror(errno));
	return path;
}

static void read_upstream_options(struct init *t, const struct options *o, const char *upstream)
{
	static const char *const modes[] = { "starttls", "implicit", "opportunistic", "none" };
	const char *login = options_value(o, "upstream-login");
	const char *password_file = options_value(o, "upstream-password-file");
	bool known = false;

	t->upstream_tls = options_value(o, "upstream-tls");
	if (!upstream && (t->upstream_tls || login || password_file || (t->ca && !t->profile)))
		die(EX_USAGE, "options of the upstream need --upstream%s",
		    t->profile ? "; those of --profile are --login and --password-file" : "");
	if (!login != !password_file)
		die(EX_USAGE, "--upstream-login and --upstream-password-file belong together");
	if (!upstream)
		return;
	read_upstream(t, upstream);
	t->login = login;
	t->password_file = password_file;
	if (!t->upstream_tls)
		t->upstream_tls = "starttls";
	for (size_t i = 0; i < 4; i++)
		known = known || strcmp(t->upstream_tls, modes[i]) == 0;
	if (!known)
		die(EX_USAGE, "--upstream-tls: expected starttls, implicit, opportunistic or none");
}

/* Who takes the mail. */
static void read_next_hop(struct init *t, const struct options *o)
{
	const char *upstream = options_value(o, "upstream");

	t->mx = options_given(o, "mx");
	t->ca = options_value(o, "ca");
	init_take_profile(t, o);
	if ((upstream != NULL) + (t->profile != NULL) + t->mx > 1)
		die(EX_USAGE, "expected one of --upstream, --profile and --mx: who takes the mail?");
	read_upstream_options(t, o, upstream);
	t->ca = readable_file(t, t->ca);
	t->password_file = readable_file(t, t->password_file);
	t->client_secret_file = readable_file(t, t->client_secret_file);
}

static void read_identity(struct init *t, const struct options *o)
{
	const char *hostname = options_value(o, "hostname"), *user = options_value(o, "user");
	time_t now = time(NULL);
	struct str device;
	struct tm tm;

	t->domain = read_domain(t, "DOMAIN", o->arguments[0]);
	t->hostname =
		hostname ? read_domain(t, "--hostname", hostname) : arena_printf(&t->arena, "relay.%.*s", STR_ARG(t->domain));
	if (!account_parse_name(&t->arena, str_of(user ? user : "user"), t->domain, &t->name, &device) || device.n)
		die(EX_USAGE, "--user: expected a name such as alice, not \"%s\"", user);
	gmtime_r(&now, &tm);
	t->selector = arena_printf(&t->arena, "p%04d%02d", tm.tm_year + 1900, tm.tm_mon + 1);
	t->run_as = options_value(o, "run-as");
	if (geteuid() == 0 && !t->run_as)
		t->run_as = "posthouse";
}

void init_find_user(struct init *t)
{
	if (geteuid() != 0)
		return;
	t->user = getpwnam(t->run_as);
	if (!t->user)
		die(EX_NOUSER,
		    "there is no user \"%s\" for the relay to become; make one (adduser --system --group %s) or name one "
		    "with --run-as",
		    t->run_as, t->run_as);
}

static void read_paths(struct init *t, const struct options *o, const char *config_path)
{
	const char *state_dir = options_value(o, "state-dir"), *control = options_value(o, "control");
	struct str config;

	t->control = control ? absolute(t, control) : "/run/posthouse/control.sock";
	t->state_dir = state_dir ? absolute(t, state_dir) : "/var/lib/posthouse";
	t->config = config_path;
	config = str_of(config_path);
	t->directory = str_rfind(config, '/') == config.n ? "." : arena_cstr(&t->arena, str_head(config, str_rfind(config, '/')));
	if (strcmp(t->directory, "") == 0)
		t->directory = "/";
}

static void read_format(struct init *t, const struct options *o)
{
	const char *word = options_value(o, "format");

	if (word && !records_format_find(word, &t->format))
		die(EX_USAGE, "--format: expected zone, table, route53 or json, not \"%s\"", word);
}

void init_read_options(struct init *t, const struct options *o, const char *config_path)
{
	read_identity(t, o);
	read_format(t, o);
	read_paths(t, o, config_path);
	read_next_hop(t, o);
	t->address = options_value(o, "address");
	t->address = t->address ? t->address : "*";
	t->port_starttls = read_port(o, "port-starttls", "587");
	t->port_implicit = read_port(o, "port-implicit", "465");
}
