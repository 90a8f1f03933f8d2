/* client_text.c - see client_text.h. */
#include "client_text.h"

#define SPACES  64
#define CONTEXT "TLS 1.3, client CertificateVerify" /* with the zero at its end */

/* RFC 8446 4.4.3: spaces, the context, a zero, and the hash of the handshake, SHA-256 or SHA-384. */
static bool is_tls_1_3(struct str text)
{
	struct str context = str_make(CONTEXT, sizeof CONTEXT), hash = str_from(text, SPACES + sizeof CONTEXT);

	for (size_t i = 0; i < SPACES; i++)
		if (i >= text.n || text.p[i] != ' ')
			return false;
	return str_starts(str_from(text, SPACES), context) && (hash.n == 32 || hash.n == 48);
}

/* The messages of a handshake up to ClientKeyExchange (RFC 5246 7.4), in their order. */
enum { MUST, CAN };
static const struct {
	unsigned char type, need;
} messages[] = {
	{ 1, MUST },  /* ClientHello */
	{ 2, MUST },  /* ServerHello */
	{ 11, MUST }, /* Certificate of the server */
	{ 22, CAN },  /* CertificateStatus (RFC 6066 8) */
	{ 12, CAN },  /* ServerKeyExchange */
	{ 13, MUST }, /* CertificateRequest */
	{ 14, MUST }, /* ServerHelloDone */
	{ 11, MUST }, /* Certificate, ours */
	{ 16, MUST }, /* ClientKeyExchange */
};

/* Take a message of this type from the front. */
static bool take_message(struct str *text, unsigned char type)
{
	const unsigned char *p = (const unsigned char *)text->p;
	size_t n;

	if (text->n < 4 || p[0] != type)
		return false;
	n = (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	if (n > text->n - 4)
		return false;
	*text = str_from(*text, 4 + n);
	return true;
}

static bool is_tls_1_2(struct str text)
{
	for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++)
		if (!take_message(&text, messages[i].type) && messages[i].need == MUST)
			return false;
	return text.n == 0;
}

bool client_text_fits(struct str text)
{
	return is_tls_1_3(text) || is_tls_1_2(text);
}
