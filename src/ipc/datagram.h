/* datagram.h - one datagram on a SOCK_SEQPACKET socket, with the descriptor that comes with it. For channel.c only. */
#ifndef POSTHOUSE_IPC_DATAGRAM_H
#define POSTHOUSE_IPC_DATAGRAM_H

#include "posthouse/str.h"

#include <sys/types.h>

/* What came with a datagram beside its bytes. */
struct datagram_extras {
	int fd;    /* the one descriptor, the caller's to close; -1: none came, or more than one (all of those are closed) */
	bool many; /* more than one descriptor came, which no role sends */
	bool cut;  /* the datagram was longer than the room for it */
	bool lost; /* a descriptor came, but this process has no number left for one */
};

/* Send, without waiting. `fd` (-1: none) stays the caller's. 0, or a negative errno: -EAGAIN when the socket is full. */
int datagram_send(int to, struct str bytes, int fd);

/* Receive, without waiting: the length, 0 when the peer has ended, or a negative errno (-EAGAIN: no datagram waits). */
ssize_t datagram_receive(int from, char *room, size_t n, struct datagram_extras *extras_out);

#endif
