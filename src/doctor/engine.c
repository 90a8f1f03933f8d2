/* engine.c - one look of a run: every check of the table on the facts that are there. */
#include "run.h"

#include <stdlib.h>

#define CHECK(ID, id, situations, run, why) { id, why, situations },
const struct check_row check_rows[DOCTOR_CHECKS] = {
#include "posthouse/checks.def"
};

/* ---- one check ---- */

/* Is the check made in this situation? Where the way of the mail decides that, the finding says so. */
static bool applies(struct doctor *d, unsigned situations)
{
	const struct situation *s = &d->situation;

	if ((situations & SIT_DEEP && !s->deep) || (situations & SIT_BOX && !s->container))
		return false;
	if (situations & (SIT_ALL | SIT_BOX) || (situations & SIT_MX && s->mx) || (situations & SIT_UP && s->upstream))
		return true;
	if (situations & SIT_UP)
		finding_skip(d, S(""), S(""), S("no route has an upstream"));
	else
		finding_skip(d, S(""), S(""), S("the upstream delivers for you; its addresses count, not yours"));
	return false;
}

static bool is_bad(const struct doctor_finding *f)
{
	return f->result == DOCTOR_FAILURE || f->result == DOCTOR_WARNING;
}

static bool has_bad(const struct doctor *d, size_t from)
{
	for (size_t i = from; i < d->findings_n; i++)
		if (d->findings[i].check == d->now && is_bad(&d->findings[i]))
			return true;
	return false;
}

/* What the domain's own servers say about the subject of this finding: the finding about the same subject, else about the same
 * domain. NULL: the same fault. */
static const struct doctor_finding *mended_by(const struct doctor_finding *f, const struct doctor_finding *own, size_t n)
{
	const struct doctor_finding *other = NULL;

	for (size_t i = 0; i < n; i++) {
		if (own[i].check != f->check || !str_eq(own[i].domain, f->domain))
			continue;
		if (str_eq(own[i].subject, f->subject) || is_bad(&own[i]))
			return is_bad(&own[i]) ? NULL : &own[i];
		other = &own[i];
	}
	return other;
}

/* The findings of the check from `from` on were made with answers that can come from caches. Where the domain's own servers are
 * right, nothing has to be mended: it is only not seen everywhere for now. */
static void ask_own_servers(struct doctor *d, size_t from)
{
	size_t n = d->findings_n - from, pending = d->pending, own_from = d->findings_n;
	struct doctor_finding *first;

	d->own = true;
	d->functions[d->now](d);
	first = ARENA_ARRAY(&d->arena, struct doctor_finding, n);
	memcpy(first, d->findings + from, n * sizeof *first);
	for (size_t i = 0; d->pending == pending && i < n; i++) {
		const struct doctor_finding *mended;

		if (first[i].check != d->now || !is_bad(&first[i]))
			continue;
		mended = mended_by(&first[i], d->findings + own_from, d->findings_n - own_from);
		if (!mended)
			continue;
		first[i] = *mended;
		first[i].result = DOCTOR_OK;
		first[i].text = arena_printf(&d->arena, "%.*s (seen everywhere within %u min)", STR_ARG(mended->text),
					     (d->ttl + 59) / 60);
	}
	memcpy(d->findings + from, first, n * sizeof *first);
	d->findings_n = own_from;
}

void check_run(struct doctor *d, enum doctor_check check)
{
	const struct check_row *row = &check_rows[check];
	enum doctor_check now = d->now;
	bool own = d->own, asked_own = d->asked_own;
	uint32_t ttl = d->ttl;
	size_t from = d->findings_n, pending = d->pending;

	d->was_run[check] = true;
	d->now = check;
	d->own = d->asked_own = false;
	d->ttl = 0;
	if (d->functions[check] && applies(d, row->situations)) {
		d->functions[check](d);
		if (d->pending == pending && d->asked_own && has_bad(d, from))
			ask_own_servers(d, from);
	}
	d->now = now;
	d->own = own;
	d->asked_own = asked_own;
	d->ttl = ttl;
}

bool doctor_look(struct doctor *d)
{
	d->findings_n = d->uses_n = d->pending = 0;
	memset(d->was_run, 0, sizeof(bool) * DOCTOR_CHECKS);
	addresses_find(d);
	for (size_t i = 0; i < DOCTOR_CHECKS; i++)
		if (d->selected[i] && !d->was_run[i])
			check_run(d, (enum doctor_check)i);
	findings_finish(d);
	return d->pending == 0;
}

/* ---- the run ---- */

void doctor_free(struct doctor *d)
{
	if (!d)
		return;
	hashtable_fini(&d->dns);
	hashtable_fini(&d->probes);
	hashtable_fini(&d->upstreams);
	hashtable_fini(&d->samples);
	hashtable_fini(&d->policies);
	arena_fini(&d->arena);
	free(d);
}

struct arena *doctor_arena(struct doctor *d)
{
	return &d->arena;
}

const struct config *doctor_config(const struct doctor *d)
{
	return d->config;
}

const struct situation *doctor_situation(const struct doctor *d)
{
	return &d->situation;
}

uint64_t doctor_now(const struct doctor *d)
{
	return d->options.now;
}
