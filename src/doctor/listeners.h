/* listeners.h - what several checks ask about the listeners of the configuration. */
#ifndef POSTHOUSE_DOCTOR_LISTENERS_H
#define POSTHOUSE_DOCTOR_LISTENERS_H

#include "certificate.h"
#include "doctor.h"
#include "posthouse/machine.h"

/* What is seen of this machine; never NULL: where nobody has looked, nothing is known. */
const struct machine_facts *machine_of(const struct doctor *d);

/* "*:465" */
struct str listener_text(struct doctor *d, const struct cfg_listen *l);
/* The address of this machine at which it listens: a loopback one where it can be reached by that. */
struct str listener_address(const struct cfg_listen *l);
/* Does it take connections of that address only behind a PROXY header? Then it cannot be tried from there. */
bool listener_wants_proxy(const struct cfg_listen *l, struct str client);

/* What it says to a client on this machine. NULL: it cannot be tried. */
const struct fact_probe *listener_probe(struct doctor *d, const struct cfg_listen *l);

/* A certificate that listeners serve, or one of the configuration that no probe has shown. */
struct served {
	struct certificate c;
	struct str where;                   /* "*:465, *:587"; of a file, its path */
	const struct cfg_certificate *file; /* that has it on disk; NULL: none */
	bool seen;                          /* it was served */
};
/* All of them, each once; *pending_out: not all listeners have answered. */
size_t served_all(struct doctor *d, struct served **out, bool *pending_out);

/* "2027-03-02" */
struct str day_text(struct arena *a, uint64_t ms);

#endif
