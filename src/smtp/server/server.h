/* server.h - the parts of the server machine among themselves, from the top:
 *
 * server.c       input, lines, the order of events
 * commands.c     the table of commands
 * help.c         HELP, VRFY, EXPN
 * answer.c       what the user answers to an event
 * ehlo.c, auth.c, transaction.c (with params.c), chunk.c    the commands
 * text.c, lines.c, swallow.c    the text, and its end when it is refused
 * reply.c        what is said, and the count of errors
 * core.c         states: what all others use */
#ifndef POSTHOUSE_SMTP_SERVER_PRIVATE_H
#define POSTHOUSE_SMTP_SERVER_PRIVATE_H

#include "grammar.h"

#include "posthouse/secret.h"

enum {
	INPUT_MAX = 64 * 1024,     /* input that is not parsed so far, in bytes */
	OUTPUT_MAX = 64 * 1024,    /* replies that the user has not written out */
	OUTPUT_ENOUGH = 16 * 1024, /* with so many unwritten, no further command is read */
	LINE_MAX_OCTETS = 2048,    /* RFC 5321 4.5.3.1.4 wants 512, its extensions add up to more; with CRLF */
	LINE_CRS_MAX = 64,         /* CRs between a line and its LF */
	AUTH_LINE_MAX = 12288,     /* RFC 4954 section 4: with CRLF */
	SWALLOW_MAX = 64 * 1024,   /* bytes of a refused line: a client that sends more is no mail client */
	REFUSED_RECIPIENTS =
		1000,         /* refused RCPTs of one message that are no misuse; or config->recipients, where that is more */
	REPLY_LINE_MAX = 400, /* bytes of text in a reply line: RFC 5321 4.5.3.1.5 has 512 with code and CRLF */
};

enum server_state {
	SERVER_NEW,       /* nothing was said yet */
	SERVER_START,     /* greeted; no EHLO since the connection or TLS began */
	SERVER_READY,     /* no transaction */
	SERVER_MAIL,      /* a sender */
	SERVER_RECIPIENT, /* and recipients */
	SERVER_TEXT,      /* after 354 */
	SERVER_CHUNK,     /* within the bytes of a BDAT */
	SERVER_CHUNKS,    /* between two of them */
	SERVER_BROKEN,    /* one of them was refused: until RSET all others are */
	SERVER_AUTH,      /* the next line is a response */
	SERVER_TLS,       /* 220 was given to STARTTLS: nothing is read before the handshake is done */
	SERVER_CLOSED,    /* 221 or 421 was given */
	SERVER_STATES,
};

/* Events for information that are still to be given, as bits; given in this order. */
enum server_due { DUE_RESET = 1, DUE_HELO = 2, DUE_AUTH_CANCEL = 4, DUE_QUIT = 8, DUE_CLOSE = 16 };

struct smtp_server {
	const struct smtp_server_config *config;
	const struct server_command *verbs; /* the table, which ends with an empty verb */
	enum server_state state;
	bool tls, authenticated, esmtp;
	bool trusted, trusted_needs_tls; /* see smtp_server_trust() */

	bool waiting; /* the last event wants smtp_server_reply() */
	enum smtp_event_type asked;
	unsigned due;

	struct buf in, out;
	size_t scanned;   /* bytes of `in` that hold no line end */
	size_t lent;      /* bytes at the front of `in` that the last event can show; the next call drops them */
	bool lent_secret; /* and wipes them */
	bool swallowing;  /* the rest of a refused line, up to its CRLF */
	size_t swallowed;
	struct arena scratch; /* of the current line */
	struct str helo;
	struct secret response; /* of AUTH, decoded */

	uint64_t commands, errors, recipients;
	uint64_t refused_recipients; /* of this transaction: errors when it comes to nothing */
	uint64_t messages;           /* begun with MAIL, on this connection */
	bool utf8, binary;           /* of the transaction: SMTPUTF8, BODY=BINARYMIME */

	bool line_crlf;    /* the command before ended with CRLF, not with LF alone */
	bool line_start;   /* text: at the start of a line, */
	bool after_crlf;   /* behind a CRLF as the client sent it */
	size_t held_crs;   /* text: CRs, whose LF can follow */
	struct buf mended; /* text whose line ends are made CRLF; as long as `lent` */
	bool has_fault;    /* text: a rule was broken: swallow to the end */
	struct verdict fault;
	uint64_t text_bytes, swallowed_text;

	bool chunked;    /* the text comes by BDAT */
	bool chunk_last; /* this chunk is the last */
	uint64_t chunk_size, chunk_left;
	bool skipping; /* the bytes of a refused BDAT are thrown away; then comes its answer, */
	struct verdict skip_answer;
	struct verdict broken; /* and this to all BDATs behind it */
	struct arena broken_words;

	bool shutting; /* 421 at the next command */
	struct verdict shut;
	struct arena keep; /* its words */
};

/* ---- core.c ---- */
void server_enter(struct smtp_server *s, enum server_state state);
bool server_ask(struct smtp_server *s, enum smtp_event_type type,
		struct smtp_event *event_out); /* give an event that wants an answer; true */
void server_close(struct smtp_server *s, enum server_due why);
void server_end_transaction(struct smtp_server *s);
static inline bool server_in_transaction(const struct smtp_server *s)
{
	return s->state == SERVER_MAIL || s->state == SERVER_RECIPIENT || s->state == SERVER_CHUNKS;
}
const struct server_command *server_find_command(const struct smtp_server *s, struct str verb); /* NULL: there is no such one */

/* ---- reply.c ---- */
/* Append a reply; lines of `text` are divided by LF, long ones broken; what is not printable ASCII is replaced. An empty
 * `enhanced` is left out. 5xx counts as an error of the client, the last of them ends the session. These three return false,
 * which means for a command: there is no event. */
bool server_say(struct smtp_server *s, unsigned code, struct str enhanced, struct str text);
bool server_refuse(struct smtp_server *s, struct verdict v);
/* Refuse a recipient. This counts as an error of the session only when the message ends without being accepted. */
bool server_refuse_recipient(struct smtp_server *s, struct verdict v);
/* Tell the user of the machine that a client whose mail he wants is about to be refused. Views without a value: "". */
void server_tell_refusal(struct smtp_server *s, struct str sender, struct str recipient, struct verdict v);

/* ---- commands.c ---- */
enum server_need { NEED_TLS = 1, NEED_AUTH = 2, NO_ARGUMENT = 4 };

/* RFC 2920 section 3.1: after which command a client has to wait for the answer. HELP tells it; the machine takes what comes
 * in order in either case, except that after STARTTLS (server.c) and QUIT nothing counts. */
enum server_pipelining { MAY_PIPELINE, ENDS_GROUP };

typedef bool (*server_command_fn)(struct smtp_server *s, struct str argument, struct smtp_event *event_out);

struct server_command {
	struct str verb;
	unsigned states, needs; /* bits of enum server_state and server_need */
	enum server_pipelining pipelining;
	server_command_fn handle; /* true when *event_out holds an event */
	struct str syntax;        /* for HELP */
};

/* Act on a command line. True when *event_out holds an event. */
bool server_command(struct smtp_server *s, struct str line, struct smtp_event *event_out);
extern const struct server_command server_commands[];

/* ---- ehlo.c ---- */
bool server_ehlo(struct smtp_server *s, struct str argument, bool esmtp);
bool server_offers_mechanism(const struct smtp_server *s, struct str mechanism);
void server_add_extensions(const struct smtp_server *s, bool with_source, struct buf *b); /* a line each, LF before it */

/* ---- auth.c ---- */
bool server_auth(struct smtp_server *s, struct str argument, struct smtp_event *event_out);
bool server_auth_response(struct smtp_server *s, struct str line, struct smtp_event *event_out);
void server_auth_reply(struct smtp_server *s, struct verdict v);

/* ---- transaction.c ---- */
bool server_mail(struct smtp_server *s, struct str argument, struct smtp_event *event_out);
bool server_rcpt(struct smtp_server *s, struct str argument, struct smtp_event *event_out);
bool server_data(struct smtp_server *s, struct str argument, struct smtp_event *event_out);
struct smtp_offer server_offer(struct smtp_server *s); /* to the parameters of MAIL and RCPT */

/* ---- text.c ---- */
void server_text_reset(struct smtp_server *s); /* a new text begins */
void server_text_begin(struct smtp_server *s); /* after 354 */
bool server_text(struct smtp_server *s, struct smtp_event *event_out);

/* ---- swallow.c ---- */
void server_set_fault(struct smtp_server *s, struct verdict v); /* the client hears the first one */
void server_set_lone_fault(struct smtp_server *s);

/* How many more bytes can be thrown away before server_end_swallowing() closes the connection. */
uint64_t server_swallow_room(const struct smtp_server *s);
void server_swallow(struct smtp_server *s, size_t n);
void server_end_swallowing(struct smtp_server *s);

/* ---- lines.c ---- */
/* Take what is here of a text of lines, `v`, the front of the input, not empty. True when there is an event; false: a fault
 * was found, or more is needed, and *all* of `v` up to there is consumed. */
bool server_give_lines(struct smtp_server *s, struct str v, struct smtp_event *event_out);

/* ---- chunk.c ---- */
bool server_bdat(struct smtp_server *s, struct str argument, struct smtp_event *event_out);
void server_refuse_bdat(struct smtp_server *s, struct str argument, struct verdict v); /* BDAT at a wrong time */
void server_chunk_begin(struct smtp_server *s);                                        /* the user takes the message */
void server_chunk_refused(struct smtp_server *s, struct verdict v);                    /* it does not */
void server_chunks_failed(struct smtp_server *s, struct verdict v);                    /* the text is refused, by this chunk */
bool server_chunk(struct smtp_server *s, struct smtp_event *event_out);                /* in SERVER_CHUNK; true: an event */
bool server_skip_chunk(struct smtp_server *s); /* while skipping; false: more is to come */

/* ---- help.c ---- */
bool server_help(struct smtp_server *s, struct str argument, struct smtp_event *event_out);
bool server_vrfy(struct smtp_server *s, struct str argument, struct smtp_event *event_out);
bool server_expn(struct smtp_server *s, struct str argument, struct smtp_event *event_out);

#endif
