/* host_status.h - what connections have taught about addresses: which do not answer, and what they cannot do although they say so. */
#ifndef RELAY_HOST_STATUS_H
#define RELAY_HOST_STATUS_H

#include "posthouse/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { MEMORY_SLOTS = 4096 };

enum memory_kind {
	MEMORY_DEAD,
	MEMORY_NO_TLS,
	MEMORY_OLD_TLS,
	/* from here on for a day */
	MEMORY_NO_CHUNKING,
	MEMORY_NO_PIPELINING,
	MEMORY_NO_DSN,
	MEMORY_NO_8BITMIME,
	MEMORY_NO_SMTPUTF8
};

struct memory_slot {
	uint64_t key, until;
};

struct family {
	unsigned silent; /* addresses in a row that did not answer in time */
	uint64_t until;
};

struct relay;

void memory_note(struct relay *relay, enum memory_kind kind, const struct sockaddr_storage *address);
bool memory_has(const struct relay *relay, enum memory_kind kind, const struct sockaddr_storage *address);
void memory_silent(struct relay *relay, const struct sockaddr_storage *address);   /* no answer in time */
void memory_answered(struct relay *relay, const struct sockaddr_storage *address); /* connected */
/* Better tried after the others: it, or its whole family, does not answer. */
bool memory_doubts(struct relay *relay, const struct sockaddr_storage *address);

#endif
