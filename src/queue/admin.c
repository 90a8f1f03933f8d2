/* admin.c - list, show and alter for the console. A page that would be too large for a datagram is asked for again with
 * fewer rows, so that the cursor is always the store's own. */
#include "admin.h"

#include "posthouse/clock.h"

#include <stdlib.h>

#define CALLS_MAX         64
#define PAGE_ROWS_MAX     200
#define TEXT_MAX          2000 /* bytes of one text in a row */
#define SUMMARY_MESSAGES  200  /* of one page of a summary */
#define SUMMARY_REPLY_MAX 100  /* with 251 rows, the most that there are, a page fits into a datagram */

void admin_init(struct queue *q, void (*idle)(void *queue))
{
	q->admin.idle = idle;
	list_init(&q->admin.calls);
}

void admin_peer_gone(struct queue *q, const struct channel *ch)
{
	LIST_EACH_OF (struct admin_call, c, &q->admin.calls, in_calls)
		if (c->channel == ch)
			c->channel = NULL;
}

/* What a message selects; the texts are copied. */
#define SELECTOR_OF(a, m)                                                                                                        \
	(struct selector)                                                                                                        \
	{                                                                                                                        \
		.id = (m)->id, .user = arena_str((a), (m)->user), .sender = arena_str((a), (m)->sender),                         \
		.recipient = arena_str((a), (m)->recipient), .destination = arena_str((a), (m)->destination),                    \
		.message_id = arena_str((a), (m)->message_id), .older_than_ms = (m)->older_than_ms,                              \
	}

struct admin_call *admin_begin(struct role *r, struct channel *ch, uint64_t call)
{
	struct queue *q = role_data(r);
	struct admin_call *c = NEW(struct admin_call);

	c->refusal = nodes_can_ask(q, &c->arena);
	if (c->refusal.class == OK && !queue_may_store(q))
		c->refusal = temp(451, S("4.3.0"), S("queue unavailable, try again"));
	if (q->admin.n >= CALLS_MAX)
		c->refusal = temp(451, S("4.3.2"), S("too many requests at once, try again"));
	c->queue = q;
	c->channel = ch;
	c->call = call;
	c->max = PAGE_ROWS_MAX;
	list_append(&q->admin.calls, &c->in_calls);
	q->admin.n++;
	return c;
}

void admin_end(struct admin_call *c)
{
	struct queue *q = c->queue;

	list_remove(&c->in_calls);
	q->admin.n--;
	arena_fini(&c->arena);
	free(c);
	q->admin.idle(q);
}

struct str admin_cut(struct str s)
{
	return str_head(s, TEXT_MAX);
}

bool admin_too_large(struct admin_call *c, size_t bytes, size_t n)
{
	if (bytes <= IPC_PAGE_MAX || n <= 1 || !queue_may_store(c->queue))
		return false;
	c->max = n / 2;
	return true;
}

/* ---- list ---- */

static void on_rows(void *ctx, struct verdict v, const struct message_row *rows, size_t n, uint64_t next_cursor)
{
	struct admin_call *c = ctx;
	struct msg_queue_rows answer = { .call = c->call, .verdict = v, .cursor = next_cursor };
	struct rec_queue_row *list = ARENA_ARRAY(&c->arena, struct rec_queue_row, n + 1);
	size_t bytes = 0;

	for (size_t i = 0; v.class == OK && i < n; i++) {
		const struct message_row *m = &rows[i];

		list[i] = (struct rec_queue_row){
			.id = m->id,
			.received_at = m->received_at,
			.size = m->size,
			.kind = m->kind,
			.login = admin_cut(m->envelope.login),
			.sender = admin_cut(m->envelope.sender),
			.recipient = admin_cut(m->recipient),
			.recipients = m->recipients,
			.open = m->open,
			.due_at = m->due_at,
			.release_at = m->envelope.release_at,
			.held = admin_cut(m->held),
			.reply = admin_cut(m->reply),
			.subject = admin_cut(m->envelope.subject),
			.message_id = admin_cut(m->envelope.message_id),
		};
		bytes += 128 + list[i].login.n + list[i].sender.n + list[i].recipient.n + list[i].held.n + list[i].reply.n +
			 list[i].subject.n + list[i].message_id.n;
	}
	if (admin_too_large(c, bytes, n)) {
		store_select(c->queue->store, &c->selector, c->cursor, c->max, on_rows, c);
		return;
	}
	answer.rows.at = list;
	answer.rows.n = v.class == OK ? n : 0;
	ipc_send_queue_rows(c->channel, &answer, -1);
	admin_end(c);
}

void handle_queue_page(void *ctx, struct channel *ch, const struct msg_queue_page *m, int fd)
{
	struct admin_call *c = admin_begin(ctx, ch, m->call);

	c->selector = SELECTOR_OF(&c->arena, m);
	c->cursor = m->cursor;
	if (m->max > 0 && m->max < PAGE_ROWS_MAX)
		c->max = (size_t)m->max;
	if (c->refusal.class == OK)
		store_select(c->queue->store, &c->selector, c->cursor, c->max, on_rows, c);
	else
		on_rows(c, c->refusal, NULL, 0, 0);
}

/* ---- alter ---- */

static void on_altered(void *ctx, struct verdict v, const struct altered *altered)
{
	static const char *const operations[] = {
		[ALTER_RETRY] = "retry",     [ALTER_REMOVE] = "remove", [ALTER_HOLD] = "hold",
		[ALTER_RELEASE] = "release", [ALTER_BOUNCE] = "bounce", [ALTER_REROUTE] = "reroute"
	};
	struct admin_call *c = ctx;
	struct queue *q = c->queue;
	struct msg_queue_altered answer = {
		.call = c->call,
		.verdict = v,
		.count = altered->count,
		.in_flight = altered->in_flight,
		.cursor = altered->next_cursor,
	};

	if (v.class == OK)
		log_info(NULL, "queue.altered", kv("operation", operations[c->operation]), kv("recipients", altered->count),
			 kv("in_flight", altered->in_flight), kv("reason", c->reason));
	if (v.class == OK && c->operation != ALTER_RETRY && c->operation != ALTER_RELEASE)
		leases_withdraw(&q->dispatch, altered->leased, altered->leased_n);
	if (v.class == OK && c->operation == ALTER_RETRY)
		nexthops_probe_now(&q->dispatch); /* an administrator has mended something */
	ipc_send_queue_altered(c->channel, &answer, -1);
	admin_end(c);
	scheduler_wake(&q->dispatch);
	dsns_wake(&q->reports);
}

/* A way that the configuration knows; "": by the routes again. */
static struct verdict check_via(const struct config *config, struct str via)
{
	if (via.n == 0 || str_eq(via, S("mx")) || config_upstream(config, via))
		return ok();
	return perm(550, S("5.3.5"), S("the configuration has no upstream of this name"));
}

void handle_queue_alter(void *ctx, struct channel *ch, const struct msg_queue_alter *m, int fd)
{
	struct admin_call *c = admin_begin(ctx, ch, m->call);

	if (m->operation < ALTER_RETRY || m->operation > ALTER_REROUTE)
		c->refusal = perm(501, S("5.5.4"), S("the queue does not know this operation"));
	c->selector = SELECTOR_OF(&c->arena, m);
	c->operation = (enum alter)m->operation;
	c->reason = arena_str(&c->arena, admin_cut(m->reason));
	c->via = arena_str(&c->arena, m->via);
	if (c->refusal.class == OK && c->operation == ALTER_REROUTE)
		c->refusal = check_via(role_config(ctx), c->via);
	if (c->refusal.class == OK && c->operation == ALTER_REROUTE)
		store_reroute(c->queue->store, &c->selector, c->via, c->reason, m->cursor, on_altered, c);
	else if (c->refusal.class == OK)
		store_alter(c->queue->store, &c->selector, c->operation, c->reason, m->cursor, on_altered, c);
	else
		on_altered(c, c->refusal, &(struct altered){ .count = 0 });
}

/* ---- summary ---- */

static void on_summary(void *ctx, struct verdict v, const struct summary_row *rows, size_t n, uint64_t next_cursor)
{
	struct admin_call *c = ctx;
	struct msg_queue_summed answer = { .call = c->call, .verdict = v, .cursor = next_cursor };
	struct rec_summary_row *list = ARENA_ARRAY(&c->arena, struct rec_summary_row, n + 1);

	for (size_t i = 0; v.class == OK && i < n; i++)
		list[i] = (struct rec_summary_row){
			.destination = admin_cut(rows[i].destination),
			.recipients = rows[i].recipients,
			.held = rows[i].held,
			.age0 = rows[i].ages[0],
			.age1 = rows[i].ages[1],
			.age2 = rows[i].ages[2],
			.age3 = rows[i].ages[3],
			.age4 = rows[i].ages[4],
			.age5 = rows[i].ages[5],
			.oldest_at = rows[i].oldest_at,
			.reply = str_head(rows[i].reply, SUMMARY_REPLY_MAX),
			.reply_at = rows[i].reply_at,
		};
	answer.rows.at = list;
	answer.rows.n = v.class == OK ? n : 0;
	ipc_send_queue_summed(c->channel, &answer, -1);
	admin_end(c);
}

void handle_queue_summary(void *ctx, struct channel *ch, const struct msg_queue_summary *m, int fd)
{
	struct admin_call *c = admin_begin(ctx, ch, m->call);

	if (c->refusal.class == OK)
		store_summary(c->queue->store, m->cursor, SUMMARY_MESSAGES, on_summary, c);
	else
		on_summary(c, c->refusal, NULL, 0, 0);
}

/* ---- show ---- */

/* Why a recipient that had no answer yet still waits: what only waits for its turn leaves no event. */
static struct str waiting_words(struct admin_call *c, const struct message_row *m, const struct recipient_row *r)
{
	struct arena *a = &c->arena;
	uint64_t now = clock_now_ms();
	struct route_choice w;

	if (m->envelope.release_at > now)
		return S("kept back: its sender asked for that");
	if (r->due_at > now + PROBE_WAIT_MS + 60000)
		return S("");
	w = route_choose(&c->queue->dispatch,
			 &(struct routed){ .envelope = &m->envelope,
					   .size = m->prefix.n + m->size,
					   .received_at = m->received_at,
					   .recipient = r->address,
					   .via = r->via },
			 now);
	if (w.nexthop)
		return S("");
	if (w.why.class != OK)
		return arena_str(a, w.why.text);
	if (w.reason.n > 0)
		return arena_printf(a, "waits for %.*s, which is down: %.*s", STR_ARG(w.name), STR_ARG(admin_cut(w.reason)));
	return arena_printf(a, "waits for %.*s, whose limit is reached; the next one in %.*s", STR_ARG(w.name),
			    STR_ARG(format_wait(a, w.wait_until > now ? w.wait_until - now : 0)));
}

static void on_shown(void *ctx, struct verdict v, const struct message_row *m, const struct recipient_row *rows, size_t n,
		     uint64_t next_cursor)
{
	struct admin_call *c = ctx;
	struct msg_queue_shown answer = { .call = c->call, .verdict = v, .cursor = next_cursor };
	struct rec_recipient_row *list = ARENA_ARRAY(&c->arena, struct rec_recipient_row, n + 1);
	size_t bytes = 0;

	for (size_t i = 0; v.class == OK && i < n; i++) {
		struct verdict last = rows[i].verdict;

		last.text = admin_cut(last.text);
		if (rows[i].state == RCPT_WAITING && !rows[i].leased && rows[i].node == 0 && last.text.n == 0)
			last.text = waiting_words(c, m, &rows[i]);
		list[i] = (struct rec_recipient_row){
			.n = rows[i].n,
			.address = admin_cut(rows[i].address),
			.state = rows[i].state,
			.due_at = rows[i].due_at,
			.attempts = rows[i].attempts,
			.last_at = rows[i].last_at,
			.verdict = last,
			.remote = admin_cut(rows[i].remote),
			.route = admin_cut(rows[i].route),
			.via = admin_cut(rows[i].via),
			.node = rows[i].node,
		};
		bytes += 192 + list[i].address.n + last.text.n + last.enhanced.n + list[i].remote.n + list[i].route.n;
	}
	if (admin_too_large(c, bytes, n)) {
		store_show(c->queue->store, c->id, c->cursor, c->max, on_shown, c);
		return;
	}
	if (v.class == OK && m) {
		answer.kind = m->kind;
		answer.parent = m->parent;
		answer.received_at = m->received_at;
		answer.expires_at = m->expires_at;
		answer.finished_at = m->finished_at;
		answer.login = admin_cut(m->envelope.login);
		answer.device = admin_cut(m->device);
		answer.origin = admin_cut(m->origin);
		answer.sender = admin_cut(m->envelope.sender);
		answer.subject = admin_cut(m->envelope.subject);
		answer.message_id = admin_cut(m->envelope.message_id);
		answer.size = m->size;
		answer.body = m->envelope.body;
		answer.recipients = m->recipients;
		answer.open = m->open;
		answer.held = admin_cut(m->held);
		answer.release_at = m->envelope.release_at;
		answer.tls_wish = tls_wish_word(tls_wish_of(m->envelope.options, m->envelope.sender));
		answer.priority = m->envelope.priority;
		answer.prefix = str_head(m->prefix, 16 * 1024);
		answer.rows.at = list;
		answer.rows.n = n;
	}
	ipc_send_queue_shown(c->channel, &answer, -1);
	admin_end(c);
}

void handle_queue_show(void *ctx, struct channel *ch, const struct msg_queue_show *m, int fd)
{
	struct admin_call *c = admin_begin(ctx, ch, m->call);

	c->id = m->id;
	c->cursor = m->cursor;
	if (c->refusal.class == OK)
		store_show(c->queue->store, c->id, c->cursor, c->max, on_shown, c);
	else
		on_shown(c, c->refusal, NULL, NULL, 0, 0);
}
