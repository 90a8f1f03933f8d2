/* dialogue.c - see dialogue.h. A dialogue moves FIRST -> (SALTING ->) FINAL -> gone; whatever fails ends it. */
#include "dialogue.h"

#include "scram.h"

#include <stdlib.h>

/* More than this many iterations (7 ms) are computed beside the loop. */
#define ITERATIONS_INLINE 20000

struct dialogue {
	struct list in_all;
	struct dialogues *owner;
	struct channel *channel; /* NULL: has gone, or somebody began anew; only a work under way still needs us */
	uint64_t connection, call;
	enum { DIALOGUE_FIRST, DIALOGUE_SALTING, DIALOGUE_FINAL } state; /* what was sent last, or is being computed */
	struct str upstream;                                             /* in the scram's arena */
	struct scram scram;
	struct scram_work work;
	uv_work_t request;
	bool salted;
};

void dialogues_init(struct dialogues *d, uv_loop_t *loop, dialogue_answer_fn answer)
{
	*d = (struct dialogues){ .loop = loop, .answer = answer };
	list_init(&d->all);
}

static void dialogue_free(struct dialogue *g)
{
	list_remove(&g->in_all);
	g->owner->n--;
	scram_work_fini(&g->work);
	scram_fini(&g->scram);
	free(g);
}

/* The pool still has the memory of one that is being computed. */
static void give_up(struct dialogue *g)
{
	if (g->state == DIALOGUE_SALTING)
		g->channel = NULL;
	else
		dialogue_free(g);
}

void dialogues_drop(struct dialogues *d, const struct channel *ch)
{
	LIST_EACH (i, &d->all) {
		struct dialogue *g = CONTAINER_OF(i, struct dialogue, in_all);

		if (g->channel == ch)
			give_up(g);
	}
}

static struct dialogue *find(struct dialogues *d, const struct channel *ch, const struct msg_upstream_step *m)
{
	LIST_EACH (i, &d->all) {
		struct dialogue *g = CONTAINER_OF(i, struct dialogue, in_all);

		if (g->channel == ch && g->connection == m->connection && str_eq(g->upstream, m->upstream))
			return g;
	}
	return NULL;
}

static bool make_room(struct dialogues *d)
{
	LIST_EACH (i, &d->all) {
		struct dialogue *g = CONTAINER_OF(i, struct dialogue, in_all);

		if (d->n < DIALOGUES_MAX)
			return true;
		if (g->state != DIALOGUE_SALTING)
			dialogue_free(g);
	}
	return d->n < DIALOGUES_MAX;
}

/* ---- the steps, in their order ---- */

static void answer(struct dialogue *g, struct verdict v, struct secret *response, bool done)
{
	g->owner->answer(g->channel, g->call, g->upstream, v, secret_view(response), done);
	secret_fini(response);
}

static void fail(struct dialogue *g, struct verdict v)
{
	answer(g, v, &(struct secret){ 0 }, false);
	dialogue_free(g);
}

static void begin(struct dialogues *d, struct channel *ch, const struct cfg_upstream *u, const struct msg_upstream_step *m)
{
	struct dialogue *g = find(d, ch, m);
	struct secret response = { 0 };
	struct verdict v;

	if (g)
		give_up(g);
	if (!make_room(d)) {
		d->answer(ch, m->call, m->upstream, temp(454, S("4.7.0"), S("too many logins at upstreams at once")), S(""),
			  false);
		return;
	}
	g = NEW(struct dialogue);
	g->owner = d;
	g->channel = ch;
	g->connection = m->connection;
	g->call = m->call;
	g->upstream = arena_str(&g->scram.arena, m->upstream);
	list_append(&d->all, &g->in_all);
	d->n++;
	v = scram_first(&g->scram, u->login, S(""), &response);
	if (v.class != OK) {
		fail(g, v);
		return;
	}
	g->state = DIALOGUE_FIRST;
	answer(g, v, &response, false);
}

static void prove(struct dialogue *g)
{
	struct secret response = { 0 };
	struct verdict v = temp(454, S("4.7.0"), S("OpenSSL could not hash the password"));

	if (g->salted)
		v = scram_proof(&g->scram, &g->work, &response);
	scram_work_fini(&g->work);
	if (v.class != OK) {
		fail(g, v);
		return;
	}
	g->state = DIALOGUE_FINAL;
	answer(g, v, &response, false);
}

static void work_salt(uv_work_t *request)
{
	struct dialogue *g = request->data;

	g->salted = scram_salt(&g->work);
}

static void on_salted(uv_work_t *request, int status)
{
	struct dialogue *g = request->data;

	g->state = DIALOGUE_FIRST; /* the pool has let go */
	g->salted = g->salted && status == 0;
	if (g->channel)
		prove(g);
	else
		dialogue_free(g);
}

static void salt(struct dialogue *g, struct str challenge, struct str password)
{
	struct verdict v = scram_challenge(&g->scram, challenge, password, &g->work);
	int status;

	if (v.class != OK) {
		fail(g, v);
		return;
	}
	if (g->work.iterations <= ITERATIONS_INLINE) {
		g->salted = scram_salt(&g->work);
		prove(g);
		return;
	}
	g->request.data = g;
	g->state = DIALOGUE_SALTING;
	status = uv_queue_work(g->owner->loop, &g->request, work_salt, on_salted);
	if (status != 0) {
		g->state = DIALOGUE_FIRST;
		fail(g, temp(454, S("4.7.0"), str_of(uv_strerror(status))));
	}
}

void dialogue_step(struct dialogues *d, struct channel *ch, const struct cfg_upstream *u, const struct msg_upstream_step *m)
{
	struct dialogue *g;
	struct verdict v;

	if (m->first) {
		begin(d, ch, u, m);
		return;
	}
	g = find(d, ch, m);
	if (!g || g->state == DIALOGUE_SALTING) {
		d->answer(ch, m->call, m->upstream,
			  temp(454, S("4.7.0"), S("the upstream asks for more than SCRAM-SHA-256 has, or came too late")), S(""),
			  false);
		return;
	}
	g->call = m->call;
	if (g->state == DIALOGUE_FIRST) {
		salt(g, m->challenge, u->password);
		return;
	}
	v = scram_verify(&g->scram, m->challenge);
	answer(g, v, &(struct secret){ 0 }, v.class == OK);
	dialogue_free(g);
}
