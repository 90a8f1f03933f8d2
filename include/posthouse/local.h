/* local.h - mail of programs on this machine: the local socket, the drop directory, and what hands mail over to either. Used by
 * `posthouse send` and by the role pickup; the role submission serves the socket.
 *
 * The local socket (key local.socket; by default "submit.sock" beside the control socket; mode 0666; "": there is none) is a Unix
 * stream socket on which submission speaks SMTP as on its other listeners, but without TLS and without AUTH: the kernel says who
 * the client is (SO_PEERCRED), and his login follows from the block `local.users` of the configuration; without an entry it is
 * his user name in the realm. The greeting is
 *   220  he is logged in already: EHLO, MAIL, RCPT, DATA or BDAT, as often as he likes;
 *   421  not now (too many connections, the relay stops, accounts cannot be read): use the drop directory;
 *   554  he is not allowed to send (his login is locked, or local.users refuses him): give up.
 * In MAIL and RCPT an address without a domain is a name of this machine, and so is one at "localhost" or at the host's name:
 *   MAIL  "*" (LOCAL_SELF of policy.h), the user's own name or number (UID), or no from: in a drop file: the sender of his login
 *         (local.users[].sender, or else its address). A client does not know the name and the number that the relay sees
 *         (user namespaces, programs with setuid), so it says "*", which no user is called. Only root is allowed to name
 *         any sender; for all others `senders` decides as for every login. <> is the null sender.
 *         The same holds in From and Sender, but there a name of another user stands for the user's own sender: cron
 *         writes "From: root (Cron Daemon)" whoever it runs as.
 *   RCPT  `rewrite` rules for NAME@realm come first; then root, postmaster, mailer-daemon and the names of system users (UID
 *         below 1000, or 65534) are the postmaster of the configuration; every other name is NAME@realm.
 * Limits, senders, rewrite, header correction, DKIM, the log and `explain` are those of the login.
 *
 * The drop directory (key local.drop; by default LOCAL_DROP; "": there is none) takes mail while nobody serves the socket: mode
 * 1733, owned by run_as, so that everybody can write into it and nobody but run_as can list it; nothing is setuid or setgid. A
 * message is a regular file with one link. Who owns the file has sent it, whatever the file says. Its name does not begin with
 * a dot, and nobody can guess it (64 random bits at least); while it is written, ".tmp-" stands in front of the name. Its mode is
 * DROP_MODE: run_as can read it, and the x bit of its owner is the mark that the owner means it to be sent. Without the mark it
 * is refused: whoever can rename a file of another user, out of a directory of his own, would otherwise send as that user. The
 * role pickup hands it over and removes it; what the relay refuses comes back to its owner as a report, and what can neither be
 * sent nor reported goes to the subdirectory `held`.
 *
 * The form of a drop file, which drop_head_write() and drop_head_read() know: lines that end with LF,
 *
 *   from: <ADDRESS> PARAMETERS    at most once; without this line: the sender of the owner's login; "from: <>": the null sender
 *   to: <ADDRESS> PARAMETERS      once or more often
 *   (an empty line)
 *   the message, whose lines end with LF or CRLF, without dot-stuffing, to the end of the file
 *
 * ADDRESS is as in MAIL and RCPT (a name without a domain is allowed), PARAMETERS are those of ESMTP that the sender has chosen
 * ("RET=HDRS ENVID=QQ314159", "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;bob@example.net", "HOLDUNTIL=..."), separated by single
 * spaces; none is needed for 8BITMIME, SMTPUTF8 and SIZE, which local_submit() adds. A line of another kind is a fault: the file
 * is refused as a whole. The lines before the message have at most DROP_HEAD_MAX bytes together. A message with more recipients
 * than the relay takes at once (limits.recipients_per_message; LIMITS RCPTMAX in EHLO) is divided by who submits it: `send`
 * or pickup.
 *
 * Who sends looks for socket and drop directory in this order: options of the command; the environment variables
 * POSTHOUSE_LOCAL_SOCKET and POSTHOUSE_LOCAL_DROP; the configuration, where this user can read it; the built-in defaults.
 * He tries the socket first, and writes a drop file when nobody answers there or the answer is TEMP at any point. PERM is
 * told to the user at once. */
#ifndef POSTHOUSE_LOCAL_H
#define POSTHOUSE_LOCAL_H

#include "posthouse/arena.h"
#include "posthouse/buf.h"
#include "posthouse/verdict.h"

#define LOCAL_SOCKET      "/run/posthouse/submit.sock"
#define LOCAL_SOCKET_NAME "submit.sock" /* beside the control socket, where local.socket is not in the configuration */
#define LOCAL_DROP        "/var/spool/posthouse/drop"
#define DROP_HEAD_MAX     (1024 * 1024)
#define DROP_MODE         0744

struct local_recipient {
	struct str address;     /* without brackets */
	struct str parameters;  /* "NOTIFY=NEVER"; "": none */
	struct verdict verdict; /* filled in by local_submit() */
};

struct local_message {
	bool has_sender;       /* false: the sender of the login */
	struct str sender;     /* without brackets; "" with has_sender: the null sender */
	struct str parameters; /* of MAIL; a drop file has them only with a sender */
	struct local_recipient *recipients;
	size_t recipients_n;
	bool shown; /* local_submit() prints the dialogue on standard error */
};

/* ---- drop_head.c: the lines in front of the message, without I/O ---- */
/* Append them to `b`. An address or a parameter with a byte that would break its line is a bug of the caller (asserted):
 * local_message_valid() says so before. */
bool local_message_valid(const struct local_message *m);
void drop_head_write(struct buf *b, const struct local_message *m);

/* Read them from the beginning of a file, of which `bytes` has all or its first DROP_HEAD_MAX. Texts are views of `bytes`, the
 * recipients are in the arena. OK: *length_out is where the message begins. PERM: the text says what is wrong in which line. */
struct verdict drop_head_read(struct arena *a, struct str bytes, struct local_message *m_out, size_t *length_out);

/* ---- drop_file.c ---- */
/* Write a message into the drop directory: head, and the text that text_fd has from `from` on to its end (it is read with
 * pread). It is durable when the result is 0; else an errno, and nothing is left there. */
int drop_file_write(const char *directory, const struct local_message *m, int text_fd, uint64_t from);

/* ---- machine_users.c: from the system; both block, because names can come from a directory service ---- */
/* The user's name, in the arena; "": it has none. */
struct str machine_user_name(struct arena *a, uint64_t uid);

/* The users in /etc/passwd that are no people (UID below 1000, or 65534), with spaces between; in the arena. */
struct str machine_system_users(struct arena *a);

/* ---- submit.c: SMTP as a client, blocking ---- */
/* A descriptor, or a negative errno: ENOENT and ECONNREFUSED when nobody serves the socket, EAGAIN after 10 s in its queue. */
int local_connect(const char *path);

/* Submit one message on a connected socket, from the greeting to the answer to its text, then QUIT. Each step can block for
 * `within_ms`. OK: the message is stored for all recipients whose verdict is OK; the others were refused (PERM). TEMP:
 * nothing was sent, and it can be tried again: the connection, the sender, the message, or one recipient at least. PERM:
 * nothing was sent. Verdict texts are in the arena. A lost connection is TEMP, also behind the end of the text, where nobody
 * knows whether the message is stored. Takes fd. text_fd -1: only the recipients are asked for, and nothing is sent. */
struct verdict local_submit(int fd, const struct local_message *m, int text_fd, uint64_t from, uint64_t within_ms,
			    struct arena *a);

#endif
