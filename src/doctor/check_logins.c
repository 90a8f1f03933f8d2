/* check_logins.c - what a stolen password, or a host that needs none, could do here: senders, limits, passwords, devices. */
#include "listeners.h"
#include "run.h"
#include "txt.h"

#include "posthouse/address.h"
#include "posthouse/policy.h"
#include "posthouse/units.h"

#include <stdio.h>

/* ---- login.senders ---- */

static bool is_everything(struct str pattern)
{
	return str_eq(pattern, S("*")) || str_eq(pattern, S("@*"));
}

/* A whole domain in which everybody can have an address is nobody's to give away. */
static bool is_whole_provider(struct str pattern)
{
	size_t at = str_rfind(pattern, '@');
	struct str local = str_head(pattern, at), domain = str_from(pattern, at + 1);

	return at < pattern.n && (local.n == 0 || str_eq(local, S("*"))) && domain_is_providers(domain);
}

/* All names below one that belongs to many: "@.com", "@.co.uk". */
static bool is_below_suffix(struct arena *a, struct str pattern)
{
	struct str domain = str_from(pattern, str_rfind(pattern, '@') + 1), one = arena_printf(a, "x%.*s", STR_ARG(domain));

	return domain.n > 1 && domain.p[0] == '.' && str_eq(organisational_domain(one), one) && name_form_fault(one).n == 0;
}

/* Is it somebody else's? Mail of it leaves from here directly, but no key here signs for it and its owner's SPF record excludes
 * us. What goes by an upstream can be fine without these. */
static bool is_others(struct doctor *d, struct str pattern)
{
	const struct situation *s = doctor_situation(d);
	struct str name = str_from(pattern, str_rfind(pattern, '@') + 1);

	for (size_t i = 0; i < s->domains_n && !s->offline; i++)
		if (str_ieq(s->domains[i].name, name))
			return s->domains[i].by_mx && !s->domains[i].by_upstream && !key_of(d, s->domains[i].name) &&
			       result_of(d, CHECK_SPF_PASS, s->domains[i].name, S("")) == DOCTOR_FAILURE;
	return false;
}

/* What is wrong with it; "": nothing. */
static struct str pattern_fault(struct doctor *d, struct str pattern)
{
	struct arena *a = doctor_arena(d);

	if (is_everything(pattern))
		return S("is allowed to send as everybody (\"*\")");
	if (is_whole_provider(pattern))
		return arena_printf(a, "is allowed to send as everybody at a foreign provider (\"%.*s\")", STR_ARG(pattern));
	if (is_below_suffix(a, pattern))
		return arena_printf(a, "is allowed to send as everybody in \"%.*s\"", STR_ARG(pattern));
	if (is_others(d, pattern))
		return arena_printf(a,
				    "is allowed to send as \"%.*s\", which seems to be somebody else's: no key here signs for "
				    "it, and its SPF record excludes this relay",
				    STR_ARG(pattern));
	return S("");
}

static void tell_sender(struct doctor *d, const struct cfg_senders *s, struct str pattern, struct str text)
{
	struct arena *a = doctor_arena(d);

	finding_add(d, &(struct doctor_finding){
			       .result = DOCTOR_WARNING,
			       .subject = s->user,
			       .found = pattern,
			       .text = text,
			       .remedy = { .text = S("List the addresses that it needs:"),
					   .config = arena_printf(a, "senders = ( { user = \"%.*s\"; addresses = [ \"…\" ]; } );",
								  STR_ARG(s->user)),
					   .command = S("posthouse reload") } });
}

void check_login_senders(struct doctor *d)
{
	const struct config *c = doctor_config(d);
	size_t bad = 0;

	for (size_t i = 0; i < c->senders_n; i++)
		for (size_t k = 0; k < c->senders[i].addresses.n; k++) {
			struct str pattern = c->senders[i].addresses.at[k], fault = pattern_fault(d, pattern);

			if (fault.n == 0)
				continue;
			bad++;
			tell_sender(d, &c->senders[i], pattern, fault);
		}
	if (bad == 0)
		finding_ok(d, S(""), S(""), S("each login has senders of its own"));
}

/* ---- login.limits ---- */

static bool has_limits(const struct config *c)
{
	return c->limits.messages.n > 0 || c->limits.recipients.n > 0 || c->limits.new_recipients.n > 0;
}

static bool has_breaker(const struct config *c)
{
	return c->limits.breaker != BREAKER_OFF &&
	       (c->breaker.new_recipients.amount > 0 || c->breaker.bounces > 0 || c->breaker.networks.amount > 0);
}

void check_login_limits(struct doctor *d)
{
	const struct config *c = doctor_config(d);
	bool guarded = has_limits(c) || has_breaker(c);

	if (!guarded)
		finding_add(d, &(struct doctor_finding){
				       .result = doctor_situation(d)->mx ? DOCTOR_FAILURE : DOCTOR_WARNING,
				       .subject = S("limits"),
				       .text = S("there are none, and the breaker is off"),
				       .remedy = { .text = S("Switch the breaker on, or set limits:"),
						   .config = S("limits = { breaker = \"on\"; messages = [ \"500/1d\" ]; };"),
						   .command = S("posthouse reload") } });
	if (c->auth.failures.amount == 0)
		finding_add(d, &(struct doctor_finding){
				       .result = DOCTOR_WARNING,
				       .subject = S("auth.failures"),
				       .text = S("failed logins are not counted"),
				       .why = S("Passwords can be guessed without end."),
				       .remedy = { .text = S("Take `failures = \"\"` out of auth; the default is good."),
						   .command = S("posthouse reload") } });
	if (guarded && c->auth.failures.amount > 0)
		finding_ok(d, S(""), S(""), S("a stolen password is stopped by limits or the breaker"));
}

/* ---- login.passwords ---- */

#define ENDS_DAYS   14
#define TRIED_DAYS  7
#define UNUSED_DAYS 180

static struct str account_text(struct arena *a, const struct account_fact *f)
{
	return f->device.n > 0 ? arena_printf(a, "%.*s/%.*s", STR_ARG(f->name), STR_ARG(f->device)) : f->name;
}

/* Since when nobody has used it, as far as that is known; 0: it is not. */
static uint64_t unused_since(const struct machine_facts *m, const struct account_fact *f)
{
	uint64_t since = m->accounts.uses_since;

	if (since == 0)
		return 0;
	since = f->created_at > since ? f->created_at : since;
	return f->used_at > since ? f->used_at : since;
}

static void tell_password(struct doctor *d, enum doctor_result result, struct str who, struct str found, struct str text,
			  const char *remedy)
{
	finding_add(d, &(struct doctor_finding){
			       .result = result,
			       .subject = who,
			       .found = found,
			       .text = text,
			       .remedy = { .text = str_of(remedy),
					   .command = arena_printf(doctor_arena(d),
								   "posthouse user passwd %.*s\nposthouse user remove %.*s",
								   STR_ARG(who), STR_ARG(who)) } });
}

/* False: there is nothing to say. */
static bool check_password(struct doctor *d, const struct machine_facts *m, const struct account_fact *one)
{
	struct arena *a = doctor_arena(d);
	uint64_t now = doctor_now(d), unused = unused_since(m, one);
	struct str who = account_text(a, one), ends = day_text(a, one->expires_at);
	bool ended = one->expires_at > 0 && one->expires_at <= now;

	if (ended && one->tried_at > one->expires_at && one->tried_at + TRIED_DAYS * DAY_MS > now)
		tell_password(d, DOCTOR_WARNING, who, ends,
			      arena_printf(a, "its password has ended on %.*s, and somebody has used it on %.*s", STR_ARG(ends),
					   STR_ARG(day_text(a, one->tried_at))),
			      "Give it a new one, or remove it:");
	else if (one->expires_at > 0 && one->expires_at <= now + ENDS_DAYS * DAY_MS)
		tell_password(d, DOCTOR_ADVICE, who, ends,
			      arena_printf(a, "its password %s on %.*s", ended ? "has ended" : "ends", STR_ARG(ends)),
			      "Give it a new one, or remove it:");
	else if (unused > 0 && unused + UNUSED_DAYS * DAY_MS <= now)
		tell_password(d, DOCTOR_ADVICE, who, day_text(a, unused),
			      arena_printf(a, "nobody has used its password since %.*s", STR_ARG(day_text(a, unused))),
			      "If it is needed, a new one does no harm; else remove it:");
	else
		return false;
	return true;
}

void check_login_passwords(struct doctor *d)
{
	const struct machine_facts *m = machine_of(d);
	size_t bad = 0;

	for (size_t i = 0; m->accounts.known && i < m->accounts.n; i++)
		bad += check_password(d, m, &m->accounts.at[i]);
	if (m->accounts.known && bad == 0)
		finding_ok(d, S(""), S(""), S("no password ends within two weeks, and all are in use"));
}

/* ---- login.devices ---- */

#define FEW_V4 28  /* 16 addresses */
#define FEW_V6 124 /* the same */

static struct str first_network(const struct cfg_device *device)
{
	return device->networks.n > 0 ? device->networks.at[0] : S("devices");
}

static bool sends_to_everybody(const struct cfg_device *device)
{
	for (size_t i = 0; i < device->recipients.n; i++)
		if (is_everything(device->recipients.at[i]))
			return true;
	return false;
}

static bool holds_gateway(struct doctor *d, struct str network)
{
	const struct machine_facts *m = machine_of(d);

	for (size_t i = 0; i < m->gateways.n; i++)
		if (network_contains(network, m->gateways.at[i]))
			return true;
	return false;
}

static void tell_device(struct doctor *d, struct str subject, enum doctor_result result, struct str text, struct str remedy)
{
	finding_add(d, &(struct doctor_finding){ .subject = subject,
						 .result = result,
						 .text = text,
						 .remedy = { .text = remedy, .command = S("posthouse reload") } });
}

/* Is a weak network in the entry? The number of findings. */
static size_t check_networks(struct doctor *d, const struct cfg_device *device)
{
	struct arena *a = doctor_arena(d);
	size_t bad = 0;

	for (size_t i = 0; i < device->networks.n; i++) {
		struct str network = device->networks.at[i];
		bool open = result_is_bad(result_of(d, CHECK_RELAY_OPEN, S(""), network));

		if (holds_gateway(d, network) && !open) {
			bad++;
			tell_device(
				d, network, DOCTOR_FAILURE,
				S("this device's network holds the default gateway, from which all strangers can seem to come"),
				S("Name the device's own address in devices.networks."));
		} else if (device->tls != DEVICE_TLS_MODERN && network_wider(network, FEW_V4, FEW_V6) && !open) {
			bad++;
			tell_device(d, network, DOCTOR_WARNING,
				    arena_printf(a, "more than 16 addresses are let in with tls = \"%s\"",
						 device->tls == DEVICE_TLS_NONE ? "none" : "legacy"),
				    S("Name the single addresses of the devices that need it."));
		} else if (open) {
			bad++;
			finding_skip(d, S(""), network, S("relay.open"));
		}
	}
	return bad;
}

void check_login_devices(struct doctor *d)
{
	const struct config *c = doctor_config(d);
	size_t bad = 0;

	for (size_t i = 0; i < c->devices_n; i++) {
		bad += check_networks(d, &c->devices[i]);
		if (!sends_to_everybody(&c->devices[i]))
			continue;
		bad++;
		tell_device(d, first_network(&c->devices[i]), DOCTOR_WARNING, S("this device is allowed to send to everybody"),
			    S("List in devices.recipients whom it sends to, as \"@example.org\"."));
	}
	if (bad == 0 && c->devices_n > 0)
		finding_ok(d, S(""), S(""), S("devices are few, and send to few"));
}
