/* rewriting.h - what the targets share: a rewriting rule, and what must be left of a value when its addresses are taken out. */
#ifndef POSTHOUSE_TESTS_FUZZ_REWRITING_H
#define POSTHOUSE_TESTS_FUZZ_REWRITING_H

#include "../../../src/mail/address.h"

#include <stdlib.h>

static inline void require(bool good)
{
	if (!good)
		abort();
}

/* Addresses of b become ones of new.example, as sender with another local part; what it gives it does not change again. */
static inline struct str rewrite(void *ctx, struct arena *a, bool is_sender, struct str address)
{
	size_t at = str_rfind(address, '@');
	struct str_list one;

	(void)ctx;
	require(header_addresses(a, address, &one) && one.n == 1 && str_eq(one.at[0], address));
	if (!str_ieq(str_from(address, at + 1), S("b")))
		return address;
	return is_sender ? S("\"the sender\"@new.example") : S("new@new.example");
}

struct skeleton {
	struct str value;
	size_t done, n;
	char *bytes;
	struct arena *arena;
	struct str_list *addresses; /* those the mailboxes have; room for all */
};

/* Take the bytes up to `end`, without those of folds. */
static inline void skeleton_take(struct skeleton *s, size_t end)
{
	for (; s->done < end; s->done++) {
		if (s->value.p[s->done] != '\r' && s->value.p[s->done] != '\n')
			s->bytes[s->n++] = s->value.p[s->done];
	}
}

static inline void skeleton_mailbox(void *ctx, const struct mailbox *m)
{
	struct skeleton *s = ctx;
	struct str parts[2] = { m->twin, m->spec };

	for (int i = 0; i < 2; i++) {
		if (parts[i].n == 0)
			continue;
		skeleton_take(s, (size_t)(parts[i].p - s->value.p));
		s->bytes[s->n++] = '\n';
		s->done += parts[i].n;
	}
	s->addresses->at[s->addresses->n++] = m->address;
}

/* A value with "\n" in the place of each address, unfolded; *list_out are the addresses. Of what is no list: all of it, unfolded. */
static inline struct str skeleton(struct arena *a, struct str value, bool local_too, struct str_list *list_out)
{
	struct skeleton s = { .value = value, .bytes = arena_alloc(a, value.n + 1), .arena = a, .addresses = list_out };

	*list_out = (struct str_list){ ARENA_ARRAY(a, struct str, value.n + 1), 0 };
	if (!mailboxes_walk(a, value, local_too, skeleton_mailbox, &s)) {
		s.done = s.n = 0;
		list_out->n = 0;
	}
	skeleton_take(&s, value.n);
	return str_make(s.bytes, s.n);
}

#endif
