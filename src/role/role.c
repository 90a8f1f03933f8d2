/* role.c - the frame of every role. Descriptor 3 is the channel to master; 4 is the lock of the state directory, which the role
 * only keeps. */
#include "posthouse/file.h"
#include "posthouse/role.h"

#include "arguments.h"
#include "confine.h"
#include "privileges.h"
#include "posthouse/clock.h"
#include "posthouse/log.h"
#include "posthouse/secret.h"
#include "posthouse/units.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define MASTER_FD  3
#define WORKING_MS 1000
#define SLICE_MAX  (64 * MIB)

struct role {
	const struct role_ops *ops;
	struct ipc_handlers handlers;        /* for messages of peers: those of the role, and `stats` of the frame */
	struct ipc_handlers master_handlers; /* for messages of master */
	uv_loop_t *loop;
	struct channel *master;
	struct channel *peers[ROLE_COUNT][ROLE_PEERS_MAX];
	unsigned index;
	uint64_t incarnation;
	uint64_t started_at; /* ms UTC */
	struct config *config, *next;
	uint64_t next_generation;
	bool started, starting, outgrown, stopping, stopped;
	struct busy busy;
	uint64_t start_call; /* the call `configure` that is answered when the start is complete */
	uv_timer_t working;
	void *data;
	struct figures figures;
};

static struct role frame;

uv_loop_t *role_loop(struct role *r)
{
	return r->loop;
}

const struct config *role_config(struct role *r)
{
	return r->config;
}

unsigned role_index(struct role *r)
{
	return r->index;
}

uint64_t role_incarnation(struct role *r)
{
	return r->incarnation;
}

bool role_stopping(struct role *r)
{
	return r->stopping;
}

struct channel *role_peer(struct role *r, enum role_id peer, unsigned index)
{
	if (peer == ROLE_MASTER)
		return r->master;
	return index < ROLE_PEERS_MAX ? r->peers[peer][index] : NULL;
}

void role_set_data(struct role *r, void *data)
{
	r->data = data;
}

void *role_data(struct role *r)
{
	return r->data;
}

/* ---- configuration ---- */
/* Read the slice from its memfd. NULL: it cannot be decoded. A file that is not mapped can shrink without harm. */
static struct config *read_slice(enum role_id role, int fd)
{
	struct config *c = NULL;
	struct stat st;
	size_t size;
	char *bytes;

	if (fstat(fd, &st) != 0 || st.st_size <= 0 || (uint64_t)st.st_size > SLICE_MAX)
		return NULL;
	size = (size_t)st.st_size;
	bytes = xmalloc(size);
	if (file_read_at(fd, bytes, size, 0) == st.st_size)
		c = config_slice_decode(role, str_make(bytes, size));
	wipe(bytes, size);
	free(bytes);
	return c;
}

/* The role starts with its first configuration, which is in force at once. */
static struct verdict start_with(struct role *r, struct config *c)
{
	struct verdict v;

	r->config = c;
	log_configure(c->log.format == LOG_FORMAT_JSON, (enum log_level)c->log.level);
	if (role_facts[r->ops->id].can & CAN_START_EARLY)
		confine(r->ops->id, c);
	v = r->ops->start ? r->ops->start(r) : ok();
	if (v.class == OK && !r->starting)
		r->started = true;
	return v;
}

static void on_working(uv_timer_t *timer)
{
	struct role *r = timer->data;

	ipc_send_working(r->master, &(struct msg_working){ 0 }, -1);
}

void role_start_later(struct role *r)
{
	r->starting = true;
	r->working.data = r;
	uv_timer_init(r->loop, &r->working);
	uv_timer_start(&r->working, on_working, WORKING_MS, WORKING_MS);
}

void role_started(struct role *r, struct verdict v)
{
	struct msg_configured answer = { .call = r->start_call, .generation = r->next_generation, .verdict = v };

	if (!r->starting)
		return;
	r->starting = false;
	r->started = v.class == OK;
	uv_timer_stop(&r->working);
	ipc_send_configured(r->master, &answer, -1);
}

static void handle_configure(void *ctx, struct channel *ch, const struct msg_configure *m, int fd)
{
	struct role *r = ctx;
	struct msg_configured answer = { .call = m->call, .generation = m->generation };
	struct config *c = read_slice(r->ops->id, fd);

	close(fd);
	if (!c) {
		answer.verdict =
			perm(CONFIGURED_OTHER_BUILD, S(""), S("restart after upgrade: the configuration slice cannot be read"));
		ipc_send_configured(ch, &answer, -1);
		return;
	}
	if (r->starting) {
		config_free(c);
		answer.verdict = temp(0, S(""), S("it is still starting"));
		ipc_send_configured(ch, &answer, -1);
		return;
	}
	config_free(r->next);
	r->next = NULL;
	answer.verdict = r->ops->configure ? r->ops->configure(r, c) : ok();
	if (answer.verdict.class == OK && !r->started)
		answer.verdict = start_with(r, c);
	else if (answer.verdict.class == OK)
		r->next = c;
	else
		config_free(c);
	r->next_generation = m->generation;
	r->start_call = m->call;
	if (!r->starting)
		ipc_send_configured(ch, &answer, -1);
}

/* master stops this process and starts another one, whose walls leave more open. */
static void tell_outgrown(struct role *r, struct str reason)
{
	if (reason.n > 0 && !r->outgrown && !r->stopping)
		ipc_send_outgrown(r->master, &(struct msg_outgrown){ .reason = reason }, -1);
	r->outgrown = r->outgrown || reason.n > 0;
}

static void handle_apply(void *ctx, struct channel *ch, const struct msg_apply *m, int fd)
{
	struct role *r = ctx;
	struct msg_ready ready = { .generation = m->generation };
	struct arena a = { 0 };
	struct config *old = NULL;

	if (!r->started || m->generation != r->next_generation) {
		channel_close(ch, "apply without configure");
		return;
	}
	confine(r->ops->id, r->config);
	if (r->next) {
		old = r->config;
		r->config = r->next;
		r->next = NULL;
		log_configure(r->config->log.format == LOG_FORMAT_JSON, (enum log_level)r->config->log.level);
	}
	if (r->ops->apply)
		r->ops->apply(r);
	config_free(old);
	ipc_send_ready(ch, &ready, -1);
	if (old)
		tell_outgrown(r, confine_lack(&a, r->config));
	arena_fini(&a);
}

static void handle_abandon(void *ctx, struct channel *ch, const struct msg_abandon *m, int fd)
{
	struct role *r = ctx;

	if (r->ops->abandon)
		r->ops->abandon(r);
	config_free(r->next);
	r->next = NULL;
}

/* ---- peers ---- */
/* Usually the peer has ended, and master knows. If it still runs, master makes a new channel. */
static void tell_loss(struct role *r, const struct channel *ch, const char *reason)
{
	struct msg_peer_lost m = { .role = channel_peer(ch),
				   .index = channel_peer_index(ch),
				   .incarnation = channel_peer_incarnation(ch),
				   .reason = str_of(reason) };

	if (!r->stopping)
		ipc_send_peer_lost(r->master, &m, -1);
}

static void on_peer_closed(void *ctx, struct channel *ch, const char *reason)
{
	struct role *r = ctx;
	struct channel **slot = &r->peers[channel_peer(ch)][channel_peer_index(ch)];

	if (*slot == ch) {
		*slot = NULL;
		/* master logs an error when a role dies; here the cause can also be a stop, or a peer that breaks the rules */
		log_at(channel_end(ch) == CHANNEL_BROKEN ? LOG_WARNING : LOG_DEBUG, NULL, "role.disconnected",
		       kv("peer", role_name(channel_peer(ch))), kv("peer_index", channel_peer_index(ch)), kv("reason", reason));
		if (r->ops->peer_down)
			r->ops->peer_down(r, ch);
		tell_loss(r, ch, reason);
	}
	channel_free(ch);
}

static bool takes_messages(void *ctx)
{
	const struct role *r = ctx;

	return r->started && r->data != NULL;
}

static void handle_connect(void *ctx, struct channel *ch, const struct msg_connect *m, int fd)
{
	struct role *r = ctx;
	struct channel_config config = { .self = r->ops->id,
					 .peer = (enum role_id)m->role,
					 .self_index = r->index,
					 .peer_index = (unsigned)m->index,
					 .incarnation = r->incarnation,
					 .peer_incarnation = m->incarnation,
					 .handlers = &r->handlers,
					 .takes = takes_messages,
					 .on_closed = on_peer_closed,
					 .ctx = r };
	struct channel **slot, *old;

	if (m->role >= ROLE_COUNT || m->index >= ROLE_PEERS_MAX) {
		close(fd);
		channel_close(ch, "connect names no role");
		return;
	}
	slot = &r->peers[m->role][m->index];
	old = *slot;
	*slot = channel_new(r->loop, fd, &config);
	if (old) {
		if (r->ops->peer_down)
			r->ops->peer_down(r, old);
		channel_close(old, "replaced");
	}
	if (r->ops->peer_up)
		r->ops->peer_up(r, *slot);
}

static void handle_listener(void *ctx, struct channel *ch, const struct msg_listener *m, int fd)
{
	struct role *r = ctx;

	if (r->ops->listener) {
		r->ops->listener(r, (unsigned)m->listen, fd);
	} else {
		close(fd);
		channel_close(ch, "a listener for a role that does not listen");
	}
}

/* ---- life ---- */
static void handle_ping(void *ctx, struct channel *ch, const struct msg_ping *m, int fd)
{
	struct role *r = ctx;
	struct arena a = { 0 };

	ipc_send_pong(ch, &(struct msg_pong){ .call = m->call }, -1);
	tell_outgrown(r, confine_moved(&a));
	arena_fini(&a);
	log_settle(false);
}

static void handle_stop(void *ctx, struct channel *ch, const struct msg_stop *m, int fd)
{
	struct role *r = ctx;

	if (r->stopping)
		return;
	r->stopping = true;
	log_debug(NULL, "role.stopping", kv("grace_ms", m->grace_ms));
	if (r->ops->stop && (r->started || r->starting))
		r->ops->stop(r, m->grace_ms);
	busy_wait(&r->busy);
}

static void on_idle(void *ctx)
{
	struct role *r = ctx;

	if (r->stopped)
		return;
	if (r->ops->idle)
		r->ops->idle(r);
	else
		role_stopped(r);
}

void role_busy(struct role *r, int change)
{
	busy_change(&r->busy, change);
}

static void on_last_turn(uv_timer_t *timer)
{
	struct role *r = timer->data;

	if (!r->master || channel_queued(r->master) == 0)
		uv_stop(r->loop);
}

void role_stopped(struct role *r)
{
	static uv_timer_t last;

	if (r->stopped)
		return;
	r->stopped = true;
	ipc_send_stopped(r->master, &(struct msg_stopped){ 0 }, -1);
	last.data = r;
	uv_timer_init(r->loop, &last);
	uv_timer_start(&last, on_last_turn, 0, 10); /* the loop ends when the kernel has taken the message */
}

/* master has died or has closed the channel: nobody can configure or stop this role any more. */
static void on_master_closed(void *ctx, struct channel *ch, const char *reason)
{
	struct role *r = ctx;

	if (r->stopping)
		_exit(EX_OK);
	log_warning(NULL, "role.orphaned", kv("reason", reason));
	_exit(EX_TEMPFAIL);
}

/* ---- figures ---- */
void role_stat_of(struct role *r, enum metric metric, struct str label, uint64_t value, struct str text)
{
	assert(metric_is_of(metric, r->ops->id));
	figures_add(&r->figures, metric, label, value, text);
}

void role_tally(struct role *r, enum metric metric, const struct tally *t)
{
	assert(metric_is_of(metric, r->ops->id));
	figures_tally(&r->figures, metric, t);
}

void role_histogram(struct role *r, enum metric metric, const struct histogram *h)
{
	assert(metric_is_of(metric, r->ops->id));
	figures_histogram(&r->figures, metric, h);
}

struct figures *role_figures(struct role *r)
{
	figures_fini(&r->figures);
	if (r->ops->stats)
		r->ops->stats(r);
	figures_process(&r->figures, r->started_at);
	confine_figures(&r->figures);
	return &r->figures;
}

static void handle_stats(void *ctx, struct channel *ch, const struct msg_stats *m, int fd)
{
	figures_send(role_figures(ctx), ch, m->call);
}

/* ---- start ---- */
int role_main(int argc, char **argv, const struct role_ops *ops)
{
	struct role *r = &frame;
	struct channel_config master = { .self = ops->id, .peer = ROLE_MASTER, .on_closed = on_master_closed, .ctx = r };

	read_arguments(argc, argv, &r->index, &r->incarnation);
	privileges_begin();
	figures_begin();
	log_setup(role_name(ops->id), role_facts[ops->id].instances == PER_WORKER ? (int)r->index : -1);
	r->ops = ops;
	r->started_at = clock_now_ms();
	r->loop = uv_default_loop();
	busy_init(&r->busy, r->loop, on_idle, r);
	if (ops->handlers)
		r->handlers = r->master_handlers = *ops->handlers;
	r->handlers.stats = handle_stats;
	r->master_handlers.configure = handle_configure;
	r->master_handlers.apply = handle_apply;
	r->master_handlers.abandon = handle_abandon;
	r->master_handlers.connect = handle_connect;
	r->master_handlers.listener = handle_listener;
	r->master_handlers.ping = handle_ping;
	r->master_handlers.stop = handle_stop;
	master.self_index = r->index;
	master.incarnation = r->incarnation;
	master.handlers = &r->master_handlers;
	r->master = channel_new(r->loop, MASTER_FD, &master);
	uv_run(r->loop, UV_RUN_DEFAULT);
	log_settle(true);
	log_debug(NULL, "role.ended");
	return EX_OK;
}
