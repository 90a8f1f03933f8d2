/* clock.c - the clocks. */
#include "posthouse/clock.h"

#include <time.h>

#ifdef POSTHOUSE_CRASH_POINTS
#include "posthouse/str.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

static uint64_t read_ms(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

#ifdef POSTHOUSE_CRASH_POINTS
/* Test builds: POSTHOUSE_CLOCK names a file with 8 bytes, by how many ms the clock is wrong; a test changes them while the
 * process runs. */
static int64_t error_ms(void)
{
	static const volatile int64_t *error;
	static bool looked;
	const char *path = looked ? NULL : getenv("POSTHOUSE_CLOCK");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	looked = true;
	if (fd >= 0) {
		void *p = mmap(NULL, sizeof *error, PROT_READ, MAP_SHARED, fd, 0);

		error = p == MAP_FAILED ? NULL : p;
		close(fd);
	}
	return error ? *error : 0;
}

uint64_t clock_scaled(uint64_t ms, const char *variable, uint64_t unit_ms)
{
	const char *word = getenv(variable);
	uint64_t shorter_ms;

	return word && str_to_u64(str_of(word), &shorter_ms) && shorter_ms > 0 ? ms * shorter_ms / unit_ms + 1 : ms;
}
#else
static int64_t error_ms(void)
{
	return 0;
}

uint64_t clock_scaled(uint64_t ms, const char *variable, uint64_t unit_ms)
{
	return ms;
}
#endif

uint64_t clock_now_ms(void)
{
	return read_ms(CLOCK_REALTIME) + (uint64_t)error_ms();
}

uint64_t clock_mono_ms(void)
{
	return read_ms(CLOCK_MONOTONIC);
}

uint64_t clock_boot_ms(void)
{
	return read_ms(CLOCK_BOOTTIME);
}
