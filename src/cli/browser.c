/* browser.c - the listener on a loopback address: see browser.h. One connection after another: a browser opens some without a
 * request, so each has little time. */
#include "browser.h"

#include "posthouse/clock.h"
#include "posthouse/log.h"
#include "posthouse/units.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#define REQUEST_MS (2 * SECOND_MS) /* for a request on a new connection */

#define HEADER                                                                                                                   \
	"Content-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n"                  \
	"Content-Security-Policy: default-src 'none'\r\nConnection: close\r\n\r\n"

static const char not_found[] =
	"HTTP/1.1 404 Not Found\r\n" HEADER "<!doctype html><title>Posthouse</title><p>There is nothing here.\n";
static const char taken[] = "HTTP/1.1 200 OK\r\n" HEADER "<!doctype html><title>Posthouse</title>"
			    "<p>Posthouse has the answer. You can close this window: the terminal says how it ends.\n";

int browser_listen(unsigned port, unsigned *port_out)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
	    bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 8) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &size) != 0)
		die(EX_UNAVAILABLE, "no listener on 127.0.0.1 port %u: %s", port, strerror(errno));
	*port_out = ntohs(address.sin_port);
	return fd;
}

/* Is there something to read before `until_mono`? */
static bool readable(int fd, uint64_t until_mono)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	uint64_t now = clock_mono_ms();

	while (now < until_mono) {
		int ready = poll(&poll_fd, 1, (int)(until_mono - now));

		if (ready >= 0 || errno != EINTR)
			return ready > 0;
		now = clock_mono_ms();
	}
	return false;
}

static void say(int fd, const char *page)
{
	char rest[1024];

	(void)!send(fd, page, strlen(page), MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	/* closed with unread bytes, the page could be lost (RFC 9112 section 9.6) */
	while (readable(fd, clock_mono_ms() + 200) && recv(fd, rest, sizeof rest, MSG_DONTWAIT) > 0)
		;
}

static enum browser_request serve(int fd, struct arena *a, struct str state, struct browser_answer *answer_out)
{
	static char bytes[BROWSER_REQUEST_MAX];
	uint64_t until = clock_mono_ms() + REQUEST_MS;
	enum browser_request found = BROWSER_MORE;
	size_t n = 0;

	while (found == BROWSER_MORE && readable(fd, until)) {
		ssize_t got = recv(fd, bytes + n, sizeof bytes - n, MSG_DONTWAIT);

		if (got <= 0)
			return BROWSER_OTHER;
		n += (size_t)got;
		found = browser_read(a, str_make(bytes, n), state, answer_out);
	}
	if (found != BROWSER_MORE)
		say(fd, found == BROWSER_SIGNED_IN ? taken : not_found);
	return found;
}

bool browser_wait(int listener, struct arena *a, struct str state, uint64_t until_mono, struct browser_answer *answer_out)
{
	enum browser_request found = BROWSER_OTHER;
	struct arena scratch = { 0 };

	*answer_out = (struct browser_answer){ .code = S("") };
	while (found != BROWSER_SIGNED_IN && readable(listener, until_mono)) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		arena_reset(&scratch);
		found = serve(fd, &scratch, state, answer_out);
		close(fd);
	}
	answer_out->code = arena_str(a, answer_out->code);
	answer_out->error = arena_str(a, answer_out->error);
	arena_fini(&scratch);
	return found == BROWSER_SIGNED_IN;
}
