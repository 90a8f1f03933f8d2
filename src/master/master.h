/* master.h - `posthouse serve`: reads files, opens sockets, starts, watches, re-wires and restarts roles, reloads, writes the
 * log. */
#ifndef POSTHOUSE_MASTER_H
#define POSTHOUSE_MASTER_H

#include "posthouse/config.h"
#include "posthouse/ipc.h"
#include "posthouse/list.h"
#include "posthouse/users.h"

#include <sys/types.h>

#define ENVIRONMENT_MAX 32 /* variables of a process that master starts, with the NULL */
#define WORKERS_MAX     48 /* 6 bits of a message id, and the peers of a role */

enum child_state {
	CHILD_AWAY,       /* no process; the timer back_off can start the next one */
	CHILD_CONFIGURED, /* process started, configuration sent */
	CHILD_APPLYING,   /* the role can use its configuration and was told to apply it; `ready` is expected */
	CHILD_READY,      /* the configuration is applied, and the role has its channels */
	CHILD_STOPPING,   /* told to stop, or killed */
};

/* One instance of a role. Its processes come and go; the struct stays. */
struct child {
	struct master *master;
	enum role_id role;
	unsigned index;
	enum child_state state;
	bool process_open; /* the process runs, or has ended without being reaped */
	uv_process_t process;
	pid_t pid;
	struct channel *ch;
	uint64_t incarnation;
	uint64_t generation; /* of the configuration that the process was started with */
	uint64_t started_at; /* ms UTC */
	uint64_t started_mono;
	unsigned failures;  /* processes in a row that ended soon after their start */
	bool renewed;       /* master ends or starts it because of what has changed; until it is ready with that */
	uint64_t offered;   /* number of the configuration that this process was asked about, in a reload */
	struct child *lost; /* the peer to which the role gets a new channel soon; NULL: none */
	uint64_t lost_incarnation, rewired_mono;
	uint64_t rewires; /* new channels within a short time that were perhaps its fault */
	uv_timer_t rewire;
	uv_timer_t back_off;
	uv_timer_t insist;          /* SIGKILL follows when SIGABRT has not ended the process */
	uint64_t ping, configuring; /* numbers of open calls; 0: none */
};

/* A listening Unix socket. fd -1: there is none. */
struct unix_socket {
	int fd;
	int dir_fd; /* its directory; `name` is the file name in it */
	char *name;
};

/* How often a role can make master do something: a few times at once, then one each second. */
struct allowance {
	uint64_t used, at;
};

struct master {
	uv_loop_t *loop;
	const char *config_path;
	struct config *config;
	uint64_t generation; /* of the configuration in force */
	uint64_t offers;     /* numbers given to configurations */
	uint64_t started_at;
	struct users users; /* of the roles */
	struct arena users_arena;
	int lock_fd;
	struct unix_socket control, local;
	struct child children[WORKERS_MAX + ROLE_COUNT];
	size_t children_n;
	uint64_t deaths[ROLE_COUNT]; /* processes of a role that have ended without being told to */
	int *listeners;              /* workers x listening sockets */
	unsigned *listener_of;
	size_t sockets_n;   /* per worker */
	int metrics_fds[2]; /* listening sockets of web */
	size_t metrics_n;
	unsigned workers;
	uint64_t last_incarnation;
	bool has_drop;      /* the drop directory could be used when it was looked at last */
	bool drop_is_wrong; /* it is there, but could not be used then */
	bool all_ready;     /* all roles have been ready at least once */
	bool stopping;
	int exit_code;
	uv_timer_t ping_timer, alive_timer, stop_timer;
	uv_signal_t signals[4];
	struct reload *reload;
	struct allowance reloads, runs; /* of console, of vault */
	struct list commands;           /* that run, see command.h */
};

/* The user that the role runs as. */
static inline const struct user *child_user(const struct child *c)
{
	return &c->master->users.of[role_facts[c->role].runs_as];
}

/* ---- sockets.c ---- */
/* Lock the state directory, which is created for the run_as user if it is missing. Waits up to 10 s, then dies with 75. Then what
 * is in it gets its users. */
void lock_state_dir(struct master *m);
/* Bind the listening sockets, the control socket and the local one; dies when one cannot be bound. */
void open_sockets(struct master *m);
void close_listeners(struct master *m);
void remove_control_socket(struct master *m);

/* ---- spawn.c ---- */
/* "posthouse-PROGRAM" in the directory of this program (a build directory), or else in libexecdir. */
#define PROGRAM_PATH_MAX 4096
const char *program_path(const char *program, char path[PROGRAM_PATH_MAX]);

/* Start the role's program. The descriptors become its channel to master and its standard error. 0, or a negative libuv code. */
int child_spawn(struct child *c, int channel_fd, int log_fd, uv_exit_cb on_exit);

/* ---- environment.c ---- */
/* The variables that a process inherits, ended by NULL: no others, since the shell of a user can have any. The last place but
 * one stays free. `first`: the role has not failed before. */
char **clean_environment(bool first, char *kept[ENVIRONMENT_MAX]);

/* ---- wiring.c ---- */
/* Connect a role that has just become ready with each of its peers that is ready. */
void child_wire(struct child *c);
/* A role gets its listening sockets after its peers, so that the first client meets a complete relay. */
void child_give_sockets(struct child *c);
/* A role reports that its channel to a peer has closed. If both still run 200 ms later, they get a new channel. When that happens
 * again and again, one of the two is killed: whichever is nearer to strangers, since neither can be believed about the other. A
 * role that reports a peer which it cannot have (roles.def) is killed itself: no role can end others at will. */
void child_lost_peer(struct child *c, const struct msg_peer_lost *m);

/* ---- children.c ---- */
void children_init(struct master *m);
void child_ready(struct child *c);
/* Has the configuration in force a use for the role? True for all but those that are WHEN_NEEDED. */
bool child_is_needed(const struct child *c);
/* After a reload: start the roles that are needed now, stop those that are not. */
void children_follow_config(struct master *m);
void children_look_again(struct master *m);
/* The role needs what its walls refuse, or has an old configuration: have it stopped, then start it again. */
void child_renew(struct child *c, struct str reason);

/* ---- child_find.c ---- */
struct child *child_of(struct master *m, const struct channel *ch);
struct child *child_find(struct master *m, enum role_id role, unsigned index);

/* ---- watch.c ---- */
/* Send the signal to the process. SIGKILL follows 5 s after SIGABRT. The restart begins when the process has ended. */
void child_kill(struct child *c, int signal, const char *reason);
void children_ping(struct master *m);
/* SIGKILL follows when the process, which was told to end, has not done that within this time. */
void child_insist(struct child *c, uint64_t within_ms);
/* The process has ended: cancel its calls and stop its timers. */
void child_unwatch(struct child *c);
/* Was the program file of master replaced since its start? */
bool program_was_replaced(void);
/* The role is of another build than master: stop with exit code 75, so that the supervisor starts all programs of the new
 * build. */
void master_outdated(struct master *m, const struct child *c, const char *why);

/* ---- logs.c ---- */
/* A pipe for the standard error of a role, or (c NULL) of the command of `upstream`. Returns the end for the process; master
 * reads the other end until the process closes its own. A role's lines are log lines, a command's become events. */
int logs_pipe(struct master *m, const struct child *c, struct str upstream);

/* ---- reload.c ---- */
/* Send the current configuration to a process that has just started. */
void configure_child(struct child *c);
/* Read the configuration file again and offer it to all roles. The answer goes to `ch` (NULL: only to the log). */
void reload_begin(struct master *m, struct channel *ch, uint64_t call, const char *why);
void reload_child_lost(struct master *m, struct child *c);
void reload_watch_certificates(struct master *m);

/* ---- serve.c ---- */
void master_stop(struct master *m, int exit_code);
void master_child_gone(struct master *m);
extern const struct ipc_handlers master_handlers;

/* ---- allowance.c ---- */
bool allowance_take(struct allowance *a);

/* ---- user_names.c ---- */
/* Answers `user_of` of login. */
void user_ask(struct child *c, const struct msg_user_of *m);

/* ---- notify.c ---- */
/* Send a state to the service manager (sd_notify protocol). Without NOTIFY_SOCKET in the environment nothing is sent. */
void notify(const char *state);
/* RELOADING=1 with the time, as Type=notify-reload requires. notify("READY=1") ends the reload. */
void notify_reloading(void);
/* How often the service manager expects notify("WATCHDOG=1") at least, halved: a master that stays silent for longer is killed
 * and started again. 0: it does not expect it. */
uint64_t notify_alive_ms(void);
/* STOPPING=1, and the time that the stop needs, which replaces the timeout of the unit. */
void notify_stopping(uint64_t within_ms);

#endif
