/* re_sign.c - fresh signatures for a message that relay has converted. */
#include "dispatch/dispatch.h"

#include "posthouse/address.h"
#include "posthouse/mail.h"

#include <stdlib.h>

#define RE_SIGNS_OF_LEASE 16   /* a delivery that is tried again without an extension can convert its text again */
#define RE_SIGNS_MAX      1000 /* open ones: more than there are deliveries */

struct re_sign {
	struct list in_re_signs;
	struct dispatch *dispatch;
	struct channel *channel;
	uint64_t call; /* to be answered */
	uint64_t sign; /* the call to vault */
	uint64_t message;
};

void re_signs_init(struct dispatch *d)
{
	list_init(&d->re_signs.all);
}

static void end(struct re_sign *r)
{
	list_remove(&r->in_re_signs);
	r->dispatch->re_signs.n--;
	free(r);
}

void re_signs_cancel(struct dispatch *d)
{
	LIST_EACH_OF (struct re_sign, r, &d->re_signs.all, in_re_signs) {
		ipc_cancel(r->sign);
		end(r);
	}
}

static void on_signatures(void *ctx, struct verdict v, const struct msg_signatures *m, int fd)
{
	struct re_sign *r = ctx;
	struct msg_resigned answer = { .call = r->call, .verdict = v };

	if (v.class == OK)
		answer.verdict = m->verdict;
	if (answer.verdict.class == OK) {
		answer.signatures.at = m->signatures.at;
		answer.signatures.n = m->signatures.n;
	} else {
		log_warning(&(struct log){ .message = r->message }, "resign.failed", kv("reply", answer.verdict.text));
	}
	ipc_send_resigned(r->channel, &answer, -1);
	end(r);
}

/* The domain of From, as it is sent. */
static struct str domain_to_sign(const struct lease *l)
{
	return l->from.n > 0 ? address_domain(l->from) : l->message->due.envelope.sign_domain;
}

/* OK, or why relay cannot have this signed: the message must be in its hands, and each key signs once. */
static struct verdict may_re_sign(const struct dispatch *d, const struct lease *l, const struct msg_resign *m)
{
	if (!dispatch_may_store(d) || d->re_signs.n >= RE_SIGNS_MAX)
		return temp(451, S("4.3.0"), S("queue unavailable, try again"));
	if (!l || l->state != LEASE_SENT || l->re_signs >= RE_SIGNS_OF_LEASE)
		return perm(550, S("5.7.0"), S("the queue knows no such delivery"));
	if (domain_to_sign(l).n == 0)
		return perm(550, S("5.7.0"), S("the message was not signed"));
	if (m->digests.n == 0 || m->digests.n > DKIM_KEYS_MAX)
		return perm(550, S("5.7.0"), S("no digests, or more than there can be keys"));
	return ok();
}

void dispatch_resign(struct dispatch *d, struct channel *ch, const struct msg_resign *m)
{
	struct lease *l = lease_find(d, m->lease);
	struct verdict v = may_re_sign(d, l, m);
	struct msg_sign sign = { .call = 0 };
	struct re_sign *r;

	if (v.class != OK) {
		log_warning(NULL, "resign.failed", kv("lease", m->lease), kv("reply", v.text));
		ipc_send_resigned(ch, &(struct msg_resigned){ .call = m->call, .verdict = v }, -1);
		return;
	}
	l->re_signs++;
	r = NEW(struct re_sign);
	r->dispatch = d;
	r->channel = ch;
	r->call = m->call;
	r->message = l->message->due.id;
	list_append(&d->re_signs.all, &r->in_re_signs);
	d->re_signs.n++;
	sign.message = r->message;
	sign.domain = domain_to_sign(l);
	sign.digests.at = m->digests.at;
	sign.digests.n = m->digests.n;
	r->sign = ipc_call_sign(d->vault, &sign, -1, on_signatures, r);
}
