/* dsn_private.h - a report on its way: the steps, each in a file of its own. Each step ends in the next one or in report_failed(). */
#ifndef QUEUE_DSN_PRIVATE_H
#define QUEUE_DSN_PRIVATE_H

#include "queue.h"
#include "common/dsn_form.h"

#include "posthouse/mail.h"

struct report {
	struct queue *queue;
	struct arena arena;
	enum message_kind about;  /* KIND_FAILURE, KIND_DELAY, KIND_SUCCESS */
	struct unreported parent; /* views into the arena; recipients that are told of come first */
	bool again;               /* the parent is a report or notice: it is written again */
	struct report_form form;
	size_t wanted;     /* so many */
	struct str quoted; /* of the parent's header */
	struct str whole;  /* the parent's text where it is to be returned; else "" */
	struct report_author author;
	struct accepted accepted; /* the report itself; id 0: nobody is told */
	struct new_recipient recipient;
	uint64_t *numbers; /* of the parent's recipients that it covers */
	size_t numbers_n;
	struct signing signing;
	int fd; /* of a large parent, while it is read */
	uv_fs_t read;
	char *bytes;
};

/* ---- dsn_original.c: what of the original is returned; then report_build() ---- */
void report_read_original(struct report *r);

/* ---- dsn_build.c: the report, or the note to the postmaster; signed by sign(), then report_signed() ---- */
void report_build(struct report *r);
void report_build_notice(struct report *r);
void report_build_again(struct report *r); /* in r->form, of the parent's text in r->whole */

/* ---- dsn.c ---- */
void report_signed(void *ctx, struct verdict v);         /* it is stored */
void report_failed(struct report *r, struct str reason); /* it is made again later */
void report_without_sender(struct report *r);            /* the sender cannot be told */

#endif
