/* transaction.c - the life of a transaction; its envelope; its text as it streams in. */
#include "transaction.h"

#include "session.h"

#include "posthouse/clock.h"
#include "posthouse/ipc.h"

#include <assert.h>
#include <stdlib.h>

#define SWEEP_MS    250
#define ORPHANS_MAX 256

static void on_spool_room(void *ctx);
static void on_spool_synced(void *ctx, struct verdict v);

static const struct spool_ops spool_ops = { on_spool_room, on_spool_synced };

static const char *const state_names[TX_STATES] = { "envelope", "header", "body",      "refused", "signing",
						    "syncing",  "credit", "submitted", "away" };

void transaction_enter(struct transaction *tx, enum transaction_state state)
{
#define FROM(name) (1u << TX_##name)
	static const unsigned legal[TX_STATES] = {
		[TX_HEADER] = FROM(ENVELOPE),
		[TX_BODY] = FROM(HEADER),
		[TX_REFUSED] = FROM(HEADER) | FROM(BODY),
		[TX_SIGNING] = FROM(BODY),
		[TX_SYNCING] = FROM(BODY) | FROM(SIGNING),
		[TX_CREDIT] = FROM(BODY) | FROM(SIGNING) | FROM(SYNCING) | FROM(AWAY) | FROM(CREDIT),
		[TX_SUBMITTED] = FROM(BODY) | FROM(SIGNING) | FROM(SYNCING) | FROM(CREDIT) | FROM(AWAY),
		[TX_AWAY] = FROM(BODY) | FROM(SIGNING) | FROM(SYNCING) | FROM(CREDIT) | FROM(SUBMITTED) | FROM(AWAY),
	};
#undef FROM

	assert((legal[state] & 1u << tx->state) != 0);
	log_debug(&tx->log, "transaction.entered", kv("state", state_names[state]));
	tx->state = state;
}

struct transaction *transaction_new(struct session *session, struct str sender, const struct smtp_mail_params *params)
{
	struct transaction *tx = NEW(struct transaction);
	struct submission *sub = session->sub;

	tx->sub = sub;
	tx->session = session;
	tx->id = id_next(&sub->ids, clock_now_ms());
	tx->token = random_u64();
	tx->announced = params->has_size ? params->size : 0;
	tx->number = ++sub->next_transaction;
	tx->log = (struct log){ .session = session->log.session, .message = tx->id };
	tx->login = arena_str(&tx->arena, session->login);
	tx->device = arena_str(&tx->arena, session->device);
	tx->origin = arena_str(&tx->arena, session->origin);
	tx->sender = arena_str(&tx->arena, sender);
	tx->envid = arena_str(&tx->arena, params->envid);
	tx->ret = params->ret;
	list_append(&sub->transactions, &tx->link);
	list_init(&tx->waiting);
	header_collector_init(&tx->header);
	buf_init(&tx->text, INLINE_MAX);
	return tx;
}

static void transaction_free(struct transaction *tx, bool drop_spool)
{
	struct submission *sub = tx->sub;

	if (tx->orphan)
		sub->orphans--;
	ipc_cancel(NULL, tx->call);
	channel_stop_waiting(&tx->credit);
	if (tx->spool != NULL)
		spool_close(tx->spool, drop_spool);
	header_collector_fini(&tx->header);
	dkim_free(tx->dkim);
	buf_fini(&tx->text);
	free(tx->recipients);
	arena_fini(&tx->arena);
	list_remove(&tx->waiting);
	list_remove(&tx->link);
	free(tx);
	submission_check_stopped(sub);
}

void transaction_leave(struct transaction *tx)
{
	struct submission *sub = tx->sub;

	tx->session = NULL;
	if (tx->state <= TX_REFUSED) {
		transaction_free(tx, true);
		return;
	}
	/* It goes on without its client, as long as those are few: nobody would bound what clients that do not wait leave behind. */
	if (sub->orphans >= ORPHANS_MAX && tx->state < TX_SUBMITTED) {
		log_warning(&tx->log, "transaction.dropped", kv("orphans", sub->orphans));
		transaction_free(tx, true);
		return;
	}
	tx->orphan = true;
	sub->orphans++;
}

static void on_sweep(uv_timer_t *timer)
{
	struct submission *sub = timer->data;
	uint64_t now = clock_mono_ms();

	LIST_EACH (i, &sub->waiting) {
		struct transaction *tx = CONTAINER_OF(i, struct transaction, waiting);

		if (tx->deadline_at <= now)
			transaction_on_deadline(tx);
	}
	if (list_empty(&sub->waiting))
		uv_timer_stop(timer);
}

void transaction_set_deadline(struct transaction *tx, uint64_t ms)
{
	struct submission *sub = tx->sub;

	list_remove(&tx->waiting);
	if (ms == 0)
		return;
	tx->deadline_at = clock_mono_ms() + ms;
	if (list_empty(&sub->waiting))
		uv_timer_start(&sub->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
	list_append(&sub->waiting, &tx->waiting);
}

void transaction_recipient(struct transaction *tx, struct str address, const struct smtp_rcpt_params *params)
{
	if (tx->recipients_n == tx->recipients_capacity) {
		tx->recipients_capacity = tx->recipients_capacity > 0 ? 2 * tx->recipients_capacity : 4;
		tx->recipients = xrealloc(tx->recipients, tx->recipients_capacity * sizeof(*tx->recipients));
	}
	tx->recipients[tx->recipients_n] = (struct rec_recipient){
		.n = tx->recipients_n,
		.address = arena_str(&tx->arena, address),
		.orcpt = arena_str(&tx->arena, params->orcpt),
		.notify = params->notify,
	};
	tx->recipients_n++;
}

/* ---- text ---- */
void transaction_begin_text(struct transaction *tx)
{
	transaction_enter(tx, TX_HEADER);
}

/* The message will not be: keep the reason for the end of the text, and nothing else. */
static void refuse(struct transaction *tx, struct verdict v)
{
	tx->refusal = verdict_keep(&tx->arena, v);
	transaction_enter(tx, TX_REFUSED);
	header_collector_fini(&tx->header);
	header_collector_init(&tx->header);
	buf_release(&tx->text);
	if (tx->spool != NULL)
		spool_close(tx->spool, true);
	tx->spool = NULL;
}

/* Is there a byte above 127? */
static bool has_8bit(struct str s)
{
	uint64_t word;
	size_t i = 0;

	for (; i + sizeof(word) <= s.n; i += sizeof(word)) {
		memcpy(&word, s.p + i, sizeof(word));
		if ((word & 0x8080808080808080u) != 0)
			return true;
	}
	for (; i < s.n; i++)
		if ((unsigned char)s.p[i] > 0x7f)
			return true;
	return false;
}

/* Append to the text as it will be stored: in memory as long as a datagram holds it, then in a file. */
static void store(struct transaction *tx, struct str bytes)
{
	tx->size += bytes.n;
	if (tx->spool == NULL && buf_add(&tx->text, bytes))
		return;
	if (tx->spool == NULL) {
		tx->spool = spool_new(tx->sub, tx->number, tx->id, tx->announced > tx->size ? tx->announced : tx->size,
				      &spool_ops, tx);
		spool_write(tx->spool, buf_view(&tx->text));
		buf_release(&tx->text);
	}
	spool_write(tx->spool, bytes);
}

static void add_body(struct transaction *tx, struct str bytes)
{
	if (bytes.n == 0)
		return;
	if (tx->dkim != NULL)
		dkim_body(tx->dkim, bytes);
	tx->has_8bit = tx->has_8bit || has_8bit(bytes);
	store(tx, bytes);
}

/* The header section is whole: correct it, and begin the text with it. */
static void begin_body(struct transaction *tx)
{
	struct verdict v = transaction_fix_header(tx);

	if (v.class != OK) {
		refuse(tx, v);
		return;
	}
	header_collector_fini(&tx->header);
	header_collector_init(&tx->header);
	transaction_enter(tx, TX_BODY);
	tx->header_size = tx->fixed.section.n;
	tx->has_8bit = tx->fixed.has_8bit;
	store(tx, tx->fixed.section);
	store(tx, S("\r\n"));
}

void transaction_text(struct transaction *tx, struct str bytes)
{
	struct verdict v;

	if (tx->state == TX_HEADER) {
		v = header_collector_feed(&tx->header, bytes, &bytes);
		if (v.class != OK)
			refuse(tx, v);
		else if (tx->header.complete)
			begin_body(tx);
	}
	if (tx->state == TX_BODY)
		add_body(tx, bytes);
}

bool transaction_full(const struct transaction *tx)
{
	return tx->spool != NULL && spool_full(tx->spool);
}

static void on_spool_room(void *ctx)
{
	struct transaction *tx = ctx;

	if (tx->session != NULL && tx->state <= TX_REFUSED)
		session_room(tx->session);
}

/* The file is on the disk, or it cannot be written, of which we hear at any time. */
static void on_spool_synced(void *ctx, struct verdict v)
{
	struct transaction *tx = ctx;

	if (v.class != OK && tx->state <= TX_REFUSED) {
		refuse(tx, v);
		session_room(tx->session); /* before the end of the text there is one: transaction_leave() */
		return;
	}
	if (v.class != OK && tx->state == TX_SIGNING) {
		transaction_answer(tx, v);
		return;
	}
	assert(tx->state == TX_SYNCING);
	if (v.class != OK)
		transaction_answer(tx, v);
	else
		transaction_submit(tx);
}

void transaction_end(struct transaction *tx)
{
	if (tx->state == TX_HEADER) /* the message ended within its header section */
		begin_body(tx);
	if (tx->state == TX_REFUSED)
		transaction_answer(tx, tx->refusal);
	else
		transaction_sign(tx);
}

/* ---- the end ---- */
static void log_answer(const struct transaction *tx, struct verdict v)
{
	if (v.class == OK)
		log_info(&tx->log, "mail.accepted", kv("login", tx->login), kv("sender", tx->sender),
			 kv("recipients", tx->recipients_n), kv("size_bytes", tx->size),
			 kv("sign_domain", tx->keys_n > 0 ? tx->keys[0].domain : S("")));
	else
		log_warning(&tx->log, "mail.refused", kv("login", tx->login), kv("sender", tx->sender), kv("code", v.code),
			    kv("enhanced", v.enhanced), kv("reason", v.text), kv("origin", tx->origin));
}

/* The fate is known: tell the client if there is one, and end. */
void transaction_answer(struct transaction *tx, struct verdict v)
{
	struct session *session = tx->session;
	char id[ID_TEXT_MAX];

	log_answer(tx, v);
	if (v.class == OK)
		v = ok_text(250, S("2.0.0"), arena_printf(&tx->arena, "Ok: queued as %s", id_format(tx->id, id)));
	tx->sub->accepted += v.class == OK;
	tx->sub->refused += v.class != OK;
	if (session != NULL)
		session_answer(session, v); /* takes what it wants of the words */
	transaction_free(tx, v.class != OK && tx->state != TX_SUBMITTED);
}
