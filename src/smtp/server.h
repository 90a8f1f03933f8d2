/* server.h - the parts of the server machine among themselves: server.c (input, states), server_commands.c (table), server_ehlo.c,
 * server_auth.c, server_text.c, server_reply.c. */
#ifndef POSTHOUSE_SMTP_SERVER_PRIVATE_H
#define POSTHOUSE_SMTP_SERVER_PRIVATE_H

#include "posthouse/secret.h"
#include "posthouse/smtp_server.h"

enum {
	INPUT_MAX = 64 * 1024,     /* bytes that wait to be understood */
	OUTPUT_MAX = 64 * 1024,    /* replies that wait to be written; */
	OUTPUT_ENOUGH = 16 * 1024, /* with so many no further command is looked at */
	LINE_MAX_OCTETS = 2048,    /* RFC 5321 4.5.3.1.4 wants 512, its extensions add up to more; with CRLF */
	AUTH_LINE_MAX = 12288,     /* RFC 4954 section 4: with CRLF */
	SWALLOW_MAX = 64 * 1024,   /* of a line that was refused: who sends more is no mail client */
	REPLY_LINE_MAX = 400,      /* bytes of text in a reply line: RFC 5321 4.5.3.1.5 has 512 with code and CRLF */
};

enum server_state {
	SERVER_NEW,       /* nothing was said yet */
	SERVER_START,     /* greeted; no EHLO since the connection or TLS began */
	SERVER_READY,     /* no transaction */
	SERVER_MAIL,      /* a sender */
	SERVER_RECIPIENT, /* and recipients */
	SERVER_TEXT,      /* after 354 */
	SERVER_AUTH,      /* the next line is a response */
	SERVER_TLS,       /* 220 was given to STARTTLS: nothing is read before the handshake is done */
	SERVER_CLOSED,    /* 221 or 421 was given */
	SERVER_STATES,
};

/* Events for information that are still to be given, as bits; given in this order. */
enum server_due { DUE_RESET = 1, DUE_HELO = 2, DUE_AUTH_CANCEL = 4, DUE_QUIT = 8, DUE_CLOSE = 16 };

struct smtp_server {
	const struct smtp_server_config *config;
	enum server_state state;
	bool tls, authenticated, esmtp;

	bool waiting; /* the last event wants smtp_server_reply() */
	enum smtp_event_type asked;
	unsigned due;

	struct buf in, out;
	size_t scanned;   /* bytes of `in` that hold no line end */
	size_t lent;      /* bytes at the front of `in` that are done with at the next call: an event may show them */
	bool lent_secret; /* and are to be wiped */
	bool swallowing;  /* the rest of a refused line, up to its CRLF */
	size_t swallowed;
	struct arena scratch; /* of the line at hand */
	struct str helo;
	struct secret response; /* of AUTH, decoded */

	uint64_t commands, errors, recipients;

	bool line_start; /* text: a true CRLF was just before */
	bool has_fault;  /* text: a rule was broken: swallow to the end */
	struct verdict fault;
	uint64_t text_bytes, swallowed_text;

	bool shutting; /* 421 at the next command */
	struct verdict shut;
	struct arena keep; /* its words */
};

/* ---- server.c ---- */
void server_enter(struct smtp_server *s, enum server_state state);
bool server_ask(struct smtp_server *s, enum smtp_event_type type,
		struct smtp_event *event_out); /* give an event that wants an answer; true */
void server_close(struct smtp_server *s, enum server_due why);
void server_begin_session(struct smtp_server *s); /* forget what was said: a new connection, or TLS */
void server_end_transaction(struct smtp_server *s);
static inline bool server_in_transaction(const struct smtp_server *s)
{
	return s->state == SERVER_MAIL || s->state == SERVER_RECIPIENT;
}

/* ---- server_reply.c ---- */
/* Append a reply; lines of `text` are divided by LF, long ones broken; what is not printable ASCII is replaced. An empty `enhanced` is left
 * out. 5xx counts as an error of the client, the last of them ends the session. */
void server_say(struct smtp_server *s, unsigned code, struct str enhanced, struct str text);
void server_refuse(struct smtp_server *s, struct verdict v);

/* ---- server_commands.c ---- */
/* Act on a command line. True when *event_out holds an event. */
bool server_command(struct smtp_server *s, struct str line, struct smtp_event *event_out);

/* ---- server_ehlo.c ---- */
bool server_ehlo(struct smtp_server *s, struct str argument, bool esmtp);
bool server_offers_mechanism(const struct smtp_server *s, struct str mechanism);

/* ---- server_auth.c ---- */
bool server_auth(struct smtp_server *s, struct str argument, struct smtp_event *event_out);
bool server_auth_response(struct smtp_server *s, struct str line, struct smtp_event *event_out);
void server_auth_reply(struct smtp_server *s, struct verdict v);

/* ---- server_text.c ---- */
void server_text_begin(struct smtp_server *s);
bool server_text(struct smtp_server *s, struct smtp_event *event_out);

#endif
