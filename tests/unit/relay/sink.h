/* sink.h - a small next hop on loopback that can misbehave in chosen ways. Recipients "temp…" get 450, "perm…" get 550. */
#ifndef POSTHOUSE_TEST_RELAY_SINK_H
#define POSTHOUSE_TEST_RELAY_SINK_H

#include "posthouse/buf.h"
#include "posthouse/list.h"
#include "posthouse/net.h"

struct sink {
	uv_loop_t *loop;
	struct listener *listener;
	int listening;
	unsigned port;

	/* What it is like. */
	const char *greeting;           /* instead of 220 */
	const char *features;           /* EHLO lines, separated by '\n'; may be NULL */
	const char *final;              /* instead of 250 after the dot */
	const char *mail, *data, *auth; /* instead of 250 to MAIL, 354 to DATA, the answer to AUTH */
	const char *rcpt;               /* instead of 250 to RCPT, but for "good…" */
	const char *rcpt_after;         /* instead of 452 after rcpt_max */
	unsigned rcpt_max;              /* recipients of a transaction, then 452 4.5.3 (0: as many as you like) */
	bool no_rcpt;                   /* that for all of them */
	bool drip;                      /* a byte now and then instead of the greeting */
	struct tls_context *tls;
	bool implicit;
	bool break_tls;        /* says 220 to STARTTLS, then nonsense */
	bool drop_at_dot;      /* closes instead of the final reply */
	bool no_pipelining;    /* hangs up on a second command before its answer */
	bool drop_at_bdat;     /* closes at BDAT */
	const char *word;      /* MAIL and RCPT with this are answered with … */
	const char *word_is;   /* … this; NULL: it hangs up */
	const char *refusal;   /* instead of the answer to the first logins … */
	unsigned refusals;     /* … so many of them */
	const char *not_by;    /* 535 to this mechanism, whatever the password is */
	bool no_bdat;          /* 500 to BDAT, and its text is taken for commands */
	unsigned refuse_chunk; /* 552 to this chunk of a message (from 1; 0: none) */
	unsigned drop_at_mail; /* closes at the MAIL of this transaction of a session (from 1; 0: never) */
	bool drop_every_mail;
	unsigned sessions_max; /* more at once are refused (0: as many as you like) */
	bool hold;             /* the final reply waits for sink_release() */
	bool deaf;             /* reads no text before sink_hear(); see sink_narrow() */

	/* What it has seen. */
	unsigned unheard; /* times that text came to a deaf one */
	unsigned sessions, open, most_open, messages, logins, mails, quits, rsets, chunks, last_chunks, datas;
	struct buf text;        /* of the last message, dots removed */
	struct buf credentials; /* all AUTH lines */
	struct buf commands;    /* all MAIL and RCPT lines */
	char client[64];        /* the address of the last one */
	uv_timer_t timer;
	struct list list;
};

void sink_open(struct sink *s, uv_loop_t *loop);
void sink_open_at(struct sink *s, uv_loop_t *loop, const char *address, unsigned port); /* port 0: any */
void sink_release(struct sink *s);
void sink_narrow(struct sink *s); /* clients opened from now on can send it little before it reads */
void sink_hear(struct sink *s);
void sink_hang_up(struct sink *s); /* all sessions */
void sink_close(struct sink *s);

#endif
