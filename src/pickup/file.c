/* file.c - the way of one file: handed over, then removed, put off, or kept when its owner has been told that it was refused.
 *
 * In the order of what happens: file_begin, (on_shown, on_compared), hand_over, on_pass, on_handed_over, (on_confirmed),
 * judge_answer; then an end of ends.c, or tell_owner, on_owner, on_reported, and such an end. */
#include "pickup.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#include <unistd.h>

#define STEP_MS      70000 /* of the dialogue: longer than submission waits for queue */
#define REPORTS_HOUR 60    /* further ones are not written: somebody drops rubbish */
#define NOBODY       65534

static void on_shown(void *ctx, struct verdict v, const struct msg_queue_shown *m, int fd);
static void on_confirmed(void *ctx, struct verdict v, const struct msg_queue_shown *m, int fd);
static void on_compared(uv_work_t *work, int status);
static void on_handed_over(uv_work_t *work, int status);
static void on_owner(void *ctx, struct verdict v, const struct msg_drop_owner_is *m, int fd);
static void on_reported(uv_work_t *work, int status);

static bool is_expired(const struct file *f)
{
	uint64_t now = clock_now_ms();

	return now > f->t.dropped_at && now - f->t.dropped_at >= role_config(f->pickup->role)->queue.lifetime_ms;
}

/* No report can be made now. The next turn finds again what was refused: nothing, or some recipients, are in the queue. */
static void report_failed(struct file *f, struct str reason)
{
	f->pickup->reports -= f->pickup->reports > 0; /* it is none, and will be tried again */
	if (f->verdict.class != OK || !is_expired(f)) {
		end_put_off(f, reason);
		return;
	}
	log_error(&(struct log){ .message = f->t.id }, "pickup.unreported", kv("uid", f->t.uid), kv("reason", reason));
	f->report_verdict = temp(451, S("4.3.0"), reason);
	report_to_postmaster(f, S("The report about it to that user could not be sent"));
	end_keep(f);
}

/* ---- handing over ---- */

static const struct verdict nobody_knows = { TEMP, 451, S("4.3.0"), S("nobody knows whose the file is") };

/* The file, and of its recipients those of this part. */
static struct verdict read_file(struct file *f)
{
	struct verdict v = reading_open(&f->reading, f->path, f->t.uid, f->size_max);

	part_cut(&f->reading, &f->t);
	return v;
}

static void work_hand_over(uv_work_t *work)
{
	struct file *f = work->data;

	f->verdict = read_file(f);
	if (f->verdict.class == OK && f->renamed && !taken_sync(f->pickup->path))
		f->verdict = temp(451, S("4.3.0"), S("its directory cannot be synced"));
	f->renamed = f->renamed && f->verdict.class != OK;
	if (f->verdict.class == OK && f->socket < 0)
		f->verdict = nobody_knows;
	else if (f->verdict.class == OK)
		f->verdict = local_submit(f->socket, &f->reading.message, f->reading.fd, f->reading.text_at, STEP_MS,
					  &f->reading.arena);
	else if (f->socket >= 0)
		close(f->socket);
}

/* The session of the file's owner, or no session: then the file is none that can be handed over, and reading it tells why. False:
 * not now, and the file is put off. */
static bool take_session(struct file *f, const struct msg_drop_owner_is *m, uint64_t id, uint64_t token)
{
	f->socket = -1;
	if (!m || m->verdict.class == TEMP) {
		end_put_off(f, m ? m->verdict.text : S("login does not answer"));
		return false;
	}
	if (m->verdict.class == OK)
		f->socket = session_open(f->pickup, m->pass, id, token);
	if (m->verdict.class == OK && f->socket < 0) {
		end_put_off(f, S("submission is away"));
		return false;
	}
	return true;
}

static void on_pass(void *ctx, struct verdict v, const struct msg_drop_owner_is *m, int fd)
{
	struct file *f = ctx;

	if (!take_session(f, m, f->t.id, f->t.token))
		return;
	f->unsure = f->unsure || f->socket >= 0;
	uv_queue_work(role_loop(f->pickup->role), &f->work, work_hand_over, on_handed_over);
}

static void hand_over(struct file *f)
{
	owner_ask(f, false, on_pass);
}

/* Does queue have the message of this file? */
static void ask_queue(struct file *f, ipc_on_queue_show done)
{
	ipc_call_queue_show(role_peer(f->pickup->role, ROLE_QUEUE, 0), &(struct msg_queue_show){ .id = f->t.id }, -1, done, f);
}

void file_begin(struct file *f)
{
	struct pickup *p = f->pickup;

	f->running = true;
	p->running++;
	role_busy(p->role, +1);
	f->reading = (struct reading){ .fd = -1 };
	f->path = taken_path(&f->reading.arena, p->path, &f->t);
	f->size_max = role_config(p->role)->limits.message_size;
	f->work.data = f;
	if (f->end == TO_REMOVE)
		end_remove(f);
	else if (f->end == TO_HOLD)
		end_hold(f);
	else if (f->unsure)
		ask_queue(f, on_shown);
	else
		hand_over(f);
}

/* Some recipients can have been refused, and nobody was told before the role died. Submission is asked for them again, without a
 * text. */
static void work_compare(uv_work_t *work)
{
	struct file *f = work->data;

	f->verdict = read_file(f);
	if (f->verdict.class == OK && f->socket < 0)
		f->verdict = nobody_knows;
	else if (f->verdict.class == OK && f->stored_n < f->reading.message.recipients_n)
		f->verdict = local_submit(f->socket, &f->reading.message, -1, 0, STEP_MS, &f->reading.arena);
	else if (f->socket >= 0)
		close(f->socket);
}

static void on_pass_to_compare(void *ctx, struct verdict v, const struct msg_drop_owner_is *m, int fd)
{
	struct file *f = ctx;

	if (take_session(f, m, 0, 0))
		uv_queue_work(role_loop(f->pickup->role), &f->work, work_compare, on_compared);
}

static void compare(struct file *f)
{
	owner_ask(f, false, on_pass_to_compare);
}

static void on_shown(void *ctx, struct verdict v, const struct msg_queue_shown *m, int fd)
{
	struct file *f = ctx;

	if (m && m->verdict.class == OK) {
		f->stored_n = m->recipients;
		compare(f);
	} else if (m && m->verdict.class == PERM) {
		hand_over(f);
	} else {
		end_put_off(f, S("the queue does not answer"));
	}
}

static size_t refused_of(const struct file *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->reading.message.recipients_n; i++)
		n += f->reading.message.recipients[i].verdict.class == PERM;
	return n;
}

/* The answers of today can be others than those of the first time: then each recipient is possibly one that was refused. */
static void doubt_all(struct file *f)
{
	struct local_message *m = &f->reading.message;
	struct str why = arena_printf(&f->reading.arena,
				      "only %llu of %zu recipients were taken, and it is not known any more whether this one was",
				      (unsigned long long)f->stored_n, m->recipients_n);

	for (size_t i = 0; i < m->recipients_n; i++)
		m->recipients[i].verdict = perm(554, S("5.4.0"), why);
}

static void tell_owner(struct file *f);

static void on_compared(uv_work_t *work, int status)
{
	struct file *f = work->data;
	size_t all = f->reading.message.recipients_n;

	if (f->verdict.class == TEMP && f->verdict.code == 0) {
		end_forget(f); /* an administrator has removed it */
	} else if (f->verdict.class == TEMP && !is_expired(f)) {
		end_put_off(f, f->verdict.text);
	} else if (f->stored_n >= all) {
		end_stored(f);
	} else {
		if (f->verdict.class != OK || all - refused_of(f) != f->stored_n)
			doubt_all(f);
		f->verdict = ok();
		tell_owner(f);
	}
}

/* Its sender must hear of it, unless too many such files come: then the postmaster hears that, once an hour. */
static void tell_owner(struct file *f)
{
	struct pickup *p = f->pickup;
	uint64_t now = clock_mono_ms();

	log_warning(&(struct log){ .message = f->t.id }, "pickup.refused", kv("uid", f->t.uid),
		    kv("reply", f->verdict.class != OK ? f->verdict.text : S("some recipients were refused")));
	if (now - p->reports_since >= HOUR_MS) {
		p->reports_since = now;
		p->reports = 0;
		p->reports_told = false;
	}
	if (p->reports >= REPORTS_HOUR) {
		f->report_verdict = perm(554, S("5.7.0"), S("too many reports within an hour"));
		if (!p->reports_told)
			report_to_postmaster(
				f, S("There were so many within an hour that their users get no further report, nor you another "
				     "notice, before the hour is over: see the log and the directory"));
		p->reports_told = true;
		end_keep(f);
		return;
	}
	p->reports++; /* now, since many can be under way at a time */
	owner_ask(f, true, on_owner);
}

static void judge_answer(struct file *f)
{
	struct reading *r = &f->reading;

	if (part_shrink(f)) {
		end_again(f);
		return;
	}
	if (f->verdict.class == TEMP && !is_expired(f)) {
		end_put_off(f, f->verdict.text);
		return;
	}
	if (f->verdict.class == TEMP)
		f->verdict = perm(554, S("5.4.7"),
				  arena_printf(&r->arena, "it could not be taken over in time, the last reason was: %.*s",
					       STR_ARG(f->verdict.text)));
	if (f->verdict.class != OK &&
	    refused_of(f) < r->message.recipients_n) { /* the message: it holds for the other parts too */
		r->message.recipients_n += r->after;
		r->after = 0;
	}
	if (f->verdict.class == OK && refused_of(f) == 0)
		end_stored(f);
	else
		tell_owner(f);
}

static void on_handed_over(uv_work_t *work, int status)
{
	struct file *f = work->data;

	if (f->verdict.class == TEMP && f->verdict.code == 0)
		end_forget(f); /* an administrator has removed it */
	else if (f->verdict.class == OK)
		ask_queue(f, on_confirmed);
	else
		judge_answer(f);
}

/* Submission is not believed that the message is stored: what only it says would lose mail when somebody has taken it over. */
static void on_confirmed(void *ctx, struct verdict v, const struct msg_queue_shown *m, int fd)
{
	struct file *f = ctx;

	if (!m || m->verdict.class == TEMP) {
		end_put_off(f, S("the queue does not answer"));
		return;
	}
	if (m->verdict.class == PERM)
		f->verdict = temp(451, S("4.3.0"), S("submission calls the message stored, but the queue does not know it"));
	judge_answer(f);
}

/* ---- reports ---- */

static void work_report(uv_work_t *work)
{
	struct file *f = work->data;
	struct local_message m = { .has_sender = true, .recipients = &f->owner, .recipients_n = 1 };

	f->report_verdict = local_submit(f->socket, &m, f->report_fd, 0, STEP_MS, &f->reading.arena);
	close(f->report_fd);
}

/* Users of programs have no mailbox, unless local.users gives them a sender. */
static struct str address_of(const struct file *f, const struct msg_drop_owner_is *m, const struct config *c)
{
	bool is_program = f->t.uid < PEOPLE_FROM || f->t.uid == NOBODY;

	return m->sender.n == 0 || (is_program && str_eq(m->sender, m->login)) ? c->postmaster : m->sender;
}

static void on_owner(void *ctx, struct verdict v, const struct msg_drop_owner_is *m, int fd)
{
	struct file *f = ctx;
	struct pickup *p = f->pickup;
	const struct config *c = role_config(p->role);
	struct str held =
		f->verdict.class == OK || f->reading.after > 0 ? S("") : str_of(held_path(&f->reading.arena, p->path, &f->t));

	if (!m || m->verdict.class != OK) {
		report_failed(f, m ? m->verdict.text : S("login does not answer"));
		return;
	}
	f->owner = (struct local_recipient){ .address = arena_str(&f->reading.arena, address_of(f, m, c)) };
	f->report_fd = report_write(&f->reading, c, &f->t, f->verdict, f->owner.address, held);
	f->socket = f->report_fd >= 0 ? session_open(p, m->pass, 0, 0) : -1;
	if (f->socket < 0) {
		if (f->report_fd >= 0)
			close(f->report_fd);
		report_failed(f, S("submission is away"));
		return;
	}
	uv_queue_work(role_loop(p->role), &f->work, work_report, on_reported);
}

static void on_reported(uv_work_t *work, int status)
{
	struct file *f = work->data;

	if (f->report_verdict.class == TEMP) {
		report_failed(f, f->report_verdict.text);
		return;
	}
	if (f->report_verdict.class != OK) {
		log_error(&(struct log){ .message = f->t.id }, "pickup.unreported", kv("uid", f->t.uid),
			  kv("reason", f->report_verdict.text));
		report_to_postmaster(f, S("The report about it to that user was refused too"));
	}
	if ((f->verdict.class == OK || f->reading.after > 0) && f->report_verdict.class == OK)
		end_stored(f);
	else
		end_keep(f);
}
