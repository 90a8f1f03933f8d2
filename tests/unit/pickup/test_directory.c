/* test_directory.c - what is taken from a drop directory in which users put anything, and what is read of it. */
#include "pickup.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

/* clang-format off */
#include "unit.h"
/* clang-format on */

static char directory[64];
static struct id_source ids;

static int setup(void **state)
{
	snprintf(directory, sizeof directory, "/tmp/posthouse-test-pickup-XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf %s", directory);
	return system(command);
}

static const char *at(const char *name)
{
	static char path[512];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	return path;
}

/* A file, `age` seconds old. */
static void put(const char *name, const char *text, int age)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_EXCL, 0744);
	struct timeval times[2] = { { .tv_sec = 1800000000 - age }, { .tv_sec = 1800000000 - age } };

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	assert_int_equal(utimes(at(name), times), 0);
}

static struct look look(bool first, const struct taken *held, size_t held_n)
{
	struct look l = { .path = directory, .first = first, .ids = &ids, .held = held, .held_n = held_n };

	directory_look(&l);
	assert_int_equal(l.error, 0);
	return l;
}

static void test_oldest_first(void **state)
{
	struct look l;

	put("b", "to: <bob>\n\n", 10);
	put("a", "to: <bob>\n\n", 5);
	put("c", "to: <bob>\n\n", 20);
	put(".tmp-d", "", 0);
	l = look(true, NULL, 0);
	assert_int_equal(l.found_n, 3);
	assert_int_equal(l.waiting, 0);
	for (size_t i = 0; i < 2; i++) {
		assert_true(l.found[i].dropped_at < l.found[i + 1].dropped_at);
		assert_true(l.found[i].id < l.found[i + 1].id);
	}
	assert_int_equal(l.oldest_at, (1800000000ull - 20) * 1000);
	assert_int_equal(access(at("a"), F_OK), -1);
	assert_int_equal(access(at(".tmp-d"), F_OK), 0);
	free(l.found);
}

/* Another process finds what was taken, under the same ids. */
static void test_again(void **state)
{
	struct look l, again;

	put("a", "to: <bob>\n\n", 5);
	l = look(true, NULL, 0);
	again = look(true, NULL, 0);
	assert_int_equal(again.found_n, 1);
	assert_true(again.found[0].id == l.found[0].id && again.found[0].token == l.found[0].token);
	assert_int_equal(again.found[0].uid, geteuid());
	free(again.found);
	again = look(false, l.found, 1);
	assert_int_equal(again.found_n, 0);
	free(again.found);
	free(l.found);
}

static void test_share_of_a_user(void **state)
{
	struct look l, more;
	char name[16];

	for (int i = 0; i < TAKEN_PER_USER + 10; i++) {
		snprintf(name, sizeof name, "%d", i);
		put(name, "to: <bob>\n\n", i);
	}
	l = look(true, NULL, 0);
	assert_int_equal(l.found_n, TAKEN_PER_USER);
	assert_int_equal(l.waiting, 10);
	assert_int_equal(l.found[0].dropped_at, (1800000000ull - TAKEN_PER_USER - 9) * 1000);
	assert_int_equal(access(at("9"), F_OK), 0); /* the newest ten stay */
	more = look(false, l.found, TAKEN_PER_USER - 4);
	assert_int_equal(more.found_n, 4);
	free(more.found);
	free(l.found);
}

static void test_odd_things(void **state)
{
	struct look l;

	put("good", "to: <bob>\n\n", 5);
	assert_int_equal(symlink("/etc/passwd", at("link")), 0);
	assert_int_equal(mkfifo(at("pipe"), 0666), 0);
	assert_int_equal(mkdir(at("directory"), 0755), 0);
	put("one", "to: <bob>\n\n", 5);
	char other[512];
	snprintf(other, sizeof other, "%s", at("two"));
	assert_int_equal(link(at("one"), other), 0);
	assert_int_equal(symlink("/", at("taken")), 0); /* in the way of our own */
	l = look(true, NULL, 0);
	assert_int_equal(l.found_n, 1);
	assert_true(l.discarded >= 5);
	assert_int_equal(access(at("link"), F_OK), -1);
	assert_int_equal(access(at("pipe"), F_OK), -1);
	assert_int_equal(access(at("one"), F_OK), -1);
	assert_int_equal(access(at("directory"), F_OK), -1);
	assert_int_equal(access("/etc/passwd", F_OK), 0);
	free(l.found);
}

static void test_reading(void **state)
{
	static const struct {
		const char *text;
		int class;
		const char *header;
	} rows[] = {
		{ "to: <bob>\n\nSubject: x\n more\n\nwords\n", OK, "Subject: x\r\n more\r\n" },
		{ "from: <a>\nto: <bob>\n\nSubject: x\r\n\r\nwords\n", OK, "Subject: x\r\n" },
		{ "to: <bob>\n\n", OK, "" },
		{ "to: <bob>\n", PERM, "" },
		{ "", PERM, "" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct reading r = { .fd = -1 };

		put("file", rows[i].text, 0);
		assert_int_equal(reading_open(&r, at("file"), geteuid(), 1000).class, rows[i].class);
		assert_true(str_eq(r.header, str_of(rows[i].header)));
		reading_close(&r);
		r = (struct reading){ .fd = -1 };
		assert_int_equal(reading_open(&r, at("file"), geteuid() + 1, 1000).class, PERM); /* somebody else's */
		reading_close(&r);
		unlink(at("file"));
	}
	struct reading r = { .fd = -1 };
	assert_int_equal(reading_open(&r, at("file"), geteuid(), 1000).class, TEMP);
	reading_close(&r);
	put("file", "to: <bob>\n\n", 0);
	assert_int_equal(chmod(at("file"), 0655), 0); /* its owner has not marked it: somebody moved it here */
	r = (struct reading){ .fd = -1 };
	assert_int_equal(reading_open(&r, at("file"), geteuid(), 1000).class, PERM);
	assert_int_equal(r.message.recipients_n, 0);
	reading_close(&r);
	assert_int_equal(chmod(at("file"), 0744), 0);
	assert_int_equal(truncate(at("file"), 3000000), 0);
	r = (struct reading){ .fd = -1 };
	assert_int_equal(reading_open(&r, at("file"), geteuid(), 1000).code, 552);
	reading_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_oldest_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_share_of_a_user, setup, teardown),
		cmocka_unit_test_setup_teardown(test_odd_things, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reading, setup, teardown),
	};

	return cmocka_run_group_tests_name("pickup directory", tests, NULL, NULL);
}
