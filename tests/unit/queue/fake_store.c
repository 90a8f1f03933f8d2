/* fake_store.c - store.h in memory: operations run in order, on a later turn of the loop. */
#include "fake_op.h"
#include "harness.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct store *fake_store;
struct gate_state fake_gates[8];
size_t fake_gates_n;
bool fake_gates_unreadable;
bool fake_refuse_open, fake_set_back;
unsigned fake_open_without_room;

const struct verdict fake_refused = { .class = TEMP, .code = 452, .enhanced = { "4.3.1", 5 }, .text = { "full", 4 } };

struct fake_message *fake_find(uint64_t id)
{
	LIST_EACH (i, &fake_store->messages) {
		struct fake_message *m = CONTAINER_OF(i, struct fake_message, in_store);

		if (m->m.id == id)
			return m;
	}
	return NULL;
}

void fake_add_event(struct store *st, uint64_t id, uint64_t n, struct str name, struct str fields)
{
	st->events = arena_printf(&st->arena, "%.*s%llx %llu %.*s %.*s\n", STR_ARG(st->events), (unsigned long long)id,
				  (unsigned long long)n, STR_ARG(name), STR_ARG(fields));
}

bool fake_event(uint64_t id, const char *name, const char *part)
{
	struct str rest = fake_store->events, line;
	char start[32];

	snprintf(start, sizeof start, "%llx ", (unsigned long long)id);
	while (str_split(&rest, '\n', &line))
		if (str_starts(line, str_of(start)) && str_search(line, str_of(name)) < line.n &&
		    str_search(line, str_of(part)) < line.n)
			return true;
	return false;
}

/* ---- operations ---- */

static void on_turn(uv_timer_t *t)
{
	struct store *st = t->data;
	struct list now = st->ops;

	if (list_empty(&st->ops))
		return;
	now.next->prev = now.prev->next = &now; /* what is issued meanwhile waits for the next turn */
	list_init(&st->ops);
	while (!list_empty(&now)) {
		struct op *op = CONTAINER_OF(list_first(&now), struct op, in_ops);

		list_remove(&op->in_ops);
		op->run(st, op);
		free(op);
	}
}

struct op *fake_issue(struct store *st, void (*run)(struct store *, struct op *), void *ctx)
{
	struct op *op = NEW(struct op);

	assert(st && !st->closed);
	op->run = run;
	op->ctx = ctx;
	list_append(&st->ops, &op->in_ops);
	if (st->open)
		uv_timer_start(&st->turn, on_turn, 0, 0);
	return op;
}

static void on_open(uv_timer_t *t)
{
	struct store *st = t->data;

	if (fake_open_without_room > 0) {
		if (!st->told)
			st->opened(st->ctx, temp(452, S("4.3.1"), S("no room")));
		st->told = true;
		fake_open_without_room--;
		uv_timer_start(t, on_open, 20, 0);
		return;
	}
	st->open = !fake_refuse_open;
	st->opened(st->ctx, fake_refuse_open ? perm(0, S(""), S("state_dir is on a tmpfs")) : ok());
	if (st->open && !list_empty(&st->ops))
		uv_timer_start(t, on_turn, 0, 0);
}

struct store *store_open(uv_loop_t *loop, const struct store_options *options, store_opened_fn opened, void *ctx)
{
	struct store *st = NEW(struct store);

	st->loop = loop;
	st->opened = opened;
	st->ctx = ctx;
	uv_timer_init(loop, &st->turn);
	st->turn.data = st;
	list_init(&st->messages);
	list_init(&st->ops);
	memcpy(st->gates, fake_gates, sizeof fake_gates);
	st->gates_n = fake_gates_n;
	fake_store = st;
	uv_timer_start(&st->turn, on_open, 0, 0);
	return st;
}

void store_set_limits(struct store *st, uint64_t min_free, uint64_t max_messages)
{
}

static void on_handle_closed(uv_handle_t *h)
{
	struct store *st = h->data;

	LIST_EACH (i, &st->messages) {
		struct fake_message *m = CONTAINER_OF(i, struct fake_message, in_store);

		arena_fini(&m->arena);
		free(m);
	}
	arena_fini(&st->arena);
	free(st);
	fake_store = NULL;
}

static void run_close(struct store *st, struct op *op)
{
	assert(list_empty(&st->ops));
	op->call.done(op->ctx, ok());
	uv_close((uv_handle_t *)&st->turn, on_handle_closed);
}

void store_close(struct store *st, store_done_fn done, void *ctx)
{
	fake_issue(st, run_close, ctx)->call.done = done;
	uv_timer_start(&st->turn, on_turn, 0, 0); /* open or not */
	st->closed = true;
}

/* ---- accepting ---- */

struct verdict fake_insert(struct store *st, const struct accepted *from)
{
	struct fake_message *m = fake_find(from->id);
	struct arena *a;

	if (m)
		return m->m.token == from->token ? ok() : perm(550, S("5.3.0"), S("another message has this id"));
	m = NEW(struct fake_message);
	a = &m->arena;
	m->m = *from;
	envelope_keep(a, &m->m.envelope);
	m->m.device = arena_str(a, from->device);
	m->m.origin = arena_str(a, from->origin);
	m->m.prefix = arena_str(a, from->prefix);
	m->m.text = arena_str(a, from->text);
	m->recipients = ARENA_ARRAY(a, struct fake_recipient, from->recipients_n);
	for (size_t i = 0; i < from->recipients_n; i++)
		m->recipients[i] = (struct fake_recipient){
			.new = { arena_str(a, from->recipients[i].address), arena_str(a, from->recipients[i].orcpt),
				 from->recipients[i].notify },
			.state = from->held.n ? RCPT_HELD : RCPT_WAITING,
			.due_at = from->envelope.release_at > from->received_at ? from->envelope.release_at : from->received_at,
		};
	m->m.held = arena_str(a, from->held);
	fake_put_buckets(from->charges, from->charges_n);
	for (size_t i = 0; from->remember && i < from->recipients_n; i++)
		fake_remember(m->m.envelope.login, from->recipients[i].address);
	list_append(&st->messages, &m->in_store);
	fake_add_event(st, from->id, 0, S("mail.accepted"), from->event);
	return ok();
}

static void run_accept(struct store *st, struct op *op)
{
	struct verdict v = fake_refused;

	if (st->refuse_accepts > 0)
		st->refuse_accepts--;
	else
		v = fake_insert(st, op->accepted);
	st->accepts++;
	op->call.done(op->ctx, v);
}

void store_accept(struct store *st, const struct accepted *m, store_done_fn done, void *ctx)
{
	struct op *op = fake_issue(st, run_accept, ctx);

	op->call.done = done;
	op->accepted = m;
}

static void run_spool_create(struct store *st, struct op *op)
{
	st->spools_created++;
	op->call.fd(op->ctx, ok(), memfd_create("large", 0));
}

void store_spool_create(struct store *st, uint64_t id, uint64_t size_hint, store_fd_fn done, void *ctx)
{
	fake_issue(st, run_spool_create, ctx)->call.fd = done;
}

void store_spool_drop(struct store *st, uint64_t id)
{
	st->spools_dropped++;
}

/* ---- for the harness ---- */

void test_store_begin(struct config *c)
{
}

void test_store_end(bool forget)
{
	if (!forget)
		return;
	fake_gates_n = 0;
	fake_forget_buckets();
}

struct fake_recipient *recipient(uint64_t id, uint64_t n)
{
	struct fake_message *m = fake_find(id);

	assert_non_null(m);
	assert_true(n >= 1 && n <= m->m.recipients_n);
	return &m->recipients[n - 1];
}
