/* explain_policy.c - `posthouse explain`: who may send as whom, rewriting, signatures. */
#include "dkim_command.h"
#include "explain.h"

#include "posthouse/address.h"
#include "posthouse/mail.h"
#include "posthouse/policy.h"

/* The pattern of the list that matches; "" when none does. */
static struct str matching(const struct str_list *patterns, struct str address)
{
	for (size_t i = 0; i < patterns->n; i++)
		if (pattern_matches(patterns->at[i], address))
			return patterns->at[i];
	return S("");
}

static struct str shown(struct str address)
{
	return address.n > 0 ? address : S("<>");
}

void explain_sender(struct explain *e, struct str address, const char *step)
{
	const struct cfg_senders *entry = senders_of(e->c, e->login);
	struct str rule = entry ? arena_printf(&e->arena, "senders[%zu]", (size_t)(entry - e->c->senders) + 1) : S("");
	bool from = strcmp(step, "From") == 0;

	if (address.n == 0 && !from)
		explain_step(e, step, EXPLAINED_OK, S(""), S("the null sender is for everybody; From decides"));
	else if (e->local && e->user_here.uid == 0)
		explain_step(e, step, EXPLAINED_OK, S(""),
			     arena_printf(&e->arena, "%.*s: root is allowed to use every address", STR_ARG(address)));
	else if (sender_allowed(e->c, e->login, address) && entry)
		explain_step(e, step, EXPLAINED_OK, rule,
			     arena_printf(&e->arena, "%.*s allowed by %.*s \"%.*s\"", STR_ARG(address), STR_ARG(rule),
					  STR_ARG(matching(&entry->addresses, address))));
	else if (sender_allowed(e->c, e->login, address))
		explain_step(e, step, EXPLAINED_OK, S(""), arena_printf(&e->arena, "%.*s is the login itself", STR_ARG(address)));
	else if (from && sender_may_resend(e->c, e->login))
		explain_step(e, step, EXPLAINED_OK, rule,
			     arena_printf(&e->arena, "%.*s only in mail that is sent on (Resent-From): %.*s",
					  STR_ARG(shown(address)), STR_ARG(rule)));
	else if (entry)
		explain_step(e, step, EXPLAINED_REFUSED, rule,
			     arena_printf(&e->arena, "550 5.7.1 <%.*s> is not an address of %.*s\n%.*s has other addresses",
					  STR_ARG(address), STR_ARG(e->login), STR_ARG(rule)));
	else
		explain_step(e, step, EXPLAINED_REFUSED, S(""),
			     arena_printf(&e->arena,
					  "550 5.7.1 <%.*s> is not an address of %.*s\nno entry of senders is for it, so it "
					  "has the address of its name only",
					  STR_ARG(address), STR_ARG(e->login)));
}

/* The first rule that replaces the address; its result in *to_out. rewrite_n: none does. */
static size_t rule_for(struct explain *e, bool is_sender, bool in_header, struct str address, struct str *to_out)
{
	struct config one = *e->c;

	for (size_t i = 0; i < e->c->rewrite_n; i++) {
		one.rewrite = &e->c->rewrite[i];
		one.rewrite_n = 1;
		*to_out = rewrite_address(&one, &e->arena, is_sender, in_header, address);
		if (to_out->p != address.p)
			return i;
	}
	*to_out = address;
	return e->c->rewrite_n;
}

/* step NULL: say nothing where no rule matches. */
struct str explain_rewrite(struct explain *e, const char *step, bool is_sender, bool in_header, struct str address)
{
	struct str to, rule;
	size_t i = rule_for(e, is_sender, in_header, address, &to);

	if (i < e->c->rewrite_n) {
		rule = arena_printf(&e->arena, "rewrite[%zu]", i + 1);
		explain_step(e, step ? step : "From", EXPLAINED_OK, rule,
			     arena_printf(&e->arena, "%.*s becomes %.*s by %.*s", STR_ARG(address), STR_ARG(to), STR_ARG(rule)));
	} else if (step && is_sender && !in_header) {
		explain_step(e, step, EXPLAINED_NONE, S(""),
			     e->c->rewrite_n == 0
				     ? S("no rules")
				     : arena_printf(&e->arena, "none of %zu rules matches the sender", e->c->rewrite_n));
	}
	return to;
}

/* ---- signatures ---- */

static const struct cfg_sign *entry_of(const struct explain *e, const struct dkim_key *key)
{
	for (size_t i = 0; i < e->c->sign_n; i++)
		if (str_eq(e->c->sign[i].domain, key->domain) && str_eq(e->c->sign[i].selector, key->selector))
			return &e->c->sign[i];
	return NULL;
}

/* ", both in DNS", or what is wrong with which key. */
static struct str dns_text(struct explain *e, const struct dkim_key *keys, size_t n)
{
	static const char *const words[] = { [DKIM_SEEN] = "in DNS",
					     [DKIM_NOT_SEEN] = "not in DNS",
					     [DKIM_OTHER_SEEN] = "in DNS with another key",
					     [DKIM_UNSEEN] = "DNS does not answer" };
	struct dkim_look *look = dkim_look_begin(e->c, keys[0].domain, NULL);
	size_t by_state[DKIM_UNSEEN + 1] = { 0 };
	struct str each = S("");

	for (size_t i = 0; i < n; i++) {
		const struct cfg_sign *entry = entry_of(e, &keys[i]);
		enum dkim_sight_state state = entry ? dkim_look_key(look, entry).world : DKIM_UNSEEN;

		by_state[state]++;
		each = arena_printf(&e->arena, "%.*s\n%.*s: %s", STR_ARG(each), STR_ARG(keys[i].selector), words[state]);
	}
	dkim_look_end(look);
	e->key_missing = by_state[DKIM_NOT_SEEN] + by_state[DKIM_OTHER_SEEN] == n;
	for (size_t state = 0; state <= DKIM_UNSEEN; state++)
		if (by_state[state] == n)
			return arena_printf(&e->arena, ", %s%s", n == 1 ? "" : n == 2 ? "both " : "all ", words[state]);
	return each;
}

void explain_signature(struct explain *e)
{
	struct dkim_key keys[DKIM_KEYS_MAX];
	struct str domain = address_domain(e->author), text;
	size_t n = config_dkim_keys(&e->arena, e->c, domain, keys);

	if (n == 0) {
		explain_step(e, "signature", EXPLAINED_NONE, S(""),
			     arena_printf(&e->arena, "none: %.*s has no key; `posthouse dkim generate %.*s` makes one",
					  STR_ARG(domain), STR_ARG(domain)));
		return;
	}
	e->signs = keys[0].domain;
	text = arena_printf(&e->arena, "%.*s by", STR_ARG(e->signs));
	for (size_t i = 0; i < n; i++)
		text = arena_printf(&e->arena, "%.*s%s %.*s (%s)", STR_ARG(text),
				    i == 0      ? ""
				    : i + 1 < n ? ","
						: " and",
				    STR_ARG(keys[i].selector), keys[i].algorithm == DKIM_ED25519_SHA256 ? "Ed25519" : "RSA");
	if (!e->offline)
		text = arena_printf(&e->arena, "%.*s%.*s", STR_ARG(text), STR_ARG(dns_text(e, keys, n)));
	explain_step(e, "signature", EXPLAINED_OK, S(""), text);
}
