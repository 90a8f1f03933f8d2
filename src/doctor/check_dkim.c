/* check_dkim.c - are the DKIM keys that we sign with published, and is what is published ours (RFC 6376 3.6.1, RFC 8463)? */
#include "txt.h"

#include "posthouse/dkim_record.h"
#include "posthouse/mail.h"

static struct str name_of(struct doctor *d, const struct cfg_sign *key)
{
	return SAY("%.*s._domainkey.%.*s", STR_ARG(key->selector), STR_ARG(key->domain));
}

/* Is the key in use, and of a domain that this run is about? */
static bool is_judged(struct doctor *d, const struct cfg_sign *key)
{
	const struct situation *s = doctor_situation(d);

	for (size_t i = 0; i < s->domains_n; i++)
		if (str_eq(key->domain, s->domains[i].name) || key_of(d, s->domains[i].name) == key)
			return key->state == SIGN_ACTIVE;
	return false;
}

typedef void (*key_fn)(struct doctor *d, const struct cfg_sign *key);

static void each_key(struct doctor *d, key_fn judge)
{
	const struct config *c = doctor_config(d);

	for (size_t i = 0; i < c->sign_n; i++)
		if (is_judged(d, &c->sign[i]))
			judge(d, &c->sign[i]);
}

static void say_key(struct doctor *d, enum doctor_result result, const struct cfg_sign *key, struct str text, struct str found)
{
	struct doctor_finding f = {
		.result = result, .domain = key->domain, .subject = key->selector, .text = text, .found = found
	};

	f.expected = key->record;
	f.remedy.text = S("Publish this record; forms take it as one line, without quotes:");
	f.remedy.records = entry_of(d, "TXT", name_of(d, key), key->record, found);
	f.remedy.records_n = 1;
	finding_add(d, &f);
}

/* ---- dkim.published ---- */

/* Names at which the record is found when a form has made another name of it. */
static struct str misplaced(struct doctor *d, const struct cfg_sign *key, bool *pending_out)
{
	struct str names[] = {
		SAY("%.*s.%.*s", STR_ARG(name_of(d, key)), STR_ARG(key->domain)),
		SAY("%.*s.%.*s", STR_ARG(key->selector), STR_ARG(key->domain)),
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const struct fact_dns *f = facts_dns(d, VIEW_WORLD, names[i], DNS_TXT);

		*pending_out |= f->state == FACT_PENDING;
		for (size_t j = 0; j < f->n; j++)
			if (dkim_record_likely(f->records[j].text))
				return names[i];
	}
	return S("");
}

static void not_there(struct doctor *d, const struct cfg_sign *key, const struct fact_dns *f)
{
	bool pending = false;
	struct str at;

	if (f->alias.n > 0) {
		say_key(d, DOCTOR_FAILURE, key, SAY("is a CNAME to %.*s, where no record is", STR_ARG(f->alias)), S(""));
		return;
	}
	at = misplaced(d, key, &pending);
	if (pending)
		return;
	if (at.n > 0)
		say_key(d, DOCTOR_FAILURE, key,
			str_iends(at, SAY("_domainkey.%.*s.%.*s", STR_ARG(key->domain), STR_ARG(key->domain)))
				? SAY("is published at %.*s: the form appended the domain, so leave it out there", STR_ARG(at))
				: SAY("is published at %.*s, without \"_domainkey\" in the name", STR_ARG(at)),
			S(""));
	else
		say_key(d, DOCTOR_FAILURE, key, S("is not published"), S(""));
}

static void judge_published(struct doctor *d, const struct cfg_sign *key)
{
	const struct fact_dns *f = facts_dns(d, VIEW_WORLD, name_of(d, key), DNS_TXT);

	if (answer_missing(d, f, key->domain, key->selector))
		return;
	if (f->n == 0)
		not_there(d, key, f);
	else if (f->n > 1)
		say_key(d, DOCTOR_FAILURE, key, SAY("has %zu TXT records; there has to be one", f->n), f->records[0].text);
	else if (!dkim_record_likely(f->records[0].text))
		say_key(d, DOCTOR_FAILURE, key,
			SAY("is not published: a wildcard of the domain answers in its place (\"%.*s\")",
			    STR_ARG(str_head(f->records[0].text, 30))),
			S(""));
	else
		finding_ok(d, key->domain, key->selector, S("is published"));
}

void check_dkim_published(struct doctor *d)
{
	each_key(d, judge_published);
}

/* ---- dkim.match ---- */

/* Does a domain below the key's own sign with it? */
static bool signs_for_subdomain(struct doctor *d, const struct cfg_sign *key)
{
	const struct situation *s = doctor_situation(d);

	for (size_t i = 0; i < s->domains_n; i++) {
		const struct cfg_sign *used = key_of(d, s->domains[i].name);

		if (used && str_eq(used->domain, key->domain) && !str_eq(s->domains[i].name, key->domain))
			return true;
	}
	return false;
}

static void judge_match(struct doctor *d, const struct cfg_sign *key)
{
	static const enum doctor_result results[] = {
		[DKIM_RECORD_GOOD] = DOCTOR_OK,
		[DKIM_RECORD_POOR] = DOCTOR_ADVICE,
		[DKIM_RECORD_TEST] = DOCTOR_WARNING,
		[DKIM_RECORD_BAD] = DOCTOR_FAILURE,
	};
	const struct fact_dns *f = facts_dns(d, VIEW_WORLD, name_of(d, key), DNS_TXT);
	struct dkim_judgement j;

	if (result_of(d, CHECK_DKIM_PUBLISHED, key->domain, key->selector) != DOCTOR_OK) {
		finding_skip(d, key->domain, key->selector, S("dkim.published"));
		return;
	}
	if (f->n != 1)
		return;
	j = dkim_record_judge(doctor_arena(d), f->records[0].text, key->record, signs_for_subdomain(d, key));
	if (j.grade == DKIM_RECORD_GOOD)
		finding_ok(d, key->domain, key->selector, S("is published as the key that we sign with"));
	else
		say_key(d, results[j.grade], key, j.words, f->records[0].text);
}

void check_dkim_match(struct doctor *d)
{
	each_key(d, judge_match);
}

/* ---- dkim.size ---- */

static void say_size(struct doctor *d, enum doctor_result result, const struct cfg_sign *key, struct str text, const char *remedy,
		     const char *command)
{
	struct doctor_finding f = { .result = result, .domain = key->domain, .subject = key->selector, .text = text };

	f.remedy.text = str_of(remedy);
	f.remedy.command = SAY("posthouse dkim %s %.*s", command, STR_ARG(key->domain));
	finding_add(d, &f);
}

static bool has_rsa(const struct config *c, struct str domain)
{
	for (size_t i = 0; i < c->sign_n; i++)
		if (str_eq(c->sign[i].domain, domain) && c->sign[i].state == SIGN_ACTIVE &&
		    c->sign[i].algorithm == DKIM_RSA_SHA256)
			return true;
	return false;
}

static bool goes_by_mx(struct doctor *d, struct str domain)
{
	const struct situation *s = doctor_situation(d);

	for (size_t i = 0; i < s->domains_n; i++)
		if (domains_align(s->domains[i].name, domain, false) && s->domains[i].by_mx)
			return true;
	return false;
}

static void judge_size(struct doctor *d, const struct cfg_sign *key)
{
	unsigned bits = dkim_record_rsa_bits(doctor_arena(d), key->record);

	if (key->algorithm != DKIM_RSA_SHA256) {
		if (has_rsa(doctor_config(d), key->domain))
			finding_ok(d, key->domain, key->selector, S("is an Ed25519 key beside an RSA key"));
		else
			say_size(d, goes_by_mx(d, key->domain) ? DOCTOR_FAILURE : DOCTOR_WARNING, key,
				 S("is an Ed25519 key, and there is no RSA key beside it"),
				 "Add a key of RSA with 2048 bits:", "generate");
	} else if (bits < 1024) {
		say_size(d, DOCTOR_FAILURE, key, SAY("has %u bits, which nobody accepts (RFC 8301)", bits),
			 "Take a key of 2048 bits:", "rotate");
	} else if (bits < 2048) {
		say_size(d, DOCTOR_WARNING, key, SAY("has %u bits; 2048 are advised", bits),
			 "Take a key of 2048 bits:", "rotate");
	} else if (bits > 2048) {
		say_size(d, DOCTOR_ADVICE, key, SAY("has %u bits: the answer is long, and some forms cut the record", bits),
			 "2048 bits are enough:", "rotate");
	} else {
		finding_ok(d, key->domain, key->selector, S("has 2048 bits"));
	}
}

void check_dkim_size(struct doctor *d)
{
	each_key(d, judge_size);
}
