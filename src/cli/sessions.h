/* sessions.h - the sessions of all submission processes, for `session` and `incident`. */
#ifndef POSTHOUSE_CLI_SESSIONS_H
#define POSTHOUSE_CLI_SESSIONS_H

#include "cli.h"

/* An empty or zero field is any. */
struct which_sessions {
	uint64_t session;
	struct str user, device, client; /* user: with its realm */
};

/* Close them: how many there were. False in *all_out: some process did not answer. */
uint64_t sessions_close(struct session *s, const struct which_sessions *which, const char *reason, bool *all_out);

/* How many there are. */
uint64_t sessions_count(struct session *s, const struct which_sessions *which);

#endif
