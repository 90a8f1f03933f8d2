/* directory.c - see directory.h. The loop alone replaces the accounts, so it reads them without the lock. */
#include "directory.h"
#include "posthouse/clock.h"
#include "posthouse/directory.h"
#include "posthouse/file.h"
#include "posthouse/log.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>
#include <uv.h>

#define KEY_SIZE 32

struct directory {
	struct arena arena; /* of the paths */
	const char *state_dir, *file;
	struct accounts *accounts; /* NULL: the file could never be read */
	bool usable;               /* there are accounts, and their file still exists */
	uv_mutex_t lock;
	struct secret key; /* of decoys */
	uint64_t generation;
	struct secret fault; /* the last fault in the log, so that it is logged once; empty: there is none */
};

/* Read the key from its file; false when there is none that can be used. */
static bool read_key(const char *path, unsigned char key[KEY_SIZE])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool whole = fd >= 0 && read(fd, key, KEY_SIZE) == KEY_SIZE;

	if (fd >= 0)
		close(fd);
	return whole;
}

static void keep_key(const char *path, const unsigned char key[KEY_SIZE])
{
	struct arena a = { 0 };
	const char *fresh = arena_cstr(&a, arena_printf(&a, "%s.new", path));
	int error = file_put(AT_FDCWD, fresh, path, 0600, str_make((const char *)key, KEY_SIZE));

	if (error)
		log_warning(NULL, "login.keyless", kv("file", path), kv("reason", strerror(error)));
	arena_fini(&a);
}

static const char *key_path(const struct directory *d, struct arena *a)
{
	return arena_cstr(a, arena_printf(a, "%.*s/login.key", STR_ARG(directory_of(a, str_of(d->state_dir), "login"))));
}

/* The salts of names that do not exist must survive a restart, as those of accounts do: otherwise they reveal which names
 * exist. */
static void settle_key(struct directory *d)
{
	struct arena a = { 0 };
	const char *path = key_path(d, &a);
	unsigned char key[KEY_SIZE];

	if (!read_key(path, key)) {
		if (RAND_bytes(key, sizeof(key)) != 1)
			die(EX_OSERR, "no random numbers");
		keep_key(path, key);
	}
	secret_set(&d->key, str_make(key, sizeof(key)));
	wipe(key, sizeof(key));
	arena_fini(&a);
}

void directory_share_key(struct directory *d, struct str key)
{
	struct arena a = { 0 };

	if (key.n != KEY_SIZE || str_eq(key, secret_view(&d->key)))
		return;
	uv_mutex_lock(&d->lock);
	secret_set(&d->key, key);
	uv_mutex_unlock(&d->lock);
	keep_key(key_path(d, &a), (const unsigned char *)key.p);
	arena_fini(&a);
}

struct directory *directory_new(const char *state_dir)
{
	struct directory *d = NEW(struct directory);

	d->state_dir = arena_cstr(&d->arena, str_of(state_dir));
	d->file = arena_cstr(&d->arena, arena_printf(&d->arena, "%.*s/accounts",
						     STR_ARG(directory_of(&d->arena, str_of(state_dir), "login"))));
	if (uv_mutex_init(&d->lock))
		die(EX_OSERR, "no lock");
	settle_key(d);
	return d;
}

void directory_free(struct directory *d)
{
	if (!d)
		return;
	accounts_close(d->accounts);
	uv_mutex_destroy(&d->lock);
	secret_fini(&d->key);
	secret_fini(&d->fault);
	arena_fini(&d->arena);
	free(d);
}

const char *directory_state_dir(const struct directory *d)
{
	return d->state_dir;
}

/* Logged once for each reading of the file. */
static void report_shadowed(const struct directory *d)
{
	struct str shadowed = accounts_shadowed(d->accounts);

	if (shadowed.n > 0)
		log_warning(NULL, "account.shadowed", kv("login", shadowed));
}

/* Log one line when a fault begins, and one when it has ended. */
static void report(struct directory *d, struct verdict v)
{
	if (v.class == OK && d->fault.n) {
		log_info(NULL, "accounts.recovered", kv("accounts", accounts_count(d->accounts)));
		secret_fini(&d->fault);
	} else if (v.class != OK && !str_eq(v.text, secret_view(&d->fault))) {
		log_error(NULL, "accounts.unreadable", kv("file", d->file), kv("reason", v.text),
			  kv("old_content", directory_accounts(d) != NULL));
		secret_set(&d->fault, v.text);
	}
}

struct verdict directory_refresh(struct directory *d)
{
	uint64_t before = d->accounts ? accounts_generation(d->accounts) : 0, generation = d->generation;
	struct verdict v;

	uv_mutex_lock(&d->lock);
	if (d->accounts) {
		v = accounts_refresh(d->accounts);
		d->generation += accounts_generation(d->accounts) != before;
	} else {
		d->accounts = accounts_open(d->state_dir, &v);
		d->generation += d->accounts != NULL;
	}
	d->usable = d->accounts && !accounts_missing(d->accounts);
	uv_mutex_unlock(&d->lock);
	if (v.class == OK && !d->usable)
		v = temp(454, S("4.7.0"),
			 S("there is no account file: is the state directory mounted, was an account ever added?"));
	report(d, v);
	if (d->generation != generation && d->accounts)
		report_shadowed(d);
	return v;
}

uint64_t directory_generation(const struct directory *d)
{
	return d->generation;
}

const struct accounts *directory_accounts(const struct directory *d)
{
	return d->usable ? d->accounts : NULL;
}

static bool has_expired(const struct account *account)
{
	return account->expires_at && clock_now_ms() >= account->expires_at;
}

static bool fits_nobody(const struct account *account)
{
	return account->locked_at || has_expired(account);
}

enum password_end directory_end(const struct directory *d, struct str name, struct str device)
{
	const struct account *account = d->usable ? accounts_find(d->accounts, name, device) : NULL;

	if (!account || !fits_nobody(account))
		return PASSWORD_GOOD;
	return account->locked_at ? PASSWORD_LOCKED : PASSWORD_EXPIRED;
}

uint64_t directory_stamp(const struct directory *d, struct str name, struct str device)
{
	const struct account *account = d->usable ? accounts_find(d->accounts, name, device) : NULL;
	unsigned char digest[EVP_MAX_MD_SIZE];
	uint64_t stamp = 0;

	if (!account || fits_nobody(account))
		return 0;
	if (EVP_Digest(account->verifier.p, account->verifier.n, digest, NULL, EVP_sha256(), NULL))
		memcpy(&stamp, digest, sizeof(stamp));
	return stamp ? stamp : 1;
}

bool directory_is_locked(const struct directory *d, struct str name)
{
	bool locked = false;

	for (size_t i = 0; d->usable && i < accounts_count(d->accounts); i++) {
		const struct account *account = accounts_at(d->accounts, i);

		if (!str_eq(account->name, name))
			continue;
		if (!account->locked_at)
			return false;
		locked = true;
	}
	return locked;
}

uint64_t directory_next_expiry(const struct directory *d)
{
	uint64_t now = clock_now_ms(), next = 0;

	for (size_t i = 0; d->usable && i < accounts_count(d->accounts); i++) {
		uint64_t at = accounts_at(d->accounts, i)->expires_at;

		if (at > now && (next == 0 || at < next))
			next = at;
	}
	return next;
}

struct str directory_decoy(struct directory *d, struct arena *a, struct str name)
{
	struct str decoy;

	uv_mutex_lock(&d->lock);
	decoy = account_decoy(a, &d->key, name);
	uv_mutex_unlock(&d->lock);
	return decoy;
}

/* For a device that an existing account does not have, or a password that is locked or has expired: the account's salt, as
 * its other devices have it, with keys that no password matches. */
static struct str decoy_like(struct arena *a, struct str existing, struct str decoy)
{
	size_t keys = str_rfind(decoy, '$');

	return arena_printf(a, "%.*s%.*s", STR_ARG(str_head(existing, str_rfind(existing, '$'))), STR_ARG(str_from(decoy, keys)));
}

struct verdict directory_verifier(struct directory *d, struct arena *a, struct str name, struct str device,
				  struct str *verifier_out)
{
	struct str decoy = directory_decoy(d, a, name);
	const struct account *exact, *any;
	bool have_accounts;

	uv_mutex_lock(&d->lock);
	have_accounts = d->usable;
	exact = have_accounts ? accounts_find(d->accounts, name, device) : NULL;
	any = have_accounts ? accounts_any(d->accounts, name) : NULL;
	if (exact && !fits_nobody(exact))
		*verifier_out = arena_str(a, exact->verifier);
	else if (any)
		*verifier_out = decoy_like(a, any->verifier, decoy);
	else
		*verifier_out = decoy;
	uv_mutex_unlock(&d->lock);
	if (!have_accounts || decoy.n == 0)
		return temp(454, S("4.7.0"), S("authentication is not possible at present"));
	return ok();
}
