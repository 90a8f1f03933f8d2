/* master.h - `posthouse serve`: reads files, opens sockets, starts, watches, re-wires and restarts roles, reloads, writes the log. */
#ifndef POSTHOUSE_MASTER_H
#define POSTHOUSE_MASTER_H

#include "posthouse/config.h"
#include "posthouse/ipc.h"

#include <sys/types.h>

#define WORKERS_MAX 48 /* 6 bits of a message id, and the peers of a role */

enum child_state {
	CHILD_AWAY,       /* no process; a timer may bring the next */
	CHILD_CONFIGURED, /* process started, configuration sent */
	CHILD_APPLYING,   /* has taken it, and is to say that it is ready */
	CHILD_READY,      /* applied: wired to its peers */
	CHILD_STOPPING,   /* told to stop, or killed */
};

/* One role's place: the process in it changes, the place stays. */
struct child {
	struct master *master;
	enum role_id role;
	unsigned index;
	enum child_state state;
	bool process_open; /* `process` is a running process, not yet reaped */
	uv_process_t process;
	pid_t pid;
	struct channel *ch;
	uint64_t incarnation;
	uint64_t generation; /* of the configuration that it was started with */
	uint64_t started_at; /* ms UTC */
	uint64_t started_mono;
	unsigned failures;  /* short lives in a row */
	uint64_t offered;   /* number of the configuration that this process was asked about, in a reload */
	struct child *lost; /* a peer to be wired to again */
	uint64_t lost_incarnation, rewired_mono;
	uint64_t rewires; /* in quick succession */
	uv_timer_t rewire;
	uv_timer_t back_off;
	uv_timer_t insist;          /* after SIGABRT */
	uint64_t ping, configuring; /* numbers of open calls; 0: none */
};

struct master {
	uv_loop_t *loop;
	const char *config_path;
	struct config *config;
	uint64_t generation; /* of the configuration in force */
	uint64_t offers;     /* numbers given to configurations */
	uint64_t started_at;
	uid_t uid; /* what roles become when we are root */
	gid_t gid;
	bool drop;
	int lock_fd;
	int control_fd;
	int control_dir_fd; /* the directory that the control socket is in, and its name there */
	char *control_name;
	struct child children[WORKERS_MAX + 8];
	size_t children_n;
	int *listeners; /* workers x listening sockets */
	unsigned *listener_of;
	size_t sockets_n; /* per worker */
	unsigned workers;
	uint64_t last_incarnation;
	bool all_ready; /* the first start has succeeded */
	bool stopping;
	int exit_code;
	uv_timer_t ping_timer, stop_timer;
	uv_signal_t signals[4];
	struct reload *reload;
};

/* ---- sockets.c ---- */
/* Take the lock of the state directory (made if missing, for the run_as user); waits up to 10 s, then dies with 75. */
void lock_state_dir(struct master *m);
/* Bind everything; dies when that fails. */
void open_sockets(struct master *m);
void close_listeners(struct master *m);
void remove_control_socket(struct master *m);

/* ---- spawn.c ---- */
/* Start the child's program with these ends of its channel and its log; a code of libuv. */
int child_spawn(struct child *c, int channel_fd, int log_fd, uv_exit_cb on_exit);

/* ---- wiring.c ---- */
/* Give a fresh child a channel to each of its peers that is ready. */
void child_wire(struct child *c);
/* A role gets its listening sockets after its peers, so that the first client meets a complete relay. */
void child_give_sockets(struct child *c);
/* A role says that its channel to another one has closed. If both still live in a moment, they are wired again. A role that needs that all
 * the time is ended, and so is a role that names a peer which roles.def does not give it: its word must not end other roles. */
void child_lost_peer(struct child *c, const struct msg_peer_lost *m);

/* ---- children.c ---- */
void children_init(struct master *m);
void child_ready(struct child *c);
struct child *child_of(struct master *m, const struct channel *ch);
struct child *child_find(struct master *m, enum role_id role, unsigned index);

/* ---- watch.c ---- */
/* End it; SIGABRT is followed by SIGKILL when it does not help. Its next life follows from its end. */
void child_kill(struct child *c, int signal, const char *reason);
void children_ping(struct master *m);
/* Its process has ended: nothing is expected of it any more. */
void child_unwatch(struct child *c);
/* Is the file that we run from another one by now? */
bool program_was_replaced(void);
/* A role is of another build than we are: end with 75, so that the supervisor starts the new build whole. */
void master_outdated(struct master *m, const struct child *c, const char *why);

/* ---- logs.c ---- */
/* A pipe for a child's standard error: returns the end for the child, keeps the other on the loop until it ends. */
int logs_pipe(struct master *m);

/* ---- reload.c ---- */
/* Give a fresh child the current configuration; child_ready() follows, or its end. */
void configure_child(struct child *c);
/* Read the file again and offer it to all roles. Who asks is told the outcome (ch NULL: nobody but the log). */
void reload_begin(struct master *m, struct channel *ch, uint64_t call, const char *why);
void reload_child_lost(struct master *m, struct child *c);
void reload_watch_certificates(struct master *m);
bool report_faults(const struct config_faults *faults, bool to_log);

/* ---- serve.c ---- */
void master_stop(struct master *m, int exit_code);
void master_child_gone(struct master *m);
extern const struct ipc_handlers master_handlers;

/* ---- notify.c ---- */
/* Tell the service manager (sd_notify protocol); without NOTIFY_SOCKET nothing happens. */
void notify(const char *state);
/* RELOADING=1 with the time, as Type=notify-reload wants it; READY=1 says that it is over. */
void notify_reloading(void);
/* STOPPING=1, which can take so long, whatever the unit says. */
void notify_stopping(uint64_t within_ms);

#endif
