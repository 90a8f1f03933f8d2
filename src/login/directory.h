/* directory.h - the accounts as the login role sees them: refreshed on the loop, looked up from any thread, and with an answer for
 * names that do not exist. */
#ifndef POSTHOUSE_LOGIN_DIRECTORY_H
#define POSTHOUSE_LOGIN_DIRECTORY_H

#include "posthouse/accounts.h"

struct directory;

/* Always works: an account file that cannot be read is tried again at every refresh. */
struct directory *directory_new(const char *state_dir);
void directory_free(struct directory *d);

/* Loop only. Look at the file again. TEMP: it cannot be used as it is now; logged when that is new. The accounts known before, if
 * any, go on being used, but not when there is no file: the state directory may not be mounted. */
struct verdict directory_refresh(struct directory *d);

/* Changes whenever the accounts may have changed. */
uint64_t directory_generation(const struct directory *d);

/* Loop only, valid until the next refresh; NULL: never readable so far, or there is no file. */
const struct accounts *directory_accounts(const struct directory *d);

/* Loop only. Is it a password whose time is over? Names that do not exist have none. */
bool directory_expired(const struct directory *d, struct str name, struct str device);

/* Loop only. A number that stands for the password's verifier, over restarts too; 0: there is no such password, or its time is over. */
uint64_t directory_stamp(const struct directory *d, struct str name, struct str device);

/* Loop only. When the time of the next password is over, ms; 0: none has one that is not over. */
uint64_t directory_next_expiry(const struct directory *d);

/* Any thread. The verifier of a login, or one that no password fits, for names that do not exist and passwords that have expired: the
 * caller cannot tell which. TEMP 454 4.7.0: no accounts. */
struct verdict directory_verifier(struct directory *d, struct arena *a, struct str name, struct str device,
				  struct str *verifier_out);

/* Any thread. A verifier that no password fits, the same for the same name; "": OpenSSL failed. */
struct str directory_decoy(const struct directory *d, struct arena *a, struct str name);

#endif
