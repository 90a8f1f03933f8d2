/* sendmail.h - what sendmail(8) does beside sending. */
#ifndef POSTHOUSE_CLI_SENDMAIL_H
#define POSTHOUSE_CLI_SENDMAIL_H

#include "send.h"

/* sendmail_smtp.c: SMTP on standard input and output, by the local socket (-bs). The exit code. */
int sendmail_smtp(struct arena *a, const struct outgoing *m);

/* sendmail_list.c: what waits, as mailq(1) prints it. The exit code. */
int sendmail_list(struct arena *a, const struct outgoing *m);

#endif
