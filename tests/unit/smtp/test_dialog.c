/* test_dialog.c - plays the dialogues of tests/dialog (see README there) with the server machine: in pieces as large as they come, in small
 * ones, and with everything that the client sends cut in two at each place where it can be cut. */
#include "unit.h"

#include "posthouse/buf.h"
#include "posthouse/smtp_server.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t now_ms(void)
{
	return 1795301717000; /* 2026-11-21T22:55:17Z */
}

/* As the live daemon is configured in tests/integration/test_dialogs.py. */
static const struct smtp_server_config usual = {
	.hostname = { "relay.example.org", 17 },
	.mechanisms = { "PLAIN LOGIN", 11 },
	.domain = { "example.org", 11 },
	.message_size = 1 << 20,
	.recipients = 10,
	.commands = 100,
	.errors = 20,
	.future_release_s = 30 * 86400,
	.now_ms = now_ms,
	.tls_required = true,
	.can_starttls = true,
};

/* How what the client sends at once is cut: into pieces of `step` bytes, or in two behind byte `split`; 0: not so. */
struct cut {
	size_t step, split;
};

/* The server's user: one account, which may send as itself only. */
struct peer {
	struct smtp_server_config config;
	struct smtp_server *s;
	struct cut cut;
	size_t longest; /* bytes that were sent at once */
	bool ended, starting_tls;
	enum { NO_LOGIN, WANT_NAME, WANT_PASSWORD, WANT_PLAIN } login;
	struct str where; /* of the dialogue, for messages */
};

static const struct str plain = { "\0alice@example.org\0secret", 25 };

static struct verdict check(bool right)
{
	return right ? ok() : perm(535, S("5.7.8"), S("Authentication failed"));
}

static struct verdict answer_auth(struct peer *p, const struct smtp_event *e)
{
	if (e->type == SMTP_AUTH && str_ieq(e->mechanism, S("PLAIN"))) {
		p->login = WANT_PLAIN;
		return e->has_initial ? check(str_eq(e->initial, plain)) : ok_text(334, S(""), S(""));
	}
	if (e->type == SMTP_AUTH) {
		p->login = WANT_NAME;
		return ok_text(334, S(""), S("Username:"));
	}
	if (p->login == WANT_NAME) {
		p->login = WANT_PASSWORD;
		return ok_text(334, S(""), S("Password:"));
	}
	return check(str_eq(e->initial, p->login == WANT_PLAIN ? plain : S("secret")));
}

static void act(struct peer *p, const struct smtp_event *e)
{
	switch (e->type) {
	case SMTP_STARTTLS:
		smtp_server_reply(p->s, ok());
		p->starting_tls = true;
		break;
	case SMTP_AUTH:
	case SMTP_AUTH_RESPONSE: smtp_server_reply(p->s, answer_auth(p, e)); break;
	case SMTP_MAIL:
		smtp_server_reply(p->s, e->address.n == 0 || str_eq(e->address, S("alice@example.org"))
						? ok()
						: perm(550, S("5.7.1"), S("Not your address")));
		break;
	case SMTP_RCPT:
	case SMTP_DATA: smtp_server_reply(p->s, ok()); break;
	case SMTP_TEXT_END:
		smtp_server_reply(p->s,
				  e->fault.class == OK ? ok_text(250, S("2.0.0"), S("Ok: queued as 0123456789abc")) : e->fault);
		break;
	case SMTP_QUIT:
	case SMTP_CLOSE: p->ended = true; break;
	default: break;
	}
}

static void feed(struct peer *p, struct str bytes)
{
	struct smtp_event e;
	bool first = true;

	if (bytes.n > p->longest)
		p->longest = bytes.n;
	for (size_t n; bytes.n > 0; bytes = str_from(bytes, n), first = false) {
		n = p->cut.step > 0 ? p->cut.step : bytes.n;
		if (first && p->cut.split > 0 && p->cut.split < n)
			n = p->cut.split;
		assert_true(smtp_server_feed(p->s, str_head(bytes, n)));
		while (smtp_server_next(p->s, &e))
			act(p, &e);
	}
}

/* Undo the escapes of a "c:" line. */
static struct str unescape(struct str s, char *to)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '\\' && i + 1 < s.n) {
			c = s.p[++i];
			c = c == 'r' ? '\r' : c == 'n' ? '\n' : c == 't' ? '\t' : c == '0' ? '\0' : c;
		}
		to[n++] = c;
	}
	return str_make(to, n);
}

/* Is the next line of output like the pattern? */
static void expect(struct peer *p, struct str pattern)
{
	struct buf *out = smtp_server_output(p->s);
	struct str v = buf_view(out);
	size_t n = str_search(v, S("\r\n"));
	char got[1024], want[1024];

	snprintf(got, sizeof(got), "%.*s", STR_ARG(str_head(v, n)));
	snprintf(want, sizeof(want), "%.*s", STR_ARG(pattern));
	if (n == v.n || fnmatch(want, got, 0) != 0)
		fail_msg("%.*s in steps of %zu, cut at %zu: expected \"%s\", got \"%s\"", STR_ARG(p->where), p->cut.step,
			 p->cut.split, want, got);
	buf_consume(out, n + 2);
}

/* "SET name value": a configuration that the live daemon of the tests does not have. */
static void set(struct peer *p, struct str line)
{
	const struct {
		struct str name;
		uint64_t *number;
	} numbers[] = {
		{ S("messages"), &p->config.messages },
		{ S("recipients"), &p->config.recipients },
		{ S("future_release"), &p->config.future_release_s },
	};
	size_t space = str_find(line, ' ');
	struct str name = str_head(line, space), value = str_from(line, space + 1);

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (!str_eq(name, numbers[i].name))
			continue;
		assert_true(str_to_u64(value, numbers[i].number));
		return;
	}
	if (str_eq(name, S("domain")))
		p->config.domain = value;
	else if (str_eq(name, S("bare_newline")))
		p->config.refuse_bare_newline = str_eq(value, S("refuse"));
	else if (str_eq(name, S("auth_equals")))
		p->config.auth_equals = str_eq(value, S("1"));
	else if (str_eq(name, S("trust")))
		smtp_server_trust(p->s, str_eq(value, S("1")));
	else
		fail_msg("%.*s: what is \"%.*s\"?", STR_ARG(p->where), STR_ARG(line));
}

static void play_line(struct peer *p, struct str line)
{
	static char bytes[8192];
	struct str rest = str_from(line, 3);

	if (str_starts(line, S("C:")) || str_starts(line, S("c:"))) {
		struct str view = smtp_server_output(p->s)->n > 0 ? buf_view(smtp_server_output(p->s)) : S("");

		if (view.n > 0 && !smtp_server_in_text(p->s))
			fail_msg("%.*s: unexpected \"%.*s\" before \"%.*s\"", STR_ARG(p->where), STR_ARG(view), STR_ARG(line));
		if (line.p[0] == 'C')
			feed(p, str_make(bytes, (size_t)snprintf(bytes, sizeof(bytes), "%.*s\r\n", STR_ARG(rest))));
		else
			feed(p, unescape(rest, bytes));
	} else if (str_starts(line, S("S:"))) {
		expect(p, rest);
	} else if (str_eq(line, S("TLS"))) {
		assert_true(p->starting_tls);
		p->starting_tls = false;
		smtp_server_tls_started(p->s);
	} else if (str_eq(line, S("CLOSE"))) {
		assert_true(p->ended);
	} else {
		fail_msg("%.*s: what is \"%.*s\"?", STR_ARG(p->where), STR_ARG(line));
	}
}

/* The length of the longest thing that the client sends at once. */
static size_t play(struct str text, const char *path, struct cut cut)
{
	struct peer p = { .config = usual, .where = str_of(path), .cut = cut };
	bool begun = false;
	struct str line;

	p.s = smtp_server_new(&p.config);
	while (str_split(&text, '\n', &line)) {
		if (line.n == 0 || line.p[0] == '#')
			continue;
		if (str_starts(line, S("SET "))) {
			assert_false(begun);
			set(&p, str_from(line, 4));
			continue;
		}
		if (!begun)
			smtp_server_greet(p.s);
		begun = true;
		play_line(&p, line);
	}
	assert_int_equal(smtp_server_output(p.s)->n, 0);
	smtp_server_free(p.s);
	return p.longest;
}

/* Append the file `name` of the folder that `beside` lies in; false when that file cannot be read. */
static bool add_file(struct buf *to, struct str beside, struct str name)
{
	char path[4096], piece[4096];
	FILE *f;
	size_t n;

	while (beside.n > 0 && beside.p[beside.n - 1] != '/')
		beside.n--;
	snprintf(path, sizeof(path), "%.*s%.*s", STR_ARG(beside), STR_ARG(name));
	f = fopen(path, "r");
	if (f == NULL)
		return false;
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		assert_true(buf_add(to, str_make(piece, n)));
	fclose(f);
	return true;
}

/* The lines of `text` with the files that its INCLUDE lines name; false when one of them cannot be read. An included file
 * includes nothing. */
static bool expand(struct buf *to, struct str text, struct str path)
{
	struct str line;

	while (str_split(&text, '\n', &line)) {
		if (!str_starts(line, S("INCLUDE ")))
			assert_true(buf_add(to, line) && buf_add_char(to, '\n'));
		else if (!add_file(to, path, str_from(line, 8)))
			return false;
	}
	return true;
}

static void test_dialog(void **state)
{
	const char *path = *state;
	struct buf file, whole;
	size_t longest;

	buf_init(&file, 1 << 16);
	buf_init(&whole, 1 << 16);
	assert_true(add_file(&file, S(""), str_of(path)));
	if (!expand(&whole, buf_view(&file), str_of(path)))
		fail_msg("%s includes a file that is not there", path);
	longest = play(buf_view(&whole), path, (struct cut){ 0 });
	assert_true(longest > 0);
	for (size_t step = 1; step < 8; step++)
		play(buf_view(&whole), path, (struct cut){ .step = step });
	for (size_t split = 1; split < longest; split++)
		play(buf_view(&whole), path, (struct cut){ .split = split });
	buf_fini(&file);
	buf_fini(&whole);
}

/* A dialogue must not pass because the answers that it includes are missing. */
static void test_missing_include(void **state)
{
	struct str path = str_of(*state);
	struct buf whole;

	buf_init(&whole, 1 << 16);
	assert_true(expand(&whole, S("S: 220 *\nC: QUIT\n"), path));
	assert_true(str_eq(buf_view(&whole), S("S: 220 *\nC: QUIT\n")));
	assert_false(expand(&whole, S("S: 220 *\nINCLUDE ehlo/no-such-file.txt\nC: QUIT\n"), path));
	buf_fini(&whole);
}

int main(int argc, char **argv)
{
	size_t n = (size_t)argc - 1;
	struct CMUnitTest *tests = calloc(n + 1, sizeof(*tests));
	int failed;

	for (size_t i = 0; i < n; i++) {
		const char *slash = strrchr(argv[i + 1], '/');

		tests[i].name = slash != NULL ? slash + 1 : argv[i + 1];
		tests[i].test_func = test_dialog;
		tests[i].initial_state = argv[i + 1];
	}
	tests[n] = (struct CMUnitTest)cmocka_unit_test_prestate(test_missing_include, argv[n]);
	failed = n == 0 ? 1 : _cmocka_run_group_tests("dialogs", tests, n + 1, NULL, NULL);
	free(tests);
	return failed;
}
