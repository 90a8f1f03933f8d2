/* token_store.c - see token_store.h. A file has three lines: the format, the seed, the token. */
#include "token_store.h"

#include "posthouse/base64.h"
#include "posthouse/crash.h"
#include "posthouse/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
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
	char *bytes;
	ssize_t n;

	*why_out = S("");
	if (fd < 0) {
		if (errno != ENOENT)
			*why_out = str_of(strerror(errno));
		return false;
	}
	bytes = xmalloc(FILE_MAX);
	n = file_read_at(fd, bytes, FILE_MAX, 0);
	if (n < 0 || n == FILE_MAX)
		*why_out = str_of(strerror(n < 0 ? errno : EFBIG));
	else if (!(found = parse(a, str_make(bytes, (size_t)n), token_out)))
		*why_out = S("the file is damaged");
	close(fd);
	wipe(bytes, FILE_MAX);
	free(bytes);
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
