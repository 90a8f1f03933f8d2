/* check_dkim_keys.c - our signing keys: has each domain one, does the relay sign with the key that is published, and where is a
 * rotation? The records themselves: check_dkim.c. */
#include "doctor.h"

#include "posthouse/base64.h"
#include "posthouse/date.h"
#include "posthouse/dkim_record.h"
#include "posthouse/profiles.h"
#include "posthouse/records.h"
#include "posthouse/units.h"
#include "posthouse/verify.h"

#include <openssl/evp.h>

#define PENDING_MS      (7 * DAY_MS)
#define KEY_OLD_MS      (366 * DAY_MS)
#define RETIRED_LONG_MS (7 * DAY_MS)

/* ---- what DNS has ---- */

static struct str record_name(struct arena *a, const struct cfg_sign *key)
{
	return arena_printf(a, "%.*s._domainkey.%.*s", STR_ARG(key->selector), STR_ARG(key->domain));
}

static bool is_good(struct arena *a, const struct cfg_sign *key, struct str published)
{
	return dkim_record_judge(a, published, key->record, false).grade != DKIM_RECORD_BAD;
}

static enum dkim_sight_state state_of(struct arena *a, const struct cfg_sign *key, const struct fact_dns *f,
				      struct dkim_sight *out)
{
	switch (f->state) {
	case FACT_THERE:
		out->found = f->records[0].text;
		return f->n == 1 && is_good(a, key, f->records[0].text) ? DKIM_SEEN : DKIM_OTHER_SEEN;
	case FACT_EMPTY:
	case FACT_NO_NAME: return DKIM_NOT_SEEN;
	case FACT_PENDING:
	case FACT_UNKNOWN: break;
	}
	out->why = f->why;
	return DKIM_UNSEEN;
}

void dkim_look_at(struct doctor *d, const struct cfg_sign *key, struct dkim_sight *out)
{
	struct arena *a = doctor_arena(d);
	struct str name = record_name(a, key);
	const struct fact_dns *own = facts_dns(d, VIEW_OWN, name, DNS_TXT), *world = facts_dns(d, VIEW_WORLD, name, DNS_TXT);

	*out = (struct dkim_sight){ .ttl = world->ttl };
	out->world = state_of(a, key, world, out);
	if (own == world) { /* they cannot be asked */
		out->own = DKIM_UNSEEN;
		if (out->why.n == 0)
			out->why = S("the name servers of the domain do not answer us");
	} else {
		out->own = state_of(a, key, own, out);
	}
}

/* ---- dkim.key ---- */

/* The nearest domain with active keys: this one or one above it (config_dkim_keys()). */
static struct str signing_domain(const struct config *c, struct str domain)
{
	while (str_find(domain, '.') < domain.n && !config_signs(c, domain))
		domain = str_from(domain, str_find(domain, '.') + 1);
	return config_signs(c, domain) ? domain : S("");
}

static const struct cfg_sign *pending_of(const struct config *c, struct str domain)
{
	for (size_t i = 0; i < c->sign_n; i++)
		if (c->sign[i].state == SIGN_PENDING && str_eq(c->sign[i].domain, domain))
			return &c->sign[i];
	return NULL;
}

/* Do all ways of the domain's mail lead through providers that sign for it? */
static bool providers_sign(const struct doctor_domain *domain)
{
	for (size_t i = 0; i < domain->upstreams_n; i++) {
		const struct profile *p = profile_find(domain->upstreams[i]->profile);

		if (!p || !p->signs)
			return false;
	}
	return domain->upstreams_n > 0 && !domain->by_mx;
}

static void key_missing(struct doctor *d, const struct doctor_domain *domain)
{
	struct arena *a = doctor_arena(d);
	const struct cfg_sign *pending = pending_of(doctor_config(d), domain->name);
	struct doctor_finding f = { .result = domain->by_mx ? DOCTOR_FAILURE : DOCTOR_WARNING, .domain = domain->name };

	if (providers_sign(domain))
		f.result = DOCTOR_ADVICE;
	if (pending) {
		f.text = arena_printf(a, "has no key that signs: %.*s waits for its record", STR_ARG(pending->selector));
		f.remedy.command = arena_printf(a, "posthouse dkim rotate %.*s", STR_ARG(domain->name));
	} else {
		f.text = S("has no DKIM key: its mail is not signed");
		f.remedy.command = arena_printf(a, "posthouse dkim generate %.*s", STR_ARG(domain->name));
	}
	if (f.result == DOCTOR_ADVICE)
		f.why = S("The provider signs where its own records are published; a key of yours works behind every provider.");
	finding_add(d, &f);
}

void check_dkim_key(struct doctor *d)
{
	const struct situation *s = doctor_situation(d);

	for (size_t i = 0; i < s->domains_n; i++) {
		struct str by = signing_domain(doctor_config(d), s->domains[i].name);

		if (by.n == 0)
			key_missing(d, &s->domains[i]);
		else
			finding_ok(d, s->domains[i].name, S(""),
				   arena_printf(doctor_arena(d), "is signed with the keys of %.*s", STR_ARG(by)));
	}
}

/* ---- dkim.works ---- */

/* Does the signature that vault made fit the record, which has the key of the file? */
static bool sample_fits(struct doctor *d, const struct cfg_sign *key, struct str signature)
{
	unsigned char digest[DKIM_DIGEST_SIZE];
	struct str bytes = S("");
	EVP_PKEY *k;
	bool fits;

	(void)base64_decode(doctor_arena(d), dkim_tag(doctor_arena(d), key->record, S("p")), &bytes);
	k = dkim_public_key(bytes, key->algorithm == DKIM_ED25519_SHA256);
	dkim_sample_digest(key->domain, key->selector, digest);
	fits = k && dkim_digest_fits(k, digest, signature);
	EVP_PKEY_free(k);
	return fits;
}

/* The record is right for the key in the file: the relay must sign with it too. */
static void judge_sample(struct doctor *d, const struct cfg_sign *key)
{
	const struct fact_sample *sample = facts_sample(d, key->domain, key->selector);
	struct arena *a = doctor_arena(d);
	struct doctor_finding f = { .result = DOCTOR_FAILURE, .domain = key->domain, .subject = key->selector };

	if (sample->state == FACT_PENDING)
		return;
	if (sample->state == FACT_UNKNOWN) {
		finding_skip(d, key->domain, key->selector,
			     arena_printf(a, "no relay could be asked: %.*s", STR_ARG(sample->why)));
		return;
	}
	if (sample->state == FACT_THERE && sample_fits(d, key, sample->signature)) {
		finding_ok(d, key->domain, key->selector, S("signs what its record verifies"));
		return;
	}
	f.text = sample->state == FACT_THERE ? S("signs with another key than the one in its file, which is the published one")
					     : arena_printf(a, "does not sign: %.*s", STR_ARG(sample->why));
	f.remedy.text = S("The relay uses the keys that it loaded when it began. Have it load them again:");
	f.remedy.command = S("posthouse reload");
	finding_add(d, &f);
}

void check_dkim_works(struct doctor *d)
{
	const struct config *c = doctor_config(d);
	const struct situation *s = doctor_situation(d);

	for (size_t i = 0; i < s->domains_n; i++)
		for (size_t k = 0; k < c->sign_n; k++) {
			const struct cfg_sign *key = &c->sign[k];
			struct dkim_sight sight;

			if (key->state != SIGN_ACTIVE || !str_eq(key->domain, s->domains[i].name))
				continue;
			dkim_look_at(d, key, &sight);
			enum dkim_sight_state state = sight.own == DKIM_SEEN ? sight.own : sight.world;
			if (state == DKIM_SEEN)
				judge_sample(d, key);
			else if (state == DKIM_UNSEEN)
				finding_unknown(d, key->domain, key->selector,
						arena_printf(doctor_arena(d), "cannot be looked up: %.*s", STR_ARG(sight.why)));
			else
				finding_skip(d, key->domain, key->selector,
					     state == DKIM_NOT_SEEN ? S("dkim.published") : S("dkim.match"));
		}
}

/* ---- dkim.rotation ---- */

/* How long the key has been in its state; 0: not known. */
static uint64_t age_of(struct doctor *d, const struct cfg_sign *key)
{
	uint64_t since, now = doctor_now(d);

	return key->since.n > 0 && date_parse(key->since, &since) && since < now ? now - since : 0;
}

static void judge_pending(struct doctor *d, const struct cfg_sign *key, const struct dkim_sight *sight)
{
	struct arena *a = doctor_arena(d);
	struct doctor_finding f = { .result = DOCTOR_WARNING, .domain = key->domain, .subject = key->selector };
	struct dns_entry *record = ARENA_NEW(a, struct dns_entry);
	unsigned days = (unsigned)(age_of(d, key) / DAY_MS);

	if (sight->own == DKIM_SEEN || sight->world == DKIM_SEEN) {
		f.result = DOCTOR_ADVICE;
		f.text = S("is published and waits for its turn");
		f.remedy.command = arena_printf(a, "posthouse dkim rotate %.*s", STR_ARG(key->domain));
		finding_add(d, &f);
		return;
	}
	if (sight->world == DKIM_UNSEEN) {
		finding_unknown(d, key->domain, key->selector, arena_printf(a, "cannot be looked up: %.*s", STR_ARG(sight->why)));
		return;
	}
	if (age_of(d, key) < PENDING_MS) {
		finding_ok(d, key->domain, key->selector, S("waits for its record"));
		return;
	}
	f.text = arena_printf(a, "waits for its record, which is not published after %u days", days);
	f.why = S("A rotation that was begun and forgotten leaves the old key in use.");
	*record = (struct dns_entry){ .type = "TXT", .name = record_name(a, key), .value = key->record };
	f.remedy.records = record;
	f.remedy.records_n = 1;
	f.remedy.text = S("Publish it, then:");
	f.remedy.command = arena_printf(a, "posthouse dkim rotate %.*s", STR_ARG(key->domain));
	finding_add(d, &f);
}

static void judge_retired(struct doctor *d, const struct cfg_sign *key, const struct dkim_sight *sight)
{
	struct arena *a = doctor_arena(d);
	struct doctor_finding f = { .result = DOCTOR_ADVICE, .domain = key->domain, .subject = key->selector };
	struct dns_entry *record = ARENA_NEW(a, struct dns_entry);

	if (age_of(d, key) < RETIRED_LONG_MS || (sight->world != DKIM_SEEN && sight->own != DKIM_SEEN)) {
		finding_ok(d, key->domain, key->selector, S("is retired"));
		return;
	}
	f.text = S("is retired, and its record still has the key");
	*record = (struct dns_entry){ .type = "TXT", .name = record_name(a, key), .value = S("v=DKIM1; p=") };
	f.remedy.records = record;
	f.remedy.records_n = 1;
	f.remedy.text = S("When no mail waits that it has signed (posthouse dkim list), revoke it:");
	f.remedy.command = arena_printf(a, "posthouse dkim retire %.*s %.*s", STR_ARG(key->domain), STR_ARG(key->selector));
	finding_add(d, &f);
}

static void judge_age(struct doctor *d, const struct cfg_sign *key)
{
	struct arena *a = doctor_arena(d);
	struct doctor_finding f = { .result = DOCTOR_ADVICE, .domain = key->domain, .subject = key->selector };

	if (age_of(d, key) < KEY_OLD_MS) {
		finding_ok(d, key->domain, key->selector, S("is in use"));
		return;
	}
	f.text = S("has signed for more than a year");
	f.remedy.command = arena_printf(a, "posthouse dkim rotate %.*s", STR_ARG(key->domain));
	finding_add(d, &f);
}

void check_dkim_rotation(struct doctor *d)
{
	const struct config *c = doctor_config(d);
	const struct situation *s = doctor_situation(d);
	struct dkim_sight sight;

	for (size_t i = 0; i < s->domains_n; i++)
		for (size_t k = 0; k < c->sign_n; k++) {
			const struct cfg_sign *key = &c->sign[k];

			if (!str_eq(key->domain, s->domains[i].name))
				continue;
			if (key->state == SIGN_ACTIVE) {
				judge_age(d, key);
				continue;
			}
			dkim_look_at(d, key, &sight);
			if (key->state == SIGN_PENDING)
				judge_pending(d, key, &sight);
			else
				judge_retired(d, key, &sight);
		}
}
