/* test_directory.c - what root does where a user can write: links do not lead it astray. Only root can try. */
#include "unit.h"

#include "posthouse/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define USER 54321

static char top[64];

static const char *at(const char *name)
{
	static char paths[4][128];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof paths[0], "%s/%s", top, name);
	return path;
}

static struct stat look(const char *name)
{
	struct stat st = { 0 };

	assert_int_equal(lstat(at(name), &st), 0);
	return st;
}

/* A directory of the user's, beside a file and a directory that only root can read. */
static int start(void **state)
{
	int fd;

	if (geteuid() != 0)
		return 0;
	snprintf(top, sizeof top, "/tmp/posthouse-directory-XXXXXX");
	if (!mkdtemp(top) || chmod(top, 0755) != 0 || mkdir(at("user"), 0755) != 0 || chown(at("user"), USER, USER) != 0)
		return -1;
	fd = open(at("secret"), O_WRONLY | O_CREAT, 0600);
	return fd < 0 || close(fd) != 0 || mkdir(at("roots"), 0700) != 0;
}

static int end(void **state)
{
	char command[128];

	snprintf(command, sizeof command, "rm -r %s", top);
	return geteuid() == 0 && system(command) != 0;
}

static void files(void **state)
{
	int fd;

	if (geteuid() != 0)
		skip();
	fd = directory_open_file_as(at("user/own"), USER, USER);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(look("user/own").st_uid, USER);
	assert_int_equal(look("user/own").st_mode & 07777, 0600);
	assert_int_equal(symlink(at("secret"), at("user/symbolic")), 0);
	assert_int_equal(link(at("secret"), at("user/hard")), 0);
	assert_int_equal(directory_open_file_as(at("user/symbolic"), USER, USER), -1);
	assert_int_equal(directory_open_file_as(at("user/hard"), USER, USER), -1);
	assert_int_equal(errno, EACCES);
	assert_int_equal(directory_open_file_as(at("roots/new"), USER, USER), -1);
	assert_int_equal(look("secret").st_uid, 0);
	assert_int_equal(geteuid(), 0); /* and we are ourselves again */
	assert_int_equal(getegid(), 0);
}

static void directories(void **state)
{
	if (geteuid() != 0)
		skip();
	assert_int_equal(directory_make_for(at("user/state"), USER, USER), 0);
	assert_int_equal(look("user/state").st_uid, USER);
	assert_int_equal(directory_make_for(at("given"), USER, USER), 0); /* where the user cannot */
	assert_int_equal(look("given").st_uid, USER);
	assert_int_equal(look("given").st_mode & 07777, 0700);
	assert_int_equal(directory_make_for(at("roots"), USER, USER), 0); /* it is there, and stays root's */
	assert_int_equal(look("roots").st_uid, 0);
	assert_int_equal(directory_make_for(at("no/such"), USER, USER), ENOENT);
	assert_int_equal(symlink(at("roots"), at("user/link")), 0);
	assert_int_equal(directory_give(at("user/link"), USER, USER), 0);
	assert_int_equal(look("roots").st_uid, 0);
	assert_int_equal(mkdir(at("roots/entry"), 0700), 0);
	assert_int_equal(directory_give(at("roots"), USER, USER), 0); /* there is something in it */
	assert_int_equal(look("roots").st_uid, 0);
	assert_int_equal(directory_give(at("roots/entry"), USER, USER), 0);
	assert_int_equal(look("roots/entry").st_uid, USER);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(files), cmocka_unit_test(directories) };

	return cmocka_run_group_tests_name("directory", tests, start, end);
}
