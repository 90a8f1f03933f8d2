/* provide.c - `serve --env` and `init --env`: the certificate and the keys that are missing, made as the relay's user in
 * state_dir. What is there stays. */
#include "provide.h"

#include "cli.h"
#include "dkim.h"
#include "self_signed.h"
#include "user.h"

#include "posthouse/directory.h"
#include "posthouse/log.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define DKIM_BITS     2048
#define RENEW_SECONDS (30 * 24 * 3600)

/* ---- the certificate ---- */

/* NULL: nothing has that name. What is there and cannot be read is somebody's: it is not replaced. */
static FILE *open_existing(const char *path)
{
	FILE *file = fopen(path, "r");
	int error = errno;
	struct stat st;

	if (!file && (error != ENOENT || lstat(path, &st) == 0))
		die(EX_CONFIG, "%s cannot be read, and is not replaced: %s", path, strerror(error));
	return file;
}

/* The file was read: dies when what it is for was not in it. */
static void close_existing(FILE *file, const char *path, bool found, const char *not_found)
{
	if (!found)
		die(EX_CONFIG, "%s is not replaced: %s", path, ferror(file) ? strerror(errno) : not_found);
	fclose(file);
}

/* NULL: there is none. */
static X509 *read_certificate(const char *path)
{
	FILE *file = open_existing(path);
	X509 *c;

	if (!file)
		return NULL;
	c = PEM_read_X509(file, NULL, NULL, NULL);
	close_existing(file, path, c != NULL, "there is no certificate in PEM in it");
	return c;
}

/* NULL: there is none. */
static EVP_PKEY *read_key(const char *path)
{
	static char empty[] = ""; /* the password: nobody is asked for one */
	FILE *file = open_existing(path);
	EVP_PKEY *key;

	if (!file)
		return NULL;
	key = PEM_read_PrivateKey(file, NULL, NULL, empty);
	close_existing(file, path, key != NULL, "there is no private key in PEM, without a password, in it");
	return key;
}

/* One that was made here is made again for another host name and before it expires; one that somebody has put there, never. */
static bool is_over(X509 *c, struct str hostname)
{
	time_t soon = time(NULL) + RENEW_SECONDS;

	return self_signed_here(c) &&
	       (X509_check_host(c, hostname.p, hostname.n, 0, NULL) != 1 || X509_cmp_time(X509_get0_notAfter(c), &soon) <= 0);
}

static struct str pem_of(struct arena *a, X509 *certificate)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long n = bio && PEM_write_bio_X509(bio, certificate) == 1 ? BIO_get_mem_data(bio, &text) : 0;
	struct str pem = arena_str(a, str_make(text, (size_t)n));

	BIO_free(bio);
	return pem;
}

static void write_file(const char *path, struct str text, mode_t mode)
{
	const char *why = file_replace(path, text, mode);

	if (why)
		die(EX_CANTCREAT, "%s %s: %s; the files of state_dir have to belong to the relay's user (UID %u)", path, why,
		    strerror(errno), (unsigned)geteuid());
}

/* A key that is there stays: a start that was killed has left it, or `before` has it. */
static EVP_PKEY *provide_key(struct arena *a, const char *path, bool rsa, X509 *before, const char *chain)
{
	EVP_PKEY *key = read_key(path);

	if (key && before && X509_check_private_key(before, key) != 1)
		die(EX_CONFIG, "%s is not the key of the certificate in %s: neither is replaced", path, chain);
	if (key)
		return key;
	key = rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
	if (key)
		write_file(path, dkim_key_pem(a, key), 0600);
	return key;
}

/* In the place of `before`; NULL: there was none. */
static void make_certificate(struct arena *a, struct str hostname, bool rsa, X509 *before, const char *chain, const char *key)
{
	EVP_PKEY *pkey = provide_key(a, key, rsa, before, chain);
	X509 *certificate = pkey ? self_signed(hostname, pkey) : NULL;

	if (!certificate)
		die(EX_SOFTWARE, "OpenSSL could not make a certificate for %.*s", STR_ARG(hostname));
	write_file(chain, pem_of(a, certificate), 0644);
	log_words(LOG_INFO,
		  arena_printf(a, "posthouse: a self-signed certificate for %.*s was made: %s", STR_ARG(hostname), chain));
	X509_free(certificate);
	EVP_PKEY_free(pkey);
}

/* Only where the configuration has the built-in place for it. As `init` does it, there is a second one for old devices, which
 * know no ECDSA. */
static void provide_certificate(const struct config *c, bool rsa)
{
	struct arena a = { 0 };
	const char *kind = rsa ? "-rsa" : "";
	const char *directory = arena_cstr(&a, arena_printf(&a, "%.*s/tls", STR_ARG(c->state_dir)));
	const char *chain = arena_cstr(&a, arena_printf(&a, "%s/fullchain%s.pem", directory, kind));
	const char *key = arena_cstr(&a, arena_printf(&a, "%s/privkey%s.pem", directory, kind));
	bool wanted = false;
	X509 *before;

	for (size_t i = 0; i < c->certificates_n; i++)
		wanted |= str_eq(c->certificates[i].chain, str_of(chain));
	wanted &= c->hostname.n > 0;
	before = wanted ? read_certificate(chain) : NULL;
	if (wanted && (!before || is_over(before, c->hostname))) {
		if (mkdir(directory, 0700) != 0 && errno != EEXIST)
			die(EX_CANTCREAT, "%s: %s", directory, strerror(errno));
		make_certificate(&a, c->hostname, rsa, before, chain, key);
	}
	X509_free(before);
	arena_fini(&a);
}

/* ---- DKIM keys ---- */

/* "DOMAIN=NAME", or "NAME" for all; "": none was given. */
static struct str selector_for(const struct environment *made, struct str domain)
{
	struct str found = S("");

	for (size_t i = 0; i < made->selectors.n; i++) {
		struct str word = made->selectors.at[i];
		size_t equals = str_find(word, '=');

		if (equals == word.n && found.n == 0)
			found = word;
		else if (equals < word.n && str_ieq(str_head(word, equals), domain))
			return str_from(word, equals + 1);
	}
	return found;
}

static bool has_keys(const struct dkim_store *s, struct str domain)
{
	for (size_t i = 0; i < s->n; i++)
		if (str_ieq(s->keys[i].domain, domain))
			return true;
	return false;
}

/* A key file of that name that is there already, put there by hand or left by a start that was killed, is taken as it is. */
static void add_key(struct dkim_store *s, struct str domain, struct str selector, enum dkim_algorithm algorithm, bool sign)
{
	struct str path =
		arena_printf(&s->arena, "%.*s%.*s", STR_ARG(s->directory), STR_ARG(dkim_key_file(&s->arena, domain, selector)));
	struct cfg_sign *key;

	if (selector.n > 0 && access(arena_cstr(&s->arena, path), F_OK) == 0) {
		ARENA_GROW(&s->arena, s->keys, s->n, s->capacity);
		key = &s->keys[s->n++];
		*key = (struct cfg_sign){ .domain = domain,
					  .selector = selector,
					  .key = path,
					  .state = SIGN_PENDING,
					  .oversign = true,
					  .since = dkim_time(&s->arena, s->now) };
	} else {
		key = dkim_add(s, domain, selector, algorithm, DKIM_BITS);
	}
	if (sign)
		key->state = SIGN_ACTIVE;
	log_words(LOG_INFO,
		  arena_printf(
			  &s->arena,
			  "posthouse: DKIM key %.*s of %.*s was made%s: `posthouse dkim show %.*s` prints the record to publish",
			  STR_ARG(key->selector), STR_ARG(domain),
			  sign ? "" : "; it signs when `posthouse dkim rotate` has seen its record", STR_ARG(domain)));
}

/* The first keys of a domain sign at once. Those of another selector later wait for their record, since the old ones sign. */
static bool provide_domain(struct dkim_store *s, const struct environment *made, struct str domain)
{
	struct str selector = selector_for(made, domain);
	bool first = !has_keys(s, domain);

	if (selector.n > 0 ? dkim_find(s, domain, selector) != NULL : !first)
		return false;
	add_key(s, domain, selector, DKIM_RSA_SHA256, first);
	if (selector.n == 0)
		add_key(s, domain, selector, DKIM_ED25519_SHA256, first);
	return true;
}

/* Does a person keep `sign`, in a file or a variable? */
static bool is_by_hand(const struct config *c)
{
	struct arena a = { 0 };
	struct str file, ours = arena_printf(&a, "%.*s/" DKIM_FILE, STR_ARG(c->state_dir));
	bool by_hand = false;
	unsigned line;

	for (size_t i = 0; i < c->sign_n && !by_hand; i++)
		by_hand = !config_place(c, &a, S("sign"), i, &file, &line) || !str_eq(file, ours);
	arena_fini(&a);
	return by_hand;
}

static void provide_keys(const struct config *c, const char *config_path)
{
	const struct environment *made = c->environment;
	struct dkim_store s;
	bool changed = false;

	if (!made->dkim || made->domains.n == 0 || is_by_hand(c))
		return;
	dkim_open(&s, config_path, true);
	for (size_t i = 0; i < made->domains.n; i++)
		changed |= provide_domain(&s, made, made->domains.at[i]);
	if (changed)
		dkim_save(&s);
	dkim_close(&s);
}

/* ---- all ---- */

/* A volume of another user is the usual mistake of a first start. */
static void need_writable(const struct config *c)
{
	struct arena a = { 0 };
	const char *path = arena_cstr(&a, c->state_dir);
	unsigned uid = geteuid(), gid = getegid();

	if (access(path, R_OK | W_OK | X_OK) != 0)
		die(EX_CANTCREAT,
		    "state_dir: %s cannot be written by UID %u with group %u: %s\n"
		    "Give the volume to them: `chown %u:%u` on it, or group 0 with mode 0770 and a relay with group 0, or "
		    "fsGroup in Kubernetes.",
		    path, uid, gid, strerror(errno), uid, gid);
	arena_fini(&a);
}

static struct config *load_good(const char *config_path)
{
	struct config_faults faults;
	struct config *good = config_load(config_path, &faults);

	if (faults_serious(&faults)) {
		faults_print(&faults);
		exit(EX_CONFIG);
	}
	return good;
}

/* The certificate first: without it the configuration is not good, and then nothing else is touched. */
static void provide_files(struct config *c, const char *config_path)
{
	struct config *good;

	umask(0077);
	need_writable(c);
	provide_certificate(c, false);
	provide_certificate(c, true);
	good = load_good(config_path);
	if (provide_check_accounts(good) > 0)
		exit(EX_CONFIG);
	provide_keys(good, config_path);
	config_free(good);
}

static void make_state_dir(const struct config *c, const struct users *users)
{
	struct arena a = { 0 };
	const char *path = arena_cstr(&a, c->state_dir);
	const struct user *user = &users->of[AS_RUN_AS];
	int error = directory_make_for(path, user->uid, user->gid);

	if (!error && users->drop)
		error = directory_give(path, user->uid, user->gid);
	if (error)
		die(EX_CANTCREAT, "%s: %s", path, strerror(error));
	arena_fini(&a);
}

static void become(const struct user *user)
{
	if (!become_user(user))
		die(EX_OSERR, "cannot become %s: %s", user->name, strerror(errno));
}

/* In a child of root's. The accounts can belong to another user than the other files, who cannot read the configuration. */
static void provide_as(const struct users *users, struct config *c, const char *config_path, bool accounts)
{
	struct arena a = { 0 };
	struct config *good;

	if (accounts) {
		good = load_good(config_path);
		become(state_dir_login_user(arena_cstr(&a, c->state_dir), users));
		umask(0077);
		provide_accounts(good);
	} else {
		become(&users->of[AS_RUN_AS]);
		provide_files(c, config_path);
	}
	exit(EX_OK);
}

/* Root's part is done by children that are the relay's users, so that no file in state_dir belongs to root. */
static void provide_as_child(const struct users *users, struct config *c, const char *config_path, bool accounts)
{
	int status = 0;
	pid_t child;

	fflush(NULL);
	child = fork();
	if (child == 0)
		provide_as(users, c, config_path, accounts);
	if (child < 0 || waitpid(child, &status, 0) != child)
		die(EX_OSERR, "a child process: %s", strerror(errno));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != EX_OK)
		exit(WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE);
}

static void provide_here(struct config *c, const char *config_path)
{
	struct config *good;

	provide_files(c, config_path);
	good = load_good(config_path);
	provide_accounts(good);
	config_free(good);
}

void provide(const char *config_path, bool serving)
{
	struct config_faults faults;
	struct config *c = config_load(config_path, &faults);
	struct arena a = { 0 };
	struct users users;

	if (serving) {
		log_setup("master", -1);
		log_configure(c->log.format == LOG_FORMAT_JSON, (enum log_level)c->log.level);
	}
	if (c->state_dir.n > 0 && c->environment) {
		if (!users_find(&users, &a, c->run_as))
			die(EX_CONFIG, "run_as: there is no user \"%.*s\" on this machine", STR_ARG(c->run_as));
		make_state_dir(c, &users);
		if (users.drop) {
			provide_as_child(&users, c, config_path, false);
			provide_as_child(&users, c, config_path, true);
		} else {
			provide_here(c, config_path);
		}
	}
	arena_fini(&a);
	config_free(c);
}
