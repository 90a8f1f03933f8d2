/* relaxed.c - RFC 6376's relaxed canonicalisation: the body as a stream, a header field at once. */
#include "relaxed.h"
#include "text.h"

#include <assert.h>

static void hash_update(struct relaxed_body *b, const char *p, size_t n)
{
	int done = EVP_DigestUpdate(b->hash, p, n);

	assert(done == 1); /* SHA-256 of memory cannot fail */
}

/* Pass bytes on: long pieces directly, short ones together. */
static void pass_on(struct relaxed_body *b, const char *p, size_t n)
{
	if (n > sizeof b->gather - b->gathered) {
		hash_update(b, b->gather, b->gathered);
		b->gathered = 0;
	}
	if (n > sizeof b->gather) {
		hash_update(b, p, n);
		return;
	}
	memcpy(b->gather + b->gathered, p, n);
	b->gathered += n;
}

/* Pass ordinary bytes on, and before them what has waited. */
static void pass_ordinary(struct relaxed_body *b, const char *p, size_t n)
{
	for (; b->line_ends > 0; b->line_ends--)
		pass_on(b, "\r\n", 2);
	if (b->space)
		pass_on(b, " ", 1);
	b->space = false;
	b->any = true;
	pass_on(b, p, n);
}

/* 1: white space or CR, 2: always ends a run. */
static const unsigned char kinds[256] = { [' '] = 1, ['\t'] = 1 | 2, ['\r'] = 1 | 2 };

#define EACH_BYTE(c) (0x0101010101010101u * (unsigned char)(c))

/* The top bit of each byte of `word` that is `c`. */
static inline uint64_t bytes_that_are(uint64_t word, char c)
{
	word ^= EACH_BYTE(c);
	return ~(((word & EACH_BYTE(0x7f)) + EACH_BYTE(0x7f)) | word | EACH_BYTE(0x7f));
}

/* How many bytes from the front can be passed eight at a time; the loop in canonical_run() would pass them too. */
static size_t pass_words(const unsigned char *p, size_t n)
{
	size_t i = 0;

	for (uint64_t here, next; i + 9 <= n; i += 8) {
		memcpy(&here, p + i, 8);
		memcpy(&next, p + i + 1, 8);
		uint64_t space = bytes_that_are(here, ' ');
		uint64_t end = bytes_that_are(here, '\t') | bytes_that_are(here, '\r');
		if (space)
			end |= space & (bytes_that_are(next, ' ') | bytes_that_are(next, '\t') | bytes_that_are(next, '\r'));
		if (end)
			break;
	}
	return i;
}

/* The length of the longest run that is canonical as it is. It begins and ends with an ordinary byte; within it can be single
 * spaces and single line ends without white space around them. Most mail is one run, and goes into the hash without a copy. */
static size_t canonical_run(const unsigned char *p, size_t n)
{
	size_t i = 1;

	for (;;) {
		i += pass_words(p + i, n - i);
		while (i + 1 < n && ((kinds[p[i]] & 2) | (kinds[p[i]] & kinds[p[i + 1]] & 1)) == 0)
			i++;
		if (i + 1 == n && kinds[p[i]] == 0)
			return n;
		if (i + 2 < n && p[i] == '\r' && p[i + 1] == '\n' && kinds[p[i + 2]] == 0)
			i += 3;
		else
			return i;
	}
}

void relaxed_body_feed(struct relaxed_body *b, struct str bytes)
{
	for (size_t i = 0; i < bytes.n;) {
		char c = bytes.p[i];
		if (b->cr && c == '\n') {
			b->line_ends++;
			b->space = false; /* white space at a line's end is nothing */
			b->cr = false;
			i++;
			continue;
		}
		if (b->cr)
			pass_ordinary(b, "\r", 1); /* a bare CR is a byte like others */
		b->cr = c == '\r';
		if (b->cr || is_wsp(c)) {
			b->space = b->space || is_wsp(c);
			i++;
			continue;
		}
		size_t n = canonical_run((const unsigned char *)bytes.p + i, bytes.n - i);
		pass_ordinary(b, bytes.p + i, n);
		i += n;
	}
}

/* RFC 6376 3.4.4: empty lines at the end are nothing, a last line without CRLF gets one, and an empty body stays empty. */
void relaxed_body_finish(struct relaxed_body *b)
{
	if (b->cr)
		pass_ordinary(b, "\r", 1);
	if (b->any)
		pass_on(b, "\r\n", 2);
	hash_update(b, b->gather, b->gathered);
	b->gathered = 0;
}

void relaxed_field(struct buf *out, struct str name, struct str value)
{
	char *to = buf_reserve(out, name.n + 1 + value.n);
	size_t used = 0;
	bool space = false;

	assert(to); /* the bound of `out` is the caller's, and holds every field there can be */
	for (size_t i = 0; i < name.n; i++)
		to[used++] = ascii_lower(name.p[i]);
	to[used++] = ':';
	size_t start = used;
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];
		if (is_wsp(c)) {
			space = used > start;
		} else if (c != '\r' && c != '\n') {
			if (space)
				to[used++] = ' ';
			space = false;
			to[used++] = c;
		}
	}
	buf_claim(out, used);
}
