/* sending.h - parked deliveries go to relay. */
#ifndef QUEUE_SENDING_H
#define QUEUE_SENDING_H

struct dispatch;

/* Send parked deliveries while there are slots and credit. */
void leases_send(struct dispatch *d);

/* Relay's channel closes, or the queue ends: stop waiting for credit. */
void leases_stop_sending(struct dispatch *d);

#endif
