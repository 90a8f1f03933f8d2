/* transaction_submit.c - from the end of the text to the answer of the queue: digests, disk, credit, submit; again if queue dies.
 *
 * In the order they happen: transaction_complete, (spool), transaction_submit, (credit), send_message, on_submitted. */
#include "transaction.h"

#include "posthouse/clock.h"
#include "posthouse/crash.h"
#include "posthouse/store.h"
#include "posthouse/utf8.h"

#define AWAY_MS         10000  /* how long a message waits for a new queue (HACKING.md, "Lives and deaths") */
#define ROOM_MS         120000 /* how long it waits for the disk, and for credit of a queue that is connected */
#define RECORD_OVERHEAD 64     /* more than a recipient takes in a page beside its texts */

static void on_credit(void *ctx);
static void on_submitted(void *ctx, struct verdict v, const struct msg_submitted *m, int fd);

/* ---- the text is complete ---- */

static struct str received_field(struct transaction *tx)
{
	struct str only = tx->recipients_n == 1 ? tx->recipients[0].address : S("");
	struct received_input in = { .hostname = role_config(tx->sub->role)->hostname,
				     .with = tx->with,
				     .id = tx->id,
				     .now_ms = clock_now_ms(),
				     .for_recipient = only,
				     .client = tx->show_client ? tx->client : S(""),
				     .local_user = tx->show_client ? tx->local_user : S(""),
				     .helo = tx->helo };

	return mail_received(&tx->arena, &in);
}

void transaction_complete(struct transaction *tx)
{
	tx->received = received_field(tx);
	if (tx->keys_n > 0)
		dkim_finish(tx->dkim, &tx->fixed.header, tx->keys, tx->keys_n, clock_now_ms(), tx->digests);
	if (tx->spool == NULL) {
		transaction_submit(tx);
		return;
	}
	transaction_enter(tx, TX_SYNCING);
	transaction_set_deadline(tx, ROOM_MS);
	spool_sync(tx->spool, tx->fixed.section);
}

/* ---- submitting ---- */

/* Queue is away, or has died without an answer: wait for the next one, for a limited time. */
static void queue_lost(struct transaction *tx)
{
	transaction_enter(tx, TX_AWAY);
	if (!tx->was_away)
		transaction_set_deadline(tx, AWAY_MS); /* counted from the first loss; a later loss does not prolong it */
	tx->was_away = true;
}

static bool send_recipients(struct transaction *tx, struct channel *queue)
{
	size_t from = 0, bytes = 0;

	for (size_t i = 0; i < tx->recipients_n; i++) {
		bytes += tx->recipients[i].address.n + tx->recipients[i].orcpt.n + RECORD_OVERHEAD;
		if (i + 1 < tx->recipients_n && bytes < IPC_PAGE_MAX - 4096)
			continue;
		struct msg_recipients m = { .transaction = tx->number };

		m.recipients.at = tx->recipients + from;
		m.recipients.n = i + 1 - from;
		if (!ipc_send_recipients(queue, &m, -1))
			return false;
		from = i + 1;
		bytes = 0;
	}
	return true;
}

/* What of the message is UTF-8 (RFC 6531), declared or not: some clients always declare it, others never. */
static uint64_t utf8_bits(const struct transaction *tx)
{
	uint64_t bits = tx->declared_utf8 ? 1 : 0;

	if (!str_is_ascii(tx->envelope.sender))
		bits |= 2;
	for (size_t i = 0; i < tx->recipients_n; i++)
		if (!str_is_ascii(tx->recipients[i].address))
			bits |= 2;
	if (tx->fixed.has_8bit && utf8_valid(tx->fixed.section))
		bits |= 4;
	return bits;
}

/* What the text needs, which can be less than what the client has declared. */
static enum smtp_body body_type(const struct transaction *tx)
{
	if (tx->is_binary || tx->after_cr)
		return BODY_BINARYMIME;
	return tx->has_8bit ? BODY_8BITMIME : BODY_7BIT;
}

/* What the client and the header ask of TLS, and what relay must know of the text. */
static uint64_t options(const struct transaction *tx)
{
	bool long_lines = tx->long_lines && body_type(tx) != BODY_BINARYMIME;

	return tx->envelope.options | (long_lines ? OPTION_LONG_LINES : 0);
}

/* RFC 2852: the time begins with the message; with one that is kept back (RFC 4865), when that is over. */
static uint64_t deliver_by(const struct transaction *tx)
{
	uint64_t from = tx->envelope.release_at > 0 ? tx->envelope.release_at : id_time_ms(tx->id);

	return tx->envelope.deliver_by_mode != BY_NONE ? from + tx->by_s * 1000 : 0;
}

static bool send_envelope(struct transaction *tx, struct channel *queue)
{
	struct msg_envelope m = { .session = tx->log.session,
				  .transaction = tx->number,
				  .id = tx->id,
				  .token = tx->token,
				  .origin = tx->origin,
				  .envelope = tx->envelope };

	m.envelope.body = body_type(tx);
	m.envelope.utf8 = utf8_bits(tx);
	m.envelope.options = options(tx);
	m.envelope.deliver_by = deliver_by(tx);
	return ipc_send_envelope(queue, &m, -1);
}

static void fill_authors(const struct str_list *from, struct rec_author *to)
{
	for (size_t i = 0; i < from->n; i++)
		to[i].address = from->at[i];
}

/* Queue decides about the authors once more, and has the digests signed. */
static void send_text(struct transaction *tx, struct channel *queue)
{
	struct rec_author from[AUTHORS_MAX], resenders[AUTHORS_MAX];
	struct rec_to_sign to_sign[DKIM_KEYS_MAX];
	struct msg_submit m = { .transaction = tx->number,
				.place = tx->spool != NULL ? PLACE_FILE : PLACE_ROW,
				.size = tx->size,
				.header_size = tx->fixed.section.n,
				.received = tx->received,
				.from = { from, tx->fixed.from.n },
				.resenders = { resenders, tx->resenders.n },
				.to_sign = { to_sign, tx->keys_n },
				.text = tx->spool != NULL ? S("") : buf_view(&tx->text) };

	fill_authors(&tx->fixed.from, from);
	fill_authors(&tx->resenders, resenders);
	for (size_t i = 0; i < tx->keys_n; i++)
		to_sign[i] = (struct rec_to_sign){ .selector = tx->keys[i].selector,
						   .algorithm = tx->keys[i].algorithm,
						   .digest = tx->digests[i],
						   .field = dkim_unsigned(tx->dkim, i) };
	tx->call = ipc_call_submit(queue, &m, -1, on_submitted, tx);
}

static void send_message(struct transaction *tx, struct channel *queue)
{
	if (!send_envelope(tx, queue) || !send_recipients(tx, queue)) {
		queue_lost(tx);
		return;
	}
	transaction_enter(tx, TX_SUBMITTED);
	if (!tx->was_away)
		transaction_set_deadline(tx, 0);
	crash_point("submission.before_submit");
	tx->offered = true;
	send_text(tx, queue);
}

void transaction_submit(struct transaction *tx)
{
	struct channel *queue = submission_queue(tx->sub);

	tx->queue_generation = tx->sub->queue_generation;
	if (queue == NULL) {
		queue_lost(tx);
		return;
	}
	if (channel_has_credit(queue)) {
		send_message(tx, queue);
		return;
	}
	transaction_enter(tx, TX_CREDIT);
	if (!tx->was_away)
		transaction_set_deadline(tx, ROOM_MS);
	tx->credit.on_credit = on_credit;
	tx->credit.ctx = tx;
	channel_wait_credit(queue, &tx->credit);
}

/* There is credit, or the channel has closed: try again in both cases. */
static void on_credit(void *ctx)
{
	transaction_submit(ctx);
}

/* The answer; NULL instead of it when queue died or was silent. */
static void on_submitted(void *ctx, struct verdict v, const struct msg_submitted *m, int fd)
{
	struct transaction *tx = ctx;

	tx->call = 0;
	if (m != NULL) {
		if (m->verdict.class == OK)
			crash_point("submission.after_submitted");
		transaction_answer(tx, m->verdict);
		return;
	}
	queue_lost(tx);
	if (tx->queue_generation != tx->sub->queue_generation) /* the new queue has connected before this callback */
		transaction_submit(tx);
}

static void present_session(struct transaction *tx)
{
	struct msg_present m = { .session = tx->log.session, .client = tx->client };

	if (tx->ticket.n > 0) {
		m.login = tx->envelope.login;
		m.device = tx->device;
		m.ticket = tx->ticket;
	}
	tx->known_to = tx->sub->queue_generation;
	ipc_send_present(submission_queue(tx->sub), &m, -1);
}

void transactions_on_queue_up(struct submission *sub)
{
	LIST_EACH_OF (struct transaction, tx, &sub->transactions, link) {
		if (tx->orphan)
			present_session(tx);
	}
	LIST_EACH_OF (struct transaction, tx, &sub->transactions, link) {
		if (tx->state == TX_AWAY)
			transaction_submit(tx);
	}
}
