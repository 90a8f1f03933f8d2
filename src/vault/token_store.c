/* token_store.c - see token_store.h. A file has three lines: the format, the seed, the token. */
#include "token_store.h"

#include "posthouse/base64.h"
#include "posthouse/buf.h"
#include "posthouse/crash.h"
#include "posthouse/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMAT   "posthouse-token 1"
#define FILE_MAX 32768

int token_store_open(struct arena *a, struct str state_dir)
{
	const char *path = arena_cstr(a, arena_printf(a, "%.*s/tokens", STR_ARG(state_dir)));

	int fd;

	if (state_dir.n == 0)
		return -ENOENT;
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 ? fd : -errno;
}

struct str token_seed(struct arena *a, struct str client_id, struct str refresh_token)
{
	struct str text = arena_printf(a, "%.*s\n%.*s", STR_ARG(client_id), STR_ARG(refresh_token));
	unsigned char hash[SHA256_DIGEST_LENGTH];

	SHA256((const unsigned char *)text.p, text.n, hash);
	wipe((char *)(uintptr_t)text.p, text.n);
	return base64_encode(a, str_make(hash, sizeof hash));
}

static int read_file(int fd, struct buf *b)
{
	for (;;) {
		char *room = buf_reserve(b, 4096);
		ssize_t n;

		if (!room)
			return EFBIG;
		n = read(fd, room, 4096);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : 0;
		buf_claim(b, (size_t)n);
	}
}

static bool parse(struct arena *a, struct str text, struct stored_token *token_out)
{
	struct str format, seed, token;

	if (!str_split(&text, '\n', &format) || !str_eq(format, S(FORMAT)) || !str_split(&text, '\n', &seed) ||
	    !str_split(&text, '\n', &token) || token.n == 0 || text.n > 0)
		return false;
	token_out->seed = arena_str(a, seed);
	secret_set(&token_out->refresh_token, token);
	return true;
}

bool token_store_read(struct arena *a, int directory, struct str upstream, struct stored_token *token_out, struct str *why_out)
{
	int fd = openat(directory, arena_cstr(a, upstream), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool found = false;
	struct buf b;
	int error;

	*why_out = S("");
	if (fd < 0) {
		if (errno != ENOENT)
			*why_out = str_of(strerror(errno));
		return false;
	}
	buf_init(&b, FILE_MAX);
	error = read_file(fd, &b);
	close(fd);
	if (error)
		*why_out = str_of(strerror(error));
	else if (!(found = parse(a, buf_view(&b), token_out)))
		*why_out = S("the file is damaged");
	if (b.p)
		wipe(b.p, b.capacity);
	buf_fini(&b);
	return found;
}

static bool write_file(int fd, struct str seed, struct str refresh_token)
{
	return fd >= 0 && file_write(fd, S(FORMAT "\n")) && file_write(fd, seed) && file_write(fd, S("\n")) &&
	       file_write(fd, refresh_token) && file_write(fd, S("\n"));
}

/* The name of a temporary file begins and ends with characters that the name of an upstream cannot have there. */
int token_store_write(int directory, const char *upstream, struct str seed, struct str refresh_token)
{
	char temporary[NAME_MAX + 1];
	int fd, error;

	if ((size_t)snprintf(temporary, sizeof temporary, ".%s~", upstream) >= sizeof temporary)
		return ENAMETOOLONG;
	fd = file_put_begin(directory, temporary, 0600);
	error = file_put_end(directory, temporary, upstream, fd, write_file(fd, seed, refresh_token));
	crash_point("token.stored");
	return error;
}
