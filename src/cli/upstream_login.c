/* upstream_login.c - `posthouse upstream login NAME`: a person signs in at the provider, by any device (RFC 8628) or by a
 * browser that comes back to this command (RFC 8252). vault keeps the tokens; this command sees no secret but the browser's
 * code, which is worth nothing without what vault knows (RFC 7636). */
#include "upstream.h"

#include "browser.h"

#include "posthouse/clock.h"
#include "posthouse/log.h"
#include "posthouse/secret.h"
#include "posthouse/units.h"

#include <signal.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#define LIFE_MAX_MS (30 * MINUTE_MS)

static void on_interrupt(int number)
{
	static const char text[] = "\nposthouse: not signed in; nothing has changed\n";

	(void)!write(STDERR_FILENO, text, sizeof text - 1);
	_exit(128 + number);
}

static const struct msg_upstream_signed_in *step(struct session *s, const struct msg_upstream_sign_in *m)
{
	return &session_ask(s, MSG_upstream_sign_in, m, MSG_upstream_signed_in)->upstream_signed_in;
}

static void sleep_ms(uint64_t ms)
{
	struct timespec t = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

/* Any device: the person enters a code there, and this command asks until that is done. vault ends it when the time is over. */
static void wait_for_device(struct session *s, struct str name, const struct msg_upstream_signed_in *m)
{
	printf("Open this page with any browser, on any device:\n\n    %.*s\n\nand enter this code there:\n\n    %.*s\n\n"
	       "Sign in as the account that mail is to be sent with. The code is valid for %.*s; waiting ...\n",
	       STR_ARG(utf8_shown(&s->arena, m->url)), STR_ARG(utf8_shown(&s->arena, m->user_code)),
	       STR_ARG(age_text(&s->arena, m->expires_ms)));
	fflush(stdout);
	while (!m->done) {
		sleep_ms(m->interval_ms < SECOND_MS ? SECOND_MS : m->interval_ms < MINUTE_MS ? m->interval_ms : MINUTE_MS);
		m = step(s, &(struct msg_upstream_sign_in){ .step = 1, .upstream = name });
	}
}

static void refused(struct session *s, struct str error)
{
	if (str_eq(error, S("access_denied")))
		die(EX_NOPERM, "the sign-in was refused in the browser: nothing has changed");
	die(EX_UNAVAILABLE, "the provider says \"%.*s\": nothing has changed", STR_ARG(utf8_shown(&s->arena, error)));
}

static void wait_for_browser(struct session *s, struct str name, const struct msg_upstream_signed_in *m, int listener,
			     unsigned port)
{
	uint64_t life = m->expires_ms > 0 && m->expires_ms < LIFE_MAX_MS ? m->expires_ms : LIFE_MAX_MS;
	struct str state = browser_parameter(&s->arena, str_from(m->url, str_find(m->url, '?') + 1), S("state"));
	struct msg_upstream_sign_in code = { .step = 2, .upstream = name, .state = state };
	struct browser_answer answer;

	printf("Open this page in a browser on this machine:\n\n    %.*s\n\n"
	       "Sign in as the account that mail is to be sent with. At the end the browser goes to 127.0.0.1 port %u, where\n"
	       "this command listens. When the browser is on another machine, give it a way here first, in a terminal there:\n\n"
	       "    ssh -L %u:127.0.0.1:%u HOST\n\n(HOST is this machine.) Waiting for %.*s ...\n",
	       STR_ARG(utf8_shown(&s->arena, m->url)), port, port, port, STR_ARG(age_text(&s->arena, life)));
	fflush(stdout);
	if (!browser_wait(listener, &s->arena, state, clock_mono_ms() + life, &answer))
		die(EX_TEMPFAIL, "nobody has signed in within %.*s: nothing has changed", STR_ARG(age_text(&s->arena, life)));
	if (answer.error.n > 0)
		refused(s, answer.error);
	code.code = answer.code;
	if (!step(s, &code)->done)
		die(EX_TEMPFAIL, "the provider has not given a token: try again");
}

int upstream_login(struct session *s, const char *name, unsigned port)
{
	struct msg_upstream_sign_in begin = { .upstream = str_of(name) };
	const struct msg_upstream_signed_in *m;
	int listener = browser_listen(port, &port);

	signal(SIGINT, on_interrupt);
	signal(SIGTERM, on_interrupt);
	begin.redirect = arena_printf(&s->arena, "http://127.0.0.1:%u/", port);
	m = step(s, &begin);
	if (m->user_code.n > 0 || m->done) {
		close(listener);
		wait_for_device(s, begin.upstream, m);
	} else {
		wait_for_browser(s, begin.upstream, m, listener, port);
		close(listener);
	}
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	printf("signed in; the token is stored\n\n");
	fflush(stdout);
	return upstream_test(s, name, NULL, false);
}
