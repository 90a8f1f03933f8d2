/* accounts.h - the account file login/accounts in state_dir: one line per password, a SCRAM-SHA-256 verifier (RFC 5802, RFC
 * 7677), never the password. Text, replaced by rename under a lock, re-read when it has changed. Used by the login role and,
 * while no daemon runs, by the command line. Line format: HACKING.md, "Account file". */
#ifndef POSTHOUSE_ACCOUNTS_H
#define POSTHOUSE_ACCOUNTS_H

#include "posthouse/arena.h"
#include "posthouse/buf.h"
#include "posthouse/secret.h"
#include "posthouse/verdict.h"

#define ACCOUNTS_BYTES_MAX   (64u << 20) /* of the file */
#define ACCOUNTS_ITERATIONS  10000
#define ACCOUNTS_KEEP_EXPIRY UINT64_MAX /* as expires_at of ACCOUNT_PASSWD: keep that of the old password */

enum account_operation { ACCOUNT_ADD = 1, ACCOUNT_PASSWD, ACCOUNT_REMOVE, ACCOUNT_LOCK, ACCOUNT_UNLOCK };

struct account {
	struct str name;    /* with realm: alice@example.org; canonical, see names.h */
	struct str written; /* the name as the file has it */
	struct str lost;   /* the canonical name, when another account has it: no login finds this one, see accounts_shadowed() */
	struct str device; /* "" = the account's main password */
	struct str verifier; /* "SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey", base 64 */
	uint64_t created_at;
	uint64_t expires_at; /* ms; from then on no password fits; 0 = never */
	uint64_t locked_at;  /* ms; until it is unlocked, no password fits; 0 = not locked */
	struct str reason;   /* of the lock; "" */
};

struct accounts; /* the file in memory */

/* Read the account file (in state_dir itself where no relay of this version has run, see directory_of()); a missing file is an
 * empty set, see accounts_missing(). NULL: *why_out has the reason (its text is valid until this thread's next call). */
struct accounts *accounts_open(const char *state_dir, struct verdict *why_out);
void accounts_close(struct accounts *a);

/* Re-read if the file has changed since (cheap: a stat). On an unreadable file the old content stays, and the verdict says so. */
struct verdict accounts_refresh(struct accounts *a);

/* Was there no file at the last reading? */
bool accounts_missing(const struct accounts *a);

/* Grows by one whenever a refresh or change has brought new content: everything derived from the old content is then stale. */
uint64_t accounts_generation(const struct accounts *a);

/* Look up by name and device; NULL when there is none. Valid until the next refresh, change or close. */
const struct account *accounts_find(const struct accounts *a, struct str name, struct str device);
const struct account *accounts_any(const struct accounts *a, struct str name); /* some password of the account */

/* An account that no login finds, because another one has the canonical form of its name too; "": none. Valid as above. */
struct str accounts_shadowed(const struct accounts *a);
size_t accounts_count(const struct accounts *a);
const struct account *accounts_at(const struct accounts *a, size_t i);

/* Change the file under its lock: read afresh, edit, write beside it, fsync, rename, fsync the directory. PERM 550 5.1.1 no such
 * account; PERM 550 5.5.2 exists already, the name is malformed, another password of the account has another salt, or the time
 * of the password would be over already; TEMP 4.3.0 the file cannot be read or written. ACCOUNT_REMOVE with an empty device
 * removes the account with all its devices. A new password keeps the lock of the old one; one more password of an account whose
 * others are all locked is locked as they are. */
struct verdict accounts_change(struct accounts *a, enum account_operation operation, struct str name, struct str device,
			       struct str verifier, uint64_t expires_at);

/* ACCOUNT_LOCK or ACCOUNT_UNLOCK, with the verdicts of accounts_change(): of one device, or with an empty device of the account
 * with all its devices. What is locked already stays so since the time of its first lock. */
struct verdict accounts_lock(struct accounts *a, enum account_operation operation, struct str name, struct str device,
			     struct str reason);

/* ---- copy.c: the accounts are a table that several machines share, and the file is a copy of it ---- */

/* Is the file such a copy, as it was last read? Else it is of this machine alone. */
bool accounts_are_copied(const struct accounts *a);

/* A change of the table, as lines: those that it gets, or gets in place of others, and "name device" for each that it loses; and
 * all lines of the file after it. */
struct accounts_plan {
	struct buf changes, file;
};
void accounts_plan_init(struct accounts_plan *p);
void accounts_plan_fini(struct accounts_plan *p);

/* What accounts_change() or accounts_lock() would do (`what`: all that these get), with their verdicts; nothing is done, and the
 * file is not read again. / The table is empty, and gets all that the file has. */
struct verdict accounts_plan(const struct accounts *a, enum account_operation operation, const struct account *what,
			     struct accounts_plan *out);
struct verdict accounts_plan_all(const struct accounts *a, struct accounts_plan *out);

/* Make the file a copy of these lines; when a line is malformed, nothing is done. A file that was no copy is kept as
 * accounts.before-cluster when it has passwords which these lines lack, or have otherwise: *lost_out says how many. */
struct verdict accounts_follow(struct accounts *a, struct str lines, size_t *lost_out);

/* A line "name device" without its end; views into it. */
bool account_parse_removal(struct str line, struct str *name_out, struct str *device_out);

/* ---- uses.c: when each password was last used, in accounts.used beside the account file; only the login role writes it ---- */
struct account_uses;
struct account_use {
	uint64_t used_at;  /* ms UTC: it let somebody in; 0: not since account_uses_since() */
	uint64_t tried_at; /* ms UTC: somebody tried to log in after it had expired; 0: not since then */
};

/* A missing file, or one that cannot be read, has no uses: they are counted from `now` (ms UTC) on. */
struct account_uses *account_uses_open(const char *state_dir, uint64_t now);
void account_uses_close(struct account_uses *u);
uint64_t account_uses_since(const struct account_uses *u);
struct account_use account_uses_find(const struct account_uses *u, struct str name, struct str device);

/* A password of the account file was used now; not `fitted`: it has expired. True: what the file says is older than a day. */
bool account_uses_note(struct account_uses *u, struct str name, struct str device, bool fitted, uint64_t now);

/* Replace the file; passwords that are gone from the accounts are left out. False: errno says why. */
bool account_uses_write(struct account_uses *u, const struct accounts *accounts);

/* A line of the file (without its line end; views into `line`), and the reverse (with it). */
bool account_parse_line(struct str line, struct account *account_out);
struct str account_format_line(struct arena *a, const struct account *account);

/* The verifier for a password; all passwords of an account share salt and iterations, so pass an existing verifier of the account
 * or an empty view. The password is prepared with SASLprep (RFC 4013). PERM 550 5.5.2: not a usable one, the text says why. */
struct verdict account_verifier(struct arena *a, struct str existing, struct str password, struct str *verifier_out);

/* A new password: 100 random bits, easy to type. TEMP: no random numbers. */
struct verdict account_generate_password(struct secret *password_out);

/* Does the password fit: prepared by RFC 4013, as earlier versions prepared it (without normalisation), or unchanged? Takes about
 * 3.4 ms, up to three times that when it is not ASCII, so not for a loop. The time depends only on the given password and the
 * iteration count. */
bool account_check(struct str verifier, struct str password);

/* A verifier that no password fits, the same for the same name while the process lives: hides which names exist. Empty: OpenSSL
 * failed. */
struct str account_decoy(struct arena *a, const struct secret *process_key, struct str name);

/* "alice/phone" -> name "alice@realm", device "phone". False when malformed. Names: UTF-8 without control characters, spaces,
 * '/' and ':'; up to 255 bytes, in the form of login_canonical() (names.h). */
bool account_parse_name(struct arena *a, struct str text, struct str realm, struct str *name_out, struct str *device_out);

#endif
