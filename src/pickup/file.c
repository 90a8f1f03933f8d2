/* file.c - the way of one file: handed over, then removed, put off, or kept when its owner has been told that it was refused.
 *
 * In the order of what happens: file_begin, (on_shown), hand_over, on_handed_over; then stored, or put_off, or tell_owner,
 * on_owner, on_reported, keep. */
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
#define REPORTS_HOUR 60               /* further ones are only logged: somebody drops rubbish */
#define PEOPLE_FROM  1000             /* users below have no mailbox, as local_recipient() has it */
#define NOBODY       65534

static void on_shown(void *ctx, struct verdict v, const struct msg_queue_shown *m, int fd);
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

/* The message is in the queue, or its owner has been told: the file can go. */
static void stored(struct file *f)
{
	f->pickup->handed_over++;
	log_info(&(struct log){ .message = f->t.id }, "pickup.done", kv("uid", f->t.uid));
	unlink(f->path);
	forget(f);
}

/* It stays under a name that the administrator can see. */
static void keep(struct file *f)
{
	const char *held = held_path(&f->reading.arena, f->pickup->path, &f->t);

	if (rename(f->path, held) != 0)
		log_error(&(struct log){ .message = f->t.id }, "pickup.failed", kv("path", held), kv("reason", strerror(errno)));
	f->pickup->refused++;
	forget(f);
}

/* No report can be made now. What was not stored is tried again; what was has no other try, so the file stays. */
static void report_failed(struct file *f, struct str reason)
{
	if (f->verdict.class != OK) {
		put_off(f, reason);
		return;
	}
	log_error(&(struct log){ .message = f->t.id }, "pickup.unreported", kv("uid", f->t.uid), kv("reason", reason));
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

static void work_hand_over(uv_work_t *work)
{
	struct file *f = work->data;

	f->verdict = reading_open(&f->reading, f->path, f->t.uid, f->size_max);
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
	f->size_max = role_config(f->pickup->role)->limits.message_size;
	f->work.data = f;
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
	if (f->unsure)
		ipc_call_queue_show(role_peer(p->role, ROLE_QUEUE, 0), &ask, -1, on_shown, f);
	else
		hand_over(f);
}

static void on_shown(void *ctx, struct verdict v, const struct msg_queue_shown *m, int fd)
{
	struct file *f = ctx;

	if (m && m->verdict.class == OK)
		stored(f);
	else if (m && m->verdict.class == PERM)
		hand_over(f);
	else
		put_off(f, S("the queue does not answer"));
}

static bool some_refused(const struct file *f)
{
	for (size_t i = 0; i < f->reading.message.recipients_n; i++)
		if (f->reading.message.recipients[i].verdict.class == PERM)
			return true;
	return false;
}

/* Its sender must hear of it, unless too many such files come: then the log and the directory have to do. */
static void tell_owner(struct file *f)
{
	struct pickup *p = f->pickup;
	uint64_t now = clock_mono_ms();

	log_warning(&(struct log){ .message = f->t.id }, "pickup.refused", kv("uid", f->t.uid),
		    kv("reply", f->verdict.class != OK ? f->verdict.text : S("some recipients were refused")));
	if (now - p->reports_since >= HOUR_MS) {
		p->reports_since = now;
		p->reports = 0;
	}
	if (p->reports++ >= REPORTS_HOUR) {
		keep(f);
		return;
	}
	ipc_call_local_user(role_peer(p->role, ROLE_LOGIN, 0), &(struct msg_local_user){ .uid = f->t.uid }, -1, on_owner, f);
}

static void on_handed_over(uv_work_t *work, int status)
{
	struct file *f = work->data;
	struct pickup *p = f->pickup;
	uint64_t now = clock_now_ms(), lifetime = role_config(p->role)->queue.lifetime_ms;

	if (f->verdict.class == TEMP && f->verdict.code == 0) {
		forget(f); /* an administrator has removed it */
		return;
	}
	if (f->verdict.class == TEMP && (now < f->t.dropped_at || now - f->t.dropped_at < lifetime)) {
		put_off(f, f->verdict.text);
		return;
	}
	if (f->verdict.class == TEMP)
		f->verdict = perm(554, S("5.4.7"),
				  arena_printf(&f->reading.arena, "it could not be taken over in time, the last reason was: %.*s",
					       STR_ARG(f->verdict.text)));
	if (f->verdict.class == OK && !some_refused(f))
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
	struct str held = f->verdict.class == OK ? S("") : str_of(held_path(&f->reading.arena, p->path, &f->t));

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
static void tell_postmaster(struct file *f)
{
	struct arena *a = &f->reading.arena;
	const char *held = held_path(a, f->pickup->path, &f->t);
	struct msg_tell_postmaster m = {
		.subject = S("Mail of a program on this machine could not be sent"),
		.words = arena_printf(
			a,
			"A message that the user with the number %llu has dropped was refused, and so was the report to "
			"that user.\n\nThe answer to the message:\n    %.*s\nThe answer to the report:\n    %.*s\n\nThe message "
			"is kept in:\n    %s\n",
			(unsigned long long)f->t.uid, STR_ARG(f->verdict.text), STR_ARG(f->report_verdict.text), held),
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
		tell_postmaster(f);
	}
	if (f->verdict.class == OK && f->report_verdict.class == OK)
		stored(f);
	else
		keep(f);
}
