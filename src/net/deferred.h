/* deferred.h - work of streams that is done before the loop next waits: write, offer input again, report. So many small writes
 * become one system call, and no function of net.h calls its user back before it returns. */
#ifndef POSTHOUSE_NET_DEFERRED_H
#define POSTHOUSE_NET_DEFERRED_H

#include "posthouse/list.h"

#include <uv.h>

struct deferred;

/* The deferred work of this loop: made for its first stream, freed with its last one. Each join needs a leave. */
struct deferred *deferred_join(uv_loop_t *loop);
void deferred_leave(struct deferred *g);

/* Have stream_attend() called for the stream with this item, once, before the loop waits for events again. */
void deferred_add(struct deferred *g, struct list *item);

/* Work that needed much memory has ended: in a second, when the work that follows has ended too, give free memory back to the
 * system. */
void deferred_tidy(struct deferred *g);

#endif
