/* decide.c - the decision. Each function below adds what one party says, in the order of their weight; a later one can demand
 * more than an earlier one, and takes nothing away. */
#include "posthouse/tls_policy.h"

/* The administrator says what proves that a server is the right one, so the domain's word is not needed. */
static bool is_pinned(const struct tls_facts *f)
{
	return f->own_ca || f->require_names.n > 0;
}

/* RFC 8689 3: TLS-Required: No puts aside what the recipient's domain says, not what the administrator here demands. REQUIRETLS
 * needs what the domain says, also where an exception would do without. */
static bool heeds_domain(const struct tls_facts *f)
{
	return f->wish == TLS_WISH_REQUIRE || (f->wish != TLS_WISH_OPTIONAL && f->require != TLS_REQUIRE_NONE);
}

/* RFC 8689 4.2.1: the server must be one that DNSSEC or MTA-STS, in any mode, says is the domain's; or the administrator does. */
static bool is_found_securely(const struct tls_facts *f)
{
	return f->mx_secure || (f->sts != STS_NONE && f->sts_listed) || f->require_names.n > 0;
}

/* RFC 7672 2.2.1 leaves it to the client. Most domains are not signed, but the zones of those that host their mail are: so nobody
 * can take the TLS of such a host away. It does not prove that the host is the domain's, as an enforced MTA-STS policy does. */
static bool heeds_dane_of_host(const struct tls_facts *f)
{
	return f->sts != STS_ENFORCE && f->require != TLS_REQUIRE_DANE && (f->wish != TLS_WISH_REQUIRE || is_found_securely(f));
}

bool tls_policy_heeds_dane(const struct tls_facts *f)
{
	if (!f->mx)
		return f->configured == UPSTREAM_DANE;
	if (is_pinned(f) || (f->require != TLS_REQUIRE_DANE && !heeds_domain(f)))
		return false;
	return f->mx_secure || heeds_dane_of_host(f);
}

bool tls_policy_heeds_sts(const struct tls_facts *f)
{
	return f->mx && heeds_domain(f) && (!is_pinned(f) || (f->wish == TLS_WISH_REQUIRE && f->require_names.n == 0));
}

static void demand(struct tls_policy *p, enum tls_level level, enum tls_source source)
{
	if (p->level >= level)
		return;
	p->level = level;
	p->source = source;
}

/* The first reason counts. */
static void refuse(struct tls_policy *p, enum tls_source source, enum tls_result as, struct verdict v)
{
	if (p->refused.class != OK)
		return;
	p->source = source;
	p->refused = v;
	p->refused_as = as;
}

static void use_tlsa(struct tls_policy *p, const struct tls_facts *f)
{
	p->tlsa = f->tlsa;
	p->tlsa_n = f->tlsa_n;
}

static struct verdict tlsa_failed(struct arena *a, const struct tls_facts *f)
{
	return temp(451, S("4.7.5"),
		    arena_printf(a, "DANE: the TLSA records of %.*s could not be looked up or validated", STR_ARG(f->name)));
}

static struct str without_tlsa(struct arena *a, const struct tls_facts *f)
{
	return f->tlsa_state == TLSA_UNUSABLE ? arena_printf(a, "mail can use none of the TLSA records of %.*s", STR_ARG(f->name))
					      : arena_printf(a, "%.*s has no TLSA records in a signed zone", STR_ARG(f->name));
}

/* RFC 7672 2.2. */
static void apply_dane(struct arena *a, struct tls_policy *p, const struct tls_facts *f)
{
	if (!tls_policy_heeds_dane(f))
		return;
	switch (f->tlsa_state) {
	case TLSA_NONE: break;
	case TLSA_UNUSABLE: demand(p, TLS_LEVEL_ENCRYPT, TLS_SOURCE_DANE); break;
	case TLSA_USABLE:
		demand(p, TLS_LEVEL_DANE, TLS_SOURCE_DANE);
		use_tlsa(p, f);
		break;
	case TLSA_FAILED:
		demand(p, TLS_LEVEL_DANE, TLS_SOURCE_DANE);
		refuse(p, TLS_SOURCE_DANE, TLS_RESULT_DNSSEC_INVALID, tlsa_failed(a, f));
		break;
	}
}

/* RFC 8461 2: MTA-STS must not override a failed DANE validation; DANE is the stronger of the two, so it decides alone. */
static void apply_sts(struct arena *a, struct tls_policy *p, const struct tls_facts *f)
{
	if (!tls_policy_heeds_sts(f) || p->level == TLS_LEVEL_DANE || f->sts == STS_NONE)
		return;
	if (f->sts == STS_TESTING) { /* RFC 8461 5 */
		p->testing = true;
		p->unlisted = !f->sts_listed;
		if (p->level == TLS_LEVEL_MAY)
			p->source = TLS_SOURCE_MTA_STS;
		return;
	}
	demand(p, TLS_LEVEL_VERIFY, TLS_SOURCE_MTA_STS);
	if (!f->sts_listed) /* RFC 8461 4.1 */
		refuse(p, TLS_SOURCE_MTA_STS, TLS_RESULT_VALIDATION_FAILURE,
		       temp(451, S("4.7.5"),
			    arena_printf(a, "MTA-STS: the policy of %.*s (mode enforce) does not list the mail server %.*s",
					 STR_ARG(f->domain), STR_ARG(f->name))));
}

/* RFC 7672 6: without usable records found by secure MX records, delivery is delayed. */
static void refuse_without_dane(struct arena *a, struct tls_policy *p, const struct tls_facts *f)
{
	struct str why =
		f->mx_secure ? without_tlsa(a, f) : arena_printf(a, "the MX records of %.*s are not signed", STR_ARG(f->domain));

	p->level = TLS_LEVEL_DANE;
	refuse(p, TLS_SOURCE_CONFIGURATION, TLS_RESULT_DANE_REQUIRED,
	       temp(451, S("4.7.5"), arena_printf(a, "the configuration demands DANE, and %.*s", STR_ARG(why))));
}

static void apply_configuration(struct arena *a, struct tls_policy *p, const struct tls_facts *f)
{
	switch (f->require) {
	case TLS_REQUIRE_DEFAULT: break;
	case TLS_REQUIRE_NONE: p->source = p->level == TLS_LEVEL_MAY ? TLS_SOURCE_CONFIGURATION : p->source; break;
	case TLS_REQUIRE_ENCRYPTED: demand(p, TLS_LEVEL_ENCRYPT, TLS_SOURCE_CONFIGURATION); break;
	case TLS_REQUIRE_VERIFIED: demand(p, TLS_LEVEL_VERIFY, TLS_SOURCE_CONFIGURATION); break;
	case TLS_REQUIRE_DANE:
		if (p->level != TLS_LEVEL_DANE)
			refuse_without_dane(a, p, f);
		break;
	}
}

static void apply_wish(struct arena *a, struct tls_policy *p, const struct tls_facts *f)
{
	if (f->wish == TLS_WISH_OPTIONAL && p->source == TLS_SOURCE_DEFAULT)
		p->source = TLS_SOURCE_MESSAGE;
	if (f->wish != TLS_WISH_REQUIRE)
		return;
	demand(p, TLS_LEVEL_VERIFY, TLS_SOURCE_MESSAGE);
	if (!is_found_securely(f))
		refuse(p, TLS_SOURCE_MESSAGE, TLS_RESULT_VALIDATION_FAILURE,
		       perm(550, S("5.7.10"),
			    arena_printf(
				    a,
				    "REQUIRETLS is demanded, and neither DNSSEC nor MTA-STS says that %.*s is a mail server of "
				    "%.*s",
				    STR_ARG(f->name), STR_ARG(f->domain))));
}

/* tls = "dane" of an upstream is mandatory DANE (RFC 7672 6). */
static void demand_dane(struct arena *a, struct tls_policy *p, const struct tls_facts *f)
{
	if (f->tlsa_state == TLSA_USABLE)
		use_tlsa(p, f);
	else if (f->tlsa_state == TLSA_FAILED)
		refuse(p, TLS_SOURCE_UPSTREAM, TLS_RESULT_DNSSEC_INVALID, tlsa_failed(a, f));
	else
		refuse(p, TLS_SOURCE_UPSTREAM, TLS_RESULT_DANE_REQUIRED,
		       temp(451, S("4.7.5"),
			    arena_printf(a, "the configuration demands DANE, and %.*s", STR_ARG(without_tlsa(a, f)))));
}

/* The administrator's setting counts, whatever a message or a domain says; only REQUIRETLS can need more than it gives. */
static void decide_upstream(struct arena *a, struct tls_policy *p, const struct tls_facts *f)
{
	static const enum tls_level levels[] = {
		[UPSTREAM_IMPLICIT] = TLS_LEVEL_VERIFY,   [UPSTREAM_STARTTLS] = TLS_LEVEL_VERIFY,
		[UPSTREAM_OPPORTUNISTIC] = TLS_LEVEL_MAY, [UPSTREAM_NONE] = TLS_LEVEL_NONE,
		[UPSTREAM_DANE] = TLS_LEVEL_DANE,
	};

	p->level = levels[f->configured];
	p->source = TLS_SOURCE_UPSTREAM;
	p->implicit = f->configured == UPSTREAM_IMPLICIT || (f->configured == UPSTREAM_DANE && f->wrapped);
	if (f->configured == UPSTREAM_DANE)
		demand_dane(a, p, f);
	if (p->level == TLS_LEVEL_VERIFY && f->fingerprints.n > 0) {
		p->level = TLS_LEVEL_PINNED;
		p->fingerprints = f->fingerprints;
	}
	if (f->wish == TLS_WISH_REQUIRE && p->level < TLS_LEVEL_VERIFY)
		refuse(p, TLS_SOURCE_MESSAGE, TLS_RESULT_VALIDATION_FAILURE,
		       perm(550, S("5.7.10"), S("REQUIRETLS is demanded, and the upstream is used without verified TLS")));
}

static void add_name(struct tls_policy *p, struct arena *a, struct str name)
{
	for (size_t i = 0; i < p->names.n; i++)
		if (str_eq(p->names.at[i], name))
			return;
	if (name.n > 0)
		p->names.at[p->names.n++] = arena_str(a, name);
}

/* The names in the certificate (RFC 7672 3.2.2, RFC 8461 4.2), and the one that the server gets (RFC 7672 8.1). */
static void add_names(struct tls_policy *p, struct arena *a, const struct tls_facts *f)
{
	bool dane = p->level == TLS_LEVEL_DANE;
	struct str name = dane && f->tlsa_base.n > 0 ? f->tlsa_base : f->name;

	p->sni = arena_str(a, name);
	p->names.at = ARENA_ARRAY(a, struct str, f->require_names.n + 3);
	if (f->require_names.n > 0 && !dane) {
		for (size_t i = 0; i < f->require_names.n; i++)
			p->names.at[p->names.n++] = arena_str(a, f->require_names.at[i]);
		return;
	}
	add_name(p, a, name);
	if (!dane || (f->mx && !f->mx_secure))
		return;
	add_name(p, a, f->mx ? f->domain : f->name);
	add_name(p, a, f->domain_end);
}

struct tls_policy tls_policy_decide(struct arena *a, const struct tls_facts *f)
{
	struct tls_policy p = { .level = TLS_LEVEL_MAY, .source = TLS_SOURCE_DEFAULT, .refused = ok() };

	if (f->mx) {
		if (is_pinned(f))
			demand(&p, TLS_LEVEL_VERIFY, TLS_SOURCE_CONFIGURATION);
		apply_dane(a, &p, f);
		apply_sts(a, &p, f);
		apply_configuration(a, &p, f);
		apply_wish(a, &p, f);
	} else {
		decide_upstream(a, &p, f);
	}
	p.fell_back = p.level == TLS_LEVEL_MAY && (f->no_context || f->failed);
	if (p.fell_back)
		p.level = TLS_LEVEL_NONE;
	if (p.level == TLS_LEVEL_NONE)
		return p;
	p.old = p.level == TLS_LEVEL_MAY && f->too_old;
	add_names(&p, a, f);
	return p;
}
