/* rewrite.c - replaces addresses in the value of a field; all other bytes stay. */
#include "address.h"
#include "fixup.h"

struct rewriting {
	struct arena *arena;
	const struct fixup_input *in;
	bool is_sender;
	struct str value;
	size_t done;    /* bytes of the value that are written to `out`, or replaced there */
	struct buf out; /* empty until something changes */
	bool full;
};

/* Replace a part of the value by `address`. */
static void replace(struct rewriting *r, struct str part, struct str address)
{
	size_t at = (size_t)(part.p - r->value.p);

	r->full = r->full || !buf_add(&r->out, str_make(r->value.p + r->done, at - r->done)) || !buf_add(&r->out, address);
	r->done = at + part.n;
}

struct str rewritten_address(struct arena *a, const struct fixup_input *in, bool is_sender, const struct mailbox *m)
{
	struct str address = m->address;

	if (!m->has_domain)
		address = arena_printf(a, "%.*s@%.*s", STR_ARG(address), STR_ARG(in->domain));
	return in->rewrite ? in->rewrite(in->rewrite_ctx, a, is_sender, address) : address;
}

static void rewrite_mailbox(void *ctx, const struct mailbox *m)
{
	struct rewriting *r = ctx;
	const struct fixup_input *in = r->in;

	if (r->full)
		return;
	struct str address = rewritten_address(r->arena, in, r->is_sender, m);
	if (str_eq(address, m->address) && !str_ends(m->spec, S(".")))
		return; /* the same address, possibly in another form: "a"@b */
	if (m->twin.n > 0)
		replace(r, m->twin, address);
	replace(r, m->spec, address);
}

bool rewrite_value(struct arena *a, const struct fixup_input *in, bool is_sender, struct str *value)
{
	struct rewriting r = { .arena = a, .in = in, .is_sender = is_sender, .value = *value };

	if (in->domain.n == 0 && !in->rewrite)
		return true;
	buf_init(&r.out, HEADER_MAX);
	bool good = mailboxes_walk(a, *value, in->domain.n > 0, rewrite_mailbox, &r);
	if (good && r.done > 0) {
		r.full = r.full || !buf_add(&r.out, str_from(*value, r.done));
		*value = arena_str(a, buf_view(&r.out));
	}
	buf_fini(&r.out);
	return !good || !r.full;
}
