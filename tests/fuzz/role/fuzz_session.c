/* fuzz_session.c - whole sessions with clients: what they say before TLS and within, and bytes between the records of TLS. The peers
 * answer well. Nobody logs in, and no mail goes on, before the client has said so within TLS. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void heard(const char *message)
{
	static const char *const secret[] = { "login_start", "login_step", "reserve", "spool_open",
					      "envelope",    "recipients", "submit",  "sign" };

	for (size_t i = 0; i < sizeof secret / sizeof *secret; i++)
		if (strcmp(message, secret[i]) == 0 && !outside_is_secret()) {
			fprintf(stderr, "%s, but no client has said anything within TLS\n", message);
			abort();
		}
}

const struct role_case role_case = {
	.role = ROLE_SUBMISSION, .has_outside = true, .patience_ms = 2, .only_outside = true, .heard = heard
};
