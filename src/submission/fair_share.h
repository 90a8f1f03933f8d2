/* fair_share.h - fair shares of the loop: one session's flood, or a thousand handshakes, must not keep the others waiting. */
#ifndef POSTHOUSE_SUBMISSION_FAIR_SHARE_H
#define POSTHOUSE_SUBMISSION_FAIR_SHARE_H

#include "submission.h"

struct session;

void fair_share_init(struct submission *sub);

/* What the session has just done counts: events as 1, bytes of text and of replies as well. True: its share of this round of the loop is
 * used up, and submission_ops.turn comes in the next one when the session waits for it. */
bool fair_share_spend(struct session *s, unsigned events, size_t text_bytes, size_t reply_bytes);
void fair_share_wait(struct session *s);

/* What comes next costs far more than an event: a handshake, or a flood of input. submission_ops.costly_turn comes when it is this session's turn. */
void fair_share_wait_costly(struct session *s);

#endif
