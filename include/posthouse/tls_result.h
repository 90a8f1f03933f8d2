/* tls_result.h - how TLS went on a connection to a next hop: one list of words, for log, transcripts and reports. Those of
 * failures are the result types of TLS reporting (RFC 8460 4.3). */
#ifndef POSTHOUSE_TLS_RESULT_H
#define POSTHOUSE_TLS_RESULT_H

#include "posthouse/str.h"

#define TLS_RESULTS(X)                                                                                                           \
	X(NONE, "none") /* not tried */                                                                                          \
	X(SUCCESSFUL, "successful")                                                                                              \
	/* negotiation: RFC 8460 4.3.1 */                                                                                        \
	X(STARTTLS_NOT_SUPPORTED, "starttls-not-supported")                                                                      \
	X(CERTIFICATE_HOST_MISMATCH, "certificate-host-mismatch")                                                                \
	X(CERTIFICATE_EXPIRED, "certificate-expired")                                                                            \
	X(CERTIFICATE_NOT_TRUSTED, "certificate-not-trusted")                                                                    \
	X(VALIDATION_FAILURE, "validation-failure") /* any other reason */                                                       \
	/* policies of DANE and MTA-STS: RFC 8460 4.3.2 */                                                                       \
	X(TLSA_INVALID, "tlsa-invalid")                                                                                          \
	X(DNSSEC_INVALID, "dnssec-invalid")                                                                                      \
	X(DANE_REQUIRED, "dane-required")                                                                                        \
	X(STS_POLICY_FETCH_ERROR, "sts-policy-fetch-error")                                                                      \
	X(STS_POLICY_INVALID, "sts-policy-invalid")                                                                              \
	X(STS_WEBPKI_INVALID, "sts-webpki-invalid")

enum tls_result {
#define X(id, word) TLS_RESULT_##id,
	TLS_RESULTS(X)
#undef X
};

const char *tls_result_word(enum tls_result r);
bool tls_result_failed(enum tls_result r);      /* it was tried, or demanded, and there is none */
struct str tls_result_shown(enum tls_result r); /* the word of a failure; "" of others */

#endif
