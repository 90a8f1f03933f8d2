/* client_text.h - what a TLS client signs with the key of its certificate. */
#ifndef POSTHOUSE_VAULT_CLIENT_TEXT_H
#define POSTHOUSE_VAULT_CLIENT_TEXT_H

#include "posthouse/str.h"

/* Is it what a CertificateVerify of a client signs, in TLS 1.3 (RFC 8446 4.4.3) or in TLS 1.2 (RFC 5246 7.4.8)? No signature over
 * such a text is one over anything else: not a server's, not of a document. */
bool client_text_fits(struct str text);

#endif
