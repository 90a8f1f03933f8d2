/* base64.c - RFC 4648 section 4. */
#include "posthouse/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_write(char *out, struct str bytes)
{
	const unsigned char *in = (const unsigned char *)bytes.p;
	size_t used = 0, i = 0;

	for (; i + 3 <= bytes.n; i += 3) {
		uint32_t v = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];
		out[used++] = digits[v >> 18];
		out[used++] = digits[v >> 12 & 63];
		out[used++] = digits[v >> 6 & 63];
		out[used++] = digits[v & 63];
	}
	if (i < bytes.n) {
		bool two = i + 2 == bytes.n;
		uint32_t v = (uint32_t)in[i] << 16 | (two ? (uint32_t)in[i + 1] << 8 : 0);
		out[used++] = digits[v >> 18];
		out[used++] = digits[v >> 12 & 63];
		out[used++] = two ? digits[v >> 6 & 63] : '=';
		out[used++] = '=';
	}
	return used;
}

struct str base64_encode(struct arena *a, struct str bytes)
{
	char *out = arena_alloc(a, bytes.n / 3 * 4 + 5);

	return str_make(out, base64_write(out, bytes));
}

bool base64_add(struct buf *b, struct str bytes)
{
	size_t n = (bytes.n + 2) / 3 * 4;
	char *to = n > 0 ? buf_reserve(b, n) : NULL;

	if (to)
		buf_claim(b, base64_write(to, bytes));
	return to || n == 0;
}

/* The value of a digit, -1 when it has none. */
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

/* Decode up to four digits (two at least) to one byte less. Bits that belong to no byte must be zero: one value has one spelling
 * (section 3.5). */
static bool decode_group(char *to, const char *in, size_t digits_n)
{
	unsigned bits = 0;

	for (size_t i = 0; i < 4; i++) {
		int v = i < digits_n ? value_of(in[i]) : 0;

		if (v < 0)
			return false;
		bits = bits << 6 | (unsigned)v;
	}
	for (size_t i = 0; i + 1 < digits_n; i++)
		to[i] = (char)(bits >> (16 - 8 * i) & 255);
	return (bits & ((1u << 8 * (4 - digits_n)) - 1)) == 0;
}

bool base64_decode_unpadded(char *to, struct str text, size_t *n_out)
{
	size_t pads = 0, n = 0;

	while (pads < 2 && pads < text.n && text.p[text.n - 1 - pads] == '=')
		pads++;
	text.n -= pads;
	if (text.n % 4 == 1 || (pads > 0 && (text.n % 4 == 0 || text.n % 4 + pads > 4)))
		return false; /* less padding than there should be is as clear; more is not */
	for (size_t i = 0; i < text.n; i += 4) {
		size_t digits_n = text.n - i < 4 ? text.n - i : 4;

		if (!decode_group(to + n, text.p + i, digits_n))
			return false;
		n += digits_n - 1;
	}
	*n_out = n;
	return true;
}

bool base64_decode(struct arena *a, struct str text, struct str *bytes_out)
{
	char *out = arena_alloc(a, text.n + 1);
	size_t n;

	if (text.n % 4 != 0 || !base64_decode_unpadded(out, text, &n))
		return false;
	*bytes_out = str_make(out, n);
	return true;
}
