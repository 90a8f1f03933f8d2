/* checks.c - the rules that the table cannot express: which keys fit together. Each check also works with values that had a fault
 * already. */
#include "loader.h"

#include "posthouse/address.h"
#include "posthouse/mail.h"
#include "posthouse/names.h"
#include "posthouse/units.h"

#include <ctype.h>

/* Two listeners on one port need different addresses; "*" is all of them. */
static void check_listen(struct loader *l)
{
	const struct config *c = l->config;

	for (size_t i = 0; i < c->listen_n; i++) {
		const struct cfg_listen *a = &c->listen[i];

		for (size_t k = 0; k < i; k++) {
			const struct cfg_listen *b = &c->listen[k];

			if (a->port != 0 && a->port == b->port &&
			    (str_eq(a->address, b->address) || str_eq(a->address, S("*")) || str_eq(b->address, S("*"))))
				fault(l, setting_near(l, "listen.[%zu].port", i),
				      "listen: expected a port of its own; %u is taken by element %zu of the list",
				      (unsigned)a->port, k + 1);
		}
	}
}

/* The path in the file is short enough, but the kernel gets it with the directory in front. */
static void check_control(struct loader *l)
{
	struct config *c = l->config;

	if (c->control.n > 0 && !format_socket.valid(c->control))
		fault(l, setting_near(l, "control"), "control: expected %s once the directory is put before it",
		      format_socket.expected);
}

/* The first entry of a login decides, so the relay would ignore a second one. */
static void check_senders(struct loader *l)
{
	const struct config *c = l->config;

	for (size_t i = 0; i < c->senders_n; i++)
		if (!str_eq(c->senders[i].user, S("*")))
			l->config->senders[i].user = login_canonical(l->arena, c->senders[i].user);
	for (size_t i = 1; i < c->senders_n; i++)
		for (size_t k = 0; k < i && c->senders_n <= 1000; k++)
			if (str_ieq(c->senders[i].user, c->senders[k].user)) {
				fault(l, setting_near(l, "senders.[%zu].user", i),
				      "senders: expected one entry for the login \"%.*s\"; element %zu of the list is one "
				      "already",
				      STR_ARG(c->senders[i].user), k + 1);
				break;
			}
}

static void check_sign(struct loader *l)
{
	const struct config *c = l->config;

	for (size_t i = 0; i < c->sign_n; i++) {
		unsigned same_domain = 0;

		for (size_t k = 0; k < i; k++) {
			if (!str_eq(c->sign[i].domain, c->sign[k].domain))
				continue;
			same_domain += c->sign[k].state == SIGN_ACTIVE;
			if (str_ieq(c->sign[i].selector, c->sign[k].selector))
				fault(l, setting_near(l, "sign.[%zu].selector", i),
				      "sign: expected a selector of its own; element %zu of the list has the same domain and "
				      "selector",
				      k + 1);
		}
		if (same_domain == DKIM_KEYS_MAX && c->sign[i].state == SIGN_ACTIVE)
			fault(l, setting_near(l, "sign.[%zu]", i),
			      "sign: expected at most %d active keys for the domain \"%.*s\"", DKIM_KEYS_MAX,
			      STR_ARG(c->sign[i].domain));
	}
}

/* At most one address of a family, and none of a family that is not used. */
static void check_source(struct loader *l)
{
	const struct cfg_delivery *d = &l->config->delivery;
	unsigned v4 = 0, v6 = 0;

	for (size_t i = 0; i < d->source.n; i++) {
		struct str address = d->source.at[i];
		bool is_v6 = str_find(address, ':') < address.n;
		const config_setting_t *s = setting_near(l, "delivery.source.[%zu]", i);

		if (address.n == 0)
			continue; /* it was no address, which is a fault already */
		if ((is_v6 ? v6++ : v4++) == 1)
			fault(l, s, "delivery.source: expected at most one %s address", is_v6 ? "IPv6" : "IPv4");
		if (!(is_v6 ? d->ipv6 : d->ipv4))
			warning(l, s, "delivery.source: \"%.*s\" is not used while %s is false", STR_ARG(address),
				is_v6 ? "ipv6" : "ipv4");
	}
}

/* relay reads the file as the run_as user, so this process can only check that the file is there. */
static void check_trust_anchor(struct loader *l)
{
	struct str path = l->config->delivery.trust_anchor;
	const char *why;
	unsigned mode;
	struct buf b;

	if (path.n == 0)
		return;
	why = file_read(arena_cstr(l->arena, path), MIB, &b, &mode);
	if (!why && b.n == 0)
		why = "is empty";
	if (why)
		fault(l, setting_near(l, "delivery.trust_anchor"), "delivery.trust_anchor: %.*s cannot be used: %s",
		      STR_ARG(path), why);
	buf_fini(&b);
}

static void check_delivery(struct loader *l)
{
	if (!l->config->delivery.ipv4 && !l->config->delivery.ipv6)
		fault(l, setting_near(l, "delivery.ipv6"), "delivery: expected ipv4 or ipv6 to be true");
	check_source(l);
	check_trust_anchor(l);
}

/* It becomes a label of names. */
static void check_doctor(struct loader *l)
{
	struct str key = l->config->doctor.spamhaus_key;
	bool is_label = key.n <= 63;

	for (size_t i = 0; i < key.n; i++)
		is_label = is_label && isalnum((unsigned char)key.p[i]);
	if (!is_label)
		fault(l, setting_near(l, "doctor.spamhaus_key"),
		      "doctor.spamhaus_key: expected letters and digits, as Spamhaus gives them");
}

/* Only for a value from the file: the default can be longer than a short lifetime. */
static void check_queue(struct loader *l)
{
	const struct cfg_queue *q = &l->config->queue;
	const config_setting_t *s = setting_exact(l, "queue.warn_after");

	if (s && q->warn_after_ms > 0 && q->warn_after_ms >= q->lifetime_ms)
		warning(l, s, "queue.warn_after: nobody will be warned: mail is returned after queue.lifetime already");
}

/* RFC 8460 3: reports without a signature of the domain that reports are ignored; 5.3: that domain is the one of the contact. */
static void check_tls_report(struct loader *l)
{
	struct cfg_tls_report *t = &l->config->tls_report;
	struct dkim_key keys[DKIM_KEYS_MAX];
	struct str domain = address_domain(t->from);

	if (t->from.n == 0) {
		if (t->org.n > 0 || t->contact.n > 0)
			warning(l, setting_near(l, "tls_report"), "tls_report: there are no reports without tls_report.from");
		return;
	}
	if (t->contact.n == 0)
		t->contact = t->from;
	if (t->org.n == 0)
		t->org = domain;
	if (config_dkim_keys(l->arena, l->config, domain, keys) == 0)
		warning(l, setting_near(l, "tls_report.from"),
			"tls_report.from: there is no key for \"%.*s\" in sign; reports that are not signed are ignored, so none "
			"is sent by mail",
			STR_ARG(domain));
	if (!str_ieq(address_domain(t->contact), domain))
		warning(l, setting_near(l, "tls_report.contact"),
			"tls_report.contact: some receivers want an address of \"%.*s\", as in tls_report.from", STR_ARG(domain));
}

void checks_run(struct loader *l)
{
	struct config *c = l->config;

	if (c->auth.realm.n == 0)
		c->auth.realm = c->hostname;
	c->auth.realm = domain_canonical(l->arena, c->auth.realm);
	check_control(l);
	check_listen(l);
	check_senders(l);
	clients_check(l);
	local_check(l);
	check_sign(l);
	upstreams_check(l);
	routes_check(l);
	tls_check(l);
	check_queue(l);
	check_delivery(l);
	check_doctor(l);
	check_tls_report(l);
	store_keys_check(l);
}
