/* doctor_machine.h - the facts of this machine and of the relay that runs here, gathered before a run of doctor. */
#ifndef POSTHOUSE_CLI_DOCTOR_MACHINE_H
#define POSTHOUSE_CLI_DOCTOR_MACHINE_H

#include "posthouse/config.h"
#include "posthouse/machine.h"

/* All of them, in `a`. Takes a few seconds at most, also when the relay does not answer. */
const struct machine_facts *machine_gather(struct arena *a, struct config *c);

/* doctor_relay.c: what the relay of this configuration says, if it runs and lets us ask. */
void relay_gather(struct arena *a, const struct config *c, struct machine_facts *m);

#endif
