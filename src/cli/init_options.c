/* init_options.c - the options of `posthouse init`. */
#include "init.h"

#include "cli.h"
#include "dkim.h"

#include "posthouse/accounts.h"
#include "posthouse/log.h"
#include "posthouse/names.h"
#include "posthouse/net.h"
#include "posthouse/policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

struct str init_read_domain(struct init *t, const char *what, const char *text)
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

bool init_read_upstream(struct init *t, const char *text)
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
		return false;
	return t->upstream_host.n > 0 && str_find(t->upstream_host, ' ') == t->upstream_host.n;
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

/* A secret that root alone can read: the relay of the unit reads it as a member of a group, as what init writes itself. */
static const char *secret_file(struct init *t, const char *path)
{
	struct stat st;
	int fd;

	path = readable_file(t, path);
	fd = path ? open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == 0 && (st.st_mode & 0077) == 0)
		secret_made(fd);
	if (fd >= 0)
		close(fd);
	return path;
}

static void read_upstream_options(struct init *t, const struct options *o, const char *upstream)
{
	static const char *const modes[] = { "starttls", "implicit", "opportunistic", "none" };
	const char *login = options_value(o, "upstream-login");
	const char *password_file = options_value(o, "upstream-password-file");
	bool known = false;

	t->upstream_tls = options_value(o, "upstream-tls");
	if (t->personal.n > 0 && !upstream && !t->profile)
		init_tell_no_provider(t);
	if (!upstream && (t->upstream_tls || login || password_file || (t->ca && !t->profile)))
		die(EX_USAGE, "options of the upstream need --upstream%s",
		    t->profile ? "; those of --profile are --login and --password-file" : "");
	if (!login != !password_file && t->personal.n == 0)
		die(EX_USAGE, "--upstream-login and --upstream-password-file belong together");
	if (!upstream)
		return;
	if (!init_read_upstream(t, upstream))
		die(EX_USAGE, "--upstream: expected HOST or HOST:PORT, not \"%s\"", upstream);
	if (login || t->personal.n == 0)
		t->login = login;
	if (password_file)
		t->password_file = password_file;
	if (t->personal.n > 0 && t->password_file && !t->login)
		t->login = arena_cstr(&t->arena, t->personal);
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
	t->tls_reports = options_given(o, "tls-reports");
	t->ca = options_value(o, "ca");
	init_take_profile(t, o);
	if (upstream && t->personal.n > 0 && !options_value(o, "profile"))
		t->profile = NULL;
	if ((upstream != NULL) + (t->profile != NULL) + t->mx > 1)
		die(EX_USAGE, "expected one of --upstream, --profile and --mx: who takes the mail?");
	if (t->tls_reports && (upstream || t->profile))
		die(EX_USAGE, "--tls-reports is about mail that goes directly to its recipients' servers");
	read_upstream_options(t, o, upstream);
	t->ca = readable_file(t, t->ca);
	t->password_file = secret_file(t, t->password_file);
	t->client_secret_file = secret_file(t, t->client_secret_file);
}

bool init_read_user(struct init *t, const char *user)
{
	struct str name, device;

	if (!account_parse_name(&t->arena, str_of(user), t->domain, &name, &device) || device.n)
		return false;
	t->name = name;
	return true;
}

void init_need_user(struct init *t, const char *user)
{
	if (!init_read_user(t, user))
		die(EX_USAGE, "--user: expected a name such as alice, not \"%s\"", user);
}

static void read_identity(struct init *t, const struct options *o)
{
	const char *hostname = options_value(o, "hostname"), *user = options_value(o, "user");

	t->run_as = options_value(o, "run-as");
	t->run_as_default = geteuid() == 0 && !t->run_as;
	if (t->run_as_default)
		t->run_as = "posthouse";
	if (strchr(o->arguments[0], '@')) {
		init_read_personal(t, o);
		return;
	}
	t->domain = init_read_domain(t, "DOMAIN", o->arguments[0]);
	t->hostname = hostname ? init_read_domain(t, "--hostname", hostname)
			       : arena_printf(&t->arena, "relay.%.*s", STR_ARG(t->domain));
	init_need_user(t, user ? user : "user");
}

bool init_has_upstream(const struct init *t)
{
	return t->profile != NULL || t->upstream_host.n > 0;
}

/* The user that nobody has asked for by name is made, as a package would. False: that is not possible here. */
static bool make_user(const char *name)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0) {
		execlp("useradd", "useradd", "--system", "--home-dir", "/nonexistent", "--no-create-home", "--shell",
		       "/usr/sbin/nologin", name, (char *)NULL);
		_exit(EX_UNAVAILABLE);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		return false;
	printf("Made the system user %s, for the relay.\n", name);
	return true;
}

static _Noreturn void tell_no_user(const struct init *t)
{
	die(EX_NOUSER,
	    "there is no user \"%s\" for the relay to become; make one (adduser --system --group %s) or name one with --run-as",
	    t->run_as, t->run_as);
}

static bool find_users(struct init *t)
{
	return users_find(&t->users, &t->arena, str_of(t->run_as ? t->run_as : ""));
}

void init_find_user(struct init *t)
{
	t->has_user = find_users(t);
	if (!t->has_user && !t->run_as_default)
		tell_no_user(t);
}

/* With those that some roles have for themselves. */
void init_make_user(struct init *t)
{
	struct str missing;

	if (t->has_user)
		return;
	if (!make_user(t->run_as) || !find_users(t))
		tell_no_user(t);
	while (str_split(&t->users.missing, ' ', &missing))
		make_user(arena_cstr(&t->arena, missing));
	find_users(t);
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

/* "203.0.113.25,2001:db8::25" */
static void read_addresses(struct init *t, const struct options *o)
{
	const char *given = options_value(o, "public-address");
	struct str rest = str_of(given), word;
	unsigned char bytes[16];

	t->addresses = kernel_addresses(&t->arena);
	for (size_t i = 0; i < t->addresses.n;)
		if (address_is_public(t->addresses.at[i]))
			i++;
		else
			memmove(&t->addresses.at[i], &t->addresses.at[i + 1], (--t->addresses.n - i) * sizeof(struct str));
	if (!given)
		return;
	t->addresses_given = true;
	t->addresses = (struct str_list){ ARENA_ARRAY(&t->arena, struct str, rest.n + 1), 0 };
	while (str_split(&rest, ',', &word)) {
		const char *text = arena_cstr(&t->arena, str_trim(word));

		if (inet_pton(AF_INET, text, bytes) != 1 && inet_pton(AF_INET6, text, bytes) != 1)
			die(EX_USAGE, "--public-address: expected an IPv4 or IPv6 address, not \"%s\"", text);
		t->addresses.at[t->addresses.n++] = str_of(text);
	}
}

/* A certificate of an authority, which is used where it lies, so that its renewal is seen. */
static void read_certificate(struct init *t, const struct options *o)
{
	t->chain = options_value(o, "certificate");
	t->key = options_value(o, "key");
	if (!t->chain != !t->key)
		die(EX_USAGE, "--certificate and --key belong together");
	t->has_certificate = t->chain != NULL;
	if (!t->has_certificate)
		return;
	t->chain = readable_file(t, t->chain);
	t->key = readable_file(t, t->key);
}

static void read_format(struct init *t, const struct options *o)
{
	const char *word = options_value(o, "format");

	t->only_records = word != NULL;
	if (word && !records_format_find(word, &t->format))
		die(EX_USAGE, "--format: expected zone, table, route53 or json, not \"%s\"", word);
}

void init_read_options(struct init *t, const struct options *o, const char *config_path)
{
	read_identity(t, o);
	read_format(t, o);
	read_paths(t, o, config_path);
	read_next_hop(t, o);
	read_certificate(t, o);
	read_addresses(t, o);
	t->resolver = options_value(o, "resolver");
	t->offline = options_given(o, "offline");
	t->tries = !options_given(o, "no-try") && !t->offline;
	t->asks = isatty(STDIN_FILENO) && !options_given(o, "yes");
	t->address = options_value(o, "address");
	t->address = t->address ? t->address : "*";
	t->port_starttls = read_port(o, "port-starttls", "587");
	t->port_implicit = read_port(o, "port-implicit", "465");
}
