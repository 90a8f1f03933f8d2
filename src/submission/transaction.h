/* transaction.h - one message on its way from MAIL to the queue's answer. It outlives its session: a client that leaves after
 * the final dot cancels nothing. */
#ifndef POSTHOUSE_SUBMISSION_TRANSACTION_H
#define POSTHOUSE_SUBMISSION_TRANSACTION_H

#include "spool.h"
#include "submission.h"

#include "posthouse/mail.h"

struct session;

enum transaction_state {
	TX_ENVELOPE, /* MAIL and RCPT */
	TX_HEADER,   /* text: the header section is being collected */
	TX_BODY,     /* text: it streams to memory or the spool */
	TX_REFUSED,  /* text: what still comes is dropped; `refusal` is the answer */
	TX_SYNCING,  /* a large text goes to the disk */
	TX_CREDIT,   /* queue has enough in its hands */
	TX_SUBMITTED,
	TX_AWAY, /* queue has died: the new one gets the message again */
	TX_STATES,
};

struct transaction {
	struct list link;    /* in sub->transactions */
	struct list waiting; /* in sub->waiting while it has a deadline */
	struct submission *sub;
	struct session *session; /* NULL: the client has gone */
	bool orphan;             /* the client left after its final dot */
	uint64_t known_to;       /* of an orphan: generation of the queue that knows its session; 0: none does */
	struct str ticket;       /* of an orphan: as in its session */
	enum transaction_state state;
	struct log log;
	struct arena arena;
	uint64_t number, id, token;
	uint64_t announced; /* SIZE of MAIL; 0 = not said */
	bool reserved;      /* queue was asked to keep room in the limits for it */

	struct envelope envelope; /* from MAIL; what the text needs is added when it is submitted */
	struct str device, client, origin;
	struct str tls, mechanism;          /* for the log: version and cipher, how the client has logged in */
	uint64_t begun_at;                  /* monotonic ms */
	struct str with, helo;              /* for Received; helo and client only where they are shown */
	struct str local_user;              /* for Received: a user of this machine; "": none */
	const struct local_user *user_here; /* of the session, while it reads the header section; NULL: it is not a local one */
	bool any_sender;                    /* it is root, who is allowed to use every sender */
	bool report;                        /* of pickup: local_report_sender() is its author */
	bool listed;                        /* from a listed host: From is replaced by the sender */
	bool declared_utf8, show_client;    /* SMTPUTF8 */
	enum smtp_body declared_body;
	uint64_t by_s;         /* RFC 2852 */
	bool priority_changed; /* it is not the one that the client asked for */
	struct rec_recipient *recipients;
	size_t recipients_n, recipients_capacity;

	uint64_t ended_mono; /* when the text had come; 0: it has not */

	struct header_collector header;
	size_t header_looked; /* so long it was when the login's others were last looked at */
	struct fixup_result fixed;
	bool resent;               /* the login sends on what another has written, … */
	struct str_list resenders; /* … as these addresses */
	struct dkim *dkim;
	struct dkim_key keys[DKIM_KEYS_MAX];
	struct str digests[DKIM_KEYS_MAX]; /* for each key, when the text is complete */
	size_t keys_n;
	bool has_8bit;
	bool long_lines;          /* over 998 bytes, in the body */
	size_t line_n;            /* bytes since the last line's end */
	bool is_binary, after_cr; /* looked at only where BINARYMIME was declared */
	struct buf text;          /* as long as it is no more than INLINE_MAX: room for the header section, body */
	struct spool *spool;      /* when it is more; NULL before */
	uint64_t size;
	struct str received; /* the field */
	struct verdict refusal;
	unsigned refusal_logged; /* code of the last RCPT that the machine has refused: a list too long is one line */

	uint64_t call; /* submit; 0 = none */
	struct credit_wait credit;
	uint64_t deadline_at;      /* monotonic ms; 0 = none */
	bool was_away, offered;    /* offered: a queue has had it, and can have stored it */
	uint64_t queue_generation; /* of the queue that has it */
};

/* ---- transaction.c: life, envelope, answer ---- */
struct transaction *transaction_new(struct session *session, struct str sender, const struct smtp_mail_params *params);
bool transaction_recipient(struct transaction *tx, struct str address,
			   const struct smtp_rcpt_params *params); /* false: the message has it already, and gets it once */
void transaction_drop_recipient(struct transaction *tx);           /* the last one: a limit does not allow it */

/* The session is done with it. Before transaction_end() that is its end; later it goes on alone. */
void transaction_leave(struct transaction *tx);

/* For the files transaction*.c. */
void transaction_enter(struct transaction *tx, enum transaction_state state);
void transaction_answer(struct transaction *tx, struct verdict v);
void transaction_set_deadline(struct transaction *tx, uint64_t ms); /* 0 = none */
void transaction_on_deadline(struct transaction *tx);

/* ---- transaction_text.c ---- */
void transaction_begin_text(struct transaction *tx);

/* Text as it comes. Afterwards, when transaction_full(), give no more before submission_ops.room is called. */
void transaction_text(struct transaction *tx, struct str bytes);
bool transaction_full(const struct transaction *tx);

/* The text is complete: submission_ops.answer comes, perhaps within the call. */
void transaction_end(struct transaction *tx);

/* ---- transaction_header.c: what happens at the blank line, when the header section is whole ---- */
struct verdict transaction_fix_header(struct transaction *tx);

/* ---- transaction_submit.c: what queue has to know of a complete text, and the way there ---- */
void transaction_complete(struct transaction *tx);
void transaction_submit(struct transaction *tx);
/* A new queue process is there: it hears of sessions that only have a transaction left, and what the old one has not answered is
 * submitted again. */
void transactions_on_queue_up(struct submission *sub);

#endif
