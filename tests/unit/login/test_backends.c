/* test_backends.c - the other back-ends through Cyrus SASL, one for each run of this program (its argument): sasldb and sql with real
 * databases, saslauthd played here. Names that exist and names that do not must look the same, and a back-end that does not work is no
 * wrong password. */
#include "unit.h"
#include "remove_tree.h"

#include "client.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PASSWORD "wonder land"

static char place[64], data[96]; /* the back-end's file or socket */
static struct directory *directory;
static struct arena arena;
static struct str option_texts[8];
static struct cfg_auth auth = { .options = { option_texts, 0 } };

static void add_option(const char *name, const char *value)
{
	option_texts[auth.options.n++] = arena_printf(&arena, "%s=%s", name, value);
}

static void run(struct str command)
{
	int status = system(arena_cstr(&arena, command));

	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- back-ends: alice and bob here, another alice in another realm ---- */
static void make_sasldb(void)
{
	run(arena_printf(&arena,
			 "export SASL_CONF_PATH=/dev/null; for u in alice bob; do printf '" PASSWORD "' | "
			 "/usr/sbin/saslpasswd2 -p -c -f %s -u example.org $u || exit 1; done; "
			 "printf 'far away' | /usr/sbin/saslpasswd2 -p -c -f %s -u example.net alice",
			 data, data));
	add_option("sasldb_path", data);
}

static void make_sql(void)
{
	run(arena_printf(&arena,
			 "sqlite3 %s \"CREATE TABLE users (name, realm, userPassword); INSERT INTO users VALUES "
			 "('alice', 'example.org', '" PASSWORD "'), ('bob', 'example.org', '" PASSWORD
			 "'), ('alice', 'example.net', 'far away')\"",
			 data));
	add_option("sql_engine", "sqlite3");
	add_option("sql_database", data);
	add_option("sql_select", "SELECT %p FROM users WHERE name = '%u' AND realm = '%r'");
}

/* One counted text of a request (saslauthd's protocol: two bytes of length, then so many). */
static bool take(int fd, char out[128])
{
	unsigned char n[2];
	size_t length;

	if (recv(fd, n, 2, MSG_WAITALL) != 2)
		return false;
	length = (size_t)n[0] << 8 | n[1];
	if (length >= 128 || recv(fd, out, length, MSG_WAITALL) != (ssize_t)length)
		return false;
	out[length] = '\0';
	return true;
}

/* It knows alice and bob of example.org, and passwords at which it behaves badly. */
static void *play_saslauthd(void *context)
{
	static const struct {
		const char *password, *reply;
		size_t n;
	} replies[] = { { PASSWORD, "\0\2OK", 4 }, { "garbage", "\0\5hello", 7 }, { "half", "\0\2O", 3 }, { "silence", "", 0 } };
	int listener = *(int *)context, fd;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		char part[4][128]; /* user, password, service, realm */
		const char *reply = "\0\2NO";
		size_t n = 4;

		for (size_t i = 0; i < 4; i++)
			if (!take(fd, part[i]))
				abort();
		for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
			if (strcmp(part[1], replies[i].password) == 0 && strcmp(part[3], "example.org") == 0 &&
			    strcmp(part[2], "smtp") == 0 && (strcmp(part[0], "alice") == 0 || strcmp(part[0], "bob") == 0)) {
				reply = replies[i].reply;
				n = replies[i].n;
			}
		}
		send(fd, reply, n, MSG_NOSIGNAL);
		close(fd);
	}
	return NULL;
}

static void make_saslauthd(void)
{
	static int listener;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	pthread_t thread;

	strcpy(address.sun_path, data);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 16), 0);
	assert_int_equal(pthread_create(&thread, NULL, play_saslauthd, &listener), 0);
	pthread_detach(thread);
	add_option("saslauthd_path", data);
}

static int start(const char *backend)
{
	strcpy(place, "/tmp/posthouse-backend-XXXXXX");
	assert_non_null(mkdtemp(place));
	snprintf(data, sizeof(data), "%s/%s", place, backend);
	directory = directory_new(place);
	auth.backend = str_of(backend);
	if (strcmp(backend, "sasldb") == 0)
		make_sasldb();
	else if (strcmp(backend, "sql") == 0)
		make_sql();
	else
		make_saslauthd();
	assert_int_equal(cyrus_start(directory, &auth).class, OK);
	return 0;
}

static int tear_down(void **state)
{
	cyrus_stop();
	directory_free(directory);
	arena_fini(&arena);
	remove_tree(place);
	return 0;
}

/* ---- logins ---- */
static struct conversation *begin(void)
{
	struct conversation_config config = {
		.service = "smtp", .hostname = "relay.example.org", .realm = S("example.org"), .tls_bits = 256
	};
	struct conversation *c = conversation_new(directory, &config);

	assert_non_null(c);
	return c;
}

enum how { PLAIN, LOGIN, SCRAM };

static struct outcome log_in(enum how how, const char *user, const char *password)
{
	struct conversation *c = begin();
	struct outcome o = how == PLAIN   ? plain_login(c, user, password)
			   : how == LOGIN ? checked_login(c, user, password)
					  : scram_login(c, "SCRAM-SHA-256", "n,,", S(""), user, password);

	conversation_free(c);
	return o;
}

static bool knows(enum how how)
{
	return how != SCRAM || !str_eq(auth.backend, S("saslauthd"));
}

static void test_logins(void **state)
{
	static const struct {
		const char *user, *password;
		unsigned code;
		const char *name;
	} rows[] = {
		{ "alice", PASSWORD, 235, "alice@example.org" },
		{ "Alice@Example.ORG", PASSWORD, 235, "alice@example.org" },
		{ "alice", "wrong", 535, "alice@example.org" },
		{ "nobody", "wrong", 535, "nobody@example.org" },
		{ "nobody", PASSWORD, 535, "nobody@example.org" },
		{ "alice@example.net", "far away", 535, "alice@example.net" }, /* a realm that is not served */
		{ "alice@example.net", PASSWORD, 535, "alice@example.net" },
		{ "alice/phone", PASSWORD, 535, "alice@example.org" }, /* no passwords with names there */
		{ "x' OR '1'='1", PASSWORD, 535, "" },
		{ "x'or'1'='1", PASSWORD, 535, "x'or'1'='1@example.org" },
	};

	for (enum how how = PLAIN; how <= SCRAM; how++) {
		for (size_t i = 0; knows(how) && i < sizeof(rows) / sizeof(rows[0]); i++) {
			struct outcome o;

			if (how == SCRAM && strchr(rows[i].user, '='))
				continue; /* must be written in another way there */
			o = log_in(how, rows[i].user, rows[i].password);
			if (o.code != rows[i].code)
				print_message("how %d row %zu: %u %s\n", how, i, o.code, o.fault);
			assert_int_equal(o.code, rows[i].code);
			assert_string_equal(o.name, rows[i].name);
			assert_string_equal(o.fault, "");
		}
	}
}

/* SCRAM takes the same steps for a name that does not exist, with salt and iterations of the same form, the same each time. The least of
 * several turns is compared, loosely: a shortcut would be a hundredth. */
static void test_looks_the_same(void **state)
{
	uint64_t known = UINT64_MAX, unknown = UINT64_MAX;
	char salt[160] = "";

	if (!knows(SCRAM))
		return;
	for (int turn = 0; turn < 5; turn++) {
		struct outcome a = log_in(SCRAM, "alice", "wrong"), n = log_in(SCRAM, "nobody", "wrong");

		assert_int_equal(a.code, 535);
		assert_int_equal(n.code, 535);
		assert_int_equal(a.steps, n.steps);
		assert_int_equal(strlen(a.salt), strlen(n.salt));
		assert_string_equal(strrchr(a.salt, ','), strrchr(n.salt, ','));
		if (turn)
			assert_string_equal(salt, n.salt);
		strcpy(salt, n.salt);
		known = a.cpu_ns < known ? a.cpu_ns : known;
		unknown = n.cpu_ns < unknown ? n.cpu_ns : unknown;
	}
	assert_true(known < unknown * 3 / 2 && unknown < known * 3 / 2);
}

/* 454 for everybody, with words for the log; and well again without a restart. */
static void assert_down(void)
{
	for (enum how how = PLAIN; how <= SCRAM; how++) {
		struct outcome known, unknown;

		if (!knows(how))
			continue;
		known = log_in(how, "alice", PASSWORD);
		unknown = log_in(how, "nobody", PASSWORD);
		if (known.code != 454 || unknown.code != 454)
			print_message("how %d: %u %u\n", how, known.code, unknown.code);
		assert_int_equal(known.code, 454);
		assert_int_equal(unknown.code, 454);
		assert_string_not_equal(known.fault, "");
		assert_null(strstr(known.fault, PASSWORD));
	}
}

static void test_does_not_work(void **state)
{
	char aside[sizeof(data) + 8];
	FILE *file;

	snprintf(aside, sizeof(aside), "%s.aside", data);
	assert_int_equal(rename(data, aside), 0);
	assert_down();
	remove(data); /* SQLite makes a new one where there is none */
	file = fopen(data, "w");
	assert_non_null(file);
	for (int i = 0; i < 1000; i++)
		fputs("neither a database nor a socket ", file);
	fclose(file);
	assert_down();
	assert_int_equal(rename(aside, data), 0);
	assert_int_equal(log_in(PLAIN, "alice", PASSWORD).code, 235);
}

/* What saslauthd says must be a yes to be one. */
static void test_odd_answers(void **state)
{
	static const char *const passwords[] = { "garbage", "half", "silence" };

	for (size_t i = 0; str_eq(auth.backend, S("saslauthd")) && i < 3; i++) {
		assert_int_not_equal(log_in(PLAIN, "alice", passwords[i]).code, 235);
		assert_int_not_equal(log_in(LOGIN, "alice", passwords[i]).code, 235);
	}
}

static void test_can(void **state)
{
	struct str names[] = { S("PLAIN"), S("LOGIN"), S("SCRAM-SHA-256"), S("SCRAM-SHA-256-PLUS") };
	struct cfg_auth wanted = auth;

	wanted.mechanisms = (struct str_list){ names, 2 };
	assert_int_equal(cyrus_can(&wanted).class, OK);
	wanted.mechanisms.n = 4;
	assert_int_equal(cyrus_can(&wanted).class, knows(SCRAM) ? OK : PERM);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_logins),        cmocka_unit_test(test_looks_the_same),
		cmocka_unit_test(test_does_not_work), cmocka_unit_test(test_odd_answers),
		cmocka_unit_test(test_can),
	};

	if (argc != 2 || start(argv[1]) != 0)
		return 64;
	return cmocka_run_group_tests_name(argv[1], tests, NULL, tear_down);
}
