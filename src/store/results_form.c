/* results_form.c - numbers are 64 bits in the machine's byte order, texts have their length in front. */
#include "results_form.h"

#include "posthouse/arena.h"

static const struct str head = S("posthouse results 1\n");

/* One walk over the members for both directions, so what is written and what is read cannot differ. */
struct walk {
	struct buf *out; /* writing: the outcome stays as it is; NULL: reading */
	struct str in;   /* reading: the rest of the file */
};

static bool walk_u64(struct walk *w, uint64_t *n)
{
	if (w->out)
		return buf_add(w->out, str_make(n, sizeof *n));
	if (w->in.n < sizeof *n)
		return false;
	memcpy(n, w->in.p, sizeof *n);
	w->in = str_from(w->in, sizeof *n);
	return true;
}

static bool walk_str(struct walk *w, struct str *s)
{
	uint64_t n = s->n;

	if (!walk_u64(w, &n))
		return false;
	if (w->out)
		return buf_add(w->out, *s);
	if (n > w->in.n)
		return false;
	*s = str_head(w->in, n);
	w->in = str_from(w->in, n);
	return true;
}

/* A few small members in one number. */
static bool walk_small(struct walk *w, struct outcome *o)
{
	uint64_t flags = (uint64_t)o->attempted | (uint64_t)o->died << 1 | (uint64_t)o->report_success << 2;
	uint64_t all = flags | (uint64_t)o->state << 8 | (uint64_t)o->verdict.class << 16 | (uint64_t)o->verdict.code << 32;

	if (!walk_u64(w, &all))
		return false;
	if (w->out)
		return true;
	if ((all & ~(uint64_t)0xffff0003ff07) != 0 || (all >> 16 & 3) > PERM)
		return false;
	o->attempted = all & 1;
	o->died = all >> 1 & 1;
	o->report_success = all >> 2 & 1;
	o->state = (enum recipient_state)(all >> 8 & 0xff);
	o->verdict.class = (enum verdict_class)(all >> 16 & 3);
	o->verdict.code = (uint16_t)(all >> 32);
	return o->state >= RCPT_WAITING && o->state <= RCPT_RELAYED && o->state != RCPT_BOUNCED;
}

static bool walk_result(struct walk *w, struct outcome *o)
{
	return walk_u64(w, &o->id) && walk_u64(w, &o->n) && walk_u64(w, &o->take_no) && walk_small(w, o) &&
	       walk_u64(w, &o->due_at) && walk_u64(w, &o->meaning) && walk_u64(w, &o->at) && walk_str(w, &o->verdict.enhanced) &&
	       walk_str(w, &o->verdict.text) && walk_str(w, &o->remote) && walk_str(w, &o->route) && walk_str(w, &o->tls) &&
	       walk_str(w, &o->event) && walk_str(w, &o->event_fields) && walk_str(w, &o->transcript);
}

bool results_begin(struct buf *b)
{
	return buf_add(b, head);
}

bool results_add(struct buf *b, const struct outcome *o)
{
	struct walk w = { .out = b };
	struct outcome copy = *o;
	size_t before = b->n;

	if (walk_result(&w, &copy))
		return true;
	b->n = before;
	return false;
}

bool results_read(struct arena *a, struct str file, struct kept_results *out)
{
	struct walk w = { .in = str_from(file, head.n) };
	size_t capacity = 0;

	*out = (struct kept_results){ 0 };
	if (!str_starts(file, head))
		return false;
	while (w.in.n > 0) {
		struct outcome o = { 0 };

		if (!walk_result(&w, &o))
			return false;
		ARENA_GROW(a, out->outcomes, out->n, capacity);
		out->outcomes[out->n++] = o;
	}
	return true;
}
