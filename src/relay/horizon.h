/* horizon.h - until when this node of a cluster is allowed to end texts. A node whose beats do not arrive is declared dead, and
 * another one then sends its mail: so queue says up to which time that cannot have happened. */
#ifndef RELAY_HORIZON_H
#define RELAY_HORIZON_H

#include <stdbool.h>
#include <stdint.h>

/* What queue said last. All 0: nothing so far. */
struct horizon {
	uint64_t epoch;
	uint64_t boottime_ms; /* of clock_boot_ms() */
};

/* Is it too late to end the text of a delivery with this epoch? Also when the horizon is that of another epoch: the node was
 * declared dead in between. Epoch 0: there is no cluster, and never a horizon. */
bool horizon_is_past(const struct horizon *h, uint64_t epoch, uint64_t now_ms);

#endif
