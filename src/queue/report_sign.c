/* report_sign.c - a report's DKIM signatures: hashed here, signed by vault. */
#include "report_private.h"

#include <assert.h>

static void on_signatures(void *ctx, struct verdict v, const struct msg_signatures *m, int fd);

/* The keys of the domain of mailer-daemon@hostname. */
static void choose_keys(struct report *r)
{
	const struct config *c = role_config(r->queue->role);

	for (size_t i = 0; i < c->sign_n && r->keys_n < DKIM_KEYS_MAX; i++)
		if (str_ieq(c->sign[i].domain, c->hostname))
			r->keys[r->keys_n++] = (struct dkim_key){
				.domain = arena_str(&r->arena, c->sign[i].domain),
				.selector = arena_str(&r->arena, c->sign[i].selector),
				.algorithm = (enum dkim_algorithm)c->sign[i].algorithm,
			};
}

void report_sign(struct report *r)
{
	struct str digests[DKIM_KEYS_MAX];
	struct rec_digest list[DKIM_KEYS_MAX];
	struct msg_sign m = { .message = r->accepted.id };
	struct header header;
	struct verdict v;

	choose_keys(r);
	if (r->keys_n == 0) { /* unsigned by rule */
		report_store(r);
		return;
	}
	v = header_parse(&r->arena, r->header, &header);
	assert(v.class == OK); /* we wrote it */
	r->dkim = dkim_new();
	dkim_body(r->dkim, r->body);
	dkim_finish(r->dkim, &header, r->keys, r->keys_n, r->accepted.received_at, digests);
	for (size_t i = 0; i < r->keys_n; i++)
		list[i] = (struct rec_digest){
			.selector = r->keys[i].selector,
			.algorithm = r->keys[i].algorithm,
			.digest = digests[i],
		};
	m.domain = r->keys[0].domain;
	m.digests.at = list;
	m.digests.n = r->keys_n;
	r->call = ipc_call_sign(r->queue->vault, &m, -1, on_signatures, r);
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
	struct report *r = ctx;
	struct str prefix = S("");

	r->call = 0;
	if (v.class == OK)
		v = m->verdict;
	for (size_t i = 0; v.class == OK && i < r->keys_n; i++) {
		const struct rec_signature *s = signature_of(m, &r->keys[i]);

		if (!s) {
			v = temp(451, S("4.3.0"), S("vault left a signature out"));
			break;
		}
		prefix = arena_printf(&r->arena, "%.*s%.*s", STR_ARG(prefix),
				      STR_ARG(dkim_field(&r->arena, r->dkim, i, s->signature)));
	}
	if (v.class != OK || !queue_may_store(r->queue)) {
		report_failed(r, v.class != OK ? v.text : S("the queue ends"));
		return;
	}
	r->accepted.prefix = prefix;
	r->accepted.sign_domain = r->keys[0].domain;
	report_store(r);
}
