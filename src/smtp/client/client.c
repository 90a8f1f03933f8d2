/* client.c - the client machine: stages, events, the beginning and the end of a session. */
#include "client.h"
#include "posthouse/secret.h"

#include <assert.h>
#include <stdlib.h>

#define TO(stage) (1u << STAGE_##stage)

static void on_unexpected(struct smtp_client *c);
static void on_quit(struct smtp_client *c);

/* Name, step for the user, time limit, what a reply means here (NULL: replies wait), and which stages may follow (ENDED always may). */
static const struct stage {
	const char *name;
	enum smtp_step step;
	enum smtp_wait waits;
	void (*on_reply)(struct smtp_client *c);
	unsigned next;
} stages[STAGE_COUNT] = {
	[STAGE_GREETING] = { "greeting", STEP_OPENING, WAIT_GREETING, client_on_greeting, TO(EHLO) | TO(QUIT) },
	[STAGE_EHLO] = { "EHLO", STEP_OPENING, WAIT_COMMAND, client_on_ehlo,
			 TO(HELO) | TO(STARTTLS) | TO(AUTH) | TO(CREDENTIALS) | TO(READY) | TO(QUIT) },
	[STAGE_HELO] = { "HELO", STEP_OPENING, WAIT_COMMAND, client_on_helo, TO(READY) | TO(QUIT) },
	[STAGE_STARTTLS] = { "STARTTLS", STEP_OPENING, WAIT_COMMAND, client_on_starttls,
			     TO(HANDSHAKE) | TO(AUTH) | TO(CREDENTIALS) | TO(READY) | TO(QUIT) },
	[STAGE_HANDSHAKE] = { "TLS handshake", STEP_OPENING, WAIT_COMMAND, NULL, TO(EHLO) },
	[STAGE_AUTH] = { "AUTH", STEP_AUTH, WAIT_COMMAND, client_on_auth, TO(AUTH) | TO(CREDENTIALS) | TO(READY) | TO(QUIT) },
	[STAGE_CREDENTIALS] = { "AUTH", STEP_AUTH, WAIT_COMMAND, NULL, TO(AUTH) | TO(QUIT) },
	[STAGE_READY] = { "idle", STEP_OPENING, WAIT_NONE, on_unexpected, TO(MAIL) | TO(QUIT) },
	[STAGE_MAIL] = { "MAIL", STEP_MAIL, WAIT_COMMAND, client_on_mail, TO(RCPT) | TO(DATA) | TO(RSET) | TO(QUIT) },
	[STAGE_RCPT] = { "RCPT", STEP_RCPT, WAIT_COMMAND, client_on_rcpt, TO(DATA) | TO(RSET) | TO(QUIT) },
	[STAGE_DATA] = { "DATA", STEP_DATA, WAIT_COMMAND, client_on_data,
			 TO(TEXT) | TO(CHUNKS) | TO(LONE_DOT) | TO(RSET) | TO(QUIT) },
	[STAGE_TEXT] = { "text", STEP_DATA, WAIT_DATA, client_on_early_reply, TO(END) },
	[STAGE_CHUNKS] = { "BDAT", STEP_DATA, WAIT_DATA, client_on_chunk, TO(END) },
	[STAGE_END] = { "end of data", STEP_DATA, WAIT_DATA, client_on_final, TO(READY) | TO(RSET) | TO(QUIT) },
	[STAGE_LONE_DOT] = { "end of data", STEP_DATA, WAIT_DATA, client_on_lone_dot, TO(READY) | TO(QUIT) },
	[STAGE_RSET] = { "RSET", STEP_OPENING, WAIT_COMMAND, client_on_rset, TO(READY) | TO(QUIT) },
	[STAGE_QUIT] = { "QUIT", STEP_OPENING, WAIT_COMMAND, on_quit, 0 },
	[STAGE_ENDED] = { "closed", STEP_OPENING, WAIT_NONE, NULL, TO(QUIT) },
};

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
	wipe(c->initial.p, c->initial.capacity); /* both may hold credentials */
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

/* Change the stage: only along the table. */
void client_enter(struct smtp_client *c, enum client_stage stage)
{
	assert(stage == STAGE_ENDED || stage == c->stage || (stages[c->stage].next & (1u << stage)));
	if (c->stage != stage)
		c->progress++;
	c->stage = stage;
}

enum smtp_step client_step(const struct smtp_client *c)
{
	return stages[c->stage].step;
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

/* Have the user told; the slot is free because next() reads no reply while it is not. */
void client_tell(struct smtp_client *c, enum smtp_client_event_type type)
{
	c->event = (struct smtp_client_event){ .type = type };
	c->has_event = true;
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
		c->event.step = client_step(c);
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

/* The session is lost: was it for something that the transaction has just used? */
static void suspect_loss(struct smtp_client *c)
{
	if (c->stage == STAGE_END)
		c->tx.suspect_late |= client_suspect_loss(c);
	else
		c->tx.suspect |= client_suspect_loss(c);
}

/* Not SMTP, or not at this time: nothing that follows can be trusted. After the final dot or the last chunk the outcome
 * stays unknown (RFC 1047). */
static void end_by_nonsense(struct smtp_client *c, struct str what)
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

	end_by_nonsense(c, text);
}

static void on_unexpected(struct smtp_client *c)
{
	client_out_of_order(c);
}

/* Whatever is said to QUIT, there is nobody who wants to know. */
static void on_quit(struct smtp_client *c)
{
	client_enter(c, STAGE_ENDED);
}

void smtp_client_feed(struct smtp_client *c, struct str bytes)
{
	if (c->stage == STAGE_ENDED)
		return;
	if (c->stage == STAGE_HANDSHAKE) { /* RFC 3207 6: clear text behind the 220 may be an attacker's */
		c->broken = true;
		client_end(c, temp(421, S("4.7.0"), S("the server sent clear text where TLS should begin")), FAULT_TLS);
		return;
	}
	if (!buf_add(&c->input, bytes))
		end_by_nonsense(c, S("the server talks without being asked"));
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
		client_end(c, c->first_refusal, FAULT_AUTH); /* who hangs up on a second mechanism has said why before */
		c->event.replied = true;
		c->event.mechanism = c->mechanism;
		return;
	}
	client_end(c, v, fault);
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
		if (!stages[c->stage].on_reply)
			return false;
		switch (client_read_reply(c)) {
		case REPLY_NONE: return false;
		case REPLY_BROKEN: end_by_nonsense(c, S("the server does not speak SMTP")); break;
		case REPLY_COMPLETE:
			c->progress++;
			if (c->reply.code == 421 && c->stage != STAGE_QUIT) /* RFC 5321 3.8: may come at any time */
				client_end_by_reply(c, FAULT_PEER);
			else
				stages[c->stage].on_reply(c);
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
