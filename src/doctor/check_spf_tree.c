/* check_spf_tree.c - the whole of an SPF record with all that it includes: its limits, its includes, and how it ends. */
#include "txt.h"

/* The tree of the one record of the domain. False: there is none (a finding says what is to be mended first), or not yet. */
static bool tree_of(struct doctor *d, const struct doctor_domain *domain, struct spf_outcome *out)
{
	if (result_of(d, CHECK_SPF_RECORD, domain->name, S("")) != DOCTOR_OK) {
		finding_skip(d, domain->name, S(""), S("spf.record"));
		return false;
	}
	return spf_tree(d, domain, out) && out->tree && out->tree->text.n > 0;
}

/* ---- spf.lookups ---- */

static void write_tree(struct doctor *d, const struct spf_node *node, unsigned depth, struct str *text)
{
	for (size_t i = 0; i < node->record.n; i++) {
		const struct spf_step *step = &node->steps[i];

		if (step->target.n == 0)
			continue;
		*text = SAY("%.*s%s%*s%2u  %.*s%s", STR_ARG(*text), text->n > 0 ? "\n" : "", (int)(2 * depth), "", step->lookups,
			    STR_ARG(step->term->text), step->voids > 0 ? "  (nothing there)" : "");
		if (step->child)
			write_tree(d, step->child, depth + 1, text);
	}
}

/* How many terms receivers count until the one that has our mail matches; for mail by an upstream that is the include for it.
 * *known_out: there is such a term. */
static unsigned lookups_before_match(struct doctor *d, const struct doctor_domain *domain, const struct spf_outcome *whole,
				     bool *known_out)
{
	const struct situation *s = doctor_situation(d);
	unsigned most = 0;
	bool pending = false;

	*known_out = false;
	for (size_t i = 0; domain->by_mx && i < s->addresses_n; i++) {
		struct spf_outcome out;

		spf_ask(d, s->addresses[i].text, SAY("postmaster@%.*s", STR_ARG(domain->name)), domain->name, false, &out);
		*known_out = true;
		most = out.lookups > most ? out.lookups : most;
	}
	for (size_t i = 0; i < domain->upstreams_n; i++) {
		struct str name = spf_include_of(d, domain->upstreams[i], &pending);

		for (size_t j = 0; name.n > 0 && j < whole->tree->record.n; j++) {
			const struct spf_step *step = &whole->tree->steps[j];

			if (step->term->kind == SPF_INCLUDE && domains_align(step->target, name, false)) {
				*known_out = true;
				most = step->lookups > most ? step->lookups : most;
			}
		}
	}
	return most;
}

static const struct spf_step *crowded_mx(const struct spf_node *node)
{
	for (size_t i = 0; i < node->record.n; i++) {
		const struct spf_step *deeper = node->steps[i].child ? crowded_mx(node->steps[i].child) : NULL;

		if (deeper || node->steps[i].hosts > SPF_HOSTS_MAX)
			return deeper ? deeper : &node->steps[i];
	}
	return NULL;
}

static void say_lookups(struct doctor *d, const struct doctor_domain *domain, enum doctor_result result, struct str text,
			const struct spf_outcome *whole)
{
	struct doctor_finding f = { .result = result, .domain = domain->name, .text = text };
	struct str tree = S("");

	write_tree(d, whole->tree, 0, &tree);
	f.found = SAY("%u look-ups, %u of them for nothing", whole->lookups, whole->voids);
	f.expected = SAY("%d look-ups at most, %d for nothing", SPF_LOOKUPS_MAX, SPF_VOIDS_MAX);
	if (result == DOCTOR_OK)
		f.remedy.text = tree.n > 0 ? SAY("What is looked up, counted:\n%.*s", STR_ARG(tree)) : S("");
	else
		f.remedy.text =
			SAY("Drop what nobody sends by any more, or write its addresses as ip4: and ip6: in its place. Counted:"
			    "\n%.*s",
			    STR_ARG(tree));
	finding_add(d, &f);
}

static void judge_lookups(struct doctor *d, const struct doctor_domain *domain, const struct spf_outcome *whole)
{
	const struct spf_step *mx = crowded_mx(whole->tree);
	bool known;
	unsigned before = lookups_before_match(d, domain, whole, &known);

	if (mx)
		say_lookups(d, domain, DOCTOR_FAILURE,
			    SAY("has \"%.*s\" with %u mail servers; %d are allowed", STR_ARG(mx->term->text), mx->hosts,
				SPF_HOSTS_MAX),
			    whole);
	else if (whole->voids > SPF_VOIDS_MAX)
		say_lookups(
			d, domain, DOCTOR_FAILURE,
			SAY("has %u look-ups in its SPF record that find nothing; %d are allowed", whole->voids, SPF_VOIDS_MAX),
			whole);
	else if (whole->lookups > SPF_LOOKUPS_MAX && known && before > SPF_LOOKUPS_MAX)
		say_lookups(d, domain, DOCTOR_FAILURE,
			    SAY("needs %u look-ups for its SPF record; %d are allowed", whole->lookups, SPF_LOOKUPS_MAX), whole);
	else if (whole->lookups > SPF_LOOKUPS_MAX)
		say_lookups(d, domain, DOCTOR_WARNING,
			    SAY("needs %u look-ups for its whole SPF record; %d are allowed, which is enough only as far as what "
				"sends comes first",
				whole->lookups, SPF_LOOKUPS_MAX),
			    whole);
	else if (whole->lookups >= SPF_LOOKUPS_MAX - 1)
		say_lookups(d, domain, DOCTOR_ADVICE,
			    SAY("needs %u of the %d look-ups that an SPF record can have", whole->lookups, SPF_LOOKUPS_MAX),
			    whole);
	else
		say_lookups(d, domain, DOCTOR_OK, SAY("needs %u look-ups for its SPF record", whole->lookups), whole);
}

/* Each sender domain with a record that can be judged; a fault of its includes is said there. */
static void for_each_tree(struct doctor *d,
			  void (*judge)(struct doctor *d, const struct doctor_domain *domain, const struct spf_outcome *whole))
{
	const struct situation *s = doctor_situation(d);

	for (size_t i = 0; i < s->domains_n; i++) {
		struct spf_outcome whole;

		if (!tree_of(d, &s->domains[i], &whole))
			continue;
		if (result_is_bad(result_of(d, CHECK_SPF_INCLUDE, s->domains[i].name, S(""))))
			finding_skip(d, s->domains[i].name, S(""), S("spf.include"));
		else
			judge(d, &s->domains[i], &whole);
	}
}

void check_spf_lookups(struct doctor *d)
{
	for_each_tree(d, judge_lookups);
}

/* ---- spf.include ---- */

static unsigned say_include(struct doctor *d, const struct doctor_domain *domain, enum doctor_result result,
			    const struct spf_step *step, struct str text)
{
	struct doctor_finding f = { .result = result, .domain = domain->name, .subject = step->term->text, .text = text };

	f.remedy.text = result == DOCTOR_FAILURE ? SAY("Take \"%.*s\" out, or ask its owner to mend the record of %.*s.",
						       STR_ARG(step->term->text), STR_ARG(step->target))
						 : SAY("Take \"%.*s\" out.", STR_ARG(step->term->text));
	finding_add(d, &f);
	return 1;
}

static unsigned judge_child(struct doctor *d, const struct doctor_domain *domain, const struct spf_step *step)
{
	const struct spf_node *child = step->child;

	if (child->text.n == 0 && child->result == SPF_NONE)
		return say_include(d, domain, DOCTOR_FAILURE, step,
				   SAY("leads to %.*s, which has no SPF record", STR_ARG(step->target)));
	if (child->record.n == 0 && child->result == SPF_TEMPERROR) {
		finding_unknown(d, domain->name, step->term->text, child->why);
		return 1;
	}
	if (child->result == SPF_PERMERROR && !child->steps)
		return say_include(d, domain, DOCTOR_FAILURE, step, SAY("leads to an error: %.*s", STR_ARG(child->why)));
	return 0;
}

/* How many faults the records from this one on have. Those of others are only told where they break ours. */
static unsigned judge_node(struct doctor *d, const struct doctor_domain *domain, const struct spf_node *node, bool own)
{
	unsigned faults = 0;

	for (size_t i = 0; i < node->record.n; i++) {
		const struct spf_step *step = &node->steps[i];

		if (own && step->term->kind == SPF_PTR)
			faults += say_include(d, domain, DOCTOR_ADVICE, step,
					      S("is slow, and many do not follow it (RFC 7208 5.5)"));
		if (own && step->term->kind == SPF_REDIRECT && node->record.all)
			faults += say_include(d, domain, DOCTOR_ADVICE, step, S("is ignored beside \"all\""));
		if (!step->child)
			continue;
		faults += judge_child(d, domain, step);
		faults += judge_node(d, domain, step->child, false);
	}
	return faults;
}

void check_spf_include(struct doctor *d)
{
	const struct situation *s = doctor_situation(d);

	for (size_t i = 0; i < s->domains_n; i++) {
		struct spf_outcome whole;

		if (tree_of(d, &s->domains[i], &whole) && judge_node(d, &s->domains[i], whole.tree, true) == 0)
			finding_ok(d, s->domains[i].name, S(""), S("includes only records that are in order"));
	}
}

/* ---- spf.all ---- */

static const struct spf_term *last_term(const struct spf_node *node)
{
	for (size_t i = 0; i < node->record.n; i++)
		if (!node->record.all && node->steps[i].term == node->record.redirect && node->steps[i].child)
			return last_term(node->steps[i].child);
	return node->record.all;
}

static void say_all(struct doctor *d, const struct doctor_domain *domain, enum doctor_result result, struct str text,
		    struct str record)
{
	struct doctor_finding f = { .result = result, .domain = domain->name, .text = text, .found = record };

	f.remedy.text = S("Publish this one record in place of the old one:");
	f.remedy.records = spf_proposal(d, domain, record);
	f.remedy.records_n = 1;
	f.expected = S("~all");
	finding_add(d, &f);
}

/* A term that lets a whole hoster in; NULL: none. */
static const struct spf_step *wide_term(const struct spf_node *node)
{
	for (size_t i = 0; i < node->record.n; i++) {
		const struct spf_term *t = &node->record.terms[i];
		bool names = t->kind == SPF_A || t->kind == SPF_MX;

		if (t->qualifier == '+' && ((names && (t->bits4 <= 16 || t->bits6 <= 32)) ||
					    (t->kind == SPF_IP4 && t->bits4 == 0) || (t->kind == SPF_IP6 && t->bits6 == 0)))
			return &node->steps[i];
	}
	return NULL;
}

static void judge_all(struct doctor *d, const struct doctor_domain *domain, const struct spf_outcome *whole)
{
	const struct spf_node *node = whole->tree;
	const struct spf_term *all = last_term(node);
	const struct spf_step *wide = wide_term(node);

	if (all && all->qualifier == '+')
		say_all(d, domain, DOCTOR_FAILURE, S("has an SPF record that ends in +all: everybody is allowed"), node->text);
	else if (wide && (wide->term->kind == SPF_IP4 || wide->term->kind == SPF_IP6))
		say_all(d, domain, DOCTOR_FAILURE, SAY("allows everybody by \"%.*s\"", STR_ARG(wide->term->text)), node->text);
	else if (!all)
		say_all(d, domain, DOCTOR_WARNING, S("has an SPF record without an end: nobody is forbidden"), node->text);
	else if (all->qualifier == '?')
		say_all(d, domain, DOCTOR_WARNING, S("has an SPF record that ends in ?all: nobody is forbidden"), node->text);
	else if (wide)
		say_all(d, domain, DOCTOR_WARNING, SAY("allows all customers of a hoster by \"%.*s\"", STR_ARG(wide->term->text)),
			node->text);
	else
		finding_ok(d, domain->name, S(""), SAY("has an SPF record that ends in %.*s", STR_ARG(all->text)));
}

void check_spf_all(struct doctor *d)
{
	for_each_tree(d, judge_all);
}
