/* queue.h - what the parts of `posthouse queue` share. */
#ifndef POSTHOUSE_CLI_QUEUE_H
#define POSTHOUSE_CLI_QUEUE_H

#include "cli.h"

/* Which messages: an empty or zero field is any. */
struct selection {
	struct message_name named;
	uint64_t older_than_ms;
	struct str user, sender, recipient, destination;
	bool any; /* some field is set */
};

/* ---- queue_list.c: the value is the exit code ---- */
int queue_list(struct session *s, const struct selection *which, bool json);
int queue_show(struct session *s, const struct message_name *which, bool json);

/* ---- queue.c: the messages of a selection, those that wait; the array is in `a` ---- */
uint64_t *queue_ids(struct session *s, struct arena *a, const struct selection *which, size_t *n_out);

/* ---- queue_text.c. directory NULL: standard output ---- */
int queue_body(struct session *s, uint64_t id);
int queue_export(struct session *s, const struct selection *which, const char *directory, bool json);

/* ---- queue_import.c: files, directories, "-" for standard input ---- */
int queue_import(struct session *s, char **paths, size_t n, bool json);

/* ---- queue_backup.c: name NULL: the date and the time ---- */
int queue_backup(struct session *s, const char *name, bool json);

/* ---- queue_summary.c ---- */
int queue_summary(struct session *s, bool json);

#endif
