/* message.c - a message of which recipients were leased. */
#include "dispatch/dispatch.h"

#include <assert.h>
#include <stdlib.h>

#define SENDER_BYTES 800 /* an upstream's own sender instead of the message's, and its only author */

static void copy_recipients(struct arena *a, struct due_recipient *to, const struct due_recipient *from, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		to[i] = from[i];
		to[i].address = arena_str(a, from[i].address);
		to[i].orcpt = arena_str(a, from[i].orcpt);
		to[i].via = arena_str(a, from[i].via);
	}
}

struct message *message_new(struct dispatch *d, const struct due_message *due)
{
	struct message *m = NEW(struct message);
	struct arena *a = &m->arena;

	list_init(&m->in_fetched);
	m->dispatch = d;
	m->leases = 1;
	m->due = *due;
	envelope_keep(a, &m->due.envelope);
	m->due.prefix = arena_str(a, due->prefix);
	m->due.text = arena_str(a, due->text);
	m->due.recipients = NULL;
	m->due.recipients_n = 0;
	d->leases.bytes += m->due.text.n + m->due.prefix.n;
	message_add(m, due->recipients, due->recipients_n);
	return m;
}

void message_add(struct message *m, const struct due_recipient *recipients, size_t n)
{
	struct due_recipient *all = ARENA_ARRAY(&m->arena, struct due_recipient, m->due.recipients_n + n);

	if (m->due.recipients_n > 0)
		memcpy(all, m->due.recipients, m->due.recipients_n * sizeof *all);
	copy_recipients(&m->arena, all + m->due.recipients_n, recipients, n);
	m->due.recipients = all;
	m->due.recipients_n += n;
}

void message_release(struct message *m)
{
	assert(m->leases > 0);
	if (--m->leases > 0)
		return;
	m->dispatch->leases.bytes -= m->due.text.n + m->due.prefix.n;
	arena_fini(&m->arena);
	free(m);
}

/* ---- sizes ---- */

size_t recipient_bytes(const struct due_recipient *r)
{
	return 64 + r->address.n + r->orcpt.n;
}

size_t delivery_fixed_bytes(const struct lease *l)
{
	const struct due_message *m = &l->message->due;

	return 512 + SENDER_BYTES + envelope_bytes(&m->envelope) + m->prefix.n + m->text.n +
	       (l->nexthop ? strlen(l->nexthop->name) : 0);
}

size_t delivery_bytes(const struct lease *l)
{
	size_t bytes = delivery_fixed_bytes(l);

	for (size_t i = 0; i < l->recipients_n; i++)
		bytes += recipient_bytes(&l->recipients[i]);
	return bytes;
}
