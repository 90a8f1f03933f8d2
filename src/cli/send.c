/* send.c - `posthouse send`: a message from standard input. */
#include "send.h"

#include "cli.h"

#include "posthouse/log.h"
#include "posthouse/smtp_server.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define ALIASES     "/etc/aliases"
#define ALIASES_MAX (1024 * 1024)

/* ---- recipients ---- */

static void read_named(struct arena *a, struct outgoing *m)
{
	for (size_t i = 0; i < m->named.n; i++)
		if (!send_addresses(a, m->named.at[i], &m->recipients))
			die(EX_DATAERR, "\"%.*s\" is no address: the message was not sent", STR_ARG(m->named.at[i]));
}

static void read_sender(struct arena *a, struct outgoing *m)
{
	struct str_list list = { NULL, 0 };

	if (!m->has_sender)
		return;
	if (str_eq(m->sender, S("<>")))
		m->sender = S("");
	if (m->sender.n == 0)
		return;
	if (!send_addresses(a, m->sender, &list) || list.n != 1)
		die(EX_DATAERR, "the sender \"%.*s\" is not one address: the message was not sent", STR_ARG(m->sender));
	m->sender = list.at[0];
}

static void tell(void *ctx, const char *text)
{
	fprintf(stderr, "posthouse: %s: %s\n", ALIASES, text);
}

/* A file that is not there, or that this user is not allowed to read, has no aliases. */
static struct send_aliases *read_aliases(struct arena *a)
{
	int fd = open(ALIASES, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *text;
	ssize_t n;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > ALIASES_MAX) {
		close(fd);
		return NULL;
	}
	text = arena_alloc(a, (size_t)st.st_size + 1);
	n = read(fd, text, (size_t)st.st_size);
	close(fd);
	return n > 0 ? send_aliases_read(a, str_make(text, (size_t)n)) : NULL;
}

/* ---- the result ---- */

int send_refused(struct arena *a, struct str recipient, struct verdict v, bool is_recipient)
{
	fprintf(stderr, "posthouse: %.*s%s", STR_ARG(utf8_shown(a, recipient)), recipient.n > 0 ? ": " : "");
	if (v.code)
		fprintf(stderr, "%u %.*s%s", v.code, STR_ARG(v.enhanced), v.enhanced.n > 0 ? " " : "");
	fprintf(stderr, "%.*s\n", STR_ARG(utf8_shown(a, v.text)));
	if (v.class == TEMP)
		return EX_TEMPFAIL;
	if (str_starts(v.enhanced, S("5.7.")) || v.code == 530 || v.code == 535)
		return EX_NOPERM;
	return is_recipient ? EX_NOUSER : EX_DATAERR;
}

int send_message(struct arena *a, struct outgoing *m)
{
	bool by_account = send_account_find(a, m);

	(void)signal(SIGPIPE, SIG_IGN); /* a server that goes away is an error as others */
	m->text_fd = -1;
	read_sender(a, m);
	read_named(a, m);
	send_read(a, m);
	if (!send_aliases_expand(a, m->no_aliases ? NULL : read_aliases(a), &m->recipients, tell, NULL))
		die(EX_DATAERR, "the message has more than %d recipients: it was not sent to any of them", SEND_RECIPIENTS_MAX);
	if (m->recipients.n == 0)
		die(m->from_fields ? EX_DATAERR : EX_USAGE, "the message names nobody in To, Cc and Bcc: it was not sent");
	return by_account ? send_account(a, m) : send_local(a, m);
}

int command_send(const struct options *o, const char *config_path)
{
	struct arena a = { 0 };
	struct outgoing m = { .has_sender = options_given(o, "from"),
			      .sender = str_trim(str_of(options_value(o, "from"))),
			      .full_name = str_of(options_value(o, "full-name")),
			      .from_fields = options_given(o, "read-recipients"),
			      .dot_is_text = options_given(o, "ignore-dots"),
			      .verbose = options_given(o, "verbose"),
			      .socket = options_value(o, "socket"),
			      .drop = options_value(o, "drop"),
			      .server = options_value(o, "server"),
			      .user = options_value(o, "user"),
			      .password_file = options_value(o, "password-file"),
			      .tls = options_value(o, "tls"),
			      .ca = options_value(o, "ca"),
			      .config_path = config_path };
	int code;

	for (size_t i = 0; i < o->arguments_n; i++)
		send_list_add(&a, &m.named, str_of(o->arguments[i]));
	if (m.named.n == 0 && !m.from_fields)
		die(EX_USAGE, "send: to whom? Name recipients, or use -t for those of To, Cc and Bcc");
	if (m.server && (m.socket || m.drop))
		die(EX_USAGE, "send: --server, or --socket and --drop");
	code = send_message(&a, &m);
	arena_fini(&a);
	return code;
}
