/* splitting.h - how the recipients of a message are divided into deliveries. */
#ifndef QUEUE_SPLITTING_H
#define QUEUE_SPLITTING_H

#include <stdbool.h>

struct message;

/* Split by way, count and datagram size into deliveries, and park them. Recipients that have no open way go back into the queue (or
 * end there, when their time is over) until one opens; `in_place`: this was only to find those, the texts were not asked for, and
 * all others go back to where they were. The fetching of `m` ends. */
void message_dispatch(struct message *m, bool in_place);

#endif
