/* test_clients.c - who comes from where, which limits are whose, what takes the place of an address. */
#include "fixture.h"

#include "loader.h"

#include "posthouse/policy.h"

#include <stdio.h>

#define assert_str(s, literal) assert_true(str_eq((s), S(literal)))

static void networks(void **state)
{
	static const struct {
		const char *network, *address;
		bool in;
	} rows[] = {
		{ "192.0.2.0/24", "192.0.2.0", true },
		{ "192.0.2.0/24", "192.0.2.255", true },
		{ "192.0.2.0/24", "192.0.3.0", false },
		{ "192.0.2.77/24", "192.0.2.1", true },
		{ "192.0.2.0/25", "192.0.2.128", false },
		{ "192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1", "192.0.2.2", false },
		{ "192.0.2.1/32", "192.0.2.1", true },
		{ "0.0.0.0/0", "198.51.100.9", true },
		{ "0.0.0.0/0", "2001:db8::1", false },
		{ "0.0.0.0/0", "::ffff:198.51.100.9", true },
		{ "::/0", "2001:db8::1", true },
		{ "::/0", "198.51.100.9", false },
		{ "2001:db8::/32", "2001:db8:ffff::1", true },
		{ "2001:db8::/33", "2001:db8:ffff::1", false },
		{ "2001:db8::1", "2001:db8:0:0::1", true },
		{ "192.0.2.0/24", "::ffff:192.0.2.9", true },
		{ "::ffff:192.0.2.0/120", "192.0.2.9", true },
		{ "::ffff:192.0.2.0/120", "192.0.3.9", false },
		{ "::ffff:192.0.2.0/90", "192.0.2.9", false },
		{ "fe80::/10", "fe80::1%eth0", true },
		{ "192.0.2.0/24", "", false },
		{ "192.0.2.0/24", "relay.example.org", false },
		{ "", "192.0.2.1", false },
		{ "192.0.2.0/33", "192.0.2.1", false },
		{ "192.0.2.0/x", "192.0.2.1", false },
		{ "@192.0.2.0/24", "192.0.2.1", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (network_contains(str_of(rows[i].network), str_of(rows[i].address)) != rows[i].in)
			fail_msg("%s in %s", rows[i].address, rows[i].network);
}

static void keys_of_networks(void **state)
{
	static const struct {
		const char *address, *network;
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1" },
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64" },
		{ "2001:0DB8::1", "2001:db8::/64" },
		{ "::1", "::/64" },
		{ "fe80::1%eth0", "fe80::/64" },
		{ "nonsense", "nonsense" },
		{ "", "" },
	};
	struct arena a = { 0 };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str network = network_of(&a, str_of(rows[i].address));

		if (!str_eq(network, str_of(rows[i].network)))
			fail_msg("%s: %.*s", rows[i].address, STR_ARG(network));
	}
	arena_fini(&a);
}

/* What is left of a network without an address: every other one is in exactly one part. */
static void network_parts(void **state)
{
	static struct str at[NETWORK_PARTS];
	struct str_list parts = { .at = at };
	struct arena a = { 0 };

	network_without(&a, S("192.0.2.0/29"), S("192.0.2.1"), &parts);
	assert_int_equal(parts.n, 3);
	assert_true(str_eq(at[0], S("192.0.2.4/30")));
	assert_true(str_eq(at[1], S("192.0.2.2/31")));
	assert_true(str_eq(at[2], S("192.0.2.0/32")));
	parts.n = 0;
	network_without(&a, S("192.0.2.0/29"), S("192.0.2.8"), &parts);
	assert_int_equal(parts.n, 1);
	assert_true(str_eq(at[0], S("192.0.2.0/29")));
	parts.n = 0;
	network_without(&a, S("192.0.2.1"), S("192.0.2.1"), &parts);
	assert_int_equal(parts.n, 0);
	network_without(&a, S("2001:db8::/64"), S("2001:db8::1"), &parts);
	assert_int_equal(parts.n, 64);
	assert_true(networks_contain(&parts, S("2001:db8::ffff")) && !networks_contain(&parts, S("2001:db8::1")));
	arena_fini(&a);
}

static void overlaps(void **state)
{
	assert_true(networks_overlap(S("192.0.2.0/24"), S("192.0.2.9")));
	assert_true(networks_overlap(S("192.0.2.9"), S("192.0.2.0/24")));
	assert_true(networks_overlap(S("0.0.0.0/0"), S("192.0.2.9")));
	assert_false(networks_overlap(S("192.0.2.0/25"), S("192.0.2.128/25")));
	assert_false(networks_overlap(S("192.0.2.0/24"), S("::/0")));
	assert_false(networks_overlap(S("192.0.2.0/24"), S("nonsense")));
	assert_true(network_wider(S("10.0.0.0/15"), 16, 48));
	assert_false(network_wider(S("10.0.0.0/16"), 16, 48));
	assert_true(network_wider(S("2001:db8::/47"), 16, 48));
	assert_false(network_wider(S("2001:db8::/48"), 16, 48));
}

/* As the kernel writes it: one default route with and one without a gateway, one route to a network. */
static void gateways(void **state)
{
	static const char v4[] = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
				 "eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
				 "ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n"
				 "eth0\t000011AC\t050011AC\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
				 "half a line\n";
	static const char v6[] =
		"00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe80000000000000000000000000abcd 00000400 "
		"00000001 00000000 00000003     eth0\n"
		"00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff "
		"00000001 00000000 00200200       lo\n"
		"20010db8000000000000000000000000 40 00000000000000000000000000000000 00 20010db8000000000000000000000001 00000400 "
		"00000001 00000000 00000003     eth0\n";
	struct arena a = { 0 };
	struct str_list found = gateways_of(&a, S(v4), S(v6));

	assert_int_equal(found.n, 2);
	assert_str(found.at[0], "172.17.0.1");
	assert_str(found.at[1], "fe80::abcd");
	assert_int_equal(gateways_of(&a, S(""), S("")).n, 0);
	found = gateways_read(&a); /* whatever this machine has */
	for (size_t i = 0; i < found.n; i++)
		assert_true(network_contains(found.at[i], found.at[i]));
	arena_fini(&a);
}

static struct config *load(const char *rest)
{
	static char text[8192];

	snprintf(text, sizeof(text), "%s auth = { realm = \"example.org\"; };\n%s", BASICS, rest);
	return fixture_good(text);
}

static const char *const limits_text =
	"limits = { messages = [ \"200/1h\", \"1000/1d\" ]; bytes = [ \"5M/1d\" ]; connections = 20; priority = 3;\n"
	"  users = ( { user = \"web\"; messages = [ \"5000/1h\" ]; over = \"hold\"; breaker = \"off\"; },\n"
	"            { user = \"Alice/Phone\"; messages = [ \"5/1h\" ]; },\n"
	"            { user = \"bob@example.net\"; connections = 1; priority = 9; recipients = [ \"9/1h\" ]; } ); };\n"
	"devices = ( { networks = [ \"240.0.2.20\", \"2001:db8::/64\" ]; user = \"printer\"; sender = \"s@example.org\";\n"
	"              recipients = [ \"*\" ]; messages = [ \"20/1d\" ]; },\n"
	"            { networks = [ \"240.0.2.0/24\" ]; user = \"other@example.net\"; sender = \"t@example.org\";\n"
	"              recipients = [ \"@example.org\" ]; tls = \"none\"; } );\n";

static void limits(void **state)
{
	struct config *c = load(limits_text);
	struct user_limits of;

	limits_of_login(c, S("nobody@example.org"), &of);
	assert_int_equal(of.messages.n, 2);
	assert_int_equal(of.messages.at[1].amount, 1000);
	assert_int_equal(of.bytes.at[0].amount, 5 << 20);
	assert_int_equal(of.recipients.n, 0);
	assert_int_equal(of.connections, 20);
	assert_int_equal(of.priority, 3);
	assert_true(!of.hold && of.breaker);
	limits_of_login(c, S("Web@EXAMPLE.org"), &of);
	assert_int_equal(of.messages.n, 1);
	assert_int_equal(of.messages.at[0].amount, 5000);
	assert_int_equal(of.bytes.n, 1); /* not named: as all */
	assert_true(of.hold && !of.breaker);
	limits_of_login(c, S("bob@example.net"), &of);
	assert_int_equal(of.connections, 1);
	assert_int_equal(of.priority, 9);
	assert_int_equal(of.messages.n, 2);
	assert_int_equal(of.recipients.n, 1);
	limits_of_login(c, S("alice@example.org"), &of); /* the entry of a device is not the login's */
	assert_int_equal(of.messages.n, 2);
	config_free(c);
}

static void limits_of_devices(void **state)
{
	struct config *c = load(limits_text);
	struct user_limits of;

	limits_of_device(c, S("alice@example.org"), S("phone"), &of);
	assert_int_equal(of.messages.n, 1);
	assert_int_equal(of.messages.at[0].amount, 5);
	assert_int_equal(of.bytes.n, 0);
	limits_of_device(c, S("alice@example.org"), S("tablet"), &of);
	assert_int_equal(of.messages.n, 0);
	limits_of_device(c, S("web@example.org"), S(""), &of);
	assert_int_equal(of.messages.n, 0);
	limits_of_device(c, S("printer@example.org"), S("@240.0.2.20"), &of);
	assert_int_equal(of.messages.n, 1);
	assert_int_equal(of.messages.at[0].amount, 20);
	limits_of_device(c, S("printer@example.org"), S("@203.0.113.1"), &of);
	assert_int_equal(of.messages.n, 0);
	config_free(c);
}

static void devices(void **state)
{
	struct config *c = load(limits_text);

	assert_str(device_at(c, S("240.0.2.20"))->user, "printer@example.org"); /* the first that lists it */
	assert_str(device_at(c, S("2001:db8::77"))->sender, "s@example.org");
	assert_str(device_at(c, S("240.0.2.21"))->user, "other@example.net");
	assert_int_equal(device_at(c, S("240.0.2.21"))->tls, DEVICE_TLS_NONE);
	assert_int_equal(device_at(c, S("240.0.2.20"))->tls, DEVICE_TLS_MODERN);
	assert_null(device_at(c, S("203.0.113.1")));
	assert_null(device_at(c, S("")));
	config_free(c);
}

static void rewriting(void **state)
{
	static const struct {
		const char *address;
		bool is_sender, in_header;
		const char *becomes;
	} rows[] = {
		{ "root@nas.lan", true, false, "alice@example.org" },
		{ "Root+cron@nas.LAN", true, true, "alice@example.org" },
		{ "root@nas.lan", false, false, "root@nas.lan" },
		{ "root@lan", true, false, "root@lan" },
		{ "Bob.B@old.example", true, false, "Bob.B@example.org" },
		{ "Bob.B@old.example", true, true, "Bob.B@old.example" },
		{ "\"a@b\"@old.example", true, false, "\"a@b\"@example.org" },
		{ "x@gone.example", false, false, "y@example.org" },
		{ "x@gone.example", false, true, "y@example.org" },
		{ "x@gone.example", true, false, "x@gone.example" },
		{ "z@gone.example", false, false, "z@gone.example" },
		{ "", true, false, "" },
		{ "postmaster", false, false, "postmaster" },
	};
	struct config *
		c = load(
		       "rewrite = ( { sender = \"root@.lan\"; to = \"alice@example.org\"; headers = true; },\n"
		       "  { sender = \"@old.example\"; to = \"@example.org\"; }, { recipient = \"x@gone.example\"; to = \"y@example.org\"; headers = true; } );"),
	       *all = load("rewrite = ( { sender = \"*\"; to = \"@one.example\"; } );");
	struct arena a = { 0 };
	struct str null_sender = S("");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str address = str_of(rows[i].address),
			   got = rewrite_address(c, &a, rows[i].is_sender, rows[i].in_header, address);

		if (!str_eq(got, str_of(rows[i].becomes)))
			fail_msg("%s: %.*s", rows[i].address, STR_ARG(got));
		if (strcmp(rows[i].address, rows[i].becomes) == 0)
			assert_ptr_equal(got.p, address.p);
	}
	assert_int_equal(rewrite_address(all, &a, true, false, null_sender).n, 0);
	assert_str(rewrite_address(all, &a, true, false, S("a@b")), "a@one.example");
	arena_fini(&a);
	config_free(c);
	config_free(all);
}

static void options(void **state)
{
	struct config *c;

	fixture_write("pw", "from a file\n", 0600);
	c = fixture_good(
		BASICS
		"auth = { backend = \"sql\"; options = { sql_engine = \"sqlite3\"; sql_database = \"/x=y\"; sql_select = \"SELECT \\\"p\\\"\";\n"
		"  sql_passwd_file = \"pw\"; sql_usessl = false; number = 4294967296; empty = \"\"; }; };");
	assert_int_equal(c->auth.options.n, 7);
	assert_str(c->auth.options.at[0], "sql_engine=sqlite3");
	assert_str(c->auth.options.at[1], "sql_database=/x=y");
	assert_str(c->auth.options.at[2], "sql_select=SELECT \"p\"");
	assert_str(c->auth.options.at[3], "sql_passwd=from a file");
	assert_str(c->auth.options.at[4], "sql_usessl=false");
	assert_str(c->auth.options.at[5], "number=4294967296");
	assert_str(c->auth.options.at[6], "empty=");
	assert_str(auth_option(&c->auth, S("sql_database")), "/x=y");
	assert_str(auth_option(&c->auth, S("sql")), "");
	config_free(c);
}

/* What a back-end cannot do is not offered, when nobody asked for it. */
static void mechanisms(void **state)
{
	struct config *c = fixture_good(BASICS "auth = { backend = \"saslauthd\"; };");

	assert_int_equal(c->auth.mechanisms.n, 2);
	assert_str(c->auth.mechanisms.at[1], "LOGIN");
	config_free(c);
	c = fixture_good(BASICS "auth = { backend = \"sasldb\"; };");
	assert_int_equal(c->auth.mechanisms.n, 3);
	config_free(c);
}

/* Everything that has a domain takes U-labels, and knows them as A-labels. */
static void internationalised(void **state)
{
	static const char text[] =
		"hostname = \"relay.Bücher.example.\"; postmaster = \"p@bücher.example\";\n"
		"certificates = ( { chain = \"chain.pem\"; key = \"key.pem\"; } );\n"
		"auth = { realm = \"BÜCHER.example\"; };\n"
		"senders = ( { user = \"jürgen\"; addresses = [ \"j@bücher.example\", \"@.bücher.example.\" ]; } );\n"
		"devices = ( { networks = [ \"240.0.2.20\" ]; user = \"scan@bücher.example\"; sender = \"s@bücher.example\";\n"
		"              recipients = [ \"@bücher.example\" ]; } );\n"
		"limits = { users = ( { user = \"jürgen@bücher.example/phone\"; messages = [ \"5/1h\" ]; },\n"
		"                     { user = \"j@xn--bcher-kva.example\"; connections = 7; } ); };\n"
		"rewrite = ( { sender = \"root@.bücher.example\"; to = \"@bücher.example\"; } );\n"
		"upstreams = ( { name = \"u\"; host = \"mail.bücher.example\"; tls = \"none\"; report_sender = \"b@bücher.example\"; } );\n"
		"routes = ( { senders = [ \"@bücher.example\" ]; users = [ \"@bücher.example\", \"jürgen\" ]; via = [ \"u\" ]; }, { via = [ \"u\" ]; } );\n";
	struct config *c = fixture_good(text);
	struct user_limits of;

	assert_str(c->hostname, "relay.xn--bcher-kva.example");
	assert_str(c->postmaster, "p@xn--bcher-kva.example");
	assert_str(c->auth.realm, "xn--bcher-kva.example");
	assert_str(c->senders[0].user, "jürgen"); /* completed where it is compared */
	assert_str(c->senders[0].addresses.at[0], "j@xn--bcher-kva.example");
	assert_str(c->senders[0].addresses.at[1], "@.xn--bcher-kva.example");
	assert_str(c->devices[0].user, "scan@xn--bcher-kva.example");
	assert_str(c->devices[0].sender, "s@xn--bcher-kva.example");
	assert_str(c->devices[0].recipients.at[0], "@xn--bcher-kva.example");
	assert_str(c->limits.users[0].user, "jürgen@xn--bcher-kva.example/phone");
	limits_of_login(c, S("j@xn--bcher-kva.example"), &of);
	assert_int_equal(of.connections, 7);
	assert_str(c->rewrite[0].sender, "root@.xn--bcher-kva.example");
	assert_str(c->rewrite[0].to, "@xn--bcher-kva.example");
	assert_str(c->upstreams[0].host, "mail.xn--bcher-kva.example");
	assert_str(c->upstreams[0].report_sender, "b@xn--bcher-kva.example");
	assert_str(c->routes[0].senders.at[0], "@xn--bcher-kva.example");
	assert_str(c->routes[0].users.at[0], "@xn--bcher-kva.example");
	assert_str(c->routes[0].users.at[1], "jürgen@xn--bcher-kva.example");
	assert_true(sender_allowed(c, S("jürgen@xn--bcher-kva.example"), S("j+x@BÜCHER.example")));
	assert_true(sender_allowed(c, S("jürgen@xn--bcher-kva.example"), S("any@shop.bücher.example")));
	assert_true(sender_allowed(c, S("eva@xn--bcher-kva.example"), S("eva@bücher.example")));
	assert_false(sender_allowed(c, S("eva@xn--bcher-kva.example"), S("eva@bucher.example")));
	assert_false(sender_allowed(c, S("eva@example.org"), S("eva@ｅxample.org")));
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(networks),          cmocka_unit_test(network_parts), cmocka_unit_test(keys_of_networks),
		cmocka_unit_test(overlaps),          cmocka_unit_test(gateways),      cmocka_unit_test(limits),
		cmocka_unit_test(limits_of_devices), cmocka_unit_test(devices),       cmocka_unit_test(rewriting),
		cmocka_unit_test(options),           cmocka_unit_test(mechanisms),    cmocka_unit_test(internationalised),
	};

	return cmocka_run_group_tests_name("config clients", tests, fixture_open, fixture_close);
}
