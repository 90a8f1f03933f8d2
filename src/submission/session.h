/* session.h - one client's connection: stream, SMTP machine, login, and the transaction under way. */
#ifndef POSTHOUSE_SUBMISSION_SESSION_H
#define POSTHOUSE_SUBMISSION_SESSION_H

#include "submission.h"

#include "posthouse/secret.h"

enum session_state {
	SESSION_NEW,
	SESSION_PROXY,       /* a load balancer will say who the client is */
	SESSION_ADMISSION,   /* queue is asked at the door */
	SESSION_HELLO,       /* TLS comes next: the client's first bytes, then a turn */
	SESSION_TLS,         /* the handshake */
	SESSION_COMMAND,     /* events are taken, or the client is waited for */
	SESSION_TURN,        /* it has had its share of this round of the loop */
	SESSION_LOGIN,       /* the login role is asked */
	SESSION_AUTHORIZING, /* and then queue, which counts failures */
	SESSION_LOGIN_DELAY, /* a refused login waits for its answer, and one that is let in for its turn */
	SESSION_ERROR_DELAY, /* and so does one who makes error after error */
	SESSION_RESERVATION, /* queue is asked whether the limits allow one more message or recipient */
	SESSION_SPOOLING,    /* the disk is behind: the client is not read */
	SESSION_WAITING,     /* the final dot was there; the transaction answers */
	SESSION_CLOSING,
	SESSION_STATES,
};

/* Bits of `reserving`, see messages.def. */
enum { RESERVE_MESSAGES = 1, RESERVE_RECIPIENTS = 2 };

struct transaction;

struct session {
	struct list link; /* in sub->sessions */
	struct list turn; /* in one of sub->fair_share' lists */
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
	bool opened;       /* the log knows it */
	bool advancing;    /* session_advance() is at work */
	bool held;         /* the stream keeps input that we have not taken */
	bool flooding;     /* it sends far more commands than anybody would who reads the answers: */
	bool has_turn;     /* what it has sent is looked at in its turn, which is now */
	bool peer_ended;   /* nothing more will come; what came is still answered */
	bool refused;      /* a banned client of implicit TLS: it hears so, in `refusal`, after the handshake */
	bool expelled;     /* its password is none any more: it ends when the message that is with queue has its answer */
	bool after_reply;  /* a 250 for a message is on its way out */
	bool esmtp;        /* EHLO, not HELO, was said last */

	struct buf proxy;          /* what has come of a PROXY header */
	uint64_t queue_generation; /* of the queue that counts this session; 0 = none does */
	uint64_t login_generation; /* of the login process with which an exchange is under way; 0 = none is */
	uint64_t call;
	struct str mechanism, login, device;                                     /* login: "" before */
	struct str auth_pending_login, auth_pending_device;                      /* while queue judges */
	enum { ANSWER_STEP, ANSWER_FIRST, ANSWER_USER, ANSWER_PASSWORD } answer; /* what the client's next one in AUTH is */
	struct secret user;                                                      /* of LOGIN, until the password is there */
	uint64_t auth_pending_stamp, stamp;                                      /* of the password, see messages.def; 0: none */
	uint64_t repeated;                                                       /* how it was counted before, see messages.def */
	struct str tried;                                                        /* what stands for it */
	struct str final; /* last words of the mechanism, for the client when queue has said yes */
	bool final_said;
	uint64_t authorize_generation; /* of the queue that was asked */
	struct verdict refusal;        /* what a delayed login will hear */
	uint64_t reserving;
	struct buf helo; /* only where it is to be shown */

	struct transaction *tx;
	uint64_t errors_seen, messages;
	uint64_t login_by;     /* monotonic ms: until then who has not logged in is waited for */
	const char *ended_for; /* why we said 421; NULL: the machine did, for errors or commands */
};

/* ---- session.c ---- */
void session_enter(struct session *s, enum session_state state);
void session_set_timer(struct session *s, uint64_t ms); /* then comes submission_ops.timeout */

/* The client is waited for: as long as it may be idle, or until it has to be logged in. */
void session_await(struct session *s);

/* The same of another wait for the client: `ms`, or what is left until then. */
uint64_t session_wait_ms(const struct session *s, uint64_t ms);

/* Answer the event that waits, and go on. */
void session_reply(struct session *s, struct verdict v);

/* The client hears 421 now, and the session ends. */
void session_shut(struct session *s, struct verdict v, const char *reason);

/* The password by which it came in is none any more: 421, when queue has answered for the message that it has, if it has one. */
void session_expel(struct session *s);

void session_end_login(struct session *s); /* the exchange, if one is under way, is given up */

/* The one way out. `finish`: what was written is to reach the client; else at once. */
void session_close(struct session *s, struct str reason, bool finish);
void session_part_closed(struct session *s); /* its stream or its timer; the last one frees it */

/* The time of the stop is over: at once, also one that is closing and whose client does not take its last words. */
void session_cut(struct session *s);

/* ---- session_accept.c ---- */
/* A client at the door. */
void session_accept(struct door *door, uv_stream_t *server);

/* The relay stops: 421 at the next command; `now` (and for those who are idle): at once. */
void session_stop(struct session *s, bool now);

void session_on_timeout(struct session *s);
/* From the transaction: its answer (it ends then); there is room in the spool again. */
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
/* A new queue is there. */
void sessions_on_queue_up(struct submission *sub);
/* The entry of devices that this session goes by; NULL when it goes by a login. False: there is none any more, and the client must hear
 * *v_out. */
bool session_device(const struct session *s, const struct cfg_device **device_out, struct verdict *v_out);

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
void session_authorize(struct session *s);             /* ask queue, unless it is asked or need not be */
void session_give_up_authorization(struct session *s); /* its time is over */
void session_end_login_delay(struct session *s);

/* The login role wants to know who is in, and by which password; it says that a session's is none any more. */
void sessions_present_logins(struct submission *sub);
void session_on_login_over(struct submission *sub, uint64_t session);

/* ---- mail.c ---- */
void session_on_mail(struct session *s, const struct smtp_event *e);
void session_on_rcpt(struct session *s, const struct smtp_event *e);
void session_on_data(struct session *s, const struct smtp_event *e);
void session_on_text(struct session *s, const struct smtp_event *e);
void session_on_text_end(struct session *s, const struct smtp_event *e);
void session_on_reset(struct session *s, const struct smtp_event *e);

#endif
