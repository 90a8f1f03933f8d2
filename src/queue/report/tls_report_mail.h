/* tls_report_mail.h - reports about TLS to the domains that ask for them (RFC 8460): tlspolicy has what is in them and knows
 * where they go; the mail is made here, as this relay's own. */
#ifndef QUEUE_TLS_REPORT_MAIL_H
#define QUEUE_TLS_REPORT_MAIL_H

#include "posthouse/ipc.h"

struct reports;

/* Write, sign and store the mail. Ends in done(), perhaps at once: OK: it is durable, also when it was so before under this id
 * and token; TEMP; PERM: the address is none, or the mail cannot be signed. The texts are copied. */
void tls_report_mail_send(struct reports *rs, const struct msg_tls_report_send *m,
			  void (*done)(void *ctx, struct verdict v, uint64_t id), void *ctx);

#endif
