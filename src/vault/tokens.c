/* tokens.c - see tokens.h. */
#include "token.h"

#include "token_store.h"

#include "posthouse/clock.h"
#include "posthouse/log.h"
#include "posthouse/units.h"

#include <stdlib.h>

#define PATIENCE_MS (8 * SECOND_MS)  /* how long a login waits: relay's call has 10 s */
#define NEW_MS      (30 * SECOND_MS) /* a token that is refused at this age is not worth replacing */

void token_free_if_closed(struct token *k)
{
	if (k->handles > 0 || k->saving)
		return;
	secret_fini(&k->refresh);
	secret_fini(&k->next_access);
	free(k->why);
	arena_fini(&k->arena);
	free(k);
}

static void on_closed(uv_handle_t *h)
{
	struct token *k = h->data;

	k->handles--;
	token_free_if_closed(k);
}

static struct token *add(struct tokens *t, const struct cfg_upstream *u, struct str identity)
{
	struct token *k = NEW(struct token);

	k->all = t;
	k->name = str_of(arena_cstr(&k->arena, u->name));
	k->identity = arena_str(&k->arena, identity);
	k->seed = token_seed(&k->arena, u->oauth.client_id, u->oauth.refresh_token);
	k->upstream = u;
	list_init(&k->waiting);
	list_append(&t->all, &k->in_all);
	uv_timer_init(role_loop(t->role), &k->timer);
	uv_timer_init(role_loop(t->role), &k->patience);
	k->timer.data = k->patience.data = k;
	k->handles = 2;
	return k;
}

static void drop(struct token *k)
{
	list_remove(&k->in_all);
	k->gone = true;
	token_call_over(k);
	token_answer_waiting(k, temp(454, S("4.3.0"), S("the configuration has changed")), S(""));
	secret_fini(&k->access);
	uv_close((uv_handle_t *)&k->timer, on_closed);
	uv_close((uv_handle_t *)&k->patience, on_closed);
}

void tokens_go_on(struct tokens *t)
{
	LIST_EACH_OF (struct token, k, &t->all, in_all)
		if (!token_is_valid(k) && k->trouble != PERSON && k->next_access.n == 0)
			token_request_begin(k);
}

/* ---- for those who log in ---- */

static struct token *find(struct tokens *t, struct str upstream)
{
	LIST_EACH_OF (struct token, k, &t->all, in_all)
		if (str_eq(k->name, upstream))
			return k;
	return NULL;
}

static void on_patience_over(uv_timer_t *timer)
{
	token_answer_waiting(timer->data, temp(454, S("4.4.3"), S("the provider of the token has not answered so far")), S(""));
}

void token_get(struct tokens *t, struct str upstream, struct token_wait *w)
{
	struct token *k = find(t, upstream);

	if (!k) {
		w->done(w->ctx, temp(454, S("4.7.8"), S("this upstream has no oauth")), S(""));
		return;
	}
	if (token_is_valid(k)) {
		w->done(w->ctx, ok(), secret_view(&k->access));
		return;
	}
	if (k->trouble != FINE && !k->call && !k->saving) {
		w->done(w->ctx, token_trouble(k), S(""));
		return;
	}
	w->waits = true;
	list_append(&k->waiting, &w->in_waiting);
	if (!uv_is_active((uv_handle_t *)&k->patience))
		uv_timer_start(&k->patience, on_patience_over, PATIENCE_MS, 0);
	token_request_begin(k);
}

void token_stop_waiting(struct token_wait *w)
{
	if (w->waits)
		list_remove(&w->in_waiting);
	w->waits = false;
}

struct str token_now(struct tokens *t, struct str upstream)
{
	const struct token *k = find(t, upstream);

	return k && token_is_valid(k) ? secret_view(&k->access) : S("");
}

void token_refused(struct tokens *t, struct str upstream)
{
	struct token *k = find(t, upstream);

	if (!k || k->access.n == 0 || clock_mono_ms() - k->got_mono < NEW_MS)
		return;
	secret_fini(&k->access);
	token_request_begin(k);
}

bool token_signed_in(struct tokens *t, struct str upstream, const struct token_answer *answer)
{
	struct token *k = find(t, upstream);

	if (!k || k->saving)
		return false;
	token_call_over(k);
	secret_fini(&k->access);
	secret_fini(&k->refresh); /* so that the new one is stored, even where it is the same */
	k->trouble = FINE;
	token_granted(k, answer);
	return true;
}

/* ---- configuration ---- */

/* All that the token depends on, as one text. */
static struct str identity_of(struct arena *a, const struct cfg_upstream *u)
{
	const struct cfg_oauth *o = &u->oauth;
	struct str text = arena_printf(a, "%u %u\n%.*s\n%.*s\n%.*s\n%.*s\n%.*s\n%.*s", o->provider, o->grant, STR_ARG(u->login),
				       STR_ARG(o->scope), STR_ARG(o->token_url), STR_ARG(o->service_account),
				       STR_ARG(token_seed(a, o->client_id, o->refresh_token)),
				       STR_ARG(token_seed(a, o->client_secret, o->key_pem)));

	for (size_t i = 0; i < o->command.n; i++)
		text = arena_printf(a, "%.*s\n%.*s", STR_ARG(text), STR_ARG(o->command.at[i]));
	return text;
}

/* What is stored goes before the configuration's, from which it has come. */
static void load(struct token *k)
{
	struct stored_token stored = { .seed = S("") };
	struct arena a = { 0 };
	struct str why = S("");
	bool found = k->all->directory >= 0 && token_store_read(&a, k->all->directory, k->name, &stored, &why);

	if (why.n > 0)
		log_error(NULL, "token.unreadable", kv("upstream", k->name), kv("error", why));
	if (found && str_eq(stored.seed, k->seed))
		secret_set(&k->refresh, secret_view(&stored.refresh_token));
	else
		secret_set(&k->refresh, k->upstream->oauth.refresh_token);
	secret_fini(&stored.refresh_token);
	arena_fini(&a);
}

static void apply_one(struct tokens *t, const struct cfg_upstream *u)
{
	struct arena a = { 0 };
	struct str identity = identity_of(&a, u);
	struct token *k = find(t, u->name);

	if (k && !str_eq(k->identity, identity)) {
		drop(k);
		k = NULL;
	}
	if (k) {
		k->upstream = u;
		if (k->trouble == PERSON && !k->call && !k->saving) /* a reload is a person's act */
			token_request_begin(k);
	} else {
		k = add(t, u, identity);
		if (u->oauth.grant == GRANT_REFRESH_TOKEN)
			load(k);
		token_request_begin(k);
	}
	arena_fini(&a);
}

void tokens_apply(struct tokens *t, const struct config *c)
{
	LIST_EACH_OF (struct token, k, &t->all, in_all) {
		const struct cfg_upstream *u = config_upstream(c, k->name);

		if (!u || u->oauth.provider == OAUTH_NONE)
			drop(k);
	}
	for (size_t i = 0; i < c->upstreams_n; i++)
		if (c->upstreams[i].oauth.provider != OAUTH_NONE)
			apply_one(t, &c->upstreams[i]);
}

struct tokens *tokens_new(struct role *r, int directory)
{
	struct tokens *t = NEW(struct tokens);

	t->role = r;
	t->directory = directory;
	list_init(&t->all);
	return t;
}

void tokens_stats(struct tokens *t)
{
	uint64_t now = clock_mono_ms();
	struct arena a = { 0 };

	LIST_EACH_OF (struct token, k, &t->all, in_all) {
		struct str text = k->call || k->saving ? S("asked for") : S("");

		if (k->why)
			text = arena_printf(&a, "%s: %s", k->trouble == PERSON ? "a person must act" : "waits", k->why);

		role_stat_of(t->role, METRIC_VAULT_TOKEN, k->name, token_is_valid(k) ? (k->expires_mono - now) / 1000 : 0, text);
	}
	arena_fini(&a);
}
