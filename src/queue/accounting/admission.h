/* admission.h - who may come in: connections, counted per client network while they are not logged in and per login afterwards; bans;
 * logins. What a channel's sessions hold ends with the channel. */
#ifndef QUEUE_ADMISSION_H
#define QUEUE_ADMISSION_H

#include "accounting/account.h"

#include "posthouse/ipc.h"

struct accounting;
struct reservation;

/* A client network with connections, or a wider one. */
struct place {
	struct hashtable_item in_table;
	char *name;
	size_t clients, unauthenticated; /* all; those that are not logged in */
};

/* A session of submission. */
struct client {
	struct hashtable_item in_table;
	struct list in_peer;
	struct accounting *accounting;
	struct admission_peer *peer;
	uint64_t session;
	struct place *place, *site; /* its network, and the wider one */
	char *address;
	char *login;                      /* NULL: not logged in */
	struct account *account, *device; /* NULL: not logged in; no limits of its own */
	struct list reservations;
};

/* A channel with sessions. */
struct admission_peer {
	struct list in_peers;
	struct channel *channel;
	struct list clients;
	size_t n;
};

struct admission {
	struct list peers;
	struct hashtable clients, places, reservations;
	size_t logged_in;
	struct list asking; /* struct asking: store_known() works for `reserve` */
	/* What was turned away since the last line that told of it. */
	uint64_t banned, crowded;
	char *last;
	uv_timer_t tell;
};

void admission_init(struct accounting *acc);
void admission_fini(struct accounting *acc);
void admission_peer_gone(struct accounting *acc, const struct channel *ch);

/* The session with this number on the channel; NULL. */
struct client *client_find(struct accounting *acc, const struct channel *ch, uint64_t session);

/* It has logged in, or is to log in anew: a listed host may, and does so as the new one. */
void client_log_in(struct client *c, struct str login, struct str device);
void client_log_out(struct client *c);

/* A client was turned away: one of these counters, for the line that tells of it. */
void admission_refused(struct accounting *acc, uint64_t *counter, struct str client);

void admission_stats(struct accounting *acc);

/* Messages of submission. `acc` is NULL while the store is not there: the queue is not started, or ends. */
void accounting_admit(struct accounting *acc, struct channel *ch, const struct msg_admit *m);
void accounting_authenticated(struct accounting *acc, struct channel *ch, const struct msg_authenticated *m);
void accounting_present(struct accounting *acc, struct channel *ch, const struct msg_present *m);
void accounting_leave(struct accounting *acc, struct channel *ch, const struct msg_leave *m);

#endif
