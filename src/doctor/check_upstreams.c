/* check_upstreams.c - the servers that deliver for us: do they take what clients can send, do they change it, and does anybody on
 * the way read it? */
#include "upstreams.h"

#include "posthouse/address.h"
#include "posthouse/meaning.h"
#include "posthouse/profiles.h"
#include "posthouse/smtp_client.h"

static bool goes_by(const struct doctor_domain *domain, const struct cfg_upstream *u)
{
	for (size_t i = 0; i < domain->upstreams_n; i++)
		if (domain->upstreams[i] == u)
			return true;
	return false;
}

/* ---- upstream.fits ---- */

static uint64_t size_said(struct doctor *d, const struct cfg_upstream *u, bool *pending_out)
{
	const struct fact_upstream *f = facts_upstream(d, u->name);
	struct str_list all;
	uint64_t size = 0;

	*pending_out = *pending_out || f->state == FACT_PENDING;
	if (f->state == FACT_THERE || f->state == FACT_PENDING)
		return f->size;
	all = upstream_addresses(d, u, pending_out);
	for (size_t i = 0; i < all.n && size == 0; i++) {
		const struct fact_probe *p = upstream_try(d, u, all.at[i]);
		struct str rest = p->state == FACT_THERE ? p->ehlo : S(""), line;

		*pending_out = *pending_out || p->state == FACT_PENDING;
		while (size == 0 && str_split(&rest, '\n', &line))
			if (str_istarts(str_from(line, 4), S("SIZE ")))
				str_to_u64(str_trim(str_from(line, 9)), &size);
	}
	return size;
}

static void fits(struct doctor *d, const struct cfg_upstream *u)
{
	uint64_t most = doctor_config(d)->limits.message_size, size;
	const struct profile *p = profile_find(u->profile);
	struct arena *a = doctor_arena(d);
	bool pending = false;

	size = size_said(d, u, &pending);
	if (pending)
		return;
	if (size > 0 && size < most)
		finding_add(d, &(struct doctor_finding){
				       .subject = u->name,
				       .result = DOCTOR_WARNING,
				       .found = arena_printf(a, "SIZE %llu", (unsigned long long)size),
				       .text = arena_printf(a, "takes messages of %llu bytes at most, but clients can send %llu",
							    (unsigned long long)size, (unsigned long long)most),
				       .remedy = { .text = S("Have it refused while the sender still looks:"),
						   .config = arena_printf(a, "limits = { message_size = %llu; };",
									  (unsigned long long)size),
						   .command = S("posthouse reload") } });
	else if (p && p->messages && u->messages.n == 0)
		finding_add(
			d,
			&(struct doctor_finding){
				.subject = u->name,
				.result = DOCTOR_ADVICE,
				.text = arena_printf(a, "has no limit, although that of %s is known (%s)", p->name, p->messages),
				.why = S("Who passes a provider's limit is locked out for a day or more."),
				.remedy = {
					.text = S("Take `messages = [ ]` away, or set your own:"),
					.config = upstream_entry(
						d, u, arena_cstr(a, arena_printf(a, "messages = [ \"%s\" ];", p->messages))) } });
	else
		finding_ok(d, S(""), u->name, S("takes messages as large as clients can send"));
}

void check_upstream_fits(struct doctor *d)
{
	upstreams_each(d, fits);
}

/* ---- upstream.sender ---- */

#define SENDERS_TRIED 5 /* of an upstream and a domain */

static void tell_sender(struct doctor *d, const struct cfg_upstream *u, struct str sender, const struct fact_upstream *f)
{
	struct arena *a = doctor_arena(d);
	struct str reply = arena_printf(a, "%u %.*s%s%.*s", f->verdict.code, STR_ARG(f->verdict.enhanced),
					f->verdict.enhanced.n ? " " : "", STR_ARG(f->verdict.text));

	if (f->state != FACT_THERE || f->verdict.class == TEMP)
		finding_unknown(d, S(""), u->name,
				arena_printf(a, "%.*s could not be tried: %.*s", STR_ARG(sender), STR_ARG(reply)));
	else if (f->step != STEP_MAIL && f->verdict.class != OK)
		finding_skip(d, S(""), u->name, S("upstream.reach"));
	else if (f->verdict.class == OK)
		finding_ok(d, S(""), u->name, arena_printf(a, "takes mail of %.*s", STR_ARG(sender)));
	else
		finding_add(
			d,
			&(struct doctor_finding){
				.subject = u->name,
				.result = DOCTOR_FAILURE,
				.found = reply,
				.text = arena_printf(a, "refuses mail of %.*s: %.*s", STR_ARG(sender), STR_ARG(reply)),
				.remedy = {
					.text = arena_printf(a, "Confirm the address there%s%s; or send it by another upstream:",
							     *meaning_hint(f->meaning) ? ". " : "", meaning_hint(f->meaning)),
					.config = arena_printf(a, "routes = ( { senders = [ \"%.*s\" ]; via = [ \"…\" ]; }, … );",
							       STR_ARG(sender)) } });
}

/* Nothing is sent: MAIL and RSET behind the login, for addresses that the configuration names. */
static void try_senders(struct doctor *d, const struct cfg_upstream *u)
{
	const struct situation *s = doctor_situation(d);

	for (size_t i = 0; i < s->domains_n; i++)
		for (size_t k = 0; goes_by(&s->domains[i], u) && k < s->domains[i].senders.n && k < SENDERS_TRIED; k++) {
			struct str sender = s->domains[i].senders.at[k];
			const struct fact_upstream *f =
				facts_upstream(d, arena_printf(doctor_arena(d), "%.*s %.*s", STR_ARG(u->name), STR_ARG(sender)));

			if (f->state != FACT_PENDING)
				tell_sender(d, u, sender, f);
		}
}

void check_upstream_sender(struct doctor *d)
{
	upstreams_each(d, try_senders);
}

/* ---- upstream.rewrites ---- */

static bool is_google(const struct cfg_upstream *u)
{
	const struct profile *p = profile_find(u->profile);

	return str_ieq(u->host, S("smtp.gmail.com")) || (p && p->host && strcmp(p->host, "smtp.gmail.com") == 0);
}

static void rewrites(struct doctor *d, const struct cfg_upstream *u)
{
	const struct situation *s = doctor_situation(d);
	struct str account = address_domain(u->login);

	for (size_t i = 0; i < s->domains_n && is_google(u); i++) {
		struct str name = s->domains[i].name;

		if (!goes_by(&s->domains[i], u))
			continue;
		if (u->rewrite_from || str_find(u->login, '@') == u->login.n || str_ieq(name, account)) {
			finding_ok(d, name, u->name, S("leaves the author as it is"));
			continue;
		}
		finding_add(
			d,
			&(struct doctor_finding){
				.domain = name,
				.subject = u->name,
				.result = DOCTOR_WARNING,
				.found = u->login,
				.text = arena_printf(doctor_arena(d), "can replace authors of %.*s by its account %.*s",
						     STR_ARG(name), STR_ARG(u->login)),
				.remedy = { .text = arena_printf(doctor_arena(d),
								 "In the account, Settings, Accounts, \"Send mail as\": add and "
								 "confirm each address of %.*s. Or send as the account:",
								 STR_ARG(name)),
					    .config = upstream_entry(d, u, "rewrite_from = true;") } });
	}
}

void check_upstream_rewrites(struct doctor *d)
{
	upstreams_each(d, rewrites);
}

/* ---- upstream.clear ---- */

/* Nothing leaves this network on the way to a private address. */
static bool is_near(struct doctor *d, const struct cfg_upstream *u, bool *pending_out)
{
	struct str_list all = upstream_addresses(d, u, pending_out);

	for (size_t i = 0; i < all.n; i++)
		if (!address_is_private(all.at[i]))
			return false;
	return all.n > 0;
}

static void clear(struct doctor *d, const struct cfg_upstream *u)
{
	bool pending = false, near = !upstream_needs_tls(u) && is_near(d, u, &pending);

	if (pending)
		return;
	if (upstream_needs_tls(u) || (near && u->tls == UPSTREAM_NONE)) {
		finding_ok(d, S(""), u->name, upstream_needs_tls(u) ? S("is spoken to under TLS only") : S("is in this network"));
		return;
	}
	finding_add(d,
		    &(struct doctor_finding){
			    .subject = u->name,
			    .result = u->tls == UPSTREAM_NONE ? DOCTOR_FAILURE : DOCTOR_WARNING,
			    .found = u->tls == UPSTREAM_NONE ? S("none") : S("opportunistic"),
			    .text = u->tls == UPSTREAM_NONE ? S("gets all mail, and the login, in clear text")
							    : S("gets mail in clear text when somebody on the way hides its TLS"),
			    .remedy = { .text = S("Demand TLS and a good certificate:"),
					.config = upstream_entry(d, u, "tls = \"starttls\";"),
					.command = S("posthouse reload") } });
}

void check_upstream_clear(struct doctor *d)
{
	upstreams_each(d, clear);
}
