/* visits.h - sessions of submission, as tests play them: admitted, logged in, reserving. */
#ifndef TEST_VISITS_H
#define TEST_VISITS_H

#include "harness.h"

#define ALICE "alice@example.org"

/* The configuration holds, and submission and console are there; mail is ALICE's. */
void visits_begin(struct harness *h);

/* An orderly end, and a new queue over the same store, configured again. */
struct harness *visits_restart(void **state, void (*configure)(struct harness *h));

struct verdict admit(struct harness *h, uint64_t session, const char *client);
struct verdict log_in(struct harness *h, uint64_t session, const char *login, const char *device, bool success);
struct verdict reserve_message(struct harness *h, uint64_t session, uint64_t transaction, uint64_t bytes);
struct verdict reserve_recipient(struct harness *h, uint64_t session, uint64_t transaction, const char *recipient);
void leave(struct harness *h, uint64_t session);

/* The same with a password that was tried before. */
struct verdict log_in_by(struct harness *h, uint64_t session, const char *login, const char *device, bool success,
			 uint64_t repeated);
#define VISIT_STAMP 4711

/* `reserving`, `delay_ms` and `counted` of the last login; `banned` of the last `admit`. */
extern uint64_t visit_reserving, visit_delay_ms, visit_counted, visit_banned;
extern bool visit_unknown;
extern struct str visit_ticket;

/* Submit a message of h->login and tell how it went. */
struct verdict submit_one(struct harness *h, uint64_t id, const char *recipients);

/* Does the text hold the part? */
bool holds(struct str text, const char *part);

/* The rows of limits_page about `who`; and how many limits_reset has emptied. */
#define VISIT_ROWS_MAX 64
struct limit_rows {
	struct rec_limit_row at[VISIT_ROWS_MAX];
	size_t n;
};
const struct limit_rows *limits_show(struct harness *h, const char *who);
const struct rec_limit_row *limit_row(const struct limit_rows *rows, const char *key, const char *rule); /* NULL: none */
uint64_t limits_reset(struct harness *h, const char *who);

#endif
