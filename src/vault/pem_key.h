/* pem_key.h - reads a private key. */
#ifndef POSTHOUSE_VAULT_PEM_KEY_H
#define POSTHOUSE_VAULT_PEM_KEY_H

#include "posthouse/str.h"

#include <openssl/evp.h>

/* NULL: it is none, or encrypted: there is no pass phrase, and OpenSSL must not ask a terminal for one. */
EVP_PKEY *pem_key(struct str pem);

#endif
