/* base64.c - base 64 for SASL over SMTP. The codec of mail/ is not used here: smtp/ depends on base/ alone. */
#include "base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool smtp_base64_add(struct buf *b, struct str bytes)
{
	const unsigned char *p = (const unsigned char *)bytes.p;
	size_t n = (bytes.n + 2) / 3 * 4;
	char *to;

	if (n == 0)
		return true;
	to = buf_reserve(b, n);
	if (to == NULL)
		return false;
	for (size_t i = 0; i < bytes.n; i += 3) {
		unsigned second = i + 1 < bytes.n ? p[i + 1] : 0;
		unsigned third = i + 2 < bytes.n ? p[i + 2] : 0;
		unsigned bits = (unsigned)p[i] << 16 | second << 8 | third;

		*to++ = alphabet[bits >> 18];
		*to++ = alphabet[bits >> 12 & 63];
		*to++ = i + 1 < bytes.n ? alphabet[bits >> 6 & 63] : '=';
		*to++ = i + 2 < bytes.n ? alphabet[bits & 63] : '=';
	}
	buf_claim(b, n);
	return true;
}

/* The value of a character, -1 when it has none. */
static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool smtp_base64_decode(char *to, struct str text, size_t *n_out)
{
	size_t pads = 0, n = 0;

	while (pads < 2 && pads < text.n && text.p[text.n - 1 - pads] == '=')
		pads++;
	text.n -= pads;
	if (text.n % 4 == 1 || (pads > 0 && text.n % 4 + pads > 4) || (pads > 0 && text.n % 4 == 0))
		return false; /* of padding, less than there should be is as clear; more is not */
	for (size_t i = 0; i < text.n; i += 4) {
		unsigned bits = 0;
		size_t data = text.n - i < 4 ? text.n - i : 4;

		for (size_t k = 0; k < 4; k++) {
			int v = k < data ? value_of(text.p[i + k]) : 0;

			if (v < 0)
				return false;
			bits = bits << 6 | (unsigned)v;
		}
		/* Bits that padding makes meaningless must be zero: one value, one spelling (RFC 4648 section 3.5). */
		if ((data == 2 && (bits & 0xffff) != 0) || (data == 3 && (bits & 0xff) != 0))
			return false;
		to[n++] = (char)(bits >> 16);
		if (data > 2)
			to[n++] = (char)(bits >> 8 & 255);
		if (data > 3)
			to[n++] = (char)(bits & 255);
	}
	*n_out = n;
	return true;
}
