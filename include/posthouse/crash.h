/* crash.h - named points at which a test build kills itself: POSTHOUSE_CRASH=name:n dies with SIGKILL at the n-th passage
 * (n counts from 1). Nothing in a build without -Dcrash_points=true. */
#ifndef POSTHOUSE_CRASH_H
#define POSTHOUSE_CRASH_H

#ifdef POSTHOUSE_CRASH_POINTS
void crash_point(const char *name);
#else
#define crash_point(name) ((void)0)
#endif

#endif
