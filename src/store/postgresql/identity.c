#include "identity.h"

#include "posthouse/file.h"
#include "posthouse/id.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX 128

static bool is_uuid(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash != (s[i] == '-') || (!dash && !strchr("0123456789abcdef", s[i])))
			return false;
	}
	return n == 36;
}

/* RFC 9562, version 4. */
static void make_uuid(char uuid_out[static 37])
{
	uint64_t a = random_u64(), b = random_u64();

	(void)snprintf(uuid_out, 37, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(a >> 32), (unsigned)(a >> 16 & 0xffff),
		       (unsigned)(a & 0xfff), (unsigned)(0x8000 | (b >> 48 & 0x3fff)), (unsigned long long)(b & 0xffffffffffff));
}

/* A line with the UUID, and one with generation, history and epoch, which a node of before has not. */
static int format(const struct identity *i, char text[FILE_MAX])
{
	if (i->generation == 0)
		return snprintf(text, FILE_MAX, "%s\n", i->instance);
	return snprintf(text, FILE_MAX, "%s\n%" PRIu64 " %s %" PRIu64 "\n", i->instance, i->generation,
			i->history[0] ? i->history : "-", i->epoch);
}

static bool scan(const char *text, size_t n, struct identity *out)
{
	if (n < 37 || text[36] != '\n' || !is_uuid(text, 36))
		return false;
	(void)snprintf(out->instance, sizeof out->instance, "%.36s", text);
	if (n == 37)
		return true;
	if (sscanf(text + 37, "%" SCNu64 " %16s %" SCNu64, &out->generation, out->history, &out->epoch) != 3)
		return false;
	if (strcmp(out->history, "-") == 0)
		out->history[0] = '\0';
	return true;
}

/* False: errno says why. */
static bool write_file(int dir_fd, const struct identity *i)
{
	char text[FILE_MAX];
	int n = format(i, text);

	errno = file_put(dir_fd, "node.new", "node", 0600, str_make(text, (size_t)n));
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
	char text[FILE_MAX];

	*out = (struct identity){ 0 };
	if (missing) {
		make_uuid(out->instance);
		good = write_file(dir_fd, out);
	} else if (fd >= 0) {
		ssize_t n = read(fd, text, sizeof text - 1);

		text[n > 0 ? n : 0] = '\0';
		good = n > 0 && scan(text, (size_t)n, out);
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
