/* client.c - the client machine: memory, what a reply means in each stage, events for the user. */
#include "client.h"
#include "posthouse/secret.h"

#include <assert.h>
#include <stdlib.h>

struct smtp_client *smtp_client_new(const struct smtp_client_config *config)
{
	struct smtp_client *c = NEW(struct smtp_client);

	c->config = config;
	c->tls = config->tls;
	buf_init(&c->input, INPUT_MAX);
	buf_init(&c->output, OUTPUT_MAX);
	buf_init(&c->line, REPLY_MAX);
	buf_init(&c->mechanisms, MECHANISMS_MAX);
	buf_init(&c->greeting, REPLY_TEXT_MAX);
	buf_init(&c->initial, OUTPUT_MAX);
	buf_init(&c->reply.text, REPLY_TEXT_MAX);
	buf_init(&c->chunk, OUTPUT_MAX / 2);
	transcript_init(&c->transcript);
	return c;
}

void smtp_client_free(struct smtp_client *c)
{
	if (!c)
		return;
	wipe(c->initial.p, c->initial.capacity); /* both can hold credentials */
	wipe(c->output.p, c->output.capacity);
	buf_fini(&c->input);
	buf_fini(&c->output);
	buf_fini(&c->line);
	buf_fini(&c->mechanisms);
	buf_fini(&c->greeting);
	buf_fini(&c->initial);
	buf_fini(&c->reply.text);
	buf_fini(&c->chunk);
	transcript_fini(&c->transcript);
	arena_fini(&c->tx.arena);
	arena_fini(&c->arena);
	free(c);
}

/* The reply to QUIT does not matter, whatever it is. */
static void on_quit(struct smtp_client *c)
{
	client_enter(c, STAGE_ENDED);
}

/* What a reply does in each stage (NULL: replies wait), and which first digits it can have there; others are out of order. */
enum { FAILED = 1u << 4 | 1u << 5, FINAL = 1u << 2 | FAILED, GOES_ON = 1u << 3 };
static const struct {
	void (*on_reply)(struct smtp_client *c);
	unsigned digits;
} replies[STAGE_COUNT] = {
	[STAGE_GREETING] = { client_on_greeting, FINAL },
	[STAGE_EHLO] = { client_on_ehlo, FINAL },
	[STAGE_HELO] = { client_on_helo, FINAL },
	[STAGE_STARTTLS] = { client_on_starttls, FINAL },
	[STAGE_AUTH] = { client_on_auth, FINAL | GOES_ON },
	[STAGE_READY] = { client_out_of_order, 0 },
	[STAGE_MAIL] = { client_on_mail, FINAL },
	[STAGE_RCPT] = { client_on_rcpt, FINAL },
	[STAGE_DATA] = { client_on_data, FAILED | GOES_ON },
	[STAGE_TEXT] = { client_on_early_reply, FAILED },
	[STAGE_CHUNKS] = { client_on_chunk, FINAL },
	[STAGE_END] = { client_on_final, FINAL },
	[STAGE_LONE_DOT] = { client_on_lone_dot, FINAL },
	[STAGE_RSET] = { client_on_rset, FINAL | GOES_ON },
	[STAGE_QUIT] = { on_quit, FINAL | GOES_ON },
};

void smtp_client_feed(struct smtp_client *c, struct str bytes)
{
	if (c->stage == STAGE_ENDED)
		return;
	if (c->stage == STAGE_HANDSHAKE)
		client_end_by_clear_text(c);
	else if (!buf_add(&c->input, bytes))
		client_end_by_nonsense(c, S("the server talks without being asked"));
}

/* CLIENT_RECIPIENT for the first one that is settled and whose user does not know. */
static bool tell_recipient(struct smtp_client *c, struct smtp_client_event *e)
{
	struct client_transaction *tx = &c->tx;

	if (tx->to_tell == 0)
		return false;
	for (size_t i = 0; i < tx->what.recipients_n; i++) {
		if (tx->recipients[i].progress != RECIPIENT_SETTLED)
			continue;
		tx->recipients[i].progress = RECIPIENT_TOLD;
		tx->to_tell--;
		*e = (struct smtp_client_event){
			.type = CLIENT_RECIPIENT,
			.index = i,
			.verdict = tx->recipients[i].verdict,
			.step = tx->recipients[i].step,
			.suspect = tx->recipients[i].suspect,
		};
		return true;
	}
	assert(!"a settled recipient was counted and is not there");
	return false;
}

static bool tell_done(struct smtp_client *c, struct smtp_client_event *e)
{
	struct client_transaction *tx = &c->tx;

	if (!tx->active || !tx->over)
		return false;
	tx->active = false;
	*e = (struct smtp_client_event){ .type = CLIENT_DONE,
					 .verdict = tx->verdict,
					 .fault = tx->fault,
					 .reusable = tx->reusable,
					 .untouched = tx->untouched,
					 .suspect = tx->suspect | tx->suspect_late };
	return true;
}

static bool tell_event(struct smtp_client *c, struct smtp_client_event *e)
{
	if (!c->has_event)
		return false;
	c->has_event = false;
	*e = c->event;
	return true;
}

bool smtp_client_next(struct smtp_client *c, struct smtp_client_event *e)
{
	for (;;) {
		if (tell_recipient(c, e) || tell_done(c, e) || tell_event(c, e))
			return true;
		if (!replies[c->stage].on_reply)
			return false;
		switch (client_read_reply(c)) {
		case REPLY_NONE: return false;
		case REPLY_BROKEN: client_end_by_nonsense(c, S("the server does not speak SMTP")); break;
		case REPLY_COMPLETE:
			c->progress++;
			if (c->reply.code == 421 && c->stage != STAGE_QUIT) /* RFC 5321 3.8: can come at any time */
				client_end_by_reply(c, FAULT_PEER);
			else if (!(replies[c->stage].digits & 1u << c->reply.code / 100))
				client_out_of_order(c);
			else
				replies[c->stage].on_reply(c);
			break;
		}
	}
}

void smtp_client_quit(struct smtp_client *c)
{
	if (c->broken || c->stage == STAGE_HANDSHAKE || c->stage == STAGE_TEXT || c->stage == STAGE_CHUNKS ||
	    c->stage == STAGE_END || c->stage == STAGE_QUIT)
		return;
	client_write(c, "QUIT");
	client_enter(c, STAGE_QUIT);
}

struct buf *smtp_client_output(struct smtp_client *c)
{
	return &c->output;
}

const struct smtp_peer *smtp_client_peer(const struct smtp_client *c)
{
	return &c->peer;
}
