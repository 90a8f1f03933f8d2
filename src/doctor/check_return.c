/* check_return.c - do our senders and the postmaster get mail? */
#include "txt.h"

#include "posthouse/address.h"

#define CALLOUTS   2 /* servers of strangers that are connected to in a run */
#define RECIPIENTS 20

/* ---- return.callout ---- */

/* An address of the best mail server; "": none, or not known now. */
static struct str best_server(struct doctor *d, struct str domain)
{
	const struct fact_dns *mx = facts_dns(d, VIEW_WORLD, domain, DNS_MX), *f;
	const struct fact_record *best = NULL;

	for (size_t i = 0; i < mx->n; i++)
		if (mx->records[i].text.n > 0 && (!best || mx->records[i].preference < best->preference))
			best = &mx->records[i];
	if (!best)
		return S("");
	f = facts_dns(d, VIEW_WORLD, best->text, DNS_A);
	if (f->n == 0)
		f = facts_dns(d, VIEW_WORLD, best->text, DNS_AAAA);
	return f->n > 0 ? f->records[0].text : S("");
}

static struct str_list dialogue(struct doctor *d, const struct doctor_domain *domain)
{
	struct str_list lines = { ARENA_ARRAY(doctor_arena(d), struct str, RECIPIENTS + 2), 0 };

	lines.at[lines.n++] = S("MAIL FROM:<>");
	for (size_t i = 0; i < domain->senders.n && i < RECIPIENTS; i++)
		lines.at[lines.n++] = SAY("RCPT TO:<%.*s>", STR_ARG(domain->senders.at[i]));
	lines.at[lines.n++] = S("RSET");
	return lines;
}

static void say(struct doctor *d, enum doctor_result result, struct str domain, struct str subject, struct str text,
		const char *remedy)
{
	struct doctor_finding f = { .result = result, .domain = domain, .subject = subject, .text = text };

	f.remedy.text = str_of(remedy);
	finding_add(d, &f);
}

static void judge_reply(struct doctor *d, const struct doctor_domain *domain, struct str sender, struct str reply)
{
	if (str_starts(reply, S("2")))
		finding_ok(d, domain->name, sender, S("is taken by its own mail server"));
	else if (str_starts(reply, S("5")))
		say(d, DOCTOR_FAILURE, domain->name, sender, SAY("is refused by its own mail server: %.*s", STR_ARG(reply)),
		    "Make this mailbox, or an alias of one.");
	else
		finding_unknown(d, domain->name, sender, SAY("is not answered for now: %.*s", STR_ARG(reply)));
}

static void judge_server(struct doctor *d, const struct doctor_domain *domain, struct str address)
{
	struct probe p = { .host = address, .port = (unsigned)doctor_config(d)->delivery.port, .lines = dialogue(d, domain) };
	const struct fact_probe *answer = facts_probe(d, &p);

	if (answer->state == FACT_PENDING)
		return;
	if (answer->state != FACT_THERE || answer->replies_n == 0) {
		finding_unknown(d, domain->name, address, SAY("does not answer: %.*s", STR_ARG(answer->why)));
		return;
	}
	if (str_starts(answer->replies[0], S("5"))) {
		say(d, DOCTOR_WARNING, domain->name, address,
		    SAY("refuses mail without a sender, as all reports are: %.*s", STR_ARG(answer->replies[0])),
		    "Ask its owner to take MAIL FROM:<> (RFC 5321 4.5.5).");
		return;
	}
	for (size_t i = 0; i < domain->senders.n && i + 1 < answer->replies_n && i < RECIPIENTS; i++)
		judge_reply(d, domain, domain->senders.at[i], answer->replies[i + 1]);
}

void check_return_callout(struct doctor *d)
{
	const struct situation *s = doctor_situation(d);
	size_t calls = 0;

	for (size_t i = 0; i < s->domains_n; i++) {
		const struct doctor_domain *domain = &s->domains[i];
		struct str address;

		if (domain->foreign || domain->senders.n == 0)
			continue;
		address = best_server(d, domain->name);
		if (address.n > 0 && calls++ < CALLOUTS)
			judge_server(d, domain, address);
		else if (address.n > 0)
			finding_skip(d, domain->name, S(""),
				     S("enough servers were asked; try \"posthouse doctor --deep DOMAIN\""));
	}
}

/* ---- notice.address ---- */

static void judge_notice(struct doctor *d, struct str address, const char *key)
{
	static const unsigned types[] = { DNS_MX, DNS_A, DNS_AAAA };
	struct str domain = arena_lower(doctor_arena(d), address_domain(address));
	struct doctor_finding f = { .result = DOCTOR_FAILURE, .subject = address };

	if (domain.n == 0)
		return;
	for (size_t i = 0; i < 3; i++) {
		const struct fact_dns *facts = facts_dns(d, VIEW_WORLD, domain, types[i]);

		if (answer_missing(d, facts, S(""), address))
			return;
		if (facts->n > 0 && (i > 0 || facts->n > 1 || facts->records[0].text.n > 0)) {
			finding_ok(d, S(""), address, S("can get mail"));
			return;
		}
		if (facts->n > 0)
			break;
	}
	f.text = SAY("(%s) gets no mail: %.*s has no mail server", key, STR_ARG(domain));
	f.remedy.text = S("Name an address that you read:");
	f.remedy.config = SAY("%s = \"you@your.domain\";", key);
	f.remedy.command = S("posthouse reload");
	finding_add(d, &f);
}

void check_notice_address(struct doctor *d)
{
	const struct config *c = doctor_config(d);

	judge_notice(d, c->postmaster, "postmaster");
	if (c->report_sender.n > 0 && !str_ieq(address_domain(c->report_sender), address_domain(c->postmaster)))
		judge_notice(d, c->report_sender, "report_sender");
}
