/* check_upstream_reach.c - can the servers that deliver for us be reached and logged in at? By the running relay, which does it
 * as for a delivery; where none runs, as far as it goes without a login. */
#include "certificate.h"
#include "upstreams.h"

#include "posthouse/meaning.h"
#include "posthouse/profiles.h"
#include "posthouse/smtp_client.h"

/* The certificate that the server showed, for a person who has to judge it: "" when none was seen. */
static struct str shown_certificate(struct doctor *d, const struct cfg_upstream *u, bool *pending_out)
{
	struct str_list all = upstream_addresses(d, u, pending_out);
	struct certificate c;

	for (size_t i = 0; i < all.n; i++) {
		const struct fact_probe *p = upstream_try(d, u, all.at[i]);

		*pending_out = *pending_out || p->state == FACT_PENDING;
		if (p->state == FACT_THERE && certificate_facts(doctor_arena(d), p->chain_pem, S(""), &c))
			return arena_printf(doctor_arena(d), "; it is for %.*s, issued by %.*s", STR_ARG(c.subject),
					    STR_ARG(c.issuer));
	}
	return S("");
}

static struct str other_port(struct doctor *d, const struct cfg_upstream *u)
{
	return upstream_entry(d, u, u->port == 465 ? "port = 587; tls = \"starttls\";" : "port = 465; tls = \"implicit\";");
}

/* The keys that mend it, by what is known of the fault. */
static struct str keys_for(struct doctor *d, const struct cfg_upstream *u, enum hint hint, bool login)
{
	const struct profile *p = profile_find(u->profile);

	switch (hint) {
	case HINT_NAME_NOT_FOUND:
		return upstream_entry(d, u,
				      arena_cstr(doctor_arena(d),
						 arena_printf(doctor_arena(d), "host = \"%s\";", p && p->host ? p->host : "…")));
	case HINT_PORT_CLOSED:
	case HINT_NO_ANSWER: return other_port(d, u);
	case HINT_NO_WAY_THERE: return S("delivery = { ipv6 = false; };");
	case HINT_NO_GREETING:
	case HINT_WANTS_IMPLICIT: return upstream_entry(d, u, "tls = \"implicit\";");
	case HINT_WANTS_STARTTLS: return upstream_entry(d, u, "tls = \"starttls\";");
	case HINT_NO_STARTTLS: return upstream_entry(d, u, "port = 465; tls = \"implicit\";");
	case HINT_CERTIFICATE_NAME: return upstream_entry(d, u, "tls_name = \"…\";");
	case HINT_CERTIFICATE_ISSUER: return upstream_entry(d, u, "ca = \"/etc/posthouse/upstream-ca.pem\";");
	case HINT_NO_LOGIN_OFFERED: return upstream_entry(d, u, "port = 587; tls = \"starttls\";");
	case HINT_NO_COMMON_MECHANISM: return upstream_entry(d, u, "mechanisms = [ … ];");
	default:
		return login ? upstream_entry(d, u, "login = \"…\"; password_file = \"/etc/posthouse/upstream.password\";")
			     : S("");
	}
}

/* What to do: the words for this very refusal, and those of the provider where it takes no ordinary password. */
static struct str advice_for(struct doctor *d, const struct cfg_upstream *u, uint64_t meaning, bool login)
{
	const struct profile *p = profile_find(u->profile);
	const char *hint = meaning_hint(meaning);

	if (*hint)
		return str_of(hint);
	if (login && p && p->hint)
		return arena_printf(doctor_arena(d), "Look at login and password. %s", p->hint);
	return meaning_advice(doctor_arena(d), meaning);
}

static bool passes_by_itself(const struct fact_upstream *f, enum hint hint)
{
	enum trouble t = meaning_trouble(f->meaning);

	return hint == HINT_NAME_SERVERS_SILENT ||
	       (f->verdict.class == TEMP && (t == TROUBLE_TEMPORARY || t == TROUBLE_RATE || t == TROUBLE_QUOTA) &&
		hint == HINT_NONE && meaning_actor(f->meaning) == ACTOR_NOBODY && f->extensions.n > 0);
}

static enum hint hint_of(uint64_t meaning)
{
	static const char *const sentences[] = {
		"",
#define HINT(id, sentence) sentence,
#include "posthouse/hints.def"
	};
	const char *hint = meaning_hint(meaning);

	for (unsigned i = 1; i < HINTS; i++)
		if (strcmp(hint, sentences[i]) == 0)
			return (enum hint)i;
	return HINT_NONE;
}

static void tell_refusal(struct doctor *d, const struct cfg_upstream *u, const struct fact_upstream *f)
{
	bool login = f->step == STEP_AUTH || meaning_trouble(f->meaning) == TROUBLE_LOGIN, pending = false;
	bool tls = meaning_trouble(f->meaning) == TROUBLE_TLS;
	enum hint hint = hint_of(f->meaning);
	struct arena *a = doctor_arena(d);
	struct doctor_finding found = { .subject = u->name, .result = DOCTOR_FAILURE };
	struct str certificate = tls ? shown_certificate(d, u, &pending) : S("");

	if (pending)
		return;
	if (f->verdict.code > 0)
		found.found = arena_printf(a, "%u %.*s%s%.*s", f->verdict.code, STR_ARG(f->verdict.enhanced),
					   f->verdict.enhanced.n ? " " : "", STR_ARG(f->verdict.text));
	else
		found.found = f->verdict.text;
	if (passes_by_itself(f, hint)) {
		finding_unknown(d, S(""), u->name, arena_printf(a, "could not be tried now: %.*s", STR_ARG(found.found)));
		return;
	}
	found.text =
		arena_printf(a, "%s at %.*s:%u: %.*s%.*s", login ? "the login is refused" : "cannot be used", STR_ARG(u->host),
			     (unsigned)u->port, STR_ARG(f->extensions.n > 0 && f->verdict.code ? found.found : f->verdict.text),
			     STR_ARG(certificate));
	found.remedy.text = advice_for(d, u, f->meaning, login);
	found.remedy.config = keys_for(d, u, hint, login);
	found.remedy.command = arena_printf(a, "posthouse reload; posthouse upstream test %.*s", STR_ARG(u->name));
	finding_add(d, &found);
}

/* One bad address of several delays mail, no more: the others are tried too. */
static void tell_bad_address(struct doctor *d, const struct cfg_upstream *u, const struct upstream_tries *t)
{
	finding_add(d,
		    &(struct doctor_finding){
			    .subject = u->name,
			    .result = DOCTOR_ADVICE,
			    .found = t->address,
			    .text = arena_printf(doctor_arena(d), "%zu of the %zu addresses of %.*s cannot be used: %.*s, %.*s",
						 t->bad, t->n, STR_ARG(u->host), STR_ARG(t->address), STR_ARG(t->fault)),
			    .why = S("Each attempt there is a detour; the others are taken instead."),
			    .remedy = { .text = S("Tell who runs the server, if it stays so.") } });
}

static void reach_by_probe(struct doctor *d, const struct cfg_upstream *u, struct str why)
{
	struct upstream_tries t = upstream_try_all(d, u);
	struct arena *a = doctor_arena(d);

	if (t.pending)
		return;
	if (t.n == 0)
		finding_add(d, &(struct doctor_finding){ .subject = u->name,
							 .result = DOCTOR_FAILURE,
							 .text = arena_printf(a, "no address of %.*s is known", STR_ARG(u->host)),
							 .remedy = { .text = str_of(meaning_hint(meaning_pack(
									     (struct meaning){ .hint = HINT_NAME_NOT_FOUND }))),
								     .config = keys_for(d, u, HINT_NAME_NOT_FOUND, false) } });
	else if (t.bad == t.n)
		finding_add(d,
			    &(struct doctor_finding){ .subject = u->name,
						      .result = DOCTOR_FAILURE,
						      .text = arena_printf(a, "cannot be used at %.*s:%u: %.*s", STR_ARG(u->host),
									   (unsigned)u->port, STR_ARG(t.fault)),
						      .remedy = { .text = S("Look at host, port and tls of this upstream."),
								  .config = other_port(d, u) } });
	else if (t.bad > 0)
		tell_bad_address(d, u, &t);
	else
		finding_ok(d, S(""), u->name,
			   arena_printf(a, "answers at %.*s:%u; the login was not tried (%.*s)", STR_ARG(u->host),
					(unsigned)u->port, STR_ARG(why.n ? why : S("no relay runs here"))));
}

static void reach(struct doctor *d, const struct cfg_upstream *u)
{
	const struct fact_upstream *f = facts_upstream(d, u->name);
	struct upstream_tries t = { 0 };

	if (f->state == FACT_PENDING)
		return;
	if (f->state != FACT_THERE) {
		reach_by_probe(d, u, f->verdict.text);
		return;
	}
	if (f->verdict.class != OK) {
		tell_refusal(d, u, f);
		return;
	}
	t = upstream_try_all(d, u);
	if (!t.pending && t.bad > 0 && t.n > 1)
		tell_bad_address(d, u, &t);
	else if (!t.pending)
		finding_ok(d, S(""), u->name,
			   arena_printf(doctor_arena(d), "%s at %.*s:%u",
					f->mechanism.n ? "takes our login" : "takes mail without a login", STR_ARG(u->host),
					(unsigned)u->port));
}

void check_upstream_reach(struct doctor *d)
{
	upstreams_each(d, reach);
}
