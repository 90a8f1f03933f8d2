/* check_spf.c - is there one SPF record (RFC 7208), and does it have the addresses that we send from? */
#include "txt.h"

#define TYPE_SPF 99 /* RFC 4408 3.1.1, given up by RFC 7208 3.1 */

/* ---- spf.record ---- */

static void say_record(struct doctor *d, const struct doctor_domain *domain, enum doctor_result result, struct str text,
		       struct str old)
{
	struct doctor_finding f = { .result = result, .domain = domain->name, .text = text, .found = old };

	f.remedy.text = old.n > 0 ? S("Publish this one record in its place:") : S("Add:");
	f.remedy.records = spf_proposal(d, domain, old);
	f.remedy.records_n = 1;
	f.expected = f.remedy.records->value;
	finding_add(d, &f);
}

static bool ends_in(struct str name, const char *label)
{
	return str_istarts(name, str_of(label));
}

/* What somebody has published that was to be an SPF record: the mistake in words; "": nothing of the kind is there. */
static struct str mistaken_text(struct str text)
{
	struct str trimmed = text;
	bool quotes = false, blank = false;

	for (; trimmed.n > 0 && strchr(" \t\"'", trimmed.p[0]) && trimmed.p[0]; trimmed = str_from(trimmed, 1)) {
		quotes = quotes || trimmed.p[0] == '"' || trimmed.p[0] == '\'';
		blank = blank || trimmed.p[0] == ' ' || trimmed.p[0] == '\t';
	}
	if (!ends_in(trimmed, "v=spf"))
		return S("");
	if (quotes)
		return S("has quotes inside the text: they belong to the zone file");
	if (blank)
		return S("has a blank in front of v=spf1");
	if (!ends_in(trimmed, "v=spf1"))
		return S("does not begin with v=spf1");
	if (trimmed.n > 6 && strchr(";,:", trimmed.p[6]))
		return S("has \"v=spf1\" with a sign behind it: a blank has to follow");
	if (trimmed.n > 6 && strchr("0123456789.", trimmed.p[6]))
		return S("has another version than v=spf1");
	return S("has no blank behind v=spf1");
}

/* The record is at another name or of another type: where people put it by mistake. */
static bool elsewhere(struct doctor *d, const struct doctor_domain *domain)
{
	struct str below = SAY("spf.%.*s", STR_ARG(domain->name));
	struct str doubled = SAY("%.*s.%.*s", STR_ARG(domain->name), STR_ARG(domain->name));
	const struct fact_dns *old_type = facts_dns(d, VIEW_WORLD, domain->name, TYPE_SPF);
	struct spf_found at_below = spf_record_of(d, below), at_doubled = spf_record_of(d, doubled);

	if (old_type->state == FACT_PENDING || at_below.fact->state == FACT_PENDING || at_doubled.fact->state == FACT_PENDING)
		return true;
	if (old_type->n > 0) {
		say_record(d, domain, DOCTOR_FAILURE, S("has its SPF record only as type SPF (99), which nobody asks for"),
			   S(""));
		return true;
	}
	if (at_below.n == 0 && at_doubled.n == 0)
		return false;
	below = at_below.n > 0 ? below : doubled;
	say_record(d, domain, DOCTOR_FAILURE, SAY("has its SPF record at %.*s, where nobody looks", STR_ARG(below)), S(""));
	return true;
}

static void no_record(struct doctor *d, const struct doctor_domain *domain, const struct fact_dns *f)
{
	enum doctor_result result = DOCTOR_WARNING;

	for (size_t i = 0; i < f->n; i++) {
		struct str mistake = mistaken_text(f->records[i].text);

		if (mistake.n > 0) {
			say_record(d, domain, DOCTOR_FAILURE, mistake, f->records[i].text);
			return;
		}
	}
	if (elsewhere(d, domain))
		return;
	if (!str_eq(organisational_domain(domain->name), domain->name))
		result = DOCTOR_ADVICE;
	else if (domain->by_mx && !key_of(d, domain->name))
		result = DOCTOR_FAILURE;
	say_record(d, domain, result, S("has no SPF record"), S(""));
}

static void several_records(struct doctor *d, const struct doctor_domain *domain, const struct spf_found *found)
{
	struct str all = S("");

	for (size_t i = 0; i < found->fact->n; i++)
		if (spf_is_record(found->fact->records[i].text))
			all = SAY("%.*s%s%.*s", STR_ARG(all), all.n > 0 ? " " : "", STR_ARG(found->fact->records[i].text));
	say_record(d, domain, DOCTOR_FAILURE, SAY("has %zu SPF records; receivers then take none", found->n), all);
}

/* A term, and not the rest of a name: it begins with a sign, has a value, or is `all`. */
static bool begins_term(struct doctor *d, struct str text)
{
	struct str word = str_head(text, str_find(text, ' ')), why;
	struct spf_term t;

	if (word.n == 0 || !spf_read_term(doctor_arena(d), word, 0, &t, &why) || t.kind == SPF_OTHER)
		return false;
	return strchr("+-~?", word.p[0]) || t.domain.n > 0 || t.kind == SPF_ALL || t.kind == SPF_IP4 || t.kind == SPF_IP6;
}

/* Two strings of one record are joined without a blank (RFC 7208 3.3). The place where one was meant; "": none. */
static struct str lost_blank(struct doctor *d, const struct fact_dns *f, struct str text)
{
	for (size_t i = 0; i < f->n; i++) {
		struct str raw = f->records[i].data;
		size_t at = 0;

		if (!str_eq(f->records[i].text, text))
			continue;
		while (raw.n > 0 && (size_t)(unsigned char)raw.p[0] + 1 < raw.n) {
			size_t n = (unsigned char)raw.p[0];

			at += n;
			raw = str_from(raw, n + 1);
			if (at > 0 && at < text.n && text.p[at - 1] != ' ' && text.p[at] != ' ' &&
			    begins_term(d, str_from(text, at)))
				return str_from(text, at);
		}
	}
	return S("");
}

static void one_record(struct doctor *d, const struct doctor_domain *domain, const struct spf_found *found)
{
	struct str lost = lost_blank(d, found->fact, found->text), mended = found->text, head;
	struct spf_record record;
	struct spf_fault fault;

	if (lost.n > 0) {
		head = str_head(found->text, found->text.n - lost.n);
		mended = SAY("%.*s %.*s", STR_ARG(head), STR_ARG(lost));
		say_record(d, domain, DOCTOR_FAILURE,
			   SAY("has no blank before \"%.*s\": strings of a record are joined as they are",
			       STR_ARG(str_head(lost, str_find(lost, ' ')))),
			   mended);
		return;
	}
	if (!spf_parse(doctor_arena(d), found->text, &record, &fault)) {
		say_record(d, domain, DOCTOR_FAILURE,
			   SAY("has an SPF record with an error at character %zu, \"%.*s\": %.*s", fault.at + 1,
			       STR_ARG(fault.term), STR_ARG(fault.why)),
			   found->text);
		return;
	}
	finding_ok(d, domain->name, S(""), S("has one SPF record"));
}

void check_spf_record(struct doctor *d)
{
	const struct situation *s = doctor_situation(d);

	for (size_t i = 0; i < s->domains_n; i++) {
		struct spf_found found = spf_record_of(d, s->domains[i].name);

		if (answer_missing(d, found.fact, s->domains[i].name, S("")))
			continue;
		if (found.n == 0)
			no_record(d, &s->domains[i], found.fact);
		else if (found.n > 1)
			several_records(d, &s->domains[i], &found);
		else
			one_record(d, &s->domains[i], &found);
	}
}

/* ---- spf.pass ---- */

/* What is to be mended before anything can be said about addresses; "": nothing. */
static struct str mend_first(struct doctor *d, struct str domain)
{
	if (result_of(d, CHECK_SPF_RECORD, domain, S("")) != DOCTOR_OK)
		return S("spf.record");
	if (result_is_bad(result_of(d, CHECK_SPF_INCLUDE, domain, S(""))))
		return S("spf.include");
	if (result_is_bad(result_of(d, CHECK_SPF_LOOKUPS, domain, S(""))))
		return S("spf.lookups");
	return S("");
}

static enum doctor_result judgement(enum spf_result r)
{
	static const enum doctor_result results[] = {
		[SPF_NONE] = DOCTOR_WARNING,      [SPF_NEUTRAL] = DOCTOR_WARNING,  [SPF_PASS] = DOCTOR_OK,
		[SPF_FAIL] = DOCTOR_FAILURE,      [SPF_SOFTFAIL] = DOCTOR_FAILURE, [SPF_TEMPERROR] = DOCTOR_UNKNOWN,
		[SPF_PERMERROR] = DOCTOR_FAILURE,
	};

	return results[r];
}

static struct str reason(struct doctor *d, const struct spf_outcome *out)
{
	if (out->result == SPF_PERMERROR || out->result == SPF_TEMPERROR)
		return out->why;
	return out->match ? SAY("\"%.*s\"", STR_ARG(out->match->text)) : S("no term matches");
}

/* One address of ours, with the sender for which it goes worst. */
static void judge_address(struct doctor *d, const struct doctor_domain *domain, struct str address)
{
	struct str any = SAY("postmaster@%.*s", STR_ARG(domain->name)), worst = S("");
	struct spf_outcome out, found = { 0 };
	struct doctor_finding f = { .domain = domain->name, .subject = address };

	for (size_t i = 0; i < (domain->senders.n > 0 ? domain->senders.n : 1); i++) {
		struct str sender = domain->senders.n > 0 ? domain->senders.at[i] : any;

		spf_ask(d, address, sender, domain->name, false, &out);
		if (out.pending)
			return;
		if (i == 0 || (found.result == SPF_PASS && out.result != SPF_PASS)) {
			found = out;
			worst = sender;
		}
	}
	f.result = judgement(found.result);
	f.found = SAY("%s by %.*s", spf_result_names[found.result], STR_ARG(reason(d, &found)));
	f.text = f.result == DOCTOR_OK
			 ? SAY("passes SPF of %.*s by %.*s", STR_ARG(domain->name), STR_ARG(reason(d, &found)))
			 : SAY("gets \"%s\" from SPF of %.*s, by %.*s (sender %.*s)", spf_result_names[found.result],
			       STR_ARG(domain->name), STR_ARG(reason(d, &found)), STR_ARG(worst));
	f.expected = S("pass");
	if (f.result != DOCTOR_OK && f.result != DOCTOR_UNKNOWN) {
		f.remedy.text = S("Publish this one record in place of the old one:");
		f.remedy.records = spf_proposal(d, domain, spf_record_of(d, domain->name).text);
		f.remedy.records_n = 1;
	}
	finding_add(d, &f);
}

void check_spf_pass(struct doctor *d)
{
	const struct situation *s = doctor_situation(d);

	for (size_t i = 0; i < s->domains_n; i++) {
		const struct doctor_domain *domain = &s->domains[i];
		struct str first;

		if (!domain->by_mx)
			continue;
		first = s->addresses_n == 0 ? S("address.public") : mend_first(d, domain->name);
		if (first.n > 0)
			finding_skip(d, domain->name, S(""), first);
		for (size_t j = 0; first.n == 0 && j < s->addresses_n; j++)
			if (address_is_private(s->addresses[j].text))
				finding_skip(d, domain->name, s->addresses[j].text, S("address.public"));
			else
				judge_address(d, domain, s->addresses[j].text);
	}
}

/* ---- spf.helo ---- */

/* `a` is enough: that the name has all addresses that we send from is the matter of name.source. */
static const struct dns_entry *helo_entry(struct doctor *d, struct str host, struct str old)
{
	struct str a = S("a");
	const struct spf_wish wish = { .terms = { &a, 1 }, .all = S("-all") };
	struct spf_merged merged;

	spf_merge(doctor_arena(d), old, &wish, &merged);
	return entry_of(d, "TXT", host, merged.text, old);
}

static void say_helo(struct doctor *d, enum doctor_result result, struct str host, struct str text, struct str old)
{
	struct doctor_finding f = { .result = result, .subject = host, .text = text, .found = old };

	f.remedy.text = old.n > 0 ? S("Publish in its place:") : S("Add:");
	f.remedy.records = helo_entry(d, host, old);
	f.remedy.records_n = 1;
	f.expected = f.remedy.records->value;
	finding_add(d, &f);
}

static void judge_helo(struct doctor *d, struct str host, const struct spf_found *found)
{
	const struct situation *s = doctor_situation(d);
	struct str passed = S("");

	for (size_t i = 0; i < s->addresses_n; i++) {
		struct spf_outcome out;

		if (address_is_private(s->addresses[i].text))
			continue;
		spf_ask(d, s->addresses[i].text, S(""), host, false, &out);
		if (out.pending)
			return;
		if (out.result == SPF_TEMPERROR) {
			finding_unknown(d, S(""), host, out.why);
			return;
		}
		if (out.result != SPF_PASS && str_eq(helo_entry(d, host, found->text)->value, found->text)) {
			finding_skip(d, S(""), host, S("name.source"));
			return;
		}
		if (out.result != SPF_PASS) {
			say_helo(d, DOCTOR_FAILURE, host,
				 SAY("has an SPF record that gives \"%s\" to %.*s, by %.*s", spf_result_names[out.result],
				     STR_ARG(s->addresses[i].text), STR_ARG(reason(d, &out))),
				 found->text);
			return;
		}
		passed = reason(d, &out);
	}
	if (passed.n > 0)
		finding_ok(d, S(""), host, SAY("passes its own SPF record by %.*s", STR_ARG(passed)));
	else
		finding_skip(d, S(""), host, S("address.public"));
}

void check_spf_helo(struct doctor *d)
{
	const struct situation *s = doctor_situation(d);
	struct str host = doctor_config(d)->hostname;
	struct spf_found found = spf_record_of(d, host);

	if (result_is_bad(result_of(d, CHECK_NAME_FORM, S(""), S(""))))
		finding_skip(d, S(""), host, S("name.form"));
	else if (result_is_bad(result_of(d, CHECK_NAME_ADDRESS, S(""), S(""))))
		finding_skip(d, S(""), host, S("name.address"));
	else if (answer_missing(d, found.fact, S(""), host))
		return;
	else if (found.n == 0)
		say_helo(d, DOCTOR_WARNING, host, S("has no SPF record"), S(""));
	else if (s->addresses_n == 0)
		finding_skip(d, S(""), host, S("address.public"));
	else
		judge_helo(d, host, &found);
}
