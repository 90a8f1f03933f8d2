#include "proxy.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LINKS_MAX 32

struct link {
	int fds[2]; /* the store's, the server's; -1: unused */
	size_t left;
	bool armed;
	size_t answers_left;           /* 0: any number is passed on */
	unsigned char header[5];       /* of a message of the server: its type and length */
	size_t header_n, message_left; /* of both what has passed, and what has not */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all below */
static struct link links[LINKS_MAX];
static bool has_cut;
static size_t answers_of_next;

static pthread_t thread;
static int listener, stop[2];
static char directory[90], words[200];
static struct sockaddr_un server;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void close_link(struct link *l)
{
	(void)close(l->fds[0]);
	(void)close(l->fds[1]);
	l->fds[0] = l->fds[1] = -1;
}

static void add_link(void)
{
	int fd = accept(listener, NULL, NULL), to = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool good = fd >= 0 && to >= 0 && connect(to, (struct sockaddr *)&server, sizeof server) == 0;

	for (size_t i = 0; i < LINKS_MAX && good; i++) {
		if (links[i].fds[0] >= 0)
			continue;
		links[i] = (struct link){ .fds = { fd, to }, .answers_left = answers_of_next };
		answers_of_next = 0;
		return;
	}
	(void)close(fd);
	(void)close(to);
}

/* CommandComplete, ErrorResponse, ReadyForQuery: what ends a statement, or a row of them. */
static bool is_answer(char type)
{
	return type == 'C' || type == 'E' || type == 'Z';
}

/* How many of these bytes of the server come before the answer that is not passed on. */
static size_t before_cut(struct link *l, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (l->message_left > 0) {
			l->message_left--;
			continue;
		}
		if (l->header_n == 0 && is_answer(bytes[i]) && l->answers_left > 0 && --l->answers_left == 0)
			return i;
		l->header[l->header_n++] = (unsigned char)bytes[i];
		if (l->header_n < sizeof l->header)
			continue;
		l->header_n = 0;
		l->message_left =
			((size_t)l->header[1] << 24 | (size_t)l->header[2] << 16 | (size_t)l->header[3] << 8 | l->header[4]) - 4;
	}
	return n;
}

/* False: the connection is over. */
static bool forward(struct link *l, int from)
{
	char bytes[4096];
	size_t max = l->armed && l->left < sizeof bytes ? l->left : sizeof bytes;
	ssize_t n = read(l->fds[from], bytes, max), whole;

	if (n <= 0)
		return false;
	whole = from == 1 ? (ssize_t)before_cut(l, bytes, (size_t)n) : n;
	if (send(l->fds[!from], bytes, (size_t)whole, MSG_NOSIGNAL) != whole)
		return false;
	has_cut = has_cut || whole < n;
	if (whole < n)
		return false;
	if (!l->armed)
		return true;
	l->left -= (size_t)n;
	has_cut = has_cut || l->left == 0;
	return l->left > 0;
}

static void *run(void *unused)
{
	struct pollfd fds[2 + 2 * LINKS_MAX];

	for (;;) {
		fds[0] = (struct pollfd){ .fd = stop[0], .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = listener, .events = POLLIN };
		for (size_t i = 0; i < 2 * LINKS_MAX; i++)
			fds[2 + i] = (struct pollfd){ .fd = links[i / 2].fds[i % 2], .events = POLLIN };
		if (poll(fds, 2 + 2 * LINKS_MAX, -1) < 0)
			fail("poll");
		if (fds[0].revents)
			return NULL;
		(void)pthread_mutex_lock(&lock);
		for (size_t i = 0; i < 2 * LINKS_MAX; i++)
			if (fds[2 + i].revents && links[i / 2].fds[0] >= 0 && !forward(&links[i / 2], (int)(i % 2)))
				close_link(&links[i / 2]);
		if (fds[1].revents)
			add_link();
		(void)pthread_mutex_unlock(&lock);
	}
}

const char *proxy_start(const char *server_directory, const char *name)
{
	struct sockaddr_un own = { .sun_family = AF_UNIX };

	server.sun_family = AF_UNIX;
	(void)snprintf(server.sun_path, sizeof server.sun_path, "%s/.s.PGSQL.5432", server_directory);
	(void)snprintf(directory, sizeof directory, "%s/proxy", server_directory);
	(void)snprintf(own.sun_path, sizeof own.sun_path, "%s/.s.PGSQL.5432", directory);
	(void)snprintf(words, sizeof words, "host=%s port=5432 user=postgres dbname=%s", directory, name);
	for (size_t i = 0; i < LINKS_MAX; i++)
		links[i].fds[0] = links[i].fds[1] = -1;
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (mkdir(directory, 0700) != 0 || listener < 0 || bind(listener, (struct sockaddr *)&own, sizeof own) != 0 ||
	    listen(listener, LINKS_MAX) != 0 || pipe(stop) != 0 || pthread_create(&thread, NULL, run, NULL) != 0)
		fail("proxy");
	return words;
}

void proxy_stop(void)
{
	(void)close(stop[1]);
	(void)pthread_join(thread, NULL);
	for (size_t i = 0; i < LINKS_MAX; i++)
		if (links[i].fds[0] >= 0)
			close_link(&links[i]);
	(void)close(stop[0]);
	(void)close(listener);
}

void proxy_cut_after(size_t bytes)
{
	(void)pthread_mutex_lock(&lock);
	has_cut = false;
	for (size_t i = 0; i < LINKS_MAX; i++) {
		links[i].armed = bytes > 0;
		links[i].left = bytes;
	}
	(void)pthread_mutex_unlock(&lock);
}

void proxy_cut_before_answer(size_t answer)
{
	(void)pthread_mutex_lock(&lock);
	has_cut = false;
	for (size_t i = 0; i < LINKS_MAX; i++)
		links[i].answers_left = answer;
	(void)pthread_mutex_unlock(&lock);
}

void proxy_cut_next_before_answer(size_t answer)
{
	(void)pthread_mutex_lock(&lock);
	has_cut = false;
	answers_of_next = answer;
	(void)pthread_mutex_unlock(&lock);
}

bool proxy_has_cut(void)
{
	bool cut;

	(void)pthread_mutex_lock(&lock);
	cut = has_cut;
	(void)pthread_mutex_unlock(&lock);
	return cut;
}
