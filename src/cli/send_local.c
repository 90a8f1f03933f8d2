/* send_local.c - hands a message to the relay of this machine: by its local socket as the user who calls, or, where nobody
 * answers or the answer is "not now", by a file in the drop directory. */
#include "send.h"

#include "cli.h"

#include "posthouse/local.h"
#include "posthouse/log.h"
#include "posthouse/policy.h"
#include "posthouse/smtp_server.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#define WITHIN_MS      300000 /* a step of the dialogue: RFC 5321 4.5.3.2 */
#define RECIPIENTS_MAX 100    /* of one message: RFC 5321 4.5.3.1.8; pickup cannot divide a file */

/* ---- where ---- */

/* The value of the configuration. Of a file with faults, or that this user cannot read, the rest is as it is by default. */
static const char *configured(struct arena *a, struct str value, size_t faults, const char *otherwise)
{
	return value.n == 0 && faults > 0 ? otherwise : arena_cstr(a, value);
}

struct send_places send_places(struct arena *a, const struct outgoing *m)
{
	struct send_places p = { m->socket ? m->socket : getenv("POSTHOUSE_LOCAL_SOCKET"),
				 m->drop ? m->drop : getenv("POSTHOUSE_LOCAL_DROP") };
	struct config_faults faults;
	struct config *c;

	if (p.socket && p.drop)
		return p;
	c = config_load(m->config_path, &faults);
	p.socket = p.socket ? p.socket : configured(a, c->local.socket, faults.n, LOCAL_SOCKET);
	p.drop = p.drop ? p.drop : configured(a, c->local.drop, faults.n, LOCAL_DROP);
	config_free(c);
	return p;
}

/* ---- the message ---- */

struct str send_user_name(struct arena *a)
{
	const struct passwd *who = getpwuid(getuid());

	return who ? arena_str(a, str_of(who->pw_name)) : arena_printf(a, "%u", (unsigned)getuid());
}

/* "SUCCESS,FAILURE" */
static struct str notify_words(struct arena *a, unsigned notify)
{
	static const struct {
		unsigned bit;
		const char *word;
	} words[] = {
		{ NOTIFY_NEVER, "NEVER" }, { NOTIFY_SUCCESS, "SUCCESS" }, { NOTIFY_FAILURE, "FAILURE" }, { NOTIFY_DELAY, "DELAY" }
	};
	struct str text = S("");

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (notify & words[i].bit)
			text = arena_printf(a, "%.*s%s%s", STR_ARG(text), text.n > 0 ? "," : "NOTIFY=", words[i].word);
	return text;
}

static struct str sender_parameters(struct arena *a, const struct outgoing *m)
{
	struct str ret = m->ret == RET_FULL ? S("RET=FULL") : m->ret == RET_HDRS ? S("RET=HDRS") : S("");

	if (m->envid.n == 0)
		return ret;
	return arena_printf(a, "%.*s%sENVID=%.*s", STR_ARG(ret), ret.n > 0 ? " " : "", STR_ARG(m->envid));
}

static struct local_message message_of(struct arena *a, const struct outgoing *m)
{
	struct local_message local = { .has_sender = m->has_sender,
				       .sender = m->sender,
				       .parameters = sender_parameters(a, m),
				       .recipients = ARENA_ARRAY(a, struct local_recipient, m->recipients.n),
				       .recipients_n = m->recipients.n,
				       .shown = m->verbose };
	struct str notify = notify_words(a, m->notify);

	for (size_t i = 0; i < m->recipients.n; i++)
		local.recipients[i] = (struct local_recipient){ .address = m->recipients.at[i], .parameters = notify };
	if (!local.has_sender && local.parameters.n > 0) {
		local.has_sender = true;
		local.sender = S(LOCAL_SELF);
	}
	return local;
}

/* ---- the way ---- */

static int drop(const struct send_places *p, const struct local_message *local, const struct outgoing *m, const char *why)
{
	int error = *p->drop ? drop_file_write(p->drop, local, m->text_fd, 0) : ENOENT;

	if (error != 0) {
		fprintf(stderr,
			"posthouse: %s, and the message cannot be kept in %s until then (%s): it was NOT sent.\n"
			"%s`posthouse check` says what is wrong with its files.\n",
			why, *p->drop ? p->drop : "a drop directory", strerror(error),
			config_uses_environment() ? "" : "`systemctl start posthouse` starts the relay, ");
		return EX_TEMPFAIL;
	}
	if (m->verbose || isatty(STDERR_FILENO))
		fprintf(stderr, "posthouse: %s: the message waits in %s and will be sent when the relay is there\n", why,
			p->drop);
	return EX_OK;
}

static int tell_refusals(struct arena *a, const struct local_message *local, struct verdict whole)
{
	int code = EX_OK;

	for (size_t i = 0; i < local->recipients_n; i++)
		if (local->recipients[i].verdict.class == PERM)
			code = send_refused(a, local->recipients[i].address, local->recipients[i].verdict, true);
	if (whole.class == PERM && code == EX_OK)
		code = send_refused(a, S(""), whole, false);
	return code;
}

/* Some of the recipients get a message of their own. */
static int hand_over(struct arena *a, const struct send_places *p, const struct outgoing *m, struct local_message part)
{
	int fd = *p->socket ? local_connect(p->socket) : -ENOENT;
	struct verdict v;

	if (fd == -EACCES || fd == -EPERM)
		return drop(p, &part, m,
			    arena_cstr(a, arena_printf(a, "UID %u has no permission to use %s", (unsigned)getuid(), p->socket)));
	if (fd < 0)
		return drop(p, &part, m,
			    arena_cstr(a, arena_printf(a, "no relay answers at %s (%s)",
						       *p->socket ? p->socket : "a local socket", strerror(-fd))));
	v = local_submit(fd, &part, m->text_fd, 0, WITHIN_MS, a);
	if (v.class == TEMP && str_eq(v.enhanced, S("4.5.3")) && part.recipients_n > 1) { /* the relay takes fewer at once */
		struct local_message rest = part;
		int first, second;

		part.recipients_n /= 2;
		rest.recipients += part.recipients_n;
		rest.recipients_n -= part.recipients_n;
		first = hand_over(a, p, m, part);
		second = hand_over(a, p, m, rest);
		return first ? first : second;
	}
	if (v.class == TEMP)
		return drop(p, &part, m, arena_cstr(a, arena_printf(a, "not now: %u %.*s", v.code, STR_ARG(v.text))));
	return tell_refusals(a, &part, v);
}

int send_local(struct arena *a, struct outgoing *m)
{
	struct send_places p = send_places(a, m);
	struct local_message all = message_of(a, m), part = all;
	int code = EX_OK;

	if (!local_message_valid(&all))
		die(EX_DATAERR, "an address or a parameter has characters that no address can have: the message was not sent");
	for (size_t done = 0; done < all.recipients_n; done += part.recipients_n) {
		size_t left = all.recipients_n - done;
		int ended;

		part.recipients = all.recipients + done;
		part.recipients_n = left < RECIPIENTS_MAX ? left : RECIPIENTS_MAX;
		ended = hand_over(a, &p, m, part);
		code = code ? code : ended;
	}
	return code;
}
