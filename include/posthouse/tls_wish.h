/* tls_wish.h - what a message itself asks of the TLS on its way (RFC 8689). Mail with a wish shares neither lanes nor connections
 * to mail servers of domains with other mail: its server is judged in another way. */
#ifndef POSTHOUSE_TLS_WISH_H
#define POSTHOUSE_TLS_WISH_H

#include "posthouse/smtp_server.h"

enum tls_wish {
	TLS_WISH_NONE,
	TLS_WISH_REQUIRE, /* REQUIRETLS (4.2.1): a server that is verified and offers REQUIRETLS, or no delivery */
	TLS_WISH_OPTIONAL /* "TLS-Required: No" (4.2.2): TLS where it is possible; no policy of the recipient's domain stops it */
};

/* A message with the null sender is not lost for want of REQUIRETLS (section 5), so it has no such wish. */
static inline enum tls_wish tls_wish_of(uint64_t options, struct str sender)
{
	if (options & OPTION_REQUIRETLS)
		return sender.n > 0 ? TLS_WISH_REQUIRE : TLS_WISH_NONE;
	return options & OPTION_TLS_OPTIONAL ? TLS_WISH_OPTIONAL : TLS_WISH_NONE;
}

/* For the log and for people; "" of TLS_WISH_NONE. */
static inline struct str tls_wish_word(enum tls_wish wish)
{
	static const struct str words[] = { S(""), S("REQUIRETLS"), S("TLS-Required: No") };

	return words[wish];
}

#endif
