/* asked_mail.h - a message of the relay's own that somebody waits for: a test message, a report about TLS. It is written as a
 * notification is, and not tried again: whoever asked for it does that. */
#ifndef QUEUE_ASKED_MAIL_H
#define QUEUE_ASKED_MAIL_H

#include "report/own_message.h"

#include "posthouse/list.h"
#include "posthouse/verdict.h"

struct reports;

enum { ASKED_MAILS_MAX = 2 }; /* that are written at once */

struct asked_mail {
	struct list in_reports;
	struct reports *reports;
	struct arena arena;
	struct own_message mail;
	void (*done)(void *ctx, struct verdict v, uint64_t id);
	void *ctx;
};

/* Begin a message: its envelope is filled in as by own_message_begin(), and can be changed now. NULL: too many are being written,
 * or the queue ends; done() has been called with TEMP. */
struct asked_mail *asked_mail_begin(struct reports *rs, const struct own_envelope *e,
				    void (*done)(void *ctx, struct verdict v, uint64_t id), void *ctx);

/* Sign and store it. Ends in done(), perhaps at once: OK with the id of the stored message, or TEMP. */
void asked_mail_send(struct asked_mail *mail, const struct report_text *text);

/* Does the store work for any? If not, asked_mails_cancel() ends those that wait for vault: done() gets TEMP. */
bool asked_mails_are_busy(const struct reports *rs);
void asked_mails_cancel(struct reports *rs);

#endif
