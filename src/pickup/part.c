/* part.c - the parts of a file that has more recipients than the relay takes at once. The name of the file in `taken` says which
 * recipients the message of its id has: each part has an id, which is on the disk before the part is handed over, so that a part
 * that was stored is recognised as a whole file is. */
#include "pickup.h"

#include "posthouse/clock.h"

#include <stdio.h>

void part_cut(struct reading *r, const struct taken *t)
{
	struct local_message *m = &r->message;
	size_t from = t->from < m->recipients_n ? (size_t)t->from : m->recipients_n;
	size_t rest = m->recipients_n - from;

	if (from > 0) /* a file that cannot be read has none */
		m->recipients += from;
	m->recipients_n = t->count > 0 && t->count < rest ? (size_t)t->count : rest;
	r->after = rest - m->recipients_n;
}

static bool rename_to(struct file *f, const struct taken *t)
{
	const char *path = taken_path(&f->reading.arena, f->pickup->path, t);

	if (rename(f->path, path) != 0)
		return false;
	f->t = *t;
	f->path = path;
	f->renamed = true;
	return true;
}

bool part_shrink(struct file *f)
{
	const struct local_message *m = &f->reading.message;
	struct taken t = f->t;

	if (f->verdict.class != TEMP || !str_eq(f->verdict.enhanced, S("4.5.3")))
		return false;
	t.count = 0;
	while (t.count < m->recipients_n && m->recipients[t.count].verdict.class != TEMP)
		t.count++;
	return t.count > 0 && t.count < m->recipients_n && rename_to(f, &t);
}

bool part_next(struct file *f)
{
	struct taken t = f->t;

	t.id = id_next(&f->pickup->part_ids, clock_now_ms());
	t.token = random_u64();
	t.from += f->reading.message.recipients_n;
	return rename_to(f, &t);
}
