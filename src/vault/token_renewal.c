/* token_renewal.c - asks for a token: token_request_begin(), then token_granted(), on_saved() and ready(), in this order. */
#include "token.h"

#include "token_request.h"
#include "token_store.h"

#include "posthouse/clock.h"
#include "posthouse/id.h"
#include "posthouse/log.h"
#include "posthouse/units.h"

#include <stdlib.h>

#define PAUSE_FIRST_MS  (5 * SECOND_MS) /* after the first failure; doubled by each further one */
#define PAUSE_MAX_MS    (10 * MINUTE_MS)
#define PERSON_PAUSE_MS HOUR_MS /* what was mended at the provider is noticed after this time */

static void save(struct token *k);

void token_answer_waiting(struct token *k, struct verdict v, struct str token)
{
	while (!list_empty(&k->waiting)) {
		struct token_wait *w = CONTAINER_OF(list_first(&k->waiting), struct token_wait, in_waiting);

		token_stop_waiting(w);
		w->done(w->ctx, v, token);
	}
	uv_timer_stop(&k->patience);
}

/* ---- failures ---- */

static bool can_sign_in(const struct token *k)
{
	return k->upstream->oauth.grant == GRANT_REFRESH_TOKEN;
}

struct verdict token_trouble(const struct token *k)
{
	/* RFC 3463 3.5: X.4.3 a directory server does not answer; relay sees from it that nobody has to act */
	return temp(454, k->trouble == PERSON ? S("4.7.8") : S("4.4.3"), str_of(k->why ? k->why : "no token"));
}

bool token_is_valid(const struct token *k)
{
	return k->access.n > 0 && clock_mono_ms() < k->expires_mono;
}

/* True: it is another trouble than before. */
static bool note_trouble(struct token *k, enum trouble_kind kind, struct str why)
{
	bool same = k->trouble == kind && k->why && str_eq(str_of(k->why), why);
	char *copy = str_dup(why);

	free(k->why);
	k->why = copy;
	k->trouble = kind;
	return !same;
}

static void on_timer(uv_timer_t *timer)
{
	struct token *k = timer->data;

	if (k->next_access.n > 0)
		save(k);
	else
		token_request_begin(k);
}

static void wait_later(struct token *k, struct str why, uint64_t least_ms)
{
	uint64_t pause = PAUSE_FIRST_MS;

	for (unsigned i = 0; i < k->failures && pause < PAUSE_MAX_MS; i++)
		pause *= 2;
	pause = pause > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause;
	pause = pause < least_ms ? least_ms < HOUR_MS ? least_ms : HOUR_MS : pause;
	pause -= random_u64() % (pause / 10); /* upstreams at one provider are not to ask at one moment */
	k->failures++;
	note_trouble(k, LATER, why);
	log_warning(NULL, "token.unavailable", kv("upstream", k->name), kv("reason", why), kv("next_in_ms", pause));
	uv_timer_start(&k->timer, on_timer, pause, 0);
	if (!token_is_valid(k))
		token_answer_waiting(k, token_trouble(k), S(""));
}

static void need_person(struct token *k, struct str why)
{
	struct arena a = { 0 };
	struct str text =
		can_sign_in(k) ? arena_printf(&a, "%.*s; run \"posthouse upstream login %.*s\"", STR_ARG(why), STR_ARG(k->name))
			       : arena_printf(&a, "%.*s; mend it at the provider or in upstreams.oauth", STR_ARG(why));

	if (note_trouble(k, PERSON, text))
		log_error(NULL, "token.refused", kv("upstream", k->name), kv("reason", text));
	arena_fini(&a);
	uv_timer_start(&k->timer, on_timer, PERSON_PAUSE_MS, 0);
	if (!token_is_valid(k))
		token_answer_waiting(k, token_trouble(k), S(""));
}

/* ---- success ---- */

/* At a random time from 90 to 95 % of its life. */
static void ready(struct token *k)
{
	uint64_t life = k->next_expires_s * SECOND_MS, ahead = life / 20 + random_u64() % (life / 20 + 1);

	secret_fini(&k->access);
	k->access = k->next_access;
	k->next_access = (struct secret){ 0 };
	k->got_mono = clock_mono_ms();
	k->expires_mono = k->got_mono + life;
	k->trouble = FINE;
	k->failures = 0;
	free(k->why);
	k->why = NULL;
	log_info(NULL, "token.renewed", kv("upstream", k->name), kv("expires_s", k->next_expires_s));
	uv_timer_start(&k->timer, on_timer, life - ahead, 0);
	token_answer_waiting(k, ok(), secret_view(&k->access));
}

static void on_pool(uv_work_t *work)
{
	struct token *k = work->data;

	if (!k->error)
		k->error = token_store_write(k->all->directory, k->name.p, k->seed, secret_view(&k->refresh));
}

static void on_saved(uv_work_t *work, int status)
{
	struct token *k = work->data;
	struct arena a = { 0 };

	k->saving = false;
	role_busy(k->all->role, -1);
	if (k->gone) {
		token_free_if_closed(k);
		return;
	}
	if (k->error) {
		struct str why =
			arena_printf(&a, "the refresh token cannot be stored in state_dir/tokens: %s", strerror(k->error));

		log_error(NULL, "token.unsaved", kv("upstream", k->name), kv("error", strerror(k->error)));
		wait_later(k, why, 0);
		arena_fini(&a);
		return;
	}
	ready(k);
}

/* One at a time; the answer to the next request comes after it. */
static void save(struct token *k)
{
	int status;

	k->work.data = k;
	k->error = k->all->directory >= 0 ? 0 : -k->all->directory;
	k->saving = true;
	role_busy(k->all->role, 1);
	status = uv_queue_work(role_loop(k->all->role), &k->work, on_pool, on_saved);
	if (status != 0) {
		k->error = -status;
		on_saved(&k->work, status);
	}
}

void token_granted(struct token *k, const struct token_answer *t)
{
	secret_fini(&k->next_access);
	secret_set(&k->next_access, t->access_token);
	k->next_expires_s = t->expires_s;
	if (t->refresh_token.n == 0 || same_secret(t->refresh_token, secret_view(&k->refresh))) {
		ready(k);
		return;
	}
	secret_fini(&k->refresh);
	secret_set(&k->refresh, t->refresh_token);
	save(k);
}

/* ---- requests ---- */

void token_call_over(struct token *k)
{
	if (k->call)
		role_busy(k->all->role, -1);
	ipc_cancel(k->call);
	k->call = 0;
}

static void on_fetched(void *ctx, struct verdict v, const struct msg_fetched *m, int fd)
{
	struct token *k = ctx;
	struct arena a = { 0 };
	struct token_answer t = token_answer(&a, v, m, clock_now_ms());
	int64_t clock_error = t.clock_ms - k->clock_ms;

	token_call_over(k);
	if (t.outcome == TOKEN_GRANTED) {
		token_granted(k, &t);
	} else if (t.outcome == TOKEN_PERSON && k->upstream->oauth.grant == GRANT_SERVICE_ACCOUNT &&
		   (clock_error > (int64_t)MINUTE_MS || clock_error < -(int64_t)MINUTE_MS)) {
		k->clock_ms = t.clock_ms; /* a claim of the future or the past is refused: once more by the provider's clock */
		log_warning(NULL, "token.clock", kv("upstream", k->name), kv("ahead_ms", -t.clock_ms));
		token_request_begin(k);
	} else if (t.outcome == TOKEN_PERSON) {
		need_person(k, t.why);
	} else {
		wait_later(k, t.why, t.retry_after_ms);
	}
	arena_fini(&a);
}

static void on_output(void *ctx, struct verdict v, const struct msg_command_output *m, int fd)
{
	struct token *k = ctx;
	struct token_answer t = { .access_token = m ? m->output : S(""), .expires_s = 600 };
	struct verdict answer = m ? m->verdict : v;

	token_call_over(k);
	if (answer.class == OK && t.access_token.n > 0)
		token_granted(k, &t);
	else
		wait_later(k, answer.class == OK ? S("the command has printed no token") : answer.text, 0);
}

void token_request_begin(struct token *k)
{
	const struct cfg_oauth *o = &k->upstream->oauth;
	struct msg_fetch m = { .url = o->token_url, .content_type = S(FORM_TYPE) };
	struct secret body = { 0 };
	struct verdict v;

	if (k->call || k->saving || role_stopping(k->all->role))
		return;
	if (o->grant == GRANT_COMMAND) {
		k->call = ipc_call_command_run(role_peer(k->all->role, ROLE_MASTER, 0),
					       &(struct msg_command_run){ .upstream = k->name }, -1, on_output, k);
		role_busy(k->all->role, 1);
		return;
	}
	if (o->grant == GRANT_REFRESH_TOKEN && k->refresh.n == 0) {
		need_person(k, S("nobody has signed in at the provider"));
		return;
	}
	if (!role_peer(k->all->role, ROLE_FETCH, 0)) { /* it is being started: see tokens_go_on() */
		uv_timer_start(&k->timer, on_timer, PAUSE_FIRST_MS, 0);
		return;
	}
	v = token_request(k->upstream, secret_view(&k->refresh), (uint64_t)((int64_t)clock_now_ms() + k->clock_ms) / 1000, &body);
	if (v.class != OK) {
		need_person(k, v.text);
		return;
	}
	m.body = secret_view(&body);
	k->call = ipc_call_fetch(role_peer(k->all->role, ROLE_FETCH, 0), &m, -1, on_fetched, k);
	role_busy(k->all->role, 1); /* the answer can have a refresh token that is given only once */
	secret_fini(&body);
}
