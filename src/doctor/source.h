/* source.h - where the facts of a real run come from: DNS, dialogues with mail servers, the relay that runs here. */
#ifndef POSTHOUSE_DOCTOR_SOURCE_H
#define POSTHOUSE_DOCTOR_SOURCE_H

#include "cache.h"

#include <uv.h>

struct source {
	uv_loop_t *loop;
	struct doctor *doctor; /* set after doctor_new() */
	const struct config *config;
	struct doctor_hooks hooks;
	struct cache *cache;
	void (*news)(struct source *s); /* a fact has come */
	bool one_resolver, deep;

	/* resolvers.c */
	struct dns *clients, *world;
	struct dns *mail;           /* as clients, with the root key that mail is validated with; NULL: clients does it too */
	struct str clients_why;     /* why the resolver of the configuration cannot be used; "": it can */
	struct resolver *resolvers; /* of domains' own servers */
	struct waiting *waiting;    /* questions to the world, until it is known whether it can be asked */
	bool world_known, world_possible;
	size_t asked, answered; /* questions; those that got any answer */

	/* pool.c */
	struct job *jobs;
	size_t running;
	unsigned foreign[2]; /* connections to others, IPv4 and IPv6 */
	bool gone;           /* the run has ended: what comes back from the pool is dropped */
};

/* resolvers.c */
void resolvers_open(struct source *s, struct str resolver);
void resolvers_close(struct source *s);
void resolvers_ask(void *source, const struct dns_question *q, struct fact_dns *answer);

/* pool.c */
void pool_probe(void *source, const struct probe *p, struct fact_probe *answer);
void pool_upstream(void *source, struct str name, struct fact_upstream *answer);
void pool_sample(void *source, struct str domain, struct str selector, struct fact_sample *answer);
void pool_policy(void *source, struct str domain, struct fact_policy *answer);
void pool_free(struct source *s); /* when no job runs */

#endif
