/* test_drop_file.c - a drop file appears under its name when it is whole, and not at all when it cannot be. */
#include "posthouse/local.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* clang-format off */
#include "unit.h"
/* clang-format on */

static char directory[] = "/tmp/posthouse-test-drop-XXXXXX";

static struct local_recipient bob = { { "bob", 3 }, { "", 0 }, { 0 } };

/* In place of libc's: a disk that fails, and pickup, which has taken the file by then. */
static bool sync_fails, is_taken;

int syncfs(int fd)
{
	if (!sync_fails)
		return 0;
	if (is_taken) {
		char command[128];

		snprintf(command, sizeof command, "rm %s/*", directory);
		assert_int_equal(system(command), 0);
	}
	errno = EIO;
	return -1;
}

/* The only name in the directory; empty: there is none. */
static void only_name(char name_out[256])
{
	DIR *d = opendir(directory);
	struct dirent *e;

	name_out[0] = '\0';
	while ((e = readdir(d)))
		if (e->d_name[0] != '.' || e->d_name[1] == 't') {
			assert_string_equal(name_out, "");
			snprintf(name_out, 256, "%s", e->d_name);
		}
	closedir(d);
}

static int text_of(struct str text)
{
	int fd = memfd_create("text", MFD_CLOEXEC);

	assert_int_equal(write(fd, text.p, text.n), text.n);
	return fd;
}

static void test_written(void **state)
{
	struct local_message m = { true, S("alice@example.org"), S(""), &bob, 1 };
	char name[256], path[512], bytes[256];
	int text = text_of(S("From x\nSubject: hello\n\nwords\n")), fd;
	struct stat st;
	ssize_t n;

	umask(0077); /* as a careful user has it */
	assert_int_equal(drop_file_write(directory, &m, text, 7), 0);
	only_name(name);
	assert_int_equal(strlen(name), 32);
	snprintf(path, sizeof path, "%s/%s", directory, name);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0744);
	fd = open(path, O_RDONLY);
	n = read(fd, bytes, sizeof bytes);
	assert_true(str_eq(str_make(bytes, (size_t)n), S("from: <alice@example.org>\nto: <bob>\n\nSubject: hello\n\nwords\n")));
	close(fd);
	close(text);
	unlink(path);
}

static void test_failed(void **state)
{
	struct local_message m = { false, S(""), S(""), &bob, 1 };
	int text = text_of(S("words\n"));
	char name[256];

	assert_int_equal(drop_file_write("/tmp/posthouse-test-nowhere", &m, text, 0), ENOENT);
	assert_int_equal(drop_file_write("/dev/null", &m, text, 0), ENOTDIR);
	close(text);
	assert_int_equal(drop_file_write(directory, &m, text, 0), EBADF); /* the text cannot be read */
	only_name(name);
	assert_string_equal(name, "");
}

static int setup(void **state)
{
	return mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **state)
{
	return rmdir(directory);
}

static void test_sync_fails(void **state)
{
	struct local_message m = { true, S("alice@example.org"), S(""), &bob, 1 };
	int text = text_of(S("Subject: hello\n\nwords\n"));
	char name[256];

	sync_fails = true;
	for (int i = 0; i < 2; i++) {
		is_taken = i == 1;
		assert_int_equal(drop_file_write(directory, &m, text, 0), is_taken ? 0 : EIO);
		only_name(name);
		assert_string_equal(name, "");
	}
	sync_fails = is_taken = false;
	close(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_written),
		cmocka_unit_test(test_failed),
		cmocka_unit_test(test_sync_fails),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
