/* admission.h - which clients are allowed to connect and to log in. Connections are counted per client network until the
 * client logs in, and per login afterwards; bans are looked up. When a channel closes, all its clients are forgotten. */
#ifndef QUEUE_ADMISSION_H
#define QUEUE_ADMISSION_H

#include "accounting/account.h"

#include "posthouse/ipc.h"

struct accounting;
struct reservation;

/* A client network that has connections, or the wider network (site) around it. */
struct place {
	struct hashtable_item in_table;
	char *name;
	size_t clients, unauthenticated; /* all of the network; those of them that are not logged in */
};

/* A client: one session of a submission process. */
struct client {
	struct hashtable_item in_table;
	struct list in_peer;
	struct accounting *accounting;
	struct admission_peer *peer;
	uint64_t session;
	struct place *place, *site; /* its network, and the wider one */
	char *address;
	char *login;                      /* NULL: not logged in */
	struct account *account, *device; /* NULL: not logged in, or (device) no limits of its own */
	struct list reservations;
};

/* A channel to a submission process, with its clients. */
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
	struct list asking; /* struct asking: `reserve` calls that wait for store_known() */
	/* How many clients were refused since the last log line that said so. */
	uint64_t banned, crowded;
	char *last;
	uv_timer_t tell;
};

void admission_init(struct accounting *acc);
void admission_fini(struct accounting *acc);
void admission_peer_gone(struct accounting *acc, const struct channel *ch);

/* The client with this session number on the channel; NULL. */
struct client *client_find(struct accounting *acc, const struct channel *ch, uint64_t session);

/* The client has logged in, or logs in again as somebody else, which a listed host is allowed to do: log it out first. */
void client_log_in(struct client *c, struct str login, struct str device);
void client_log_out(struct client *c);

/* A client was refused: add one to this counter of struct admission, for the log line. */
void admission_refused(struct accounting *acc, uint64_t *counter, struct str client);

void admission_stats(struct accounting *acc);

/* Messages of submission. */
void accounting_admit(struct accounting *acc, struct channel *ch, const struct msg_admit *m);
void accounting_authenticated(struct accounting *acc, struct channel *ch, const struct msg_authenticated *m);
void accounting_present(struct accounting *acc, struct channel *ch, const struct msg_present *m);
void accounting_leave(struct accounting *acc, struct channel *ch, const struct msg_leave *m);

/* ---- reservation.c: what was promised to a client before its message is there, so that the client hears early, recipient by
 * recipient, what a limit does not allow ---- */

/* For which commands the session has to ask: bits of `authorized`. */
uint64_t reserving(const struct client *c);

/* The transaction is over, with or without `submit` (which charges): its reservation ends. */
void reservation_end(struct accounting *acc, const struct channel *ch, uint64_t transaction);

/* Drop all reservations of a client. */
void reservations_drop(struct client *c);

void reserve_peer_gone(struct accounting *acc, const struct channel *ch);

/* Message of submission. */
void accounting_reserve(struct accounting *acc, struct channel *ch, const struct msg_reserve *m);

#endif
