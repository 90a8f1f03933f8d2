#include "identity.h"

#include "posthouse/file.h"
#include "posthouse/id.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* RFC 9562, version 4. */
static void make_uuid(char uuid_out[static 37])
{
	uint64_t a = random_u64(), b = random_u64();

	(void)snprintf(uuid_out, 37, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(a >> 32), (unsigned)(a >> 16 & 0xffff),
		       (unsigned)(a & 0xfff), (unsigned)(0x8000 | (b >> 48 & 0x3fff)), (unsigned long long)(b & 0xffffffffffff));
}

/* False: errno says why. */
static bool write_file(int dir_fd, const struct identity *i)
{
	char text[IDENTITY_BYTES_MAX];
	size_t n = identity_form(i, text);

	errno = file_put(dir_fd, "node.new", "node", 0600, str_make(text, n));
	return errno == 0;
}

static int open_directory(const char *state_dir)
{
	return open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

bool identity_read(const char *state_dir, struct identity *out)
{
	int dir_fd = open_directory(state_dir);
	int fd = dir_fd >= 0 ? openat(dir_fd, "node", O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
	bool missing = dir_fd >= 0 && fd < 0 && errno == ENOENT, good = false;
	char text[IDENTITY_BYTES_MAX];

	*out = (struct identity){ 0 };
	if (missing) {
		make_uuid(out->instance);
		good = write_file(dir_fd, out);
	} else if (fd >= 0) {
		ssize_t n = read(fd, text, sizeof text);

		good = n > 0 && identity_scan(str_make(text, (size_t)n), out);
		if (!good && n >= 0)
			errno = EINVAL;
	}
	if (fd >= 0)
		(void)close(fd); /* only read from */
	if (dir_fd >= 0)
		(void)close(dir_fd); /* a directory */
	return good;
}

bool identity_write(const char *state_dir, const struct identity *i)
{
	int dir_fd = open_directory(state_dir);
	bool good = dir_fd >= 0 && write_file(dir_fd, i);

	if (dir_fd >= 0)
		(void)close(dir_fd); /* a directory */
	return good;
}
