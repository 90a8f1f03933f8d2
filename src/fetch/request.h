/* request.h - the requests of other roles: some run, the rest waits in order. Those for tokens and those for texts do not
 * wait for each other. */
#ifndef FETCH_REQUEST_H
#define FETCH_REQUEST_H

#include "client.h"
#include "posthouse/ipc.h"
#include "posthouse/list.h"

enum { REQUESTS_RUNNING_MAX = 16, REQUESTS_WAITING_MAX = 256 };
#define REQUEST_WAIT_MAX_MS (30 * SECOND_MS) /* the caller waits for this and REQUEST_MS or TEXT_MS, see messages.def */

struct requests {
	uv_loop_t *loop;
	struct client *client;
	struct list running, waiting;
	size_t running_n, waiting_n;
	uint64_t came, failures;
	struct str ca_pem; /* of new requests for tokens; the owner sets it before each request_add() and when it changes */
	void (*busy)(void *ctx, int change); /* a request has come (+1) or has ended (-1) */
	void *ctx;
};

void requests_init(struct requests *q, uv_loop_t *loop, struct client *client, void (*busy)(void *ctx, int change), void *ctx);

/* Answers by `fetched`, from the loop. */
void request_add(struct requests *q, struct channel *ch, const struct msg_fetch *m);
/* … by `text_fetched`. */
void request_add_text(struct requests *q, struct channel *ch, const struct msg_fetch_text *m);

/* The channel has closed: its requests end without an answer. */
void requests_drop(struct requests *q, const struct channel *ch);

#endif
