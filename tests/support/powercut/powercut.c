/* powercut.c - what a power cut would leave of a directory. The tests preload this library (LD_PRELOAD) into all processes of a relay.
 *
 * It keeps a shadow of the directory, in which is only what was made durable: fsync or fdatasync of a file copies the file's data as it
 * is then, of a directory its names as they are then; nothing else changes the shadow. So data that was not synced, and names, renames
 * and removals whose directory was not synced, are not in it, and no other call has to be watched. What other means make durable (O_SYNC,
 * sync) is not seen, which errs on the side of loss. After the cut powercut.py builds the directory anew from the shadow.
 *
 *   POWERCUT_DIR     the directory
 *   POWERCUT_SHADOW  an empty directory elsewhere; the first process copies into it what is in POWERCUT_DIR, as durable
 *   POWERCUT_AT      n: the power goes at the n-th sync of all processes, before it has taken effect
 *   POWERCUT_BREAK   a pattern: syncs of such paths (below POWERCUT_DIR; itself "") answer 0 and do nothing
 *
 * The power also goes when the file `cut` appears in the shadow. From then on nothing is recorded and no sync returns, so nobody can promise
 * anything that rests on one; the test ends the processes.
 *
 * In the shadow: `lock` (held while it is read or changed), `count` of syncs, `cut`, `ready`, `root` (the key of the directory itself),
 * data/KEY (bytes of a file), names/KEY (lines "f|d MODE KEY NAME" of a directory). A key is inode number and time of birth, since numbers
 * are used again. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 65536

int fsync(int fd);
int fdatasync(int fd);

static char top[PATH_MAX]; /* POWERCUT_DIR without links */
static const char *broken;
static unsigned long cut_at;
static int shadow_fd = -1, data_fd = -1, names_fd = -1; /* shadow_fd < 0: there is nothing to watch */

/* A test that cannot trust its instrument must not go on. */
static void fail(const char *what)
{
	(void)dprintf(2, "powercut: %s: %s\n", what, strerror(errno));
	abort();
}

/* ---- keys ---- */
struct key {
	char text[64];
	unsigned mode;
};

static struct key key_of(int fd, const char *name)
{
	struct key k;
	struct statx s;

	if (statx(fd, name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_MODE | STATX_INO | STATX_BTIME, &s) != 0)
		fail("statx");
	k.mode = s.stx_mode;
	(void)snprintf(k.text, sizeof k.text, "%llu-%lld.%u", (unsigned long long)s.stx_ino, (long long)s.stx_btime.tv_sec,
		       s.stx_btime.tv_nsec);
	return k;
}

/* ---- recording ---- */

/* Bytes of [at, at + n) that can be read. */
static size_t read_at(int fd, char *to, off_t at)
{
	size_t n = 0;
	ssize_t got = 1;

	while (n < CHUNK && got > 0) {
		got = pread(fd, to + n, CHUNK - n, at + (off_t)n);
		if (got < 0)
			fail("reading");
		n += (size_t)got;
	}
	return n;
}

/* Make the shadow's copy of an open file equal to it; what is equal is not written again. */
static void record_data(int fd)
{
	struct key k = key_of(fd, "");
	char path[64], *now = malloc(CHUNK), *before = malloc(CHUNK);
	int from, to = openat(data_fd, k.text, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	off_t at = 0;
	size_t n;

	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd); /* it may be open for writing only */
	from = open(path, O_RDONLY | O_CLOEXEC);
	if (!now || !before || from < 0 || to < 0)
		fail("copying data");
	while ((n = read_at(from, now, at)) > 0) {
		if ((read_at(to, before, at) != n || memcmp(now, before, n) != 0) && pwrite(to, now, n, at) != (ssize_t)n)
			fail("writing");
		at += (off_t)n;
	}
	if (ftruncate(to, at) != 0)
		fail("ftruncate");
	close(from);
	close(to);
	free(now);
	free(before);
}

/* Make the shadow's names equal to those of an open directory. `visit`: record what is below too. */
static void record_names(int fd, int visit)
{
	struct key k = key_of(fd, "");
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
	    list = openat(names_fd, "new", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	DIR *dir = again >= 0 ? fdopendir(again) : NULL;
	FILE *out = list >= 0 ? fdopen(list, "w") : NULL;

	if (!dir || !out)
		fail("reading names");
	for (struct dirent *e; (e = readdir(dir));) {
		struct key of;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		of = key_of(again, e->d_name);
		if (S_ISREG(of.mode) || S_ISDIR(of.mode))
			fprintf(out, "%c %o %s %s\n", S_ISDIR(of.mode) ? 'd' : 'f', of.mode & 07777, of.text, e->d_name);
	}
	if (fclose(out) != 0 || renameat(names_fd, "new", names_fd, k.text) != 0)
		fail("writing names");
	rewinddir(dir);
	for (struct dirent *e; visit && (e = readdir(dir));) {
		struct key of = key_of(again, e->d_name);
		int below;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || !(S_ISREG(of.mode) || S_ISDIR(of.mode)))
			continue;
		below = openat(again, e->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (below < 0)
			fail(e->d_name);
		if (S_ISDIR(of.mode))
			record_names(below, visit);
		else
			record_data(below);
		close(below);
	}
	closedir(dir);
}

/* ---- the shadow ---- */
static int lock_shadow(void)
{
	int fd = openat(shadow_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		fail("lock");
	while (flock(fd, LOCK_EX) != 0)
		if (errno != EINTR)
			fail("flock");
	return fd;
}

static void put_text(const char *name, const char *text)
{
	int fd = openat(shadow_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail(name);
	close(fd);
}

/* One more sync; which one is it? */
static unsigned long count(void)
{
	int fd = openat(shadow_fd, "count", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char text[32] = "";
	unsigned long n;

	if (fd < 0 || read(fd, text, sizeof text - 1) < 0)
		fail("count");
	n = strtoul(text, NULL, 10) + 1;
	(void)snprintf(text, sizeof text, "%lu", n);
	if (pwrite(fd, text, strlen(text), 0) != (ssize_t)strlen(text)) /* never empty: the test reads it at any moment */
		fail("count");
	close(fd);
	return n;
}

/* There is no power: the calling thread stays here until the test ends its process. */
static void no_power(int lock)
{
	close(lock);
	for (;;)
		pause();
}

static void begin(void) __attribute__((constructor));
static void begin(void)
{
	const char *dir = getenv("POWERCUT_DIR"), *shadow = getenv("POWERCUT_SHADOW"), *at = getenv("POWERCUT_AT");
	int lock, fd;

	broken = getenv("POWERCUT_BREAK");
	cut_at = at ? strtoul(at, NULL, 10) : 0;
	if (!dir || !shadow)
		return;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	shadow_fd = open(shadow, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!realpath(dir, top) || fd < 0 || shadow_fd < 0)
		fail(dir);
	lock = lock_shadow();
	if ((mkdirat(shadow_fd, "data", 0700) != 0 || mkdirat(shadow_fd, "names", 0700) != 0) && errno != EEXIST)
		fail(shadow);
	data_fd = openat(shadow_fd, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	names_fd = openat(shadow_fd, "names", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (faccessat(shadow_fd, "ready", F_OK, 0) != 0) {
		record_names(fd, 1);
		put_text("root", key_of(fd, "").text);
		put_text("ready", "");
	}
	close(fd);
	close(lock);
}

/* ---- the calls ---- */

/* The path of an open file below the directory ("" = itself); NULL: elsewhere. */
static const char *watched_path(int fd, char path[PATH_MAX])
{
	char link[64];
	ssize_t n;
	size_t top_n = strlen(top);

	if (shadow_fd < 0)
		return NULL;
	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, PATH_MAX - 1);
	if (n < 0)
		return NULL;
	path[n] = '\0';
	if (strncmp(path, top, top_n) != 0 || (path[top_n] != '/' && path[top_n] != '\0'))
		return NULL;
	return path + top_n + (path[top_n] == '/');
}

static int synced(int fd, const char *call)
{
	char path[PATH_MAX];
	const char *name = watched_path(fd, path);
	struct stat st;
	int lock;

	if (!name) {
		int (*next)(int);

		*(void **)&next = dlsym(RTLD_NEXT, call);
		return next(fd);
	}
	if (fstat(fd, &st) != 0)
		return -1;
	lock = lock_shadow();
	if (faccessat(shadow_fd, "cut", F_OK, 0) == 0)
		no_power(lock);
	if (count() == cut_at) {
		put_text("cut", "");
		no_power(lock);
	}
	if (broken && fnmatch(broken, name, 0) == 0) {
		close(lock);
		return 0;
	}
	if (S_ISDIR(st.st_mode))
		record_names(fd, 0);
	else
		record_data(fd);
	close(lock);
	return 0; /* the real disk does not matter here */
}

int fsync(int fd)
{
	return synced(fd, "fsync");
}

int fdatasync(int fd)
{
	return synced(fd, "fdatasync");
}
