/* watch.c - pings the roles, kills those that do not answer, and detects that the program files were replaced. */
#include "master.h"

#include "posthouse/log.h"

#include <signal.h>
#include <sysexits.h>
#include <unistd.h>

#define INSIST_MS 5000 /* SIGABRT leaves a core file; a process that is stopped (SIGSTOP) ignores it */

/* ---- ending one ---- */
static void on_insist(uv_timer_t *timer)
{
	struct child *c = timer->data;

	child_kill(c, SIGKILL, c->renewed ? "it did not stop in time" : "it did not end by SIGABRT");
}

void child_insist(struct child *c, uint64_t within_ms)
{
	uv_timer_start(&c->insist, on_insist, within_ms, 0);
}

void child_kill(struct child *c, int signal, const char *reason)
{
	if (!c->process_open)
		return;
	log_warning(NULL, "role.killed", kv("killed", role_name(c->role)), kv("number", c->index), kv("signal", signal),
		    kv("reason", reason));
	c->state = CHILD_STOPPING;
	uv_process_kill(&c->process, signal);
	if (signal == SIGABRT)
		child_insist(c, INSIST_MS);
}

/* ---- watching ---- */
/* Is an answer expected? During its first configuration a role has a deadline of its own. */
static bool is_watched(const struct child *c)
{
	return c->process_open && c->ch && (c->state == CHILD_READY || c->state == CHILD_APPLYING);
}

static void on_pong(void *ctx, struct verdict v, const struct msg_pong *m, int fd)
{
	struct child *c = ctx;

	c->ping = 0;
	if (v.class != OK && is_watched(c))
		child_kill(c, SIGABRT, "no answer to a ping for 30 s");
}

void children_ping(struct master *m)
{
	log_settle(false);
	for (size_t i = 0; i < m->children_n; i++) {
		struct child *c = &m->children[i];

		if (is_watched(c) && !c->ping)
			c->ping = ipc_call_ping(c->ch, &(struct msg_ping){ 0 }, -1, on_pong, c);
	}
}

void child_unwatch(struct child *c)
{
	ipc_cancel(c->ping);
	c->ping = 0;
	uv_timer_stop(&c->insist);
}

/* ---- an upgrade under a running relay ---- */
bool program_was_replaced(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path);

	return n > 0 && str_ends(str_make(path, (size_t)n), S(" (deleted)"));
}

void master_outdated(struct master *m, const struct child *c, const char *why)
{
	if (m->stopping)
		return;
	log_error(NULL, "master.outdated", kv("by", role_name(c->role)), kv("reason", why));
	master_stop(m, EX_TEMPFAIL);
}
