/* test_tls.c - TLS to the mail servers of a domain: what the configuration demands of it, and what becomes of the mail when a
 * server cannot do it. */
#include "harness.h"

static struct tls_context *server_tls(struct world *w)
{
	struct tls_certificate certificate = { w->chain_pem, w->key_pem };
	struct tls_server_options options = { .certificates = &certificate, .n = 1, .minimum = TLS_1_2 };
	struct verdict why;

	return tls_server_context(&options, &w->arena, &why);
}

/* One server of example.test, with the certificate of sink.example.org; its name is `host`. */
static void open_example(struct world *w, const char *host)
{
	open_mx(w, 0, "127.0.0.2");
	w->mx[0].tls = server_tls(w);
	w->mx[0].features = "STARTTLS\nPIPELINING";
	w->config.delivery.reuse = 1;
	names_add_mx(&w->names, "example.test", 10, host);
	names_add_address(&w->names, host, "127.0.0.2");
}

static int setup_mx(void **state)
{
	struct world *w;

	setup(state);
	w = *state;
	names_open(&w->names, w->loop);
	w->config.delivery.resolver = arena_printf(&w->arena, "127.0.0.1@%u", w->names.port);
	return 0;
}

static int teardown_mx(void **state)
{
	struct world *w = *state;
	struct tls_context *tls = w->mx[0].tls;
	int failed;

	failed = teardown(state);
	tls_context_unref(tls);
	return failed;
}

static struct result *send_one(struct world *w, uint64_t lease)
{
	deliver_to(w, lease, S("mx:example.test"), "a@example.test", S("Subject: x\r\n\r\nx\r\n"), -1, 0);
	return result_of(w, lease);
}

static void expect_waiting(struct world *w, uint64_t lease, const char *reason, const char *tls_result)
{
	struct result *r = send_one(w, lease);

	assert_int_equal(r->verdicts[0].class, TEMP);
	if (!holds(r->verdicts[0].text, reason) || !holds(r->transcript, tls_result))
		fail_msg("%.*s\n%.*s", STR_ARG(r->verdicts[0].text), STR_ARG(r->transcript));
	assert_int_not_equal(r->gate, 0);
	assert_int_equal(w->mx[0].messages, 0);
}

static void expect_policy(struct world *w, uint64_t lease, const char *policy, const char *result)
{
	struct result *r = result_of(w, lease);

	if (!str_eq(r->tls_policy, str_of(policy)) || !str_eq(r->tls_result, str_of(result)))
		fail_msg("%.*s, %.*s", STR_ARG(r->tls_policy), STR_ARG(r->tls_result));
}

/* Clear text after a handshake that failed: the reason is in the result, also of later mail, which does not try TLS again. */
static void test_fall_back(void **state)
{
	struct world *w = *state;
	unsigned sessions;

	open_example(w, "mx1.example.test");
	start(w);
	expect(send_one(w, 1), 0, OK, 250, "2.0.0", "taken");
	expect_policy(w, 1, "opportunistic", "");
	w->mx[0].break_tls = true;
	expect(send_one(w, 2), 0, OK, 250, "2.0.0", "taken");
	expect_policy(w, 2, "opportunistic", "validation-failure");
	sessions = w->mx[0].sessions;
	expect(send_one(w, 3), 0, OK, 250, "2.0.0", "taken");
	expect_policy(w, 3, "opportunistic", "validation-failure");
	assert_int_equal(result_of(w, 3)->tls.n, 0);
	assert_int_equal(w->mx[0].sessions, sessions + 1);
}

/* A server without STARTTLS. */
static void test_not_offered(void **state)
{
	struct world *w = *state;

	open_example(w, "mx1.example.test");
	w->mx[0].features = "PIPELINING";
	start(w);
	expect(send_one(w, 1), 0, OK, 250, "2.0.0", "taken");
	expect_policy(w, 1, "opportunistic", "starttls-not-supported");
}

/* Any certificate is good, but without TLS nothing goes; a handshake that failed does not lead to clear text later either. */
static void test_encrypted(void **state)
{
	struct world *w = *state;

	open_example(w, "mx1.example.test");
	start(w);
	w->mx[0].break_tls = true;
	expect(send_one(w, 1), 0, OK, 250, "2.0.0", "taken"); /* in clear text, which is remembered for the address */
	w->mx[0].messages = 0;
	w->config.delivery.tls = TLS_REQUIRE_ENCRYPTED;
	assert_true(configure(w));
	expect_waiting(w, 2, "TLS", "validation-failure");
	expect_policy(w, 2, "encrypted by configuration", "validation-failure");
	w->mx[0].break_tls = false;
	w->mx[0].features = "PIPELINING";
	expect_waiting(w, 3, "does not offer STARTTLS", "starttls-not-supported");
	w->mx[0].features = "STARTTLS\nPIPELINING";
	expect(send_one(w, 4), 0, OK, 250, "2.0.0", "taken");
	assert_true(str_starts(result_of(w, 4)->tls, S("TLSv1.3/")));
}

/* A certificate that nobody trusts, a trusted one of another name, the right one, and one of a name that the entry says. */
static void test_verified(void **state)
{
	struct world *w = *state;
	struct str domains[] = { S("@other.test"), S("@example.test") }, names[] = { S("sink.example.org") };
	struct cfg_tls entry = { .destinations = { domains, 2 }, .demand.require = TLS_REQUIRE_VERIFIED };

	open_example(w, "mx1.example.test");
	w->config.tls = &entry;
	w->config.tls_n = 1;
	start(w);
	expect_waiting(w, 1, "certificate", "certificate-not-trusted");
	entry.demand.ca = S("ca.pem");
	entry.demand.ca_pem = w->chain_pem;
	assert_true(configure(w));
	expect_waiting(w, 2, "certificate", "certificate-host-mismatch");
	entry.demand.names = (struct str_list){ names, 1 };
	assert_true(configure(w));
	expect(send_one(w, 3), 0, OK, 250, "2.0.0", "taken");
	assert_true(holds(result_of(w, 3)->tls, "verified"));
	expect_policy(w, 3, "verified by configuration", "");
	/* the entry is not for this domain any more */
	entry.destinations.n = 1;
	assert_true(configure(w));
	expect(send_one(w, 4), 0, OK, 250, "2.0.0", "taken");
	assert_false(holds(result_of(w, 4)->tls, "verified"));
}

/* The first entry that fits counts: an exception before a rule for all. */
static void test_exception(void **state)
{
	struct world *w = *state;
	struct str one[] = { S("@example.test") }, all[] = { S("*") };
	struct cfg_tls entries[] = { { .destinations = { one, 1 }, .demand.require = TLS_REQUIRE_NONE },
				     { .destinations = { all, 1 }, .demand.require = TLS_REQUIRE_VERIFIED } };

	open_example(w, "mx1.example.test");
	w->config.tls = entries;
	w->config.tls_n = 2;
	start(w);
	expect(send_one(w, 1), 0, OK, 250, "2.0.0", "taken");
	entries[0].destinations.at[0] = S("@.example.test"); /* only those below it */
	assert_true(configure(w));
	w->mx[0].messages = 0;
	expect_waiting(w, 2, "certificate", "certificate-not-trusted");
}

/* Without DNSSEC there is no DANE, so a domain that must have it gets no connection at all. */
static void test_dane_demanded(void **state)
{
	struct world *w = *state;
	struct str all[] = { S("*") };
	struct cfg_tls entry = { .destinations = { all, 1 }, .demand.require = TLS_REQUIRE_DANE };

	open_example(w, "mx1.example.test");
	w->config.tls = &entry;
	w->config.tls_n = 1;
	start(w);
	expect_waiting(w, 1, "the configuration demands DANE, and the MX records of example.test are not signed",
		       "dane-required");
	assert_int_equal(w->mx[0].sessions, 0);
}

/* ---- what a message wishes: RFC 8689 ---- */

static struct result *send_with(struct world *w, uint64_t lease, uint64_t options, const char *route)
{
	w->like.envelope.options = options;
	deliver_to(w, lease, str_of(route), "a@example.test", S("Subject: x\r\n\r\nx\r\n"), -1, 0);
	return result_of(w, lease);
}

/* Nobody has said securely that the server is the domain's: it is not even asked. When the configuration says it, the server has to
 * offer REQUIRETLS too. Other mail goes all the time. */
static void test_requiretls(void **state)
{
	struct world *w = *state;
	struct str domains[] = { S("@example.test") }, names[] = { S("sink.example.org") };
	struct cfg_tls entry = {
		.destinations = { domains, 1 },
		.demand = { .require = TLS_REQUIRE_VERIFIED, .ca = S("ca.pem"), .ca_pem = w->chain_pem, .names = { names, 1 } }
	};
	struct result *r;

	open_example(w, "mx1.example.test");
	start(w);
	r = send_with(w, 1, OPTION_REQUIRETLS, "mx:example.test/requiretls");
	expect(r, 0, PERM, 550, "5.7.10", "neither DNSSEC nor MTA-STS");
	assert_true(r->unfit && r->gate == 0);
	assert_int_equal(w->mx[0].sessions, 0);
	w->config.tls = &entry;
	w->config.tls_n = 1;
	assert_true(configure(w));
	r = send_with(w, 2, OPTION_REQUIRETLS, "mx:example.test/requiretls");
	expect(r, 0, PERM, 550, "5.7.30", "does not offer it");
	assert_true(r->unfit && r->gate == 0);
	assert_int_equal(w->mx[0].messages, 0);
	expect(send_with(w, 3, 0, "mx:example.test"), 0, OK, 250, "2.0.0", "taken");
	w->mx[0].features = "STARTTLS\nREQUIRETLS";
	buf_clear(&w->mx[0].commands);
	expect(send_with(w, 4, OPTION_REQUIRETLS, "mx:example.test/requiretls"), 0, OK, 250, "2.0.0", "taken");
	assert_true(holds(buf_view(&w->mx[0].commands), "MAIL FROM:<s@example.org> REQUIRETLS"));
	/* a report about such mail has REQUIRETLS where it is offered */
	buf_clear(&w->mx[0].commands);
	expect(send_with(w, 5, OPTION_REQUIRETLS_OFFERED, "mx:example.test"), 0, OK, 250, "2.0.0", "taken");
	assert_true(holds(buf_view(&w->mx[0].commands), " REQUIRETLS"));
}

/* A server that cannot be reached can be tried later. */
static void test_requiretls_unreachable(void **state)
{
	struct world *w = *state;
	struct str all[] = { S("*") }, names[] = { S("sink.example.org") };
	struct cfg_tls entry = { .destinations = { all, 1 },
				 .demand = { .require = TLS_REQUIRE_VERIFIED, .names = { names, 1 } } };
	struct result *r;

	names_add_mx(&w->names, "example.test", 10, "mx1.example.test");
	names_add_address(&w->names, "mx1.example.test", "127.0.0.2");
	w->config.tls = &entry;
	w->config.tls_n = 1;
	start(w);
	r = send_with(w, 1, OPTION_REQUIRETLS, "mx:example.test/requiretls");
	assert_int_equal(r->verdicts[0].class, TEMP);
	assert_true(!r->unfit && r->gate != 0);
}

/* "TLS-Required: No" puts aside what the domain says, and delivery.tls, but not what the configuration demands of this domain. */
static void test_optional(void **state)
{
	struct world *w = *state;
	struct str all[] = { S("*") };
	struct cfg_tls entry = { .destinations = { all, 1 }, .demand.require = TLS_REQUIRE_VERIFIED };

	open_example(w, "mx1.example.test");
	start(w);
	expect(send_with(w, 1, OPTION_TLS_OPTIONAL, "mx:example.test/tls-optional"), 0, OK, 250, "2.0.0", "taken");
	assert_true(result_of(w, 1)->tls.n > 0);
	w->config.delivery.tls = TLS_REQUIRE_VERIFIED;
	assert_true(configure(w));
	expect(send_with(w, 3, OPTION_TLS_OPTIONAL, "mx:example.test/tls-optional"), 0, OK, 250, "2.0.0", "taken");
	w->config.tls = &entry;
	w->config.tls_n = 1;
	assert_true(configure(w));
	w->mx[0].messages = 0;
	assert_int_equal(send_with(w, 2, OPTION_TLS_OPTIONAL, "mx:example.test/tls-optional")->verdicts[0].class, TEMP);
	assert_int_equal(w->mx[0].messages, 0);
}

/* What the route of the mail demands counts instead of delivery.tls and of what an entry of `tls` requires. It is a setting of the
 * administrator, so "TLS-Required: No" does not put it aside; nor does an exception put REQUIRETLS aside. */
static void test_route_demands(void **state)
{
	struct world *w = *state;
	struct str all[] = { S("*") };
	struct cfg_tls entry = { .destinations = { all, 1 }, .demand.require = TLS_REQUIRE_NONE };
	struct result *r;

	open_example(w, "mx1.example.test");
	w->config.tls = &entry;
	w->config.tls_n = 1;
	start(w);
	expect(send_with(w, 1, 0, "mx:example.test"), 0, OK, 250, "2.0.0", "taken");
	r = send_with(w, 2, 0, "mx:example.test/verified");
	assert_int_equal(r->verdicts[0].class, TEMP);
	assert_true(holds(r->transcript, "verified by configuration") || holds(r->verdicts[0].text, "certificate"));
	assert_int_equal(send_with(w, 3, OPTION_TLS_OPTIONAL, "mx:example.test/verified/tls-optional")->verdicts[0].class, TEMP);
	assert_int_equal(w->mx[0].messages, 1);
	expect(send_with(w, 4, 0, "mx:example.test/encrypted"), 0, OK, 250, "2.0.0", "taken");
	entry.demand.require = TLS_REQUIRE_VERIFIED;
	assert_true(configure(w));
	assert_int_equal(send_with(w, 5, 0, "mx:example.test")->verdicts[0].class, TEMP);
	expect(send_with(w, 6, 0, "mx:example.test/none"), 0, OK, 250, "2.0.0", "taken");
	r = send_with(w, 7, OPTION_REQUIRETLS, "mx:example.test/none/requiretls");
	expect(r, 0, PERM, 550, "5.7.10", "neither DNSSEC nor MTA-STS");
}

/* ---- posthouse explain ---- */

static struct {
	unsigned n;
	struct verdict verdict;
	struct rec_tls_host hosts[4];
	size_t hosts_n;
} looked;

static void on_looked(void *ctx, struct verdict v, const struct msg_tls_looked *m, int fd)
{
	struct world *w = ctx;

	looked.n++;
	looked.verdict = verdict_keep(&w->arena, m ? m->verdict : v);
	looked.hosts_n = m ? m->hosts.n : 0;
	for (size_t i = 0; i < looked.hosts_n && i < 4; i++) {
		const struct rec_tls_host *h = &m->hosts.at[i];

		looked.hosts[i] = (struct rec_tls_host){ .host = arena_str(&w->arena, h->host),
							 .policy = arena_str(&w->arena, h->policy),
							 .names = arena_str(&w->arena, h->names),
							 .verdict = verdict_keep(&w->arena, h->verdict) };
	}
}

static void look(struct world *w, struct channel *console, const char *domain)
{
	unsigned n = looked.n;

	ipc_call_tls_look(console, &(struct msg_tls_look){ .domain = str_of(domain) }, -1, on_looked, w);
	assert_true(run_until_count(w, &looked.n, n + 1));
}

/* Each host once, in its turn, without a connection to any; and domains that have none. */
static void test_look(void **state)
{
	static const struct ipc_handlers nothing = { 0 };
	struct world *w = *state;
	struct str domain[] = { S("@example.test") };
	struct cfg_tls entry = { .destinations = { domain, 1 }, .demand.require = TLS_REQUIRE_VERIFIED };
	struct channel *console;

	open_example(w, "mx1.example.test");
	names_add_address(&w->names, "mx1.example.test", "127.0.0.3");
	names_add_mx(&w->names, "example.test", 20, "mx2.example.test");
	names_add_address(&w->names, "mx2.example.test", "127.0.0.4");
	names_add_mx(&w->names, "null.test", 0, ".");
	w->config.tls = &entry;
	w->config.tls_n = 1;
	start(w);
	console = connect_peer(w, ROLE_CONSOLE, &nothing);
	look(w, console, "example.test");
	assert_int_equal(looked.verdict.class, OK);
	assert_int_equal(looked.hosts_n, 2);
	assert_true(str_eq(looked.hosts[0].host, S("mx1.example.test")) && str_eq(looked.hosts[1].host, S("mx2.example.test")));
	assert_true(str_eq(looked.hosts[1].policy, S("verified by configuration")));
	assert_true(str_eq(looked.hosts[1].names, S("mx2.example.test")));
	assert_int_equal(looked.hosts[0].verdict.class, OK);
	ipc_call_tls_look(console, &(struct msg_tls_look){ .domain = S("example.test"), .require = TLS_REQUIRE_DANE }, -1,
			  on_looked, w);
	assert_true(run_until_count(w, &looked.n, looked.n + 1));
	assert_true(holds(looked.hosts[0].verdict.text, "demands DANE"));
	look(w, console, "null.test");
	assert_int_equal(looked.hosts_n, 0);
	assert_int_equal(looked.verdict.code, 556);
	look(w, console, "nowhere.test");
	assert_int_equal(looked.verdict.class, PERM);
	look(w, console, "no name");
	assert_int_not_equal(looked.verdict.class, OK);
	entry.demand.require = TLS_REQUIRE_DANE;
	assert_true(configure(w));
	look(w, console, "example.test");
	assert_int_equal(looked.hosts[0].verdict.class, TEMP);
	assert_true(holds(looked.hosts[0].verdict.text, "demands DANE"));
	assert_int_equal(w->mx[0].sessions, 0);
	expect_waiting(w, 1, "demands DANE", "dane-required"); /* the question has left nothing behind */
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup_mx, teardown_mx)
	static const struct CMUnitTest tests[] = {
		TEST(fall_back), TEST(not_offered),   TEST(encrypted),  TEST(verified),
		TEST(exception), TEST(dane_demanded), TEST(requiretls), TEST(requiretls_unreachable),
		TEST(optional),  TEST(route_demands), TEST(look)
	};

	program = argv[1];
	return cmocka_run_group_tests_name("relay tls", tests, NULL, NULL);
}
