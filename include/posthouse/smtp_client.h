/* smtp_client.h - the client's side of SMTP (RFC 5321) without I/O: server replies in, commands out, events for its user.
 *
 * The user connects, feeds bytes, acts on events, writes out smtp_client_output(). Bounded in memory whatever the server sends:
 * replies up to 64 KiB, of which the first KiB is kept (RFC 5321: 512 a line); more is a fault of the server (TEMP 421 4.5.0). */
#ifndef POSTHOUSE_SMTP_CLIENT_H
#define POSTHOUSE_SMTP_CLIENT_H

#include "posthouse/arena.h"
#include "posthouse/buf.h"
#include "posthouse/verdict.h"

/* Bits, from the EHLO answer. */
enum smtp_peer_feature {
	PEER_PIPELINING = 1,
	PEER_8BITMIME = 2,
	PEER_STARTTLS = 4,
	PEER_SIZE = 8,
	PEER_DSN = 16,
	PEER_SMTPUTF8 = 32,
	PEER_CHUNKING = 64,
	PEER_ENHANCED = 128,
	PEER_REQUIRETLS = 256,
	PEER_BINARYMIME = 512,
	PEER_DELIVERBY = 1024,
	PEER_MT_PRIORITY = 2048,
};

struct smtp_peer {
	unsigned features;
	uint64_t size;         /* 0 = not said */
	uint64_t rcptmax;      /* LIMITS RCPTMAX or X-RCPTLIMIT: recipients of a transaction; 0 = not said */
	uint64_t mailmax;      /* LIMITS MAILMAX: transactions of a session; 0 = not said */
	uint64_t by_min_s;     /* DELIVERBY: it takes no BY=…;R with less time left; 0 = not said */
	struct str mechanisms; /* of AUTH, space separated, upper case; also from "AUTH=" */
	struct str greeting;   /* the 220 line's text */
};

struct smtp_client_config {
	struct str hostname; /* for EHLO */
	bool use_starttls;   /* upgrade when offered */
	bool need_tls;       /* no TLS, no mail: CLIENT_FAILED */
	bool tls;            /* implicit: the connection is encrypted already */
	unsigned avoid;      /* features that are ignored when offered */
	/* AUTH: our choice in order of preference, "PLAIN LOGIN"; "" = no login. Without TLS: CLIENT_FAILED, FAULT_TLS. After
	 * 504 or 535 to the first, the next that is offered is tried, once. */
	struct str mechanisms;
	bool login_optional; /* without TLS, or when none of them is offered, it goes on without a login */
};

enum smtp_client_event_type {
	CLIENT_STARTTLS,  /* flush the output, start TLS, then smtp_client_tls_started() */
	CLIENT_CHALLENGE, /* AUTH: mechanism, first, bytes; answer by smtp_client_auth_response() or _auth_abort(), below */
	CLIENT_READY,     /* after EHLO/TLS/AUTH, and after each finished transaction: smtp_client_send() can begin one */
	CLIENT_TEXT,      /* the server wants the text: write it with smtp_client_text(), then smtp_client_text_end() */
	CLIENT_RECIPIENT, /* final for one recipient: index, verdict. Success comes after the last reply, refusal also before */
	CLIENT_DONE,      /* the transaction is over, all recipients were told; verdict is the deciding reply; reusable */
	CLIENT_FAILED,    /* the session is over before or between transactions: verdict, fault. Close it */
};

/* The cause: it decides whether the message is tried again or the next hop is paused. The last in this order tells the most. */
enum smtp_fault { FAULT_NONE, FAULT_CONNECTION, FAULT_PEER, FAULT_TLS, FAULT_AUTH, FAULT_LOOP /* the server is this program */ };

/* The step of the dialogue at which a verdict was given: the meaning of a refusal depends on it. */
enum smtp_step { STEP_OPENING, STEP_AUTH, STEP_MAIL, STEP_RCPT, STEP_DATA };

struct smtp_client_event {
	enum smtp_client_event_type type;
	struct str
		mechanism; /* CLIENT_CHALLENGE; CLIENT_FAILED: one that could not be tried any more after another was refused */
	bool first;
	struct str bytes;
	size_t index;
	struct verdict verdict; /* code, enhanced and text (lines joined by a space) of the server, class from its first digit */
	enum smtp_step step;    /* CLIENT_RECIPIENT, CLIENT_FAILED: of the verdict; STEP_OPENING also between transactions */
	enum smtp_fault fault;
	bool replied; /* CLIENT_FAILED: the verdict is a reply of the server, and was not made here */
	bool reusable;
	bool untouched; /* CLIENT_DONE, not reusable: it ended before the server said anything about this transaction */
	/* Features in use that can be the reason why the message was refused or lost: without one of them it can succeed.
	 * CLIENT_DONE, and CLIENT_RECIPIENT. PEER_PIPELINING, _DSN, _CHUNKING, _8BITMIME, _SMTPUTF8. */
	unsigned suspect;
};

struct smtp_recipient {
	struct str address, orcpt; /* RFC 3461, sent when the peer has DSN: raw xtext of the client ("" = none), … */
	unsigned notify;           /* … and enum smtp_notify of smtp_server.h; 0: none */
};

struct smtp_transaction {
	struct str sender;
	uint64_t size; /* bytes with prefix, for SIZE= */
	unsigned body; /* enum smtp_body */
	bool utf8;
	unsigned avoid; /* features that are not used, although the server has them: CHUNKING: by DATA, … */
	const struct smtp_recipient *recipients;
	size_t recipients_n;
	struct str envid; /* as `orcpt` */
	unsigned ret;     /* enum smtp_ret of smtp_server.h */
	/* RFC 2852, sent when the peer has DELIVERBY: seconds left (N can be negative), enum smtp_by; BY_NONE = none. The user
	 * decides whether such a message can go to a peer without DELIVERBY, or with little time left. */
	int64_t by_s;
	unsigned by_mode;
	unsigned priority; /* RFC 6710, sent when the peer has MT-PRIORITY and it is not PRIORITY_NORMAL */
	bool sender_only;  /* no recipients: MAIL, then RSET; CLIENT_DONE has the answer to MAIL */
	bool require_tls;  /* RFC 8689; without TLS or with a peer that lacks REQUIRETLS: PERM 5.7.30 for all, nothing is sent */
};

struct smtp_client;

struct smtp_client *smtp_client_new(const struct smtp_client_config *config); /* config stays valid as long as the client */
void smtp_client_free(struct smtp_client *c);

/* Bytes from the server; the connection ended (all that is open gets a TEMP verdict: 421 4.4.2, FAULT_CONNECTION; after the
 * final dot or the last chunk it is "outcome unknown" = TEMP too, RFC 1047). */
void smtp_client_feed(struct smtp_client *c, struct str bytes);
void smtp_client_closed(struct smtp_client *c, struct verdict why, enum smtp_fault fault);
bool smtp_client_next(struct smtp_client *c, struct smtp_client_event *event_out);
void smtp_client_tls_started(struct smtp_client *c);

/* CLIENT_CHALLENGE has the decoded challenge: for PLAIN, first, nothing; for LOGIN, first, the server's first ("Username:"). */
void smtp_client_auth_response(struct smtp_client *c, struct str response); /* plain bytes; encoded here in base64 */
void smtp_client_auth_abort(struct smtp_client *c, struct verdict why); /* no response: CLIENT_FAILED with FAULT_AUTH follows */

/* Begin a transaction in state READY: MAIL, RCPT…, DATA, pipelined when the server can. Views stay valid until CLIENT_DONE. A
 * body or size that the server does not support: every recipient PERM (5.6.3, 5.3.4) without a byte sent; BODY_BINARYMIME needs
 * both BINARYMIME and CHUNKING. A server with CHUNKING gets no DATA: the text goes in chunks by BDAT (RFC
 * 3030), the last of them when all others have been taken. */
void smtp_client_send(struct smtp_client *c, const struct smtp_transaction *t);

/* Text in pieces; dots are stuffed here where DATA needs it, line ends must be CRLF already. The user
 * bounds the output: write a piece, drain, write more, but only while smtp_client_takes_text(); otherwise wait for the next
 * input, since chunks wait for answers. Text that is written too early is kept. smtp_client_text_end() can be called at any
 * time; it ends a last line that has no CRLF and adds the dot, or makes the chunk the last one. With
 * BODY_BINARYMIME not a byte is added. */
bool smtp_client_takes_text(const struct smtp_client *c);
void smtp_client_text(struct smtp_client *c, struct str bytes);
void smtp_client_text_end(struct smtp_client *c);
/* For a user that decides at the last moment whether the text ends. When all of it is written: does smtp_client_text_end() write
 * the end at once? With BDAT it does so when the chunks before are answered and the last one is small. False: this has perhaps
 * written a chunk; flush, and ask again after the next input. */
bool smtp_client_nears_end(struct smtp_client *c);

/* Send QUIT if that is possible now, also after CLIENT_FAILED; the answer is dropped. */
void smtp_client_quit(struct smtp_client *c);
struct buf *smtp_client_output(struct smtp_client *c);
const struct smtp_peer *smtp_client_peer(const struct smtp_client *c);
/* The keywords of its last EHLO answer that are known here, for people; AUTH comes last, with its mechanisms. */
struct str smtp_peer_keywords(struct arena *a, const struct smtp_peer *peer);

/* The state's name for logs and reports ("greeting", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "text", "BDAT", "end of data"
 * …), and which of the time limits applies to the wait (RFC 5321 4.5.3.2). */
const char *smtp_client_stage(const struct smtp_client *c);
enum smtp_wait { WAIT_NONE, WAIT_GREETING, WAIT_COMMAND, WAIT_DATA };
enum smtp_wait smtp_client_waits(const struct smtp_client *c);

/* Grows only with complete replies and steps of the dialogue. A time limit that restarts only when this has grown cannot be
 * prolonged by a server that sends single bytes. */
uint64_t smtp_client_progress(const struct smtp_client *c);

/* The dialogue so far, at most 4 KiB (the middle is left out), as "C: …" and "S: …" lines; AUTH is shown as "C:
 * (credentials)". It has the greeting, EHLO, and everything since the last smtp_client_send(). */
struct str smtp_client_transcript(const struct smtp_client *c);

#endif
