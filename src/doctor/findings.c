/* findings.c - what the checks have found, and what one finding means for others: one cause is one failure. */
#include "run.h"

#include "posthouse/records.h"

static const char *const result_names[] = { "ok", "advice", "warning", "failure", "unknown", "skipped", "ignored" };

const char *doctor_result_name(enum doctor_result r)
{
	return result_names[r];
}

const char *doctor_check_id(enum doctor_check check)
{
	return check_rows[check].id;
}

bool result_is_bad(enum doctor_result r)
{
	return r == DOCTOR_FAILURE || r == DOCTOR_SKIPPED;
}

/* How results are compared: skipped counts as the worst, since it stands for a failure. */
static unsigned weight(enum doctor_result r)
{
	static const unsigned weights[] = { [DOCTOR_OK] = 0,      [DOCTOR_IGNORED] = 1, [DOCTOR_ADVICE] = 2, [DOCTOR_UNKNOWN] = 3,
					    [DOCTOR_WARNING] = 4, [DOCTOR_FAILURE] = 5, [DOCTOR_SKIPPED] = 6 };

	return weights[r];
}

enum doctor_result result_of(struct doctor *d, enum doctor_check check, struct str domain, struct str subject)
{
	enum doctor_result worst = DOCTOR_OK;

	if (!d->was_run[check])
		check_run(d, check);
	for (size_t i = 0; i < d->findings_n; i++) {
		const struct doctor_finding *f = &d->findings[i];

		if (f->check == check && (domain.n == 0 || str_eq(f->domain, domain)) &&
		    (subject.n == 0 || str_eq(f->subject, subject)) && weight(f->result) > weight(worst))
			worst = f->result;
	}
	return worst;
}

static const struct doctor_domain *domain_named(const struct doctor *d, struct str name)
{
	for (size_t i = 0; i < d->situation.domains_n; i++)
		if (str_eq(d->situation.domains[i].name, name))
			return &d->situation.domains[i];
	return NULL;
}

/* Why nothing can be said about this domain; "": something can. */
static struct str not_judged(struct doctor *d, const struct doctor_finding *f)
{
	const struct doctor_domain *domain = domain_named(d, f->domain);

	if (f->domain.n == 0 || d->now == CHECK_DOMAIN_EXISTS || d->now == CHECK_DOMAIN_OURS || f->result == DOCTOR_SKIPPED)
		return S("");
	if (domain && domain->foreign)
		return S("not your domain");
	if (result_of(d, CHECK_DOMAIN_EXISTS, f->domain, S("")) == DOCTOR_FAILURE)
		return S("domain.exists");
	return S("");
}

static bool said_already(const struct doctor *d, const struct doctor_finding *f)
{
	for (size_t i = d->findings_n; i-- > 0;) {
		const struct doctor_finding *o = &d->findings[i];

		if (o->check == f->check && o->result == DOCTOR_SKIPPED && str_eq(o->domain, f->domain) &&
		    str_eq(o->subject, f->subject))
			return true;
	}
	return false;
}

void finding_add(struct doctor *d, const struct doctor_finding *f)
{
	struct doctor_finding copy = *f;
	struct str after = not_judged(d, f);

	copy.check = d->now;
	copy.text = text_without_key(&d->arena, copy.text);
	if (after.n > 0)
		copy = (struct doctor_finding){ .check = d->now, .result = DOCTOR_SKIPPED, .domain = f->domain, .after = after };
	if (copy.result == DOCTOR_SKIPPED && said_already(d, &copy))
		return;
	if (copy.why.n == 0 && (copy.result == DOCTOR_FAILURE || copy.result == DOCTOR_WARNING || copy.result == DOCTOR_ADVICE))
		copy.why = str_of(check_rows[d->now].why);
	ARENA_GROW(&d->arena, d->findings, d->findings_n, d->findings_capacity);
	d->findings[d->findings_n++] = copy;
}

void finding_record(struct doctor *d, struct doctor_finding *f, const char *type, struct str name, struct str value)
{
	struct dns_entry *all = ARENA_ARRAY(&d->arena, struct dns_entry, f->remedy.records_n + 1);

	for (size_t i = 0; i < f->remedy.records_n; i++)
		all[i] = f->remedy.records[i];
	all[f->remedy.records_n++] = (struct dns_entry){ .type = type, .name = name, .value = value, .ttl = 300 };
	f->remedy.records = all;
}

void finding_ok(struct doctor *d, struct str domain, struct str subject, struct str text)
{
	finding_add(d, &(struct doctor_finding){ .result = DOCTOR_OK, .domain = domain, .subject = subject, .text = text });
}

void finding_unknown(struct doctor *d, struct str domain, struct str subject, struct str text)
{
	finding_add(d, &(struct doctor_finding){ .result = DOCTOR_UNKNOWN, .domain = domain, .subject = subject, .text = text });
}

void finding_skip(struct doctor *d, struct str domain, struct str subject, struct str after)
{
	finding_add(d,
		    &(struct doctor_finding){ .result = DOCTOR_SKIPPED, .domain = domain, .subject = subject, .after = after });
}

/* In the order of the table: a check that another one needed was run before its turn. */
static void sort(struct doctor *d)
{
	for (size_t i = 1; i < d->findings_n; i++) {
		struct doctor_finding f = d->findings[i];
		size_t at = i;

		for (; at > 0 && d->findings[at - 1].check > f.check; at--)
			d->findings[at] = d->findings[at - 1];
		d->findings[at] = f;
	}
}

static bool is_ignored(const struct config *c, const struct doctor_finding *f)
{
	for (size_t i = 0; i < c->doctor.ignore.n; i++) {
		struct str entry = c->doctor.ignore.at[i], id = str_head(entry, str_find(entry, ':'));
		struct str subject = str_from(entry, id.n + 1);

		if (str_eq(id, str_of(check_rows[f->check].id)) &&
		    (subject.n == 0 || str_ieq(subject, f->subject) || str_ieq(subject, f->domain)))
			return true;
	}
	return false;
}

static bool for_mx_only(const struct doctor_finding *f)
{
	unsigned s = check_rows[f->check].situations;

	return (s & SIT_MX) && !(s & (SIT_ALL | SIT_UP));
}

static void skip(struct doctor_finding *f, struct str after)
{
	*f = (struct doctor_finding){
		.check = f->check, .result = DOCTOR_SKIPPED, .domain = f->domain, .subject = f->subject, .after = after
	};
}

/* What the findings mean together: a line that is declared "no direct mail" needs an upstream, and nothing else of direct
 * delivery; a fault that only a fail-over would meet is a warning; what is ignored is still shown. */
static void judge(struct doctor *d)
{
	bool no_direct = d->situation.mx && result_of(d, CHECK_DNSBL_POLICY, S(""), S("")) == DOCTOR_FAILURE;

	for (size_t i = 0; i < d->findings_n; i++) {
		struct doctor_finding *f = &d->findings[i];
		bool bad = f->result == DOCTOR_FAILURE || f->result == DOCTOR_WARNING;

		if (no_direct && for_mx_only(f) && f->check != CHECK_DNSBL_POLICY && f->result != DOCTOR_OK)
			skip(f, S("dnsbl.policy"));
		else if (d->situation.mx_is_spare && for_mx_only(f) && f->result == DOCTOR_FAILURE)
			f->result = DOCTOR_WARNING;
		if ((bad || f->result == DOCTOR_ADVICE || f->result == DOCTOR_UNKNOWN) && is_ignored(d->config, f))
			f->result = DOCTOR_IGNORED;
	}
}

/* Was `f` skipped because of the other one? */
static bool comes_after(const struct doctor_finding *f, const struct doctor_finding *cause)
{
	return f->result == DOCTOR_SKIPPED && cause->result != DOCTOR_OK &&
	       str_eq(f->after, str_of(check_rows[cause->check].id)) &&
	       (f->domain.n == 0 || cause->domain.n == 0 || str_eq(f->domain, cause->domain));
}

/* Only what was asked for stays, and what has to be mended before that can be judged: so nobody takes "skipped" for good. */
static void drop_unselected(struct doctor *d)
{
	bool *keeps = ARENA_ARRAY(&d->arena, bool, d->findings_n + 1);
	size_t n = 0;
	bool more = true;

	for (size_t i = 0; i < d->findings_n; i++)
		keeps[i] = d->selected[d->findings[i].check];
	while (more) {
		more = false;
		for (size_t i = 0; i < d->findings_n; i++)
			for (size_t j = 0; keeps[i] && j < d->findings_n; j++)
				if (!keeps[j] && comes_after(&d->findings[i], &d->findings[j]))
					more = keeps[j] = true;
	}
	for (size_t i = 0; i < d->findings_n; i++)
		if (keeps[i])
			d->findings[n++] = d->findings[i];
	d->findings_n = n;
}

void findings_finish(struct doctor *d)
{
	judge(d);
	sort(d);
	drop_unselected(d);
}

static bool same_records(const struct doctor_finding *a, const struct doctor_finding *b)
{
	if (a->remedy.records_n != b->remedy.records_n)
		return false;
	for (size_t i = 0; i < a->remedy.records_n; i++) {
		const struct dns_entry *x = &a->remedy.records[i], *y = &b->remedy.records[i];

		if (strcmp(x->type, y->type) != 0 || !str_eq(x->name, y->name) || !str_eq(x->value, y->value))
			return false;
	}
	return a->remedy.records_n > 0;
}

const struct doctor_finding *doctor_same_records(const struct doctor *d, const struct doctor_finding *f)
{
	for (const struct doctor_finding *o = d->findings; o < f; o++)
		if (o->check == f->check && o->result == f->result && o->subject.n > 0 && str_eq(o->domain, f->domain) &&
		    same_records(o, f))
			return o;
	return NULL;
}

const struct doctor_finding *doctor_findings(const struct doctor *d, size_t *n_out)
{
	*n_out = d->findings_n;
	return d->findings;
}
