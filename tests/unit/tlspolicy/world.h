/* world.h - the real process of the role tlspolicy. The test plays relay, which asks, and resolver and fetch, which are asked. */
#ifndef POSTHOUSE_TEST_TLSPOLICY_WORLD_H
#define POSTHOUSE_TEST_TLSPOLICY_WORLD_H

#include "../role/played.h"

/* A minute has so many ms: 500, and a policy that could not be had is tried again after 2.5 s. */
#define MINUTE  "POSTHOUSE_STS_MINUTE_MS"
#define ENFORCE "version: STSv1\r\nmode: enforce\r\nmx: mx.example.net\r\nmx: *.example.net\r\nmax_age: 86400\r\n"
#define TESTING "version: STSv1\nmode: testing\nmx: other.example.net\nmax_age: 86400\n"

extern const char *program;

extern struct world {
	struct played role;
	struct config config;
	char directory[64];
	uv_loop_t loop;
	/* what DNS says; NULL: there is no such record */
	const char *record;  /* the TXT record of every domain */
	const char *address; /* of every policy host */
	bool dns_fails;
	/* what HTTPS says */
	const char *text, *content_type;
	unsigned status;
	const char *why; /* not NULL: there is no answer */
	bool untrusted, silent;
	uint64_t held[256]; /* requests without an answer */
	unsigned asked, fetches;
	char url[256], addresses[256];
	/* what relay has heard */
	unsigned answers;
	struct msg_sts_found last;
	char id[64], why_heard[256], mx[256], policy[1024];
} world;

extern const struct ipc_handlers no_handlers, resolver_handlers, fetch_handlers;

int world_setup(void **state);
int world_teardown(void **state);

/* The process dies, and another one follows. */
void kill_and_start(struct world *w);
void world_start(struct world *w);

/* fetch answers a request, with what the world says. */
void give(struct channel *ch, uint64_t call);

/* relay asks: on_found() puts the answer into the world. */
void ask(const char *domain, bool kept);
void ask_and_wait(const char *domain);
/* The answer has this mode, and texts were fetched so often until now. */
void assert_found(const char *domain, unsigned mode, unsigned fetches);

#endif
