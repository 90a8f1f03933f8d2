/* splitting.h - how the recipients of a message are divided into deliveries. */
#ifndef QUEUE_SPLITTING_H
#define QUEUE_SPLITTING_H

#include <stdbool.h>

struct message;

/* Divide the recipients by next hop, number and size of the datagram into deliveries, and park these. Recipients for which no next hop is open go
 * back into the queue until one opens, or end there when their time is over. scan_only: the message was leased, without its text, only to
 * find expired recipients, and all others go back to their places in the lane. This ends the fetching of `m`. */
void message_dispatch(struct message *m, bool scan_only);

#endif
