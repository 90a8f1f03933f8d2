/* notification_text.h - the words of notices: what happened, when it ends, what to do. */
#ifndef QUEUE_NOTIFICATION_TEXT_H
#define QUEUE_NOTIFICATION_TEXT_H

#include "accounting/account.h"

struct str warning_text(struct arena *a, const struct account *account, const struct meter *m, uint64_t now);
struct str held_text(struct arena *a, const struct account *account, const struct meter *m, struct str reason);
struct str breaker_text(struct arena *a, const struct account *account, struct str why);

#endif
