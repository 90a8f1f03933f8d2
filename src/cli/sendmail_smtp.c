/* sendmail_smtp.c - `sendmail -bs`: a program speaks SMTP with the relay through standard input and output, as its user. */
#include "sendmail.h"

#include "posthouse/file.h"
#include "posthouse/local.h"
#include "posthouse/log.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

/* What `from` has now goes to `to`. False: it has ended, or nobody takes it any more. */
static bool pass_on(int from, int to)
{
	char bytes[65536];
	ssize_t n = read(from, bytes, sizeof bytes);

	if (n < 0 && errno == EINTR)
		return true;
	return n > 0 && file_write(to, str_make(bytes, (size_t)n));
}

/* Until the relay has ended the connection. The program can be the first to end: answers to what it has said still come. */
static void run(int fd)
{
	struct pollfd ends[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = fd, .events = POLLIN } };

	for (;;) {
		if (poll(ends, 2, -1) < 0 && errno != EINTR)
			return;
		if (ends[1].revents && !pass_on(fd, STDOUT_FILENO))
			return;
		if (ends[0].revents && !pass_on(STDIN_FILENO, fd)) {
			shutdown(fd, SHUT_WR);
			ends[0].fd = -1;
		}
	}
}

int sendmail_smtp(struct arena *a, const struct outgoing *m)
{
	struct send_places p = send_places(a, m);
	int fd = *p.socket ? local_connect(p.socket) : -ENOENT;

	if (fd < 0) {
		printf("421 4.3.2 no relay answers at %s (%s), try again later\r\n", *p.socket ? p.socket : "a local socket",
		       strerror(-fd));
		return EX_TEMPFAIL;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	run(fd);
	close(fd);
	return EX_OK;
}
