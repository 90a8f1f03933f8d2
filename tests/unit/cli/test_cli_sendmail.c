/* test_cli_sendmail.c - command lines of sendmail(8), as programs that people have call it. */
#include "unit.h"

#include "send.h"

#include "posthouse/smtp_server.h"

#include <stdio.h>

/* The words of a line; "_" stands for a blank within a word, an apostrophe for an empty word. */
static int split(char *line, char *argv[])
{
	int argc = 0;

	for (char *word = strtok(line, " "); word; word = strtok(NULL, " ")) {
		argv[argc++] = strcmp(word, "'") == 0 ? word + 1 : word;
		for (char *p = word; *p; p++)
			*p = *p == '_' ? ' ' : *p;
	}
	argv[argc] = NULL;
	return argc;
}

static struct str flag(struct arena *a, struct str before, bool on, const char *word)
{
	return on ? arena_printf(a, "%.*s %s", STR_ARG(before), word) : before;
}

/* Mode, what was asked for, and recipients as one text. */
static struct str read_line(struct arena *a, const char *text)
{
	static const char *const modes[] = { [SENDMAIL_SEND] = "send",       [SENDMAIL_SMTP] = "smtp",   [SENDMAIL_LIST] = "list",
					     [SENDMAIL_ALIASES] = "aliases", [SENDMAIL_RETRY] = "retry", [SENDMAIL_HELP] = "help",
					     [SENDMAIL_NOTHING] = "nothing" };
	char line[400], *argv[40];
	struct outgoing m = { 0 };
	enum sendmail_mode mode;
	struct str out;
	const char *error;

	snprintf(line, sizeof line, "%s", text);
	error = sendmail_options_read(a, split(line, argv), argv, &m, &mode);
	if (error)
		return arena_printf(a, "! %s", error);
	out = arena_str(a, str_of(modes[mode]));
	out = flag(a, out, m.from_fields, "t");
	out = flag(a, out, m.dot_is_text, "i");
	out = flag(a, out, m.no_aliases, "n");
	out = flag(a, out, m.verbose, "v");
	if (m.has_sender)
		out = arena_printf(a, "%.*s from=%.*s", STR_ARG(out), STR_ARG(m.sender));
	if (m.full_name.n)
		out = arena_printf(a, "%.*s name=%.*s", STR_ARG(out), STR_ARG(m.full_name));
	if (m.envid.n)
		out = arena_printf(a, "%.*s envid=%.*s", STR_ARG(out), STR_ARG(m.envid));
	if (m.notify)
		out = arena_printf(a, "%.*s notify=%u", STR_ARG(out), m.notify);
	if (m.ret)
		out = arena_printf(a, "%.*s ret=%s", STR_ARG(out), m.ret == RET_FULL ? "full" : "hdrs");
	if (m.config_path)
		out = arena_printf(a, "%.*s config=%s", STR_ARG(out), m.config_path);
	for (size_t i = 0; i < m.named.n; i++)
		out = arena_printf(a, "%.*s%s%.*s", STR_ARG(out), i ? " " : " | ", STR_ARG(m.named.at[i]));
	return out;
}

struct row {
	const char *line, *read;
};

static void check(const struct row *rows, size_t n)
{
	struct arena a = { 0 };

	for (size_t i = 0; i < n; i++) {
		struct str read = read_line(&a, rows[i].line);

		if (!str_eq(read, str_of(rows[i].read)))
			fail_msg("%s: \"%.*s\"", rows[i].line, STR_ARG(read));
	}
	arena_fini(&a);
}
#define CHECK(rows) check(rows, sizeof(rows) / sizeof((rows)[0]))

static void lines_of_programs(void **state)
{
	static const struct row rows[] = {
		/* cron of Debian, cronie, systemd-cron, bcron, fcron, dcron, anacron, at */
		{ "/usr/sbin/sendmail -i -FCronDaemon -B8BITMIME -oem root", "send i name=CronDaemon | root" },
		{ "/usr/sbin/sendmail -FCronDaemon -i -odi -oem -oi -t -f root", "send t i from=root name=CronDaemon" },
		{ "/usr/sbin/sendmail -FCronDaemon -i -odi -oem alice", "send i name=CronDaemon | alice" },
		{ "sendmail -i -B8BITMIME root", "send i | root" },
		{ "sendmail -F fcron -i root", "send i name=fcron | root" },
		{ "sendmail -oi -t", "send t i" },
		{ "sendmail -F_Anacron -odi root", "send name= Anacron | root" },
		{ "/usr/sbin/sendmail -FAnacron -odi root", "send name=Anacron | root" },
		{ "sendmail -i alice", "send i | alice" },
		/* PHP: sendmail_path, with mail()'s fifth parameter; WordPress, Drupal, Joomla, Roundcube */
		{ "/usr/sbin/sendmail -t -i", "send t i" },
		{ "/usr/sbin/sendmail -t -i -fwww@example.org", "send t i from=www@example.org" },
		{ "/usr/sbin/sendmail -t -i -f www@example.org", "send t i from=www@example.org" },
		{ "/usr/sbin/sendmail -t -i -r www@example.org", "send t i from=www@example.org" },
		{ "/usr/sbin/sendmail -t -i -oi -fbounce@example.org", "send t i from=bounce@example.org" },
		{ "/usr/sbin/sendmail -oi -fwww@example.org -t", "send t i from=www@example.org" },
		{ "/usr/sbin/sendmail -bs", "smtp" }, /* Swift Mailer, Symfony Mailer */
		{ "/usr/sbin/sendmail -bs -i", "smtp i" },
		{ "/usr/sbin/sendmail -t -i -froot", "send t i from=root" },
		/* bsd-mailx, s-nail, heirloom mailx, GNU mailutils */
		{ "/usr/sbin/sendmail -i bob@example.net", "send i | bob@example.net" },
		{ "sendmail -i -f alice@example.org bob carol", "send i from=alice@example.org | bob carol" },
		{ "/usr/sbin/sendmail -i -r alice@example.org -- bob@example.net",
		  "send i from=alice@example.org | bob@example.net" },
		{ "sendmail -i -m bob", "send i | bob" },
		{ "sendmail -i -v bob", "send i v | bob" },
		{ "sendmail -oi -f alice@example.org bob@example.net", "send i from=alice@example.org | bob@example.net" },
		{ "sendmail -oi -t -f alice@example.org", "send t i from=alice@example.org" },
		{ "sendmail -om -i bob", "send i | bob" },
	};

	(void)state;
	CHECK(rows);
}

static void lines_of_mail_programs(void **state)
{
	static const struct row rows[] = {
		/* mutt, neomutt, alpine, Emacs, mh, aerc, Evolution, Claws Mail, sup */
		{ "/usr/sbin/sendmail -oem -oi -- bob@example.net", "send i | bob@example.net" },
		{ "sendmail -oem -oi -f alice@example.org -B8BITMIME -N success,failure -R hdrs -- bob@example.net",
		  "send i from=alice@example.org notify=6 ret=hdrs | bob@example.net" },
		{ "sendmail -oem -oi -N failure,delay -R full -- bob", "send i notify=12 ret=full | bob" },
		{ "/usr/sbin/sendmail -oi -oem -t -n", "send t i n" },
		{ "sendmail -bs -odb -oem", "smtp" },
		{ "sendmail -F_Alice_Liddell -f alice@example.org -oi -odb -t",
		  "send t i from=alice@example.org name= Alice Liddell" },
		{ "sendmail -FAlice_Liddell -falice@example.org -oi -oem -odb -t",
		  "send t i from=alice@example.org name=Alice Liddell" },
		{ "sendmail -i -t -v -m", "send t i v" },
		{ "sendmail -i -f alice@example.org -- bob@example.net carol@example.net",
		  "send i from=alice@example.org | bob@example.net carol@example.net" },
		{ "sendmail -ti", "send t i" },
		{ "sendmail -it", "send t i" },
		/* git send-email, git's hooks, cvs, svn, Mercurial, Gerrit */
		{ "/usr/sbin/sendmail -i bob@example.net carol@example.net", "send i | bob@example.net carol@example.net" },
		{ "/usr/sbin/sendmail -f alice@example.org -i bob@example.net",
		  "send i from=alice@example.org | bob@example.net" },
		{ "/usr/sbin/sendmail -t -f alice@example.org", "send t from=alice@example.org" },
		{ "sendmail -f alice@example.org bob@example.net", "send from=alice@example.org | bob@example.net" },
	};

	(void)state;
	CHECK(rows);
}

static void lines_of_libraries(void **state)
{
	static const struct row rows[] = {
		/* mdadm, smartd, logcheck, apt-listchanges, unattended-upgrades, fail2ban, logwatch, rkhunter, monit, zed, nut */
		{ "/usr/sbin/sendmail -t", "send t" },
		{ "/usr/sbin/sendmail -oi -t root", "send t i | root" },
		{ "/usr/sbin/sendmail -oi root", "send i | root" },
		{ "/usr/sbin/sendmail -t -f fail2ban@example.org root@localhost",
		  "send t from=fail2ban@example.org | root@localhost" },
		{ "/usr/sbin/sendmail -f fail2ban root", "send from=fail2ban | root" },
		{ "sendmail -B_8BITMIME bob", "! -B wants 7BIT or 8BITMIME, not \" 8BITMIME\"" },
		/* Python's smtpd idiom, Perl's Mail::Mailer, MIME::Lite, Email::Sender, Ruby's mail, Rails, Django backends, Java */
		{ "/usr/sbin/sendmail -t -oi -oem", "send t i" },
		{ "/usr/lib/sendmail -t -oi -oem", "send t i" },
		{ "/usr/sbin/sendmail -t -i -oi -f_alice@example.org", "send t i from=alice@example.org" },
		{ "/usr/sbin/sendmail -i -f <> bob@example.net", "send i from=<> | bob@example.net" },
		{ "/usr/sbin/sendmail -i -f ' bob@example.net", "send i from= | bob@example.net" },
		{ "/usr/sbin/sendmail -i -f alice@example.org -t -X /tmp/log", "send t i from=alice@example.org" },
		/* procmail, maildrop, vacation, fetchmail, Mailman 2, majordomo, sympa, uucp's rmail, request-tracker */
		{ "sendmail -oi -f alice@example.org bob", "send i from=alice@example.org | bob" },
		{ "sendmail -oem -oi -oMr esmtp -G -f alice@example.org bob", "send i from=alice@example.org | bob" },
		{ "sendmail -ee -f alice@example.org -p UUCP:host bob", "send from=alice@example.org | bob" },
		{ "sendmail -oMs host -oMa 192.0.2.1 -t", "send t" },
		{ "sendmail -oi -t -ODeliveryMode=b -OErrorMode=m", "send t i" },
		{ "sendmail -oi -t -O DeliveryMode=b", "send t i" },
		{ "sendmail -h 3 -x -U -L tag -Ac bob", "send | bob" },
		{ "sendmail -d0.1 -d bob", "send | bob" },
	};

	(void)state;
	CHECK(rows);
}

static void other_modes(void **state)
{
	static const struct row rows[] = {
		{ "mailq", "list" },
		{ "/usr/bin/mailq -v", "list v" },
		{ "mailq -Ac", "list" },
		{ "newaliases", "aliases" },
		{ "newaliases -v -oA/etc/aliases", "aliases v" },
		{ "sendmail -bp", "list" },
		{ "sendmail -bi", "aliases" },
		{ "sendmail -I", "aliases" },
		{ "sendmail -q", "retry" },
		{ "sendmail -q30m", "retry" },
		{ "sendmail -qf -v", "retry v" },
		{ "sendmail -qRexample.net", "retry" },
		{ "sendmail -bs", "smtp" },
		{ "sendmail -bm bob", "send | bob" },
		{ "sendmail -bV", "nothing" },
		{ "sendmail --version", "nothing" },
		{ "sendmail --help", "help" },
		{ "sendmail -V_QQ314159 bob", "send envid=+20QQ314159 | bob" },
		{ "sendmail -VQQ314159 -N never bob", "send envid=QQ314159 notify=1 | bob" },
		{ "sendmail -C /etc/other.conf -t", "send t config=/etc/other.conf" },
		{ "sendmail bob -f alice -i", "send i from=alice | bob" },
		{ "sendmail -- -bob", "send | -bob" },
	};

	(void)state;
	CHECK(rows);
}

static void refused(void **state)
{
	static const struct row rows[] = {
		{ "sendmail", "! no recipients: name them on the command line, or use -t for those of To, Cc and Bcc" },
		{ "sendmail -i -f", "! -f wants a value" },
		{ "sendmail -bd -q30m", "! -bd: the relay is started by `systemctl start posthouse`, or `posthouse serve`" },
		{ "sendmail -bz", "! -bz is not supported" },
		{ "sendmail -bv bob",
		  "! -bv is not supported; `posthouse explain --from ADDRESS --to ADDRESS` says what would become "
		  "of a message" },
		{ "sendmail -bpc", "! -bpc is not supported" },
		{ "sendmail -Mrm 1abcde", "! -M is not supported; `posthouse queue` has orders for messages that wait" },
		{ "sendmail -Z bob", "! there is no option -Z here (\"-Z\"); sendmail(8) lists those that there are" },
		{ "sendmail -tk", "! there is no option -k here (\"-tk\"); sendmail(8) lists those that there are" },
		{ "sendmail --frob", "! there is no option --frob here; sendmail(8) lists those that there are" },
		{ "sendmail -N sometimes bob", "! -N wants never, or some of success,failure,delay, not \"sometimes\"" },
		{ "sendmail -N never,success bob", "! -N wants never, or some of success,failure,delay, not \"never,success\"" },
		{ "sendmail -R all bob", "! -R wants full or hdrs, not \"all\"" },
		{ "sendmail -t -",
		  "! \"-\" is neither an option nor a recipient; the message is read from standard input anyway" },
	};

	(void)state;
	CHECK(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_of_programs),
		cmocka_unit_test(lines_of_mail_programs),
		cmocka_unit_test(lines_of_libraries),
		cmocka_unit_test(other_modes),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
