/* login.h - the state of the login role. */
#ifndef POSTHOUSE_LOGIN_LOGIN_H
#define POSTHOUSE_LOGIN_LOGIN_H

#include "backend.h"
#include "cache.h"
#include "directory.h"
#include "posthouse/config.h"
#include "posthouse/ipc.h"
#include "posthouse/list.h"
#include "passes.h"
#include "vouch.h"
#include "workers.h"

/* Looks whether accounts have changed, and asks queue for the sessions that this concerns. */
struct watch {
	uv_timer_t timer;
	uint64_t generation, next_expiry; /* the state when queue was asked last */
	size_t ending;                    /* sessions that were told to end, and have not */
	struct list rounds;               /* questions to queue that are not answered */
};

/* A change of accounts that the console has ordered (admin.c). */
struct change {
	struct login *login;
	struct list link;
	struct channel *ch; /* NULL: nobody waits for the answer */
	struct arena arena;
	const char *state_dir;
	struct msg_account_change wanted; /* its texts are in the arena, */
	struct verdict verdict;           /* as is that of the worker thread's verdict */
	uv_work_t work;
	void (*made)(struct change *c); /* it is made, or refused; see the verdict */
};

/* The accounts that several nodes share (shared.c). One step is made after the other. */
#define VERSION_UNKNOWN UINT64_MAX
struct shared_step {
	enum { STEP_NONE, STEP_READ, STEP_FILL, STEP_CHANGE } kind;
	struct accounts_plan plan; /* READ: its file is what the table has */
	int fd;                    /* the lines that queue gave, or gets; -1: none */
	struct str key;            /* READ: of the nodes, see directory_share_key() */
	uint64_t version;          /* of the table, when the file has followed */
	size_t lost;               /* passwords of a file that was replaced */
	struct verdict verdict;
	struct arena arena; /* of the verdict */
	uv_work_t work;
};
struct shared {
	uint64_t version; /* of the table that the account file is a copy of; 0: the table is empty, VERSION_UNKNOWN */
	bool news;        /* the table has another one */
	bool told;        /* the log has why the file does not follow */
	struct shared_step step;
	struct change *change; /* that is to be made; NULL: none */
	bool committed;        /* it is in the table */
	uint64_t give_up_at;   /* monotonic: it is not begun again after this */
	uv_timer_t retry;
};

/* What the system has said about users of this machine (local.c). */
#define LOCAL_NAMES 256
struct local_users {
	struct list questions;
	size_t asking_n; /* of them: that master works on */
	struct passes passes;
	struct {
		uint64_t uid, until; /* until: monotonic ms; 0: nothing is known */
		char name[64];
	} names[LOCAL_NAMES]; /* of the user, at its number modulo LOCAL_NAMES */
	struct arena arena;   /* of system_names */
	struct str system_names;
	uint64_t system_until;
};

struct login {
	uv_loop_t *loop;
	struct role *role;           /* logins and changes under way are counted there */
	const struct config *config; /* belongs to the frame; exchanges copy what they need */
	const struct backend *backend;
	struct workers *workers;
	struct directory *directory;
	struct account_uses *uses; /* of the passwords of the account file */
	bool uses_due;             /* to be written, but not before: */
	uint64_t uses_write_at;    /* on the monotonic clock */
	struct cache *cache, *judged, *counted;
	uint64_t cache_generation; /* of the directory, when the cache was filled */
	struct list exchanges;     /* logins whose client is still there */
	struct list hosts;         /* that queue is asked about */
	struct list changes;       /* of accounts: the first is being made, the others wait */
	struct shared shared;
	size_t open_exchanges;             /* also those whose client has left, while their worker still runs */
	void (*on_stuck)(struct login *l); /* half of the threads have been stuck for long; can be NULL */
	uint64_t accepted, refused, failed, from_cache;
	struct watch watch;
	struct vouches vouches;
	struct local_users local;
	uint64_t fault_logged_at; /* the last fault that was logged, and when */
	struct secret fault;
};

/* login_init() reads `auth` and does not keep it. login_close() needs that no exchange is left; its handles close in the next
 * turns of the loop. Then follows login_fini(). */
void login_init(struct login *l, uv_loop_t *loop, const char *state_dir, const struct cfg_auth *auth);
void login_close(struct login *l);
void login_fini(struct login *l);

/* Read the account file again if it has changed, and clear the cache then. TEMP: the file cannot be used now. */
struct verdict login_refresh(struct login *l);

/* A password was used; not `fitted`: it has expired. Only those of the account file are kept. */
void login_note_use(struct login *l, struct str name, struct str device, bool fitted);
/* Write when they were used, if that is due; `last`: the role stops. */
void login_keep_uses(struct login *l, bool last);

/* ---- exchange_start.c, exchange_step.c, exchange.c: logins under way ---- */
void exchange_start(struct login *l, struct channel *ch, const struct msg_login_start *m);
void exchange_step(struct login *l, struct channel *ch, const struct msg_login_step *m);
void exchange_end(struct login *l, struct channel *ch, const struct msg_login_end *m);
void exchanges_drop(struct login *l, const struct channel *ch); /* of a channel that has closed; NULL: all */

/* ---- watch.c: sessions whose password has changed, is gone, or whose time is over ---- */
void watch_init(struct login *l);
void watch_close(struct login *l);
void watch_begin(struct login *l);    /* from the start on: check the account file each second */
void watch_look(struct login *l);     /* now */
void watch_queue_up(struct login *l); /* a new queue has connected, or the first one */

/* After a change of accounts: `done` is called when the sessions whose password is gone have ended. While queue is away it is
 * called at once: nothing is taken from any session then, and the next queue is asked. It is also called after some seconds, when
 * queue or a submission process does not answer. */
typedef void watch_done_fn(void *ctx);
void watch_end_sessions(struct login *l, watch_done_fn *done, void *ctx);
void watch_present(struct login *l, struct channel *ch, const struct msg_login_present *m);

/* Has the login ended that was let in by the password with this stamp (0: without one)? */
bool watch_is_over(const struct login *l, struct str login, struct str device, uint64_t stamp);

/* ---- local.c: users of this machine ---- */
void local_users_init(struct login *l);
void local_user_ask(struct login *l, struct channel *ch, const struct msg_local_user *m, int fd);
void drop_owner_ask(struct login *l, struct channel *ch, const struct msg_drop_owner *m, int fd);
void local_users_drop(struct login *l, const struct channel *ch); /* of a channel that has closed; NULL: all */

/* ---- host.c: hosts that need no password ---- */
void host_check(struct login *l, struct channel *ch, const struct msg_host_check *m, int fd);
void hosts_drop(struct login *l, const struct channel *ch); /* as local_users_drop() */

/* ---- shared.c: the accounts are a table that several nodes share (store.engine), and the file is a copy of it ---- */
void shared_init(struct login *l);
void shared_close(struct login *l);
void shared_version(struct login *l, struct channel *ch, const struct msg_accounts_version *m);
/* Make the change in the table, then in the file; then call `made` of it. */
void shared_change(struct change *c);

/* ---- admin.c: accounts listed and changed ---- */
void change_accounts(struct login *l, struct channel *ch, const struct msg_account_change *m);
void list_accounts(struct login *l, struct channel *ch, const struct msg_account_page *m);
void changes_drop(struct login *l,
		  const struct channel *ch); /* nobody waits for the answers any more; the changes are made nevertheless */

#endif
