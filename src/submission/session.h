/* session.h - one client's connection: stream, SMTP machine, login, and the transaction under way. */
#ifndef POSTHOUSE_SUBMISSION_SESSION_H
#define POSTHOUSE_SUBMISSION_SESSION_H

#include "submission.h"

#include "posthouse/policy.h"
#include "posthouse/secret.h"

enum session_state {
	SESSION_NEW,
	SESSION_PROXY,       /* the PROXY header of a load balancer is awaited: it says who the client is */
	SESSION_ADMISSION,   /* queue is asked whether the client is allowed to connect */
	SESSION_HELLO,       /* TLS comes next: the client's first bytes are awaited, then a turn */
	SESSION_TLS,         /* the handshake */
	SESSION_COMMAND,     /* events are taken from the SMTP machine, or the client is awaited */
	SESSION_TURN,        /* the session has used its share of this round of the loop */
	SESSION_LOGIN,       /* the login role is asked, and asks queue */
	SESSION_LOGIN_DELAY, /* a refusal is held back, and an acceptance while the login is being guessed */
	SESSION_ERROR_DELAY, /* replies are held back from a client that makes error after error */
	SESSION_RESERVATION, /* queue is asked whether the limits allow one more message or recipient */
	SESSION_SPOOLING,    /* the disk is behind: nothing is read from the client */
	SESSION_WAITING,     /* the final dot has come; the transaction will answer */
	SESSION_CLOSING,
	SESSION_STATES,
};

/* Bits of `reserving`, see messages.def. */
enum { RESERVE_MESSAGES = 1, RESERVE_RECIPIENTS = 2 };

struct transaction;

struct session {
	struct list link; /* in sub->sessions */
	struct list turn; /* in one of the lists of sub->fair_share */
	struct submission *sub;
	struct door *door;
	struct policy *policy;
	struct smtp_server_config smtp_config; /* the policy's, with the mechanisms of this connection */
	enum session_state state;
	struct log log;
	struct arena arena;
	struct stream *conn;
	struct smtp_server *smtp;
	uv_timer_t timer; /* of the state: idle, delay */
	unsigned open_parts;
	unsigned share;    /* of a round of the loop, see fair_share.c */
	uint64_t share_at; /* the round */
	bool implicit;     /* TLS comes before the greeting */
	bool old_tls;      /* a listed host: TLS by policy->legacy */
	bool listed;       /* a listed host that has not logged in: see devices in the configuration */
	bool local;        /* a user of this machine, who is `user_here` */
	bool report;       /* of them: pickup, with a report about a file */
	bool opened;       /* session.opened is in the log */
	bool advancing;    /* session_advance() is at work */
	bool held;         /* the stream keeps input that we have not taken */
	bool flooding;     /* commands arrive faster than a client that reads the replies would send them; … */
	bool has_turn;     /* … they are read only in a turn of the session, which is now */
	bool peer_ended;   /* the client has ended its direction; what it sent before is still answered */
	bool refused;      /* a banned client of implicit TLS: it gets `refusal` after the handshake */
	bool expelled;     /* the session ends when queue has answered for the open message */
	bool after_reply;  /* the 250 for a message is being written */
	bool at_fault;     /* it is cut off for too many errors or commands */
	bool esmtp;        /* EHLO, not HELO, was said last */

	struct buf proxy;          /* what has come of a PROXY header */
	uint64_t queue_generation; /* of the queue that counts this session; 0 = none does */
	uint64_t login_generation; /* of the login process with which an exchange is under way; 0 = none is */
	uint64_t call;
	struct str mechanism, login, device; /* login: "" before */
	struct {
		struct str login, device; /* as queue has them: before `login` where the client waits for its answer */
		struct str ticket;        /* the proof for the next queue; "": nobody is logged in */
	} vouched;
	enum {
		ANSWER_STEP,
		ANSWER_FIRST,
		ANSWER_USER,
		ANSWER_PASSWORD
	} answer;           /* what the client's next response in AUTH will be */
	struct secret user; /* the name of a LOGIN exchange, until the password has come */
	struct str final;   /* last message of the mechanism: the client gets it when queue has agreed */
	bool final_said;
	struct verdict refusal; /* what a delayed login will hear */
	uint64_t reserving;
	struct buf helo; /* only where it is to be shown */

	struct local_user user_here;    /* of a local session; its texts are in the arena */
	uint64_t given_id, given_token; /* of the first message, see session_accept_for(); 0: none */
	struct str system_users;        /* names, see local_recipient() */

	struct transaction *tx;
	uint64_t errors_seen, messages;
	uint64_t opened_at;    /* ms since 1970 */
	uint64_t login_by;     /* monotonic ms: a client that has not logged in by then gets 421 */
	const char *ended_for; /* the reason of our 421; NULL: the machine said 421 itself, for too many errors or commands */
};

/* ---- session.c ---- */
void session_enter(struct session *s, enum session_state state);
void session_set_timer(struct session *s, uint64_t ms); /* then comes submission_ops.timeout */

/* Set the timer for a wait for the client: the idle time, or what is left until it must have logged in. */
void session_await(struct session *s);

/* How long another wait for the client lasts: `ms`, or what is left until it must have logged in. */
uint64_t session_wait_ms(const struct session *s, uint64_t ms);

/* Count what is refused by its enhanced code. / Answer the event that waits, and count. / The same, and go on. */
void session_count_refusal(struct session *s, struct verdict v);
void session_say(struct session *s, struct verdict v);
void session_reply(struct session *s, struct verdict v);

/* Reply 421 now and end the session. */
void session_shut(struct session *s, struct verdict v, const char *reason);

/* End the session with this 421, after the answer to the message that is with queue, if there is one. `reason` stays valid. */
void session_dismiss(struct session *s, struct verdict v, const char *reason);

/* The password of this session is not valid any more: the same. */
void session_expel(struct session *s);

void session_end_login(struct session *s); /* give up the exchange with the login role, if there is one */

/* The only way to end a session. `finish`: after the client has got what was written; else at once. */
void session_close(struct session *s, struct str reason, bool finish);
void session_part_closed(struct session *s); /* the stream or the timer is closed; the last of the two frees the session */

/* The grace time of a stop is over: close at once, even a session whose client does not read the last reply. */
void session_cut(struct session *s);

/* ---- session_accept.c ---- */
/* A client has connected. */
void session_accept(void *door, int fd);

/* Are there so many sessions that another client is not even told why it is refused? */
bool session_is_full(const struct submission *sub);

/* The same for a user of this machine whose file pickup hands over; the first message gets this id and token, unless id is 0. */
void session_accept_for(struct door *door, int fd, const struct msg_local_client *m);

/* The relay stops: 421 at the next command; at once with `now`, or when the session is idle. */
void session_stop(struct session *s, bool now);

void session_on_timeout(struct session *s);
/* From the transaction: its answer, with which it ends; there is room in the spool again. */
void session_answer(struct session *s, struct verdict v);
void session_room(struct session *s);

/* ---- session_events.c ---- */
size_t session_on_input(void *ctx, struct stream *st, struct str bytes);
/* Take events as long as the state is SESSION_COMMAND. */
void session_advance(struct session *s);
/* Its turn has come, see fair_share.h. */
void session_turn(struct session *s);
void session_costly_turn(struct session *s);

/* ---- session_admission.c ---- */
void session_expect_proxy(struct session *s);
size_t session_on_proxy_bytes(struct session *s, struct str bytes);
void session_ask_admission(struct session *s);
/* The client hears 421 instead of a greeting. With implicit TLS only when it is `banned`: no handshake only to tell of crowds. */
void session_refuse(struct session *s, struct verdict v, bool banned);
/* A new queue process has connected. */
void sessions_on_queue_up(struct submission *sub);
/* The entry of devices that this session uses; NULL when it uses a login. False: the entry has gone, and the client must hear
 * *v_out. */
bool session_device(const struct session *s, const struct cfg_device **device_out, struct verdict *v_out);

/* The client is admitted: greet it, or begin with TLS. */
void session_begin(struct session *s);

/* ---- session_local.c ---- */
/* The client of a Unix socket: login asks the kernel which user it is, and knows which login that has. `pass`: of a client that
 * pickup has brought, else "". */
void session_admit_local(struct session *s, struct str pass);

/* ---- session_tls.c ---- */
void session_expect_handshake(struct session *s);
size_t session_on_hello_bytes(struct session *s, struct str bytes);
void session_on_starttls(struct session *s, const struct smtp_event *e);
void session_on_tls(void *ctx, struct stream *st, struct verdict v);
void session_begin_handshake(struct session *s);
/* The number of the connection's TLS version as on the wire, and its strength; 0 without TLS. */
void session_tls_numbers(const struct session *s, uint64_t *version_out, uint64_t *bits_out);

/* ---- login.c ---- */
void session_on_auth(struct session *s, const struct smtp_event *e);
void session_on_auth_response(struct session *s, const struct smtp_event *e);
void session_end_login_delay(struct session *s);

/* queue has agreed that this login is that of the session; the texts are copied. */
void session_vouch(struct session *s, struct str login, struct str device, uint64_t reserving, struct str ticket);

/* The password of a session is not valid any more, or its login is locked: queue takes nothing from it, and it ends. */
void session_on_over(struct submission *sub, uint64_t session);

/* ---- admin.c ---- */
void sessions_list(struct submission *sub, struct channel *ch, const struct msg_session_page *m);
void sessions_close(struct submission *sub, struct channel *ch, const struct msg_session_close *m);

/* ---- mail.c ---- */
void session_on_mail(struct session *s, const struct smtp_event *e);
void session_on_rcpt(struct session *s, const struct smtp_event *e);
void session_on_data(struct session *s, const struct smtp_event *e);
void session_on_text(struct session *s, const struct smtp_event *e);
void session_on_text_end(struct session *s, const struct smtp_event *e);
void session_on_refusal(void *ctx, const struct smtp_refusal *refusal);
void session_on_reset(struct session *s, const struct smtp_event *e);

#endif
