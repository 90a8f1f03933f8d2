/* upstream_logins.h - logins at upstreams that are under way: a struct sasl_exchange for each, between the steps that relay asks
 * for. Loop only. */
#ifndef POSTHOUSE_VAULT_UPSTREAM_LOGINS_H
#define POSTHOUSE_VAULT_UPSTREAM_LOGINS_H

#include "posthouse/config.h"
#include "posthouse/ipc.h"
#include "posthouse/list.h"
#include "posthouse/sasl.h"

/* At the same time. A new login replaces the oldest one that waits for its upstream, so logins that relay gave up are freed
 * soon. */
#define UPSTREAM_LOGINS_MAX 256

/* The answer to the step that was `call` of `ch`; the views live until it returns. */
typedef void (*upstream_login_answer_fn)(struct channel *ch, uint64_t call, struct str upstream, struct verdict v,
					 struct str response, bool done);

struct upstream_logins {
	struct list all; /* the oldest first */
	size_t n;
	uv_loop_t *loop;
	upstream_login_answer_fn answer;
};
void upstream_logins_init(struct upstream_logins *e, uv_loop_t *loop, upstream_login_answer_fn answer);

/* A step of m->mechanism for an upstream of the configuration; m->first begins a new exchange. An exchange that remembers its
 * steps is identified by (channel, upstream, connection). Answered exactly once, at once or later, unless the channel is dropped
 * before: TEMP 454 4.7.8 when the upstream, its login or the mechanism is not known. `done`: sasl_is_done(). `token`: the
 * access token, "" where there is none. */
void upstream_login_step(struct upstream_logins *e, struct channel *ch, const struct config *c, struct str token,
			 const struct msg_upstream_step *m);

/* The channel is closed: free its exchanges. */
void upstream_logins_drop(struct upstream_logins *e, const struct channel *ch);

#endif
