/* transaction.c - the life of a transaction, its envelope, its answer. The text: transaction_text.c. */
#include "transaction.h"

#include "session.h"

#include "posthouse/address.h"
#include "posthouse/clock.h"
#include "posthouse/ipc.h"
#include "posthouse/tls_wish.h"

#include <assert.h>
#include <stdlib.h>

#define SWEEP_MS          250
#define ORPHANS_MAX       256
#define LOGGED_RECIPIENTS 10

static const char *const state_names[TX_STATES] = { "envelope", "header", "body",      "refused",
						    "syncing",  "credit", "submitted", "away" };

void transaction_enter(struct transaction *tx, enum transaction_state state)
{
#define FROM(name) (1u << TX_##name)
	static const unsigned legal[TX_STATES] = {
		[TX_HEADER] = FROM(ENVELOPE),
		[TX_BODY] = FROM(HEADER),
		[TX_REFUSED] = FROM(HEADER) | FROM(BODY),
		[TX_SYNCING] = FROM(BODY),
		[TX_CREDIT] = FROM(BODY) | FROM(SYNCING) | FROM(AWAY) | FROM(CREDIT),
		[TX_SUBMITTED] = FROM(BODY) | FROM(SYNCING) | FROM(CREDIT) | FROM(AWAY),
		[TX_AWAY] = FROM(BODY) | FROM(SYNCING) | FROM(CREDIT) | FROM(SUBMITTED) | FROM(AWAY),
	};
#undef FROM

	assert((legal[state] & 1u << tx->state) != 0);
	log_debug(&tx->log, "transaction.entered", kv("state", state_names[state]));
	tx->state = state;
}

/* RFC 3848, RFC 6531 section 3.7.3: how the message came. */
static struct str with_protocol(bool esmtp, bool utf8, bool tls, bool authenticated)
{
	static const char *const names[2][2][2] = { { { "ESMTP", "ESMTPA" }, { "ESMTPS", "ESMTPSA" } },
						    { { "UTF8SMTP", "UTF8SMTPA" }, { "UTF8SMTPS", "UTF8SMTPSA" } } };

	return esmtp ? str_of(names[utf8][tls][authenticated]) : S("SMTP");
}

/* Note who sends and from where, as the session knows it now. */
static void note_origin(struct transaction *tx, const struct session *session)
{
	struct stream_tls_info info;
	struct arena *a = &tx->arena;

	stream_tls_info(session->conn, &info);
	tx->envelope.login = arena_str(a, session->login);
	tx->device = arena_str(a, session->device);
	tx->listed = session->listed;
	tx->client = arena_str(a, stream_peer_address(session->conn));
	tx->show_client = session->policy->show_client;
	tx->helo = tx->show_client ? arena_str(a, buf_view(&session->helo)) : S("");
	tx->with = with_protocol(session->esmtp, tx->declared_utf8, info.on, !session->listed && !session->local);
	tx->tls = info.on ? arena_printf(a, "%s/%s", info.version, info.cipher) : S("");
	tx->mechanism = arena_str(a, session->mechanism);
	tx->begun_at = clock_mono_ms();
	tx->report = session->report;
	tx->any_sender = session->local && session->user_here.uid == 0 && !session->report;
	if (session->local) {
		tx->user_here = &session->user_here;
		tx->local_user = arena_printf(a, "%.*s, uid %llu", STR_ARG(session->user_here.name),
					      (unsigned long long)session->user_here.uid);
		tx->origin = arena_printf(a, "client=local uid=%llu user=%.*s mechanism=LOCAL",
					  (unsigned long long)session->user_here.uid, STR_ARG(session->user_here.name));
		return;
	}
	tx->origin = arena_printf(a, "client=%.*s tls=%s cipher=%s mechanism=%.*s", STR_ARG(tx->client),
				  info.on ? info.version : "none", info.on ? info.cipher : "none", STR_ARG(session->mechanism));
}

struct transaction *transaction_new(struct session *session, struct str sender, const struct smtp_mail_params *params)
{
	struct transaction *tx = NEW(struct transaction);
	struct submission *sub = session->sub;

	tx->sub = sub;
	tx->session = session;
	tx->id = session->given_id != 0 ? session->given_id : id_next(&sub->ids, clock_now_ms());
	tx->token = session->given_id != 0 ? session->given_token : random_u64();
	session->given_id = 0;
	tx->announced = params->size;
	tx->number = ++sub->next_transaction;
	tx->log = (struct log){ .session = session->log.session, .message = tx->id };
	tx->envelope.sender = arena_str(&tx->arena, sender);
	tx->envelope.envid = arena_str(&tx->arena, params->envid);
	tx->envelope.ret = params->require_tls ? RET_HDRS : params->ret; /* RFC 8689 5 */
	tx->declared_body = params->body;
	tx->declared_utf8 = params->utf8;
	tx->envelope.options = params->require_tls ? OPTION_REQUIRETLS : 0;
	tx->envelope.release_at = params->release_at;
	tx->by_s = params->by_s;
	tx->envelope.deliver_by_mode = params->by_mode;
	tx->envelope.priority = params->priority;
	note_origin(tx, session);
	list_append(&sub->transactions, &tx->link);
	role_busy(sub->role, +1);
	list_init(&tx->waiting);
	header_collector_init(&tx->header);
	buf_init(&tx->text, INLINE_MAX);
	return tx;
}

static void transaction_free(struct transaction *tx, bool drop)
{
	struct submission *sub = tx->sub;

	if (tx->orphan)
		sub->orphans--;
	ipc_cancel(tx->call);
	channel_stop_waiting(&tx->credit);
	if (tx->spool != NULL)
		spool_close(tx->spool, drop);
	else if (drop && tx->reserved) /* a new queue does not know the number and ignores it */
		ipc_send_abandon_transaction(submission_queue(sub),
					     &(struct msg_abandon_transaction){ .transaction = tx->number }, -1);
	if (tx->orphan && tx->known_to != 0 && tx->known_to == sub->queue_generation)
		ipc_send_leave(submission_queue(sub), &(struct msg_leave){ .session = tx->log.session }, -1);
	header_collector_fini(&tx->header);
	dkim_free(tx->dkim);
	buf_fini(&tx->text);
	free(tx->recipients);
	arena_fini(&tx->arena);
	list_remove(&tx->waiting);
	list_remove(&tx->link);
	free(tx);
	role_busy(sub->role, -1);
}

void transaction_leave(struct transaction *tx)
{
	struct submission *sub = tx->sub;
	struct session *session = tx->session;

	tx->session = NULL;
	if (tx->state <= TX_REFUSED) {
		transaction_free(tx, true);
		return;
	}
	/* The transaction goes on without its client, but only a limited number of them do: clients that do not wait could
	 * leave any number. */
	if (sub->orphans >= ORPHANS_MAX && !tx->offered) {
		log_warning(&tx->log, "transaction.dropped", kv("orphans", sub->orphans));
		transaction_free(tx, true);
		return;
	}
	tx->orphan = true;
	tx->known_to = session->queue_generation;
	tx->ticket = arena_str(&tx->arena, session->vouched.ticket);
	session->queue_generation = 0; /* the transaction says `leave` when it ends */
	sub->orphans++;
}

static void on_sweep(uv_timer_t *timer)
{
	struct submission *sub = timer->data;
	uint64_t now = clock_mono_ms();

	LIST_EACH_OF (struct transaction, tx, &sub->waiting, waiting) {
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

/* Two RCPTs of one recipient: the one that asks for more reports counts; "" in NOTIFY is FAILURE and DELAY (RFC 3461 4.1). */
static unsigned merge_notify(unsigned one, unsigned other)
{
	unsigned usual = NOTIFY_FAILURE | NOTIFY_DELAY, both = (one > 0 ? one : usual) | (other > 0 ? other : usual);

	return one == other ? one : both == NOTIFY_NEVER ? both : both & ~(unsigned)NOTIFY_NEVER;
}

bool transaction_recipient(struct transaction *tx, struct str address, const struct smtp_rcpt_params *params)
{
	for (size_t i = 0; i < tx->recipients_n; i++) {
		struct rec_recipient *known = &tx->recipients[i];

		if (!address_same(known->address, address))
			continue;
		known->notify = merge_notify((unsigned)known->notify, params->notify);
		if (known->orcpt.n == 0)
			known->orcpt = arena_str(&tx->arena, params->orcpt);
		return false;
	}
	ARRAY_GROW(tx->recipients, tx->recipients_n, tx->recipients_capacity);
	tx->recipients[tx->recipients_n] = (struct rec_recipient){
		.n = tx->recipients_n,
		.address = arena_str(&tx->arena, address),
		.orcpt = arena_str(&tx->arena, params->orcpt),
		.notify = params->notify,
	};
	tx->recipients_n++;
	return true;
}

void transaction_drop_recipient(struct transaction *tx)
{
	assert(tx->recipients_n > 0);
	tx->recipients_n--;
}

/* ---- the end ---- */

/* The first recipients, with commas; the number of all is beside them. */
static struct str first_recipients(struct transaction *tx)
{
	struct str list = S("");

	for (size_t i = 0; i < tx->recipients_n && i < LOGGED_RECIPIENTS; i++)
		list = arena_printf(&tx->arena, "%.*s%s%.*s", STR_ARG(list), i ? "," : "", STR_ARG(tx->recipients[i].address));
	return list;
}

static void log_answer(struct transaction *tx, struct verdict v)
{
	if (v.class == OK)
		log_info(&tx->log, "mail.accepted", kv("login", tx->envelope.login), kv("device", tx->device),
			 kv("client", tx->client), kv("user", tx->local_user), kv("tls", tx->tls), kv("mechanism", tx->mechanism),
			 kv("sender", tx->envelope.sender), kv("message_id", tx->envelope.message_id),
			 kv("recipients", tx->recipients_n), kv("to", first_recipients(tx)),
			 kv("more", tx->recipients_n > LOGGED_RECIPIENTS ? tx->recipients_n - LOGGED_RECIPIENTS : 0),
			 kv("size_bytes", tx->size), kv("sign_domain", tx->keys_n > 0 ? tx->keys[0].domain : S("")),
			 kv("tls_wish", tls_wish_word(tls_wish_of(tx->envelope.options, tx->envelope.sender))),
			 kv("took_ms", clock_mono_ms() - tx->begun_at));
	else
		log_warning(&tx->log, "mail.refused", kv("login", tx->envelope.login), kv("device", tx->device),
			    kv("client", tx->client), kv("tls", tx->tls), kv("mechanism", tx->mechanism),
			    kv("sender", tx->envelope.sender), kv("recipients", tx->recipients_n), kv("to", first_recipients(tx)),
			    kv("code", v.code), kv("enhanced", v.enhanced), kv("reason", v.text),
			    kv("took_ms", clock_mono_ms() - tx->begun_at));
}

/* The outcome is known: tell the client if it is still there, and end the transaction. */
static void count_accepted(struct transaction *tx, struct verdict v)
{
	if (v.class != OK)
		return;
	tx->sub->accepted++;
	tx->sub->accepted_bytes += tx->size;
	histogram_count(&tx->sub->accept_time, clock_mono_ms() - tx->ended_mono);
}

void transaction_answer(struct transaction *tx, struct verdict v)
{
	struct session *session = tx->session;
	char id[ID_TEXT_MAX];

	log_answer(tx, v);
	if (v.class == OK)
		v = ok_text(250, S("2.0.0"), arena_printf(&tx->arena, "Ok: queued as %s", id_format(tx->id, id)));
	count_accepted(tx, v);
	tx->sub->refused += v.class != OK;
	if (session != NULL)
		tx->sub->ops->answer(session, v); /* the session copies the text */
	transaction_free(tx, v.class != OK && tx->state != TX_SUBMITTED);
}

/* Nothing came in time. The message can be stored all the same: then its sender sends it twice (RFC 1047), which is the
 * lesser evil. */
void transaction_on_deadline(struct transaction *tx)
{
	transaction_answer(tx, temp(451, S("4.3.0"), S("Queue unavailable, try again later")));
}
