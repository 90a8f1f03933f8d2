/* datagram.c - see datagram.h. */
#include "datagram.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DESCRIPTORS_MAX 253 /* SCM_MAX_FD of the kernel: with room for all, a descriptor is lost only for want of a number */

int datagram_send(int to, struct str bytes, int fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)bytes.p, bytes.n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (fd >= 0) {
		msg.msg_control = control.space;
		msg.msg_controllen = sizeof control.space;
		control.header = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &fd, sizeof fd);
	}
	do
		n = sendmsg(to, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* Keep the descriptor when exactly one came, close all of them otherwise. */
static void take_descriptors(struct msghdr *msg, struct datagram_extras *extras)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n =
			c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS ? (c->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;

		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (extras->fd < 0 && !extras->many) {
				extras->fd = fd;
				continue;
			}
			extras->many = true;
			close(fd);
		}
	}
	if (extras->many && extras->fd >= 0) {
		close(extras->fd);
		extras->fd = -1;
	}
}

ssize_t datagram_receive(int from, char *room, size_t n, struct datagram_extras *extras_out)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { room, n };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space
	};
	ssize_t got;

	*extras_out = (struct datagram_extras){ .fd = -1 };
	do
		got = recvmsg(from, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	take_descriptors(&msg, extras_out);
	extras_out->cut = msg.msg_flags & MSG_TRUNC;
	extras_out->lost = msg.msg_flags & MSG_CTRUNC;
	return got;
}
