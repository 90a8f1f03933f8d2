/* test_open.c - places where mail would not be safe, modes of files. */
#include "engine_under_test.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

static void bad_places_are_refused(void **state)
{
	struct fixture *f = *state;
	char tmpfs[] = "/dev/shm/store-test.XXXXXX";
	struct statfs fs;
	struct verdict v;

	fixture_close(f);
	f->options.state_dir = fixture_path(f, "absent");
	v = fixture_open(f);
	assert_int_equal(v.class, PERM);
	assert_true(str_search(v.text, S("absent")) < v.text.n);
	if (statfs("/dev/shm", &fs) == 0 && fs.f_type == TMPFS_MAGIC && mkdtemp(tmpfs)) {
		f->options.state_dir = tmpfs;
		v = fixture_open(f);
		assert_int_equal(rmdir(tmpfs), 0); /* nothing was made in it */
		assert_int_equal(v.class, PERM);
		assert_true(str_search(v.text, S("tmpfs")) < v.text.n);
	}
	if (geteuid() != 0) { /* root may write anywhere */
		f->options.state_dir = f->dir;
		assert_int_equal(chmod(f->dir, 0500), 0);
		v = fixture_open(f);
		assert_int_equal(chmod(f->dir, 0700), 0);
		assert_int_equal(v.class, PERM);
		assert_true(str_search(v.text, S("not writable")) < v.text.n);
	}
	f->options.state_dir = f->dir;
	assert_int_equal(fixture_open(f).class, OK);
}

static void files_are_private(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(accept_to(f, 100, "b@a.org").class, OK);
	for (const char *const *name = engine_under_test->files; *name; name++) {
		assert_int_equal(stat(fixture_path(f, *name), &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	assert_int_equal(stat(fixture_path(f, "reserve"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(fixture_path(f, "large"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = { CASE(bad_places_are_refused), CASE(files_are_private) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
