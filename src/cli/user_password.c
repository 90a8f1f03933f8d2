/* user_password.c - gets a new password from a generator, from the first line of standard input, or from a person at the
 * terminal. */
#include "user.h"

#include "posthouse/accounts.h"
#include "posthouse/log.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#define PASSWORD_MAX 1024

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
	interrupted = signal;
}

/* Read one line, byte by byte, because the text after it is for another reader. */
static bool read_line(int fd, struct secret *line_out)
{
	char line[PASSWORD_MAX + 1];
	size_t n = 0;
	ssize_t got = 0;

	while (n < sizeof(line) && (got = read(fd, line + n, 1)) == 1 && line[n] != '\n')
		n++;
	if (n && n < sizeof(line) && line[n - 1] == '\r')
		n--;
	if (n <= PASSWORD_MAX)
		secret_set(line_out, str_make(line, n));
	wipe(line, sizeof(line));
	return n > 0 && n <= PASSWORD_MAX && !interrupted && got >= 0;
}

bool read_password_line(struct secret *password_out)
{
	return read_line(STDIN_FILENO, password_out);
}

/* What is typed is shown only when `shown` is true. */
static bool ask_at(int tty, const char *question, bool shown, struct secret *answer_out)
{
	struct sigaction action = { .sa_handler = on_interrupt }, old[3];
	static const int signals[] = { SIGINT, SIGTERM, SIGQUIT };
	struct termios before, during;
	bool answered;

	if (tcgetattr(tty, &before) != 0)
		return false;
	during = before;
	if (!shown)
		during.c_lflag &= ~(tcflag_t)ECHO;
	for (size_t i = 0; i < 3; i++) /* the terminal must show input again */
		sigaction(signals[i], &action, &old[i]);
	answered = tcsetattr(tty, TCSAFLUSH, &during) == 0; /* before the question: an answer to it must not be flushed */
	dprintf(tty, "%s", question);
	answered = answered && read_line(tty, answer_out);
	tcsetattr(tty, TCSAFLUSH, &before);
	if (!shown)
		dprintf(tty, "\n");
	for (size_t i = 0; i < 3; i++)
		sigaction(signals[i], &old[i], NULL);
	if (interrupted)
		raise(interrupted);
	return answered;
}

bool ask_person(const char *question, bool shown, struct secret *answer_out)
{
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	bool answered;

	if (tty < 0)
		die(EX_NOINPUT, "no terminal to ask for the password: give it on standard input, or use --generate");
	answered = ask_at(tty, question, shown, answer_out);
	close(tty);
	return answered;
}

static void ask_twice(struct secret *password_out)
{
	struct secret again = { 0 };

	if (!ask_person("Password: ", false, password_out) || !ask_person("Again: ", false, &again))
		die(EX_NOINPUT, "no password was given");
	if (!same_secret(secret_view(password_out), secret_view(&again)))
		die(EX_DATAERR, "the two passwords differ");
	secret_fini(&again);
}

void get_password(struct secret *password_out, bool generate, bool from_stdin)
{
	if (generate) {
		if (account_generate_password(password_out).class != OK)
			die(EX_OSERR, "no random numbers");
	} else if (from_stdin || !isatty(STDIN_FILENO)) {
		if (!read_password_line(password_out))
			die(EX_NOINPUT, "expected a password of at most %d bytes on the first line of standard input",
			    PASSWORD_MAX);
	} else {
		ask_twice(password_out);
	}
}
