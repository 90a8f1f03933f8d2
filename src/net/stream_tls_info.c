/* stream_tls_info.c - facts about TLS on a stream: version and cipher for the log, and channel bindings for logins. */
#include "stream.h"
#include "tls.h"

#include <openssl/err.h>
#include <openssl/x509.h>

static enum tls_result result_of(const struct stream_tls *tls)
{
	long verified = SSL_get_verify_result(tls->ssl);

	if (tls->done)
		return TLS_RESULT_SUCCESSFUL;
	if (!(SSL_get_verify_mode(tls->ssl) & SSL_VERIFY_PEER) || verified == X509_V_OK)
		return TLS_RESULT_VALIDATION_FAILURE;
	return tls_demand_result(verified, tls->demand);
}

void stream_tls_info(const struct stream *st, struct stream_tls_info *info_out)
{
	*info_out = (struct stream_tls_info){ .version = "", .cipher = "" };
	if (!st->tls)
		return;
	info_out->result = result_of(st->tls);
	info_out->offered = st->tls->resumption && st->tls->resumption->offered;
	if (!st->tls->done)
		return;
	info_out->on = true;
	info_out->judged = SSL_get_verify_result(st->tls->ssl) == X509_V_OK
				   ? TLS_RESULT_SUCCESSFUL
				   : tls_demand_result(SSL_get_verify_result(st->tls->ssl), TLS_DEMAND_NAMES);
	info_out->resumed = SSL_session_reused(st->tls->ssl) == 1;
	info_out->version = SSL_get_version(st->tls->ssl);
	info_out->cipher = SSL_get_cipher_name(st->tls->ssl);
	info_out->bits = (unsigned)SSL_get_cipher_bits(st->tls->ssl, NULL);
}

bool stream_tls_fingerprints(const struct stream *st, struct tls_fingerprints *fingerprints_out)
{
	X509 *shown = st->tls ? SSL_get0_peer_certificate(st->tls->ssl) : NULL;

	if (!shown && st->tls)
		shown = st->tls->refused;
	return shown && tls_fingerprints_of(shown, fingerprints_out);
}

void stream_secrets_over(struct stream *st)
{
	if (st->tls)
		SSL_clear_options(st->tls->ssl, SSL_OP_CLEANSE_PLAINTEXT);
}

/* RFC 9266 section 2: 32 bytes under this label. Only for TLS 1.3: section 4.2 also allows TLS 1.2 with the extended master
 * secret, but clients that have only 1.2 use the other binding. */
static bool exporter(SSL *ssl, char bytes_out[64], size_t *n_out)
{
	static const char label[] = "EXPORTER-Channel-Binding";

	if (SSL_version(ssl) != TLS1_3_VERSION)
		return false;
	*n_out = 32;
	return SSL_export_keying_material(ssl, (unsigned char *)bytes_out, *n_out, label, sizeof label - 1,
					  (const unsigned char *)"", 0, 1) == 1;
}

/* The server's certificate as it was sent. A resumed session does not say which, where there are several for the name: NULL
 * then. */
static X509 *server_certificate(SSL *ssl)
{
	const struct tls_set *set = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	if (!SSL_is_server(ssl))
		return SSL_get0_peer_certificate(ssl);
	return set->n > 1 && SSL_session_reused(ssl) ? NULL : SSL_get_certificate(ssl);
}

/* RFC 5929 section 4.1: the certificate under the hash of its own signature, SHA-256 for the old ones; a signature without a
 * hash of its own (Ed25519) has no such binding. */
static bool end_point(SSL *ssl, char bytes_out[64], size_t *n_out)
{
	X509 *x = server_certificate(ssl);
	const EVP_MD *md;
	unsigned n;
	int nid;

	if (!x || X509_get_signature_info(x, &nid, NULL, NULL, NULL) != 1 || nid == NID_undef)
		return false;
	md = nid == NID_md5 || nid == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(nid);
	if (!md || EVP_MD_get_size(md) > 64 || X509_digest(x, md, (unsigned char *)bytes_out, &n) != 1)
		return false;
	*n_out = n;
	return true;
}

bool stream_tls_binding(struct stream *st, enum tls_binding kind, char bytes_out[64], size_t *n_out)
{
	bool has;

	*n_out = 0;
	if (!st->tls || !st->tls->done)
		return false;
	has = kind == BINDING_EXPORTER ? exporter(st->tls->ssl, bytes_out, n_out) : end_point(st->tls->ssl, bytes_out, n_out);
	ERR_clear_error();
	return has;
}
