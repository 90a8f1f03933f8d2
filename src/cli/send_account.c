/* send_account.c - hands a message to a mail server over the network, by a login there. Options say which, or the environment
 * variables that `posthouse client environment` prints. */
#include "send.h"

#include "cli.h"
#include "smtp_call.h"

#include "posthouse/address.h"
#include "posthouse/log.h"
#include "posthouse/secret.h"
#include "posthouse/smtp_client.h"
#include "posthouse/smtp_server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define FILE_MAX (4 * 1024 * 1024)
#define PIPE_MAX 65536 /* of what is no file, such as <(command) of a shell */

static const char *from_environment(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

bool send_account_find(struct arena *a, struct outgoing *m)
{
	const char *host = from_environment("SMTP_HOST"), *port = from_environment("SMTP_PORT"),
		   *from = from_environment("SMTP_FROM");

	if (m->socket || m->drop)
		return false;
	if (!m->server && host)
		m->server = port ? arena_cstr(a, arena_printf(a, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port)) : host;
	if (!m->server)
		return false;
	if (!m->user)
		m->user = from_environment("SMTP_USER");
	if (!m->has_sender && (from || (m->user && strchr(m->user, '@')))) {
		m->has_sender = true;
		m->sender = str_of(from ? from : m->user);
	}
	if (!m->has_sender)
		die(EX_USAGE, "who sends it? %s needs an address: -f ADDRESS, or SMTP_FROM in the environment", m->server);
	return true;
}

/* A file whole; with `is_line` its first line. */
static struct str read_file(struct arena *a, const char *path, bool is_line)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	struct str text;
	size_t size;
	char *bytes;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) != 0)
		die(EX_NOINPUT, "%s: %s: the message was not sent", path, strerror(errno));
	size = S_ISREG(st.st_mode) && st.st_size < FILE_MAX ? (size_t)st.st_size : PIPE_MAX;
	bytes = arena_alloc(a, size + 1);
	n = read(fd, bytes, size);
	close(fd);
	text = str_make(bytes, n > 0 ? (size_t)n : 0);
	if (text.n == 0)
		die(EX_NOINPUT, "%s has nothing in it: the message was not sent", path);
	return is_line ? str_trim(str_head(text, str_find(text, '\n'))) : text;
}

/* "mail.example.org", "mail.example.org:465", "[2001:db8::1]:587" */
static void read_server(struct arena *a, const char *text, struct smtp_call *call)
{
	struct str server = str_of(text), port = S("");
	size_t colon = str_rfind(server, ':');
	uint64_t number = 0;

	if (str_starts(server, S("["))) {
		size_t end = str_find(server, ']');

		port = str_from(server, end + 1);
		call->host = str_from(str_head(server, end), 1);
	} else {
		port = str_find(server, ':') == colon ? str_from(server, colon) : S(""); /* an IPv6 address has several */
		call->host = str_head(server, server.n - port.n);
	}
	if (port.n > 0 && (port.p[0] != ':' || !str_to_u64(str_from(port, 1), &number) || number == 0 || number > 65535))
		die(EX_USAGE, "\"%s\" is no server: HOST, HOST:PORT or [ADDRESS]:PORT was expected", text);
	call->host = arena_str(a, call->host);
	call->port = (unsigned)number;
}

static unsigned read_tls(const char *word, unsigned port)
{
	static const struct {
		const char *word;
		unsigned tls;
	} words[] = { { "starttls", UPSTREAM_STARTTLS }, { "implicit", UPSTREAM_IMPLICIT }, { "none", UPSTREAM_NONE } };

	if (!word)
		return port == 465 ? UPSTREAM_IMPLICIT : UPSTREAM_STARTTLS;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].word, word) == 0)
			return words[i].tls;
	die(EX_USAGE, "--tls wants starttls, implicit or none, not \"%s\"", word);
}

static struct str password_of(struct arena *a, const struct outgoing *m)
{
	const char *file = m->password_file ? m->password_file : from_environment("SMTP_PASSWORD_FILE");
	const char *password = from_environment("SMTP_PASSWORD");

	if (!m->user)
		return S("");
	if (file)
		return read_file(a, file, true);
	if (!password)
		die(EX_USAGE, "the password of %s is missing: --password-file FILE, or SMTP_PASSWORD in the environment",
		    m->user);
	return str_of(password);
}

static struct str own_name(struct arena *a)
{
	char name[256] = "";

	if (gethostname(name, sizeof name - 1) != 0 || !*name)
		return S("localhost.localdomain");
	return arena_str(a, str_of(name));
}

static struct smtp_transaction transaction_of(struct arena *a, const struct outgoing *m)
{
	struct smtp_transaction t = { .sender = m->sender,
				      .size = m->size,
				      .body = m->has_8bit ? BODY_8BITMIME : BODY_7BIT,
				      .utf8 = !str_is_ascii(m->sender),
				      .recipients_n = m->recipients.n,
				      .envid = m->envid,
				      .ret = m->ret,
				      .priority = PRIORITY_NORMAL };
	struct smtp_recipient *all = ARENA_ARRAY(a, struct smtp_recipient, m->recipients.n);

	for (size_t i = 0; i < m->recipients.n; i++) {
		struct str address = m->recipients.at[i], domain = address_domain(m->sender);

		if (address_domain(address).n == 0 &&
		    domain.n > 0) /* a name of this machine: it has a mailbox where its mail is sent from */
			address = arena_printf(a, "%.*s@%.*s", STR_ARG(address), STR_ARG(domain));
		all[i] = (struct smtp_recipient){ .address = address, .notify = m->notify };
		t.utf8 |= !str_is_ascii(address);
	}
	t.recipients = all;
	return t;
}

/* Of the message as a whole, and of its recipients. */
static int tell(struct arena *a, const struct outgoing *m, const struct smtp_call *call, const struct smtp_called *called)
{
	bool sent = strcmp(called->at, "the message") == 0 || called->verdict.class == OK;
	struct verdict v = called->verdict;
	int code = EX_OK;

	for (size_t i = 0; sent && called->recipients && i < m->recipients.n; i++)
		if (called->recipients[i].class != OK)
			code = send_refused(a, m->recipients.at[i], called->recipients[i], called->replied);
	if (code != EX_OK || v.class == OK)
		return code;
	v.text = arena_printf(a, "%.*s:%u: failed at %s: %.*s%s%s", STR_ARG(call->host), call->port, called->at, STR_ARG(v.text),
			      *called->hint ? "\n" : "", called->hint);
	code = send_refused(a, S(""), v, false);
	if (strcmp(called->at, "the name") == 0 && v.class == PERM)
		return EX_NOHOST;
	if (strcmp(called->at, "the login") == 0 && v.class == PERM)
		return EX_NOPERM;
	return code == EX_TEMPFAIL || called->replied ? code : EX_UNAVAILABLE;
}

int send_account(struct arena *a, struct outgoing *m)
{
	struct smtp_call call = { .login = str_of(m->user),
				  .mechanisms = S("SCRAM-SHA-256 PLAIN LOGIN"),
				  .hostname = own_name(a) };
	struct smtp_transaction message = transaction_of(a, m);
	struct smtp_called called;

	read_server(a, m->server, &call);
	call.tls = read_tls(m->tls, call.port);
	if (call.port == 0)
		call.port = call.tls == UPSTREAM_IMPLICIT ? 465 : 587;
	call.password = password_of(a, m);
	call.ca_pem = m->ca ? read_file(a, m->ca, false) : S("");
	call.message = &message;
	call.text_fd = m->text_fd;
	smtp_call(a, &call, &called);
	if (m->verbose)
		fprintf(stderr, "%.*s", STR_ARG(called.transcript));
	return tell(a, m, &call, &called);
}
