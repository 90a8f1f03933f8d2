/* failure.c - the sentence for an administrator when a request has no answer. */
#include "transfer.h"

#include <openssl/x509_vfy.h>
#include <string.h>

/* `result` is OpenSSL's. A chain that is good has no result when libcurl compares the name. */
static struct str of_certificate(const char *host, long result, struct arena *a)
{
	switch (result) {
	case X509_V_OK:
	case X509_V_ERR_UNSPECIFIED:
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH: return arena_printf(a, "the certificate of %s is for another name", host);
	case X509_V_ERR_CERT_HAS_EXPIRED: return arena_printf(a, "the certificate of %s has expired", host);
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return arena_printf(a, "the certificate of %s is not valid yet: check the clock of this machine", host);
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		return arena_printf(a, "the certificate of %s is from no authority that https.ca or this machine knows", host);
	default: return arena_printf(a, "the certificate of %s is not accepted: %s", host, X509_verify_cert_error_string(result));
	}
}

/* OpenSSL's reason alone: "error:0A00010B:SSL routines::wrong version number". */
static const char *of_handshake(const char *words)
{
	const char *reason = strstr(words, "::");

	if (strstr(words, "SSL_ERROR_SYSCALL"))
		return "the connection was closed";
	return reason ? reason + 2 : words;
}

static long number(struct transfer *t, CURLINFO what)
{
	long value = 0;

	curl_easy_getinfo(t->easy, what, &value);
	return value;
}

static struct str of_time(struct transfer *t, struct arena *a)
{
	curl_off_t connected = 0;

	curl_easy_getinfo(t->easy, CURLINFO_APPCONNECT_TIME_T, &connected);
	return arena_printf(a, connected > 0 ? "%s has not answered in time" : "no connection to %s: timed out", t->host);
}

struct str transfer_failure(struct transfer *t, CURLcode code, struct arena *a)
{
	int error = (int)number(t, CURLINFO_OS_ERRNO);
	const char *words = t->error[0] ? t->error : curl_easy_strerror(code);

	if (t->too_large)
		return arena_printf(a, "the answer of %s is too large", t->host);
	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION: return of_certificate(t->host, number(t, CURLINFO_SSL_VERIFYRESULT), a);
	case CURLE_OPERATION_TIMEDOUT: return of_time(t, a);
	case CURLE_COULDNT_CONNECT: return arena_printf(a, "no connection to %s: %s", t->host, error ? strerror(error) : words);
	case CURLE_SSL_CONNECT_ERROR: return arena_printf(a, "no TLS with %s: %s", t->host, of_handshake(words));
	case CURLE_SSL_CACERT_BADFILE: return arena_printf(a, "the CA certificates cannot be read: %s", words);
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_PARTIAL_FILE: return arena_printf(a, "%s has closed the connection before its answer was complete", t->host);
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL: return arena_printf(a, "what %s has sent is no answer of HTTP", t->host);
	default: return arena_printf(a, "the request to %s has failed: %s", t->host, words);
	}
}
