/* self_signed.h - a certificate without an authority, for relays that have no other. */
#ifndef POSTHOUSE_CLI_SELF_SIGNED_H
#define POSTHOUSE_CLI_SELF_SIGNED_H

#include "posthouse/str.h"

#include <openssl/types.h>
#include <stdbool.h>

#define CERTIFICATE_DAYS 825

/* For the host, and for tests from the machine itself. NULL: OpenSSL could not make it. */
X509 *self_signed(struct str hostname, EVP_PKEY *key);

/* Was it made by self_signed()? Subject and issuer say so, and it is signed with its own key. */
bool self_signed_here(X509 *certificate);

#endif
