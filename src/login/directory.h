/* directory.h - the accounts as the login role sees them: refreshed on the loop, looked up from any thread, and with an answer
 * for names that do not exist. */
#ifndef POSTHOUSE_LOGIN_DIRECTORY_H
#define POSTHOUSE_LOGIN_DIRECTORY_H

#include "posthouse/accounts.h"

struct directory;

/* Never fails: an account file that cannot be read is tried again at each refresh. */
struct directory *directory_new(const char *state_dir);
void directory_free(struct directory *d);

const char *directory_state_dir(const struct directory *d);

/* Loop only. From now on the verifiers of names that do not exist are made with this key, as on other nodes; "": with our own. */
void directory_share_key(struct directory *d, struct str key);

/* Loop only. Read the file again if it has changed. TEMP: the file cannot be used; a new fault is logged. Then the accounts from
 * before stay in use, but not when the file is missing: the state directory can be unmounted. */
struct verdict directory_refresh(struct directory *d);

/* A number that changes whenever the accounts can have changed. */
uint64_t directory_generation(const struct directory *d);

/* Loop only, valid until the next refresh. NULL: the file could never be read, or is missing. */
const struct accounts *directory_accounts(const struct directory *d);

/* Loop only. Why does this password fit no more? PASSWORD_GOOD also for names that do not exist. */
enum password_end { PASSWORD_GOOD, PASSWORD_EXPIRED, PASSWORD_LOCKED };
enum password_end directory_end(const struct directory *d, struct str name, struct str device);

/* Loop only. A number that identifies the verifier of the password, also after a restart; 0: no such password, or it is
 * locked or has expired. */
uint64_t directory_stamp(const struct directory *d, struct str name, struct str device);

/* Loop only. Is there an account of this name, with all its passwords locked? */
bool directory_is_locked(const struct directory *d, struct str name);

/* Loop only. When the next password expires, ms UTC; 0: none will. */
uint64_t directory_next_expiry(const struct directory *d);

/* Any thread. The verifier of a login. For a name that does not exist and a password that is locked or has expired: a
 * verifier that no password matches, so that the caller cannot tell these cases apart. TEMP 454 4.7.0: there are no
 * accounts. */
struct verdict directory_verifier(struct directory *d, struct arena *a, struct str name, struct str device,
				  struct str *verifier_out);

/* Any thread. A verifier that no password matches, always the same for a name. "": OpenSSL has failed. */
struct str directory_decoy(struct directory *d, struct arena *a, struct str name);

#endif
