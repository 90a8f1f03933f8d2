/* core.c - what all parts of the client machine use: stages, one command, events, verdicts of recipients, the end of a
 * session. */
#include "client.h"

#include <assert.h>

#define TO(stage) (1u << STAGE_##stage)

/* Name, step for the user, time limit, and which stages can follow (ENDED always can). */
static const struct stage {
	const char *name;
	enum smtp_step step;
	enum smtp_wait waits;
	unsigned next;
} stages[STAGE_COUNT] = {
	[STAGE_GREETING] = { "greeting", STEP_OPENING, WAIT_GREETING, TO(EHLO) | TO(QUIT) },
	[STAGE_EHLO] = { "EHLO", STEP_OPENING, WAIT_COMMAND,
			 TO(HELO) | TO(STARTTLS) | TO(AUTH) | TO(CREDENTIALS) | TO(READY) | TO(QUIT) },
	[STAGE_HELO] = { "HELO", STEP_OPENING, WAIT_COMMAND, TO(READY) | TO(QUIT) },
	[STAGE_STARTTLS] = { "STARTTLS", STEP_OPENING, WAIT_COMMAND,
			     TO(HANDSHAKE) | TO(AUTH) | TO(CREDENTIALS) | TO(READY) | TO(QUIT) },
	[STAGE_HANDSHAKE] = { "TLS handshake", STEP_OPENING, WAIT_COMMAND, TO(EHLO) },
	[STAGE_AUTH] = { "AUTH", STEP_AUTH, WAIT_COMMAND, TO(AUTH) | TO(CREDENTIALS) | TO(READY) | TO(QUIT) },
	[STAGE_CREDENTIALS] = { "AUTH", STEP_AUTH, WAIT_COMMAND, TO(AUTH) | TO(QUIT) },
	[STAGE_READY] = { "idle", STEP_OPENING, WAIT_NONE, TO(MAIL) | TO(QUIT) },
	[STAGE_MAIL] = { "MAIL", STEP_MAIL, WAIT_COMMAND, TO(RCPT) | TO(DATA) | TO(RSET) | TO(QUIT) },
	[STAGE_RCPT] = { "RCPT", STEP_RCPT, WAIT_COMMAND, TO(DATA) | TO(RSET) | TO(QUIT) },
	[STAGE_DATA] = { "DATA", STEP_DATA, WAIT_COMMAND, TO(TEXT) | TO(CHUNKS) | TO(LONE_DOT) | TO(RSET) | TO(QUIT) },
	[STAGE_TEXT] = { "text", STEP_DATA, WAIT_DATA, TO(END) },
	[STAGE_CHUNKS] = { "BDAT", STEP_DATA, WAIT_DATA, TO(END) },
	[STAGE_END] = { "end of data", STEP_DATA, WAIT_DATA, TO(READY) | TO(RSET) | TO(QUIT) },
	[STAGE_LONE_DOT] = { "end of data", STEP_DATA, WAIT_DATA, TO(READY) | TO(QUIT) },
	[STAGE_RSET] = { "RSET", STEP_OPENING, WAIT_COMMAND, TO(READY) | TO(QUIT) },
	[STAGE_QUIT] = { "QUIT", STEP_OPENING, WAIT_COMMAND, 0 },
	[STAGE_ENDED] = { "closed", STEP_OPENING, WAIT_NONE, TO(QUIT) },
};

/* Change the stage: only along the table. */
void client_enter(struct smtp_client *c, enum client_stage stage)
{
	assert(stage == STAGE_ENDED || stage == c->stage || (stages[c->stage].next & (1u << stage)));
	if (c->stage != stage)
		c->progress++;
	c->stage = stage;
}

/* One command line, also into the transcript. */
void client_write(struct smtp_client *c, const char *format, ...)
{
	struct buf *o = &c->output;
	size_t before = o->n;
	va_list arguments;
	bool fits;

	va_start(arguments, format);
	fits = buf_vprintf(o, format, arguments);
	va_end(arguments);
	transcript_add(&c->transcript, c->stage >= STAGE_READY, "C", str_from(buf_view(o), before));
	fits = fits && buf_add(o, S("\r\n"));
	assert(fits); /* the user drains what we write */
}

/* Keep an event for the user. There is room for it: smtp_client_next() reads no reply while an event waits. */
void client_tell(struct smtp_client *c, enum smtp_client_event_type type)
{
	c->event = (struct smtp_client_event){ .type = type };
	c->has_event = true;
}

void client_become_ready(struct smtp_client *c)
{
	client_enter(c, STAGE_READY);
	client_tell(c, CLIENT_READY);
}

void client_settle(struct smtp_client *c, size_t i, struct verdict v)
{
	struct client_transaction *tx = &c->tx;

	if (tx->recipients[i].progress >= RECIPIENT_SETTLED)
		return;
	tx->recipients[i].progress = RECIPIENT_SETTLED;
	tx->recipients[i].verdict = v;
	tx->recipients[i].step = stages[c->stage].step;
	tx->recipients[i].suspect = tx->suspect;
	tx->to_tell++;
}

void client_settle_rest(struct smtp_client *c, struct verdict v)
{
	for (size_t i = 0; i < c->tx.what.recipients_n; i++)
		client_settle(c, i, v);
}

void client_end(struct smtp_client *c, struct verdict v, enum smtp_fault fault)
{
	struct client_transaction *tx = &c->tx;

	if (c->stage == STAGE_ENDED)
		return;
	if (tx->active && !tx->over) {
		tx->verdict = verdict_keep(&tx->arena, v);
		tx->fault = fault;
		tx->reusable = false;
		tx->untouched = c->stage == STAGE_MAIL;
		tx->over = true;
		client_settle_rest(c, tx->verdict);
	} else if (c->stage != STAGE_QUIT) {
		client_tell(c, CLIENT_FAILED);
		c->event.verdict = verdict_keep(&c->arena, v);
		c->event.step = stages[c->stage].step;
		c->event.fault = fault;
	}
	client_enter(c, STAGE_ENDED);
}

void client_end_by_reply(struct smtp_client *c, enum smtp_fault fault)
{
	client_end(c, client_reply_verdict(c), fault);
	if (c->has_event && c->event.type == CLIENT_FAILED)
		c->event.replied = true;
}

/* The session is lost: note the extensions that the transaction has just used, since one of them can be the reason. */
static void suspect_loss(struct smtp_client *c)
{
	if (c->stage == STAGE_END)
		c->tx.suspect_late |= client_suspect_loss(c);
	else
		c->tx.suspect |= client_suspect_loss(c);
}

/* After the final dot or the last chunk the outcome stays unknown (RFC 1047). */
void client_end_by_nonsense(struct smtp_client *c, struct str what)
{
	struct str text = arena_printf(&c->arena, "%s%.*s (at %s)", c->stage == STAGE_END ? "outcome unknown: " : "",
				       STR_ARG(what), stages[c->stage].name);

	suspect_loss(c);
	c->broken = true;
	client_end(c, temp(421, S("4.5.0"), text), FAULT_PEER);
}

void client_out_of_order(struct smtp_client *c)
{
	struct str text = arena_printf(&c->arena, "the server answered %u out of order", c->reply.code);

	client_end_by_nonsense(c, text);
}

void smtp_client_closed(struct smtp_client *c, struct verdict why, enum smtp_fault fault)
{
	struct verdict v = { .class = TEMP, .code = 421, .enhanced = S("4.4.2"), .text = why.text };

	if (why.code >= 400 && why.code < 500)
		v.code = why.code;
	if (why.enhanced.n > 1)
		v.enhanced = arena_printf(&c->arena, "4%.*s", STR_ARG(str_from(why.enhanced, 1)));
	if (v.text.n == 0)
		v.text = arena_printf(&c->arena, "connection lost at %s", stages[c->stage].name);
	if (c->stage == STAGE_END)
		v.text = arena_printf(&c->arena, "outcome unknown: %.*s", STR_ARG(v.text));
	suspect_loss(c);
	c->broken = true;
	if (c->second_mechanism && (c->stage == STAGE_AUTH || c->stage == STAGE_CREDENTIALS)) {
		client_end(c, c->first_refusal,
			   FAULT_AUTH); /* a server that hangs up on the second has given its reason before */
		c->event.replied = true;
		c->event.mechanism = c->mechanism;
		return;
	}
	client_end(c, v, fault);
}

const char *smtp_client_stage(const struct smtp_client *c)
{
	return stages[c->stage].name;
}

enum smtp_wait smtp_client_waits(const struct smtp_client *c)
{
	return stages[c->stage].waits;
}

uint64_t smtp_client_progress(const struct smtp_client *c)
{
	return c->progress;
}
