/* summary.c - see summary.h. */
#include "summary.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#include <stdio.h>

#define EACH_MS          MINUTE_MS /* from the end of a walk to the next one */
#define PAGES_MAX        100       /* with the messages of a page as queue has it: 20,000 messages */
#define PAUSE_MS         20        /* between two pages */
#define DESTINATIONS_MAX 5000      /* that a walk tells apart */

struct destination {
	struct hashtable_item node;
	const char *name;
	uint64_t recipients;
};

static void end_walk(struct summary *s)
{
	s->walking = false;
	hashtable_fini(&s->by_name);
	arena_fini(&s->arena);
	s->by_name = (struct hashtable){ 0 };
	s->sum = (struct summed){ 0 };
	s->destinations_n = s->pages = 0;
	s->cursor = 0;
}

/* ---- adding a page ---- */
static void add_destination(struct summary *s, struct str name, uint64_t recipients)
{
	struct destination *d = HASHTABLE_NAMED(&s->by_name, name, struct destination, node, name);

	if (!d && (s->destinations_n >= DESTINATIONS_MAX || str_eq(name, S("*")) || name.n >= sizeof s->sum.of[0].name)) {
		s->sum.others += recipients;
		return;
	}
	if (!d) {
		d = ARENA_NEW(&s->arena, struct destination);
		d->name = arena_cstr(&s->arena, name);
		hashtable_add(&s->by_name, &d->node, hash_text(name));
		s->destinations_n++;
	}
	d->recipients += recipients;
}

static void add_row(struct summary *s, const struct rec_summary_row *r)
{
	const uint64_t ages[SUMMARY_AGES] = { r->age0, r->age1, r->age2, r->age3, r->age4, r->age5 };

	add_destination(s, r->destination, r->recipients);
	for (size_t i = 0; i < SUMMARY_AGES; i++)
		s->sum.ages[i] += ages[i];
	if (r->oldest_at > 0 && (s->sum.oldest_at == 0 || r->oldest_at < s->sum.oldest_at))
		s->sum.oldest_at = r->oldest_at;
}

/* ---- the end of a walk ---- */
/* Put it in its place among those with the most recipients; what falls out is one of the others. */
static void rank(struct summed *sum, const struct destination *d)
{
	size_t at = sum->n;

	while (at > 0 && sum->of[at - 1].recipients < d->recipients)
		at--;
	if (at == SUMMARY_SHOWN) {
		sum->others += d->recipients;
		return;
	}
	if (sum->n == SUMMARY_SHOWN)
		sum->others += sum->of[SUMMARY_SHOWN - 1].recipients;
	else
		sum->n++;
	memmove(&sum->of[at + 1], &sum->of[at], (sum->n - at - 1) * sizeof sum->of[0]);
	snprintf(sum->of[at].name, sizeof sum->of[at].name, "%s", d->name);
	sum->of[at].recipients = d->recipients;
}

static void show(struct summary *s)
{
	HASHTABLE_EACH_OF (struct destination, d, &s->by_name, node)
		rank(&s->sum, d);
	s->sum.whole = s->cursor == 0;
	s->shown = s->sum;
	s->shown_mono = clock_mono_ms();
	end_walk(s);
}

/* ---- the walk ---- */
static void on_pause_over(uv_timer_t *timer);

static void take_page(struct summary *s, const struct msg_queue_summed *m)
{
	for (size_t i = 0; i < m->rows.n; i++)
		add_row(s, &m->rows.at[i]);
	s->cursor = m->cursor;
	if (++s->pages >= PAGES_MAX || s->cursor == 0)
		show(s);
	else
		uv_timer_start(&s->pause, on_pause_over, PAUSE_MS, 0);
}

static void on_page(void *ctx, struct verdict v, const struct msg_queue_summed *m, int fd)
{
	struct summary *s = ctx;

	s->call = 0;
	if (m && m->verdict.class == OK)
		take_page(s, m);
	else
		end_walk(s); /* the next collection begins another one */
}

static void on_pause_over(uv_timer_t *timer)
{
	struct summary *s = timer->data;

	s->call = ipc_call_queue_summary(role_peer(s->role, ROLE_QUEUE, 0), &(struct msg_queue_summary){ .cursor = s->cursor },
					 -1, on_page, s);
}

void summary_init(struct summary *s, struct role *r)
{
	s->role = r;
	s->pause.data = s;
	uv_timer_init(role_loop(r), &s->pause);
}

void summary_first_page(struct summary *s, const struct msg_queue_summed *m)
{
	bool fresh = s->shown_mono > 0 && clock_mono_ms() - s->shown_mono < EACH_MS;

	if (s->walking || (m->cursor != 0 && fresh))
		return;
	s->walking = true;
	take_page(s, m);
}

/* ---- figures ---- */
void summary_stats(const struct summary *s)
{
	static const char *const names[SUMMARY_AGES] = { "0-5m", "5m-20m", "20m-1h", "1h-4h", "4h-1d", "1d-" };
	const struct summed *sum = &s->shown;

	for (size_t i = 0; i < sum->n; i++)
		role_stat_of(s->role, METRIC_WEB_DESTINATION, str_of(sum->of[i].name), sum->of[i].recipients, S(""));
	role_stat_of(s->role, METRIC_WEB_DESTINATION, S("other"), sum->others, S(""));
	for (size_t i = 0; i < SUMMARY_AGES; i++)
		role_stat_of(s->role, METRIC_WEB_AGE, str_of(names[i]), sum->ages[i], S(""));
	role_stat(s->role, METRIC_WEB_OLDEST, sum->oldest_at);
	role_stat(s->role, METRIC_WEB_WHOLE, sum->whole);
}

void summary_stop(struct summary *s)
{
	ipc_cancel(s->call);
	uv_timer_stop(&s->pause);
	end_walk(s);
}
