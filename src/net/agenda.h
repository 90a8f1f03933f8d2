/* agenda.h - what streams have to do before the loop next waits: write out, offer input again, report. Putting it off makes
 * many small writes one system call, and no function of net.h ever calls its user back before it returns. */
#ifndef POSTHOUSE_NET_AGENDA_H
#define POSTHOUSE_NET_AGENDA_H

#include "posthouse/list.h"

#include <uv.h>

struct agenda;

/* The agenda of this loop, made for its first stream and gone with its last; every join is paid back with a leave. */
struct agenda *agenda_join(uv_loop_t *loop);
void agenda_leave(struct agenda *g);

/* Have stream_attend() called for the stream with this item, once, before the loop waits for events again. */
void agenda_add(struct agenda *g, struct list *item);

/* A burst of work that needed much memory is over: in a second, when what follows it is over too, give back what is free. */
void agenda_tidy(struct agenda *g);

#endif
