/* init_records.c - the DNS records of a new relay: what is missing, what is good already, and what somebody else has to do. */
#include "init.h"

#include "lookup.h"

#include "posthouse/spf.h"

#include <sysexits.h>
#include <time.h>

#define TTL 300

enum asked {
	ASKED_A,
	ASKED_AAAA,
	ASKED_HELO,
	ASKED_DOMAIN,
	ASKED_DMARC,
	ASKED_MX,
	ASKED_RSA,
	ASKED_ED25519,
	ASKED_SUBMISSIONS,
	ASKED_SUBMISSION,
	ASKED_N
};

/* ---- answers ---- */

static void question(struct init *t, enum asked i, const char *label, struct str name, unsigned type)
{
	t->answers[i] =
		(struct lookup){ .name = *label ? arena_printf(&t->arena, "%s.%.*s", label, STR_ARG(name)) : name, .type = type };
}

static struct str key_name(struct init *t, struct str selector)
{
	return arena_printf(&t->arena, "%.*s._domainkey.%.*s", STR_ARG(selector), STR_ARG(t->domain));
}

static void name_keys(struct init *t, bool by_day)
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	for (size_t i = 0; i < INIT_KEYS; i++)
		t->keys[i].selector =
			by_day ? arena_printf(&t->arena, "p%04d%02d%02d%c", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, "re"[i])
			       : arena_printf(&t->arena, "p%04d%02d%c", tm.tm_year + 1900, tm.tm_mon + 1, "re"[i]);
}

void init_look_up(struct init *t)
{
	size_t n = ASKED_N;

	name_keys(t, false);

	t->answers = ARENA_ARRAY(&t->arena, struct lookup, ASKED_N + t->addresses.n);
	question(t, ASKED_A, "", t->hostname, DNS_A);
	question(t, ASKED_AAAA, "", t->hostname, DNS_AAAA);
	question(t, ASKED_HELO, "", t->hostname, DNS_TXT);
	question(t, ASKED_DOMAIN, "", t->domain, DNS_TXT);
	question(t, ASKED_DMARC, "_dmarc", t->domain, DNS_TXT);
	question(t, ASKED_MX, "", t->domain, DNS_MX);
	question(t, ASKED_RSA, "", key_name(t, t->keys[0].selector), DNS_TXT);
	question(t, ASKED_ED25519, "", key_name(t, t->keys[1].selector), DNS_TXT);
	question(t, ASKED_SUBMISSIONS, "_submissions._tcp", t->domain, DNS_SRV);
	question(t, ASKED_SUBMISSION, "_submission._tcp", t->domain, DNS_SRV);
	for (size_t i = 0; i < t->addresses.n; i++)
		t->answers[n++] =
			(struct lookup){ .name = reverse_name(&t->arena, t->addresses.at[i], S("in-addr.arpa"), S("ip6.arpa")),
					 .type = DNS_PTR };
	if (!t->offline)
		lookups_ask(&t->arena, str_of(t->resolver ? t->resolver : ""), t->answers, n, 5000);
	/* what was signed by an earlier key is still on its way */
	if (t->answers[ASKED_RSA].values.n + t->answers[ASKED_ED25519].values.n > 0)
		name_keys(t, true);
}

static const struct lookup *answer(const struct init *t, enum asked i)
{
	return &t->answers[i];
}

static bool has(const struct lookup *l, struct str value)
{
	for (size_t i = 0; i < l->values.n; i++)
		if (str_ieq(l->values.at[i], value))
			return true;
	return false;
}

/* The n-th text that begins with the version, as a word of its own. */
static struct str versioned(const struct lookup *l, struct str version, size_t n)
{
	for (size_t i = 0; i < l->values.n; i++) {
		struct str text = l->values.at[i];

		if (str_istarts(text, version) && (text.n == version.n || text.p[version.n] == ' ' || text.p[version.n] == ';') &&
		    n-- == 0)
			return text;
	}
	return S("");
}

/* ---- entries ---- */

static struct dns_entry *add(struct init *t, const char *type, struct str name, struct str value)
{
	struct dns_entry *e = dns_entries_add(&t->records, type, name, value);

	e->ttl = TTL;
	return e;
}

/* The name of the relay can be in another zone than the domain. */
static struct dns_entry *add_of_host(struct init *t, const char *type, struct str value)
{
	struct dns_entry *e = add(t, type, t->hostname, value);
	struct str name = dns_name_in(&t->arena, t->hostname, t->domain);

	if (str_ends(name, S("."))) {
		e->state = ENTRY_ADVICE;
		e->comment = S("in the zone of that name");
	}
	return e;
}

static void add_address(struct init *t, struct str address)
{
	bool v6 = str_find(address, ':') < address.n;
	const struct lookup *now = answer(t, v6 ? ASKED_AAAA : ASKED_A);
	struct dns_entry *e = add_of_host(t, v6 ? "AAAA" : "A", address);

	if (e->state == ENTRY_ADVICE && !has(now, address))
		return;
	if (has(now, address)) {
		e->state = ENTRY_GOOD;
		e->comment = S("");
	} else if (now->values.n == 1) {
		e->state = ENTRY_CHANGED;
		e->was = now->values.at[0];
	} else if (now->values.n > 1) {
		e->comment = S("none of the addresses of that name is this machine's");
	}
}

static void add_addresses(struct init *t)
{
	struct dns_entry *e;

	for (size_t i = 0; i < t->addresses.n; i++)
		add_address(t, t->addresses.at[i]);
	if (t->addresses.n > 0 || init_has_upstream(t) || answer(t, ASKED_A)->values.n + answer(t, ASKED_AAAA)->values.n > 0)
		return;
	e = add(t, "A", t->hostname, S("(the public address of this machine)"));
	e->state = ENTRY_ADVICE;
	e->comment = S("it could not be found out here: `init --public-address`, or fill it in");
}

/* RFC 7208 2.3: receivers judge mail without a sender, as reports are, by the name that we greet with. */
static void add_spf_of_host(struct init *t)
{
	struct str there = versioned(answer(t, ASKED_HELO), S("v=spf1"), 0);
	struct dns_entry *e;

	if (init_has_upstream(t))
		return;
	e = add_of_host(t, "TXT", there.n > 0 ? there : S("v=spf1 a -all"));
	if (there.n > 0)
		e->state = ENTRY_GOOD;
	if (e->state != ENTRY_ADVICE)
		e->comment = S("our greeting and reports");
}

static void wish_for(struct init *t, struct spf_wish *wish, struct str term)
{
	wish->terms.at[wish->terms.n++] = term;
}

/* What our mail needs in the SPF record of the domain: nothing, where it is not known or not needed. */
static struct spf_wish spf_wish(struct init *t)
{
	struct spf_wish wish = { { ARENA_ARRAY(&t->arena, struct str, t->addresses.n + 1), 0 }, S("") };
	struct str include;

	if (t->profile) {
		include = t->profile->own_envelope ? S("") : profile_spf(t->profile, &t->arena, str_of(t->region));
		if (include.n > 0)
			wish_for(t, &wish, arena_printf(&t->arena, "include:%.*s", STR_ARG(include)));
		return wish;
	}
	for (size_t i = 0; i < t->addresses.n && !init_has_upstream(t); i++) {
		struct str address = t->addresses.at[i];

		wish_for(t, &wish,
			 arena_printf(&t->arena, "ip%c:%.*s", str_find(address, ':') < address.n ? '6' : '4', STR_ARG(address)));
	}
	if (wish.terms.n == 0 && !init_has_upstream(t))
		wish_for(t, &wish, arena_printf(&t->arena, "a:%.*s", STR_ARG(t->hostname)));
	return wish;
}

static void add_unknown_spf(struct init *t)
{
	struct dns_entry *e;

	if (t->profile && t->profile->own_envelope)
		return;
	e = add(t, "TXT", t->domain, S("v=spf1 include:NAME ~all"));
	e->state = ENTRY_ADVICE;
	e->comment = S("ask the upstream's provider for the NAME that SPF includes");
}

/* A domain has one SPF record. What is there stays, also of a second one, which is a fault (RFC 7208 4.5). */
static void add_spf(struct init *t)
{
	const struct lookup *now = answer(t, ASKED_DOMAIN);
	struct str there = versioned(now, S("v=spf1"), 0), old = there, more;
	struct spf_wish wish = spf_wish(t);
	struct spf_merged merged;
	struct dns_entry *e;

	if (wish.terms.n == 0 && there.n == 0) {
		add_unknown_spf(t);
		return;
	}
	for (size_t i = 1; (more = versioned(now, S("v=spf1"), i)).n > 0; i++) {
		there = arena_printf(&t->arena, "%.*s\" and \"%.*s", STR_ARG(there), STR_ARG(more));
		old = arena_printf(&t->arena, "%.*s %.*s", STR_ARG(old), STR_ARG(more));
	}
	if (there.n == 0)
		wish.all = S("~all");
	spf_merge(&t->arena, old, &wish, &merged);
	e = add(t, "TXT", t->domain, merged.text);
	e->was = there;
	if (there.n > 0)
		e->state = merged.changed ? ENTRY_CHANGED : ENTRY_GOOD;
	if (merged.long_text)
		e->comment = S("long: more than 450 bytes do not surely fit into one answer");
}

static void add_key(struct init *t, size_t i)
{
	struct str text = dkim_record_text(&t->arena, t->keys[i].key);

	if (text.n == 0)
		init_fail(t, EX_SOFTWARE, "OpenSSL could not write the public key");
	add(t, "TXT", key_name(t, t->keys[i].selector), text);
}

/* A policy that is there is its owner's decision. */
static void add_dmarc(struct init *t)
{
	struct str there = versioned(answer(t, ASKED_DMARC), S("v=DMARC1"), 0);
	struct str text = arena_printf(&t->arena, "v=DMARC1; p=none; rua=mailto:postmaster@%.*s", STR_ARG(t->domain));
	struct dns_entry *e = add(t, "TXT", answer(t, ASKED_DMARC)->name, there.n > 0 ? there : text);

	if (there.n > 0)
		e->state = ENTRY_GOOD;
}

/* RFC 6186, RFC 8314: where programs that look for settings find us. */
static void add_service(struct init *t, enum asked asked, unsigned priority, const char *port)
{
	const struct lookup *now = answer(t, asked);
	struct str value = arena_printf(&t->arena, "%u 1 %s %.*s.", priority, port, STR_ARG(t->hostname));
	struct dns_entry *e = add(t, "SRV", now->name, value);

	if (has(now, value)) {
		e->state = ENTRY_GOOD;
	} else if (now->values.n > 0) {
		e->state = ENTRY_ADVICE;
		e->comment = arena_printf(&t->arena, "now it names %.*s", STR_ARG(now->values.at[0]));
	}
}

static void add_mailboxes(struct init *t)
{
	const struct lookup *now = answer(t, ASKED_MX);
	struct dns_entry *e;

	for (size_t i = 0; i < now->values.n; i++) {
		e = add(t, "MX", t->domain, now->values.at[i]);
		e->state = ENTRY_GOOD;
		e->comment = S("your mailboxes; posthouse takes no mail");
	}
	if (now->values.n > 0)
		return;
	e = add(t, "MX", t->domain, S("10 your.mailbox.host."));
	e->state = ENTRY_ADVICE;
	e->comment = now->state == LOOKUP_NONE
			     ? S("there is none: replies and failure reports have nowhere to go; never name this relay")
			     : S("if there is none: the server of your mailboxes, never this relay");
}

static void add_advice(struct init *t)
{
	static const char *const rows[][2] = { { "_mta-sts", "v=STSv1; id=1" },
					       { "_smtp._tls", "v=TLSRPTv1; rua=mailto:postmaster@" } };

	for (size_t i = 0; i < 2; i++) {
		bool open = str_ends(str_of(rows[i][1]), S("@"));
		struct dns_entry *e =
			add(t, "TXT", arena_printf(&t->arena, "%s.%.*s", rows[i][0], STR_ARG(t->domain)),
			    arena_printf(&t->arena, "%s%.*s", rows[i][1], open ? (int)t->domain.n : 0, t->domain.p));

		e->state = ENTRY_ADVICE;
		e->comment = S("for who runs your mailboxes; see posthouse(8)");
	}
}

static void add_reverse(struct init *t)
{
	for (size_t i = 0; i < t->addresses.n && !init_has_upstream(t); i++) {
		struct dns_entry *e = add(t, "PTR", t->addresses.at[i], t->hostname);

		e->state = ENTRY_ELSEWHERE;
		if (has(&t->answers[ASKED_N + i], t->hostname))
			e->comment = S("it is so already");
	}
}

void init_make_records(struct init *t)
{
	t->records.arena = &t->arena;
	add_addresses(t);
	add_spf_of_host(t);
	add_spf(t);
	add_key(t, 0);
	add_key(t, 1);
	add_dmarc(t);
	add_service(t, ASKED_SUBMISSIONS, 0, t->port_implicit);
	add_service(t, ASKED_SUBMISSION, 10, t->port_starttls);
	add_mailboxes(t);
	add_advice(t);
	add_reverse(t);
}
