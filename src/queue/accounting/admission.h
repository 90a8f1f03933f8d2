/* admission.h - who may come in: connections, counted per client network while they are not logged in and per login afterwards; bans;
 * logins. What a channel's sessions hold ends with the channel. */
#ifndef QUEUE_ADMISSION_H
#define QUEUE_ADMISSION_H

#include "accounting/account.h"

#include "posthouse/ipc.h"

struct queue;
struct reservation;

/* A client network with connections, or a wider one. */
struct place {
	struct hashtable_item in_table;
	char *name;
	size_t visitors, strangers; /* all; those that are not logged in */
};

/* A session of submission. */
struct visitor {
	struct hashtable_item in_table;
	struct list in_peer;
	struct queue *queue;
	struct admission_peer *peer;
	uint64_t session;
	struct place *place, *site;       /* its network, and the wider one */
	char *client;                     /* its address */
	char *login;                      /* NULL: not logged in */
	struct account *account, *device; /* NULL: not logged in; no limits of its own */
	struct list reservations;
};

/* A channel with sessions. */
struct admission_peer {
	struct list in_peers;
	struct channel *channel;
	struct list visitors;
	size_t n;
};

struct admission {
	struct list peers;
	struct hashtable visitors, places, reservations;
	size_t logged_in;
	struct list asking; /* struct asking: store_known() works for `reserve` */
	/* What was turned away since the last line that told of it. */
	uint64_t banned, crowded;
	char *last;
	uv_timer_t tell;
};

void admission_init(struct queue *q);
void admission_fini(struct queue *q);
void admission_peer_gone(struct queue *q, const struct channel *ch);

/* Bans or buckets have been read: if both, what waited for them goes on. */
void admission_ready(struct queue *q);

/* Both have been read: whoever comes can be judged. */
bool admission_is_ready(const struct queue *q);

/* The session with this number on the channel; NULL. */
struct visitor *visitor_find(struct queue *q, const struct channel *ch, uint64_t session);

/* It has logged in, or is to log in anew: a listed host may, and does so as the new one. */
void visitor_log_in(struct visitor *v, struct str login, struct str device);
void visitor_log_out(struct visitor *v);

/* A client was turned away: one of these counters, for the line that tells of it. */
void admission_refused(struct queue *q, uint64_t *counter, struct str client);

void admission_stats(struct queue *q);

/* Handlers; their ctx is the role. */
void handle_admit(void *ctx, struct channel *ch, const struct msg_admit *m, int fd);
void handle_authenticated(void *ctx, struct channel *ch, const struct msg_authenticated *m, int fd);
void handle_present(void *ctx, struct channel *ch, const struct msg_present *m, int fd);
void handle_leave(void *ctx, struct channel *ch, const struct msg_leave *m, int fd);

#endif
