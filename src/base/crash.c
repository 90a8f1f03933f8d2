/* crash.c - named points of death, for the crash suite. */
#include "posthouse/crash.h"

#ifdef POSTHOUSE_CRASH_POINTS
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void crash_point(const char *name)
{
	static unsigned long passages;
	const char *wish = getenv("POSTHOUSE_CRASH");
	size_t n = strlen(name);

	if (!wish || strncmp(wish, name, n) != 0 || wish[n] != ':')
		return;
	pthread_mutex_lock(&lock);
	if (++passages == strtoul(wish + n + 1, NULL, 10))
		raise(SIGKILL);
	pthread_mutex_unlock(&lock);
}
#else
/* ISO C wants a translation unit to declare something. */
extern int crash_points_are_off;
#endif
