/* reading.c - a file that was taken: is it what a user can send, and what does its head say? */
#include "pickup.h"

#include "posthouse/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_SHOWN 16384 /* bytes of the message that a report looks for the header in */

static struct verdict refused(struct reading *r, const char *why)
{
	return perm(554, S("5.6.0"), arena_printf(&r->arena, "the dropped file %s", why));
}

/* The file can be good: the disk or the process cannot read it now. */
static struct verdict unreadable(struct reading *r)
{
	return temp(451, S("4.3.0"), arena_printf(&r->arena, "the dropped file cannot be read now: %s", strerror(errno)));
}

/* Up to `max` bytes from `from`, in the arena. */
static struct verdict read_bytes(struct reading *r, uint64_t from, size_t max, struct str *bytes_out)
{
	char *bytes = arena_alloc(&r->arena, max);
	ssize_t n = file_read_at(r->fd, bytes, max, from);

	*bytes_out = str_make(bytes, n > 0 ? (size_t)n : 0);
	return n < 0 ? unreadable(r) : ok();
}

/* The header section with CRLF, without the blank line. */
static struct str find_header(struct reading *r, struct str rest)
{
	struct str header = S(""), line;
	struct buf b;

	buf_init(&b, 2 * HEADER_SHOWN);
	while (str_split(&rest, '\n', &line)) {
		line = line.n > 0 && line.p[line.n - 1] == '\r' ? str_head(line, line.n - 1) : line;
		if (line.n == 0)
			break;
		buf_printf(&b, "%.*s\r\n", STR_ARG(line));
	}
	header = arena_str(&r->arena, buf_view(&b));
	buf_fini(&b);
	return header;
}

struct verdict reading_open(struct reading *r, const char *path, uint64_t uid, uint64_t size_max)
{
	size_t length = 0;
	struct str bytes;
	struct verdict v;
	struct stat st;

	r->fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (r->fd < 0 && errno == ENOENT)
		return temp(0, S(""), S("it is not there any more"));
	if (r->fd < 0 && errno == EACCES)
		return refused(r, "cannot be read by the relay's user");
	if (r->fd < 0 && errno != ELOOP && errno != ENXIO && errno != ENODEV)
		return unreadable(r);
	if (r->fd >= 0 && fstat(r->fd, &st) != 0)
		return unreadable(r);
	if (r->fd < 0 || !S_ISREG(st.st_mode) || st.st_uid != uid || st.st_nlink != 1)
		return refused(r, "is not a regular file with one name");
	if (!(st.st_mode & S_IXUSR)) /* somebody else could have moved it here */
		return refused(r, "does not have the mark that its owner sends it (its mode has to be 0744)");
	if ((uint64_t)st.st_size > size_max + DROP_HEAD_MAX)
		return perm(552, S("5.3.4"), S("the message is larger than limits.message_size"));
	v = read_bytes(r, 0, (uint64_t)st.st_size < DROP_HEAD_MAX ? (size_t)st.st_size + 1 : DROP_HEAD_MAX, &bytes);
	if (v.class == OK)
		v = drop_head_read(&r->arena, bytes, &r->message, &length);
	r->text_at = length;
	if (v.class == OK)
		v = read_bytes(r, r->text_at, HEADER_SHOWN, &bytes);
	if (v.class != OK)
		return v;
	r->header = find_header(r, bytes);
	return ok();
}

void reading_close(struct reading *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	arena_fini(&r->arena);
}
