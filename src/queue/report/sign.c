/* sign.c - signatures of reports and notices. */
#include "queue.h"

#include <assert.h>

static void on_signatures(void *ctx, struct verdict v, const struct msg_signatures *m, int fd);

static void choose_keys(struct signing *s)
{
	const struct config *c = role_config(s->queue->role);
	struct str domain = str_from(s->from, str_rfind(s->from, '@') + 1);

	for (size_t i = 0; i < c->sign_n && s->keys_n < DKIM_KEYS_MAX; i++)
		if (str_ieq(c->sign[i].domain, domain))
			s->keys[s->keys_n++] = (struct dkim_key){
				.domain = arena_str(s->arena, c->sign[i].domain),
				.selector = arena_str(s->arena, c->sign[i].selector),
				.algorithm = (enum dkim_algorithm)c->sign[i].algorithm,
				.oversign = c->sign[i].oversign,
			};
}

void sign(struct signing *s)
{
	struct str digests[DKIM_KEYS_MAX];
	struct rec_digest list[DKIM_KEYS_MAX];
	struct msg_sign m = { .message = s->m->id };
	struct header header;
	struct verdict v;

	choose_keys(s);
	if (s->keys_n == 0) { /* unsigned by rule */
		s->done(s->ctx, ok());
		return;
	}
	v = header_parse(s->arena, s->header, &header);
	assert(v.class == OK); /* we wrote it */
	s->dkim = dkim_new();
	dkim_body(s->dkim, s->body);
	dkim_finish(s->dkim, &header, s->keys, s->keys_n, s->m->received_at, digests);
	for (size_t i = 0; i < s->keys_n; i++)
		list[i] = (struct rec_digest){
			.selector = s->keys[i].selector,
			.algorithm = s->keys[i].algorithm,
			.digest = digests[i],
		};
	m.domain = s->keys[0].domain;
	m.digests.at = list;
	m.digests.n = s->keys_n;
	s->call = ipc_call_sign(s->queue->vault, &m, -1, on_signatures, s);
}

static const struct rec_signature *signature_of(const struct msg_signatures *m, const struct dkim_key *key)
{
	for (size_t i = 0; i < m->signatures.n; i++)
		if (str_eq(m->signatures.at[i].selector, key->selector) && m->signatures.at[i].algorithm == key->algorithm)
			return &m->signatures.at[i];
	return NULL;
}

static void on_signatures(void *ctx, struct verdict v, const struct msg_signatures *m, int fd)
{
	struct signing *s = ctx;
	struct str prefix = S("");

	s->call = 0;
	if (v.class == OK)
		v = m->verdict;
	for (size_t i = 0; v.class == OK && i < s->keys_n; i++) {
		const struct rec_signature *signature = signature_of(m, &s->keys[i]);

		if (!signature) {
			v = temp(451, S("4.3.0"), S("vault left a signature out"));
			break;
		}
		prefix = arena_printf(s->arena, "%.*s%.*s", STR_ARG(prefix),
				      STR_ARG(dkim_field(s->arena, s->dkim, i, signature->signature)));
	}
	if (v.class == OK) {
		s->m->prefix = prefix;
		s->m->sign_domain = s->keys[0].domain;
	}
	s->done(s->ctx, v);
}

bool sign_cancel(struct signing *s)
{
	if (s->call == 0)
		return false;
	ipc_cancel(s->call);
	s->call = 0;
	return true;
}

void sign_end(struct signing *s)
{
	dkim_free(s->dkim);
	s->dkim = NULL;
}
