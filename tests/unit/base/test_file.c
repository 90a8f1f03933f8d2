/* test_file.c - what is written is whole: the calls below stand in for those of the C library, and each can fail. */
#include "unit.h"

#include "posthouse/file.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- the system ---- */

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
		return __real_write(fd, p, n);
	writes++;
	steps += steps[1] != END;
	if (step >= 0)
		return __real_write(fd, p, n < (size_t)step ? n : (size_t)step);
	errno = (int)-step;
	return -1;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writing),
	};

	return cmocka_run_group_tests_name("base file", tests, NULL, NULL);
}
