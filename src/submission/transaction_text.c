/* transaction_text.c - the text of a transaction as it streams in: header section, body, memory or spool. */
#include "session.h"
#include "transaction.h"

#include "posthouse/clock.h"
#include "posthouse/ipc.h"
#include "posthouse/units.h"

#include <assert.h>

#define LINE_MAX_BYTES 1000 /* with CRLF */
#define HEADER_LOOK    (16 * 1024)
#define LOGIN_HELD_MAX (16 * MIB) /* a hundred ordinary sessions hold less */

static void on_spool_room(void *ctx);
static void on_spool_synced(void *ctx, struct verdict v);

static const struct spool_ops spool_ops = { on_spool_room, on_spool_synced };

void transaction_begin_text(struct transaction *tx)
{
	transaction_enter(tx, TX_HEADER);
}

/* The message is refused: keep the reason until the end of the text, and nothing else. */
static void refuse(struct transaction *tx, struct verdict v)
{
	tx->refusal = verdict_keep(&tx->arena, v);
	transaction_enter(tx, TX_REFUSED);
	header_collector_fini(&tx->header);
	buf_release(&tx->text);
	if (tx->spool != NULL)
		spool_close(tx->spool, true);
	tx->spool = NULL;
}

/* Header sections are held in memory whole: what all messages of one login hold here is bounded. It is counted as a large one
 * grows. */
static bool is_too_much(struct transaction *tx)
{
	size_t held = 0;

	if (tx->header.section.n < tx->header_looked + HEADER_LOOK)
		return false;
	tx->header_looked = tx->header.section.n;
	LIST_EACH_OF (const struct transaction, other, &tx->sub->transactions, link) {
		if (str_eq(other->envelope.login, tx->envelope.login))
			held += other->header.section.n + other->arena.used_bytes + other->text.n;
	}
	return held > LOGIN_HELD_MAX;
}

/* RFC 5321 4.5.3.1.6: is there a line that no server has to take? Looked at backwards, for most lines are short. *line_n is
 * kept from call to call: bytes since the last line's end. */
static bool has_long_line(struct str s, size_t *line_n)
{
	while (s.n > 0) {
		struct str window = str_head(s, LINE_MAX_BYTES - *line_n);
		const char *lf = memrchr(window.p, '\n', window.n);

		if (lf != NULL) {
			*line_n = 0;
			s = str_from(s, (size_t)(lf + 1 - s.p));
			continue;
		}
		*line_n += window.n;
		if (*line_n == LINE_MAX_BYTES) {
			*line_n = 0;
			return true;
		}
		s = str_from(s, window.n);
	}
	return false;
}

/* RFC 3030: is there what only BINARYMIME can have, a NUL, or a CR or LF by itself? *after_cr is kept from call to call. */
static bool has_binary(struct str s, bool *after_cr)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\0' || *after_cr != (s.p[i] == '\n'))
			return true;
		*after_cr = s.p[i] == '\r';
	}
	return false;
}

/* ---- the stages of a body ---- */

static void hash(struct transaction *tx, struct str bytes)
{
	if (tx->dkim != NULL)
		dkim_body(tx->dkim, bytes);
}

/* What a next hop must be able to take. */
static void look(struct transaction *tx, struct str bytes)
{
	tx->has_8bit = tx->has_8bit || !str_is_ascii(bytes);
	if (!tx->long_lines)
		tx->long_lines = has_long_line(bytes, &tx->line_n);
	if (tx->declared_body == BODY_BINARYMIME && !tx->is_binary)
		tx->is_binary = has_binary(bytes, &tx->after_cr);
}

/* Keep it as it will be stored: in memory as long as a datagram holds the text, then in a file; in both behind room for the
 * header section. */
static void keep(struct transaction *tx, struct str bytes)
{
	size_t header = tx->fixed.section.n;

	tx->size += bytes.n;
	if (tx->spool == NULL && tx->size <= INLINE_MAX && buf_add(&tx->text, bytes))
		return;
	if (tx->spool == NULL) {
		tx->spool = spool_new(tx->sub, tx->number, tx->id, header, tx->announced > tx->size ? tx->announced : tx->size,
				      &spool_ops, tx);
		spool_write(tx->spool, str_from(buf_view(&tx->text), header));
		buf_release(&tx->text);
	}
	spool_write(tx->spool, bytes);
}

/* Each piece goes through all of them, in this order. A stage that changes the body would be before the hash. The header
 * section goes through none: it is kept apart until the end of the text, where the digest of its fields is made (RFC 6376
 * section 3.7). */
static void (*const stages[])(struct transaction *tx, struct str bytes) = { hash, look, keep };

static void add_body(struct transaction *tx, struct str bytes)
{
	for (size_t i = 0; bytes.n > 0 && i < sizeof stages / sizeof stages[0]; i++)
		stages[i](tx, bytes);
}

/* The header section has ended: correct it, and begin the body. */
static void end_header(struct transaction *tx, struct verdict v)
{
	if (v.class == OK)
		v = transaction_fix_header(tx);
	if (v.class != OK) {
		refuse(tx, v);
		return;
	}
	transaction_enter(tx, TX_BODY);
	tx->size = tx->fixed.section.n;
	tx->has_8bit = tx->fixed.has_8bit;
	if (buf_reserve(&tx->text, tx->fixed.section.n) != NULL)
		buf_claim(&tx->text, tx->fixed.section.n); /* filled by transaction_end() */
	keep(tx, S("\r\n"));
	add_body(tx, tx->header.begun);
	header_collector_fini(&tx->header);
}

void transaction_text(struct transaction *tx, struct str bytes)
{
	struct verdict v;

	if (tx->state == TX_HEADER) {
		v = header_collector_feed(&tx->header, bytes, &bytes);
		if (v.class == OK && is_too_much(tx))
			v = temp(452, S("4.3.1"), S("too many large header sections of this login at once, try again later"));
		if (v.class != OK || tx->header.complete)
			end_header(tx, v);
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
		tx->sub->ops->room(tx->session);
}

/* The file is on the disk; or it cannot be written, which can be told at any time. */
static void on_spool_synced(void *ctx, struct verdict v)
{
	struct transaction *tx = ctx;

	if (v.class != OK && tx->state <= TX_REFUSED) {
		refuse(tx, v);
		tx->sub->ops->room(tx->session); /* before the end of the text there is one: transaction_leave() */
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
	tx->ended_mono = clock_mono_ms();
	if (tx->state == TX_HEADER) /* the message ended within its header section */
		end_header(tx, header_collector_end(&tx->header));
	if (tx->state == TX_REFUSED) {
		transaction_answer(tx, tx->refusal);
		return;
	}
	if (tx->spool == NULL) /* a file gets its header section before it is synced */
		memcpy(tx->text.p + tx->text.from, tx->fixed.section.p, tx->fixed.section.n);
	transaction_complete(tx);
}
