/* spf_check.c - check_host() (RFC 7208 4): a record is evaluated for an address, term by term. */
#include "spf.h"

#include <arpa/inet.h>

#define DEPTH_MAX 12

const char *const spf_result_names[] = { "none", "neutral", "pass", "fail", "softfail", "temperror", "permerror" };

/* A record that is evaluated, and the one that led to it. */
struct frame {
	const struct frame *above;
	struct spf_node *node;
	bool decides; /* what matches here decides: it is the first record, or a redirect led here */
};

static struct spf_node *evaluate(struct spf_run *r, const struct frame *above, struct str domain, bool decides);

/* The record of another domain, for include and redirect. RFC 7208 5.2, 6.1: a domain without a record is an error. */
static bool follow(struct spf_run *r, const struct frame *f, struct spf_step *step, bool decides)
{
	struct spf_node *node = f->node;

	step->child = evaluate(r, f, step->target, decides);
	if (step->child->result == SPF_NONE) {
		spf_broken(node, SPF_PERMERROR, arena_printf(r->arena, "%.*s has no SPF record", STR_ARG(step->target)));
		return false;
	}
	if (step->child->result >= SPF_TEMPERROR) {
		spf_broken(node, step->child->result,
			   arena_printf(r->arena, "%.*s: %.*s", STR_ARG(step->target), STR_ARG(step->child->why)));
		return false;
	}
	return true;
}

static enum spf_match match_include(struct spf_run *r, const struct frame *f, struct spf_step *step)
{
	if (!follow(r, f, step, false))
		return SPF_BROKEN;
	return step->child->result == SPF_PASS ? SPF_MATCHES : SPF_NO_MATCH;
}

static enum spf_match match_term(struct spf_run *r, const struct frame *f, struct spf_step *step)
{
	struct spf_node *node = f->node;

	step->reached = true;
	if (spf_needs_lookup(step->term->kind)) {
		if (!spf_counted(r, node, step))
			return SPF_BROKEN;
		spf_find_target(r, node, step);
	}
	if (step->term->kind == SPF_INCLUDE)
		return match_include(r, f, step);
	return spf_match_mechanism(r, node, step);
}

/* ---- a record ---- */

static enum spf_result meaning_of(char qualifier)
{
	return qualifier == '-' ? SPF_FAIL : qualifier == '~' ? SPF_SOFTFAIL : qualifier == '?' ? SPF_NEUTRAL : SPF_PASS;
}

static void decided(struct spf_run *r, const struct frame *f, const struct spf_term *t)
{
	f->node->result = meaning_of(t->qualifier);
	if (f->decides) {
		r->out->match = t;
		r->out->where = f->node->domain;
	}
}

/* Redirect counts only when nothing matched (RFC 7208 6.1), and not beside all. */
static void redirected(struct spf_run *r, const struct frame *f, struct spf_step *step)
{
	struct spf_node *node = f->node;

	step->reached = true;
	if (!spf_counted(r, node, step))
		return;
	spf_find_target(r, node, step);
	/* What the other record says is as if it were said here, also for the outermost one. */
	if (follow(r, f, step, f->decides))
		node->result = step->child->result;
}

static void evaluate_terms(struct spf_run *r, const struct frame *f)
{
	struct spf_node *node = f->node;

	for (size_t i = 0; i < node->record.n; i++) {
		struct spf_step *step = &node->steps[i];
		enum spf_match m = match_term(r, f, step);

		step->lookups = r->out->lookups;
		step->matched = m == SPF_MATCHES;
		if (m == SPF_MATCHES)
			decided(r, f, step->term);
		if (m != SPF_NO_MATCH && !r->q->whole)
			return;
	}
	if (node->record.redirect && !node->record.all)
		redirected(r, f, &node->steps[node->record.redirect - node->record.terms]);
}

/* The record of `domain`: false, with the result, when there is not exactly one that can be read. */
static bool find_record(struct spf_run *r, struct spf_node *node)
{
	struct spf_answer answer = spf_look_up(r, node->domain, SPF_TYPE_TXT);
	struct spf_fault fault;
	size_t found = 0;

	node->result = SPF_NONE;
	if (answer.state == SPF_DNS_ERROR)
		spf_broken(node, SPF_TEMPERROR, arena_printf(r->arena, "no answer for %.*s", STR_ARG(node->domain)));
	if (answer.state == SPF_DNS_PENDING)
		node->result = SPF_NEUTRAL;
	for (size_t i = 0; i < answer.n; i++)
		if (spf_is_record(answer.values[i]) && found++ == 0)
			node->text = answer.values[i];
	if (found > 1)
		spf_broken(node, SPF_PERMERROR, arena_printf(r->arena, "%.*s has %zu SPF records", STR_ARG(node->domain), found));
	if (found != 1)
		return false;
	if (spf_parse(r->arena, node->text, &node->record, &fault))
		return true;
	spf_broken(node, SPF_PERMERROR, arena_printf(r->arena, "\"%.*s\": %.*s", STR_ARG(fault.term), STR_ARG(fault.why)));
	return false;
}

static bool is_loop(struct spf_run *r, const struct frame *f)
{
	size_t depth = 0;

	for (const struct frame *o = f->above; o; o = o->above, depth++)
		if (str_ieq(o->node->domain, f->node->domain)) {
			spf_broken(f->node, SPF_PERMERROR, S("the records include each other in a circle"));
			return true;
		}
	if (depth < DEPTH_MAX)
		return false;
	spf_broken(f->node, SPF_PERMERROR, S("too many records include each other"));
	return true;
}

static struct spf_node *evaluate(struct spf_run *r, const struct frame *above, struct str domain, bool decides)
{
	struct spf_node *node = ARENA_NEW(r->arena, struct spf_node);
	struct frame f = { above, node, decides };

	node->domain = domain;
	if (is_loop(r, &f) || !find_record(r, node))
		return node;
	node->result = SPF_NEUTRAL;
	node->steps = ARENA_ARRAY(r->arena, struct spf_step, node->record.n + 1);
	for (size_t i = 0; i < node->record.n; i++)
		node->steps[i].term = &node->record.terms[i];
	evaluate_terms(r, &f);
	return node;
}

static void read_address(struct spf_run *r)
{
	struct spf_values *v = &r->values;
	const char *text = arena_cstr(r->arena, v->address);
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	char four[INET_ADDRSTRLEN];

	if (inet_pton(AF_INET, text, v->bytes) == 1)
		return;
	v->ipv6 = inet_pton(AF_INET6, text, v->bytes) == 1;
	if (v->ipv6 && memcmp(v->bytes, mapped, sizeof(mapped)) == 0) {
		memmove(v->bytes, v->bytes + 12, 4);
		inet_ntop(AF_INET, v->bytes, four, sizeof(four));
		v->address = arena_str(r->arena, str_of(four));
		v->ipv6 = false;
	}
}

/* RFC 7208 4.3: without a local part it is postmaster. */
static void read_sender(struct spf_run *r)
{
	struct spf_values *v = &r->values;
	struct str sender = r->q->sender.n > 0 ? r->q->sender : r->q->helo;
	size_t at = str_rfind(sender, '@');

	v->local = at < sender.n && at > 0 ? str_head(sender, at) : S("postmaster");
	v->sender_domain = at < sender.n ? str_from(sender, at + 1) : sender;
	v->sender = arena_printf(r->arena, "%.*s@%.*s", STR_ARG(v->local), STR_ARG(v->sender_domain));
}

void spf_check(struct arena *a, const struct spf_question *q, struct spf_outcome *out)
{
	struct spf_run r = { .arena = a, .q = q, .out = out, .values = { .address = q->address, .helo = q->helo } };
	struct str domain;

	*out = (struct spf_outcome){ .result = SPF_NONE, .why = S("") };
	read_address(&r);
	read_sender(&r);
	domain = q->domain.n > 0 ? q->domain : r.values.sender_domain;
	if (str_ends(domain, S(".")))
		domain.n--;
	out->where = domain;
	if (!spf_name_valid(domain))
		return;
	out->tree = evaluate(&r, NULL, domain, true);
	out->result = out->tree->result;
	out->why = out->tree->why;
	if (out->result == SPF_PERMERROR || out->result == SPF_TEMPERROR)
		out->match = NULL;
}
