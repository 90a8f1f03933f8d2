/* pickup.h - the role that hands over what waits in the drop directory (see local.h). A file is first taken: it gets an id, moves
 * to the subdirectory `taken`, where no user can reach it, and keeps the id until it is stored or refused. So a file that was
 * stored, but not removed before the role died, is recognised. */
#ifndef POSTHOUSE_PICKUP_H
#define POSTHOUSE_PICKUP_H

#include "posthouse/arena.h"
#include "posthouse/id.h"
#include "posthouse/list.h"
#include "posthouse/local.h"
#include "posthouse/log.h"
#include "posthouse/role.h"

#define TAKEN_PER_USER 32   /* files that one user can have in work: who drops a million waits behind nobody but himself */
#define TAKEN_PEOPLE   2048 /* of all people; the nearer to this, the fewer of each, so that a new one finds room */
#define TAKEN_PROGRAMS 512  /* of root and of users of programs, whom people cannot crowd out */
#define TAKEN_MAX      (TAKEN_PEOPLE + TAKEN_PROGRAMS)
#define TAKEN_NAME     64   /* bytes: "ID-TOKEN", or of a part "ID-TOKEN-FROM-COUNT" */
#define PEOPLE_FROM    1000 /* users below are of programs, and have no mailbox, as local_recipient() has it */

struct taken {
	uint64_t id, token, uid;
	uint64_t dropped_at; /* ms: its last change; never 0, never later than when it was seen */
	uint64_t from;       /* the first of its recipients that the message of this id has */
	uint64_t count;      /* how many it has; 0: all that follow */
};

struct pickup;
struct file;

/* ---- directory.c: what is done in the drop directory; blocking, for a thread ---- */
struct look {
	const char *path;
	bool first;               /* also what earlier processes have taken */
	struct id_source *ids;    /* nobody else uses it during a look */
	const struct taken *held; /* what is in work already */
	size_t held_n;
	/* result */
	int error;           /* errno; 0: the directory could be used */
	struct taken *found; /* new ones, oldest first; to be freed */
	size_t found_n;
	uint64_t waiting;   /* files that were left */
	uint64_t oldest_at; /* of all that were seen; 0: none */
	uint64_t discarded; /* things that are no messages, and were removed or put aside */
	uint64_t discarded_uid;
	uint64_t left; /* such things that stay there, since they cannot be moved */
	uint64_t left_uid;
	int left_error;
};
void directory_look(struct look *l);

/* A new name in `taken` is on the disk; false: nobody knows. */
bool taken_sync(const char *directory);

/* "DIRECTORY/taken/NAME" and "DIRECTORY/held/NAME". */
const char *taken_path(struct arena *a, const char *directory, const struct taken *t);
const char *held_path(struct arena *a, const char *directory, const struct taken *t);

/* ---- reading.c: a taken file; blocking ---- */
struct reading {
	int fd; /* of the file; -1 */
	struct local_message message;
	size_t after;      /* recipients behind those of `message`, see part_cut() */
	uint64_t text_at;  /* where the message begins */
	struct str header; /* its first bytes with CRLF, for a report */
	struct arena arena;
};
/* OK; PERM: it can never be handed over, and the text says why. TEMP: it cannot be read now; with code 0: it is not there any
 * more. */
struct verdict reading_open(struct reading *r, const char *path, uint64_t uid, uint64_t size_max);
void reading_close(struct reading *r);

/* ---- report.c ---- */
/* The report about what was refused (recipients that are not OK; all, where `v` is not), as a message in a memfd; -1: none
 * could be made. `held`: where the file is kept; "": nowhere. */
int report_write(struct reading *r, const struct config *c, const struct taken *t, struct verdict v, struct str to,
		 struct str held);

/* Nobody can be told by a report: the postmaster hears by a notice, and the file stays. */
void report_to_postmaster(struct file *f, struct str why);

/* ---- file.c: the way of one file ---- */
struct pickup {
	struct role *role;
	const char *path;
	struct arena arena;
	uv_fs_event_t watch;
	uv_timer_t look_timer, due_timer;
	uv_work_t look_work;
	struct look look;
	struct taken in_work[TAKEN_MAX];
	struct id_source part_ids;
	bool looking, look_again, first_done, watching;
	struct id_source ids;
	unsigned node;        /* of a cluster; 0: none is known. All its ids … */
	uint64_t id_floor_ms; /* … are above this time */
	struct list files;    /* oldest first */
	size_t files_n;
	unsigned running;
	uint64_t reports, reports_since; /* of this hour, with those under way */
	bool reports_told;               /* the postmaster has heard that there are too many */
	uint64_t waiting, oldest_at, handed_over, refused, left;
	int error;                           /* of the last look */
	void (*turn_over)(struct pickup *p); /* a file has been handed over, put off or kept: another one can have a turn */
};

/* A file that was taken. */
struct file {
	struct list link;
	struct pickup *pickup;
	struct taken t;
	uint64_t due_at; /* monotonic ms */
	unsigned attempts;
	bool unsure; /* it was handed over before, and nobody knows with which result */
	bool running;
	enum { GOES_ON, TO_REMOVE, TO_HOLD } end; /* its way is over, but the file could not be removed or moved */
	bool renamed;                             /* since its directory was synced */
	/* while it runs */
	uv_work_t work;
	const char *path;
	uint64_t size_max;
	int socket;
	struct reading reading;
	struct verdict verdict;
	uint64_t stored_n; /* recipients that the message in the queue has */
	int report_fd;
	struct verdict report_verdict;
	struct local_recipient owner;
};

/* Its turn has come. It ends in pickup->turn_over(). */
void file_begin(struct file *f);

/* ---- node.c ---- */
bool node_heard(struct pickup *p, const struct msg_node_is *m); /* false: there is no such node */
void node_use(struct pickup *p);                                /* for the next ids; not during a look */

/* ---- ends.c: each ends the turn of the file, which can then be freed ---- */
void end_forget(struct file *f);
void end_put_off(struct file *f, struct str reason); /* another turn comes, the later the more there were */
void end_again(struct file *f);                      /* the next turn comes at once */
void end_remove(struct file *f);
void end_hold(struct file *f); /* the file stays under a name that the administrator can see */
/* The message is in the queue, or its owner has been told: the file can go, or is for its next recipients. */
void end_stored(struct file *f);
void end_keep(struct file *f); /* it was refused */

/* ---- session.c ---- */
/* Ask login whose the file is, for a pass. `report`: for a report about it. `done` can come within the call. */
void owner_ask(struct file *f, bool report, ipc_on_drop_owner done);

/* One end of a session as the user of the pass, whose first message gets this id, unless it is 0; -1: nobody is there. */
int session_open(struct pickup *p, struct str pass, uint64_t id, uint64_t token);

/* ---- part.c: a file with more recipients than the relay takes at once is handed over in parts ---- */
/* The recipients of the part in hand, of all that were read. */
void part_cut(struct reading *r, const struct taken *t);
/* The relay takes fewer recipients: the part ends in front of the first that it did not want. False: that is not so. */
bool part_shrink(struct file *f);
/* The file goes on with the recipients that follow. False: it could not be renamed (errno). */
bool part_next(struct file *f);

#endif
