/* incident_sent.c - what a login has sent lately, from queue and history: to how many, from where, with which subjects, and what
 * became of it. */
#include "incident.h"

#include "posthouse/hashtable.h"
#include "posthouse/store.h"
#include "posthouse/units.h"

#include <stdlib.h>

#define PAGE      200
#define BEFORE_MS (30 * DAY_MS) /* whom a login wrote to before: history is seldom kept for longer */

struct named {
	struct hashtable_item node;
	const char *name;
	size_t at; /* of its group */
};

struct table {
	struct hashtable by_name;
	struct sent_groups groups;
	size_t capacity;
};

struct reading {
	struct arena *arena;
	uint64_t since;
	struct sent sent;
	struct table clients, subjects, addresses;
	struct hashtable messages, before; /* items by id; struct named: addresses of earlier mail */
};

/* ---- tables ---- */

static struct named *named_find(const struct hashtable *t, struct str name)
{
	return HASHTABLE_NAMED(t, name, struct named, node, name);
}

static struct named *named_add(struct reading *r, struct hashtable *t, struct str name)
{
	struct named *n = ARENA_NEW(r->arena, struct named);

	n->name = arena_cstr(r->arena, name);
	hashtable_add(t, &n->node, hash_text(name));
	return n;
}

/* The group of this name; *new_out: it is new. */
static struct sent_group *group(struct reading *r, struct table *t, struct str name)
{
	struct named *n = named_find(&t->by_name, name);

	if (n)
		return &t->groups.at[n->at];
	n = named_add(r, &t->by_name, name);
	ARENA_GROW(r->arena, t->groups.at, t->groups.n, t->capacity);
	n->at = t->groups.n;
	t->groups.at[t->groups.n] = (struct sent_group){ .name = str_of(n->name) };
	return &t->groups.at[t->groups.n++];
}

static bool is_new_message(struct reading *r, uint64_t id)
{
	struct hashtable_item *item;

	if (hashtable_find(&r->messages, id, NULL))
		return false;
	item = ARENA_NEW(r->arena, struct hashtable_item);
	hashtable_add(&r->messages, item, id);
	return true;
}

/* ---- rows ---- */

/* "client=192.0.2.7 tls=..." */
static struct str client_of(struct str origin)
{
	struct str word;

	while (str_split(&origin, ' ', &word))
		if (str_starts(word, S("client=")))
			return str_from(word, strlen("client="));
	return S("unknown");
}

static void count_state(struct sent *sent, uint64_t state)
{
	sent->delivered += state == RCPT_DELIVERED || state == RCPT_RELAYED;
	sent->refused += state == RCPT_FAILED || state == RCPT_BOUNCED || state == RCPT_DISCARDED;
	sent->waiting += state == RCPT_WAITING || state == RCPT_HELD;
	sent->removed += state == RCPT_REMOVED;
}

static void count_message(struct reading *r, const struct rec_found_row *row)
{
	struct sent_group *client = group(r, &r->clients, client_of(row->origin));

	r->sent.messages++;
	client->messages++;
	if (client->since == 0 || row->received_at < client->since) {
		client->since = row->received_at;
		client->device = arena_str(r->arena, row->device);
	}
	group(r, &r->subjects, row->subject)->messages++;
}

static void take(struct reading *r, const struct rec_found_row *row)
{
	struct str address = arena_lower(r->arena, row->recipient);

	if (row->kind != KIND_MAIL)
		return;
	if (row->received_at < r->since) {
		if (!named_find(&r->before, address))
			(void)named_add(r, &r->before, address);
		return;
	}
	if (is_new_message(r, row->id))
		count_message(r, row);
	r->sent.recipients++;
	count_state(&r->sent, row->state);
	group(r, &r->addresses, address)->messages++;
}

static int compare(const void *one, const void *other)
{
	const struct sent_group *a = one, *b = other;

	if (a->messages != b->messages)
		return a->messages < b->messages ? 1 : -1;
	return str_cmp(a->name, b->name);
}

static struct sent_groups sorted(struct table *t)
{
	if (t->groups.n > 1)
		qsort(t->groups.at, t->groups.n, sizeof t->groups.at[0], compare);
	hashtable_fini(&t->by_name);
	return t->groups;
}

struct sent sent_read(struct session *s, struct arena *a, struct str login, uint64_t since)
{
	struct msg_find ask = { .user = login, .since = since > BEFORE_MS ? since - BEFORE_MS : 1, .max = PAGE };
	struct reading r = { .arena = a, .since = since };

	do {
		const struct msg_found *m = &session_ask(s, MSG_find, &ask, MSG_found)->found;

		for (size_t i = 0; i < m->rows.n; i++)
			take(&r, &m->rows.at[i]);
		ask.phase = m->phase;
		ask.at = m->at;
		ask.position = m->position;
		ask.n = m->n;
		arena_reset(&s->arena);
	} while (ask.phase);
	r.sent.distinct = r.addresses.groups.n;
	for (size_t i = 0; i < r.addresses.groups.n; i++)
		r.sent.new_ones += !named_find(&r.before, r.addresses.groups.at[i].name);
	hashtable_fini(&r.addresses.by_name);
	hashtable_fini(&r.messages);
	hashtable_fini(&r.before);
	r.sent.clients = sorted(&r.clients);
	r.sent.subjects = sorted(&r.subjects);
	return r.sent;
}
