/* smtp_server.h - the server's side of SMTP (RFC 5321, submission RFC 6409) without I/O: bytes in, events out, replies
 * collected.
 *
 * Loop of its user:  smtp_server_feed(s, bytes);  while (smtp_server_next(s, &e)) act on e;  write out smtp_server_output(s).
 * next() gives no event until smtp_server_reply() has answered the last one that needs an answer, so pipelining needs no other
 * code. Views in an event live until the next call of feed, next or reply. Commands that need no decision (NOOP, HELP, VRFY,
 * RSET's reply, syntax errors, commands in a wrong state) are answered inside. */
#ifndef POSTHOUSE_SMTP_SERVER_H
#define POSTHOUSE_SMTP_SERVER_H

#include "posthouse/arena.h"
#include "posthouse/buf.h"
#include "posthouse/verdict.h"

enum smtp_body { BODY_7BIT, BODY_8BITMIME, BODY_BINARYMIME };

/* RFC 2852: what happens when the time is over; BY_TRACE is a bit beside the mode. */
enum smtp_by { BY_NONE, BY_RETURN, BY_NOTIFY, BY_TRACE = 4 };

/* RFC 6710's -9 to 9 as 0 to 18. */
enum { PRIORITY_NORMAL = 9, PRIORITY_MAX = 18 };

/* Bits of a message's options; what follows from those about TLS: tls_wish.h. A process that submits mail can set the first
 * three. The form of a report has the bits from 256 on. */
enum {
	OPTION_REQUIRETLS = 1,     /* RFC 8689 2: the parameter of MAIL */
	OPTION_LONG_LINES = 2,     /* lines over 998 bytes in the body of text */
	OPTION_TLS_OPTIONAL = 4,   /* RFC 8689 3: the header field "TLS-Required: No", without that parameter */
	OPTION_TLS_UNREPORTED = 8, /* TLS results of its sessions are not counted for reports about TLS (RFC 8460 5.3) */
	OPTION_REQUIRETLS_OFFERED =
		16 /* RFC 8689 5: a report about mail with REQUIRETLS; it has it where the next hop can do it */
};

/* What the machine has refused by itself, without an event. The views live as long as the call. */
struct smtp_refusal {
	struct verdict verdict;
	struct str sender, recipient; /* as the client wrote it, of a MAIL or RCPT; else "" */
};

struct smtp_server_config {
	struct str hostname;
	struct str mechanisms;     /* "PLAIN LOGIN" */
	bool auth_equals;          /* an AUTH= line beside the AUTH one */
	struct str domain;         /* completes an address without domain in MAIL or RCPT (RFC 6409 8.2); "": refused */
	uint64_t messages;         /* accepted MAILs of a session, announced by LIMITS MAILMAX; then 421 4.7.0; 0 = no limit */
	uint64_t future_release_s; /* the longest HOLDFOR, announced by FUTURERELEASE; 0 = not offered */
	uint64_t (*now_ms)(void);  /* for what EHLO and MAIL say in dates (FUTURERELEASE, HOLDUNTIL) */
	uint64_t message_size;     /* bytes of text, announced by SIZE and enforced while it streams */
	uint64_t recipients;       /* per message, else 452 4.5.3 */
	/* Commands since the last accepted message, without the recipients that were accepted; then 421 4.7.0. 0: no limit. */
	uint64_t commands;
	/* 5xx and unknown commands of a session, then 421 4.7.0; from half of them on the user of the machine delays the replies.
	 * An accepted message halves the count, and its refused recipients do not count. */
	uint64_t errors;
	bool tls_required;        /* AUTH and MAIL need TLS (a trusted client's MAIL: see smtp_server_trust) */
	bool refuse_bare_newline; /* refuse a line that ends with LF alone or CR CR LF; false: take it as a line with CRLF */
	bool can_starttls;        /* STARTTLS is offered while there is no TLS */
	/* For the log: the machine has refused a MAIL, a RCPT, a BDAT or a text of a client that is logged in or trusted, and
	 * gives no event for this. NULL: nobody wants to know. */
	void (*refused)(void *ctx, const struct smtp_refusal *refusal);
	void *refused_ctx;
};

enum smtp_event_type {
	SMTP_HELO,     /* name, esmtp; for information: the machine has answered */
	SMTP_STARTTLS, /* answer; after OK: flush the output, start TLS, then smtp_server_tls_started() */
	/* mechanism, has_initial, initial (decoded). Answer: OK 334 with the challenge as text (the machine encodes it),
	 * OK 235: logged in; anything else: refused */
	SMTP_AUTH,
	SMTP_AUTH_RESPONSE, /* initial = the decoded response; answer like AUTH */
	SMTP_AUTH_CANCEL,   /* the client sent "*", no base 64, or too long a line: 501 or 500 was given; for information */
	SMTP_MAIL,          /* sender and mail parameters; answer */
	SMTP_RCPT,          /* recipient and its parameters; answer */
	SMTP_DATA, /* DATA, or the first BDAT of a message; answer; after OK comes the text (the machine answers the chunks) */
	/* bytes: text without dot-stuffing; when all is there, whole lines with CRLF, whatever ended them before
	 * (BODY=BINARYMIME: any bytes, also in the header, and perhaps no CRLF at the end); no answer */
	SMTP_TEXT,
	/* fault: not OK when the text broke a rule (size, lone CR, NUL; no line is too long): drop the message and answer with
	 * this verdict; otherwise answer with the result. A fault comes at the end of its chunk, which need not be the last; no
	 * event follows for the rest of the text */
	SMTP_TEXT_END,
	SMTP_RESET, /* the transaction is over without a message (RSET, EHLO, HELO, a refused first BDAT); for information */
	SMTP_QUIT,  /* 221 was given: flush, then close */
	SMTP_CLOSE, /* 421 was given (too many errors or commands, a text without end, the user's own 421): flush, close */
};

struct smtp_mail_params {
	uint64_t size; /* 0 = not given */
	enum smtp_body body;
	bool utf8;
	struct str envid;    /* RFC 3461 4.4: xtext, 1 to 100 octets, printable ASCII when decoded; "" = not given */
	unsigned ret;        /* enum smtp_ret */
	uint64_t release_at; /* RFC 4865: HOLDFOR and HOLDUNTIL, ms since 1970; 0 = not given */
	uint64_t by_s;       /* RFC 2852: seconds, at least 1 */
	unsigned by_mode;    /* enum smtp_by; BY_NONE = not given */
	unsigned priority;   /* RFC 6710, 0 to PRIORITY_MAX */
	bool require_tls;    /* RFC 8689; only under TLS */
};

/* RFC 3461 4.1: bits of notify; 0 = not given. 4.3: ret. */
enum smtp_notify { NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 };
enum smtp_ret { RET_UNSET, RET_FULL, RET_HDRS };

struct smtp_rcpt_params {
	struct str orcpt; /* RFC 3461 4.2: "rfc822;" and xtext, as given, at most 500 octets; "" = not given, or malformed */
	unsigned notify;  /* enum smtp_notify */
};

struct smtp_event {
	enum smtp_event_type type;
	struct str name; /* HELO name */
	bool esmtp;
	struct str mechanism;
	bool has_initial;
	struct str initial;
	struct str address; /* MAIL, RCPT: without brackets; "" = null sender; in its one form (address.h) */
	struct smtp_mail_params mail;
	struct smtp_rcpt_params rcpt;
	struct str bytes;
	struct verdict fault;
};

struct smtp_server; /* embedded nowhere: one heap object per session, a few KiB */

struct smtp_server *smtp_server_new(const struct smtp_server_config *config); /* config stays valid as long as the server */
void smtp_server_free(struct smtp_server *s);

/* Queue the greeting (220), or a refusal instead of it, then SMTP_CLOSE: 421, or what a PERM says (RFC 5321 3.1: 554). */
void smtp_server_greet(struct smtp_server *s);
void smtp_server_refuse(struct smtp_server *s, struct verdict v);

/* Bytes from the client. False, and nothing taken, when they do not fit (the input is bounded at 64 KiB): take events first,
 * feed the rest later; smtp_server_room() is the number of bytes that fit now. next() gives nothing while 16 KiB of replies
 * wait: write them out, then call it again. */
bool smtp_server_feed(struct smtp_server *s, struct str bytes);
size_t smtp_server_room(const struct smtp_server *s);
bool smtp_server_next(struct smtp_server *s, struct smtp_event *event_out);
void smtp_server_reply(struct smtp_server *s, struct verdict v);

/* The TLS handshake is done: earlier state and unread input are discarded (RFC 3207 section 4.2). Implicit TLS: call
 * before the greeting. */
void smtp_server_tls_started(struct smtp_server *s);

/* The client (a listed host) needs no AUTH for MAIL, and no TLS unless `tls_needed`. It can log in all the same. Call before the
 * greeting; STARTTLS does not change it. */
void smtp_server_trust(struct smtp_server *s, bool tls_needed);

/* Answer the next command with 421 and this text, then SMTP_CLOSE (shutdown, idle). `now`: do not wait for a command. */
void smtp_server_shut(struct smtp_server *s, struct verdict v, bool now);

/* The bytes to write to the client; consume those that were written. */
struct buf *smtp_server_output(struct smtp_server *s);

bool smtp_server_in_text(const struct smtp_server *s);
uint64_t smtp_server_errors(const struct smtp_server *s);

/* grammar.c: is it an address as in MAIL and RCPT (RFC 5321 4.1.2 Mailbox, with dots anywhere in the local part),
 * without brackets? `utf8`: UTF-8 is allowed. */
bool smtp_address_valid(struct str address, bool utf8);

#endif
