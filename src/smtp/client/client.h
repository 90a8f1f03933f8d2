/* client.h - inside of the SMTP client machine, private to client/. The contract is posthouse/smtp_client.h.
 *
 * core.c         stages, one command, events, the end of a session: what all others use
 * client.c       memory, what a reply means in each stage, events for the user
 * reply.c        bytes to replies
 * session.c      greeting, EHLO, STARTTLS, AUTH
 * peer.c         what the EHLO answer says
 * transaction.c  MAIL, RCPT, DATA or BDAT, RSET
 * text.c         the text: behind DATA, or in chunks
 * suspect.c      extensions that a server offers and cannot do
 * transcript.c   the dialogue kept for reports */
#ifndef POSTHOUSE_SMTP_CLIENT_PRIVATE_H
#define POSTHOUSE_SMTP_CLIENT_PRIVATE_H

#include "posthouse/smtp_client.h"
#include "posthouse/units.h"

enum client_bounds {
	REPLY_MAX =
		64 *
		1024, /* of one reply, all lines; RFC 5321 4.5.3.1.5 has 512 octets a line, and some servers are more talkative */
	REPLY_TEXT_MAX = 1024,  /* kept of one reply, lines joined */
	INPUT_MAX = 256 * 1024, /* bytes of the server that wait for us */
	OUTPUT_MAX = 4 * MIB,
	MECHANISMS_MAX = 1024,
	AUTH_LINE_MAX = 512, /* RFC 4954 section 4: an initial response that makes the line longer waits for 334 */
	AUTH_ROUNDS_MAX = 16,
	ENVID_MAX = 100,       /* RFC 3461 4.4 */
	ORCPT_MAX = 500,       /* RFC 3461 4.2 */
	PIPELINE_MAX = 100,    /* commands without answer: neither side's socket buffer fills (RFC 2920 3.1) */
	CHUNK_MIN = 32 * 1024, /* of BDAT, but for the last one */
	LAST_CHUNK_MAX = 1024, /* for a user who asks smtp_client_nears_end() */
	BY_MAX_S = 999999999,  /* RFC 2852 4 */
};

enum client_stage {
	STAGE_GREETING,
	STAGE_EHLO,
	STAGE_HELO,
	STAGE_STARTTLS,
	STAGE_HANDSHAKE, /* the user starts TLS */
	STAGE_AUTH,
	STAGE_CREDENTIALS, /* the user finds a response */
	STAGE_READY,
	STAGE_MAIL,
	STAGE_RCPT,
	STAGE_DATA,
	STAGE_TEXT,     /* the user writes the text */
	STAGE_CHUNKS,   /* the same for BDAT: before the last chunk is out */
	STAGE_END,      /* the final dot or the last chunk is out: the outcome is the server's */
	STAGE_LONE_DOT, /* nothing to send, but the server said 354 */
	STAGE_RSET,
	STAGE_QUIT,
	STAGE_ENDED,
	STAGE_COUNT
};

struct reply {
	unsigned code;
	size_t lines; /* 0: between replies */
	size_t bytes; /* of them */
	char enhanced[12];
	size_t enhanced_n;
	struct buf text;
	bool cut;
};

struct client_recipient {
	enum { RECIPIENT_OPEN, RECIPIENT_ACCEPTED, RECIPIENT_SETTLED, RECIPIENT_TOLD } progress;
	bool unfit; /* its address cannot be sent to any server */
	struct verdict verdict;
	enum smtp_step step; /* of the verdict */
	unsigned suspect;    /* features that it can be about, see smtp_client.h */
};

struct client_transaction {
	struct arena arena;
	bool active; /* from smtp_client_send() until CLIENT_DONE was taken */
	struct smtp_transaction what;
	struct client_recipient *recipients;
	size_t sent, answered; /* commands: 0 is MAIL, n is recipient n - 1, the next is DATA */
	size_t accepted, to_tell;
	bool refused; /* MAIL was: no text will follow */
	bool in_line; /* the text so far does not end in CRLF */
	bool chunked; /* by BDAT */
	bool ended;   /* chunked: the user has no more text */
	size_t chunks_sent, chunks_answered;
	uint64_t text_bytes;
	bool over; /* what follows is CLIENT_DONE */
	struct verdict verdict;
	enum smtp_fault fault;
	bool reusable, untouched;
	unsigned with;                  /* features whose parameters MAIL has */
	unsigned suspect, suspect_late; /* see smtp_client.h; late: the outcome is unknown, nothing can be sent again at once */
};

struct transcript {
	struct buf session, first, last; /* greeting to AUTH; begin and end of the transaction */
	struct buf joined;
	bool session_cut, middle_cut;
};

struct smtp_client {
	const struct smtp_client_config *config;
	enum client_stage stage;
	uint64_t progress;
	bool tls, broken;       /* broken: nothing can be written any more */
	unsigned traits, needs; /* of the mechanism: enum sasl_trait, enum sasl_needs */
	bool first_challenge;
	unsigned auth_rounds;
	struct str mechanism;
	bool second_mechanism; /* the first was refused */
	struct verdict first_refusal;
	bool sent_again;    /* the initial response, which the server had overlooked */
	struct buf initial; /* an initial response too long for the AUTH command */
	bool has_initial;
	struct arena arena;
	struct buf input, output, line, mechanisms, greeting;
	struct buf chunk; /* text for the next BDAT */
	struct reply reply;
	struct smtp_peer peer;
	bool has_event;
	struct smtp_client_event event;
	struct client_transaction tx;
	struct transcript transcript;
};

/* core.c */
void client_enter(struct smtp_client *c, enum client_stage stage);
void client_write(struct smtp_client *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void client_tell(struct smtp_client *c, enum smtp_client_event_type type);
/* The session is over: what is open in a transaction gets `v`; otherwise the user gets CLIENT_FAILED. */
void client_end(struct smtp_client *c, struct verdict v, enum smtp_fault fault);
void client_end_by_reply(struct smtp_client *c, enum smtp_fault fault);
/* The same when the server does not speak SMTP, or says `what` at a wrong time: nothing that follows can be trusted. */
void client_end_by_nonsense(struct smtp_client *c, struct str what);
void client_out_of_order(struct smtp_client *c); /* a reply that makes no sense here */
void client_become_ready(struct smtp_client *c);
/* The verdict of recipient `i`, of all that have none; `v` lives as long as the transaction. */
void client_settle(struct smtp_client *c, size_t i, struct verdict v);
void client_settle_rest(struct smtp_client *c, struct verdict v);

/* reply.c */
enum reply_state { REPLY_NONE, REPLY_COMPLETE, REPLY_BROKEN };
enum reply_state client_read_reply(struct smtp_client *c);
struct verdict client_reply_verdict(const struct smtp_client *c); /* views of the reply */

/* session.c */
void client_on_greeting(struct smtp_client *c);
void client_on_ehlo(struct smtp_client *c);
void client_on_helo(struct smtp_client *c);
void client_on_starttls(struct smtp_client *c);
void client_end_by_clear_text(struct smtp_client *c); /* where the TLS handshake must begin */
void client_on_auth(struct smtp_client *c);

/* peer.c */
void client_peer_reset(struct smtp_client *c);
void client_peer_line(struct smtp_client *c, struct str line);

/* suspect.c: extensions that can be the reason why a transaction failed */
unsigned client_features(const struct smtp_client *c); /* that the transaction can use */
unsigned client_suspect_loss(const struct smtp_client *c);
unsigned client_suspect_refusal(const struct smtp_client *c, unsigned with); /* the present reply, to what used these */

/* transaction.c */
void client_on_mail(struct smtp_client *c);
void client_on_rcpt(struct smtp_client *c);
void client_on_data(struct smtp_client *c);
void client_on_final(struct smtp_client *c);
void client_on_lone_dot(struct smtp_client *c);
void client_on_rset(struct smtp_client *c);

/* text.c */
void client_on_early_reply(struct smtp_client *c);
void client_on_chunk(struct smtp_client *c);
/* The answer to the first chunk says that BDAT is not known; then the session is over. */
bool client_lacks_chunks(struct smtp_client *c);

/* transcript.c */
void transcript_init(struct transcript *t);
void transcript_fini(struct transcript *t);
void transcript_begin(struct transcript *t); /* a transaction: the last one is forgotten */
void transcript_add(struct transcript *t, bool in_transaction, const char *who, struct str line);

#endif
