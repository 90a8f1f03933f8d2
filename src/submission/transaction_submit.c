/* transaction_submit.c - from the end of the text to the answer of the queue: signatures, disk, credit, submit; again if
 * queue dies.
 *
 * In the order they happen: transaction_sign, on_signed, end_of_signing, (spool), transaction_submit, (credit), send_message,
 * on_submitted. */
#include "transaction.h"

#include "posthouse/clock.h"
#include "posthouse/crash.h"
#include "posthouse/store.h"
#include "posthouse/utf8.h"

#define AWAY_MS         10000  /* how long a message waits for a new queue (HACKING.md, "Lives and deaths") */
#define ROOM_MS         120000 /* how long it waits for the disk, and for credit of a queue that is connected */
#define RECORD_OVERHEAD 64     /* more than a recipient takes in a page beside its texts */

static void on_signed(void *ctx, struct verdict v, const struct msg_signatures *m, int fd);
static void on_credit(void *ctx);
static void on_submitted(void *ctx, struct verdict v, const struct msg_submitted *m, int fd);

/* ---- signing ---- */

/* The text can be put on the disk while, or after, the signature is made. */
static void end_of_signing(struct transaction *tx)
{
	if (tx->spool == NULL) {
		transaction_submit(tx);
		return;
	}
	transaction_enter(tx, TX_SYNCING);
	transaction_set_deadline(tx, ROOM_MS);
	spool_sync(tx->spool, tx->fixed.section);
}

/* The Received field comes first on the wire, the signatures, which never cover it, below. */
static void make_prefix(struct transaction *tx, const struct str *signatures)
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
	struct str received = mail_received(&tx->arena, &in);

	tx->prefix = received;
	for (size_t i = 0; i < tx->keys_n; i++) {
		struct str field = dkim_field(&tx->arena, tx->dkim, i, signatures[i]);

		tx->prefix = arena_printf(&tx->arena, "%.*s%.*s", STR_ARG(tx->prefix), STR_ARG(field));
	}
}

/* A configured key cannot be used: the client keeps the message and tries again. The message never goes unsigned. */
static void signing_failed(struct transaction *tx, struct str reason)
{
	log_error(&tx->log, "mail.sign_failed", kv("domain", tx->keys[0].domain), kv("reason", reason));
	transaction_answer(tx, temp(451, S("4.7.5"), S("Signing is not possible at the moment, try again later")));
}

void transaction_sign(struct transaction *tx)
{
	struct str digests[DKIM_KEYS_MAX];
	struct rec_digest records[DKIM_KEYS_MAX];
	struct msg_sign m = { .message = tx->id, .domain = tx->keys_n > 0 ? tx->keys[0].domain : S("") };

	if (tx->keys_n == 0) {
		make_prefix(tx, NULL);
		end_of_signing(tx);
		return;
	}
	dkim_finish(tx->dkim, &tx->fixed.header, tx->keys, tx->keys_n, clock_now_ms(), digests);
	for (size_t i = 0; i < tx->keys_n; i++)
		records[i] = (struct rec_digest){ tx->keys[i].selector, tx->keys[i].algorithm, digests[i] };
	m.digests.at = records;
	m.digests.n = tx->keys_n;
	transaction_enter(tx, TX_SIGNING);
	tx->call = ipc_call_sign(role_peer(tx->sub->role, ROLE_VAULT, 0), &m, -1, on_signed, tx);
}

/* The signature for a key, empty when it is not among them. */
static struct str find_signature(const struct msg_signatures *m, const struct dkim_key *key)
{
	for (size_t i = 0; i < m->signatures.n; i++)
		if (str_eq(m->signatures.at[i].selector, key->selector) && m->signatures.at[i].algorithm == key->algorithm)
			return m->signatures.at[i].signature;
	return S("");
}

static void on_signed(void *ctx, struct verdict v, const struct msg_signatures *m, int fd)
{
	struct transaction *tx = ctx;
	struct str signatures[DKIM_KEYS_MAX];

	tx->call = 0;
	if (v.class == OK)
		v = m->verdict;
	if (v.class != OK) {
		signing_failed(tx, v.text);
		return;
	}
	for (size_t i = 0; i < tx->keys_n; i++) {
		signatures[i] = find_signature(m, &tx->keys[i]);
		if (signatures[i].n == 0) {
			signing_failed(tx, S("a signature is missing in the answer"));
			return;
		}
	}
	make_prefix(tx, signatures);
	end_of_signing(tx);
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

/* REQUIRETLS as the client asked for it, and what relay must know of the text. */
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

static void send_message(struct transaction *tx, struct channel *queue)
{
	struct msg_envelope m = { .transaction = tx->number,
				  .id = tx->id,
				  .token = tx->token,
				  .device = tx->device,
				  .origin = tx->origin,
				  .envelope = tx->envelope };
	struct msg_submit submit = { .transaction = tx->number,
				     .place = tx->spool != NULL ? PLACE_FILE : PLACE_ROW,
				     .size = tx->size,
				     .header_size = tx->fixed.section.n,
				     .prefix = tx->prefix,
				     .text = tx->spool != NULL ? S("") : buf_view(&tx->text) };

	m.envelope.body = body_type(tx);
	m.envelope.utf8 = utf8_bits(tx);
	m.envelope.options = options(tx);
	m.envelope.deliver_by = deliver_by(tx);
	m.envelope.sign_domain = tx->keys_n > 0 ? tx->keys[0].domain : S("");
	if (!ipc_send_envelope(queue, &m, -1) || !send_recipients(tx, queue)) {
		queue_lost(tx);
		return;
	}
	transaction_enter(tx, TX_SUBMITTED);
	if (!tx->was_away)
		transaction_set_deadline(tx, 0);
	crash_point("submission.before_submit");
	tx->offered = true;
	tx->call = ipc_call_submit(queue, &submit, -1, on_submitted, tx);
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

void transactions_on_queue_up(struct submission *sub)
{
	LIST_EACH_OF (struct transaction, tx, &sub->transactions, link) {
		if (tx->state == TX_AWAY)
			transaction_submit(tx);
	}
}
