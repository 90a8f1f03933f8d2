/* health.c - see health.h. */
#include "posthouse/health.h"

#include "posthouse/metrics.h"

#define CARRIERS (B_SUBMISSION | B_LOGIN | B_VAULT | B_QUEUE | B_RELAY) /* without these no mail is taken and delivered */

struct faults {
	struct arena *arena;
	struct str *at;
	size_t n;
};

static void add(struct faults *f, struct str text)
{
	if (f->n < HEALTH_FAULTS_MAX)
		f->at[f->n++] = text;
}

/* The number, or NULL: the role does not tell it. */
static const struct rec_stat *stat_of(const struct role_told *r, enum metric m)
{
	for (size_t i = 0; r->answers && i < r->stats_n; i++)
		if (r->stats[i].metric == m && metric_is_of(m, (enum role_id)r->state.role))
			return &r->stats[i];
	return NULL;
}

static void look_at_role(struct faults *f, const struct role_told *r)
{
	const char *name = role_name((enum role_id)r->state.role);
	const struct rec_stat *takes = stat_of(r, METRIC_QUEUE_TAKES_MAIL);

	if (!r->state.ready)
		add(f, arena_printf(f->arena, "%s %llu is not ready", name, (unsigned long long)r->state.index));
	else if (!r->answers)
		add(f, arena_printf(f->arena, "%s %llu does not answer", name, (unsigned long long)r->state.index));
	if (takes && takes->value == 0)
		add(f, arena_printf(f->arena, "the queue takes no mail: %.*s", STR_ARG(takes->text)));
}

/* A queue that is not ready or answers nothing has been told already. One whose database is away says that itself. */
static bool is_told(const struct role_told *r)
{
	const struct rec_stat *away = stat_of(r, METRIC_QUEUE_DATABASE_AWAY), *takes = stat_of(r, METRIC_QUEUE_TAKES_MAIL);

	return r->state.role == ROLE_QUEUE &&
	       (!r->state.ready || !r->answers || (away && away->value > 0 && takes && takes->value == 0));
}

static void look_at_store(struct faults *f, const struct health *h)
{
	bool told = h->store_answers;

	for (size_t i = 0; i < h->n && !told; i++)
		told = is_told(&h->roles[i]);
	if (!told)
		add(f, S("the queue does not answer"));
}

size_t health_faults(struct arena *a, const struct health *h, struct str faults_out[HEALTH_FAULTS_MAX])
{
	struct faults f = { a, faults_out, 0 };

	for (size_t i = 0; i < h->n; i++)
		look_at_role(&f, &h->roles[i]);
	look_at_store(&f, h);
	return f.n;
}

/* Does this process take mail from clients? */
static bool serves_clients(const struct role_told *r)
{
	const struct rec_stat *listeners = stat_of(r, METRIC_SUBMISSION_LISTENERS);

	return r->state.ready && listeners && listeners->value > 0;
}

size_t health_obstacles(struct arena *a, const struct health *h, struct str faults_out[HEALTH_FAULTS_MAX])
{
	struct faults f = { a, faults_out, 0 };
	unsigned seen = 0;
	bool serves = false;

	for (size_t i = 0; i < h->n; i++) {
		const struct role_told *r = &h->roles[i];

		seen |= 1u << r->state.role;
		if (r->state.role == ROLE_SUBMISSION)
			serves = serves || serves_clients(r);
		else if (CARRIERS & 1u << r->state.role)
			look_at_role(&f, r);
	}
	if ((seen & CARRIERS) != CARRIERS)
		add(&f, S("the roles are not known"));
	if (!serves)
		add(&f, S("no submission process listens for clients"));
	look_at_store(&f, h);
	return f.n;
}
