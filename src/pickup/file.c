/* file.c - the way of one file: handed over, then removed, put off, or kept when its owner has been told that it was refused.
 *
 * In the order of what happens: file_begin, (on_shown, on_compared), hand_over, on_handed_over; then stored, or put_off, or
 * tell_owner, on_owner, on_reported, and stored or keep. */
#include "pickup.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define STEP_MS      70000            /* of the dialogue: longer than submission waits for queue */
#define AGAIN_MS     (30 * 1000)      /* after the first failure, … */
#define AGAIN_MAX_MS (15 * MINUTE_MS) /* … and at most */
#define REPORTS_HOUR 60               /* further ones are not written: somebody drops rubbish */
#define NOBODY       65534

static void on_shown(void *ctx, struct verdict v, const struct msg_queue_shown *m, int fd);
static void on_compared(uv_work_t *work, int status);
static void on_handed_over(uv_work_t *work, int status);
static void on_owner(void *ctx, struct verdict v, const struct msg_local_user_is *m, int fd);
static void on_reported(uv_work_t *work, int status);

/* ---- the end of a turn ---- */

static void end_turn(struct file *f)
{
	struct pickup *p = f->pickup;

	reading_close(&f->reading);
	f->running = false;
	p->running--;
	role_busy(p->role, -1);
}

static void forget(struct file *f)
{
	struct pickup *p = f->pickup;

	end_turn(f);
	list_remove(&f->link);
	p->files_n--;
	free(f);
	p->turn_over(p);
}

static void put_off(struct file *f, struct str reason)
{
	struct pickup *p = f->pickup;
	uint64_t pause = AGAIN_MS;

	for (unsigned i = 0; i < f->attempts && pause < AGAIN_MAX_MS; i++)
		pause *= 2;
	pause = pause < AGAIN_MAX_MS ? pause : AGAIN_MAX_MS;
	f->attempts++;
	f->due_at = clock_mono_ms() + pause;
	log_warning(&(struct log){ .message = f->t.id }, "pickup.delayed", kv("uid", f->t.uid), kv("reason", reason),
		    kv("due_in_ms", pause));
	end_turn(f);
	p->turn_over(p);
}

static void again_at_once(struct file *f)
{
	struct pickup *p = f->pickup;

	f->attempts = 0;
	f->due_at = 0;
	f->unsure = false;
	end_turn(f);
	p->turn_over(p);
}

static void end_failed(struct file *f, const char *path)
{
	struct str reason = str_of(strerror(errno));

	log_error(&(struct log){ .message = f->t.id }, "pickup.failed", kv("path", path), kv("reason", reason));
	put_off(f, reason);
}

static void remove_file(struct file *f)
{
	f->end = TO_REMOVE;
	if (unlink(f->path) == 0 || errno == ENOENT)
		forget(f);
	else
		end_failed(f, f->path);
}

/* It stays under a name that the administrator can see. */
static void hold_file(struct file *f)
{
	f->end = TO_HOLD;
	if (rename(f->path, held_path(&f->reading.arena, f->pickup->path, &f->t)) == 0 || errno == ENOENT)
		forget(f);
	else
		end_failed(f, f->path);
}

/* The message is in the queue, or its owner has been told: the file can go, or is for its next recipients. */
static void stored(struct file *f)
{
	f->pickup->handed_over++;
	log_debug(&(struct log){ .message = f->t.id }, "pickup.done", kv("uid", f->t.uid));
	if (f->reading.after == 0)
		remove_file(f);
	else if (part_next(f))
		again_at_once(f);
	else
		end_failed(f, f->path); /* the next turn finds that the queue has this part */
}

static void keep(struct file *f)
{
	f->pickup->refused++;
	if (f->reading.after > 0)
		stored(f);
	else
		hold_file(f);
}

static bool is_expired(const struct file *f)
{
	uint64_t now = clock_now_ms();

	return now > f->t.dropped_at && now - f->t.dropped_at >= role_config(f->pickup->role)->queue.lifetime_ms;
}

static void tell_postmaster(struct file *f, struct str why);

/* No report can be made now. The next turn finds again what was refused: nothing, or some recipients, are in the queue. */
static void report_failed(struct file *f, struct str reason)
{
	f->pickup->reports -= f->pickup->reports > 0; /* it is none, and will be tried again */
	if (f->verdict.class != OK || !is_expired(f)) {
		put_off(f, reason);
		return;
	}
	log_error(&(struct log){ .message = f->t.id }, "pickup.unreported", kv("uid", f->t.uid), kv("reason", reason));
	f->report_verdict = temp(451, S("4.3.0"), reason);
	tell_postmaster(f, S("The report about it to that user could not be sent"));
	keep(f);
}

/* ---- a session with submission ---- */

/* The socket of a session as that user; -1: nobody is there. */
static int open_session(struct pickup *p, uint64_t uid, uint64_t id, uint64_t token)
{
	struct msg_local_client m = { .uid = uid, .id = id, .token = token };
	struct channel *ch = NULL;
	int ends[2];

	for (unsigned i = 0; i < ROLE_PEERS_MAX && !ch; i++)
		ch = role_peer(p->role, ROLE_SUBMISSION, i);
	if (!ch || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return -1;
	if (!ipc_send_local_client(ch, &m, ends[1])) {
		close(ends[0]);
		ends[0] = -1;
	}
	close(ends[1]);
	return ends[0];
}

/* ---- handing over ---- */

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
	if (f->verdict.class == OK)
		f->verdict = local_submit(f->socket, &f->reading.message, f->reading.fd, f->reading.text_at, STEP_MS,
					  &f->reading.arena);
	else
		close(f->socket);
}

static void hand_over(struct file *f)
{
	f->socket = open_session(f->pickup, f->t.uid, f->t.id, f->t.token);
	if (f->socket < 0) {
		put_off(f, S("submission is away"));
		return;
	}
	f->unsure = true;
	uv_queue_work(role_loop(f->pickup->role), &f->work, work_hand_over, on_handed_over);
}

void file_begin(struct file *f)
{
	struct pickup *p = f->pickup;
	struct msg_queue_show ask = { .id = f->t.id };

	f->running = true;
	p->running++;
	role_busy(p->role, +1);
	f->reading = (struct reading){ .fd = -1 };
	f->path = taken_path(&f->reading.arena, p->path, &f->t);
	f->size_max = role_config(p->role)->limits.message_size;
	f->work.data = f;
	if (f->end == TO_REMOVE)
		remove_file(f);
	else if (f->end == TO_HOLD)
		hold_file(f);
	else if (f->unsure)
		ipc_call_queue_show(role_peer(p->role, ROLE_QUEUE, 0), &ask, -1, on_shown, f);
	else
		hand_over(f);
}

/* Some recipients can have been refused, and nobody was told before the role died. Submission is asked for them again, without a
 * text. */
static void work_compare(uv_work_t *work)
{
	struct file *f = work->data;

	f->verdict = read_file(f);
	if (f->verdict.class == OK && f->stored_n < f->reading.message.recipients_n)
		f->verdict = local_submit(f->socket, &f->reading.message, -1, 0, STEP_MS, &f->reading.arena);
	else
		close(f->socket);
}

static void compare(struct file *f)
{
	f->socket = open_session(f->pickup, f->t.uid, 0, 0);
	if (f->socket < 0)
		put_off(f, S("submission is away"));
	else
		uv_queue_work(role_loop(f->pickup->role), &f->work, work_compare, on_compared);
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
		put_off(f, S("the queue does not answer"));
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
		forget(f); /* an administrator has removed it */
	} else if (f->verdict.class == TEMP && !is_expired(f)) {
		put_off(f, f->verdict.text);
	} else if (f->stored_n >= all) {
		stored(f);
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
			tell_postmaster(
				f, S("There were so many within an hour that their users get no further report, nor you another "
				     "notice, before the hour is over: see the log and the directory"));
		p->reports_told = true;
		keep(f);
		return;
	}
	p->reports++; /* now, since many can be under way at a time */
	ipc_call_local_user(role_peer(p->role, ROLE_LOGIN, 0), &(struct msg_local_user){ .uid = f->t.uid }, -1, on_owner, f);
}

static void on_handed_over(uv_work_t *work, int status)
{
	struct file *f = work->data;
	struct reading *r = &f->reading;

	if (f->verdict.class == TEMP && f->verdict.code == 0) {
		forget(f); /* an administrator has removed it */
		return;
	}
	if (part_shrink(f)) {
		again_at_once(f);
		return;
	}
	if (f->verdict.class == TEMP && !is_expired(f)) {
		put_off(f, f->verdict.text);
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
		stored(f);
	else
		tell_owner(f);
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
static struct str address_of(const struct file *f, const struct msg_local_user_is *m, const struct config *c)
{
	bool is_program = f->t.uid < PEOPLE_FROM || f->t.uid == NOBODY;

	return m->sender.n == 0 || (is_program && str_eq(m->sender, m->login)) ? c->postmaster : m->sender;
}

static void on_owner(void *ctx, struct verdict v, const struct msg_local_user_is *m, int fd)
{
	struct file *f = ctx;
	struct pickup *p = f->pickup;
	const struct config *c = role_config(p->role);
	struct str held =
		f->verdict.class == OK || f->reading.after > 0 ? S("") : str_of(held_path(&f->reading.arena, p->path, &f->t));

	if (!m) {
		report_failed(f, S("login does not answer"));
		return;
	}
	f->owner = (struct local_recipient){ .address = arena_str(&f->reading.arena, address_of(f, m, c)) };
	f->report_fd = report_write(&f->reading, c, &f->t, f->verdict, f->owner.address, held);
	f->socket = f->report_fd >= 0 ? open_session(p, 0, 0, 0) : -1; /* root is allowed to write as the relay */
	if (f->socket < 0) {
		if (f->report_fd >= 0)
			close(f->report_fd);
		report_failed(f, S("submission is away"));
		return;
	}
	uv_queue_work(role_loop(p->role), &f->work, work_report, on_reported);
}

static void on_told(void *ctx, struct verdict v, const struct msg_postmaster_told *m, int fd)
{
}

/* Nobody can be told by a report: the postmaster hears by a notice, and the file stays. */
static void tell_postmaster(struct file *f, struct str why)
{
	struct arena *a = &f->reading.arena;
	const char *held = held_path(a, f->pickup->path, &f->t);
	struct msg_tell_postmaster m = {
		.subject = S("Mail of a program on this machine could not be sent"),
		.words = arena_printf(
			a,
			"A message that the user with the number %llu has dropped was refused. %.*s.\n\nThe answer to the "
			"message:\n    %.*s\nThe answer to the report:\n    %.*s\n\nThe message is kept in:\n    %s\n",
			(unsigned long long)f->t.uid, STR_ARG(why),
			STR_ARG(f->verdict.class != OK ? f->verdict.text : S("some recipients were refused")),
			STR_ARG(f->report_verdict.text), held),
	};

	ipc_call_tell_postmaster(role_peer(f->pickup->role, ROLE_QUEUE, 0), &m, -1, on_told, NULL);
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
		tell_postmaster(f, S("The report about it to that user was refused too"));
	}
	if ((f->verdict.class == OK || f->reading.after > 0) && f->report_verdict.class == OK)
		stored(f);
	else
		keep(f);
}
