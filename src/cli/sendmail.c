/* sendmail.c - `posthouse sendmail`, and the program when it is called sendmail, mailq or newaliases. */
#include "sendmail.h"

#include "cli.h"

#include "posthouse/log.h"
#include "posthouse/store.h"

#include <stdio.h>
#include <sysexits.h>

/* All that waits is due now (-q). */
static int retry(const struct outgoing *m)
{
	struct msg_queue_alter ask = { .operation = ALTER_RETRY, .reason = S("by sendmail -q") };
	unsigned long long n = 0;
	struct session s;

	session_open(&s, m->config_path);
	do {
		const struct msg_queue_altered *answer =
			&session_ask(&s, MSG_queue_alter, &ask, MSG_queue_altered)->queue_altered;

		n += answer->count;
		ask.cursor = answer->cursor;
	} while (ask.cursor);
	session_close(&s);
	if (m->verbose)
		printf("%llu message%s due now\n", n, n == 1 ? "" : "s");
	return EX_OK;
}

static int run(struct arena *a, struct outgoing *m, enum sendmail_mode mode)
{
	switch (mode) {
	case SENDMAIL_SEND: return send_message(a, m);
	case SENDMAIL_SMTP: return sendmail_smtp(a, m);
	case SENDMAIL_LIST: return sendmail_list(a, m);
	case SENDMAIL_RETRY: return retry(m);
	case SENDMAIL_ALIASES: /* the file is read each time */
		if (m->verbose)
			printf("/etc/aliases needs no database here\n");
		return EX_OK;
	case SENDMAIL_HELP: help_print(stdout, commands, command_by_name(commands, "sendmail"), ""); break;
	case SENDMAIL_NOTHING: printf("posthouse %s, as sendmail(8): posthouse-sendmail(1) has its options\n", POSTHOUSE_VERSION);
	}
	return EX_OK;
}

int command_sendmail(const struct options *o, const char *config_path)
{
	char **argv = o->arguments - 1; /* the name that was called */
	struct outgoing m = { .config_path = config_path, .text_fd = -1 };
	struct arena a = { 0 };
	enum sendmail_mode mode;
	const char *fault = sendmail_options_read(&a, (int)o->arguments_n + 1, argv, &m, &mode);
	int code;

	if (fault)
		die(EX_USAGE, "sendmail: %s", fault);
	code = run(&a, &m, mode);
	arena_fini(&a);
	return code;
}
