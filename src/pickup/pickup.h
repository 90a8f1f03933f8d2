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

#define TAKEN_PER_USER 32  /* files that one user can have in work: who drops a million waits behind nobody but himself */
#define TAKEN_MAX      512 /* of all users */
#define TAKEN_NAME     32  /* bytes: "ID-TOKEN" */

struct taken {
	uint64_t id, token, uid;
	uint64_t dropped_at; /* ms: its last change */
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
};
void directory_look(struct look *l);

/* "DIRECTORY/taken/ID-TOKEN" and "DIRECTORY/held/ID-TOKEN". */
const char *taken_path(struct arena *a, const char *directory, const struct taken *t);
const char *held_path(struct arena *a, const char *directory, const struct taken *t);

/* ---- reading.c: a taken file; blocking ---- */
struct reading {
	int fd; /* of the file; -1 */
	struct local_message message;
	uint64_t text_at;  /* where the message begins */
	struct str header; /* its first bytes with CRLF, for a report */
	struct arena arena;
};
/* OK; PERM: it can never be handed over, and the text says why. TEMP with code 0: it is not there any more. */
struct verdict reading_open(struct reading *r, const char *path, uint64_t uid, uint64_t size_max);
void reading_close(struct reading *r);

/* ---- report.c ---- */
/* The report about what was refused (recipients that are not OK; all, where `v` is not), as a message in a memfd; -1: none
 * could be made. `held`: where the file is kept; "": nowhere. */
int report_write(struct reading *r, const struct config *c, const struct taken *t, struct verdict v, struct str to,
		 struct str held);

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
	bool looking, look_again, first_done, watching;
	struct id_source ids;
	struct list files; /* oldest first */
	size_t files_n;
	unsigned running;
	uint64_t reports, reports_since;
	uint64_t waiting, oldest_at, handed_over, refused;
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
	/* while it runs */
	uv_work_t work;
	const char *path;
	uint64_t size_max;
	int socket;
	struct reading reading;
	struct verdict verdict;
	int report_fd;
	struct verdict report_verdict;
	struct local_recipient owner;
};

/* Its turn has come. It ends in pickup->turn_over(). */
void file_begin(struct file *f);

#endif
