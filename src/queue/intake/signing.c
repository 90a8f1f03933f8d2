/* signing.c - a message that is allowed gets its signatures: submission has made the digests, vault signs them, and the fields
 * with the signatures become a part of the prefix. All keys sign, or the message is not stored. */
#include "intake/intake_private.h"

#include "posthouse/log.h"

#define SIGNATURE_ROOM 800 /* more than the text of a signature with an RSA key of 4096 bits has */

static void on_signed(void *ctx, struct verdict v, const struct msg_signatures *m, int fd);

/* The client keeps the message and tries again. */
static struct verdict fail(const struct transaction *t, struct str domain, struct str reason)
{
	log_error(&t->log, "mail.sign_failed", kv("domain", domain), kv("reason", reason));
	return temp(451, S("4.7.5"), S("Signing is not possible at the moment, try again later"));
}

static bool is_for(const struct rec_to_sign *one, struct str domain)
{
	const struct dkim_key key = { domain, one->selector, (enum dkim_algorithm)one->algorithm, false };

	return one->digest.n == DKIM_DIGEST_SIZE && dkim_is_unsigned(one->field, &key);
}

struct verdict signing_prepare(struct transaction *t, const struct msg_submit *m, const struct str_list *from,
			       const struct str_list *resenders)
{
	struct dkim_key keys[DKIM_KEYS_MAX];
	struct arena *a = &t->arena;

	if (m->to_sign.n == 0)
		return ok();
	if (config_author_keys(a, role_config(t->intake->role), from, resenders, keys) == 0)
		return fail(t, S(""), S("no author's domain has a key"));
	t->to_sign = ARENA_ARRAY(a, struct rec_to_sign, m->to_sign.n);
	for (size_t i = 0; i < m->to_sign.n; i++) {
		const struct rec_to_sign *one = &m->to_sign.at[i];

		if (!is_for(one, keys[0].domain))
			return fail(t, keys[0].domain, S("the field to sign is not one of this domain"));
		t->to_sign[i] = (struct rec_to_sign){
			.selector = arena_str(a, one->selector),
			.algorithm = one->algorithm,
			.digest = arena_str(a, one->digest),
			.field = arena_str(a, one->field),
		};
	}
	t->to_sign_n = m->to_sign.n;
	t->m.envelope.sign_domain = keys[0].domain;
	return ok();
}

size_t signing_room(const struct transaction *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->to_sign_n; i++)
		n += t->to_sign[i].field.n + SIGNATURE_ROOM;
	return n;
}

void signing_start(struct transaction *t, void (*done)(struct transaction *t, struct verdict v))
{
	struct rec_digest digests[DKIM_KEYS_MAX];
	struct msg_sign m = { .message = t->m.id, .domain = t->m.envelope.sign_domain, .digests = { digests, t->to_sign_n } };

	if (t->to_sign_n == 0) {
		done(t, ok());
		return;
	}
	for (size_t i = 0; i < t->to_sign_n; i++)
		digests[i] = (struct rec_digest){ t->to_sign[i].selector, t->to_sign[i].algorithm, t->to_sign[i].digest };
	t->signed_ = done;
	t->sign_call = ipc_call_sign(role_peer(t->intake->role, ROLE_VAULT, 0), &m, -1, on_signed, t);
}

void signing_cancel(struct transaction *t)
{
	ipc_cancel(t->sign_call);
	t->sign_call = 0;
}

/* The signature for a digest; an empty one when it is not among them. */
static struct str find(const struct msg_signatures *m, const struct rec_to_sign *one)
{
	for (size_t i = 0; i < m->signatures.n; i++)
		if (str_eq(m->signatures.at[i].selector, one->selector) && m->signatures.at[i].algorithm == one->algorithm)
			return m->signatures.at[i].signature;
	return S("");
}

/* Received is first on the wire; the signatures, which never cover it, are below. */
static struct verdict write_prefix(struct transaction *t, const struct msg_signatures *m)
{
	struct str fields[1 + DKIM_KEYS_MAX] = { t->m.prefix };
	size_t n = t->m.prefix.n, used = 0;
	char *out;

	for (size_t i = 0; i < t->to_sign_n; i++) {
		struct str signature = find(m, &t->to_sign[i]);

		if (signature.n == 0)
			return fail(t, t->m.envelope.sign_domain, S("a signature is missing in the answer"));
		fields[1 + i] = dkim_signed(&t->arena, t->to_sign[i].field, signature);
		n += fields[1 + i].n;
	}
	out = arena_alloc(&t->arena, n);
	for (size_t i = 0; i <= t->to_sign_n; i++) {
		memcpy(out + used, fields[i].p, fields[i].n);
		used += fields[i].n;
	}
	t->m.prefix = str_make(out, n);
	return ok();
}

static void on_signed(void *ctx, struct verdict v, const struct msg_signatures *m, int fd)
{
	struct transaction *t = ctx;

	t->sign_call = 0;
	if (v.class == OK)
		v = m->verdict;
	t->signed_(t, v.class == OK ? write_prefix(t, m) : fail(t, t->m.envelope.sign_domain, v.text));
}
