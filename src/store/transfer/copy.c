#include "copy.h"

#include "posthouse/crash.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROWS_MAX = 2000, FIRST_OF_OTHERS = TABLE_transcript + 1 };

static const char *const large_texts = "large text";

struct store_moved *copy_moved(struct copy *c, enum table_number table)
{
	return &c->t->moved[table];
}

bool copy_fail(struct copy *c, const struct page *p, const char *what)
{
	const struct value *first = p->n > 0 ? page_row(p, 0) : NULL, *last = p->n > 0 ? page_row(p, p->n - 1) : NULL;
	struct str a = S(""), b = S("");

	if (first) {
		bool number = p->table->columns[0].type == 'i';

		a = number ? arena_printf(&c->page, "%llu", (unsigned long long)first->u64) : first->s;
		b = number ? arena_printf(&c->page, "%llu", (unsigned long long)last->u64) : last->s;
	}
	return side_fail(c->to, "%s, from %.*s to %.*s: %s", p->table->name, STR_ARG(a), STR_ARG(b), what);
}

bool copy_verify(struct copy *c, const struct page *p, const struct page *again)
{
	return page_sum(p) == page_sum(again) || copy_fail(c, p, "what was stored is not what was read");
}

/* ---- progress: the step, then the numbers; and the key, a line for each column ---- */

/* Everything that is counted, in a fixed order. */
static size_t counts_of(struct copy *c, uint64_t *counts[3 * STORE_MOVED_MAX + 3])
{
	size_t n = 0;

	for (size_t i = 0; i < c->t->moved_n; i++) {
		counts[n++] = &c->t->moved[i].read;
		counts[n++] = &c->t->moved[i].stored;
		counts[n++] = &c->t->moved[i].there;
	}
	counts[n++] = &c->t->renumbered;
	counts[n++] = &c->t->texts_missing;
	counts[n++] = &c->t->known_left_out;
	return n;
}

bool copy_save(struct copy *c)
{
	const struct table *t = c->progress.step < TABLE_COUNT ? table_of((enum table_number)c->progress.step) : NULL;
	struct str text = arena_printf(&c->page, "%llu", (unsigned long long)c->progress.step), after = S("");
	uint64_t *counts[3 * STORE_MOVED_MAX + 3];
	size_t n = counts_of(c, counts);

	for (size_t i = 0; i < n; i++)
		text = arena_printf(&c->page, "%.*s %llu", STR_ARG(text), (unsigned long long)*counts[i]);
	for (size_t i = 0; t && c->progress.has_after && i < t->keys_n; i++) {
		const struct value *v = &c->progress.after[i];

		after = t->columns[i].type == 'i'
				? arena_printf(&c->page, "%.*s%llu\n", STR_ARG(after), (unsigned long long)v->u64)
				: arena_printf(&c->page, "%.*s%.*s\n", STR_ARG(after), STR_ARG(v->s));
	}
	return c->to->ops->put_meta(c->to, c->key, text) && c->to->ops->put_meta(c->to, c->after_key, after);
}

/* False: it was not written by this program. */
static bool read_counts(struct copy *c, struct str text)
{
	uint64_t *counts[3 * STORE_MOVED_MAX + 3];
	size_t n = counts_of(c, counts);
	struct str part;
	bool good = str_split(&text, ' ', &part) && str_to_u64(part, &c->progress.step);

	for (size_t i = 0; i < n; i++)
		good = good && str_split(&text, ' ', &part) && str_to_u64(part, counts[i]);
	return good && c->progress.step <= TABLE_COUNT;
}

static bool read_after(struct copy *c, struct str after)
{
	const struct table *t = table_of((enum table_number)c->progress.step);
	struct str part;
	bool good = true;

	c->progress.has_after = true;
	for (size_t i = 0; i < t->keys_n; i++) {
		struct value *v = &c->progress.after[i];

		*v = (struct value){ 0 };
		good = good && str_split(&after, '\n', &part);
		if (good && t->columns[i].type == 'i')
			good = str_to_u64(part, &v->u64);
		else if (good)
			v->s = arena_str(c->t->arena, part);
	}
	return good;
}

/* Of a run that goes on: is the source as the first run has found it? That one notes it. */
static bool check_state(struct copy *c, struct str source, struct str state)
{
	struct arena *a = c->t->arena;
	const char *key = arena_cstr(a, arena_printf(a, "copied %.*s state", STR_ARG(source)));
	struct str before;

	if (!c->t->continued)
		return c->to->ops->put_meta(c->to, key, state);
	return c->to->ops->meta(c->to, key, a, &before) &&
	       (str_eq(before, state) ||
		side_fail(c->to,
			  "a relay has worked on the queue since it began to be copied here: its new mail would be left out, and "
			  "what it has delivered would be delivered again: copy into an empty database"));
}

bool copy_begin(struct copy *c, struct str source, struct str state)
{
	struct arena *a = c->t->arena;
	struct str text, after;

	c->t->moved_n = TABLE_COUNT + 1;
	for (size_t i = 0; i < TABLE_COUNT; i++)
		c->t->moved[i] = (struct store_moved){ .what = table_of((enum table_number)i)->name };
	c->t->moved[TABLE_COUNT] = (struct store_moved){ .what = large_texts };
	c->key = arena_cstr(a, arena_printf(a, "copied %.*s", STR_ARG(source)));
	c->after_key = arena_cstr(a, arena_printf(a, "copied %.*s after", STR_ARG(source)));
	if (!c->to->ops->meta(c->to, c->key, a, &text) || !c->to->ops->meta(c->to, c->after_key, a, &after))
		return false;
	c->t->continued = text.n > 0;
	if (text.n > 0 && (!read_counts(c, text) || (after.n > 0 && c->progress.step < TABLE_COUNT && !read_after(c, after))))
		return side_fail(c->to, "what it says of a copy that was begun cannot be read");
	return check_state(c, source, state);
}

bool copy_commit(struct copy *c, bool done)
{
	crash_point("transfer.before_commit");
	if (done && c->to->ops->commit(c->to)) {
		crash_point("transfer.after_commit");
		return true;
	}
	c->to->ops->rollback(c->to);
	return false;
}

/* ---- tables of their own ---- */

/* Leave out the rows that are there already. */
static struct page take_out(struct copy *c, struct page *p, const struct page *there)
{
	struct page old = page_of((enum table_number)(p->table - table_of(0)), &c->page);

	for (size_t i = p->n; i-- > 0 && there->n > 0;)
		if (page_find(there, page_row(p, i))) {
			struct value *row = page_add(&old);

			memcpy(row, page_row(p, i), p->table->columns_n * sizeof *row);
			page_remove(p, i);
		}
	return old;
}

static bool store_rows(struct copy *c, struct page *p, const struct page *old)
{
	struct side *to = c->to;
	struct page again = page_of((enum table_number)c->progress.step, &c->page);
	bool done = to->ops->begin(to) && (p->n == 0 || to->ops->insert(to, p)) && to->ops->merge(to, old) && copy_save(c) &&
		    (p->n == 0 || (to->ops->read_keys(to, p, &again) && copy_verify(c, p, &again)));

	return copy_commit(c, done);
}

static void remember_last(struct copy *c, const struct page *p)
{
	const struct value *last = page_row(p, p->n - 1);

	c->progress.has_after = true;
	for (size_t i = 0; i < p->table->keys_n; i++)
		c->progress.after[i] = (struct value){ .u64 = last[i].u64, .s = arena_str(c->t->arena, last[i].s) };
}

static bool copy_rows(struct copy *c, size_t *n_out)
{
	enum table_number table = (enum table_number)c->progress.step;
	struct page p = page_of(table, &c->page), there = p, old;
	struct store_moved *moved = copy_moved(c, table);

	*n_out = 0;
	if (!c->from->ops->read_after(c->from, c->progress.has_after ? c->progress.after : NULL, ROWS_MAX, &p))
		return false;
	*n_out = p.n;
	if (p.n == 0)
		return true;
	if (!c->to->ops->read_keys(c->to, &p, &there))
		return false;
	remember_last(c, &p);
	moved->read += p.n;
	old = take_out(c, &p, &there);
	moved->stored += p.n;
	moved->there += old.n;
	return store_rows(c, &p, &old);
}

/* ---- all ---- */

static bool next_step(struct copy *c)
{
	uint64_t step = c->progress.step == TABLE_message ? FIRST_OF_OTHERS : c->progress.step + 1;
	struct page none = page_of(TABLE_message, &c->page);

	c->progress = (struct progress){ .step = step };
	return store_rows(c, &none, &none);
}

bool copy_run(struct copy *c)
{
	bool done = true;

	while (done && c->progress.step < TABLE_COUNT) {
		size_t n = 0;

		if (c->progress.step == TABLE_message)
			done = copy_messages(c, &n);
		else if (c->progress.step != TABLE_known || c->same_keys)
			done = copy_rows(c, &n);
		if (done && n == 0)
			done = next_step(c);
		arena_reset(&c->page);
	}
	arena_fini(&c->page);
	return done;
}
