/* rooms.c - how the rooms are joined: which room gets which message, and what follows in other rooms from what one room tells. */
#include "queue.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#define LETTERS_MAX  50 /* to the postmaster, at once; then one in ten minutes */
#define LETTER_MS    (10 * MINUTE_MS)
#define LETTER_BYTES (32 * KIB)

/* ---- what the rooms tell ---- */

static void on_limits_loaded(void *ctx)
{
	struct queue *q = ctx;

	if (accounting_is_ready(&q->accounting) || accounting_is_unreadable(&q->accounting))
		role_started(q->role, ok());
	intake_resume(&q->intake);
	scheduler_wake(&q->dispatch);
}

static void on_hold_in_flight(void *ctx, const uint64_t *messages, size_t n)
{
	struct queue *q = ctx;

	leases_withdraw(&q->dispatch, messages, n);
}

static void wake_scheduler(void *ctx)
{
	struct queue *q = ctx;

	scheduler_wake(&q->dispatch);
}

static void on_account_event(void *ctx, const struct account_event *e)
{
	struct queue *q = ctx;

	notify_account(&q->reports, e);
}

static void on_part_begun(void *ctx)
{
	struct queue *q = ctx;

	q->open_parts++;
}

static void on_message_accepted(void *ctx, bool urgent)
{
	struct queue *q = ctx;

	if (urgent)
		scheduler_wake_urgent(&q->dispatch);
	else
		scheduler_wake(&q->dispatch);
}

static void on_to_report(void *ctx)
{
	struct queue *q = ctx;

	dsns_wake(&q->reports);
}

static void on_upstream_closed(void *ctx, struct str name, uint64_t meaning, struct str reason)
{
	struct queue *q = ctx;

	notify_upstream(&q->reports, name, meaning, reason);
}

void rooms_init(struct queue *q)
{
	q->accounting_observer = (struct accounting_observer){
		.loaded = on_limits_loaded,
		.hold_in_flight = on_hold_in_flight,
		.mail_was_held = wake_scheduler,
		.notify = on_account_event,
		.idle = queue_check_idle,
		.ctx = q,
	};
	accounting_init(&q->accounting, q->role, &q->timers, &q->accounting_observer);
	q->intake_observer =
		(struct intake_observer){ .message_stored = on_message_accepted, .idle = queue_check_idle, .ctx = q };
	intake_init(&q->intake, q->role, &q->accounting, &q->intake_observer);
	q->dispatch_observer = (struct dispatch_observer){
		.to_report = on_to_report, .upstream_closed = on_upstream_closed, .idle = queue_check_idle, .ctx = q
	};
	q->report_observer = (struct report_observer){
		.message_stored = wake_scheduler,
		.part_begun = on_part_begun,
		.part_ended = queue_part_ended,
		.idle = queue_check_idle,
		.ctx = q,
	};
	reports_init(&q->reports, q->role, &q->timers, &q->report_observer);
	dispatch_init(&q->dispatch, q->role, &q->accounting, &q->timers, &q->dispatch_observer);
}

/* ---- messages to a room ---- */

#define TO_ROOM(room, name)                                                                                                      \
	static void on_##name(void *ctx, struct channel *ch, const struct msg_##name *m, int fd)                                 \
	{                                                                                                                        \
		struct queue *q = role_data(ctx);                                                                                \
                                                                                                                                 \
		room##_##name(&q->room, ch, m);                                                                                  \
	}
TO_ROOM(intake, spool_open)
TO_ROOM(intake, envelope)
TO_ROOM(intake, recipients)
TO_ROOM(intake, submit)
TO_ROOM(intake, abandon_transaction)
TO_ROOM(accounting, admit)
TO_ROOM(accounting, authenticated)
TO_ROOM(accounting, logins_check)
TO_ROOM(accounting, login_over)
TO_ROOM(accounting, present)
TO_ROOM(accounting, leave)
TO_ROOM(accounting, limits_page)
TO_ROOM(accounting, limits_reset)
TO_ROOM(dispatch, result)
TO_ROOM(dispatch, drained)
TO_ROOM(dispatch, allowed)
TO_ROOM(dispatch, resign)

/* The recipient is kept while the store is asked about it, of many sessions at a time. */
static void on_reserve(void *ctx, struct channel *ch, const struct msg_reserve *m, int fd)
{
	struct queue *q = role_data(ctx);

	if (intake_text_is_allowed(m->recipient))
		accounting_reserve(&q->accounting, ch, m);
	else
		channel_exceeded(ch, "a recipient that no client can name");
}

/* Doctor tells something once a day, pickup when a report cannot be sent: their letters do not fill the queue. */
static struct verdict tell_postmaster(struct queue *q, const struct msg_tell_postmaster *m)
{
	uint64_t passed = (clock_mono_ms() - q->letters_at) / LETTER_MS;

	if (!intake_text_is_allowed(m->subject) || m->words.n > LETTER_BYTES)
		return perm(554, S("5.3.4"), S("this is no letter to the postmaster"));
	q->letters -= passed < q->letters ? passed : q->letters;
	q->letters_at += passed * LETTER_MS;
	if (q->letters >= LETTERS_MAX)
		return temp(451, S("4.3.2"), S("the postmaster was told too much lately"));
	if (!notify_postmaster(&q->reports, m->subject, m->words))
		return temp(451, S("4.3.2"), S("the store is not open"));
	q->letters++;
	return ok();
}

static void on_tell_postmaster(void *ctx, struct channel *ch, const struct msg_tell_postmaster *m, int fd)
{
	struct queue *q = role_data(ctx);
	const struct msg_postmaster_told told = { .call = m->call, .verdict = tell_postmaster(q, m) };

	ipc_send_postmaster_told(ch, &told, -1);
}

const struct ipc_handlers queue_handlers = {
	.tell_postmaster = on_tell_postmaster,
	.spool_open = on_spool_open,
	.envelope = on_envelope,
	.recipients = on_recipients,
	.submit = on_submit,
	.abandon_transaction = on_abandon_transaction,
	.admit = on_admit,
	.authenticated = on_authenticated,
	.logins_check = on_logins_check,
	.login_over = on_login_over,
	.present = on_present,
	.reserve = on_reserve,
	.leave = on_leave,
	.limits_page = on_limits_page,
	.limits_reset = on_limits_reset,
	.result = on_result,
	.drained = on_drained,
	.allowed = on_allowed,
	.resign = on_resign,
	.queue_page = handle_queue_page,
	.queue_alter = handle_queue_alter,
	.queue_summary = handle_queue_summary,
	.queue_show = handle_queue_show,
	.queue_text = handle_queue_text,
	.queue_import = handle_queue_import,
	.queue_backup = handle_queue_backup,
	.test_message = handle_test_message,
	.tls_report_send = handle_tls_report_send,
	.find = handle_find,
	.reached = handle_reached,
	.node_list = handle_node_list,
	.node_order = handle_node_order,
	.accounts_read = handle_accounts_read,
	.accounts_commit = handle_accounts_commit,
	.trace = handle_trace,
};
