/* test_mail.h - a message that an administrator asked for, to see what becomes of it. It is written as a notification is, and
 * not tried again: the person is there. */
#ifndef QUEUE_TEST_MAIL_H
#define QUEUE_TEST_MAIL_H

#include "posthouse/verdict.h"

struct reports;

/* Write, sign and store the message; one at a time. Ends in done(), perhaps at once: OK with the id of the stored message, or
 * TEMP. The address is copied. */
void test_mail_send(struct reports *rs, struct str recipient, void (*done)(void *ctx, struct verdict v, uint64_t id), void *ctx);

/* Does the store work for it? If not, test_mail_cancel() ends the one that waits for vault: done() gets TEMP. */
bool test_mail_is_busy(const struct reports *rs);
void test_mail_cancel(struct reports *rs);

#endif
