/* init_personal.c - `posthouse init ADDRESS`: for people without a domain of their own. All mail leaves as this address, by the
 * server of its provider. And the try of a login, which `init DOMAIN --profile NAME` makes too. */
#include "init.h"

#include "smtp_call.h"

#include "posthouse/address.h"
#include "posthouse/log.h"
#include "posthouse/names.h"

#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

/* The name of this machine is known to its clients only, so ".lan" is good enough where it has no domain. */
static struct str machine_name(struct init *t)
{
	char name[256] = "";
	struct str s;

	if (gethostname(name, sizeof(name) - 1) != 0 || strncmp(name, "localhost", 9) == 0)
		return S("relay.lan");
	s = domain_canonical(&t->arena, str_of(name));
	if (str_find(s, '.') == s.n)
		s = arena_printf(&t->arena, "%.*s.lan", STR_ARG(s));
	return host_name_valid(s) ? s : S("relay.lan");
}

void init_read_personal(struct init *t, const struct options *o)
{
	const char *hostname = options_value(o, "hostname"), *user = options_value(o, "user");
	struct str address = address_with_canonical_domain(&t->arena, str_of(o->arguments[0]));

	if (address_local(address).n == 0 || !host_name_valid(address_domain(address)))
		die(EX_USAGE, "expected a domain such as example.org, or a mail address such as me@gmail.com, not \"%s\"",
		    o->arguments[0]);
	t->personal = address;
	t->hostname = hostname ? init_read_domain(t, "--hostname", hostname) : machine_name(t);
	t->domain = t->hostname;
	init_need_user(t, user ? user : "home");
	mailbox_domain(address_domain(address), &t->profile);
}

_Noreturn void init_tell_no_provider(struct init *t)
{
	struct str domain = address_domain(t->personal);

	die(EX_USAGE,
	    "who has the mailboxes of %.*s is not known here: name the provider with --profile NAME (`posthouse upstream "
	    "profiles` lists them), or its submission server with --upstream HOST[:PORT]. If %.*s is a domain of your own, "
	    "`posthouse init %.*s` sets it up with signatures and DNS records",
	    STR_ARG(domain), STR_ARG(domain), STR_ARG(domain));
}

/* ---- the try ---- */

static struct str read_file(struct init *t, const char *path, bool is_line)
{
	char bytes[65536];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, bytes, sizeof(bytes)) : -1;
	struct str text;

	if (fd >= 0)
		close(fd);
	if (n < 0)
		die(EX_NOINPUT, "%s cannot be read", path);
	text = arena_str(&t->arena, str_make(bytes, (size_t)n));
	wipe(bytes, sizeof(bytes));
	return is_line ? str_head(text, str_find(text, '\n')) : text;
}

static unsigned tls_of(const char *word)
{
	static const char *const words[] = { [UPSTREAM_IMPLICIT] = "implicit",
					     [UPSTREAM_STARTTLS] = "starttls",
					     [UPSTREAM_OPPORTUNISTIC] = "opportunistic",
					     [UPSTREAM_NONE] = "none" };

	for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcmp(words[i], word) == 0)
			return i;
	return UPSTREAM_STARTTLS;
}

static struct smtp_call attempt_of(struct init *t)
{
	const struct profile *p = t->profile;
	struct smtp_call try = { .hostname = t->hostname, .login = str_of(t->login), .mechanisms = S("PLAIN LOGIN CRAM-MD5") };
	uint64_t port;

	if (p) {
		try.host = profile_host(p, &t->arena, str_of(t->region));
		try.port = p->port;
		try.tls = profile_tls(p);
		try.mechanisms = str_of(p->mechanisms);
	} else {
		try.host = t->upstream_host;
		try.tls = tls_of(t->upstream_tls);
		try.port = str_to_u64(t->upstream_port, &port) ? (unsigned)port : try.tls == UPSTREAM_IMPLICIT ? 465 : 587;
	}
	if (t->ca)
		try.ca_pem = read_file(t, t->ca, false);
	if (t->typed.n > 0)
		try.password = secret_view(&t->typed);
	else if (t->password_file)
		try.password = read_file(t, t->password_file, true);
	return try;
}

static _Noreturn void tell_failure(struct init *t, const struct smtp_call *what, const struct smtp_called *tried)
{
	struct verdict v = tried->verdict;

	fprintf(stderr, "posthouse: %.*s:%u: failed at %s: ", STR_ARG(what->host), what->port, tried->at);
	if (tried->replied)
		fprintf(stderr, "%u %.*s%s", v.code, STR_ARG(v.enhanced), v.enhanced.n ? " " : "");
	fprintf(stderr, "%.*s\n", STR_ARG(utf8_shown(&t->arena, v.text)));
	if (*tried->hint)
		fprintf(stderr, "%s\n", tried->hint);
	else if (t->profile && t->profile->hint)
		fprintf(stderr, "%s: %s\n", t->profile->name, t->profile->hint);
	fprintf(stderr, "Nothing was written. Where the server cannot be reached from here now: --no-try\n");
	exit(v.class == TEMP ? EX_TEMPFAIL : EX_UNAVAILABLE);
}

void init_try_login(struct init *t)
{
	struct smtp_called *tried = ARENA_NEW(&t->arena, struct smtp_called);
	struct smtp_call what;

	if (!t->tries || t->client_id) /* tokens come later, by `upstream login` */
		return;
	if (t->personal.n == 0 && !(t->profile && t->login)) /* a server of one's own, or one that wants no login */
		return;
	what = attempt_of(t);
	smtp_call(&t->arena, &what, tried);
	if (tried->verdict.class != OK)
		tell_failure(t, &what, tried);
	t->tried = tried;
	printf("Tried: %.*s:%u, %.*s%s, %s.\n", STR_ARG(what.host), what.port,
	       STR_ARG(tried->tls.n > 0 ? tried->tls : S("no TLS")), tried->tls.n > 0 ? " good" : "",
	       what.login.n > 0 ? "login good" : "no login");
}
