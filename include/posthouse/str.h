/* str.h - views of bytes: a struct str never owns what it points to, and is not terminated by NUL. */
#ifndef POSTHOUSE_STR_H
#define POSTHOUSE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* An assertion guards what people have sent: it stays in every build. */
#ifdef NDEBUG
#error "Posthouse is not built with NDEBUG: its assertions are part of it (meson: -Db_ndebug=false)"
#endif

struct str {
	const char *p;
	size_t n;
};

struct str_list {
	struct str *at;
	size_t n;
};

/* A string literal as a view, and a view for printf's "%.*s". */
#define S(literal) ((struct str){ (literal), sizeof(literal) - 1 })
#define STR_ARG(s) (int)(s).n, (s).p

static inline struct str str_make(const void *p, size_t n)
{
	return (struct str){ .p = p, .n = n };
}

/* The view of a C string; NULL gives the empty view. */
static inline struct str str_of(const char *z)
{
	return z ? str_make(z, strlen(z)) : str_make("", 0);
}

/* The rest of `s` from byte `from` on (empty when past the end), and its first `n` bytes. */
static inline struct str str_from(struct str s, size_t from)
{
	return from < s.n ? str_make(s.p + from, s.n - from) : str_make(s.p ? s.p + s.n : "", 0);
}

static inline struct str str_head(struct str s, size_t n)
{
	return n < s.n ? str_make(s.p, n) : s;
}

/* Compare bytes; the `i` forms ignore ASCII case, and only that. */
bool str_eq(struct str a, struct str b);
bool str_ieq(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_istarts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_iends(struct str s, struct str suffix);
int str_cmp(struct str a, struct str b);

/* The index of the first (str_rfind: last) byte `c`, of the first `needle`; s.n when there is none. */
size_t str_find(struct str s, char c);
size_t str_rfind(struct str s, char c);
size_t str_search(struct str s, struct str needle);

/* True when no byte has the eighth bit. */
bool str_is_ascii(struct str s);

/* `s` without spaces, tabs, CR and LF at both ends. */
struct str str_trim(struct str s);

/* Take what is before the first `separator` off the front of *rest; false when *rest is exhausted.
 * An empty *rest gives nothing; "a,,b" gives "a", "", "b". */
bool str_split(struct str *rest, char separator, struct str *part_out);

/* Decimal digits only, no sign, no space; false on anything else or on overflow. */
bool str_to_u64(struct str s, uint64_t *value_out);

static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* How many single-byte changes make `a` into `b` (two exchanged neighbours are one); texts longer than 40 are far from
 * everything. */
unsigned str_distance(struct str a, struct str b);

#endif
