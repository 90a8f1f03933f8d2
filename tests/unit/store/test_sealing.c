/* test_sealing.c - nobody can write the file of a large message that was accepted: where somebody could, or the file system does not
 * say so, the message is a copy. */
#include "fixture.h"

#include "posthouse/id.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE 100000

/* The file system of the test knows leases, or says so with this error: one without them, or with none left. */
static _Atomic int without_leases; /* 0: it knows them */

int __real_fcntl64(int fd, int command, long argument);
int __wrap_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...)
{
	va_list ap;
	long argument;

	va_start(ap, command);
	argument = va_arg(ap, long);
	va_end(ap);
	if (command == F_SETLEASE && without_leases) {
		errno = without_leases;
		return -1;
	}
	return __real_fcntl64(fd, command, argument);
}

/* What copy_file_range() fails with; 0: it works. */
static _Atomic int without_copying;

ssize_t __real_copy_file_range(int from, off_t *from_at, int to, off_t *to_at, size_t n, unsigned flags);
ssize_t __wrap_copy_file_range(int from, off_t *from_at, int to, off_t *to_at, size_t n, unsigned flags);
ssize_t __wrap_copy_file_range(int from, off_t *from_at, int to, off_t *to_at, size_t n, unsigned flags)
{
	if (without_copying) {
		errno = without_copying;
		return -1;
	}
	return __real_copy_file_range(from, from_at, to, to_at, n, flags);
}

static char *path_of(struct fixture *f, uint64_t id)
{
	char name[ID_TEXT_MAX];

	return fixture_path(f, arena_cstr(&f->arena, arena_printf(&f->arena, "large/%s", id_format(id, name))));
}

/* The file of a new message, written and open. */
static int written(struct fixture *f, uint64_t id)
{
	struct answer a = create_now(f, id, SIZE);
	static char bytes[SIZE];

	assert_int_equal(a.v.class, OK);
	memset(bytes, 'x', SIZE);
	assert_int_equal(write(a.fd, bytes, SIZE), SIZE);
	return a.fd;
}

static struct verdict accept_large(struct fixture *f, uint64_t id)
{
	struct accepted *m = message(f, id, "b@x.org");

	m->place = PLACE_FILE;
	m->text = S("");
	m->size = SIZE;
	return accept_now(f, m);
}

/* The message that was accepted has its own bytes and no others, and nobody is asked to write it. */
static void stays_as_it_was(struct fixture *f, uint64_t id)
{
	int stored = open(path_of(f, id), O_RDONLY | O_CLOEXEC);
	static char bytes[SIZE + 1];
	struct stat st;

	assert_int_equal(fstat(stored, &st), 0);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_mode & 0777, 0400);
	assert_int_equal(pread(stored, bytes, sizeof(bytes), 0), SIZE);
	for (size_t i = 0; i < SIZE; i++)
		assert_int_equal(bytes[i], 'x');
	assert_int_equal(close(stored), 0);
}

static void a_closed_file_is_taken(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(close(written(f, 100)), 0);
	assert_int_equal(accept_large(f, 100).class, OK);
	assert_int_equal(stat(path_of(f, 100), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0400);
	assert_int_equal(st.st_size, SIZE);
}

static void a_kept_descriptor(void **state)
{
	struct fixture *f = *state;
	int fd = written(f, 100), copy = dup(fd);

	assert_int_equal(close(fd), 0);
	assert_int_equal(accept_large(f, 100).class, OK);
	assert_int_equal(pwrite(copy, "y", 1, 0), 1);
	assert_int_equal(ftruncate(copy, 1), 0);
	stays_as_it_was(f, 100);
	assert_int_equal(close(copy), 0);
}

static void a_duplicate_in_another_process(void **state)
{
	struct fixture *f = *state;
	int fd = written(f, 100), go[2], status;
	pid_t child;
	char byte;

	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	child = fork();
	if (child == 0)
		_exit(read(go[0], &byte, 1) == 1 && pwrite(fd, "y", 1, 0) == 1 ? 0 : 1);
	assert_true(child > 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(accept_large(f, 100).class, OK);
	assert_int_equal(write(go[1], "", 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	stays_as_it_was(f, 100);
	assert_int_equal(close(go[0]), 0);
	assert_int_equal(close(go[1]), 0);
}

static void a_writable_mapping(void **state)
{
	struct fixture *f = *state;
	int fd = written(f, 100), both = open(path_of(f, 100), O_RDWR | O_CLOEXEC);
	char *bytes = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, both, 0);

	assert_true(bytes != MAP_FAILED);
	assert_int_equal(close(fd), 0);
	assert_int_equal(close(both), 0);
	assert_int_equal(accept_large(f, 100).class, OK);
	memset(bytes, 'y', SIZE);
	stays_as_it_was(f, 100);
	assert_int_equal(munmap(bytes, SIZE), 0);
}

/* A program that backs up or scans files has it open for a moment: the sender's mail is taken. */
static void somebody_who_looks(void **state)
{
	struct fixture *f = *state;
	int fd = written(f, 100), looking = open(path_of(f, 100), O_RDWR | O_CLOEXEC);

	assert_true(looking >= 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(accept_large(f, 100).class, OK);
	stays_as_it_was(f, 100);
	assert_int_equal(close(looking), 0);
}

/* The writer keeps what it wants: the message is a file that it has never had. */
static void without_leases_it_is_copied(void **state)
{
	static const int errors[] = { EINVAL, ENOLCK, EACCES, EPERM, EOPNOTSUPP };
	static const int copying[] = { 0, ENOSYS, EXDEV, EOPNOTSUPP, EINVAL, EPERM };
	const size_t errors_n = sizeof(errors) / sizeof(errors[0]), copying_n = sizeof(copying) / sizeof(copying[0]);
	struct fixture *f = *state;
	uint64_t id = 100;

	for (size_t i = 0; i < errors_n * copying_n; i++, id++) {
		int fd = written(f, id);

		without_leases = errors[i % errors_n];
		without_copying = copying[i / errors_n];
		assert_int_equal(accept_large(f, id).class, OK);
		without_leases = without_copying = 0;
		assert_int_equal(pwrite(fd, "y", 1, 0), 1);
		assert_int_equal(close(fd), 0);
		stays_as_it_was(f, id);
	}
}

/* Of another size it is not copied either. */
static void a_wrong_size(void **state)
{
	struct fixture *f = *state;

	for (uint64_t i = 0; i < 2; i++) {
		int fd = written(f, 100 + i);

		assert_int_equal(ftruncate(fd, SIZE - 1), 0);
		assert_int_equal(close(fd), 0);
		without_leases = i == 0 ? 0 : EINVAL;
		assert_int_equal(accept_large(f, 100 + i).class, TEMP);
		without_leases = 0;
	}
}

int main(void)
{
#define SEALING(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		SEALING(a_closed_file_is_taken), SEALING(a_kept_descriptor),  SEALING(a_duplicate_in_another_process),
		SEALING(a_writable_mapping),     SEALING(somebody_who_looks), SEALING(without_leases_it_is_copied),
		SEALING(a_wrong_size),
	};

	return cmocka_run_group_tests_name("store sealing", tests, NULL, NULL);
}
