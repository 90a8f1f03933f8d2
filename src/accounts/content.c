/* content.c - one reading of the account file: all of it or, when a line is malformed, nothing. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FILE_MAX_BYTES (64u * 1024 * 1024)
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

static struct verdict unreadable(void)
{
	return temp(451, S("4.3.0"), file_fault("account file: %s", strerror(errno)));
}

int account_compare(const struct account *a, const struct account *b)
{
	int order = str_cmp(a->name, b->name);

	return order ? order : str_cmp(a->device, b->device);
}

static int compare_for_sort(const void *a, const void *b)
{
	return account_compare(a, b);
}

/* The whole file into the arena; false: errno says why. */
static bool read_all(int fd, struct content *c, struct str *text_out)
{
	size_t size, n = 0;
	char *p;

	if (fstat(fd, &c->identity) < 0)
		return false;
	if (!S_ISREG(c->identity.st_mode) || c->identity.st_size > FILE_MAX_BYTES) {
		errno = S_ISREG(c->identity.st_mode) ? EFBIG : EINVAL;
		return false;
	}
	size = (size_t)c->identity.st_size;
	p = arena_alloc(&c->arena, size + 1);
	while (n < size) {
		ssize_t got = read(fd, p + n, size - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return false;
		if (got == 0)
			break; /* it shrank: what is there is what counts */
		n += (size_t)got;
	}
	*text_out = str_make(p, n);
	return true;
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

/* Sort, and look for what may be there only once. */
static bool sort_unique(struct content *c, struct verdict *why_out)
{
	qsort(c->at, c->n, sizeof(c->at[0]), compare_for_sort);
	for (size_t i = 1; i < c->n; i++) {
		if (account_compare(&c->at[i - 1], &c->at[i]) == 0) {
			*why_out = temp(451, S("4.3.0"),
					file_fault("account file: %.*s is there twice", STR_ARG(str_head(c->at[i].name, 100))));
			return false;
		}
	}
	return true;
}

struct content *content_read(const char *path, struct stat *seen_out, struct verdict *why_out)
{
	struct content *c = NEW(struct content);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct str text;
	unsigned bad_line;
	bool read_well;

	*seen_out = (struct stat){ 0 };
	if (fd < 0 && errno == ENOENT)
		return c;
	if (fd < 0) {
		*why_out = unreadable();
		content_free(c);
		return NULL;
	}
	read_well = read_all(fd, c, &text);
	if (!read_well)
		*why_out = unreadable();
	close(fd);
	if (!read_well) {
		content_free(c);
		return NULL;
	}
	*seen_out = c->identity;
	bad_line = parse_lines(c, text);
	if (bad_line)
		*why_out = temp(451, S("4.3.0"),
				file_fault("account file: line %u is not \"name device verifier time [expiry]\"", bad_line));
	if (bad_line || !sort_unique(c, why_out)) {
		content_free(c);
		return NULL;
	}
	return c;
}

void content_free(struct content *c)
{
	if (!c)
		return;
	arena_fini(&c->arena);
	free(c);
}
