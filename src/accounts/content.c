/* content.c - one reading of the account file: all of it or, when a line is malformed, nothing. */
#include "internal.h"

#include "posthouse/file.h"
#include "posthouse/units.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LINE_MIN_BYTES 100 /* no well-formed line is shorter: two keys of 44 characters, the scheme, a name */

struct str file_fault(const char *format, ...)
{
	static _Thread_local char text[256];
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return str_make(text, n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

int account_compare(const void *one, const void *other)
{
	const struct account *a = one, *b = other;
	int order = str_cmp(a->name, b->name);

	return order ? order : str_cmp(a->device, b->device);
}

/* The whole file into the arena; false: errno says why. */
static bool read_all(int fd, struct content *c, struct str *text_out)
{
	size_t size;
	ssize_t n;
	char *p;

	if (fstat(fd, &c->identity) < 0)
		return false;
	if (!S_ISREG(c->identity.st_mode) || (uint64_t)c->identity.st_size > ACCOUNTS_BYTES_MAX) {
		errno = S_ISREG(c->identity.st_mode) ? EFBIG : EINVAL;
		return false;
	}
	size = (size_t)c->identity.st_size;
	p = arena_alloc(&c->arena, size + 1);
	n = file_read_at(fd, p, size, 0);
	*text_out = str_make(p, n > 0 ? (size_t)n : 0); /* less than the size: the file has become shorter meanwhile */
	return n >= 0;
}

/* Every line into c->at; the number of the first malformed one, or 0. */
static unsigned parse_lines(struct content *c, struct str text)
{
	unsigned number = 0;
	struct str line;

	c->at = ARENA_ARRAY(&c->arena, struct account, text.n / LINE_MIN_BYTES + 1);
	while (str_split(&text, '\n', &line)) {
		number++;
		if (line.n == 0 || line.p[0] == '#')
			continue;
		if (!account_parse_line(line, &c->at[c->n]))
			return number;
		c->n++;
	}
	return 0;
}

/* Sort, and check that no account is there twice. */
static bool sort_unique(struct content *c, struct verdict *why_out)
{
	qsort(c->at, c->n, sizeof(c->at[0]), account_compare);
	for (size_t i = 1; i < c->n; i++) {
		if (account_compare(&c->at[i - 1], &c->at[i]) == 0) {
			*why_out = temp(451, S("4.3.0"),
					file_fault("account file: %.*s is there twice", STR_ARG(str_head(c->at[i].name, 100))));
			return false;
		}
	}
	return true;
}

/* ---- canonical names ---- */

/* The accounts [from, to) have the same canonical name: one of them gets it, if possible one that is written in this form. The
 * others keep their names as written, which no login finds. How many these are. */
static size_t settle_name(struct content *c, size_t from, size_t to)
{
	struct str owner = c->at[from].written;
	size_t n = 0;

	for (size_t i = from; i < to; i++)
		if (str_eq(c->at[i].written, c->at[i].name))
			owner = c->at[i].written;
	for (size_t i = from; i < to; i++) {
		if (str_eq(c->at[i].written, owner))
			continue;
		c->at[i].lost = c->at[i].name;
		c->at[i].name = c->at[i].written;
		c->shadowed = c->at[i].written;
		n++;
	}
	return n;
}

/* The file can be older than the canonical form of names: bring each name to it. */
static void make_canonical(struct content *c)
{
	size_t changed = 0, lost = 0;

	for (size_t i = 0; i < c->n; i++) {
		struct account *account = &c->at[i];

		account->name = str_is_ascii(account->written) ? account->written : login_canonical(&c->arena, account->written);
		changed += !str_eq(account->name, account->written);
	}
	if (changed == 0)
		return;
	qsort(c->at, c->n, sizeof(c->at[0]), account_compare);
	for (size_t from = 0, to; from < c->n; from = to) {
		for (to = from + 1; to < c->n && str_eq(c->at[to].name, c->at[from].name);)
			to++;
		lost += settle_name(c, from, to);
	}
	if (lost > 0)
		qsort(c->at, c->n, sizeof(c->at[0]), account_compare);
}

bool content_parse(struct content *c, struct str text, struct verdict *why_out)
{
	unsigned bad_line;

	c->is_copy = str_starts(text, account_copy_heading);
	bad_line = parse_lines(c, text);
	if (bad_line)
		*why_out =
			temp(451, S("4.3.0"),
			     file_fault("account file: line %u is not \"name device verifier time [expiry [lock]]\"", bad_line));
	if (bad_line || !sort_unique(c, why_out))
		return false;
	make_canonical(c);
	return true;
}

struct content *content_read(const char *path, struct stat *seen_out, struct verdict *why_out)
{
	struct content *c = NEW(struct content);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct str text;
	bool read_well;

	*seen_out = (struct stat){ 0 };
	if (fd < 0 && errno == ENOENT)
		return c;
	read_well = fd >= 0 && read_all(fd, c, &text);
	if (!read_well)
		*why_out = temp(451, S("4.3.0"), file_fault("account file: %s", strerror(errno)));
	if (fd >= 0)
		close(fd);
	if (read_well)
		*seen_out = c->identity;
	if (read_well && content_parse(c, text, why_out))
		return c;
	content_free(c);
	return NULL;
}

void content_free(struct content *c)
{
	if (!c)
		return;
	arena_fini(&c->arena);
	free(c);
}
