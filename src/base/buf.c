/* buf.c - a byte buffer that grows up to a bound. */
#include "posthouse/buf.h"
#include "posthouse/arena.h"

#include <stdio.h>
#include <stdlib.h>

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .max = max };
}

void buf_fini(struct buf *b)
{
	buf_release(b);
}

char *buf_reserve(struct buf *b, size_t n)
{
	size_t capacity = b->capacity ? b->capacity : 256;

	if (n > b->max || b->n > b->max - n)
		return NULL;
	if (b->p && b->from + b->n + n <= b->capacity)
		return b->p + b->from + b->n;
	if (b->from && b->n + n <= b->capacity && b->from >= b->capacity / 2) {
		memmove(b->p, b->p + b->from, b->n);
		b->from = 0;
		return b->p + b->n;
	}
	while (capacity < b->n + n)
		capacity *= 2;
	if (capacity > b->max)
		capacity = b->max;
	if (b->from) {
		memmove(b->p, b->p + b->from, b->n);
		b->from = 0;
	}
	if (capacity > b->capacity) {
		b->p = xrealloc(b->p, capacity);
		b->capacity = capacity;
	}
	return b->p + b->n;
}

void buf_claim(struct buf *b, size_t n)
{
	b->n += n;
}

bool buf_add(struct buf *b, struct str s)
{
	char *to;

	if (s.n == 0)
		return true;
	to = buf_reserve(b, s.n);
	if (!to)
		return false;
	memcpy(to, s.p, s.n);
	b->n += s.n;
	return true;
}

bool buf_add_char(struct buf *b, char c)
{
	return buf_add(b, str_make(&c, 1));
}

bool buf_add_number(struct buf *b, uint64_t n)
{
	char digits[20];
	size_t first = sizeof digits;

	do
		digits[--first] = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	return buf_add(b, str_make(digits + first, sizeof digits - first));
}

bool buf_add_escape(struct buf *b, uint32_t c)
{
	switch (c) {
	case '"': return buf_add(b, S("\\\""));
	case '\\': return buf_add(b, S("\\\\"));
	case '\n': return buf_add(b, S("\\n"));
	case '\r': return buf_add(b, S("\\r"));
	case '\t': return buf_add(b, S("\\t"));
	default: break;
	}
	if (c > 0xffff)
		return buf_printf(b, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + (c & 0x3ff));
	return buf_printf(b, "\\u%04x", c);
}

bool buf_vprintf(struct buf *b, const char *format, va_list arguments)
{
	size_t room = b->p ? b->capacity - b->from - b->n : 0;
	va_list again;
	bool bounded;
	char *to;
	int n;

	va_copy(again, arguments);
	n = vsnprintf(room ? b->p + b->from + b->n : NULL, room, format, again);
	va_end(again);
	if (n < 0)
		abort();
	if ((size_t)n < room && (size_t)n <= b->max - b->n) { /* mostly there is room already */
		b->n += (size_t)n;
		return true;
	}
	/* vsnprintf wants a byte for its NUL, which the bound does not count */
	bounded = b->max < SIZE_MAX;
	b->max += bounded;
	to = buf_reserve(b, (size_t)n + 1);
	b->max -= bounded;
	if (!to)
		return false;
	vsnprintf(to, (size_t)n + 1, format, arguments);
	b->n += (size_t)n;
	return true;
}

bool buf_printf(struct buf *b, const char *format, ...)
{
	va_list arguments;
	bool fits;

	va_start(arguments, format);
	fits = buf_vprintf(b, format, arguments);
	va_end(arguments);
	return fits;
}

void buf_consume(struct buf *b, size_t n)
{
	if (n > b->n)
		abort();
	b->from += n;
	b->n -= n;
	if (b->n == 0)
		b->from = 0;
}

void buf_clear(struct buf *b)
{
	b->from = b->n = 0;
}

void buf_release(struct buf *b)
{
	free(b->p);
	b->p = NULL;
	b->from = b->n = b->capacity = 0;
}
