/* session.h - one client's connection: stream, SMTP machine, login, and the transaction under way. */
#ifndef POSTHOUSE_SUBMISSION_SESSION_H
#define POSTHOUSE_SUBMISSION_SESSION_H

#include "submission.h"

enum session_state {
	SESSION_NEW,
	SESSION_TLS,         /* the handshake */
	SESSION_COMMAND,     /* events are taken, or the client is waited for */
	SESSION_LOGIN,       /* the login role is asked */
	SESSION_LOGIN_DELAY, /* a refused login waits for its answer */
	SESSION_ERROR_DELAY, /* and so does one who makes error after error */
	SESSION_SPOOLING,    /* the disk is behind: the client is not read */
	SESSION_WAITING,     /* the final dot was there; the transaction answers */
	SESSION_CLOSING,
	SESSION_STATES,
};

struct transaction;

struct session {
	struct list link; /* in sub->sessions */
	struct submission *sub;
	struct door *door;
	struct policy *policy;
	enum session_state state;
	struct log log;
	struct arena arena;
	struct stream *conn;
	struct smtp_server *smtp;
	uv_timer_t timer; /* of the state: idle, delay */
	unsigned open_parts;
	bool implicit;    /* TLS comes before the greeting */
	bool advancing;   /* session_advance() is at work */
	bool held;        /* the stream keeps input that we have not taken */
	bool peer_ended;  /* nothing more will come; what came is still answered */
	bool after_reply; /* a 250 for a message is on its way out */

	uint64_t login_generation; /* of the login process with which an exchange is under way; 0 = none is */
	uint64_t call;
	struct str mechanism, login, device; /* login: "" before */
	struct str origin;                   /* client, TLS and mechanism in one line, for the store and the log */
	struct verdict refusal;              /* what a delayed login will hear */

	struct transaction *tx;
	uint64_t errors_seen, messages;
	const char *ended_for; /* why we said 421; NULL: the machine did, for errors or commands */
};

/* A client at the door. */
void session_accept(struct door *door, uv_stream_t *server);

/* Take events as long as the state is SESSION_COMMAND. */
void session_advance(struct session *s);
void session_enter(struct session *s, enum session_state state);

/* The one way out. `finish`: what was written is to reach the client; else at once. */
void session_close(struct session *s, struct str reason, bool finish);

/* The relay stops: 421 at the next command; `now` (and for those who are idle): at once. */
void session_stop(struct session *s, bool now);

/* From the transaction: its answer (it ends then); there is room in the spool again. */
void session_answer(struct session *s, struct verdict v);
void session_room(struct session *s);

/* ---- login.c ---- */
void session_on_auth(struct session *s, const struct smtp_event *e);
void session_on_auth_response(struct session *s, const struct smtp_event *e);
void session_end_login(struct session *s); /* the exchange, if one is under way, is given up */

/* ---- mail.c ---- */
void session_on_mail(struct session *s, const struct smtp_event *e);
void session_on_rcpt(struct session *s, const struct smtp_event *e);
void session_on_data(struct session *s, const struct smtp_event *e);
void session_on_text(struct session *s, const struct smtp_event *e);
void session_on_text_end(struct session *s, const struct smtp_event *e);
void session_on_reset(struct session *s, const struct smtp_event *e);

#endif
