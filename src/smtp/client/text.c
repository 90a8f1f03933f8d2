/* text.c - the text of a message: behind DATA, with dots stuffed, or in chunks by BDAT (RFC 3030).
 *
 * Chunks go out as they fill, several at once when the server can pipeline. The last one waits until all others have been
 * taken: a message of which a part was refused is never completed. */
#include "client.h"
#include "posthouse/smtp_server.h"

#include <assert.h>

/* A line that begins with a dot gets one more (RFC 5321 4.5.2); the text between such places goes out in one piece. */
static void write_stuffed(struct smtp_client *c, struct str bytes)
{
	struct client_transaction *tx = &c->tx;
	bool fits = true;
	size_t at;

	if (bytes.p[0] == '.' && !tx->in_line)
		fits = buf_add_char(&c->output, '.');
	while ((at = str_search(bytes, S("\n."))) < bytes.n) {
		fits = fits && buf_add(&c->output, str_head(bytes, at + 2)) && buf_add_char(&c->output, '.');
		bytes = str_from(bytes, at + 2);
		tx->in_line = true;
	}
	fits = fits && buf_add(&c->output, bytes);
	assert(fits);
}

/* ---- chunks ---- */

static bool window_is_full(const struct smtp_client *c)
{
	size_t window = (client_features(c) & PEER_PIPELINING) ? PIPELINE_MAX : 1;

	return c->tx.chunks_sent - c->tx.chunks_answered >= window;
}

static void write_chunk(struct smtp_client *c, size_t n, const char *last)
{
	client_write(c, "BDAT %zu%s", n, last);
	if (!buf_add(&c->output, str_head(buf_view(&c->chunk), n)))
		assert(!"the user drains what we write");
	buf_consume(&c->chunk, n);
	c->tx.chunks_sent++;
}

/* Write the chunks that can be sent now. */
static void write_chunks(struct smtp_client *c)
{
	struct client_transaction *tx = &c->tx;

	if (!tx->ended) {
		if (c->chunk.n >= CHUNK_MIN && !window_is_full(c))
			write_chunk(c, c->chunk.n, "");
	} else if (tx->chunks_answered == tx->chunks_sent) {
		client_enter(c, STAGE_END);
		write_chunk(c, c->chunk.n, " LAST");
		buf_release(&c->chunk); /* no memory of it while the connection is idle */
	}
}

bool client_lacks_chunks(struct smtp_client *c)
{
	unsigned code = c->reply.code;
	struct str text;

	if (c->tx.chunks_answered > 0 || code < 500 || code > 504)
		return false;
	text = arena_printf(&c->tx.arena, "the server offers CHUNKING, and answers %u to BDAT: %.*s", code,
			    STR_ARG(buf_view(&c->reply.text)));
	c->broken = true; /* it can take the text for commands */
	c->tx.suspect = PEER_CHUNKING;
	client_end(c, temp(451, S("4.5.0"), text), FAULT_PEER);
	return true;
}

/* The answer to a chunk that is not the last. After a refusal no other can follow (RFC 3030 2), and the user can be about to
 * write: the session ends. */
void client_on_chunk(struct smtp_client *c)
{
	struct client_transaction *tx = &c->tx;
	bool unasked = tx->chunks_answered == tx->chunks_sent;

	if (c->reply.code >= 400) {
		if (unasked || !client_lacks_chunks(c))
			client_on_early_reply(c);
	} else if (unasked) {
		client_out_of_order(c);
	} else {
		tx->chunks_answered++;
		if (tx->ended) /* else the user is asked for more first */
			write_chunks(c);
	}
}

/* ---- both ---- */

bool smtp_client_takes_text(const struct smtp_client *c)
{
	return c->stage != STAGE_CHUNKS || c->chunk.n < CHUNK_MIN || !window_is_full(c);
}

void smtp_client_text(struct smtp_client *c, struct str bytes)
{
	struct client_transaction *tx = &c->tx;

	if ((c->stage != STAGE_TEXT && c->stage != STAGE_CHUNKS) || tx->ended || bytes.n == 0)
		return;
	tx->text_bytes += bytes.n;
	if (c->stage == STAGE_TEXT) {
		write_stuffed(c, bytes);
	} else {
		write_chunks(c); /* the bytes from before: the new ones stay, so the last chunk is never empty */
		if (!buf_add(&c->chunk, bytes))
			assert(!"the user waits when text is not taken");
	}
	tx->in_line = bytes.p[bytes.n - 1] != '\n';
}

bool smtp_client_nears_end(struct smtp_client *c)
{
	struct client_transaction *tx = &c->tx;

	if (c->stage != STAGE_CHUNKS)
		return c->stage == STAGE_TEXT;
	if (tx->ended || tx->chunks_answered < tx->chunks_sent)
		return false;
	if (c->chunk.n <= LAST_CHUNK_MAX)
		return true;
	write_chunk(c, c->chunk.n - LAST_CHUNK_MAX, "");
	return false;
}

static void end_chunks(struct smtp_client *c)
{
	if (c->tx.ended)
		return;
	if (c->tx.in_line && c->tx.what.body != BODY_BINARYMIME && !buf_add(&c->chunk, S("\r\n")))
		assert(!"the user waits when text is not taken");
	c->tx.ended = true;
	write_chunks(c);
}

void smtp_client_text_end(struct smtp_client *c)
{
	if (c->stage == STAGE_CHUNKS) {
		end_chunks(c);
		return;
	}
	if (c->stage != STAGE_TEXT)
		return;
	transcript_add(&c->transcript, true, "C",
		       arena_printf(&c->tx.arena, "(text, %llu bytes)", (unsigned long long)c->tx.text_bytes));
	if (c->tx.in_line)
		buf_add(&c->output, S("\r\n"));
	client_enter(c, STAGE_END);
	client_write(c, ".");
}

/* A reply before the end of the text: the server wants no more of it. Only closing tells the server where the text ends. */
void client_on_early_reply(struct smtp_client *c)
{
	c->broken = true;
	client_end_by_reply(c, FAULT_PEER);
}
