/* client_hello.h - how large a client's hello is allowed to be. OpenSSL allocates the length that the header announces, up to
 * 128 KiB, before the hello has come: a thousand connections of nine bytes each would cost 128 MB. So its header is read here
 * first. */
#ifndef POSTHOUSE_NET_CLIENT_HELLO_H
#define POSTHOUSE_NET_CLIENT_HELLO_H

#include "posthouse/str.h"

/* Hellos with post-quantum keys and a ticket have 4 KiB; this much OpenSSL holds in every handshake. */
#define CLIENT_HELLO_MAX 16384

/* The position in the client's bytes; begins as { 0 }. */
struct client_hello {
	unsigned char record[5], message[4]; /* headers, as far as they were received */
	size_t record_have, message_have;
	size_t record_left, message_left;
	bool begun; /* the header of a message was read */
	bool over;  /* the rest is not checked */
};

/* Check the client's next bytes, at most to the end of a record. `tls13`: this version was chosen; false while none is. False:
 * the client announces a hello that is too large. */
bool client_hello_feed(struct client_hello *h, struct str bytes, bool tls13);

#endif
