/* results.c - what the results of a batch must know. Two statements, which are waited for together, end the leases of all of
 * them, lock their recipients and their messages, in the order that all nodes use, and tell what these were. gather.c then
 * keeps what is written. What the transaction changes in another way is asked again. */
#include "postgresql.h"

#include <stdlib.h>

struct known_recipient {
	struct hashtable_item node; /* by message */
	uint64_t n, take_no;
	struct result was;
	bool used; /* its result is stored: another one is asked for as if nothing was known */
	bool changed;
};

struct known_message {
	struct hashtable_item node;
	struct open_message was;
	bool changed;
};

void results_forget(struct results *r)
{
	r->expected = NULL;
	r->n = r->capacity = 0;
	hashtable_clear(&r->recipients);
	hashtable_clear(&r->messages);
}

void results_fini(struct results *r)
{
	hashtable_fini(&r->recipients);
	hashtable_fini(&r->messages);
}

void results_expect(struct engine *e, const struct request *request)
{
	struct results *r = &postgresql_of(e)->results;

	if (postgresql_of(e)->gather.careful)
		return;
	ARENA_GROW(&e->host->arena, r->expected, r->n, r->capacity);
	r->expected[r->n++] = request;
}

static struct known_recipient *find(const struct results *r, uint64_t id, uint64_t n)
{
	HASHTABLE_FIND_OF (struct known_recipient, k, &r->recipients, id, node)
		if (k->n == n)
			return k;
	return NULL;
}

static struct known_message *find_message(const struct results *r, uint64_t id)
{
	struct hashtable_item *node = hashtable_find(&r->messages, id, NULL);

	return node ? CONTAINER_OF(node, struct known_message, node) : NULL;
}

/* ---- reading ---- */

struct wish {
	uint64_t id, n, take_no;
};

static int compare(const void *a, const void *b)
{
	const struct wish *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	if (x->n != y->n)
		return x->n < y->n ? -1 : 1;
	return x->take_no < y->take_no ? -1 : x->take_no > y->take_no;
}

/* The recipients, each with the take of its result, in the order of locks. */
static size_t list_wishes(struct engine *e, struct wish **wishes_out)
{
	const struct results *r = &postgresql_of(e)->results;
	size_t n = 0, capacity = 0;

	*wishes_out = NULL;
	for (size_t i = 0; i < r->n; i++)
		for (size_t k = 0; k < r->expected[i]->max; k++) {
			const struct outcome *o = &r->expected[i]->in.outcomes[k];

			if (o->take_no == 0)
				continue;
			ARENA_GROW(&e->host->arena, *wishes_out, n, capacity);
			(*wishes_out)[n++] = (struct wish){ o->id, o->n, o->take_no };
		}
	if (n > 1)
		qsort(*wishes_out, n, sizeof **wishes_out, compare);
	return n;
}

static void ask(struct engine *e, const struct wish *wishes, size_t n)
{
	struct array ids = { 0 }, numbers = { 0 }, takes = { 0 }, messages = { 0 };

	for (size_t i = 0; i < n; i++) {
		bool same = i > 0 && wishes[i].id == wishes[i - 1].id;

		if (!same)
			array_add_number(&messages, wishes[i].id);
		if (same && wishes[i].n == wishes[i - 1].n && wishes[i].take_no == wishes[i - 1].take_no)
			continue; /* two results of one take: the second is asked for when the first is stored */
		array_add_number(&ids, wishes[i].id);
		array_add_number(&numbers, wishes[i].n);
		array_add_number(&takes, wishes[i].take_no);
	}
	(void)db_ask(&e->db, Q_results_begin, array_value(&ids, 'i'), array_value(&numbers, 'i'), array_value(&takes, 'i'));
	(void)db_ask(&e->db, Q_messages_open, array_value(&messages, 'i'));
	array_fini(&ids);
	array_fini(&numbers);
	array_fini(&takes);
	array_fini(&messages);
}

static void read_all(struct engine *e)
{
	struct postgresql *p = postgresql_of(e);
	struct wish *wishes;
	size_t n = list_wishes(e, &wishes);
	struct db_rows *q;

	p->results.n = 0;
	if (n == 0)
		return;
	ask(e, wishes, n);
	q = db_asked(&e->db, Q_results_begin);
	while (db_row(&e->db, q)) {
		struct known_recipient *k = ARENA_NEW(&e->host->arena, struct known_recipient);

		*k = (struct known_recipient){ .n = db_u64(q, 1),
					       .take_no = db_u64(q, 2),
					       .was = { true, (unsigned)db_u64(q, 3), (unsigned)db_u64(q, 5), db_u64(q, 4) } };
		hashtable_add(&p->results.recipients, &k->node, db_u64(q, 0));
		taken_end(&p->taken, k->take_no);
	}
	q = db_asked(&e->db, Q_messages_open);
	while (db_row(&e->db, q)) {
		struct known_message *m = ARENA_NEW(&e->host->arena, struct known_message);

		*m = (struct known_message){ .was = { db_u64(q, 1), db_u64(q, 2), db_u64(q, 3) != 0 } };
		hashtable_add(&p->results.messages, &m->node, db_u64(q, 0));
	}
}

/* ---- for the operations ---- */

bool result_known(struct engine *e, const struct outcome *o, struct result *was_out)
{
	struct results *r = &postgresql_of(e)->results;
	struct known_recipient *k;

	if (r->n > 0)
		read_all(e);
	k = find(r, o->id, o->n);
	if (!k || k->used || k->take_no != o->take_no)
		return false;
	k->used = true;
	*was_out = k->was;
	if (k->changed)
		recipient_read(e, o->id, o->n, was_out);
	return true;
}

bool message_known(struct engine *e, uint64_t id, struct open_message *was_out)
{
	const struct known_message *m = find_message(&postgresql_of(e)->results, id);

	if (!m || m->changed)
		return false;
	*was_out = m->was;
	return true;
}

/* ---- for gather.c ---- */

bool results_has(const struct results *r, uint64_t id, uint64_t n)
{
	return find(r, id, n) != NULL;
}

bool results_close(struct results *r, uint64_t id, uint64_t n)
{
	struct known_message *m = find_message(r, id);

	if (!m || m->changed)
		return false;
	m->was.open = n < m->was.open ? m->was.open - n : 0;
	return true;
}

static void change_all(struct results *r)
{
	HASHTABLE_EACH_OF (struct known_recipient, k, &r->recipients, node)
		k->changed = true;
	HASHTABLE_EACH_OF (struct known_message, m, &r->messages, node)
		m->changed = true;
}

void results_changed(struct results *r, uint64_t id)
{
	struct known_message *m = find_message(r, id);

	if (id == 0) {
		change_all(r);
		return;
	}
	HASHTABLE_FIND_OF (struct known_recipient, k, &r->recipients, id, node)
		k->changed = true;
	if (m)
		m->changed = true;
}
