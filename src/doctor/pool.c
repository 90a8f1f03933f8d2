/* pool.c - what waits for others: dialogues with mail servers, and tests of upstreams, on threads of libuv's pool. */
#include "source.h"

#include "posthouse/units.h"

#include <stdlib.h>

#define FOREIGN_MAX 2                /* connections to others, of each address family */
#define GREETED_MS  (10 * MINUTE_MS) /* nobody is greeted again within this time */

/* A thread has the job to itself until it comes back: its texts are in an arena of its own. */
struct job {
	uv_work_t work;
	struct job *next;
	struct source *source;
	struct arena arena;
	struct str ehlo, cache_key;
	const struct probe *probe;
	struct fact_probe *probe_answer, probed;
	struct str upstream;
	struct fact_upstream *upstream_answer, tested;
	struct str domain, selector;
	struct fact_sample *sample_answer, sampled;
	struct fact_policy *policy_answer, found;
};

static void on_thread(uv_work_t *work)
{
	struct job *j = work->data;

	if (j->probe)
		probe_run(&j->arena, j->probe, j->ehlo, &j->probed);
	else if (j->sample_answer)
		j->source->hooks.sample(j->source->hooks.ctx, &j->arena, j->domain, j->selector, &j->sampled);
	else if (j->policy_answer)
		j->source->hooks.policy(j->source->hooks.ctx, &j->arena, j->domain, &j->found);
	else
		j->source->hooks.upstream(j->source->hooks.ctx, &j->arena, j->upstream, &j->tested);
}

static void on_back(uv_work_t *work, int status)
{
	struct job *j = work->data;
	struct source *s = j->source;

	s->running--;
	if (!s->gone && j->probe && j->probe_answer->state == FACT_PENDING) {
		*j->probe_answer = j->probed;
		if (j->cache_key.n > 0)
			cache_keep(s->cache, j->cache_key, cache_from_probe(&j->probed));
	} else if (!s->gone && j->upstream_answer && j->upstream_answer->state == FACT_PENDING) {
		*j->upstream_answer = j->tested;
	} else if (!s->gone && j->sample_answer && j->sample_answer->state == FACT_PENDING) {
		*j->sample_answer = j->sampled;
	} else if (!s->gone && j->policy_answer && j->policy_answer->state == FACT_PENDING) {
		*j->policy_answer = j->found;
	}
	s->news(s);
}

static struct job *job_new(struct source *s)
{
	struct job *j = NEW(struct job);

	j->work.data = j;
	j->source = s;
	j->next = s->jobs;
	s->jobs = j;
	return j;
}

static void start(struct job *j)
{
	j->source->running++;
	uv_queue_work(j->source->loop, &j->work, on_thread, on_back);
}

void pool_free(struct source *s)
{
	while (s->jobs) {
		struct job *j = s->jobs;

		s->jobs = j->next;
		arena_fini(&j->arena);
		free(j);
	}
}

/* Is it a mail server of others? Listeners of ours are at addresses of this machine or network, or at one that the world sees. */
static bool is_foreign(const struct source *s, const struct probe *p)
{
	const struct situation *at = doctor_situation(s->doctor);

	if (p->port != s->config->delivery.port)
		return false;
	for (size_t i = 0; i < at->addresses_n; i++)
		if (str_eq(at->addresses[i].text, p->host))
			return false;
	return true;
}

void pool_probe(void *ctx, const struct probe *p, struct fact_probe *answer)
{
	struct source *s = ctx;
	struct arena *a = doctor_arena(s->doctor);
	bool foreign = is_foreign(s, p), v6 = str_find(p->host, ':') < p->host.n;
	bool kept = foreign && p->lines.n == 0 && p->tls == PROBE_PLAIN;
	struct str key = arena_printf(a, "probe %.*s", STR_ARG(p->host));
	struct job *j;

	if (kept && cache_to_probe(a, cache_find(s->cache, key, GREETED_MS), answer))
		return;
	if (foreign && !s->deep && s->foreign[v6]++ >= FOREIGN_MAX) {
		*answer = (struct fact_probe){ .state = FACT_UNKNOWN, .why = S("no more connections to others in one run") };
		return;
	}
	j = job_new(s);
	j->probe = p;
	j->probe_answer = answer;
	j->ehlo = arena_str(&j->arena, s->config->hostname); /* a reload frees the configuration */
	j->cache_key = kept ? key : S("");
	start(j);
}

void pool_upstream(void *ctx, struct str name, struct fact_upstream *answer)
{
	struct source *s = ctx;
	struct job *j;

	if (!s->hooks.upstream) {
		*answer = (struct fact_upstream){ .state = FACT_UNKNOWN, .verdict = temp(0, S(""), S("no relay runs here")) };
		return;
	}
	j = job_new(s);
	j->upstream = name;
	j->upstream_answer = answer;
	start(j);
}

void pool_sample(void *ctx, struct str domain, struct str selector, struct fact_sample *answer)
{
	struct source *s = ctx;
	struct job *j;

	if (!s->hooks.sample) {
		*answer = (struct fact_sample){ .state = FACT_UNKNOWN, .why = S("no relay runs here") };
		return;
	}
	j = job_new(s);
	j->domain = domain;
	j->selector = selector;
	j->sample_answer = answer;
	start(j);
}

void pool_policy(void *ctx, struct str domain, struct fact_policy *answer)
{
	struct source *s = ctx;
	struct job *j;

	if (!s->hooks.policy) {
		*answer = (struct fact_policy){ .state = FACT_UNKNOWN, .why = S("only `posthouse doctor` asks for it") };
		return;
	}
	j = job_new(s);
	j->domain = domain;
	j->policy_answer = answer;
	start(j);
}
