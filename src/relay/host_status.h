/* host_status.h - what connections have shown about addresses: which do not answer, and which offers they do not keep. */
#ifndef RELAY_HOST_STATUS_H
#define RELAY_HOST_STATUS_H

#include "posthouse/str.h"
#include "posthouse/tls_result.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { HOST_STATUS_SLOTS = 4096 };

enum host_fact {
	HOST_DEAD,
	HOST_NO_TLS,
	HOST_OLD_TLS,
	/* the facts from here on are remembered for a day */
	HOST_NO_CHUNKING,
	HOST_NO_PIPELINING,
	HOST_NO_DSN,
	HOST_NO_8BITMIME,
	HOST_NO_SMTPUTF8
};

struct host_status_slot {
	uint64_t key, until;
	enum tls_result tls_result; /* of HOST_NO_TLS, HOST_OLD_TLS: why the handshake failed */
};

struct family {
	unsigned silent; /* how many addresses in a row did not answer in time */
	uint64_t until;
};

struct relay;

void host_status_note(struct relay *relay, enum host_fact kind, const struct sockaddr_storage *address);
void host_status_note_tls(struct relay *relay, enum host_fact kind, const struct sockaddr_storage *address, enum tls_result why);
enum tls_result host_status_tls_result(const struct relay *relay, const struct sockaddr_storage *address); /* of HOST_NO_TLS */
bool host_status_has(const struct relay *relay, enum host_fact kind, const struct sockaddr_storage *address);
void host_status_silent(struct relay *relay, const struct sockaddr_storage *address);   /* no answer in time */
void host_status_answered(struct relay *relay, const struct sockaddr_storage *address); /* connected */
/* The address, or its whole family, did not answer lately: try it after the others. */
bool host_status_doubts(struct relay *relay, const struct sockaddr_storage *address);

#endif
