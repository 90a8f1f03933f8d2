/* transaction.c - one message: MAIL, RCPT and DATA, at once when the server can (RFC 2920), and the end. text.c sends the text.
 *
 * Commands are numbered: 0 is MAIL, n is recipient n - 1, the one after the last recipient is DATA. `sent` and `answered`
 * count them; without PIPELINING they never differ by more than one. With CHUNKING there is no DATA: all RCPT are answered,
 * then chunks go. */
#include "client.h"
#include "posthouse/smtp_server.h"

#include <assert.h>

static void write_commands(struct smtp_client *c);

/* An address with control characters could end the line and begin another command. None gets here without a bug elsewhere. */
static bool fit_to_send(struct str address)
{
	for (size_t i = 0; i < address.n; i++)
		if ((unsigned char)address.p[i] < 0x20 || address.p[i] == 0x7f)
			return false;
	return address.n <= 1000;
}

/* The transaction is over; the connection can be used again, after RSET when the server can still be within it. */
static void finish(struct smtp_client *c, struct verdict v, bool reset)
{
	struct client_transaction *tx = &c->tx;

	tx->verdict = v;
	tx->reusable = true;
	tx->over = true;
	if (reset) {
		client_enter(c, STAGE_RSET);
		client_write(c, "RSET");
	} else {
		client_become_ready(c);
	}
}

/* What the server lacks for this message, found before a byte is sent; OK when nothing. */
static struct verdict what_is_missing(const struct smtp_client *c, const struct smtp_transaction *t)
{
	if (c->peer.size > 0 && t->size > c->peer.size) /* RFC 1870 4; 0 means "no fixed maximum" */
		return perm(552, S("5.3.4"), S("the message is larger than the next hop takes"));
	if (t->body == BODY_8BITMIME && !(client_features(c) & PEER_8BITMIME))
		return perm(554, S("5.6.3"), S("the message needs 8BITMIME, which the next hop lacks"));
	if (t->body > BODY_BINARYMIME ||
	    (t->body == BODY_BINARYMIME && (!(client_features(c) & PEER_BINARYMIME) || !c->tx.chunked))) /* RFC 3030 3 */
		return perm(554, S("5.6.3"), S("the message needs BINARYMIME, which the next hop lacks"));
	if (t->require_tls && (!c->tls || !(c->peer.features & PEER_REQUIRETLS))) /* RFC 8689 4.2.1 */
		return perm(550, S("5.7.30"), S("the message demands REQUIRETLS, which the next hop lacks"));
	if (t->utf8 && !(client_features(c) & PEER_SMTPUTF8))
		return perm(550, S("5.6.7"), S("the addresses need SMTPUTF8, which the next hop lacks"));
	if (!fit_to_send(t->sender))
		return perm(553, S("5.1.7"), S("the sender's address cannot be sent"));
	return ok();
}

void smtp_client_send(struct smtp_client *c, const struct smtp_transaction *t)
{
	struct client_transaction *tx = &c->tx;
	struct arena arena = tx->arena;
	struct verdict missing;
	size_t unfit = 0;

	assert(c->stage == STAGE_READY && !tx->active && !c->has_event);
	arena_reset(&arena);
	*tx = (struct client_transaction){ .arena = arena, .active = true, .what = *t };
	tx->recipients = ARENA_ARRAY(&tx->arena, struct client_recipient, t->recipients_n);
	tx->chunked = !t->sender_only && client_features(c) & PEER_CHUNKING;
	transcript_begin(&c->transcript);
	missing = what_is_missing(c, t);
	if (missing.class != OK) {
		client_settle_rest(c, missing);
		finish(c, missing, false);
		return;
	}
	for (size_t i = 0; i < t->recipients_n; i++) {
		if (fit_to_send(t->recipients[i].address) && t->recipients[i].address.n > 0)
			continue;
		tx->recipients[i].unfit = true;
		unfit++;
		client_settle(c, i, perm(553, S("5.1.3"), S("the recipient's address cannot be sent")));
	}
	if (unfit == t->recipients_n && !t->sender_only) {
		finish(c, perm(553, S("5.1.3"), S("no recipient's address can be sent")), false);
		return;
	}
	client_enter(c, STAGE_MAIL);
	write_commands(c);
}

/* RFC 3461 4.2, 4.4: xtext is printable, and bounded; UTF-8 only with SMTPUTF8 (RFC 6533 3). Other values are
 * left out. */
static bool is_xtext(struct str s, size_t max, bool utf8)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= 0x20 || s.p[i] == 0x7f || ((unsigned char)s.p[i] > 0x7f && !utf8))
			return false;
	return s.n > 0 && s.n <= max;
}

/* RFC 3461 4.3 and 4.4, for a server that takes over the reports. */
static struct str mail_dsn(struct smtp_client *c)
{
	const struct smtp_transaction *t = &c->tx.what;
	struct str ret = t->ret == RET_FULL ? S(" RET=FULL") : t->ret == RET_HDRS ? S(" RET=HDRS") : S("");

	if (!(client_features(c) & PEER_DSN))
		return S("");
	if (!is_xtext(t->envid, ENVID_MAX, t->utf8))
		return ret;
	return arena_printf(&c->tx.arena, "%.*s ENVID=%.*s", STR_ARG(ret), STR_ARG(t->envid));
}

/* RFC 3461 4.1 and 4.2 for one recipient. NEVER is alone; the others form a list. */
static struct str rcpt_dsn(struct smtp_client *c, size_t i)
{
	static const char *const lists[] = { "",      "SUCCESS",       "FAILURE",       "SUCCESS,FAILURE",
					     "DELAY", "SUCCESS,DELAY", "FAILURE,DELAY", "SUCCESS,FAILURE,DELAY" };
	const struct smtp_recipient *r = &c->tx.what.recipients[i];
	struct str orcpt = is_xtext(r->orcpt, ORCPT_MAX, c->tx.what.utf8) ? r->orcpt : S("");
	const char *list = r->notify & NOTIFY_NEVER ? "NEVER" : lists[(r->notify >> 1) & 7];

	if (!(client_features(c) & PEER_DSN))
		return S("");
	return arena_printf(&c->tx.arena, "%s%s%s%.*s", *list ? " NOTIFY=" : "", list, orcpt.n ? " ORCPT=" : "", STR_ARG(orcpt));
}

/* RFC 2852 4: by-time has nine digits at most. */
static struct str mail_by(struct smtp_client *c)
{
	const struct smtp_transaction *t = &c->tx.what;
	unsigned mode = t->by_mode & ~(unsigned)BY_TRACE;
	int64_t seconds = t->by_s;

	if (!(c->peer.features & PEER_DELIVERBY) || mode == BY_NONE)
		return S("");
	seconds = seconds > BY_MAX_S ? BY_MAX_S : seconds < -BY_MAX_S ? -BY_MAX_S : seconds;
	return arena_printf(&c->tx.arena, " BY=%lld;%s%s", (long long)seconds, mode == BY_RETURN ? "R" : "N",
			    t->by_mode & BY_TRACE ? "T" : "");
}

/* How servers treat the message: BY, MT-PRIORITY (RFC 6710), REQUIRETLS (RFC 8689). */
static struct str mail_treatment(struct smtp_client *c)
{
	const struct smtp_transaction *t = &c->tx.what;
	struct str by = mail_by(c), priority = S("");

	if ((c->peer.features & PEER_MT_PRIORITY) && t->priority != PRIORITY_NORMAL)
		priority = arena_printf(&c->tx.arena, " MT-PRIORITY=%d", (int)t->priority - PRIORITY_NORMAL);
	return arena_printf(&c->tx.arena, "%.*s%.*s%s", STR_ARG(by), STR_ARG(priority), t->require_tls ? " REQUIRETLS" : "");
}

/* MAIL with the parameters that the server knows. SIZE: RFC 1870, BODY: RFC 6152 and 3030, SMTPUTF8: RFC 6531, RET and ENVID:
 * RFC 3461. */
static void write_mail(struct smtp_client *c)
{
	static const char *const bodies[] = { "", " BODY=8BITMIME", " BODY=BINARYMIME" };
	const struct smtp_transaction *t = &c->tx.what;
	struct str size = S(""), dsn = mail_dsn(c), treatment = mail_treatment(c);

	if ((c->peer.features & PEER_SIZE) && t->size > 0)
		size = arena_printf(&c->tx.arena, " SIZE=%llu", (unsigned long long)t->size);
	client_write(c, "MAIL FROM:<%.*s>%.*s%s%s%.*s%.*s", STR_ARG(t->sender), STR_ARG(size), bodies[t->body],
		     t->utf8 ? " SMTPUTF8" : "", STR_ARG(dsn), STR_ARG(treatment));
	c->tx.with = (t->body == BODY_8BITMIME ? PEER_8BITMIME : 0) | (t->utf8 ? PEER_SMTPUTF8 : 0) | (dsn.n ? PEER_DSN : 0);
}

static void write_rcpt(struct smtp_client *c, size_t i)
{
	client_write(c, "RCPT TO:<%.*s>%.*s", STR_ARG(c->tx.what.recipients[i].address), STR_ARG(rcpt_dsn(c, i)));
}

/* Skip the numbers of recipients whose address cannot be sent. */
static size_t skip_unfit(const struct client_transaction *tx, size_t number)
{
	while (number > 0 && number <= tx->what.recipients_n && tx->recipients[number - 1].unfit)
		number++;
	return number;
}

/* Write as many commands as can be open at once. DATA ends a group (RFC 2920 3.1). */
static void write_commands(struct smtp_client *c)
{
	struct client_transaction *tx = &c->tx;
	size_t window = (client_features(c) & PEER_PIPELINING) ? PIPELINE_MAX : 1;
	size_t data = tx->what.recipients_n + 1, commands = tx->chunked || tx->what.sender_only ? data : data + 1;

	while (tx->sent < commands && tx->sent - tx->answered < window) {
		if (tx->sent == 0)
			write_mail(c);
		else if (tx->sent < data)
			write_rcpt(c, tx->sent - 1);
		else
			client_write(c, "DATA");
		tx->sent = skip_unfit(tx, tx->sent + 1);
	}
}

/* A command was answered: the next reply is for the next one. */
static void count_answer(struct smtp_client *c)
{
	struct client_transaction *tx = &c->tx;

	tx->answered = skip_unfit(tx, tx->answered + 1);
	client_enter(c, tx->answered <= tx->what.recipients_n ? STAGE_RCPT : STAGE_DATA);
}

/* After each answer but DATA's: go on, or leave when no text can follow and nothing is open any more. */
static void transaction_advance(struct smtp_client *c)
{
	struct client_transaction *tx = &c->tx;
	bool all_answered = tx->answered == tx->what.recipients_n + 1;
	bool hopeless = tx->refused || (all_answered && tx->accepted == 0);

	if (!hopeless && all_answered && tx->chunked) {
		client_enter(c, STAGE_CHUNKS);
		client_tell(c, CLIENT_TEXT);
	} else if (!hopeless) {
		write_commands(c);
	} else if (tx->answered == tx->sent) {
		finish(c, tx->verdict, true);
	}
}

void client_on_mail(struct smtp_client *c)
{
	struct client_transaction *tx = &c->tx;
	struct verdict v = client_reply_verdict(c);

	if (v.class != OK) {
		tx->refused = true;
		tx->suspect = client_suspect_refusal(c, tx->with);
		tx->verdict = verdict_keep(&tx->arena, v);
		client_settle_rest(c, tx->verdict);
	}
	count_answer(c);
	transaction_advance(c);
}

void client_on_rcpt(struct smtp_client *c)
{
	struct client_transaction *tx = &c->tx;
	size_t i = tx->answered - 1;
	struct verdict v = client_reply_verdict(c);

	if (v.class == OK && !tx->refused) {
		tx->recipients[i].progress = RECIPIENT_ACCEPTED;
		tx->accepted++;
	} else if (v.class != OK && !tx->refused) {
		unsigned before = tx->suspect, now = client_suspect_refusal(c, rcpt_dsn(c, i).n > 0 ? PEER_DSN : 0);

		tx->suspect = now; /* of this recipient … */
		tx->verdict = verdict_keep(&tx->arena, v);
		client_settle(c, i, tx->verdict);
		tx->suspect = before | now; /* … and of the transaction */
	}
	count_answer(c);
	transaction_advance(c);
}

void client_on_data(struct smtp_client *c)
{
	struct client_transaction *tx = &c->tx;
	struct verdict v = client_reply_verdict(c);

	if (c->reply.code / 100 == 3 && tx->accepted == 0) { /* RFC 2920 3.1: the server waits for a text; send an empty one */
		client_enter(c, STAGE_LONE_DOT);
		client_write(c, ".");
		return;
	}
	if (c->reply.code / 100 == 3) {
		client_enter(c, STAGE_TEXT);
		client_tell(c, CLIENT_TEXT);
		return;
	}
	if (tx->accepted > 0) {
		tx->suspect = client_suspect_refusal(c, 0);
		tx->verdict = verdict_keep(&tx->arena, v);
		client_settle_rest(c, tx->verdict);
	}
	finish(c, tx->verdict, true);
}

void client_on_final(struct smtp_client *c)
{
	struct client_transaction *tx = &c->tx;
	struct verdict v = verdict_keep(&tx->arena, client_reply_verdict(c));

	if (tx->chunked && client_lacks_chunks(c))
		return;
	client_settle_rest(c, v);
	finish(c, v, tx->chunked && v.class != OK); /* RFC 3030 2: only the success of the last chunk is as good as RSET */
}

/* No recipient was accepted, so nothing was delivered, whatever the server replies. The verdict is that of the refusals. */
void client_on_lone_dot(struct smtp_client *c)
{
	finish(c, c->tx.verdict, false);
}

void client_on_rset(struct smtp_client *c)
{
	if (c->reply.code / 100 == 2)
		client_become_ready(c);
	else
		client_end_by_reply(c, FAULT_PEER);
}
