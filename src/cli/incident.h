/* incident.h - what the parts of `posthouse incident` share. */
#ifndef POSTHOUSE_CLI_INCIDENT_H
#define POSTHOUSE_CLI_INCIDENT_H

#include "cli.h"

/* Messages from one client, or with one subject. */
struct sent_group {
	struct str name, device; /* device: of the first message; "": the main password */
	uint64_t messages, since;
};
struct sent_groups {
	struct sent_group *at; /* most messages first */
	size_t n;
};

/* What a login has sent within a span of time. */
struct sent {
	uint64_t messages, recipients, distinct, new_ones; /* distinct addresses, and those it had not written to before */
	uint64_t delivered, refused, waiting, removed;     /* recipients */
	struct sent_groups clients, subjects;
};

/* incident_sent.c: read it from queue and history. `since`: the beginning of the span; texts are in `a`. */
struct sent sent_read(struct session *s, struct arena *a, struct str login, uint64_t since);

#endif
