/* environment.c - the environment of the processes that master starts. */
#include "master.h"

#include <unistd.h>

char **clean_environment(bool first, char *kept[ENVIRONMENT_MAX])
{
	static const char *const names[] = {
		"TZ=",           "SSL_CERT_FILE=",      "SSL_CERT_DIR=",    "ASAN_OPTIONS=", "UBSAN_OPTIONS=",
		"LSAN_OPTIONS=", "UV_THREADPOOL_SIZE=", "LD_LIBRARY_PATH=", "PATH="
	};
	size_t n = 0;

	for (char **e = environ; *e && n < ENVIRONMENT_MAX - 6; e++) {
		for (size_t i = 0; i < sizeof names / sizeof names[0] && n < ENVIRONMENT_MAX - 5; i++)
			if (strncmp(*e, names[i], strlen(names[i])) == 0)
				kept[n++] = *e;
#ifdef POSTHOUSE_CRASH_POINTS
		/* a crash point is for the first process only: the test checks that the next one recovers */
		if (first && strncmp(*e, "POSTHOUSE_CRASH=", 16) == 0)
			kept[n++] = *e;
		/* the clock, the slow disk, the short days of doctor and the power cuts of the tests */
		if (strncmp(*e, "POSTHOUSE_DOCTOR_DAY_MS=", 24) == 0)
			kept[n++] = *e;
		/* what the kernel is to lack, and what to try behind the walls */
		if (strncmp(*e, "POSTHOUSE_WITHOUT=", 18) == 0 || strncmp(*e, "POSTHOUSE_TRY=", 14) == 0)
			kept[n++] = *e;
		if (strncmp(*e, "POSTHOUSE_CLOCK=", 16) == 0 || strncmp(*e, "POSTHOUSE_SLOW=", 15) == 0)
			kept[n++] = *e;
		if (strncmp(*e, "LD_PRELOAD=", 11) == 0 || strncmp(*e, "POWERCUT_", 9) == 0)
			kept[n++] = *e;
#endif
	}
	kept[n] = NULL;
	return kept;
}
