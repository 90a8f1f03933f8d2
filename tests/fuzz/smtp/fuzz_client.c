/* fuzz_client.c - a server's bytes against the client machine. The first byte chooses its configuration; the rest is fed in pieces
 * cut after each byte 0xff, which is left out; the user answers every event, and the connection breaks in the end. */
#include "posthouse/smtp_client.h"
#include "posthouse/smtp_server.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct user {
	struct smtp_client *client;
	struct smtp_transaction transaction;
	size_t told;   /* recipients of the transaction */
	unsigned sent; /* transactions */
	uint64_t progress;
	unsigned left; /* pieces of a large text */
	bool in_transaction, over, large, writing;
};

static void begin(struct user *u)
{
	if (u->sent++ < 4) {
		u->told = 0;
		u->in_transaction = true;
		smtp_client_send(u->client, &u->transaction);
	} else {
		smtp_client_quit(u->client);
		u->over = true;
	}
}

/* A little text at once; or, so that there are chunks, some of a larger one, and the rest after the next input. */
static void write_text(struct user *u)
{
	static char large[40000];

	memset(large, 'x', sizeof large);
	smtp_client_text(u->client, S(".a\r\n.\r\nb\r\n."));
	smtp_client_text(u->client, S(".\r\nc"));
	u->left = u->large ? 3 : 0;
	for (; u->left > 0 && smtp_client_takes_text(u->client); u->left--)
		smtp_client_text(u->client, str_make(large, sizeof large));
	u->writing = u->left > 0;
	if (!u->writing && smtp_client_nears_end(u->client))
		smtp_client_text_end(u->client);
	else
		u->writing = true;
}

static void write_rest(struct user *u)
{
	if (!u->writing || !smtp_client_takes_text(u->client))
		return;
	if (u->left > 0)
		smtp_client_text(u->client, S("and so on\r\n"));
	u->left = 0;
	if (u->large && !smtp_client_nears_end(u->client))
		return;
	u->writing = false;
	smtp_client_text_end(u->client);
}

/* Act on all events; what the contract promises is asserted. */
static void act(struct user *u)
{
	struct smtp_client_event e;

	while (smtp_client_next(u->client, &e)) {
		assert(smtp_client_progress(u->client) >= u->progress);
		u->progress = smtp_client_progress(u->client);
		switch (e.type) {
		case CLIENT_STARTTLS: smtp_client_tls_started(u->client); break;
		case CLIENT_CHALLENGE:
			if (e.bytes.n == 7)
				smtp_client_auth_abort(u->client, temp(0, S(""), S("")));
			else
				smtp_client_auth_response(u->client, e.bytes);
			break;
		case CLIENT_READY:
			assert(!u->in_transaction);
			begin(u);
			break;
		case CLIENT_TEXT: write_text(u); break;
		case CLIENT_RECIPIENT:
			assert(u->in_transaction && e.index < u->transaction.recipients_n && e.verdict.text.n <= 2048);
			u->told++;
			break;
		case CLIENT_DONE:
			assert(u->in_transaction && u->told == u->transaction.recipients_n);
			assert((e.suspect &
				~(unsigned)(PEER_PIPELINING | PEER_DSN | PEER_CHUNKING | PEER_8BITMIME | PEER_SMTPUTF8)) == 0);
			u->in_transaction = u->writing = false;
			u->over = !e.reusable;
			break;
		case CLIENT_FAILED:
			assert(!u->in_transaction && (e.verdict.class != OK || !e.replied));
			assert(e.step <= STEP_DATA);
			u->over = true;
			break;
		}
		buf_clear(smtp_client_output(u->client));
		assert(smtp_client_transcript(u->client).n <= 4096);
	}
	write_rest(u);
	buf_clear(smtp_client_output(u->client));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t choice = size > 0 ? data[0] : 0;
	struct str rest = size > 0 ? str_make(data + 1, size - 1) : S(""), piece;
	static const struct smtp_recipient plain[] = { { S("a@x") }, { S("b\n@x") }, { S("c@x") } };
	static const struct smtp_recipient with_dsn[] = { { S("a@x"), S("rfc822;a@x"), NOTIFY_NEVER },
							  { S("b\n@x"), S(""), 0 },
							  { S("c@x"), S("x\r\ny"), NOTIFY_SUCCESS | NOTIFY_DELAY } };
	struct smtp_client_config config = { .hostname = S("h"),
					     .use_starttls = choice & 1,
					     .need_tls = choice & 2,
					     .tls = choice & 4,
					     .mechanisms = choice & 8 ? S("PLAIN LOGIN") : S("") };
	struct user u = { .client = smtp_client_new(&config),
			  .large = choice & 128,
			  .transaction = { .sender = S("s@x"),
					   .size = 1000,
					   .body = !(choice & 16) ? BODY_7BIT
						   : choice & 32  ? BODY_BINARYMIME
								  : BODY_8BITMIME,
					   .by_s = -5,
					   .by_mode = choice & 32 ? BY_NOTIFY | BY_TRACE : BY_NONE,
					   .priority = choice & 64 ? PRIORITY_MAX : PRIORITY_NORMAL,
					   .require_tls = (choice & 68) == 68,
					   .envid = choice & 32 ? S("e1") : S(""),
					   .ret = choice & 32 ? RET_HDRS : RET_UNSET,
					   .recipients = choice & 64 ? with_dsn : plain,
					   .recipients_n = 3 } };

	while (str_split(&rest, (char)0xff, &piece)) {
		smtp_client_feed(u.client, piece);
		act(&u);
	}
	smtp_client_closed(u.client, temp(0, S(""), S("")), FAULT_CONNECTION);
	act(&u);
	assert(!u.in_transaction);
	smtp_client_free(u.client);
	return 0;
}
