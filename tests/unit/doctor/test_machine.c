/* test_machine.c - clock, disk, state directory, secrets, waiting mail: each fault of the machine, and silence without one. */
#include "table.h"

#include "posthouse/machine.h"

#include "posthouse/units.h"

#define NOW 4102444800000 /* 2100-01-01: the fixture's certificate is made now, before that */

static struct machine_facts machine;
static struct role_walls walled[] = { { S("login"), S("") }, { S("queue"), S("") }, { S("queue"), S("") } };

static struct machine_facts good(void)
{
	return (struct machine_facts){
		.relay = { .state = RELAY_RUNS },
		.clock = { .known = true, .synchronised = true, .built_at = NOW - DAY_MS, .stored_at = NOW - 1000 },
		.state = { .known = true,
			   .free_bytes = 50000 * (uint64_t)MIB,
			   .total_bytes = 100000 * (uint64_t)MIB,
			   .free_files = 5000,
			   .total_files = 10000,
			   .access_known = true,
			   .user = S("posthouse") },
		.secrets = { .n = 3 },
		.accounts = { .known = true },
		.waiting = { .known = true },
		.clients = { true, 100, 10 },
		.walls = { .at = walled, .n = 3 },
	};
}

static void plant_with(const char *config, bool box, struct machine_facts m, const char *id, enum doctor_result result,
		       const char *words)
{
	struct table *t = table_new(config);

	machine = m;
	table_options(t)->machine = &machine;
	table_options(t)->container = box;
	table_options(t)->now = NOW;
	table_records(t, WORLD);
	table_probe(t, "203.0.113.80", 25,
		    (struct fact_probe){ .greeting = S("220 mx.gmail.com ESMTP h1-20020 - gsmtp"), .ehlo = S("250 mx") });
	table_run(t);
	if (words)
		expect(t, id, result, words);
	else
		expect_silent(t, id);
	table_free(t);
}

static void plant_on(bool box, struct machine_facts m, const char *id, enum doctor_result result, const char *words)
{
	plant_with(DIRECT, box, m, id, result, words);
}
#define PLANT(change, box, id, result, words)                                                                                    \
	do {                                                                                                                     \
		struct machine_facts m = good();                                                                                 \
		change;                                                                                                          \
		plant_on(box, m, id, result, words);                                                                             \
	} while (0)

static void test_silent(void **state)
{
	static const char *const rows[] = {
		"disk.*", "state.*", "files.*", "container.*", "sandbox.*", "queue.*", "relay.running"
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		plant_on(false, good(), rows[i], DOCTOR_OK, NULL);
		plant_on(true, good(), rows[i], DOCTOR_OK, NULL);
	}
}

static void test_clock(void **state)
{
	PLANT(m.clock.synchronised = false, false, "clock.sync", DOCTOR_WARNING, "is not set from the network");
	PLANT(m.clock.synchronised = false, true, "clock.sync", DOCTOR_WARNING, "The clock is the host's");
	PLANT(m.clock.built_at = NOW + DAY_MS, false, "clock.sync", DOCTOR_FAILURE, "before this program was built (2100-01-02)");
	PLANT(m.clock.stored_at = NOW + HOUR_MS, false, "clock.sync", DOCTOR_FAILURE, "mail was stored at 2100-01-01 01:00 UTC");
}

/* The world's clock, as a mail server's greeting has it. */
static void greeted(const char *greeting, enum doctor_result result, const char *words)
{
	struct table *t = table_new(ADDRESSES "auth = { realm = \"example.org\"; }; upstreams = ( { name = \"isp\"; "
					      "host = \"203.0.113.80\"; port = 465; tls = \"implicit\"; } ); "
					      "routes = ( { via = [ \"isp\" ]; } );");

	machine = good();
	table_options(t)->now = NOW;
	table_options(t)->machine = &machine;
	table_probe(t, "203.0.113.80", 465,
		    (struct fact_probe){ .tls = true, .greeting = str_of(greeting), .ehlo = S("250 mx") });
	table_run(t);
	expect(t, "clock.sync", result, words);
	table_free(t);
}

static void test_greeting(void **state)
{
	greeted("220 mx ESMTP Exim 4.96 Fri, 01 Jan 2100 00:03:00 +0000", DOCTOR_OK, "");
	greeted("220 mx ESMTP Exim 4.96 Fri, 01 Jan 2100 02:03:00 +0200", DOCTOR_OK, "");
	greeted("220 mx ESMTP Exim 4.96 Fri, 01 Jan 2100 00:08:00 +0000", DOCTOR_FAILURE,
		"that of a mail server says 2100-01-01 00:08 UTC");
	greeted("220 AM0.eop.protection.outlook.com Microsoft ESMTP MAIL Service ready at Thu, 31 Dec 2099 20:00:00 +0000 [08DC]",
		DOCTOR_FAILURE, "2099-12-31 20:00 UTC");
	greeted("220 mx, ready, 99 Foo 2100 00:00:00 +0000", DOCTOR_OK, "");
	greeted("220 mx,", DOCTOR_OK, "");
}

/* Its mail does not go with the container. */
static void test_state_of_a_node(void **state)
{
	static const char node[] = DIRECT "store = { engine = \"postgresql\"; connection = \"host=localhost dbname=posthouse "
					  "user=posthouse\"; };";
	struct machine_facts m = good();

	m.state.overlay = true;
	plant_with(node, true, m, "state.filesystem", DOCTOR_WARNING, "each new container is a new node");
	plant_with(node, false, m, "state.filesystem", DOCTOR_OK, "");
}

static void test_state(void **state)
{
	PLANT(m.state.free_bytes = MIB, false, "disk.space", DOCTOR_FAILURE, "less than queue.min_free");
	PLANT(m.state.free_bytes = 250 * (uint64_t)MIB, false, "disk.space", DOCTOR_WARNING,
	      "has 250 MiB free; mail is refused below");
	PLANT(m.state.free_files = 99, false, "disk.space", DOCTOR_FAILURE, "99 of 10000 inodes");
	PLANT(m.state.free_files = m.state.total_files = 0, false, "disk.space", DOCTOR_OK, ""); /* btrfs counts none */
	PLANT(m.state.unsafe = S("tmpfs"), false, "state.filesystem", DOCTOR_FAILURE, "is on tmpfs, where mail is not safe");
	PLANT(m.state.unsafe = S("NFS"), true, "state.filesystem", DOCTOR_FAILURE, "docker run -v posthouse:");
	PLANT(m.state.overlay = true, true, "state.filesystem", DOCTOR_FAILURE, "the queue goes with the container");
	PLANT(m.state.overlay = true, false, "state.filesystem", DOCTOR_OK, "");
	PLANT(m.state.same_as_root = true, true, "state.filesystem", DOCTOR_FAILURE, "the queue goes with the container");
	PLANT(m.state.same_as_root = true, false, "state.filesystem", DOCTOR_OK, "");
	PLANT((m.state.faults = (struct str_list){ (struct str[]){ S("cannot be read and written") }, 1 },
	       m.state.fault_paths = (struct str_list){ (struct str[]){ S("/var/lib/posthouse/accounts") }, 1 }),
	      false, "state.access", DOCTOR_FAILURE, "chown -R posthouse: /var/lib/posthouse/accounts");
	PLANT((m.state = (struct state_facts){ .why = S("No such file or directory") }), false, "state.filesystem",
	      DOCTOR_UNKNOWN, "No such file");
	PLANT(m.secrets.readable = ((struct str_list){ (struct str[]){ S("/etc/posthouse/dkim.key") }, 1 }), false,
	      "files.secrets", DOCTOR_WARNING, "chmod 600 /etc/posthouse/dkim.key");
}

static void test_relay(void **state)
{
	struct waiting_fact waiting[] = { { S("corp.test"), 3, NOW - 5 * HOUR_MS, S("451 4.7.1 greylisted") } };

	PLANT(m.relay.state = RELAY_ABSENT, false, "relay.running", DOCTOR_FAILURE, "no relay is running");
	PLANT(m.relay.state = RELAY_OTHER, false, "relay.running", DOCTOR_WARNING, "systemctl restart posthouse");
	PLANT(m.relay.changed = true, false, "relay.running", DOCTOR_WARNING, "posthouse reload");
	PLANT((m.relay = (struct relay_facts){ .why = S("permission denied") }), false, "relay.running", DOCTOR_UNKNOWN,
	      "permission");
	PLANT((m.waiting.at = waiting, m.waiting.n = 1), false, "queue.waits", DOCTOR_WARNING,
	      "corp.test 3 messages wait, the oldest for 5 hours: 451 4.7.1 greylisted");
	PLANT((m.clients.from_gateway = 91), true, "container.clients", DOCTOR_WARNING,
	      "91 of 100 client connections since the relay's start on");
	PLANT((m.clients.from_gateway = 91), false, "container.clients", DOCTOR_OK, NULL);
	PLANT((m.clients.all = m.clients.from_gateway = 19), true, "container.clients", DOCTOR_OK, NULL);
}

static void test_sandbox(void **state)
{
	struct role_walls none[] = { { S("login"), S("landlock") },
				     { S("queue"), S("landlock") },
				     { S("web"), S("seccomp, landlock") } };

	PLANT(m.walls.at = none, false, "sandbox.walls", DOCTOR_ADVICE, "without landlock run: login, queue");
	PLANT(m.walls.at = none, false, "sandbox.walls", DOCTOR_ADVICE, "without seccomp, landlock run: web");
	PLANT(m.walls.at = none, false, "sandbox.walls", DOCTOR_ADVICE, "cat /sys/kernel/security/lsm");
	PLANT(m.walls.at = none, true, "sandbox.walls", DOCTOR_ADVICE, "seccomp profile");
	PLANT(m.walls.user = S("posthouse"), false, "sandbox.users", DOCTOR_ADVICE, "all roles run as posthouse");
	PLANT(m.walls.user = S("posthouse"), true, "sandbox.users", DOCTOR_OK, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_silent),          cmocka_unit_test(test_clock),
					    cmocka_unit_test(test_greeting),        cmocka_unit_test(test_state),
					    cmocka_unit_test(test_state_of_a_node), cmocka_unit_test(test_relay),
					    cmocka_unit_test(test_sandbox) };

	return cmocka_run_group_tests_name("doctor_machine", tests, fixture_open, fixture_close);
}
