/* sign_in.c - see sign_in.h. There is one sign-in at a time for an upstream: who begins again makes the one before worthless. */
#include "sign_in.h"

#include "token_answer.h"
#include "token_request.h"

#include "posthouse/clock.h"
#include "posthouse/log.h"
#include "posthouse/units.h"

#include <openssl/rand.h>
#include <stdlib.h>

#define INTERVAL_MS  (5 * SECOND_MS) /* RFC 8628 section 3.2: where the provider says none */
#define SLOWER_MS    (5 * SECOND_MS) /* section 3.5: more for each slow_down */
#define LIFE_MS      (30 * MINUTE_MS)
#define RANDOM_BYTES 32
#define SIGN_INS_MAX 16

struct sign_in {
	struct list in_all;
	struct sign_ins *all;
	struct arena arena;
	struct str upstream, redirect, state, url, user_code;
	struct secret device_code, verifier;
	uint64_t interval_ms, next_mono, ends_mono;
	/* the step under way */
	struct channel *channel; /* NULL: nobody waits for its answer */
	uint64_t step_call;      /* what is to be answered; 0: no step is under way */
	uint64_t fetch_call;
	struct token_wait stored;
};

struct sign_ins {
	struct role *role;
	struct tokens *tokens;
	struct list all;
	size_t n;
};

struct sign_ins *sign_ins_new(struct role *r, struct tokens *t)
{
	struct sign_ins *s = NEW(struct sign_ins);

	s->role = r;
	s->tokens = t;
	list_init(&s->all);
	return s;
}

/* The answer has come, or is not waited for any more. */
static void fetch_over(struct sign_in *i)
{
	if (i->fetch_call)
		role_busy(i->all->role, -1);
	ipc_cancel(i->fetch_call);
	i->fetch_call = 0;
}

static void end(struct sign_in *i)
{
	list_remove(&i->in_all);
	i->all->n--;
	fetch_over(i);
	token_stop_waiting(&i->stored);
	secret_fini(&i->device_code);
	secret_fini(&i->verifier);
	arena_fini(&i->arena);
	free(i);
}

static void refuse(struct channel *ch, uint64_t call, struct str why)
{
	ipc_send_upstream_signed_in(ch, &(struct msg_upstream_signed_in){ .call = call, .verdict = perm(554, S("5.7.0"), why) },
				    -1);
}

/* The step's answer; not OK ends the sign-in, and so does `done`. */
static void answer(struct sign_in *i, struct verdict v, bool done)
{
	uint64_t now = clock_mono_ms();
	struct msg_upstream_signed_in m = { .call = i->step_call,
					    .verdict = v,
					    .done = done,
					    .url = i->url,
					    .user_code = i->user_code,
					    .interval_ms = i->next_mono > now ? i->next_mono - now : 0,
					    .expires_ms = i->ends_mono > now ? i->ends_mono - now : 0 };

	i->step_call = 0;
	if (i->channel)
		ipc_send_upstream_signed_in(i->channel, &m, -1);
	if (v.class != OK || done)
		end(i);
}

static void failed(struct sign_in *i, struct str why)
{
	answer(i, perm(554, S("5.7.0"), why), false);
}

static struct sign_in *find(struct sign_ins *s, struct str upstream)
{
	LIST_EACH_OF (struct sign_in, i, &s->all, in_all)
		if (str_eq(i->upstream, upstream))
			return i;
	return NULL;
}

static void fetch(struct sign_in *i, struct str url, struct secret *body, ipc_on_fetch done)
{
	struct msg_fetch m = { .url = url, .content_type = S(FORM_TYPE), .body = secret_view(body) };

	i->fetch_call = ipc_call_fetch(role_peer(i->all->role, ROLE_FETCH, 0), &m, -1, done, i);
	role_busy(i->all->role, 1); /* a refresh token is given once */
	secret_fini(body);
}

static struct str random_text(struct arena *a)
{
	unsigned char bytes[RANDOM_BYTES];

	return RAND_bytes(bytes, sizeof bytes) == 1 ? base64url(a, str_make(bytes, sizeof bytes)) : S("");
}

/* ---- the token ---- */

static void on_stored(void *ctx, struct verdict v, struct str token)
{
	struct sign_in *i = ctx;

	if (v.class == OK)
		log_info(NULL, "token.signed_in", kv("upstream", i->upstream));
	answer(i, v, v.class == OK);
}

static void on_tokens(void *ctx, struct verdict v, const struct msg_fetched *m, int fd)
{
	struct sign_in *i = ctx;
	struct token_answer t = token_answer(&i->arena, v, m, clock_now_ms());

	fetch_over(i);
	if (t.outcome == TOKEN_SLOWER)
		i->interval_ms += SLOWER_MS;
	if (t.outcome == TOKEN_PERSON) {
		failed(i, t.why);
	} else if (t.outcome != TOKEN_GRANTED) {
		i->next_mono = clock_mono_ms() + i->interval_ms;
		if (i->device_code.n > 0)
			answer(i, ok(), false);
		else
			failed(i, t.why); /* a code is good for one try */
	} else if (t.refresh_token.n == 0) {
		failed(i, S("the provider gives no refresh token: the application or the scope lacks offline access"));
	} else if (!token_signed_in(i->all->tokens, i->upstream, &t)) {
		failed(i, S("the configuration has changed meanwhile"));
	} else {
		i->stored = (struct token_wait){ .done = on_stored, .ctx = i };
		token_get(i->all->tokens, i->upstream, &i->stored);
	}
}

/* ---- by another device ---- */

static uint64_t seconds(const struct msg_fetched *m, const char *name, uint64_t otherwise_ms, uint64_t most_ms)
{
	uint64_t s;

	if (!str_to_u64(token_field(m, name), &s) || s == 0)
		return otherwise_ms;
	return s < most_ms / SECOND_MS ? s * SECOND_MS : most_ms;
}

static void on_device(void *ctx, struct verdict v, const struct msg_fetched *m, int fd)
{
	struct sign_in *i = ctx;
	struct str url = token_field(m, "verification_uri");
	uint64_t now = clock_mono_ms();

	fetch_over(i);
	if (url.n == 0)
		url = token_field(m, "verification_url"); /* Google's spelling */
	if (!m || m->verdict.class != OK || m->status / 100 != 2 || url.n == 0 || token_field(m, "device_code").n == 0) {
		struct token_answer t = token_answer(&i->arena, v, m, clock_now_ms());

		failed(i, t.why.n > 0 ? t.why : S("the provider's answer has no code to enter"));
		return;
	}
	secret_set(&i->device_code, token_field(m, "device_code"));
	i->url = arena_str(&i->arena, url);
	i->user_code = arena_str(&i->arena, token_field(m, "user_code"));
	i->interval_ms = seconds(m, "interval", INTERVAL_MS, MINUTE_MS);
	i->ends_mono = now + seconds(m, "expires_in", LIFE_MS, LIFE_MS);
	i->next_mono = now + i->interval_ms;
	answer(i, ok(), false);
}

static void ask(struct sign_in *i, const struct cfg_oauth *o)
{
	struct secret body = { 0 };

	if (clock_mono_ms() >= i->ends_mono) {
		failed(i, S("nobody has signed in within the time that the provider gives"));
	} else if (clock_mono_ms() < i->next_mono) {
		answer(i, ok(), false);
	} else {
		device_token_request(o, secret_view(&i->device_code), &body);
		fetch(i, o->token_url, &body, on_tokens);
	}
}

/* ---- by a browser that comes back ---- */

static void send_browser(struct sign_in *i, const struct cfg_upstream *u, struct str redirect)
{
	secret_set(&i->verifier, random_text(&i->arena));
	i->state = random_text(&i->arena);
	if (i->state.n == 0 || i->verifier.n == 0) {
		failed(i, S("no random numbers"));
		return;
	}
	i->redirect = arena_str(&i->arena, redirect);
	i->url = authorization_url(&i->arena, u, redirect, i->state, secret_view(&i->verifier));
	answer(i, ok(), false);
}

static void take_code(struct sign_in *i, const struct cfg_oauth *o, const struct msg_upstream_sign_in *m)
{
	struct secret body = { 0 };

	if (i->verifier.n == 0 || !same_secret(m->state, i->state)) {
		failed(i, S("the browser has come back from another sign-in"));
		return;
	}
	code_request(o, m->code, i->redirect, secret_view(&i->verifier), &body);
	fetch(i, o->token_url, &body, on_tokens);
}

/* ---- steps ---- */

static void begin(struct sign_ins *s, const struct cfg_upstream *u, struct channel *ch, const struct msg_upstream_sign_in *m)
{
	const struct cfg_oauth *o = &u->oauth;
	struct secret body = { 0 };
	struct sign_in *i = find(s, u->name);

	if (i && i->step_call)
		failed(i, S("another sign-in has begun"));
	else if (i)
		end(i);
	if (s->n >= SIGN_INS_MAX) {
		refuse(ch, m->call, S("too many sign-ins at once"));
		return;
	}
	i = NEW(struct sign_in);
	i->all = s;
	list_append(&s->all, &i->in_all);
	s->n++;
	i->upstream = arena_str(&i->arena, u->name);
	i->channel = ch;
	i->step_call = m->call;
	i->ends_mono = clock_mono_ms() + LIFE_MS;
	if (o->device_url.n > 0) {
		device_request(o, &body);
		fetch(i, o->device_url, &body, on_device);
	} else if (o->authorization_url.n > 0) {
		send_browser(i, u, m->redirect);
	} else {
		failed(i, S("expected device_url or authorization_url in upstreams.oauth, to sign in there"));
	}
}

void sign_in_step(struct sign_ins *s, struct channel *ch, const struct config *c, const struct msg_upstream_sign_in *m)
{
	const struct cfg_upstream *u = c ? config_upstream(c, m->upstream) : NULL;
	struct sign_in *i = find(s, m->upstream);

	if (!u || u->oauth.provider == OAUTH_NONE) {
		refuse(ch, m->call,
		       u ? S("this upstream has no oauth, so nobody signs in there") : S("no such upstream is configured"));
	} else if (u->oauth.grant != GRANT_REFRESH_TOKEN) {
		refuse(ch, m->call, S("this upstream gets its tokens by another grant, without a person"));
	} else if (m->step == 0) {
		begin(s, u, ch, m);
	} else if (!i || i->step_call) {
		refuse(ch, m->call, i ? S("a step of this sign-in is under way") : S("no sign-in of this upstream was begun"));
	} else {
		i->channel = ch;
		i->step_call = m->call;
		if (m->step == 2)
			take_code(i, &u->oauth, m);
		else if (i->device_code.n > 0)
			ask(i, &u->oauth);
		else
			answer(i, ok(), false);
	}
}

void sign_ins_drop(struct sign_ins *s, const struct channel *ch)
{
	LIST_EACH_OF (struct sign_in, i, &s->all, in_all)
		if (i->channel == ch)
			i->channel = NULL;
}
