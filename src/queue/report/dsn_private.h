/* dsn_private.h - a DSN on its way. dsn.c takes the steps, the files below it do the work of one step each. */
#ifndef QUEUE_DSN_PRIVATE_H
#define QUEUE_DSN_PRIVATE_H

#include "report/own_message.h"
#include "report/report.h"

#include "posthouse/mail.h"

struct dsn {
	struct reports *reports;
	struct arena arena;
	enum message_kind about;  /* KIND_FAILURE, KIND_DELAY, KIND_SUCCESS */
	struct unreported parent; /* views into the arena; recipients that are reported come first */
	bool again;               /* the parent is itself one of the queue's own messages, and is written again in another form */
	struct report_form form;
	size_t wanted;     /* the first so many recipients are reported */
	struct str quoted; /* of the parent's header */
	struct str whole;  /* the parent's text where it is to be returned, or written again; else "" */
	struct own_message mail;
	uint64_t *numbers; /* of the parent's recipients that it covers */
	size_t numbers_n;
	/* while the original is read */
	void (*read_done)(struct dsn *dsn, struct verdict v);
	int fd; /* of a large parent */
	uv_fs_t read;
	char *bytes;
};

/* ---- dsn_original.c: read what is needed of the original: `quoted`, and `whole`. TEMP: it is to be tried again; PERM: the text
 * that is to be written again is lost. ---- */
void dsn_read_original(struct dsn *dsn, void (*done)(struct dsn *dsn, struct verdict v));

/* ---- dsn_build.c: envelope and text ---- */
struct report_text dsn_build(struct dsn *dsn);
struct report_text dsn_build_postmaster_copy(struct dsn *dsn);
struct report_text dsn_build_again(struct dsn *dsn); /* in dsn->form, of the parent's text in dsn->whole */

#endif
