/* test_mail.h - a message that an administrator asked for, to see what becomes of it. */
#ifndef QUEUE_TEST_MAIL_H
#define QUEUE_TEST_MAIL_H

#include "posthouse/verdict.h"

struct reports;

/* Write, sign and store the message. Ends in done(), perhaps at once: OK with the id of the stored message, or
 * TEMP. The address is copied. */
void test_mail_send(struct reports *rs, struct str recipient, void (*done)(void *ctx, struct verdict v, uint64_t id), void *ctx);

#endif
