/* base64.c - RFC 4648 section 4, with padding. */
#include "base64.h"
#include "posthouse/mail.h"

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

/* The value of a digit; 64 and more for anything else. */
static uint32_t digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (uint32_t)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (uint32_t)(c - 'a' + 26);
	if (c >= '0' && c <= '9')
		return (uint32_t)(c - '0' + 52);
	if (c == '+')
		return 62;
	return c == '/' ? 63 : 64;
}

/* Decode four characters of which the last `padding` were "="; false for a foreign character or for bits that belong to no byte. */
static bool decode_group(const char *in, unsigned padding, unsigned char *out)
{
	uint32_t v = 0, all = 0;

	for (unsigned i = 0; i < 4; i++) {
		uint32_t d = i < 4 - padding ? digit_value(in[i]) : 0;
		all |= d;
		v = v << 6 | (d & 63);
	}
	if (all >= 64 || (v & ((1u << 8 * padding) - 1)) != 0)
		return false;
	for (unsigned i = 0; i < 3 - padding; i++)
		out[i] = (unsigned char)(v >> (16 - 8 * i));
	return true;
}

bool base64_decode(struct arena *a, struct str text, struct str *bytes_out)
{
	unsigned padding = 0;

	if (text.n % 4 != 0)
		return false;
	if (text.n > 0 && text.p[text.n - 1] == '=')
		padding = text.p[text.n - 2] == '=' ? 2 : 1;
	unsigned char *out = arena_alloc(a, text.n / 4 * 3 + 1);
	for (size_t i = 0; i < text.n; i += 4) {
		if (!decode_group(text.p + i, i + 4 == text.n ? padding : 0, out + i / 4 * 3))
			return false;
	}
	*bytes_out = str_make(out, text.n / 4 * 3 - padding);
	return true;
}
