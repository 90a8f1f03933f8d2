/* policy.h - a configuration made ready for sessions. */
#ifndef POSTHOUSE_SUBMISSION_POLICY_H
#define POSTHOUSE_SUBMISSION_POLICY_H

#include "posthouse/net.h"
#include "posthouse/smtp_server.h"

/* What a session is begun with, made of one configuration. A reload makes another; sessions keep the one they began with, and
 * the last of them frees it. */
struct policy {
	unsigned refs;
	struct arena arena;
	struct smtp_server_config smtp;   /* its mechanisms are those without channel binding */
	struct str mechanisms_bound;      /* all of them: where the TLS connection has something to bind to */
	bool binds;                       /* is there a mechanism with channel binding? */
	struct tls_context *tls, *legacy; /* legacy: for listed hosts with old TLS; NULL when there are none */
	struct {
		struct str path;
		uint64_t expires_at; /* ms UTC */
	} * certificates;
	size_t certificates_n;
	uint64_t idle_ms, login_ms, login_delay_ms, sessions;
	bool show_client;
};

/* NULL: *why_out says what is wrong; its text lives in `a`. */
struct policy *policy_new(const struct config *c, struct arena *a, struct verdict *why_out);
void policy_unref(struct policy *p); /* NULL is allowed */

#endif
