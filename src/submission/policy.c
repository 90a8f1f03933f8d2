/* policy.c - a configuration made ready for sessions: the words of EHLO, the bounds, the TLS contexts. */
#include "policy.h"

#include "posthouse/clock.h"

#include <stdlib.h>

/* The mechanisms as EHLO lists them, with or without those that bind to the TLS connection. */
static struct str mechanism_names(struct arena *a, const struct str_list *list, bool bound)
{
	struct str names = S("");

	for (size_t i = 0; i < list->n; i++)
		if (bound || !str_iends(list->at[i], S("-PLUS")))
			names = arena_printf(a, "%.*s%s%.*s", STR_ARG(names), names.n > 0 ? " " : "", STR_ARG(list->at[i]));
	return names;
}

/* Does a listed host get by with TLS that nobody else can use? */
static bool needs_legacy(const struct config *c)
{
	for (size_t i = 0; i < c->devices_n; i++)
		if (c->devices[i].tls != DEVICE_TLS_MODERN)
			return true;
	return false;
}

/* The contexts of all certificates. False: *why_out. */
static bool make_contexts(struct policy *p, const struct config *c, struct arena *a, struct verdict *why_out)
{
	struct tls_certificate *certificates = ARENA_ARRAY(a, struct tls_certificate, c->certificates_n);
	struct tls_server_options options = { .certificates = certificates,
					      .n = c->certificates_n,
					      .minimum = (enum tls_version)c->tls_minimum,
					      .ticket_secret = c->tls_ticket_secret };

	if (c->certificates_n == 0) {
		*why_out = perm(0, S(""), S("no certificate is configured"));
		return false;
	}
	for (size_t i = 0; i < c->certificates_n; i++)
		certificates[i] = (struct tls_certificate){ c->certificates[i].chain_pem, c->certificates[i].key_pem };
	p->tls = tls_server_context(&options, a, why_out);
	if (p->tls == NULL || !needs_legacy(c))
		return p->tls != NULL;
	options.legacy = true;
	p->legacy = tls_server_context(&options, a, why_out);
	return p->legacy != NULL;
}

/* For the figures. */
static void note_certificates(struct policy *p, const struct config *c)
{
	p->certificates = arena_calloc(&p->arena, c->certificates_n, sizeof *p->certificates);
	p->certificates_n = c->certificates_n;
	for (size_t i = 0; i < c->certificates_n; i++) {
		p->certificates[i].path = arena_str(&p->arena, c->certificates[i].chain);
		p->certificates[i].expires_at = tls_certificate_expires(c->certificates[i].chain_pem);
	}
}

struct policy *policy_new(const struct config *c, struct arena *a, struct verdict *why_out)
{
	struct policy *p = NEW(struct policy);

	p->refs = 1;
	if (!make_contexts(p, c, a, why_out)) {
		policy_unref(p);
		return NULL;
	}
	note_certificates(p, c);
	p->idle_ms = c->submission.idle_ms;
	p->login_ms = c->submission.login_ms;
	p->login_delay_ms = c->submission.login_delay_ms;
	p->sessions = c->submission.sessions;
	p->show_client = c->submission.show_client;
	p->mechanisms_bound = mechanism_names(&p->arena, &c->auth.mechanisms, true);
	p->smtp = (struct smtp_server_config){
		.hostname = arena_str(&p->arena, c->hostname),
		.mechanisms = mechanism_names(&p->arena, &c->auth.mechanisms, false),
		.auth_equals = c->auth.old_clients,
		.domain = arena_str(&p->arena, c->auth.realm),
		.messages = c->limits.messages_per_session,
		.future_release_s = c->submission.future_release_ms / 1000,
		.now_ms = clock_now_ms,
		.message_size = c->limits.message_size,
		.recipients = c->limits.recipients_per_message,
		.commands = c->submission.commands,
		.errors = c->submission.errors,
		.refuse_bare_newline = c->submission.bare_newline == BARE_NEWLINE_REFUSE,
		.tls_required = true,
		.can_starttls = true,
	};
	p->binds = !str_eq(p->mechanisms_bound, p->smtp.mechanisms);
	return p;
}

void policy_unref(struct policy *p)
{
	if (p == NULL || --p->refs > 0)
		return;
	tls_context_unref(p->tls);
	tls_context_unref(p->legacy);
	arena_fini(&p->arena);
	free(p);
}
