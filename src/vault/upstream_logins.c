/* upstream_logins.c - see upstream_logins.h. An exchange is over when it fails, or when its mechanism is done. */
#include "upstream_logins.h"

#include "posthouse/log.h"

#include <stdio.h>
#include <stdlib.h>

struct upstream_login {
	struct list in_all;
	struct upstream_logins *owner;
	struct channel
		*channel; /* NULL: it is closed, or relay began again; the exchange waits only for the end of sasl_work() */
	uint64_t connection, call;
	struct arena arena;
	struct str upstream;
	struct sasl_exchange *sasl;
	bool working; /* sasl_work() is under way on the pool */
	uv_work_t request;
};

void upstream_logins_init(struct upstream_logins *e, uv_loop_t *loop, upstream_login_answer_fn answer)
{
	*e = (struct upstream_logins){ .loop = loop, .answer = answer };
	list_init(&e->all);
}

static void upstream_login_free(struct upstream_login *x)
{
	list_remove(&x->in_all);
	x->owner->n--;
	sasl_free(x->sasl);
	arena_fini(&x->arena);
	free(x);
}

/* While sasl_work() runs, the thread pool uses the memory. */
static void give_up(struct upstream_login *x)
{
	if (x->working)
		x->channel = NULL;
	else
		upstream_login_free(x);
}

void upstream_logins_drop(struct upstream_logins *e, const struct channel *ch)
{
	LIST_EACH_OF (struct upstream_login, x, &e->all, in_all)
		if (x->channel == ch)
			give_up(x);
}

static struct upstream_login *find(struct upstream_logins *e, const struct channel *ch, const struct msg_upstream_step *m)
{
	LIST_EACH_OF (struct upstream_login, x, &e->all, in_all)
		if (x->channel == ch && x->connection == m->connection && str_eq(x->upstream, m->upstream))
			return x;
	return NULL;
}

static bool make_room(struct upstream_logins *e)
{
	LIST_EACH_OF (struct upstream_login, x, &e->all, in_all) {
		if (e->n < UPSTREAM_LOGINS_MAX)
			return true;
		if (!x->working)
			upstream_login_free(x);
	}
	return e->n < UPSTREAM_LOGINS_MAX;
}

static void refuse(struct upstream_logins *e, struct channel *ch, const struct msg_upstream_step *m, struct str why)
{
	e->answer(ch, m->call, m->upstream, temp(454, S("4.7.8"), why), S(""), false);
}

/* ---- the steps, in their order ---- */

/* Send the result of the last step to relay. */
static void answer(struct upstream_login *x, struct verdict v, struct secret *response)
{
	bool done = v.class == OK && sasl_is_done(x->sasl);

	x->owner->answer(x->channel, x->call, x->upstream, v, secret_view(response), done);
	secret_fini(response);
	if (v.class != OK || done)
		upstream_login_free(x);
}

static void begin(struct upstream_logins *e, struct channel *ch, const struct sasl_mechanism *mechanism,
		  const struct sasl_credentials *credentials, const struct msg_upstream_step *m)
{
	struct upstream_login *x = find(e, ch, m);
	struct secret response = { 0 };

	if (x)
		give_up(x);
	if (!make_room(e)) {
		e->answer(ch, m->call, m->upstream, temp(454, S("4.3.2"), S("too many logins at upstreams at once")), S(""),
			  false);
		return;
	}
	x = NEW(struct upstream_login);
	x->owner = e;
	x->channel = ch;
	x->connection = m->connection;
	x->call = m->call;
	x->upstream = arena_str(&x->arena, m->upstream);
	x->sasl = sasl_new(mechanism);
	list_append(&e->all, &x->in_all);
	e->n++;
	answer(x, sasl_initial(x->sasl, credentials, m->challenge, &response), &response);
}

static void worked(struct upstream_login *x)
{
	struct secret response = { 0 };

	answer(x, sasl_worked(x->sasl, &response), &response);
}

static void on_pool(uv_work_t *request)
{
	struct upstream_login *x = request->data;

	sasl_work(x->sasl);
}

static void on_worked(uv_work_t *request, int status)
{
	struct upstream_login *x = request->data;

	x->working = false;
	if (x->channel)
		worked(x);
	else
		upstream_login_free(x);
}

static void go_on(struct upstream_login *x, const struct sasl_credentials *credentials, struct str challenge)
{
	struct secret response = { 0 };
	struct verdict v = sasl_step(x->sasl, credentials, challenge, &response);
	int status;

	if (v.class != OK || sasl_work_left(x->sasl) == SASL_NO_WORK) {
		answer(x, v, &response);
		return;
	}
	if (sasl_work_left(x->sasl) == SASL_SHORT_WORK) {
		sasl_work(x->sasl);
		worked(x);
		return;
	}
	x->request.data = x;
	status = uv_queue_work(x->owner->loop, &x->request, on_pool, on_worked);
	x->working = status == 0;
	if (status != 0)
		answer(x, temp(454, S("4.3.0"), str_of(uv_strerror(status))), &response);
}

/* The mechanism does not remember: each step depends only on (upstream, mechanism, first), so nothing is kept between calls. */
static void step_forgetful(struct upstream_logins *e, struct channel *ch, const struct sasl_mechanism *mechanism,
			   const struct sasl_credentials *credentials, const struct msg_upstream_step *m)
{
	struct sasl_exchange *sasl = sasl_new(mechanism);
	struct secret response = { 0 };
	struct verdict v = (m->first ? sasl_initial : sasl_step)(sasl, credentials, m->challenge, &response);

	e->answer(ch, m->call, m->upstream, v, secret_view(&response), v.class == OK && sasl_is_done(sasl));
	secret_fini(&response);
	sasl_free(sasl);
}

/* The server refuses the token, and says why in its challenge (RFC 7628 section 3.2.2): the log gets that, without what could
 * be a secret. */
static void note_refusal(const struct sasl_mechanism *mechanism, const struct sasl_credentials *credentials,
			 const struct msg_upstream_step *m)
{
	struct arena a = { 0 };

	if (m->first || !(mechanism->needs & SASL_TOKEN))
		return;
	log_warning(NULL, "upstream.token_refused", kv("upstream", m->upstream),
		    kv("challenge", sasl_harmless(&a, credentials, m->challenge)));
	arena_fini(&a);
}

/* Why the upstream cannot log in by this mechanism; "": it can. A certificate is none of vault's business. */
static struct str obstacle(const struct cfg_upstream *u, const struct sasl_mechanism *mechanism)
{
	unsigned missing = u && mechanism ? mechanism->needs & ~(config_credentials(u) | SASL_CERTIFICATE) : 0;

	if (!u)
		return S("no such upstream is configured");
	if (!mechanism)
		return S("this mechanism is not built");
	if (missing && u->oauth.provider != OAUTH_NONE)
		return S("this upstream logs in by a token, and never by a password");
	return missing ? S("no login is configured for this upstream") : S("");
}

void upstream_login_step(struct upstream_logins *e, struct channel *ch, const struct config *c, struct str token,
			 const struct msg_upstream_step *m)
{
	const struct sasl_mechanism *mechanism = sasl_find(m->mechanism);
	const struct cfg_upstream *u = config_upstream(c, m->upstream);
	struct sasl_credentials credentials;
	struct upstream_login *x;
	char why[100];

	if (obstacle(u, mechanism).n > 0) {
		refuse(e, ch, m, obstacle(u, mechanism));
		return;
	}
	credentials = (struct sasl_credentials){
		.login = u->login, .password = u->password, .token = token, .host = u->host, .port = (unsigned)u->port
	};
	note_refusal(mechanism, &credentials, m);
	if (!(mechanism->traits & SASL_REMEMBERS)) {
		step_forgetful(e, ch, mechanism, &credentials, m);
		return;
	}
	if (m->first) {
		begin(e, ch, mechanism, &credentials, m);
		return;
	}
	x = find(e, ch, m);
	if (!x || x->working) {
		snprintf(why, sizeof why, "the upstream asks for more than %s has, or came too late", mechanism->name);
		refuse(e, ch, m, str_of(why));
		return;
	}
	x->call = m->call;
	go_on(x, &credentials, m->challenge);
}
