/* client_hello.c - checks the lengths of a client's first messages, which can come in any pieces. */
#include "client_hello.h"

enum { CONTENT_CHANGE_CIPHER = 20, CONTENT_HANDSHAKE = 22 };

/* Move bytes into a header; true when it is complete. */
static bool gather(unsigned char *header, size_t size, size_t *have, struct str *in)
{
	while (*have < size && in->n > 0) {
		header[(*have)++] = (unsigned char)in->p[0];
		*in = str_from(*in, 1);
	}
	return *have == size;
}

/* The messages of a handshake record; false: one is too large. */
static bool look_inside(struct client_hello *h, struct str part)
{
	while (part.n > 0) {
		size_t n;

		if (h->message_left == 0) {
			if (!gather(h->message, sizeof h->message, &h->message_have, &part))
				return true;
			h->message_have = 0;
			h->message_left = (size_t)h->message[1] << 16 | (size_t)h->message[2] << 8 | h->message[3];
			h->begun = true;
			if (h->message_left > CLIENT_HELLO_MAX)
				return false;
		}
		n = part.n < h->message_left ? part.n : h->message_left;
		h->message_left -= n;
		part = str_from(part, n);
	}
	return true;
}

/* RFC 8446 sections 4.1.4 and 5.1: in TLS 1.3 a second hello can follow, and encrypted messages have records of another type. In
 * TLS 1.2 the messages after the hello can be encrypted, and OpenSSL has narrower limits for them. */
bool client_hello_feed(struct client_hello *h, struct str bytes, bool tls13)
{
	if (h->begun && h->message_left == 0 && !tls13)
		h->over = true;
	while (bytes.n > 0 && !h->over) {
		struct str part = str_head(bytes, h->record_left);

		if (h->record_left == 0) {
			if (!gather(h->record, sizeof h->record, &h->record_have, &bytes))
				return true;
			h->record_have = 0;
			h->record_left = (size_t)h->record[3] << 8 | h->record[4];
			h->over = h->record[0] != CONTENT_HANDSHAKE && h->record[0] != CONTENT_CHANGE_CIPHER;
			continue;
		}
		bytes = str_from(bytes, part.n);
		h->record_left -= part.n;
		if (h->record[0] == CONTENT_HANDSHAKE && !look_inside(h, part))
			return false;
	}
	return true;
}
