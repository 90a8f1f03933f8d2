/* test_file.c - what is written is whole: the calls below stand in for those of the C library, and each can fail. */
#include "unit.h"

#include "posthouse/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* The calls for a file: make, write, sync, close, rename; open and sync the directory. */
enum { STEP_RENAME = 5, STEP_LAST = 7 };

/* ---- the system ---- */

/* The call of this number, from 1, has no room; 0: all have. */
static unsigned failing, calls;

static bool fails(void)
{
	errno = ENOSPC;
	return failing > 0 && ++calls == failing;
}

#define END        (-100000)
#define STEPS(...) ((const ssize_t[]){ __VA_ARGS__, END })

/* What the next calls do: at most so many bytes, or minus an errno; the last one goes on. NULL: as the system does. */
static const ssize_t *steps;
static unsigned writes;

ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);

ssize_t __wrap_write(int fd, const void *p, size_t n)
{
	ssize_t step = steps ? *steps : (ssize_t)n;

	if (!steps)
		return fails() ? -1 : __real_write(fd, p, n);
	writes++;
	steps += steps[1] != END;
	if (step >= 0)
		return __real_write(fd, p, n < (size_t)step ? n : (size_t)step);
	errno = (int)-step;
	return -1;
}

ssize_t __real_pread64(int fd, void *p, size_t n, off_t at);
ssize_t __wrap_pread64(int fd, void *p, size_t n, off_t at);

ssize_t __wrap_pread64(int fd, void *p, size_t n, off_t at)
{
	ssize_t step = steps ? *steps : (ssize_t)n;

	if (steps)
		steps += steps[1] != END;
	if (step >= 0)
		return __real_pread64(fd, p, n < (size_t)step ? n : (size_t)step, at);
	errno = (int)-step;
	return -1;
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_close(int fd);
int __wrap_close(int fd);
int __real_renameat(int from, const char *old, int to, const char *new);
int __wrap_renameat(int from, const char *old, int to, const char *new);
int __real_openat64(int directory, const char *name, int flags, mode_t mode);
int __wrap_openat64(int directory, const char *name, int flags, mode_t mode);

int __wrap_fsync(int fd)
{
	return fails() ? -1 : __real_fsync(fd);
}

int __wrap_close(int fd)
{
	return __real_close(fd) != 0 || fails() ? -1 : 0;
}

int __wrap_renameat(int from, const char *old, int to, const char *new)
{
	return fails() ? -1 : __real_renameat(from, old, to, new);
}

int __wrap_openat64(int directory, const char *name, int flags, mode_t mode)
{
	return fails() ? -1 : __real_openat64(directory, name, flags, mode);
}

/* ---- writing ---- */

static void writing(void **state)
{
	const struct {
		const char *label;
		const ssize_t *steps;
		int error;
		unsigned writes;
		const char *content;
	} rows[] = {
		{ "whole", STEPS(100), 0, 1, "0123456789" },
		{ "byte by byte", STEPS(1), 0, 10, "0123456789" },
		{ "pieces", STEPS(3, 6, 100), 0, 3, "0123456789" },
		{ "signals", STEPS(-EINTR, 4, -EINTR, -EINTR, 100), 0, 5, "0123456789" },
		{ "full disk", STEPS(4, -ENOSPC), ENOSPC, 2, "0123" },
		{ "not ready", STEPS(-EAGAIN), EAGAIN, 1, "" },
		{ "nothing", STEPS(4, 0), EIO, 2, "0123" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int fd = memfd_create("file", MFD_CLOEXEC);
		char content[32] = "";
		bool good;

		writes = 0;
		errno = 0;
		steps = rows[i].steps;
		good = file_write(fd, S("0123456789"));
		steps = NULL;
		if (good != (rows[i].error == 0) || (!good && errno != rows[i].error) || writes != rows[i].writes)
			fail_msg("%s: %d, %s, %u calls", rows[i].label, good, strerror(errno), writes);
		assert_true(pread(fd, content, sizeof content, 0) >= 0);
		assert_string_equal(content, rows[i].content);
		close(fd);
	}
	assert_true(file_write(-1, S("")));
	assert_false(file_write(-1, S("x")));
	assert_int_equal(errno, EBADF);
}

/* ---- reading ---- */

static void reading(void **state)
{
	const struct {
		const ssize_t *steps;
		size_t n;
		uint64_t at;
		ssize_t got;
		const char *content;
	} rows[] = {
		{ STEPS(100), 10, 0, 10, "0123456789" },
		{ STEPS(1), 4, 3, 4, "3456" },
		{ STEPS(-EINTR, 2, -EINTR, 1), 6, 0, 6, "012345" },
		{ STEPS(3), 20, 5, 5, "56789" }, /* the file ends */
		{ STEPS(3), 20, 11, 0, "" },
		{ STEPS(3), 0, 0, 0, "" },
		{ STEPS(3, -EIO), 10, 0, -1, "012" },
	};
	int fd = memfd_create("file", MFD_CLOEXEC);

	assert_true(file_write(fd, S("0123456789")));
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char content[32] = "";
		ssize_t got;

		steps = rows[i].steps;
		got = file_read_at(fd, content, rows[i].n, rows[i].at);
		steps = NULL;
		assert_int_equal(got, rows[i].got);
		assert_string_equal(content, rows[i].content);
	}
	close(fd);
	assert_int_equal(file_read_at(fd, &(char){ 0 }, 1, 0), -1);
	assert_int_equal(errno, EBADF);
}

/* ---- a file that is whole ---- */

static char top[] = "/tmp/posthouse-file-XXXXXX";
static int directory;

static int start(void **state)
{
	if (!mkdtemp(top) || chdir(top) != 0)
		return -1;
	directory = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return directory < 0;
}

static int end(void **state)
{
	return unlink("name") != 0 || __real_close(directory) != 0 || rmdir(top) != 0;
}

static void assert_content(const char *wanted)
{
	char content[32] = "";
	int fd = open("name", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0 && read(fd, content, sizeof content - 1) >= 0);
	__real_close(fd);
	assert_string_equal(content, wanted);
}

static void assert_nothing_aside(void)
{
	assert_int_equal(access("aside", F_OK), -1);
	assert_int_equal(errno, ENOENT);
}

static void replacing(void **state)
{
	struct stat st;
	int fd = open("aside", O_WRONLY | O_CREAT | O_CLOEXEC, 0644); /* of one that was killed */

	assert_true(fd >= 0 && file_write(fd, S("longer than what comes")));
	__real_close(fd);
	assert_int_equal(file_put(directory, "aside", "name", 0600, S("first")), 0);
	assert_content("first");
	assert_true(stat("name", &st) == 0 && (st.st_mode & 07777) == 0600);
	assert_int_equal(file_put(directory, "aside", "name", 0400, S("")), 0);
	assert_content("");
	assert_true(stat("name", &st) == 0 && (st.st_mode & 07777) == 0400);
	assert_nothing_aside();
}

/* Whatever has no room, the file is the old one or the new one, and the caller knows. */
static void each_step_fails(void **state)
{
	static const struct {
		int directory; /* 0: that of the test */
		const char *aside, *name;
	} rows[] = { { 0, "aside", "name" }, { AT_FDCWD, "aside", "name" }, { AT_FDCWD, "./aside", "./name" } };

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int in = rows[i].directory ? rows[i].directory : directory, error = ENOSPC;

		assert_int_equal(file_put(in, rows[i].aside, rows[i].name, 0600, S("old")), 0);
		for (unsigned step = 1; error == ENOSPC; step++) {
			calls = 0;
			failing = step;
			error = file_put(in, rows[i].aside, rows[i].name, 0600, S("new"));
			failing = 0;
			assert_content(step <= STEP_RENAME ? "old" : "new");
			assert_nothing_aside();
			assert_true(error == ENOSPC || (error == 0 && step == STEP_LAST + 1));
		}
		assert_int_equal(error, 0);
	}
}

static void full_disk(void **state)
{
	struct rlimit limit;

	assert_int_equal(file_put(directory, "aside", "name", 0600, S("old")), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = 5;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(file_put(directory, "aside", "name", 0600, S("too long")), EFBIG);
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_content("old");
	assert_nothing_aside();
}

static void what_cannot_be(void **state)
{
	int fd = file_put_begin(directory, "aside", 0600);

	assert_true(fd >= 0);
	errno = 0; /* a writer who does not say why */
	assert_int_equal(file_put_end(directory, "aside", "name", fd, false), EIO);
	assert_nothing_aside();
	assert_content("old");
	assert_int_equal(mkdir("place", 0700), 0);
	assert_int_equal(file_put(directory, "aside", "place", 0600, S("x")), EISDIR);
	assert_nothing_aside();
	assert_int_equal(file_put(directory, "place", "name", 0600, S("x")), EEXIST);
	assert_int_equal(rmdir("place"), 0);
	assert_int_equal(file_put(AT_FDCWD, "/nowhere/at/all.new", "/nowhere/at/all", 0600, S("x")), ENOENT);
	assert_content("old");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writing),         cmocka_unit_test(reading),   cmocka_unit_test(replacing),
		cmocka_unit_test(each_step_fails), cmocka_unit_test(full_disk), cmocka_unit_test(what_cannot_be),
	};

	(void)signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, start, end);
}
