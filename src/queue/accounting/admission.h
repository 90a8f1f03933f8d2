/* admission.h - which clients are allowed to connect and to log in. Connections are counted per client network until the
 * client logs in, and per login afterwards; bans are looked up. When a channel closes, all its clients are forgotten. */
#ifndef QUEUE_ADMISSION_H
#define QUEUE_ADMISSION_H

#include "accounting/account.h"
#include "accounting/ticket.h"

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
	char *login, *device_name;        /* NULL: not logged in */
	uint64_t rights;                  /* bits RIGHT_... of ipc.h */
	uint64_t stamp;                   /* of the password, see authenticated; 0: none */
	struct account *account, *device; /* NULL: not logged in, or (device) no limits of its own */
	struct list reservations;
	size_t reservations_n;
};

/* A channel to a submission process, with its clients. */
struct admission_peer {
	struct list in_peers;
	struct channel *channel;
	struct list clients;
	size_t n;
};

#define ENDED_MAX 1024

struct admission {
	struct list peers;
	struct hashtable clients, places, reservations;
	size_t logged_in;
	struct list asking; /* struct asking: `reserve` calls that wait for store_known() */
	struct list ending; /* struct ending: `login_over` calls that wait for submission */
	/* Hashes of the last logins that have ended, whose tickets are worth nothing any more. */
	uint64_t ended[ENDED_MAX];
	size_t ended_next;
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

/* The same for a session that another role names: of the submission process number `worker`, if that is still the one with this
 * incarnation. */
struct client *client_of(struct accounting *acc, uint64_t worker, uint64_t incarnation, uint64_t session);

/* The client has logged in, or logs in again as somebody else, which a listed host is allowed to do: log it out first. */
void client_log_in(struct client *c, struct str login, struct str device, uint64_t rights, uint64_t stamp);
void client_log_out(struct client *c);

/* A client was refused: add one to this counter of struct admission, for the log line. */
void admission_refused(struct accounting *acc, uint64_t *counter, struct str client);

void admission_stats(struct accounting *acc);

/* ---- revocation.c: logins that end before their sessions, since the password has changed or the login is locked ---- */

/* Let the login role judge whether the login of this client still holds. */
void revocation_present(const struct client *c);

/* Has a login like this one ended? / Somebody has logged in by the same password again (it was locked only for a while). */
bool revocation_holds(const struct accounting *acc, struct str login, struct str device, uint64_t stamp);
void revocation_forget(struct accounting *acc, struct str login, struct str device, uint64_t stamp);

void revocation_peer_gone(struct accounting *acc, const struct channel *ch);
void revocation_fini(struct accounting *acc);

/* Messages of login. */
void accounting_authenticated(struct accounting *acc, struct channel *ch, const struct msg_authenticated *m);
void accounting_logins_check(struct accounting *acc, struct channel *ch, const struct msg_logins_check *m);
void accounting_login_over(struct accounting *acc, struct channel *ch, const struct msg_login_over *m);

/* Messages of submission. */
void accounting_admit(struct accounting *acc, struct channel *ch, const struct msg_admit *m);
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
