/* notification_text.h - what a notification says: what happened, when it ends, what to do. */
#ifndef QUEUE_NOTIFICATION_TEXT_H
#define QUEUE_NOTIFICATION_TEXT_H

#include "accounting/observer.h"

struct str notification_subject(const struct account_event *e); /* a static text */
struct str notification_text(struct arena *a, const struct account_event *e);

#endif
