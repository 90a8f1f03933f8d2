/* fair_share.h - fair shares of the loop: one session that floods, or a thousand handshakes, must not delay the other
 * sessions. */
#ifndef POSTHOUSE_SUBMISSION_FAIR_SHARE_H
#define POSTHOUSE_SUBMISSION_FAIR_SHARE_H

#include "submission.h"

struct session;

void fair_share_init(struct submission *sub);

/* Charge what the session has just done: each event counts as 1, and so do some bytes of text and of replies. True: the
 * session has used its share of this round of the loop. It then waits with fair_share_wait(), and submission_ops.turn is
 * called in the next round. */
bool fair_share_spend(struct session *s, unsigned events, size_t text_bytes, size_t reply_bytes);
void fair_share_wait(struct session *s);

/* The next step costs far more than an event: a handshake, or a flood of input. submission_ops.costly_turn is called when it
 * is the turn of this session. */
void fair_share_wait_costly(struct session *s);

#endif
