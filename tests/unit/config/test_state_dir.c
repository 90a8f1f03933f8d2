/* The directories of roles in state_dir: what an older version or an old backup leaves beside them, and what root gives away. */
#include "posthouse/users.h"
#include "remove_tree.h"
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_USER 64001
#define STRANGER   64099

static const char *at(const char *dir, const char *name)
{
	static char paths[4][256];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof paths[0], "%s/%s", dir, name);
	return path;
}

static void make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static struct stat stat_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st;
}

static void settle(const char *dir, const struct users *users)
{
	struct arena a = { 0 };
	const char *at_fault;

	assert_int_equal(state_dir_settle(dir, users, &a, &at_fault), 0);
	arena_fini(&a);
}

static void test_files_of_before_are_named_when_their_directory_is_there(void **state)
{
	char dir[] = "/tmp/posthouse-test-XXXXXX";
	struct users users = { .drop = false };
	struct arena a = { 0 };
	char expected[512];

	(void)state;
	assert_non_null(mkdtemp(dir));
	make_file(at(dir, "accounts"));
	assert_int_equal(state_dir_left_over(dir, &a).n, 0);
	settle(dir, &users);
	assert_int_equal(state_dir_left_over(dir, &a).n, 0);
	assert_true(S_ISREG(stat_of(at(dir, "login/accounts")).st_mode));
	make_file(at(dir, "accounts"));
	make_file(at(dir, "doctor.faults"));
	settle(dir, &users);
	snprintf(expected, sizeof expected, "%s/accounts, %s/doctor.faults", dir, dir);
	assert_string_equal(arena_cstr(&a, state_dir_left_over(dir, &a)), expected);
	arena_fini(&a);
	remove_tree(dir);
}

static struct users separate_users(void)
{
	struct users users = { .drop = true, .separate = true };

	for (unsigned i = 0; i < ROLE_USERS; i++)
		users.of[i] = (struct user){ .uid = FIRST_USER + i, .gid = FIRST_USER + i };
	return users;
}

static void make_directory(const char *path, mode_t mode, uid_t uid)
{
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, mode), 0);
	assert_int_equal(chown(path, uid, uid), 0);
}

static void test_a_directory_that_a_user_has_opened_is_closed_again(void **state)
{
	char dir[] = "/tmp/posthouse-test-XXXXXX";
	struct users users = separate_users();
	uid_t login = users.of[AS_LOGIN].uid, run_as = users.of[AS_RUN_AS].uid;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chown(dir, run_as, run_as), 0);
	make_directory(at(dir, "login"), 0777, login);
	make_directory(at(dir, "login/env"), 0777, run_as);
	make_directory(at(dir, "login/begun"), 0700, 0);
	make_directory(at(dir, "login/open"), 0777, 0);
	make_directory(at(dir, "login/strange"), 0755, STRANGER);
	make_file(at(dir, "login/strange/file"));
	assert_int_equal(chown(at(dir, "login/strange/file"), run_as, run_as), 0);
	settle(dir, &users);
	assert_int_equal(stat_of(at(dir, "login")).st_mode & 07777, 0700);
	assert_int_equal(stat_of(at(dir, "login")).st_uid, login);
	assert_int_equal(stat_of(at(dir, "login/env")).st_mode & 07777, 0700);
	assert_int_equal(stat_of(at(dir, "login/env")).st_uid, login);
	assert_int_equal(stat_of(at(dir, "login/begun")).st_uid, login);
	assert_int_equal(stat_of(at(dir, "login/open")).st_uid, 0);
	assert_int_equal(stat_of(at(dir, "login/strange")).st_uid, STRANGER);
	assert_int_equal(stat_of(at(dir, "login/strange/file")).st_uid, run_as);
	remove_tree(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files_of_before_are_named_when_their_directory_is_there),
		cmocka_unit_test(test_a_directory_that_a_user_has_opened_is_closed_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
