/* dialogue.h - logins at upstreams that take several steps and remember something between them (SCRAM). Loop only. */
#ifndef POSTHOUSE_VAULT_DIALOGUE_H
#define POSTHOUSE_VAULT_DIALOGUE_H

#include "posthouse/config.h"
#include "posthouse/ipc.h"
#include "posthouse/list.h"

/* At once; the oldest that waits for its upstream gives way to a new one, so those that relay gave up cost nothing for long. */
#define DIALOGUES_MAX 256

/* The answer to the step that was `call` of `ch`; the views live until it returns. */
typedef void (*dialogue_answer_fn)(struct channel *ch, uint64_t call, struct str upstream, struct verdict v, struct str response,
				   bool done);

struct dialogues {
	struct list all; /* the oldest first */
	size_t n;
	uv_loop_t *loop;
	dialogue_answer_fn answer;
};
void dialogues_init(struct dialogues *d, uv_loop_t *loop, dialogue_answer_fn answer);

/* A step of SCRAM-SHA-256 for the upstream `u`, named by (channel, upstream, connection): m->first begins anew. Answered exactly once,
 * at once or later, unless the channel is dropped before. `done` comes when the upstream has proved that it knows the password. */
void dialogue_step(struct dialogues *d, struct channel *ch, const struct cfg_upstream *u, const struct msg_upstream_step *m);

/* The channel has gone: nobody waits for its dialogues any more. */
void dialogues_drop(struct dialogues *d, const struct channel *ch);

#endif
