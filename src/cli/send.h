/* send.h - a message of a program on this machine: what was asked for, and its text. Used by `posthouse send` and by what is
 * called sendmail, mailq and newaliases. */
#ifndef POSTHOUSE_CLI_SEND_H
#define POSTHOUSE_CLI_SEND_H

#include "posthouse/arena.h"
#include "posthouse/buf.h"
#include "posthouse/verdict.h"

#include <stdint.h>

struct options;

/* ---- what was asked for ---- */

struct outgoing {
	/* from the command line */
	bool has_sender;
	struct str sender;     /* as it was typed; "" and "<>": the null sender */
	struct str full_name;  /* -F; "": that of the account */
	struct str_list named; /* recipients as they were typed: each can be a list of addresses */
	bool from_fields;      /* -t: recipients of the header section too */
	bool dot_is_text;      /* -i: a line "." does not end the message */
	bool no_aliases;       /* -n */
	bool verbose;
	unsigned notify, ret;      /* enum smtp_notify, smtp_ret */
	struct str envid;          /* xtext; "": none */
	const char *socket, *drop; /* NULL: found by send_places() */
	const char *server, *user; /* "host:port" and login of an account; NULL: by the local socket */
	const char *password_file;
	const char *tls, *ca; /* NULL: as the port has it; the system's authorities */
	const char *config_path;
	/* what it came to */
	struct str_list recipients; /* addresses, or names of this machine; each once */
	int text_fd;                /* the text as it goes out, with CR LF; -1 before send_read() */
	uint64_t size;
	bool has_8bit;
};

/* ---- send.c: reads the message and hands it over. The exit code ---- */
int send_message(struct arena *a, struct outgoing *m);
/* What went wrong with one recipient (or with all: ""), on standard error. The exit code for it. */
int send_refused(struct arena *a, struct str recipient, struct verdict v, bool is_recipient);

/* ---- send_read.c: standard input becomes m->text_fd, and with -t more recipients. Ends the process when it cannot be ---- */
void send_read(struct arena *a, struct outgoing *m);

/* ---- send_local.c: by the local socket, or by the drop directory where nobody answers. The exit code ---- */
int send_local(struct arena *a, struct outgoing *m);
struct send_places {
	const char *socket, *drop; /* "": there is none */
};
/* The user's name, or his number where he has none (in containers). */
struct str send_user_name(struct arena *a);
struct send_places send_places(struct arena *a, const struct outgoing *m);

/* ---- send_account.c: by an account at a server. The exit code ---- */
/* Takes server, login and sender from the environment where no option says them. False: no server is named. */
bool send_account_find(struct arena *a, struct outgoing *m);
int send_account(struct arena *a, struct outgoing *m);

/* ---- sendmail_options.c: the command line of sendmail(8), without I/O ---- */

enum sendmail_mode {
	SENDMAIL_SEND,
	SENDMAIL_SMTP,
	SENDMAIL_LIST,
	SENDMAIL_ALIASES,
	SENDMAIL_RETRY,
	SENDMAIL_HELP,
	SENDMAIL_NOTHING /* only its version */
};

/* `argv[0]` is the name that was called: mailq and newaliases stand for -bp and -bi. NULL, or what is wrong (a text in the
 * arena). Texts are views of argv, or in the arena. */
const char *sendmail_options_read(struct arena *a, int argc, char **argv, struct outgoing *m, enum sendmail_mode *mode_out);
/* Is it the name of a program that these options are for: sendmail, mailq, newaliases, with any directories in front? */
bool sendmail_is_name(const char *program);

/* ---- send_lines.c: the lines of standard input, without I/O ---- */

struct send_lines {
	bool dot_ends; /* a line "." ends the message */
	bool ended;    /* it came: what follows is dropped */
	bool in_body;  /* behind the first empty line */
	bool in_line;  /* bytes of this line have been taken */
	bool dot;      /* this line is a dot so far, which was not written */
	bool cr;       /* so is a CR, or several */
	bool has_8bit;
};
/* Append the lines to `out` with CR LF, whatever ended them. A NUL is dropped. A CR within a line, which no mail can have, ends
 * it as on a terminal; in the header section it becomes a blank. */
void send_lines_feed(struct send_lines *l, struct str bytes, struct buf *out);
void send_lines_end(struct send_lines *l, struct buf *out);

/* ---- send_header.c: recipients and the header section, without I/O ---- */

/* Add the addresses of a list as people write them: "bob, Carol <carol@example.org>". Names without a domain too. False: it is no
 * list of addresses; nothing was added. The addresses are copies. */
bool send_addresses(struct arena *a, struct str text, struct str_list *list);

struct send_header_wishes {
	bool recipients;   /* -t */
	struct str author; /* the value of From, where there is none */
	uint64_t now_ms;
};
/* The header section (with CR LF, without the blank line) as it goes out: with Date and From, without Bcc. With
 * wishes.recipients, the addresses of To, Cc and Bcc are added to the list, or those of the newest block of Resent-To, Resent-Cc
 * and Resent-Bcc (RFC 5322 3.6.6). NULL, or what is wrong (in the arena). */
const char *send_header(struct arena *a, struct str section, const struct send_header_wishes *wishes, struct str *section_out,
			struct str_list *recipients);
/* "Full Name <address>": the name as every reader shows it; the address alone when the name is empty. */
struct str send_author(struct arena *a, struct str name, struct str address);
/* The full name of a line of /etc/passwd (its field GECOS): without office and telephone, & is the user's name. */
struct str send_gecos_name(struct arena *a, struct str gecos, struct str user);

/* ---- send_aliases.c: /etc/aliases, without I/O ---- */

struct send_aliases;
struct send_aliases *send_aliases_read(struct arena *a, struct str text);
/* Replace the names (addresses without a domain) of the list by what they stand for, again and again; each address is there once
 * then. What cannot be done here (programs, files, :include:) is told, and such a name stays when nothing else is left of it.
 * False: they are more than SEND_RECIPIENTS_MAX, and some are missing. */
#define SEND_RECIPIENTS_MAX 10000 /* of a message, when all aliases stand for what they stand for */
typedef void (*send_told_fn)(void *ctx, const char *text);
bool send_aliases_expand(struct arena *a, const struct send_aliases *aliases, struct str_list *list, send_told_fn told,
			 void *ctx);

/* Append to a list in the arena, whose array has room for powers of two. */
void send_list_add(struct arena *a, struct str_list *list, struct str text);

#endif
