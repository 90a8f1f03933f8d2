/* token_answer.c - see token_answer.h. */
#include "token_answer.h"

#include "posthouse/units.h"

#define EXPIRES_DEFAULT_S 3600
#define EXPIRES_MIN_S     60
#define EXPIRES_MAX_S     (24 * 3600)
#define DESCRIPTION_MAX   300
#define CLOCK_MS          (30 * SECOND_MS) /* a smaller difference is the time that the answer took */

/* error (RFC 6749 5.2, RFC 8628 3.5, and what providers add), and its meaning. Other errors are a person's to mend when the
 * HTTP status is 4xx. */
static const struct {
	const char *error;
	enum token_outcome outcome;
	const char *why;
} errors[] = {
	{ "authorization_pending", TOKEN_PENDING, "nobody has signed in so far" },
	{ "slow_down", TOKEN_SLOWER, "nobody has signed in so far" },
	{ "temporarily_unavailable", TOKEN_WAIT, "the provider's token server is busy" },
	{ "server_error", TOKEN_WAIT, "the provider's token server has a fault" },
	{ "invalid_grant", TOKEN_PERSON, "the provider does not take the sign-in any more" },
	{ "expired_token", TOKEN_PERSON, "nobody has signed in within the time that the provider gives" },
	{ "access_denied", TOKEN_PERSON, "the sign-in was refused" },
	{ "authorization_declined", TOKEN_PERSON, "the sign-in was refused" },
	{ "interaction_required", TOKEN_PERSON, "the provider wants a person to sign in" },
	{ "consent_required", TOKEN_PERSON, "nobody has allowed the application to send mail" },
	{ "login_required", TOKEN_PERSON, "the provider wants a person to sign in" },
	{ "invalid_client", TOKEN_PERSON, "the provider does not know client_id, or client_secret is wrong" },
	{ "unauthorized_client", TOKEN_PERSON, "the application is not allowed to do this" },
	{ "unsupported_grant_type", TOKEN_PERSON, "the provider does not know this grant" },
	{ "invalid_scope", TOKEN_PERSON, "the provider does not know this scope, or not for this grant" },
	{ "invalid_request", TOKEN_PERSON, "the provider does not understand the request" },
};

/* What a description says, and what is to be done. */
static const struct {
	const char *words, *advice;
} hints[] = {
	{ "AADSTS700082", "it was not used for 90 days" },
	{ "AADSTS70008", "it has expired" },
	{ "AADSTS700084", "the application is registered as a single-page application, whose sign-ins last a day: register it as "
			  "a public client" },
	{ "AADSTS50173", "the password was changed, or an administrator has ended all sign-ins" },
	{ "AADSTS50076", "the organisation wants a second factor: sign in again with it" },
	{ "AADSTS50079", "the organisation wants a second factor: set one up, and sign in again" },
	{ "AADSTS53003", "a Conditional Access policy of the organisation forbids it" },
	{ "AADSTS65001", "an administrator of the organisation must consent to the application" },
	{ "AADSTS700016", "the organisation does not know this client_id: look at tenant" },
	{ "AADSTS90002", "there is no such tenant" },
	{ "AADSTS7000215", "client_secret is wrong: the secret's value is needed, not its id" },
	{ "AADSTS7000222", "client_secret has expired: make a new one at the provider" },
	{ "AADSTS7000218", "the application is not a public client: allow public client flows, or give client_secret" },
	{ "expired or revoked", "an application in status \"Testing\" loses it after 7 days: publish the application at Google, "
				"and sign in again" },
	{ "Invalid JWT", "look at this machine's clock, and at the key of the service account" },
	{ "account not found", "there is no such service account, or its domain-wide delegation lacks the scope" },
};

struct str token_field(const struct msg_fetched *m, const char *name)
{
	for (size_t i = 0; m && i < m->fields.n; i++)
		if (str_eq(m->fields.at[i].name, str_of(name)))
			return m->fields.at[i].value;
	return S("");
}

/* The provider's own words. It could repeat what we sent, and the words go to the log: long runs of characters without a blank
 * are left out, since they could be a token. */
static struct str description(struct arena *a, const struct msg_fetched *m)
{
	struct str rest = str_head(token_field(m, "error_description"), 2000), word, text = S("");

	while (str_split(&rest, ' ', &word) && text.n < DESCRIPTION_MAX) {
		struct str line = str_head(word, str_find(word, '\r'));

		if (line.n > 40)
			line = S("...");
		text = arena_printf(a, "%.*s%s%.*s", STR_ARG(text), text.n > 0 ? " " : "", STR_ARG(line));
	}
	return text;
}

static struct str explain(struct arena *a, const char *meaning, const struct msg_fetched *m)
{
	struct str words = description(a, m), error = str_head(token_field(m, "error"), 40);
	struct str text = arena_printf(a, "%s (%.*s)", meaning, STR_ARG(error));

	for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
		if (str_search(words, str_of(hints[i].words)) < words.n)
			return arena_printf(a, "%.*s: %s", STR_ARG(text), hints[i].advice);
	return words.n > 0 ? arena_printf(a, "%.*s: \"%.*s\"", STR_ARG(text), STR_ARG(words)) : text;
}

/* RFC 6749 5.1. */
static void take_tokens(struct arena *a, const struct msg_fetched *m, struct token_answer *t)
{
	struct str type = token_field(m, "token_type"), seconds = token_field(m, "expires_in");

	t->access_token = token_field(m, "access_token");
	t->refresh_token = token_field(m, "refresh_token");
	if (t->access_token.n == 0) {
		t->outcome = TOKEN_WAIT;
		t->why = S("the provider's answer has no access token");
		return;
	}
	if (type.n > 0 && !str_ieq(type, S("bearer"))) {
		t->outcome = TOKEN_PERSON;
		t->why = arena_printf(a, "the provider gives a token of the type \"%.*s\", not bearer",
				      STR_ARG(str_head(type, 40)));
		return;
	}
	if (!str_to_u64(str_head(seconds, str_find(seconds, '.')), &t->expires_s))
		t->expires_s = EXPIRES_DEFAULT_S;
	if (t->expires_s < EXPIRES_MIN_S)
		t->expires_s = EXPIRES_MIN_S;
	if (t->expires_s > EXPIRES_MAX_S)
		t->expires_s = EXPIRES_MAX_S;
}

static void take_error(struct arena *a, const struct msg_fetched *m, struct token_answer *t)
{
	struct str error = token_field(m, "error");

	t->outcome = m->status == 429 || m->status >= 500 || error.n == 0 ? TOKEN_WAIT : TOKEN_PERSON;
	t->why = arena_printf(a, "the provider's token server answers with HTTP status %llu", (unsigned long long)m->status);
	if (error.n == 0)
		return;
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		if (!str_eq(error, str_of(errors[i].error)))
			continue;
		t->outcome = errors[i].outcome;
		t->why = explain(a, errors[i].why, m);
		return;
	}
	t->why = explain(a, "the provider refuses", m);
}

struct token_answer token_answer(struct arena *a, struct verdict v, const struct msg_fetched *m, uint64_t now_ms)
{
	struct token_answer t = { .outcome = TOKEN_GRANTED };

	if (!m || m->verdict.class != OK) {
		t.outcome = TOKEN_WAIT;
		t.why = arena_str(a, m ? m->verdict.text : v.text);
		return t;
	}
	t.retry_after_ms = m->retry_after_ms;
	if (m->date > now_ms + CLOCK_MS || (m->date > 0 && m->date + CLOCK_MS < now_ms))
		t.clock_ms = (int64_t)(m->date - now_ms);
	if (m->status >= 200 && m->status < 300)
		take_tokens(a, m, &t);
	else
		take_error(a, m, &t);
	return t;
}
