/* spf_mechanism.c - does a mechanism match (RFC 7208 5)? All but include, which needs the record of another domain. */
#include "spf.h"

#include <arpa/inet.h>

#define WHOLE_MAX 60 /* terms that are followed when limits do not stop us */

enum spf_match spf_broken(struct spf_node *node, enum spf_result result, struct str why)
{
	node->result = result;
	node->why = why;
	return SPF_BROKEN;
}

/* ---- looking up ---- */

/* Terms are counted before the look-up is made (RFC 7208 4.6.4). */
bool spf_counted(struct spf_run *r, struct spf_node *node, struct spf_step *step)
{
	step->lookups = ++r->out->lookups;
	if (r->q->whole ? r->out->lookups <= WHOLE_MAX : r->out->lookups <= SPF_LOOKUPS_MAX)
		return true;
	spf_broken(node, SPF_PERMERROR, arena_printf(r->arena, "more than %d terms need a look-up", SPF_LOOKUPS_MAX));
	return false;
}

struct spf_answer spf_look_up(struct spf_run *r, struct str name, unsigned type)
{
	struct spf_answer none = { .state = SPF_DNS_NO_NAME }, answer;

	if (!spf_name_valid(name))
		return none;
	answer = r->q->lookup(r->q->ctx, arena_lower(r->arena, name), type);
	if (answer.state == SPF_DNS_PENDING)
		r->out->pending = true;
	if (answer.state != SPF_DNS_THERE)
		answer.n = 0;
	return answer;
}

/* The answer for a term. SPF_BROKEN: it cannot be had, or too many names were not there. */
static enum spf_match ask(struct spf_run *r, struct spf_node *node, struct spf_step *step, struct str name, unsigned type,
			  struct spf_answer *answer_out)
{
	*answer_out = spf_look_up(r, name, type);
	if (answer_out->state == SPF_DNS_ERROR)
		return spf_broken(node, SPF_TEMPERROR, arena_printf(r->arena, "no answer for %.*s", STR_ARG(name)));
	if (answer_out->state == SPF_DNS_EMPTY || answer_out->state == SPF_DNS_NO_NAME) {
		step->voids++;
		if (++r->out->voids > SPF_VOIDS_MAX && !r->q->whole)
			return spf_broken(node, SPF_PERMERROR,
					  arena_printf(r->arena, "more than %d look-ups found nothing", SPF_VOIDS_MAX));
	}
	return SPF_NO_MATCH;
}

bool spf_in_network(const uint8_t *address, const uint8_t *network, unsigned bits)
{
	unsigned bytes = bits / 8, rest = bits % 8;

	if (memcmp(address, network, bytes) != 0)
		return false;
	return rest == 0 || ((address[bytes] ^ network[bytes]) >> (8 - rest)) == 0;
}

static bool has_address(struct spf_run *r, const struct spf_answer *answer, const struct spf_term *t)
{
	for (size_t i = 0; i < answer->n; i++) {
		uint8_t bytes[16];

		if (inet_pton(r->values.ipv6 ? AF_INET6 : AF_INET, arena_cstr(r->arena, answer->values[i]), bytes) == 1 &&
		    spf_in_network(r->values.bytes, bytes, r->values.ipv6 ? t->bits6 : t->bits4))
			return true;
	}
	return false;
}

static unsigned address_type(const struct spf_run *r)
{
	return r->values.ipv6 ? SPF_TYPE_AAAA : SPF_TYPE_A;
}

/* ---- names of the address (RFC 7208 5.5) ---- */

/* Names of the client that lead back to it; errors are as if there were none. */
static struct str_list validated_names(struct spf_run *r, struct spf_node *node, struct spf_step *step)
{
	struct spf_values own = { .address = r->values.address, .ipv6 = r->values.ipv6 };
	const struct spf_term exact = { .bits4 = 32, .bits6 = 128 };
	struct spf_answer names, addresses;
	struct str_list list = { ARENA_ARRAY(r->arena, struct str, SPF_HOSTS_MAX), 0 };
	struct str reverse;

	memcpy(own.bytes, r->values.bytes, sizeof(own.bytes));
	reverse = spf_expand(r->arena, own.ipv6 ? S("%{ir}.ip6.arpa") : S("%{ir}.in-addr.arpa"), &own);
	if (step && ask(r, node, step, reverse, SPF_TYPE_PTR, &names) == SPF_BROKEN) {
		if (node->result != SPF_TEMPERROR)
			return list;
	} else if (!step) {
		names = spf_look_up(r, reverse, SPF_TYPE_PTR);
	}
	for (size_t i = 0; i < names.n && i < SPF_HOSTS_MAX; i++) {
		addresses = spf_look_up(r, names.values[i], address_type(r));
		if (has_address(r, &addresses, &exact))
			list.at[list.n++] = names.values[i];
	}
	return list;
}

static bool is_within(struct str name, struct str domain)
{
	return str_ieq(name, domain) || (name.n > domain.n && str_iends(name, domain) && name.p[name.n - domain.n - 1] == '.');
}

/* For the macro p: the domain itself, else a name within it, else any. */
static void find_own_name(struct spf_run *r, struct spf_node *node)
{
	struct str_list names;

	if (r->named)
		return;
	r->named = true;
	names = validated_names(r, node, NULL);
	r->values.validated = names.n > 0 ? names.at[0] : S("unknown");
	for (size_t i = names.n; i-- > 0;)
		if (is_within(names.at[i], node->domain))
			r->values.validated = names.at[i];
	for (size_t i = 0; i < names.n; i++)
		if (str_ieq(names.at[i], node->domain))
			r->values.validated = names.at[i];
}

/* ---- mechanisms ---- */

static enum spf_match match_ptr(struct spf_run *r, struct spf_node *node, struct spf_step *step)
{
	enum spf_result before = node->result;
	struct str_list names = validated_names(r, node, step);

	/* A passing error in DNS is no match here; too many names that are not there are an error everywhere. */
	if (node->result == SPF_PERMERROR)
		return SPF_BROKEN;
	node->result = before;
	node->why = S("");
	for (size_t i = 0; i < names.n; i++)
		if (is_within(names.at[i], step->target))
			return SPF_MATCHES;
	return SPF_NO_MATCH;
}

static enum spf_match match_a(struct spf_run *r, struct spf_node *node, struct spf_step *step)
{
	struct spf_answer answer;

	if (ask(r, node, step, step->target, address_type(r), &answer) == SPF_BROKEN)
		return SPF_BROKEN;
	return has_address(r, &answer, step->term) ? SPF_MATCHES : SPF_NO_MATCH;
}

static enum spf_match match_mx(struct spf_run *r, struct spf_node *node, struct spf_step *step)
{
	struct spf_answer hosts, answer;

	if (ask(r, node, step, step->target, SPF_TYPE_MX, &hosts) == SPF_BROKEN)
		return SPF_BROKEN;
	step->hosts = (unsigned)hosts.n;
	if (hosts.n > SPF_HOSTS_MAX)
		return spf_broken(
			node, SPF_PERMERROR,
			arena_printf(r->arena, "%.*s has more than %d mail servers", STR_ARG(step->target), SPF_HOSTS_MAX));
	for (size_t i = 0; i < hosts.n; i++) {
		if (ask(r, node, step, hosts.values[i], address_type(r), &answer) == SPF_BROKEN)
			return SPF_BROKEN;
		if (has_address(r, &answer, step->term))
			return SPF_MATCHES;
	}
	return SPF_NO_MATCH;
}

static enum spf_match match_exists(struct spf_run *r, struct spf_node *node, struct spf_step *step)
{
	struct spf_answer answer;

	if (ask(r, node, step, step->target, SPF_TYPE_A, &answer) == SPF_BROKEN)
		return SPF_BROKEN;
	return answer.n > 0 ? SPF_MATCHES : SPF_NO_MATCH;
}

static enum spf_match match_network(struct spf_run *r, const struct spf_term *t)
{
	if (r->values.ipv6 != (t->kind == SPF_IP6))
		return SPF_NO_MATCH;
	return spf_in_network(r->values.bytes, t->address, t->kind == SPF_IP6 ? t->bits6 : t->bits4) ? SPF_MATCHES : SPF_NO_MATCH;
}

bool spf_needs_lookup(enum spf_kind kind)
{
	return kind == SPF_INCLUDE || kind == SPF_A || kind == SPF_MX || kind == SPF_PTR || kind == SPF_EXISTS;
}

void spf_find_target(struct spf_run *r, struct spf_node *node, struct spf_step *step)
{
	struct str spec = step->term->domain;

	r->values.domain = node->domain;
	if (spf_uses_p(spec))
		find_own_name(r, node);
	step->target = spec.n > 0 ? spf_expand(r->arena, spec, &r->values) : node->domain;
}

enum spf_match spf_match_mechanism(struct spf_run *r, struct spf_node *node, struct spf_step *step)
{
	switch (step->term->kind) {
	case SPF_ALL: return SPF_MATCHES;
	case SPF_A: return match_a(r, node, step);
	case SPF_MX: return match_mx(r, node, step);
	case SPF_PTR: return match_ptr(r, node, step);
	case SPF_EXISTS: return match_exists(r, node, step);
	case SPF_IP4:
	case SPF_IP6: return match_network(r, step->term);
	default: return SPF_NO_MATCH;
	}
}
