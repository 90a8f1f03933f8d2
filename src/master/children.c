/* children.c - the processes of the roles: started, wired to each other, watched, started again. */
#include "command.h"
#include "master.h"

#include "posthouse/clock.h"
#include "posthouse/log.h"
#include "posthouse/units.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define LONG_LIFE_MS      MINUTE_MS /* a role that has lived this long is restarted without a long pause */
#define BACK_OFF_FIRST_MS 100
#define BACK_OFF_MAX_MS   30000
#define RENEWAL_MS        5000 /* beyond the shutdown grace */
#define MESSAGES_PER_S    1000 /* of one role: command lines that ask for status without a pause send some hundreds */
#define SHORT_LIVES_MAX   3    /* in a row, after its program file was replaced: then the new program is at fault */

/* A drop directory that is there and belongs to the user of the roles: pickup can use no other. What is there and cannot be used
 * is logged when that is new. */
static void look_for_drop_directory(struct master *m)
{
	struct str path = m->config->local.drop;
	struct arena a = { 0 };
	struct stat st;
	bool exists = path.n > 0 && lstat(arena_cstr(&a, path), &st) == 0;
	const char *wrong = !exists                                   ? NULL
			    : !S_ISDIR(st.st_mode)                    ? "it is no directory"
			    : st.st_uid != m->users.of[AS_RUN_AS].uid ? "it does not belong to the user run_as"
								      : NULL;

	m->has_drop = exists && !wrong;
	if (wrong && !m->drop_is_wrong)
		log_warning(NULL, "pickup.unusable", kv("path", path), kv("reason", wrong));
	m->drop_is_wrong = wrong != NULL;
	arena_fini(&a);
}

/* Of fetch: tokens are fetched unless a command prints them. */
static bool fetches(const struct config *c)
{
	for (size_t i = 0; i < c->upstreams_n; i++)
		if (c->upstreams[i].oauth.provider != OAUTH_NONE && c->upstreams[i].oauth.grant != GRANT_COMMAND)
			return true;
	return false;
}

bool child_is_needed(const struct child *c)
{
	const struct config *config = c->master->config;

	if (role_facts[c->role].instances != WHEN_NEEDED)
		return true;
	if (c->role == ROLE_DOCTOR)
		return config->doctor.daily;
	if (c->role == ROLE_PICKUP)
		return c->master->has_drop;
	if (c->role == ROLE_WEB)
		return config->metrics.n > 0;
	if (c->role == ROLE_TLSPOLICY)
		return config->delivery.uses_mta_sts || config->tls_report.from.n > 0;
	return fetches(config) || config->delivery.uses_mta_sts || config->tls_report.from.n > 0;
}

static bool all_children_ready(const struct master *m)
{
	for (size_t i = 0; i < m->children_n; i++)
		if (m->children[i].state != CHILD_READY && child_is_needed(&m->children[i]))
			return false;
	return true;
}

void child_ready(struct child *c)
{
	struct master *m = c->master;
	bool fresh = c->state == CHILD_APPLYING;

	if (!fresh)
		return; /* after a reload a role says `ready` too */
	if (c->generation != m->generation) {
		child_renew(c, S("the configuration was reloaded while it started"));
		return;
	}
	c->state = CHILD_READY;
	c->renewed = false;
	log_at(m->all_ready ? LOG_INFO : LOG_DEBUG, NULL, "role.ready", kv("started", role_name(c->role)), kv("number", c->index),
	       kv("pid", (int)c->pid));
	child_wire(c);
	if (m->all_ready) {
		child_give_sockets(c);
	} else if (all_children_ready(m)) {
		m->all_ready = true;
		for (size_t i = 0; i < m->children_n; i++)
			child_give_sockets(&m->children[i]);
		log_info(NULL, "master.ready", kv("version", POSTHOUSE_VERSION), kv("hostname", m->config->hostname),
			 kv("workers", m->workers), kv("took_ms", clock_now_ms() - m->started_at));
		notify("READY=1");
	}
}

/* ---- starting ---- */
static void on_process_exit(uv_process_t *process, int64_t status, int signal);
static void on_channel_closed(void *ctx, struct channel *ch, const char *reason);
static void start_child(struct child *c);

static void on_back_off(uv_timer_t *timer)
{
	struct child *c = timer->data;

	if (!c->master->stopping && c->state == CHILD_AWAY && !c->process_open && child_is_needed(c))
		start_child(c);
}

/* The pause doubles with each process that has ended soon after its start. */
static void start_later(struct child *c)
{
	uint64_t pause = BACK_OFF_FIRST_MS;

	for (unsigned i = 1; i < c->failures && pause < BACK_OFF_MAX_MS; i++)
		pause *= 2;
	uv_timer_start(&c->back_off, on_back_off, pause > BACK_OFF_MAX_MS ? BACK_OFF_MAX_MS : pause, 0);
}

static void start_failed(struct child *c, const char *what, const char *why)
{
	log_error(NULL, "role.start_failed", kv("failed", role_name(c->role)), kv("what", what), kv("error", why));
	c->failures++;
	if (c->master->all_ready)
		start_later(c);
	else
		master_stop(c->master, EX_OSERR);
}

static void start_child(struct child *c)
{
	struct master *m = c->master;
	struct channel_config config = { .self = ROLE_MASTER,
					 .peer = c->role,
					 .peer_index = c->index,
					 .incarnation = 1,
					 .messages_per_s = MESSAGES_PER_S,
					 .handlers = &master_handlers,
					 .on_closed = on_channel_closed,
					 .ctx = m };
	int ends[2], log_fd, error;

	if (m->stopping)
		return;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
		start_failed(c, "socketpair", strerror(errno));
		return;
	}
	log_fd = logs_pipe(m, c, S(""));
	c->incarnation = ++m->last_incarnation;
	c->offered = 0;
	error = child_spawn(c, ends[1], log_fd, on_process_exit);
	close(ends[1]);
	close(log_fd);
	if (error) {
		close(ends[0]);
		uv_close((uv_handle_t *)&c->process, NULL); /* libuv needs a close also after a failed spawn */
		start_failed(c, "spawn", uv_strerror(error));
		return;
	}
	c->process_open = true;
	c->pid = c->process.pid;
	c->started_at = clock_now_ms();
	c->started_mono = clock_mono_ms();
	c->state = CHILD_CONFIGURED;
	c->ch = channel_new(m->loop, ends[0], &config);
	configure_child(c);
}

/* ---- ending ---- */
/* When a role breaks the rules, its channel closes first. A process without its channel to master is useless, so it is killed. */
static void on_channel_closed(void *ctx, struct channel *ch, const char *reason)
{
	struct child *c = child_of(ctx, ch);

	if (c && c->ch == ch) {
		c->ch = NULL;
		if (channel_end(ch) == CHANNEL_OTHER_BUILD)
			master_outdated(c->master, c, "its messages are those of another build");
		if (c->process_open && c->state != CHILD_STOPPING && channel_end(ch) != CHANNEL_PEER_GONE)
			child_kill(c, SIGKILL, reason);
		reload_child_lost(c->master, c);
	}
	commands_end(ctx, ch);
	channel_free(ch);
}

/* When queue dies, relay must die too: otherwise the old relay and the new queue could deliver the same message twice. */
static void end_partner(struct child *c)
{
	struct child *relay = child_find(c->master, ROLE_RELAY, 0);

	if (c->role != ROLE_QUEUE || !relay->process_open || c->master->stopping)
		return;
	relay->renewed |= c->renewed;
	child_kill(relay, SIGKILL, "queue has died");
}

static void restart(struct child *c)
{
	struct master *m = c->master;
	struct child *relay = child_find(m, ROLE_RELAY, 0), *queue = child_find(m, ROLE_QUEUE, 0);

	if (c->role == ROLE_QUEUE && relay->process_open)
		return; /* the end of relay's process starts both again */
	if (c == relay && queue->state == CHILD_AWAY && !queue->process_open && !uv_is_active((uv_handle_t *)&queue->back_off))
		start_later(queue);
	start_later(c);
}

static void on_process_closed(uv_handle_t *h)
{
	struct child *c = h->data;

	c->process_open = false;
	c->state = CHILD_AWAY;
	if (c->master->stopping || !c->master->all_ready)
		master_child_gone(c->master);
	else
		restart(c);
}

static void on_process_exit(uv_process_t *process, int64_t status, int signal)
{
	struct child *c = process->data;
	struct master *m = c->master;
	bool needed = child_is_needed(c);

	if (!m->stopping && needed && !(c->renewed && c->state == CHILD_STOPPING)) {
		m->deaths[c->role]++;
		log_error(NULL, "role.died", kv("dead", role_name(c->role)), kv("number", c->index), kv("pid", (int)c->pid),
			  kv("status", (long long)status), kv("signal", signal));
	}
	c->failures = !needed ? 0 : clock_mono_ms() - c->started_mono > LONG_LIFE_MS ? 1 : c->failures + 1;
	child_unwatch(c);
	c->state = CHILD_STOPPING; /* there is nothing left to be killed */
	if (c->ch)
		channel_close(c->ch, "the process has ended");
	if (c->failures >= SHORT_LIVES_MAX && program_was_replaced())
		master_outdated(m, c, "it ends at once, again and again");
	end_partner(c);
	uv_close((uv_handle_t *)process, on_process_closed);
}

/* ---- all of them ---- */
static void add_child(struct master *m, enum role_id role, unsigned index)
{
	struct child *c = &m->children[m->children_n++];

	*c = (struct child){ .master = m, .role = role, .index = index };
	uv_timer_init(m->loop, &c->back_off);
	uv_timer_init(m->loop, &c->rewire);
	uv_timer_init(m->loop, &c->insist);
	c->back_off.data = c->rewire.data = c->insist.data = c;
}

/* The directory can come after the start, or get another owner. Pickup itself sees when one that it uses goes. */
void children_look_again(struct master *m)
{
	struct child *pickup = child_find(m, ROLE_PICKUP, 0);

	if (m->stopping || m->reload || !m->all_ready || m->has_drop)
		return;
	look_for_drop_directory(m);
	if (m->has_drop && pickup->state == CHILD_AWAY && !pickup->process_open &&
	    !uv_is_active((uv_handle_t *)&pickup->back_off)) {
		pickup->renewed = true;
		start_child(pickup);
	}
}

void children_follow_config(struct master *m)
{
	look_for_drop_directory(m);
	for (size_t i = 0; i < m->children_n; i++) {
		struct child *c = &m->children[i];
		bool needed = child_is_needed(c);

		c->failures = 0; /* what ended it so soon can be mended now */
		c->renewed |= needed && m->all_ready && c->state != CHILD_READY;
		if (needed && c->state == CHILD_AWAY && !c->process_open && !uv_is_active((uv_handle_t *)&c->back_off)) {
			start_child(c);
		} else if (!needed && c->state == CHILD_READY) {
			c->state = CHILD_STOPPING;
			ipc_send_stop(c->ch, &(struct msg_stop){ .grace_ms = m->config->shutdown_grace_ms }, -1);
		}
	}
}

void child_renew(struct child *c, struct str reason)
{
	const struct master *m = c->master;

	if (m->stopping || !m->all_ready || !c->ch || c->state == CHILD_STOPPING)
		return;
	log_info(NULL, "role.outgrown", kv("outgrown", role_name(c->role)), kv("number", c->index), kv("reason", reason));
	c->renewed = true;
	c->state = CHILD_STOPPING;
	ipc_send_stop(c->ch, &(struct msg_stop){ .grace_ms = m->config->shutdown_grace_ms }, -1);
	child_insist(c, m->config->shutdown_grace_ms + RENEWAL_MS);
}

static unsigned instances_of(const struct master *m, enum role_id role)
{
	return role_facts[role].instances == PER_WORKER ? m->workers : 1;
}

void children_init(struct master *m)
{
	list_init(&m->commands);
	for (unsigned place = 1; place <= ROLE_COUNT; place++)
		for (unsigned role = 0; role < ROLE_COUNT; role++)
			for (unsigned i = 0; role_facts[role].start == place && i < instances_of(m, role); i++)
				add_child(m, role, i);
	children_follow_config(m);
}
