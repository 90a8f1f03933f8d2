/* init.c - `posthouse init DOMAIN`: a configuration with everything that it names, and what to publish and to enter elsewhere. Nothing
 * that is there is ever overwritten, and when a step fails what the others made is removed again. */
#include "user.h"

#include "cli.h"

#include "posthouse/accounts.h"
#include "posthouse/log.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define CERTIFICATE_DAYS 825
#define CREATED_MAX      8
#define DNS_STRING_MAX   255 /* RFC 1035 section 3.3 */

struct init {
	struct arena arena;
	struct str domain, hostname, selector, name;
	const char *config, *directory, *chain, *key, *dkim_key, *state_dir, *accounts, *control;
	const char *address, *upstream_tls, *upstream_login, *upstream_password_file, *ca, *run_as;
	struct str upstream_host, upstream_port;
	const char *port_starttls, *port_implicit;
	const struct passwd *user; /* whom the relay becomes; NULL: it stays who it is */
	struct secret password;
	bool password_given;
	EVP_PKEY *tls_pkey, *dkim_pkey;
	const char *created[CREATED_MAX]; /* to be removed when a later step fails */
	size_t created_n;
};

static int usage(void)
{
	fprintf(stderr,
		"usage: posthouse [-c FILE] init DOMAIN [--hostname HOST] [--user NAME] [--password-stdin]\n"
		"         [--upstream HOST[:PORT]] [--upstream-tls starttls|implicit|opportunistic|none] [--ca FILE]\n"
		"         [--upstream-login LOGIN --upstream-password-file FILE]\n"
		"         [--state-dir DIRECTORY] [--control PATH] [--address ADDRESS] [--port-starttls N] [--port-implicit N]\n"
		"         [--run-as USER]\n"
		"Writes FILE, and beside it a certificate and a DKIM key; makes the state directory with a first account.\n");
	return EX_USAGE;
}

/* ---- undoing ---- */
static void undo(struct init *t)
{
	while (t->created_n)
		remove(t->created[--t->created_n]);
}

__attribute__((format(printf, 3, 4))) _Noreturn static void fail(struct init *t, int code, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	undo(t);
	die(code, "%s", text);
}

static void made(struct init *t, const char *path)
{
	if (t->created_n == CREATED_MAX)
		fail(t, EX_SOFTWARE, "more files than expected");
	t->created[t->created_n++] = path;
}

/* ---- what is asked for ---- */
/* Letters, digits and hyphens in at least two labels. */
static bool is_domain(struct str s)
{
	size_t label = 0, labels = 1;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '.') {
			if (label == 0 || s.p[i - 1] == '-')
				return false;
			label = 0;
			labels++;
			continue;
		}
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && label > 0)) || ++label > 63)
			return false;
	}
	return s.n <= 253 && label > 0 && labels > 1 && s.p[s.n - 1] != '-';
}

static struct str read_domain(struct init *t, const char *what, const char *text)
{
	struct str s = arena_lower(&t->arena, str_of(text));

	if (!is_domain(s))
		die(EX_USAGE, "%s: expected a domain such as example.org, not \"%s\" (names beyond ASCII in their xn-- form)",
		    what, text);
	return s;
}

/* An absolute path; what is not there yet may be its last part only. */
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

static const char *path_in(struct init *t, const char *directory, struct str name)
{
	return arena_cstr(&t->arena, arena_printf(&t->arena, "%s/%.*s", directory, STR_ARG(name)));
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

static const char *read_port(int *argc, char **argv, const char *option, const char *otherwise)
{
	const char *text = take_option(argc, argv, option);
	uint64_t port;

	if (text && (!str_to_u64(str_of(text), &port) || port == 0 || port > 65535))
		die(EX_USAGE, "%s: expected a port, not \"%s\"", option, text);
	return text ? text : otherwise;
}

static void read_upstream_options(struct init *t, int *argc, char **argv)
{
	static const char *const modes[] = { "starttls", "implicit", "opportunistic", "none" };
	const char *upstream = take_option(argc, argv, "--upstream");
	bool known = false;

	t->upstream_tls = take_option(argc, argv, "--upstream-tls");
	t->upstream_login = take_option(argc, argv, "--upstream-login");
	t->upstream_password_file = take_option(argc, argv, "--upstream-password-file");
	t->ca = take_option(argc, argv, "--ca");
	if (!upstream && (t->upstream_tls || t->upstream_login || t->upstream_password_file || t->ca))
		die(EX_USAGE, "options of the upstream need --upstream");
	if (!t->upstream_login != !t->upstream_password_file)
		die(EX_USAGE, "--upstream-login and --upstream-password-file belong together");
	if (upstream)
		read_upstream(t, upstream);
	if (!t->upstream_tls)
		t->upstream_tls = "starttls";
	for (size_t i = 0; i < 4; i++)
		known = known || strcmp(t->upstream_tls, modes[i]) == 0;
	if (!known)
		die(EX_USAGE, "--upstream-tls: expected starttls, implicit, opportunistic or none");
	if (t->upstream_password_file)
		t->upstream_password_file = absolute(t, t->upstream_password_file);
	if (t->ca)
		t->ca = absolute(t, t->ca);
	if (t->upstream_password_file && access(t->upstream_password_file, R_OK) != 0)
		die(EX_NOINPUT, "%s: %s", t->upstream_password_file, strerror(errno));
	if (t->ca && access(t->ca, R_OK) != 0)
		die(EX_NOINPUT, "%s: %s", t->ca, strerror(errno));
}

static void read_identity(struct init *t, int *argc, char **argv)
{
	const char *hostname = take_option(argc, argv, "--hostname"), *user = take_option(argc, argv, "--user");
	time_t now = time(NULL);
	struct str device;
	struct tm tm;

	t->domain = read_domain(t, "DOMAIN", argv[1]);
	t->hostname =
		hostname ? read_domain(t, "--hostname", hostname) : arena_printf(&t->arena, "relay.%.*s", STR_ARG(t->domain));
	if (!account_parse_name(&t->arena, str_of(user ? user : "user"), t->domain, &t->name, &device) || device.n)
		die(EX_USAGE, "--user: expected a name such as alice, not \"%s\"", user);
	gmtime_r(&now, &tm);
	t->selector = arena_printf(&t->arena, "p%04d%02d", tm.tm_year + 1900, tm.tm_mon + 1);
	t->run_as = take_option(argc, argv, "--run-as");
	if (geteuid() == 0 && !t->run_as)
		t->run_as = "posthouse";
	if (geteuid() != 0)
		return;
	t->user = getpwnam(t->run_as);
	if (!t->user)
		die(EX_NOUSER,
		    "there is no user \"%s\" for the relay to become; make one (adduser --system --group %s) or name one with --run-as",
		    t->run_as, t->run_as);
}

static void read_paths(struct init *t, int *argc, char **argv, const char *config_path)
{
	const char *state_dir = take_option(argc, argv, "--state-dir"), *control = take_option(argc, argv, "--control");
	struct str config;

	t->control = control ? absolute(t, control) : "/run/posthouse/control.sock";
	t->state_dir = state_dir ? absolute(t, state_dir) : "/var/lib/posthouse";
	t->config = config_path;
	config = str_of(config_path);
	t->directory = str_rfind(config, '/') == config.n ? "." : arena_cstr(&t->arena, str_head(config, str_rfind(config, '/')));
	if (strcmp(t->directory, "") == 0)
		t->directory = "/";
}

/* ---- beforehand: nothing may be there ---- */
static void refuse_existing(struct init *t)
{
	const char *const targets[] = { t->config, t->chain, t->key, t->dkim_key, t->accounts };
	struct stat st;

	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		if (lstat(targets[i], &st) == 0)
			fail(t, EX_CANTCREAT, "%s exists already; nothing was changed", targets[i]);
		if (errno != ENOENT)
			fail(t, EX_CANTCREAT, "%s: %s; nothing was changed", targets[i], strerror(errno));
	}
	if (stat(t->state_dir, &st) == 0 && !S_ISDIR(st.st_mode))
		fail(t, EX_CANTCREAT, "%s exists already and is no directory; nothing was changed", t->state_dir);
}

/* The directory of the configuration may be missing, not what is above it. */
static void make_directories(struct init *t)
{
	const char *real;

	if (mkdir(t->directory, 0755) == 0)
		made(t, t->directory);
	else if (errno != EEXIST)
		fail(t, EX_CANTCREAT, "%s: %s", t->directory, strerror(errno));
	real = realpath(t->directory, NULL);
	if (!real)
		fail(t, EX_CANTCREAT, "%s: %s", t->directory, strerror(errno));
	t->directory = arena_cstr(&t->arena, str_of(real));
	free((void *)real);
	t->config = path_in(t, t->directory,
			    str_from(str_of(t->config), str_rfind(str_of(t->config), '/') == strlen(t->config)
								? 0
								: str_rfind(str_of(t->config), '/') + 1));
	t->chain = path_in(t, t->directory, S("fullchain.pem"));
	t->key = path_in(t, t->directory, S("privkey.pem"));
	t->dkim_key =
		path_in(t, t->directory, arena_printf(&t->arena, "dkim-%.*s-%.*s.key", STR_ARG(t->domain), STR_ARG(t->selector)));
	t->accounts = path_in(t, t->state_dir, S("accounts"));
	refuse_existing(t);
	if (mkdir(t->state_dir, 0700) == 0)
		made(t, t->state_dir);
	else if (errno != EEXIST)
		fail(t, EX_CANTCREAT, "%s: %s", t->state_dir, strerror(errno));
	if (t->user && chown(t->state_dir, t->user->pw_uid, t->user->pw_gid) != 0)
		fail(t, EX_CANTCREAT, "%s: %s", t->state_dir, strerror(errno));
}

/* ---- keys and certificate ---- */
static FILE *create(struct init *t, const char *path, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	FILE *file;

	if (fd < 0)
		fail(t, EX_CANTCREAT, "%s: %s", path, strerror(errno));
	made(t, path);
	file = fdopen(fd, "w");
	if (!file)
		fail(t, EX_OSERR, "%s: %s", path, strerror(errno));
	return file;
}

static void finish(struct init *t, FILE *file, const char *path, bool written)
{
	written = fflush(file) == 0 && fsync(fileno(file)) == 0 && written;
	if (fclose(file) != 0 || !written)
		fail(t, EX_IOERR, "%s could not be written: %s", path, strerror(errno));
}

static void write_key(struct init *t, const char *path, EVP_PKEY *key)
{
	FILE *file = create(t, path, 0600);

	finish(t, file, path, PEM_write_PKCS8PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1);
}

static bool add_extension(X509 *certificate, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;
	bool added;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	added = extension && X509_add_ext(certificate, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return added;
}

/* RFC 5280: a random serial number, and the same name as subject and issuer. */
static bool name_certificate(struct init *t, X509 *certificate)
{
	X509_NAME *name = X509_get_subject_name(certificate);
	unsigned char serial[16];
	BIGNUM *number;
	bool named;

	if (RAND_bytes(serial, sizeof(serial)) != 1)
		return false;
	serial[0] = (unsigned char)((serial[0] & 0x3f) | 0x40);
	number = BN_bin2bn(serial, sizeof(serial), NULL);
	named = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) &&
		X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
					   (const unsigned char *)arena_cstr(&t->arena, str_head(t->hostname, 64)), -1, -1,
					   0) == 1 &&
		X509_set_issuer_name(certificate, name) == 1;
	BN_free(number);
	return named;
}

/* A self-signed certificate for the host, which also serves for tests from the machine itself. */
static X509 *make_certificate(struct init *t)
{
	const char *names = arena_cstr(
		&t->arena, arena_printf(&t->arena, "DNS:%.*s,DNS:localhost,IP:127.0.0.1,IP:::1", STR_ARG(t->hostname)));
	X509 *c = X509_new();

	if (c && X509_set_version(c, X509_VERSION_3) == 1 && name_certificate(t, c) &&
	    X509_gmtime_adj(X509_getm_notBefore(c), -3600) &&
	    X509_time_adj_ex(X509_getm_notAfter(c), CERTIFICATE_DAYS, 0, NULL) && X509_set_pubkey(c, t->tls_pkey) == 1 &&
	    add_extension(c, NID_basic_constraints, "critical,CA:FALSE") &&
	    add_extension(c, NID_key_usage, "critical,digitalSignature") && add_extension(c, NID_ext_key_usage, "serverAuth") &&
	    add_extension(c, NID_subject_alt_name, names) && add_extension(c, NID_subject_key_identifier, "hash") &&
	    add_extension(c, NID_authority_key_identifier, "keyid:always") && X509_sign(c, t->tls_pkey, EVP_sha256()) > 0)
		return c;
	X509_free(c);
	return NULL;
}

static void make_keys(struct init *t)
{
	X509 *certificate;
	FILE *file;
	bool written;

	t->tls_pkey = EVP_EC_gen("P-256");
	t->dkim_pkey = EVP_RSA_gen(2048);
	if (!t->tls_pkey || !t->dkim_pkey)
		fail(t, EX_SOFTWARE, "OpenSSL could not make keys");
	certificate = make_certificate(t);
	if (!certificate)
		fail(t, EX_SOFTWARE, "OpenSSL could not make a certificate for %.*s", STR_ARG(t->hostname));
	write_key(t, t->key, t->tls_pkey);
	write_key(t, t->dkim_key, t->dkim_pkey);
	file = create(t, t->chain, 0644);
	written = PEM_write_X509(file, certificate) == 1;
	X509_free(certificate);
	finish(t, file, t->chain, written);
}

/* ---- the first account ---- */
/* In a child that is the relay's user, so that nothing in the state directory belongs to root. */
static int add_account_as_user(struct init *t)
{
	struct str verifier;
	struct verdict v;
	struct accounts *accounts;

	if (t->user && !become_user(t->user)) {
		fprintf(stderr, "posthouse: cannot become %s: %s\n", t->run_as, strerror(errno));
		return EX_OSERR;
	}
	v = account_verifier(&t->arena, str_of(""), secret_view(&t->password), &verifier);
	accounts = v.class == OK ? accounts_open(t->state_dir, &v) : NULL;
	if (accounts)
		v = accounts_change(accounts, ACCOUNT_ADD, t->name, str_of(""), verifier);
	if (v.class != OK)
		fprintf(stderr, "posthouse: %.*s: %.*s\n", STR_ARG(t->name), STR_ARG(v.text));
	accounts_close(accounts);
	return v.class == OK ? EX_OK : EX_CANTCREAT;
}

static void add_account(struct init *t)
{
	int status = 0;
	pid_t child;

	fflush(NULL);
	child = fork();
	if (child == 0)
		_exit(add_account_as_user(t));
	made(t, path_in(t, t->state_dir, S("accounts.lock")));
	made(t, t->accounts);
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != EX_OK)
		fail(t, child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : EX_OSERR, "the first account could not be made");
}

/* ---- the configuration ---- */
/* A text in libconfig's quotes. */
static struct str quoted(struct init *t, struct str s)
{
	char *p = arena_alloc(&t->arena, 2 * s.n + 3);
	size_t n = 0;

	p[n++] = '"';
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] < ' ')
			fail(t, EX_USAGE, "control characters cannot be part of \"%.*s\"", STR_ARG(s));
		if (s.p[i] == '"' || s.p[i] == '\\')
			p[n++] = '\\';
		p[n++] = s.p[i];
	}
	p[n++] = '"';
	return str_make(p, n);
}

static void write_upstream(struct init *t, FILE *file)
{
	if (!t->upstream_host.n) {
		fprintf(file,
			"# The mail server that takes the mail from here: your provider's submission server. Fill it in and remove the //.\n"
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
	if (t->upstream_login)
		fprintf(file, "\n                login = %.*s; password_file = %.*s;",
			STR_ARG(quoted(t, str_of(t->upstream_login))), STR_ARG(quoted(t, str_of(t->upstream_password_file))));
	if (t->ca)
		fprintf(file, "\n                ca = %.*s;", STR_ARG(quoted(t, str_of(t->ca))));
	fprintf(file, " } );\nroutes = ( { via = [ \"smarthost\" ]; } );\n");
}

static void write_config(struct init *t)
{
	FILE *file = create(t, t->config, 0644);
	struct str address = quoted(t, str_of(t->address));

	fprintf(file,
		"# Written by `posthouse init`. All keys: posthouse.conf(5). After a change: `posthouse check`, then `posthouse reload`.\n\n"
		"hostname = \"%.*s\";\npostmaster = \"postmaster@%.*s\";\nstate_dir = %.*s;\n",
		STR_ARG(t->hostname), STR_ARG(t->domain), STR_ARG(quoted(t, str_of(t->state_dir))));
	if (t->run_as)
		fprintf(file, "run_as = %.*s;\n", STR_ARG(quoted(t, str_of(t->run_as))));
	fprintf(file, "control = %.*s;\n\n", STR_ARG(quoted(t, str_of(t->control))));
	fprintf(file,
		"listen = ( { address = %.*s; port = %s; tls = \"starttls\"; },\n           { address = %.*s; port = %s; tls = \"implicit\"; } );\n\n",
		STR_ARG(address), t->port_starttls, STR_ARG(address), t->port_implicit);
	fprintf(file, "certificates = ( { chain = %.*s; key = %.*s; } );\n\n", STR_ARG(quoted(t, str_of(t->chain))),
		STR_ARG(quoted(t, str_of(t->key))));
	fprintf(file, "# The domain of logins without @.\nauth = { realm = \"%.*s\"; };\n\n", STR_ARG(t->domain));
	fprintf(file, "sign = ( { domain = \"%.*s\"; selector = \"%.*s\"; key = %.*s; } );\n\n", STR_ARG(t->domain),
		STR_ARG(t->selector), STR_ARG(quoted(t, str_of(t->dkim_key))));
	write_upstream(t, file);
	finish(t, file, t->config, ferror(file) == 0);
}

/* ---- what remains to be done by people ---- */
/* RFC 6376 section 3.6.1, as a zone file has it: strings of at most 255 bytes, which resolvers join. */
static void print_dkim_record(struct init *t)
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(t->dkim_pkey, &der);
	char *text;
	struct str record;

	if (n <= 0)
		fail(t, EX_SOFTWARE, "OpenSSL could not write the public key");
	text = arena_alloc(&t->arena, (size_t)n * 2);
	EVP_EncodeBlock((unsigned char *)text, der, n);
	OPENSSL_free(der);
	record = arena_printf(&t->arena, "v=DKIM1; k=rsa; p=%s", text);
	printf("DNS record to publish, so that others can verify the signatures:\n\n%.*s._domainkey.%.*s. IN TXT (",
	       STR_ARG(t->selector), STR_ARG(t->domain));
	for (; record.n; record = str_from(record, DNS_STRING_MAX))
		printf("\n    \"%.*s\"", STR_ARG(str_head(record, DNS_STRING_MAX)));
	printf(" )\n\n");
}

static void print_summary(struct init *t)
{
	printf("Written:\n  %s\n  %s (self-signed, %d days: clients must be told to trust it; better take one of an authority)\n  %s\n  %s\n  %s\n\n",
	       t->config, t->chain, CERTIFICATE_DAYS, t->key, t->dkim_key, t->accounts);
	print_dkim_record(t);
	printf("Settings for a mail client (outgoing server, SMTP):\n\n"
	       "  server      %.*s\n  port        %s with STARTTLS, or %s with SSL/TLS\n  login       %.*s\n",
	       STR_ARG(t->hostname), t->port_starttls, t->port_implicit, STR_ARG(t->name));
	if (!t->password_given)
		printf("  password    %.*s   (shown only now)\n", STR_ARG(secret_view(&t->password)));
	printf("  method      normal password (PLAIN or LOGIN)\n\n");
	if (!t->upstream_host.n)
		printf("Before it can start: fill in `upstreams` in %s, the server that takes the mail from here.\n", t->config);
	printf("Next: posthouse -c %s check, then posthouse -c %s serve\n", t->config, t->config);
}

int command_init(int argc, char **argv, const char *config_path)
{
	struct init t = { 0 };

	t.password_given = take_flag(&argc, argv, "--password-stdin");
	if (argc < 2 || argv[1][0] == '-')
		return usage();
	read_identity(&t, &argc, argv);
	read_paths(&t, &argc, argv, config_path);
	read_upstream_options(&t, &argc, argv);
	t.address = take_option(&argc, argv, "--address");
	t.address = t.address ? t.address : "*";
	t.port_starttls = read_port(&argc, argv, "--port-starttls", "587");
	t.port_implicit = read_port(&argc, argv, "--port-implicit", "465");
	if (argc != 2)
		return usage();
	if (t.password_given ? !read_password_line(&t.password) : account_generate_password(&t.password).class != OK)
		die(EX_NOINPUT, "expected a password on the first line of standard input");
	make_directories(&t);
	make_keys(&t);
	add_account(&t);
	write_config(&t);
	print_summary(&t);
	EVP_PKEY_free(t.tls_pkey);
	EVP_PKEY_free(t.dkim_pkey);
	secret_fini(&t.password);
	arena_fini(&t.arena);
	return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}
