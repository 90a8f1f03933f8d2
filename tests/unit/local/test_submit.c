/* test_submit.c - the dialogue with a relay that a thread plays: what is said, and what each answer means. */
#include "posthouse/local.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* clang-format off */
#include "unit.h"
/* clang-format on */

#define TEXT   "Subject: x\n\n.dot\r\n..two\nlast"
#define ON_ARE "Subject: x\r\n\r\n..dot\r\n...two\r\nlast\r\n.\r\n"

struct peer {
	int fd;
	const char *replies; /* to the greeting, EHLO, MAIL, RCPT, RCPT, DATA, the text, QUIT: a line each; "-": the end */
	char heard[4096];
};

/* Reads what belongs to the next reply: a line, or after 354 the text. */
static void hear(FILE *f, char *heard, bool text)
{
	char line[1024];

	do {
		if (!fgets(line, sizeof line, f))
			return;
		strcat(heard, line);
	} while (text && strcmp(line, ".\r\n") != 0);
}

static void *play(void *ctx)
{
	struct peer *p = ctx;
	FILE *f = fdopen(p->fd, "r+");
	struct str rest = str_of(p->replies), reply;
	bool first = true, text = false;

	setvbuf(f, NULL, _IONBF, 0);
	while (str_split(&rest, '\n', &reply) && !str_eq(reply, S("-"))) {
		if (!first)
			hear(f, p->heard, text);
		first = false;
		text = str_starts(reply, S("354"));
		fprintf(f, "%.*s\r\n", STR_ARG(reply));
		if (str_starts(reply, S("250-")))
			fprintf(f, "250 SIZE\r\n");
	}
	fclose(f);
	return NULL;
}

static struct verdict submit(struct local_message *m, const char *replies, struct arena *a, struct peer *p)
{
	int ends[2], text = memfd_create("text", MFD_CLOEXEC);
	pthread_t thread;
	struct verdict v;

	assert_int_equal(write(text, TEXT, sizeof TEXT - 1), sizeof TEXT - 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	*p = (struct peer){ .fd = ends[1], .replies = replies };
	pthread_create(&thread, NULL, play, p);
	v = local_submit(ends[0], m, text, 0, 10000, a);
	pthread_join(thread, NULL);
	close(text);
	return v;
}

static void test_dialogue(void **state)
{
	struct local_recipient to[] = { { S("bob@example.net"), S("NOTIFY=NEVER"), ok() },
					{ S("jos\xc3\xa9@example.net"), S(""), ok() } };
	struct local_message m = { true, S("alice"), S("RET=HDRS"), to, 2 };
	struct arena a = { 0 };
	struct peer p;
	struct verdict v = submit(
		&m, "220 hello\n250-relay\n250 2.1.0 Ok\n250 Ok\n250 Ok\n354 go\n250 2.0.0 Ok: queued as 1\n221 bye", &a, &p);

	assert_int_equal(v.class, OK);
	assert_true(str_eq(v.text, S("Ok: queued as 1")));
	assert_true(str_eq(v.enhanced, S("2.0.0")));
	assert_string_equal(p.heard,
			    "EHLO localhost\r\nMAIL FROM:<alice> SIZE=28 BODY=8BITMIME SMTPUTF8 RET=HDRS\r\n"
			    "RCPT TO:<bob@example.net> NOTIFY=NEVER\r\nRCPT TO:<jos\xc3\xa9@example.net>\r\nDATA\r\n" ON_ARE
			    "QUIT\r\n");
	arena_fini(&a);
}

static void test_answers(void **state)
{
	static const struct {
		const char *replies;
		int class, code, first, second;
	} rows[] = {
		{ "421 4.3.2 full", TEMP, 421, OK, OK },
		{ "554 5.7.1 locked", PERM, 554, OK, OK },
		{ "-", TEMP, 421, OK, OK },
		{ "HTTP/1.1 400 what", TEMP, 421, OK, OK },
		{ "220 x\n250 x\n550 5.7.1 not yours", PERM, 550, OK, OK },
		{ "220 x\n250 x\n450 4.7.1 too many", TEMP, 450, OK, OK },
		{ "220 x\n250 x\n250 x\n550 x\n550 y", PERM, 550, PERM, PERM },
		{ "220 x\n250 x\n250 x\n250 x\n450 x", TEMP, 450, OK, TEMP },
		{ "220 x\n250 x\n250 x\n550 x\n250 x\n354 x\n250 x\n221 x", OK, 250, PERM, OK },
		{ "220 x\n250 x\n250 x\n250 x\n250 x\n451 x", TEMP, 451, OK, OK },
		{ "220 x\n250 x\n250 x\n250 x\n250 x\n354 x\n552 5.3.4 too large", PERM, 552, OK, OK },
		{ "220 x\n250 x\n250 x\n250 x\n250 x\n354 x\n-", TEMP, 421, OK, OK },
		{ "220 x\n250 x\n250 x\n250 x\n250 x\n354 x\n250 x\n-", OK, 250, OK, OK },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct local_recipient to[] = { { S("a@example.net"), S(""), ok() }, { S("b@example.net"), S(""), ok() } };
		struct local_message m = { false, S(""), S(""), to, 2 };
		struct arena a = { 0 };
		struct peer p;
		struct verdict v = submit(&m, rows[i].replies, &a, &p);

		assert_true(!strstr(p.heard, "MAIL") || strstr(p.heard, "MAIL FROM:<*> "));
		assert_int_equal(v.class, rows[i].class);
		assert_int_equal(v.code, rows[i].code);
		assert_int_equal(to[0].verdict.class, rows[i].first);
		assert_int_equal(to[1].verdict.class, rows[i].second);
		arena_fini(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dialogue),
		cmocka_unit_test(test_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
