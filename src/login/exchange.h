/* exchange.h - one login under way, shared by exchange_start.c (its start), exchange_step.c (responses of the client) and
 * exchange.c (its states and its end). The functions for other files are in login.h. */
#ifndef POSTHOUSE_LOGIN_EXCHANGE_H
#define POSTHOUSE_LOGIN_EXCHANGE_H

#include "cyrus.h"
#include "login.h"

enum exchange_state {
	EXCHANGE_NEW,
	EXCHANGE_WORKING, /* a worker thread makes a step */
	EXCHANGE_WAITING, /* for the client */
	EXCHANGE_JUDGED,  /* by the back-end: queue is asked for its verdict */
	EXCHANGE_ORPHANED,
	EXCHANGE_CLOSING,
	EXCHANGE_STATES
};

/* What the next answer of the client is. */
enum expectation { EXPECT_START, EXPECT_STEP, EXPECT_PASSWORD };

struct exchange {
	struct login *login;
	struct list link; /* in login->exchanges but when ORPHANED or CLOSING */
	struct channel *ch;
	uint64_t session, call;
	enum exchange_state state;
	enum expectation expects;
	struct arena arena; /* of the texts below */
	const char *mechanism;
	struct str client; /* its address, for the log */
	struct conversation_config config;
	uint64_t step_ms; /* the time limit of a step */
	uint64_t step_began_at;
	struct conversation *conversation; /* created by the first worker */
	struct secret user, response;      /* `response` is the worker's while WORKING */
	struct cache_key key;              /* of the name and password that are being checked */
	uint64_t generation;               /* of the accounts when the login began */
	struct conversation_result result;
	struct vouch vouch;
	struct job job;
	uv_timer_t timer;
};

/* ---- exchange.c ---- */
struct exchange *exchange_find(struct login *l, const struct channel *ch, uint64_t session);
void exchange_enter(struct exchange *e, enum exchange_state state);
void exchange_close(struct exchange *e);

/* Nobody waits for it any more. A step that a worker has begun is completed; one that has not begun is withdrawn. */
void exchange_leave(struct exchange *e);

/* Nobody has decided: a fault on this side, or a response that belongs to no exchange. */
void answer_verdict(struct channel *ch, uint64_t call, struct verdict v);
void count_login(struct login *l, struct verdict v);

/* ---- exchange_step.c ---- */
/* What the client said, as the next step. */
void exchange_take_response(struct exchange *e, struct str response);

/* ---- exchange_end.c ---- */
/* `result` is there, and is no question to the client: queue is told, then submission. */
void exchange_conclude(struct exchange *e);

#endif
