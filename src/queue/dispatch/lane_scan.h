/* lane_scan.h - a scan goes through all lanes that are due, a page in each round of the scheduler. Blocked lanes are passed by; but now and
 * then they are looked through for messages whose time is over (an expiry scan). */
#ifndef QUEUE_LANE_SCAN_H
#define QUEUE_LANE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dispatch;
struct due_lane;

#define LANES_MAX 128 /* of a page */

struct lane_scan {
	bool is_going;           /* there are lanes that it has not met */
	uint64_t first_lane;     /* when this lane comes again, all have had their turn */
	uint64_t met;            /* lanes that it has met */
	uint64_t blocked_until;  /* when the first blocked lane that it has met can go; 0: none is blocked */
	uint64_t opens_at;       /* the same of the last whole scan */
	bool for_expired;        /* it is an expiry scan */
	bool found_expired;      /* it has found a message whose time is over */
	uint64_t expiry_scan_at; /* when the next one is due */
};

void lane_scan_begin(struct dispatch *d, uint64_t now);
void lane_scan_end(struct dispatch *d, uint64_t now);

/* Here is a page of the scheduler's size, or what there was of it. Are there due lanes that the scan has not met? The store's turn goes round
 * without an end. */
bool lane_scan_has_more(struct dispatch *d, const struct due_lane *lanes, size_t n);

#endif
