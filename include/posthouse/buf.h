/* buf.h - a byte buffer that owns its memory and grows up to a bound given at the start. */
#ifndef POSTHOUSE_BUF_H
#define POSTHOUSE_BUF_H

#include "posthouse/str.h"

#include <stdarg.h>

struct buf {
	char *p;         /* start of the allocation */
	size_t from;     /* first byte in use: what is before it was consumed */
	size_t n;        /* bytes in use */
	size_t capacity; /* bytes allocated */
	size_t max;      /* bytes in use never exceed this */
};

/* An empty buffer without memory; `max` bytes is the most it will hold. */
void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);

/* Append; false, and nothing appended, when `max` would be passed. */
bool buf_add(struct buf *b, struct str s);
bool buf_add_char(struct buf *b, char c);
/* A character as JSON escapes it (RFC 8259 7): \" \\ \n \r \t, any other as \uXXXX, beyond U+FFFF as the pair that JSON has. */
bool buf_add_escape(struct buf *b, uint32_t c);
bool buf_add_number(struct buf *b, uint64_t n); /* in decimal digits */
bool buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool buf_vprintf(struct buf *b, const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));

/* Room for at least `n` more bytes, to be filled by the caller and then claimed with buf_claim();
 * NULL when `max` would be passed. */
char *buf_reserve(struct buf *b, size_t n);
void buf_claim(struct buf *b, size_t n);

/* Drop `n` bytes from the front; drop all (buf_clear keeps the memory, buf_release gives it back). */
void buf_consume(struct buf *b, size_t n);
void buf_clear(struct buf *b);
void buf_release(struct buf *b);

/* What the buffer holds; valid until it is next changed. */
static inline struct str buf_view(const struct buf *b)
{
	return str_make(b->p ? b->p + b->from : "", b->n);
}

#endif
