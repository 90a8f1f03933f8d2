/* client.h - logins with Cyrus as a client makes them, for the tests: what each came to, and how it looked from outside. */
#ifndef POSTHOUSE_TEST_LOGIN_CLIENT_H
#define POSTHOUSE_TEST_LOGIN_CLIENT_H

#include "cyrus.h"

struct outcome {
	unsigned code;  /* of the last reply */
	unsigned steps; /* how many replies there were */
	char name[64], device[64], fault[256], misbound[128];
	char salt[160];  /* SCRAM: salt and iterations as they came; "" when it did not come so far */
	uint64_t cpu_ns; /* of the server's side */
};

struct outcome plain_login(struct conversation *c, const char *user, const char *password);
struct outcome checked_login(struct conversation *c, const char *user, const char *password); /* as LOGIN does */

/* `header` as "n,," or "p=tls-exporter,,"; `binding` what the client believes its connection to be. */
struct outcome scram_login(struct conversation *c, const char *mechanism, const char *header, struct str binding,
			   const char *user, const char *password);

/* The same, with the first message only when it is asked for. */
struct outcome late_scram_login(struct conversation *c, const char *mechanism, const char *header, struct str binding,
				const char *user, const char *password);

#endif
