/* check_address.c - the addresses that we send from, and their reverse names. */
#include "run.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#define NAMES_MAX 10 /* reverse names of an address that are looked at, as receivers do (RFC 7208 4.6.4) */

/* ---- address.* ---- */

static bool in_list(const struct str_list *list, struct str s)
{
	for (size_t i = 0; i < list->n; i++)
		if (str_eq(list->at[i], s))
			return true;
	return false;
}

static bool is_v6(struct str address)
{
	return str_find(address, ':') < address.n;
}

/* The address of the same family that the last run has found, when that was another one; "". */
static struct str changed_from(struct doctor *d, struct str address)
{
	const struct str_list *last = &d->options.last_addresses;

	if (str_starts(d->situation.addresses_from, S("do")) || str_starts(d->situation.addresses_from, S("delivery.")) ||
	    in_list(last, address))
		return S("");
	for (size_t i = 0; i < last->n; i++)
		if (is_v6(last->at[i]) == is_v6(address))
			return last->at[i];
	return S("");
}

void check_address_public(struct doctor *d)
{
	const struct situation *s = &d->situation;

	if (s->addresses_n == 0 && !s->addresses_pending)
		finding_unknown(
			d, S(""), S(""),
			S("The address that the world sees is not known: name it in doctor = { addresses = [ \"…\" ]; };"));
	for (size_t i = 0; i < s->addresses_n; i++) {
		struct str at = s->addresses[i].text, before = changed_from(d, at);
		struct doctor_finding f = { .result = DOCTOR_WARNING, .subject = at, .found = before };

		if (address_is_private(at)) {
			f.text = S("is a private address, which the world cannot see");
			f.why = S("Reverse names and block lists are those of the public address.");
			f.remedy.text = S("Name the address that the world sees:");
			f.remedy.config = S("doctor = { addresses = [ \"…\" ]; };");
			finding_add(d, &f);
		} else if (before.n > 0) {
			f.text = arena_printf(&d->arena, "was %.*s at the last look: a dynamic line", STR_ARG(before));
			f.remedy.text = S("Send through an upstream, or order a static address.");
			finding_add(d, &f);
		} else {
			finding_ok(d, S(""), at, S("is a public address"));
		}
	}
}

void check_address_temporary(struct doctor *d)
{
	const struct situation *s = &d->situation;

	if (s->container) {
		finding_skip(d, S(""), S(""), S("the addresses of a container are its host's"));
		return;
	}
	for (size_t i = 0; i < s->addresses_n; i++) {
		struct doctor_finding f = { .result = DOCTOR_WARNING, .subject = s->addresses[i].text };

		if (!is_v6(f.subject))
			continue;
		f.text = S("is a temporary address (RFC 8981)");
		f.remedy.text = S("Send from the static address of this machine, or by IPv4 only:");
		f.remedy.config = S("delivery = { source = [ \"…\" ]; };   or   delivery = { ipv6 = false; };");
		f.remedy.command = S("posthouse reload");
		if (in_list(&d->options.temporary, f.subject))
			finding_add(d, &f);
		else
			finding_ok(d, S(""), f.subject, S("is not temporary"));
	}
}

/* ---- ptr.exists ---- */

static const struct fact_dns *names_of(struct doctor *d, struct str address)
{
	return facts_dns(d, VIEW_WORLD, reverse_name(&d->arena, address, S("in-addr.arpa"), S("ip6.arpa")), DNS_PTR);
}

/* The remedy of all that is wrong with a reverse name. */
static void ask_owner(struct doctor *d, struct doctor_finding *f)
{
	f->expected = d->config->hostname;
	f->remedy.text =
		arena_printf(&d->arena, "Ask the owner of the address (your host's panel, \"reverse DNS\") for\n    %.*s -> %.*s",
			     STR_ARG(f->subject), STR_ARG(d->config->hostname));
}

static void add_no_name(struct doctor *d, struct str address)
{
	struct doctor_finding f = { .result = DOCTOR_FAILURE, .subject = address, .text = S("has no reverse name") };

	ask_owner(d, &f);
	if (is_v6(address)) {
		f.why = S("Gmail and others refuse IPv6 mail from addresses without one.");
		f.remedy.text = arena_printf(&d->arena, "%.*s\nor send by IPv4 only:", STR_ARG(f.remedy.text));
		f.remedy.config = S("delivery = { ipv6 = false; };");
		f.remedy.command = S("posthouse reload");
	}
	finding_add(d, &f);
}

void check_ptr_exists(struct doctor *d)
{
	for (size_t i = 0; i < d->situation.addresses_n; i++) {
		struct str address = d->situation.addresses[i].text;
		const struct fact_dns *f;

		if (address_is_private(address)) {
			finding_skip(d, S(""), address, S("a private address has no public reverse name"));
			continue;
		}
		f = names_of(d, address);
		if (f->state == FACT_UNKNOWN)
			finding_unknown(
				d, S(""), address,
				arena_printf(&d->arena, "could not be asked for its reverse name: %.*s", STR_ARG(f->why)));
		else if (f->state == FACT_THERE)
			finding_ok(d, S(""), address,
				   arena_printf(&d->arena, "has the reverse name %.*s", STR_ARG(f->records[0].text)));
		else if (f->state != FACT_PENDING)
			add_no_name(d, address);
	}
}

/* Run `judge` for each address that has reverse names; what has none is skipped. */
static void each_named(struct doctor *d, void (*judge)(struct doctor *d, struct str address, const struct fact_dns *names))
{
	for (size_t i = 0; i < d->situation.addresses_n; i++) {
		struct str address = d->situation.addresses[i].text;
		enum doctor_result before = result_of(d, CHECK_PTR_EXISTS, S(""), address);
		const struct fact_dns *names;

		if (before == DOCTOR_FAILURE || before == DOCTOR_SKIPPED || before == DOCTOR_UNKNOWN) {
			finding_skip(d, S(""), address, S("ptr.exists"));
			continue;
		}
		names = names_of(d, address);
		if (names->state == FACT_THERE)
			judge(d, address, names);
	}
}

/* ---- ptr.confirmed ---- */

enum confirmation { CONFIRMED, NOT_CONFIRMED, CONFIRMATION_PENDING, CONFIRMATION_UNKNOWN };

static enum confirmation confirms(struct doctor *d, struct str name, struct str address)
{
	const struct fact_dns *f = facts_dns(d, VIEW_WORLD, name, is_v6(address) ? DNS_AAAA : DNS_A);

	if (f->state == FACT_PENDING || f->state == FACT_UNKNOWN)
		return f->state == FACT_PENDING ? CONFIRMATION_PENDING : CONFIRMATION_UNKNOWN;
	for (size_t i = 0; i < f->n; i++)
		if (str_eq(f->records[i].text, address))
			return CONFIRMED;
	return NOT_CONFIRMED;
}

/* The reverse name is that of the relay: the record that it lacks is the matter of an earlier check. */
static struct str name_fault(struct doctor *d)
{
	enum doctor_result address = result_of(d, CHECK_NAME_ADDRESS, S(""), S("")),
			   source = result_of(d, CHECK_NAME_SOURCE, S(""), S(""));

	/* a warning: mail goes directly only when an upstream fails */
	return result_is_bad(address) || address == DOCTOR_WARNING ? S("name.address")
	       : result_is_bad(source) || source == DOCTOR_WARNING ? S("name.source")
								   : S("");
}

static void judge_confirmed(struct doctor *d, struct str address, const struct fact_dns *names)
{
	struct doctor_finding f = { .result = DOCTOR_FAILURE, .subject = address, .found = names->records[0].text };
	bool unknown = false, pending = false;
	struct str first;

	for (size_t i = 0; i < names->n && i < NAMES_MAX; i++) {
		enum confirmation c = confirms(d, names->records[i].text, address);

		if (c == CONFIRMED) {
			finding_ok(d, S(""), address,
				   arena_printf(&d->arena, "is confirmed by %.*s", STR_ARG(names->records[i].text)));
			return;
		}
		unknown = unknown || c == CONFIRMATION_UNKNOWN;
		pending = pending || c == CONFIRMATION_PENDING;
	}
	f.text = arena_printf(&d->arena, "has the reverse name %.*s, which does not lead back", STR_ARG(f.found));
	if (str_ieq(f.found, d->config->hostname))
		finding_record(d, &f, is_v6(address) ? "AAAA" : "A", f.found, address);
	else
		ask_owner(d, &f);
	if (pending)
		return;
	if (str_ieq(f.found, d->config->hostname) && (first = name_fault(d)).n > 0)
		finding_skip(d, S(""), address, first);
	else if (unknown)
		finding_unknown(d, S(""), address, S("has a reverse name that could not be looked up"));
	else
		finding_add(d, &f);
}

void check_ptr_confirmed(struct doctor *d)
{
	each_named(d, judge_confirmed);
}

/* ---- ptr.name ---- */

static void judge_name(struct doctor *d, struct str address, const struct fact_dns *names)
{
	struct doctor_finding f = { .result = DOCTOR_WARNING, .subject = address, .found = names->records[0].text };

	for (size_t i = 0; i < names->n; i++)
		if (str_ieq(names->records[i].text, d->config->hostname)) {
			if (names->n == 1) {
				finding_ok(d, S(""), address, S("has the name that we greet with"));
				return;
			}
			f.result = DOCTOR_ADVICE;
			f.text = arena_printf(&d->arena, "has %zu reverse names", names->n);
			f.why = S("Some receivers look at one of them only, and nobody knows at which.");
			ask_owner(d, &f);
			finding_add(d, &f);
			return;
		}
	f.text = arena_printf(&d->arena, "is called %.*s, but we greet as %.*s", STR_ARG(f.found), STR_ARG(d->config->hostname));
	ask_owner(d, &f);
	f.remedy.text = arena_printf(&d->arena, "%.*s\nor greet with the other name:", STR_ARG(f.remedy.text));
	f.remedy.config = arena_printf(&d->arena, "hostname = \"%.*s\";", STR_ARG(f.found));
	finding_add(d, &f);
}

void check_ptr_name(struct doctor *d)
{
	each_named(d, judge_name);
}
