/* test_sts.c - MTA-STS in the real process of the role: policies that are found, kept, changed, blocked and refreshed. */
#include "world.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>

static void test_a_policy(void **state)
{
	assert_found("Example.NET.", 2, 1);
	assert_string_equal(world.mx, "mx.example.net *.example.net ");
	assert_string_equal(world.id, "1");
	assert_string_equal(world.policy, ENFORCE);
	assert_true(world.last.valid_ms > 86000000 && world.last.valid_ms <= 86400000);
	assert_string_equal(world.url, "https://mta-sts.example.net/.well-known/mta-sts.txt");
	assert_string_equal(world.addresses, "192.0.2.7");
	assert_found("example.net", 2, 1); /* kept */
	assert_found("b\xc3\xbc\x63her.example", 2, 2);
	assert_string_equal(world.url, "https://mta-sts.xn--bcher-kva.example/.well-known/mta-sts.txt");
}

static void test_no_policy(void **state)
{
	world.record = NULL;
	assert_found("example.net", 0, 0);
	assert_int_equal(world.last.fault, TLS_RESULT_NONE);
	world.record = "v=STSv1; id=no such id";
	assert_found("example.net", 0, 0);
	world.dns_fails = true;
	assert_found("example.net", 0, 0);
	assert_found("no..domain", 0, 0);
	assert_found("", 0, 0);
}

/* What is wrong with a policy is told, and it is not fetched again at once. */
static void test_failures(void **state)
{
	static const struct {
		const char *domain, *text, *content_type, *failure;
		unsigned status;
		bool untrusted;
		enum tls_result fault;
		const char *why;
	} rows[] = {
		{ "a.example", ENFORCE, "text/html", NULL, 200, false, TLS_RESULT_STS_POLICY_FETCH_ERROR, "not text/plain" },
		{ "b.example", ENFORCE, "", NULL, 200, false, TLS_RESULT_STS_POLICY_FETCH_ERROR, "not text/plain" },
		{ "c.example", ENFORCE, "text/plain", NULL, 404, false, TLS_RESULT_STS_POLICY_FETCH_ERROR, "status 404" },
		{ "d.example", ENFORCE, "text/plain", NULL, 301, false, TLS_RESULT_STS_POLICY_FETCH_ERROR,
		  "redirects are not followed" },
		{ "e.example", "mode: enforce", "text/plain", NULL, 200, false, TLS_RESULT_STS_POLICY_INVALID, "no version" },
		{ "f.example", "", "text/plain", "of no authority", 0, true, TLS_RESULT_STS_WEBPKI_INVALID, "no authority" },
		{ "g.example", "", "text/plain", "timed out", 0, false, TLS_RESULT_STS_POLICY_FETCH_ERROR, "timed out" },
	};

	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		world.text = rows[i].text;
		world.content_type = rows[i].content_type;
		world.why = rows[i].failure;
		world.status = rows[i].status;
		world.untrusted = rows[i].untrusted;
		for (unsigned again = 0; again < 2; again++) {
			assert_found(rows[i].domain, 0, i + 1);
			assert_int_equal(world.last.fault, rows[i].fault);
			assert_non_null(strstr(world.why_heard, rows[i].why));
		}
	}
	world.address = NULL;
	assert_found("h.example", 0, 7);
	assert_non_null(strstr(world.why_heard, "no address"));
	world.address = "127.0.0.1"; /* not everything that the owner of a domain names is asked */
	assert_found("i.example", 0, 7);
	assert_non_null(strstr(world.why_heard, "loopback"));
}

static void test_content_type_with_parameters(void **state)
{
	world.content_type = "Text/Plain;charset=utf-8; x=y";
	assert_found("example.net", 2, 1);
}

/* Five minutes, which are shorter here, after a failure the policy is tried again; another id at once. */
static void test_a_failure_ends(void **state)
{
	struct world *w = *state;

	w->status = 500;
	assert_found("example.net", 0, 1);
	assert_found("example.net", 0, 1);
	w->record = "v=STSv1; id=2;";
	assert_found("example.net", 0, 2);
	w->status = 200;
	assert_found("example.net", 0, 2);
	run_for(&w->loop, 2600);
	assert_found("example.net", 2, 3);
}

/* RFC 8461 3.3: what is kept holds, whatever DNS and HTTPS say or do not say. */
static void test_a_kept_policy_cannot_be_blocked(void **state)
{
	struct world *w = *state;

	assert_found("example.net", 2, 1);
	w->record = NULL; /* the record is gone */
	assert_found("example.net", 2, 1);
	assert_int_equal(w->last.fault, TLS_RESULT_NONE);
	w->record = "nonsense";
	assert_found("example.net", 2, 1);
	w->dns_fails = true;
	assert_found("example.net", 2, 1);
	w->dns_fails = false;
	w->record = "v=STSv1; id=2;"; /* another one, which nobody can get */
	w->why = "timed out";
	assert_found("example.net", 2, 2);
	assert_int_equal(w->last.fault, TLS_RESULT_STS_POLICY_FETCH_ERROR);
	assert_string_equal(w->id, "1");
	w->why = NULL;
	w->text = "mode: none";
	w->record = "v=STSv1; id=3;"; /* … or read */
	assert_found("example.net", 2, 3);
	assert_int_equal(w->last.fault, TLS_RESULT_STS_POLICY_INVALID);
	kill_and_start(w); /* and over the death of the role, and of the machine */
	w->record = NULL;
	assert_found("example.net", 2, 3);
}

static void test_a_changed_policy(void **state)
{
	struct world *w = *state;

	assert_found("example.net", 2, 1);
	w->text = TESTING;
	assert_found("example.net", 2, 1); /* the id is the old one */
	w->record = "v=STSv1; id=2;";
	assert_found("example.net", 1, 2);
	assert_string_equal(w->mx, "other.example.net ");
	assert_string_equal(w->id, "2");
	w->text = "version: STSv1\nmode: none\nmax_age: 86400\n"; /* RFC 8461 8.3 */
	w->record = "v=STSv1; id=3;";
	assert_found("example.net", 0, 3);
	assert_string_equal(w->id, "3");
	w->record = NULL;
	assert_found("example.net", 0, 3);
}

/* Many want to know about one domain at once: one question, one fetch. */
static void test_many_ask(void **state)
{
	struct world *w = *state;

	w->silent = true;
	for (unsigned i = 0; i < 100; i++)
		ask("example.net", false);
	assert_true(run_until(&w->loop, &w->fetches, 1));
	run_for(&w->loop, 50);
	assert_int_equal(w->fetches, 1);
	assert_int_equal(w->answers, 0);
	give(w->role.peers[ROLE_FETCH], w->held[0]);
	assert_true(run_until(&w->loop, &w->answers, 100));
	assert_int_equal(w->last.mode, 2);
}

/* No more than 16 fetches at once, and those that wait follow; domains without a policy do not wait for them. */
static void test_many_domains(void **state)
{
	struct world *w = *state;
	char name[64];

	w->silent = true;
	for (unsigned i = 0; i < 20; i++) {
		snprintf(name, sizeof name, "d%u.example", i);
		ask(name, false);
	}
	assert_true(run_until(&w->loop, &w->fetches, 16));
	run_for(&w->loop, 50);
	assert_int_equal(w->fetches, 16);
	w->record = NULL;
	ask_and_wait("without.example");
	for (unsigned i = 0; i < 16; i++)
		give(w->role.peers[ROLE_FETCH], w->held[i]);
	assert_true(run_until(&w->loop, &w->fetches, 20));
	for (unsigned i = 16; i < 20; i++)
		give(w->role.peers[ROLE_FETCH], w->held[i]);
	assert_true(run_until(&w->loop, &w->answers, 21));
}

/* fetch dies with the request in hand: its next process gets it. */
static void test_fetch_dies(void **state)
{
	struct world *w = *state;

	w->silent = true;
	ask("example.net", false);
	assert_true(run_until(&w->loop, &w->fetches, 1));
	played_disconnect(&w->role, ROLE_FETCH);
	w->silent = false;
	w->record = NULL;
	ask_and_wait("without.example"); /* it stops nobody else */
	assert_int_equal(w->answers, 1);
	played_connect(&w->role, ROLE_FETCH, &fetch_handlers);
	assert_true(run_until(&w->loop, &w->answers, 2));
	assert_int_equal(w->last.mode, 2);
	assert_int_equal(w->fetches, 2);
	played_disconnect(&w->role, ROLE_FETCH);
	assert_found("example.net", 2, 2);
}

/* The other name servers are asked anew what the old ones had not answered. */
static void test_names_change(void **state)
{
	struct world *w = *state;

	played_disconnect(&w->role, ROLE_RESOLVER);
	ask("example.net", false);
	run_for(&w->loop, 50);
	assert_int_equal(w->answers, 0);
	played_connect(&w->role, ROLE_RESOLVER, &resolver_handlers);
	ipc_send_names_changed(w->role.peers[ROLE_RESOLVER], &(struct msg_names_changed){ 0 }, -1);
	assert_true(run_until(&w->loop, &w->answers, 1));
	assert_int_equal(w->last.mode, 2);
}

/* queue says which node of a cluster this is, or what no queue says. */
static void test_node(void **state)
{
	struct world *w = *state;

	played_connect(&w->role, ROLE_QUEUE, &no_handlers);
	ipc_send_node_is(w->role.peers[ROLE_QUEUE], &(struct msg_node_is){ .number = 15, .id_floor_ms = 1 }, -1);
	ask_and_wait("example.net");
	assert_non_null(w->role.peers[ROLE_QUEUE]);
	ipc_send_node_is(w->role.peers[ROLE_QUEUE], &(struct msg_node_is){ .number = 16 }, -1);
	for (unsigned i = 0; i < 500 && w->role.peers[ROLE_QUEUE]; i++)
		run_for(&w->loop, 10);
	assert_null(w->role.peers[ROLE_QUEUE]);
}

/* An administrator who asks what is kept makes no request. */
static void test_only_what_is_kept(void **state)
{
	struct world *w = *state;

	ask("example.net", true);
	assert_true(run_until(&w->loop, &w->answers, 1));
	assert_true(w->last.mode == 0 && w->asked == 0);
	assert_found("example.net", 2, 1);
	ask("example.net", true);
	assert_true(run_until(&w->loop, &w->answers, 3));
	assert_int_equal(w->last.mode, 2);
}

/* Once a day, which has 1.5 s here, whatever the TXT record says (RFC 8461 10.2). */
static void test_refresh(void **state)
{
	struct world *w = *state;

	setenv(MINUTE, "1", 1);
	kill_and_start(w);
	assert_found("example.net", 2, 1);
	w->record = NULL;
	w->text = TESTING;
	assert_true(run_until(&w->loop, &w->fetches, 2));
	w->why = "timed out"; /* a refresh that fails changes nothing, and is repeated */
	assert_true(run_until(&w->loop, &w->fetches, 4));
	setenv(MINUTE, "500", 1);
	kill_and_start(w);
	ask("example.net", true);
	assert_true(run_until(&w->loop, &w->answers, 2));
	assert_int_equal(w->last.mode, 1);
	assert_string_equal(w->id, "1");
}

static void test_a_damaged_file(void **state)
{
	struct world *w = *state;
	char file[128];
	FILE *f;

	assert_found("example.net", 2, 1);
	played_end(&w->role); /* in order: all is in the file itself */
	snprintf(file, sizeof file, "%s/tlspolicy/tlspolicy.db", w->directory);
	f = fopen(file, "r+");
	assert_non_null(f);
	fputs("this is no database", f);
	fclose(f);
	world_start(w);
	assert_found("example.net", 2, 2);
}

/* The role is killed. Its file, for the test. */
static sqlite3 *end_and_open(struct world *w)
{
	char path[128];
	sqlite3 *file;

	w->role.ready = 0; /* so it is killed */
	played_end(&w->role);
	snprintf(path, sizeof path, "%.63s/tlspolicy/tlspolicy.db", w->directory);
	assert_int_equal(sqlite3_open(path, &file), SQLITE_OK);
	return file;
}

/* As where the disk is full: the policy that was fetched counts, not the older one that is kept. */
static void test_a_policy_that_cannot_be_kept(void **state)
{
	struct world *w = *state;
	sqlite3 *file;

	w->text = "version: STSv1\nmode: none\nmax_age: 86400\n";
	assert_found("example.net", 0, 1);
	file = end_and_open(w);
	assert_int_equal(sqlite3_exec(file,
				      "CREATE TRIGGER full BEFORE INSERT ON policies BEGIN SELECT RAISE(ABORT, 'full'); END",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(file);
	world_start(w);
	w->record = "v=STSv1; id=2;";
	w->text = ENFORCE;
	assert_found("example.net", 2, 2);
	assert_true(w->last.valid_ms > 86000000 && w->last.valid_ms <= 86400000);
	assert_found("example.net", 2, 3);
}

static int on_count(void *ctx, int n, char **values, char **names)
{
	*(int *)ctx = atoi(values[0]);
	return 0;
}

/* A clock that is ten days behind at the start takes away no report that is to be sent. */
static void test_reports_outlive_a_wrong_clock(void **state)
{
	struct world *w = *state;
	struct arena a = { 0 };
	sqlite3 *file = end_and_open(w);
	unsigned long long day = (clock_now_ms() / DAY_MS + 10) * DAY_MS;
	const char *add = arena_cstr(
		&a, arena_printf(&a, "INSERT INTO report_days (day, domain, number, due_at) VALUES (%llu, 'x.example', 1, %llu)",
				 day, day + DAY_MS));
	int n = 0;

	assert_int_equal(sqlite3_exec(file, add, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(file);
	w->config.tls_report.from = S("tls@example.org");
	world_start(w);
	run_for(&w->loop, 6000); /* it looks at reports every five seconds */
	file = end_and_open(w);
	assert_int_equal(sqlite3_exec(file, "SELECT count(*) FROM report_days", on_count, &n, NULL), SQLITE_OK);
	sqlite3_close(file);
	assert_int_equal(n, 1);
	world_start(w);
	arena_fini(&a);
}

/* A login has had mail sent to very many domains of a stranger, with the longest policies. */
static void test_the_disk_is_not_filled(void **state)
{
	struct world *w = *state;
	sqlite3 *file = end_and_open(w);
	int n = 0;

	assert_int_equal(sqlite3_exec(file,
				      "PRAGMA synchronous=OFF; WITH RECURSIVE c(n) AS (VALUES(1) UNION ALL SELECT n+1 FROM c"
				      " WHERE n<2200) INSERT INTO policies SELECT 'd'||n, 'x', hex(zeroblob(32000)),"
				      " 1000*unixepoch(), 1000*unixepoch()+86400000, 1000*unixepoch()+86400000, n FROM c",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(file);
	world_start(w);
	assert_found("example.net", 2, 1);
	file = end_and_open(w);
	assert_int_equal(sqlite3_exec(file, "SELECT count(*) FROM policies", on_count, &n, NULL), SQLITE_OK);
	assert_true(n > 1800 && n * 64000 < 128 << 20);
	assert_int_equal(sqlite3_exec(file, "SELECT count(*) FROM policies WHERE used_at>2199", on_count, &n, NULL), SQLITE_OK);
	assert_int_equal(n, 2); /* the last one, and the new one */
	sqlite3_close(file);
	world_start(w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_policy, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_no_policy, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_failures, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_content_type_with_parameters, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_a_failure_ends, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_a_kept_policy_cannot_be_blocked, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_a_changed_policy, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_many_ask, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_many_domains, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_fetch_dies, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_names_change, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_node, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_only_what_is_kept, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_refresh, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_a_damaged_file, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_a_policy_that_cannot_be_kept, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_the_disk_is_not_filled, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_reports_outlive_a_wrong_clock, world_setup, world_teardown),
	};

	assert_int_equal(argc, 2);
	program = argv[1];
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
