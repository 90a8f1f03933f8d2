/* token_logins.c - see token_logins.h. */
#include "token_logins.h"

#include <stdlib.h>

#define WAITING_MAX 2048 /* steps: a pool of relay has some hundred connections at most */

/* A copy of the step's message. */
struct waiting_step {
	struct list in_all;
	struct token_logins *all;
	struct channel *channel;
	struct arena arena;
	struct msg_upstream_step message;
	struct token_wait wait;
};

void token_logins_init(struct token_logins *t, struct role *r, struct tokens *tokens, struct upstream_logins *logins)
{
	*t = (struct token_logins){ .role = r, .tokens = tokens, .logins = logins };
	list_init(&t->waiting);
}

static void end(struct waiting_step *s)
{
	token_stop_waiting(&s->wait);
	list_remove(&s->in_all);
	s->all->waiting_n--;
	arena_fini(&s->arena);
	free(s);
}

static void on_token(void *ctx, struct verdict v, struct str token)
{
	struct waiting_step *s = ctx;
	struct token_logins *t = s->all;

	if (v.class == OK)
		upstream_login_step(t->logins, s->channel, role_config(t->role), token, &s->message);
	else
		t->logins->answer(s->channel, s->message.call, s->message.upstream, v, S(""), false);
	end(s);
}

static void wait_for_token(struct token_logins *t, struct channel *ch, const struct msg_upstream_step *m)
{
	struct waiting_step *s;

	if (t->waiting_n >= WAITING_MAX) {
		t->logins->answer(ch, m->call, m->upstream, temp(454, S("4.3.2"), S("too many logins at upstreams at once")),
				  S(""), false);
		return;
	}
	s = NEW(struct waiting_step);
	t->waiting_n++;
	s->all = t;
	s->channel = ch;
	s->message = *m;
	s->message.upstream = arena_str(&s->arena, m->upstream);
	s->message.mechanism = arena_str(&s->arena, m->mechanism);
	s->message.challenge = arena_str(&s->arena, m->challenge);
	s->wait = (struct token_wait){ .done = on_token, .ctx = s };
	list_append(&t->waiting, &s->in_all);
	token_get(t->tokens, s->message.upstream, &s->wait);
}

void token_login_step(struct token_logins *t, struct channel *ch, const struct msg_upstream_step *m)
{
	const struct config *c = role_config(t->role);
	const struct cfg_upstream *u = config_upstream(c, m->upstream);

	if (m->first && u && u->oauth.provider != OAUTH_NONE)
		wait_for_token(t, ch, m);
	else
		upstream_login_step(t->logins, ch, c, token_now(t->tokens, m->upstream), m);
}

void token_logins_drop(struct token_logins *t, const struct channel *ch)
{
	LIST_EACH_OF (struct waiting_step, s, &t->waiting, in_all)
		if (s->channel == ch)
			end(s);
}
