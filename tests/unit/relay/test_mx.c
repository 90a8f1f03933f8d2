/* test_mx.c - direct delivery to the mail servers of a domain: which, in which order, over which way. */
#include "harness.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static void use_names(struct world *w)
{
	w->config.delivery.resolver = arena_printf(&w->arena, "127.0.0.1@%u", w->names.port);
}

static int setup_mx(void **state)
{
	struct world *w;

	setup(state);
	w = *state;
	names_open(&w->names, w->loop);
	use_names(w);
	return 0;
}

static void to_domain(struct world *w, uint64_t lease, const char *domain)
{
	const char *recipient = arena_cstr(&w->arena, arena_printf(&w->arena, "a@%s", domain));

	deliver_to(w, lease, arena_printf(&w->arena, "mx:%s", domain), recipient, S("Subject: x\r\n\r\nx\r\n"), -1, 0);
}

static void test_one(void **state)
{
	struct world *w = *state;
	struct result *r;

	open_mx(w, 0, "127.0.0.2");
	names_add_mx(&w->names, "example.test", 10, "mx1.example.test");
	names_add_address(&w->names, "mx1.example.test", "127.0.0.2");
	start(w);
	to_domain(w, 1, "example.test");
	r = result_of(w, 1);
	expect(r, 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(r->gate, 0);
	assert_true(str_starts(r->remote, S("mx1.example.test [127.0.0.2]:")));
	to_domain(w, 2, "example.test");
	expect(result_of(w, 2), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(w->mx[0].sessions, 1);
}

/* Nobody at the best host, the second is busy, the third takes it; then all are tried anew in the same order. */
static void test_next_host(void **state)
{
	struct world *w = *state;

	open_mx(w, 0, "127.0.0.3");
	open_mx(w, 1, "127.0.0.4");
	w->mx[0].greeting = "421 4.3.2 busy";
	names_add_mx(&w->names, "example.test", 30, "mx3.example.test");
	names_add_mx(&w->names, "example.test", 10, "mx1.example.test");
	names_add_mx(&w->names, "example.test", 20, "mx2.example.test");
	names_add_address(&w->names, "mx1.example.test", "127.0.0.2");
	names_add_address(&w->names, "mx2.example.test", "127.0.0.3");
	names_add_address(&w->names, "mx3.example.test", "127.0.0.4");
	start(w);
	to_domain(w, 1, "example.test");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(w->mx[0].sessions, 1);
	assert_int_equal(w->mx[1].messages, 1);
	assert_in_range(result_of(w, 1)->transcript.n, 1, 2048); /* also of a delivery */
}

/* What was tried before stands in the transcript of a refusal. */
static void test_transcript(void **state)
{
	struct world *w = *state;
	struct result *r;

	open_mx(w, 0, "127.0.0.3");
	names_add_mx(&w->names, "example.test", 10, "mx1.example.test");
	names_add_mx(&w->names, "example.test", 20, "mx2.example.test");
	names_add_address(&w->names, "mx1.example.test", "127.0.0.2");
	names_add_address(&w->names, "mx2.example.test", "127.0.0.3");
	start(w);
	deliver_to(w, 1, S("mx:example.test"), "perm@example.test", S("Subject: x\r\n\r\nx\r\n"), -1, 0);
	r = result_of(w, 1);
	expect(r, 0, PERM, 550, "5.1.1", "no such user");
	assert_int_equal(r->gate, 0);
	assert_true(str_starts(r->transcript, S("* mx1.example.test [127.0.0.2]:")));
	assert_true(holds(r->transcript, "S: 550 5.1.1 no such user\n"));
}

static void test_all_down(void **state)
{
	struct world *w = *state;
	struct result *r;

	open_mx(w, 0, "127.0.0.3");
	w->mx[0].greeting = "421 4.3.2 busy";
	names_add_mx(&w->names, "example.test", 10, "mx1.example.test");
	names_add_mx(&w->names, "example.test", 20, "mx2.example.test");
	names_add_address(&w->names, "mx1.example.test", "127.0.0.2");
	names_add_address(&w->names, "mx2.example.test", "127.0.0.3");
	start(w);
	to_domain(w, 1, "example.test");
	r = result_of(w, 1);
	expect_reason(r, "busy");
	assert_int_equal(r->gate, 1);
	assert_true(str_starts(r->remote, S("mx2.example.test ")));
	assert_true(holds(r->transcript, "* mx1.example.test [127.0.0.2]:"));
	assert_true(holds(r->transcript, "S: 421 4.3.2 busy\n"));
	w->mx[0].greeting = "554 5.7.1 Your address is listed at zen.spamhaus.org";
	to_domain(w, 2, "example.test");
	assert_int_equal(result_of(w, 2)->gate, 3);
}

static void test_no_such_domain(void **state)
{
	struct world *w = *state;

	w->config.delivery.port = 1;
	names_add_mx(&w->names, "null.test", 0, ".");
	names_add_mx(&w->names, "loop.test", 10, "relay.example.org");
	names_add_address(&w->names, "relay.example.org", "127.0.0.2");
	start(w);
	to_domain(w, 1, "null.test");
	to_domain(w, 2, "nowhere.test");
	to_domain(w, 3, "loop.test");
	expect(result_of(w, 1), 0, PERM, 556, "5.1.10", "");
	expect(result_of(w, 2), 0, PERM, 550, "5.1.2", "");
	expect(result_of(w, 3), 0, PERM, 554, "5.4.6", "");
	assert_true(holds(result_of(w, 1)->transcript, "* mail servers of null.test: 556 5.1.10"));
	for (uint64_t i = 1; i <= 3; i++)
		assert_int_equal(result_of(w, i)->gate, 0);
	w->names.broken = true;
	to_domain(w, 4, "else.test");
	expect_reason(result_of(w, 4), "");
	assert_int_equal(result_of(w, 4)->gate, 1);
	expect(result_of(w, 4), 0, TEMP, 451, "4.4.3", "");
}

static void test_literal(void **state)
{
	struct world *w = *state;

	open_mx(w, 0, "127.0.0.5");
	start(w);
	to_domain(w, 1, "[127.0.0.5]");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
}

/* A listener that takes no more connections: to connect to it takes for ever. */
static int open_deaf(const char *address, unsigned port, int fillers[4])
{
	struct sockaddr_in a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	uv_ip4_addr(address, (int)port, &a);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 0), 0);
	for (int i = 0; i < 4; i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(fillers[i], (struct sockaddr *)&a, sizeof a);
	}
	return fd;
}

/* A host that does not answer costs its time once; then the others come first for a while. */
static void test_deaf_host(void **state)
{
	struct world *w = *state;
	int fillers[4], deaf;
	uint64_t before;

	open_mx(w, 0, "127.0.0.7");
	deaf = open_deaf("127.0.0.6", w->mx[0].port, fillers);
	w->config.delivery.timeouts.connect_ms = 12000;
	w->config.delivery.reuse = 1;
	names_add_mx(&w->names, "example.test", 10, "mx1.example.test");
	names_add_mx(&w->names, "example.test", 20, "mx2.example.test");
	names_add_address(&w->names, "mx1.example.test", "127.0.0.6");
	names_add_address(&w->names, "mx2.example.test", "127.0.0.7");
	start(w);
	before = uv_hrtime();
	to_domain(w, 1, "example.test");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	assert_in_range(uv_hrtime() - before, 2900 * 1000000ull, 11900 * 1000000ull); /* a quarter, not the whole */
	before = uv_hrtime();
	to_domain(w, 2, "example.test");
	expect(result_of(w, 2), 0, OK, 250, "2.0.0", "taken");
	assert_true(uv_hrtime() - before < 2900 * 1000000ull); /* the deaf one has not been tried */
	assert_int_equal(w->mx[0].sessions, 2);
	for (int i = 0; i < 4; i++)
		close(fillers[i]);
	close(deaf);
}

/* When nobody else is left it gets the whole time. */
static void test_second_turn(void **state)
{
	struct world *w = *state;
	struct str transcript;
	int fillers[4], deaf;
	uint64_t before;

	open_mx(w, 0, "127.0.0.7");
	w->mx[0].greeting = "421 4.3.2 busy";
	deaf = open_deaf("127.0.0.6", w->mx[0].port, fillers);
	w->config.delivery.timeouts.connect_ms = 1000;
	names_add_mx(&w->names, "example.test", 10, "mx1.example.test");
	names_add_mx(&w->names, "example.test", 20, "mx2.example.test");
	names_add_address(&w->names, "mx1.example.test", "127.0.0.6");
	names_add_address(&w->names, "mx2.example.test", "127.0.0.7");
	start(w);
	before = uv_hrtime();
	to_domain(w, 1, "example.test");
	expect_reason(result_of(w, 1), "busy");
	assert_true(uv_hrtime() - before >= 1200 * 1000000ull);
	transcript = result_of(w, 1)->transcript;
	assert_true(str_starts(transcript, S("* mx1.example.test [127.0.0.6]:")));
	assert_true(holds(str_from(transcript, 1), "* mx1.example.test [127.0.0.6]:"));
	for (int i = 0; i < 4; i++)
		close(fillers[i]);
	close(deaf);
}

/* TLS without a certificate that anybody would believe; and where it fails, in the clear, which is remembered. */
static void test_tls(void **state)
{
	struct world *w = *state;
	struct tls_certificate certificate = { w->chain_pem, w->key_pem };
	struct tls_server_options options = { .certificates = &certificate, .n = 1, .minimum = TLS_1_2 };
	struct verdict why;

	open_mx(w, 0, "127.0.0.8");
	w->mx[0].tls = tls_server_context(&options, &w->arena, &why);
	w->mx[0].features = "STARTTLS\nPIPELINING";
	w->config.delivery.reuse = 1;
	names_add_address(&w->names, "example.test", "127.0.0.8");
	start(w);
	to_domain(w, 1, "example.test");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	assert_true(str_starts(result_of(w, 1)->tls, S("TLSv1.3/")));
	w->mx[0].break_tls = true;
	to_domain(w, 2, "example.test");
	expect(result_of(w, 2), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(result_of(w, 2)->tls.n, 0);
	assert_int_equal(w->mx[0].sessions, 4); /* first the resumed session fails, then a whole handshake */
	to_domain(w, 3, "example.test");
	expect(result_of(w, 3), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(w->mx[0].sessions, 5);
	stop(w, 2000);
	tls_context_unref(w->mx[0].tls);
}

static void test_source(void **state)
{
	struct world *w = *state;
	struct str sources[] = { S("127.0.0.99"), S("::1") };

	open_mx(w, 0, "127.0.0.2");
	w->config.delivery.source = (struct str_list){ sources, 2 };
	names_add_address(&w->names, "example.test", "127.0.0.2");
	start(w);
	to_domain(w, 1, "example.test");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	assert_string_equal(w->mx[0].client, "127.0.0.99");
	sources[0] = S("192.0.2.1"); /* not ours */
	assert_true(configure(w));
	to_domain(w, 2, "example.test");
	assert_int_equal(result_of(w, 2)->gate, 1);
}

/* One connection to each of many domains at once, each with its own limit. */
static void test_many_domains(void **state)
{
	struct world *w = *state;

	open_mx(w, 0, "127.0.0.2");
	w->config.delivery.connections_per_destination = 1;
	for (unsigned i = 0; i < 20; i++)
		names_add_address(&w->names, arena_cstr(&w->arena, arena_printf(&w->arena, "d%u.test", i)), "127.0.0.2");
	start(w);
	for (unsigned i = 0; i < 60; i++)
		to_domain(w, i + 1, w->names.records[i % 20].owner);
	for (unsigned i = 0; i < 60; i++)
		expect(result_of(w, i + 1), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(w->mx[0].sessions, 20);
}

/* A new resolver answers what the old one was asked. */
static void test_other_resolver(void **state)
{
	struct world *w = *state;
	struct names deaf = { .silent = true };

	names_open(&deaf, w->loop);
	open_mx(w, 0, "127.0.0.2");
	names_add_address(&w->names, "example.test", "127.0.0.2");
	w->config.delivery.resolver = arena_printf(&w->arena, "127.0.0.1@%u", deaf.port);
	w->config.sandbox = SANDBOX_OFF; /* a reload brings another port: master would start the role again */
	start(w);
	to_domain(w, 1, "example.test");
	assert_true(run_until_count(w, &deaf.asked, 1));
	use_names(w);
	assert_true(configure(w));
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	w->config.delivery.resolver = S("nonsense");
	assert_false(configure(w));
	assert_true(holds(w->configure_verdict.text, "delivery.resolver: "));
	to_domain(w, 2, "example.test");
	expect(result_of(w, 2), 0, OK, 250, "2.0.0", "taken");
	names_close(&deaf);
	run_for(w->loop, 20);
}

/* The role that asks name servers dies with questions in its hands: the next one is asked, by deliveries to domains and to the
 * upstream. */
static void test_resolver_dies(void **state)
{
	struct world *w = *state;

	open_mx(w, 0, "127.0.0.2");
	names_add_address(&w->names, "example.test", "127.0.0.2");
	w->names.silent = true;
	start(w);
	to_domain(w, 1, "example.test");
	assert_true(run_until_count(w, &w->names.asked, 1));
	end_resolver(w);
	deliver(w, 2, "b@example.org");
	run_for(w->loop, 100);
	assert_int_equal(w->results_n, 0);
	w->names.silent = false;
	restart_resolver(w);
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(result_of(w, 2)->verdicts[0].class, OK);
}

/* Without that role mail waits, and the reason is told. */
static void test_without_resolver(void **state)
{
	struct world *w = *state;

	start(w);
	end_resolver(w);
	deliver(w, 1, "b@example.org");
	expect_reason(result_of(w, 1), "the name service does not answer in time");
}

/* A server that takes nothing by IPv6 is tried by IPv4 at once, and what follows goes there directly. */
static void test_other_family(void **state)
{
	struct world *w = *state;

	open_mx(w, 0, "127.0.0.2");
	open_mx(w, 1, "::1");
	w->mx[1].rcpt = "550 5.7.510 Access denied, example.test does not accept email over IPv6";
	names_add_mx(&w->names, "example.test", 10, "mx6.example.test");
	names_add_mx(&w->names, "example.test", 20, "mx4.example.test");
	names_add_address(&w->names, "mx6.example.test", "::1");
	names_add_address(&w->names, "mx4.example.test", "127.0.0.2");
	start(w);
	to_domain(w, 1, "example.test");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	to_domain(w, 2, "example.test");
	expect(result_of(w, 2), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(w->mx[1].sessions, 1);
	assert_int_equal(w->mx[0].messages, 2);
	w->mx[0].rcpt = "550 5.7.1 this host has no IPv6 guidelines and is not accepted"; /* neither will have it: it waits */
	to_domain(w, 3, "example.test");
	expect(result_of(w, 3), 0, TEMP, 550, "4.7.510", "IPv6");
	assert_int_equal(result_of(w, 3)->gate, 2);
}

/* The other family does not answer: the one that refuses is asked once more for each message, not without end. */
static void test_other_family_away(void **state)
{
	struct world *w = *state;

	open_mx(w, 0, "::1");
	w->mx[0].rcpt = "550 5.7.510 Access denied, example.test does not accept email over IPv6";
	names_add_mx(&w->names, "example.test", 10, "mx6.example.test");
	names_add_mx(&w->names, "example.test", 20, "mx4.example.test");
	names_add_address(&w->names, "mx6.example.test", "::1");
	names_add_address(&w->names, "mx4.example.test", "127.0.0.3"); /* nobody listens there */
	start(w);
	for (unsigned i = 1; i <= 3; i++) {
		to_domain(w, i, "example.test");
		expect(result_of(w, i), 0, TEMP, 550, "4.7.510", "IPv6");
	}
	assert_in_range(w->mx[0].sessions, 2, 6);
	w->mx[0].rcpt = NULL;
	to_domain(w, 4, "example.test");
	expect(result_of(w, 4), 0, OK, 250, "2.0.0", "taken");
}

/* Addresses that no mail goes to: what a domain's DNS says of them, and what a user does. */
static void test_refused_addresses(void **state)
{
	static const struct {
		const char *domain, *address; /* of its mail host; NULL: the domain is a literal */
		const char *says;             /* NULL: it may be tried */
	} rows[] = {
		{ "l.test", "127.0.0.1", "a loopback address" },
		{ "l2.test", "127.44.3.2", "a loopback address" },
		{ "l6.test", "::1", "a loopback address" },
		{ "ll.test", "169.254.169.254", "a link-local address" },
		{ "ll6.test", "fe80::17", "a link-local address" },
		{ "r.test", "240.0.0.1", "has no address" },
		{ "carried.test", "2002:7f00:1::5", "a loopback address" },
		{ "nat.test", "64:ff9b::a9fe:a9fe", "a link-local address" },
		{ "denied.test", "127.0.9.9", "delivery.deny_networks" },
		{ "[127.0.0.1]", NULL, "a loopback address" },
		{ "[10.0.0.1]", NULL, "a private address" },
		{ "[172.31.255.1]", NULL, "a private address" },
		{ "[192.168.7.8]", NULL, "a private address" },
		{ "[100.64.0.9]", NULL, "a private address" },
		{ "[IPv6:fd00::1]", NULL, "a private address" },
		{ "[IPv6:::1]", NULL, "a loopback address" },
		{ "[IPv6:2002:a00:1::]", NULL, "a private address" },
		{ "[IPv6:::ffff:127.0.0.1]", NULL, "no address of a mail host" },
		{ "[255.255.255.255]", NULL, "no address of a mail host" },
		{ "[224.0.0.1]", NULL, "no address of a mail host" },
		{ "ok.test", "127.0.8.2", NULL },
		{ "[127.0.8.2]", NULL, NULL },
	};
	static struct str allowed[] = { { "127.0.8.0/24", 12 }, { "127.0.9.0/24", 12 } }, denied[] = { { "127.0.9.9/32", 12 } };
	struct world *w = *state;

	w->config.delivery.allow_networks = (struct str_list){ allowed, 2 };
	w->config.delivery.deny_networks = (struct str_list){ denied, 1 };
	open_mx(w, 0, "127.0.8.2");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].address) {
			const char *host = arena_cstr(&w->arena, arena_printf(&w->arena, "mx.%s", rows[i].domain));

			names_add_mx(&w->names, rows[i].domain, 10, host);
			names_add_address(&w->names, host, rows[i].address);
		}
	start(w);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct result *r;

		to_domain(w, i + 1, rows[i].domain);
		r = result_of(w, i + 1);
		if (rows[i].says && (r->n != 1 || r->verdicts[0].class != PERM || !holds(r->verdicts[0].text, rows[i].says)))
			fail_msg("%s: class %d %.*s", rows[i].domain, (int)r->verdicts[0].class, STR_ARG(r->verdicts[0].text));
		if (!rows[i].says)
			expect(r, 0, OK, 250, "2.0.0", "taken");
	}
}

/* A server that greets by our own name is ourselves, unless it is another program of this machine: then it has another port. */
static void test_ourselves(void **state)
{
	static struct str source = { "127.0.0.1", 9 };
	static struct cfg_listen listen = { .address = { "*", 1 }, .tls = LISTEN_STARTTLS };
	struct world *w = *state;

	open_mx(w, 0, "127.0.0.2");
	w->mx[0].greeting = "220 Relay.Example.ORG ESMTP";
	names_add_mx(&w->names, "example.test", 10, "mx1.example.test");
	names_add_address(&w->names, "mx1.example.test", "127.0.0.2");
	w->upstream.host = S("127.0.0.2");
	w->upstream.port = w->mx[0].port;
	start(w);
	to_domain(w, 1, "example.test");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	listen.port = w->mx[0].port;
	w->config.listen = &listen;
	w->config.listen_n = 1;
	w->config.delivery.source = (struct str_list){ &source, 1 }; /* so that nothing of the old connections is used */
	assert_true(configure(w));
	to_domain(w, 2, "example.test");
	expect(result_of(w, 2), 0, PERM, 554, "5.4.6", "would come back to this host");
	deliver_to(w, 3, S("upstream:hop"), "a@example.test", S("Subject: x\r\n\r\nx\r\n"), -1, 0);
	expect_reason(result_of(w, 3), "would come back to this host");
	assert_int_equal(result_of(w, 3)->gate, 2); /* our set-up */
}

int main(int argc, char **argv)
{
#define MX_TEST(f) cmocka_unit_test_setup_teardown(f, setup_mx, teardown)
	const struct CMUnitTest tests[] = {
		MX_TEST(test_one),
		MX_TEST(test_other_family),
		MX_TEST(test_other_family_away),
		MX_TEST(test_next_host),
		MX_TEST(test_transcript),
		MX_TEST(test_all_down),
		MX_TEST(test_no_such_domain),
		MX_TEST(test_literal),
		MX_TEST(test_deaf_host),
		MX_TEST(test_second_turn),
		MX_TEST(test_tls),
		MX_TEST(test_source),
		MX_TEST(test_many_domains),
		MX_TEST(test_other_resolver),
		MX_TEST(test_resolver_dies),
		MX_TEST(test_without_resolver),
		MX_TEST(test_refused_addresses),
		MX_TEST(test_ourselves),
	};

	if (argc < 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
