/* test_load.c - good configurations: defaults, values, includes, secrets, what a reload may change. */
#include "fixture.h"

#include "posthouse/log.h"
#include "posthouse/mail.h"

#include <stdio.h>
#include <unistd.h>

#define assert_str(s, literal) assert_true(str_eq((s), S(literal)))

static void defaults(void **state)
{
	static const uint64_t minutes[] = { 1, 5, 15, 30, 60, 120, 240 };
	struct config_faults faults;
	struct config *c = fixture_load(BASICS, &faults);

	if (faults.n > 0)
		fail_msg("%s", fixture_faults(&faults));
	assert_str(c->hostname, "relay.example.org");
	assert_str(c->postmaster, "postmaster@example.org");
	assert_str(c->state_dir, "/var/lib/posthouse");
	assert_str(c->run_as, "posthouse");
	assert_str(c->control, "/run/posthouse/control.sock");
	assert_str(c->metrics, "");
	assert_int_equal(c->shutdown_grace_ms, 20000);
	assert_int_equal(c->listen_n, 2);
	assert_str(c->listen[0].address, "*");
	assert_int_equal(c->listen[0].port, 587);
	assert_int_equal(c->listen[0].tls, LISTEN_STARTTLS);
	assert_int_equal(c->listen[0].max_connections, 0);
	assert_str(c->listen[1].address, "*");
	assert_int_equal(c->listen[1].port, 465);
	assert_int_equal(c->listen[1].tls, LISTEN_IMPLICIT);
	assert_int_equal(c->certificates_n, 1);
	assert_true(str_starts(c->certificates[0].chain_pem, S("-----BEGIN CERTIFICATE-----")));
	assert_true(str_starts(c->certificates[0].key_pem, S("-----BEGIN PRIVATE KEY-----")));
	assert_int_equal(c->tls_minimum, TLS_1_2);
	assert_int_equal(c->auth.mechanisms.n, 2);
	assert_str(c->auth.mechanisms.at[0], "PLAIN");
	assert_str(c->auth.mechanisms.at[1], "LOGIN");
	assert_str(c->auth.backend, "accounts");
	assert_str(c->auth.realm, "relay.example.org");
	assert_int_equal(c->senders_n, 0);
	assert_int_equal(c->limits.recipients_per_message, 100);
	assert_int_equal(c->limits.message_size, 50 << 20);
	assert_int_equal(c->limits.connections, 0);
	assert_int_equal(c->sign_n, 0);
	assert_int_equal(c->upstreams_n, 1);
	assert_int_equal(c->upstreams[0].port, 587);
	assert_int_equal(c->upstreams[0].tls, UPSTREAM_STARTTLS);
	assert_int_equal(c->upstreams[0].connections, 10);
	assert_str(c->upstreams[0].login, "");
	assert_str(c->upstreams[0].ca_pem, "");
	assert_int_equal(c->routes_n, 1);
	assert_int_equal(c->routes[0].via.n, 1);
	assert_str(c->routes[0].via.at[0], "isp");
	assert_int_equal(c->queue.retry_n, 7);
	for (size_t i = 0; i < 7; i++)
		assert_int_equal(c->queue.retry_ms[i], minutes[i] * 60000);
	assert_int_equal(c->queue.lifetime_ms, UINT64_C(5) * 86400000);
	assert_int_equal(c->queue.warn_after_ms, 0);
	assert_int_equal(c->queue.min_free, 100 << 20);
	assert_int_equal(c->queue.keep_history_ms, UINT64_C(30) * 86400000);
	assert_int_equal(c->queue.max_messages, 1000000);
	assert_int_equal(c->delivery.connections_per_destination, 10);
	assert_int_equal(c->delivery.reuse, 100);
	assert_true(c->delivery.ipv4 && c->delivery.ipv6);
	assert_int_equal(c->delivery.timeouts.connect_ms, 30000);
	assert_int_equal(c->delivery.timeouts.greeting_ms, 300000);
	assert_int_equal(c->delivery.timeouts.command_ms, 300000);
	assert_int_equal(c->delivery.timeouts.data_ms, 600000);
	assert_int_equal(c->log.format, LOG_FORMAT_LOGFMT);
	assert_int_equal(c->log.level, LOG_INFO);
	assert_int_equal(c->submission.idle_ms, 300000);
	assert_int_equal(c->submission.commands, 1000);
	assert_int_equal(c->submission.errors, 20);
	assert_int_equal(c->submission.sessions, 10000);
	assert_int_equal(c->submission.workers, 0);
	assert_int_equal(c->submission.login_delay_ms, 2000);
	config_free(c);
}

static void values(void **state)
{
	char expected[128];
	struct config *c = fixture_good(
		"hostname = \"Relay.Example.ORG\"; postmaster = \"p@example.org\"; state_dir = \"state\";\n"
		"listen = ( { port = 2525; tls = \"starttls\"; address = \"127.0.0.1\"; max_connections = 7; },\n"
		"           { port = 2525; tls = \"implicit\"; address = \"::1\"; } );\n"
		"certificates = ( { chain = \"chain.pem\"; key = \"key.pem\"; } ); tls_minimum = \"1.3\"; metrics = \"\";\n"
		"auth = { mechanisms = [ \"PLAIN\" ]; realm = \"Example.org\"; options = { }; };\n"
		"senders = ( { user = \"web\"; addresses = ( \"*\" ); } );\n"
		"limits = { message_size = 1048576; recipients_per_message = 5; };\n"
		"sign = ( { domain = \"Example.org\"; selector = \"r\"; key = \"rsa.key\"; },\n"
		"         { domain = \"example.org\"; selector = \"e\"; key = \"ed25519.key\"; } );\n"
		"upstreams = ( { name = \"a\"; host = \"::1\"; tls = \"implicit\"; login = \"me\"; password = \"x \\\"y\\\" z\";\n"
		"                ca = \"chain.pem\"; tls_name = \"a.example\"; connections = 3; },\n"
		"              { name = \"b\"; host = \"localhost\"; port = 2526; tls = \"none\"; login = \"me\"; password_file = \"password\"; } );\n"
		"routes = ( { via = [ \"b\" ]; } );\n"
		"queue = { retry = [ \"200ms\", \"1s\" ]; max_messages = 99999999; min_free = 0; };\n"
		"delivery = { ipv6 = false; timeouts = { data = \"1m\" } };\n"
		"log = { format = \"json\"; level = \"debug\"; };\n");

	assert_str(c->hostname, "relay.example.org");
	snprintf(expected, sizeof(expected), "%s/state", fixture_dir());
	assert_true(str_eq(c->state_dir, str_of(expected)));
	assert_int_equal(c->listen[1].tls, LISTEN_IMPLICIT);
	assert_int_equal(c->listen[0].max_connections, 7);
	assert_int_equal(c->tls_minimum, TLS_1_3);
	assert_int_equal(c->auth.mechanisms.n, 1);
	assert_str(c->auth.realm, "example.org");
	assert_str(c->senders[0].addresses.at[0], "*");
	assert_int_equal(c->limits.message_size, 1 << 20);
	assert_str(c->sign[0].domain, "example.org");
	assert_int_equal(c->sign[0].algorithm, DKIM_RSA_SHA256);
	assert_int_equal(c->sign[1].algorithm, DKIM_ED25519_SHA256);
	assert_int_equal(c->upstreams[0].port, 465);
	assert_str(c->upstreams[0].password, "x \"y\" z");
	assert_true(str_eq(c->upstreams[0].ca_pem, c->certificates[0].chain_pem));
	assert_int_equal(c->upstreams[1].port, 2526);
	assert_str(c->upstreams[1].password, "s3cret-of-the-upstream");
	assert_str(c->routes[0].via.at[0], "b");
	assert_int_equal(c->queue.retry_n, 2);
	assert_int_equal(c->queue.retry_ms[0], 200);
	assert_int_equal(c->queue.max_messages, 99999999);
	assert_int_equal(c->queue.min_free, 0);
	assert_int_equal(c->queue.lifetime_ms, UINT64_C(5) * 86400000);
	assert_false(c->delivery.ipv6);
	assert_int_equal(c->delivery.timeouts.data_ms, 60000);
	assert_int_equal(c->delivery.timeouts.connect_ms, 30000);
	assert_int_equal(c->log.format, LOG_FORMAT_JSON);
	assert_int_equal(c->log.level, LOG_DEBUG);
	config_free(c);
}

/* An included file, by relative and absolute path, without a newline at its end. */
static void includes(void **state)
{
	char text[512];
	struct config *c;

	fixture_write("more.conf", "queue = { lifetime = \"3d\"; }; // no newline", 0600);
	fixture_write("level.conf", "log = {\n\tlevel = \"error\";\n};\n", 0600);
	snprintf(text, sizeof(text),
		 "@include \"more.conf\"\n%s  @include \"%s/level.conf\" # comment\nshutdown_grace = \"3s\";\n", BASICS,
		 fixture_dir());
	c = fixture_good(text);
	assert_int_equal(c->queue.lifetime_ms, UINT64_C(3) * 86400000);
	assert_int_equal(c->log.level, LOG_ERROR);
	assert_int_equal(c->shutdown_grace_ms, 3000);
	config_free(c);
}

static void secret_files(void **state)
{
	static const struct {
		const char *content, *password;
	} rows[] = { { "one\n", "one" }, { "one", "one" }, { "one\r\n", "one" }, { " one ", " one " }, { "ünö\n", "ünö" } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config *c;

		fixture_write("secret", rows[i].content, 0600);
		c = fixture_good(
			"hostname = \"a.example\"; postmaster = \"p@a.example\"; certificates = ( { chain = \"chain.pem\"; key = \"key.pem\"; } );"
			"upstreams = ( { name = \"isp\"; host = \"h\"; login = \"me\"; password_file = \"secret\"; } );");
		assert_true(str_eq(c->upstreams[0].password, str_of(rows[i].password)));
		config_free(c);
	}
}

/* What config_needs_restart() says when `change` is added. */
static void reload(void **state)
{
	static const struct {
		const char *change, *key;
	} rows[] = {
		{ "", NULL },
		{ "log = { level = \"error\"; };", NULL },
		{ "senders = ( { user = \"a\"; addresses = [ \"*\" ]; } );", NULL },
		{ "queue = { retry = [ \"1s\" ]; };", NULL },
		{ "routes = ( { via = [ \"isp\" ]; } );", NULL },
		{ "sign = ( { domain = \"a.example\"; selector = \"s\"; key = \"ed25519.key\"; } );", NULL },
		{ "tls_minimum = \"1.3\";", NULL },
		{ "state_dir = \"/elsewhere\";", "state_dir" },
		{ "run_as = \"other\";", "run_as" },
		{ "control = \"/run/other.sock\";", "control" },
		{ "submission = { workers = 3; };", "submission.workers" },
		{ "auth = { realm = \"other.example\"; };", "auth.realm" },
		{ "auth = { mechanisms = [ \"PLAIN\" ]; };", "auth.mechanisms" },
		{ "auth = { mechanisms = [ \"LOGIN\", \"PLAIN\" ]; };", "auth.mechanisms" },
		{ "listen = ( { port = 587; tls = \"starttls\"; } );", "listen" },
		{ "listen = ( { port = 587; tls = \"starttls\"; }, { port = 466; tls = \"implicit\"; } );", "listen[].port" },
		{ "listen = ( { port = 587; tls = \"starttls\"; }, { port = 465; tls = \"implicit\"; } );", NULL },
	};
	struct config *old = fixture_good(BASICS);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[2048];
		const char *key;
		struct config *new;

		snprintf(text, sizeof(text), "%s%s", BASICS, rows[i].change);
		new = fixture_good(text);
		key = config_needs_restart(old, new);
		if (rows[i].key ? !key || strcmp(key, rows[i].key) != 0 : key != NULL)
			fail_msg("\"%s\": %s", rows[i].change, key ? key : "(none)");
		config_free(new);
	}
	config_free(old);
}

/* What is dumped loads again, to the same; and has no secret. */
static void dump(void **state)
{
	struct config *c = fixture_good(BASICS "sign = ( { domain = \"a.example\"; selector = \"s\"; key = \"rsa.key\"; } );\n"
					       "senders = ( { user = \"a\"; addresses = [ \"a@b\", \"*\" ]; } );"
					       "auth = { realm = \"q.example\"; };"),
		      *again;
	struct buf b, b2;

	buf_init(&b, 1 << 20);
	buf_init(&b2, 1 << 20);
	assert_true(config_dump(c, &b));
	buf_add_char(&b, '\0');
	again = fixture_good(b.p + b.from);
	assert_true(config_dump(again, &b2));
	buf_add_char(&b2, '\0');
	assert_string_equal(b.p + b.from, b2.p + b2.from);
	assert_null(strstr(b.p + b.from, "PRIVATE"));
	config_free(c);
	c = fixture_good(
		"hostname = \"a.example\"; postmaster = \"p@a.example\"; certificates = ( { chain = \"chain.pem\"; key = \"key.pem\"; } );"
		"upstreams = ( { name = \"isp\"; host = \"h\"; login = \"me\"; password = \"hush-hush\"; } );");
	buf_clear(&b);
	assert_true(config_dump(c, &b));
	buf_add_char(&b, '\0');
	assert_null(strstr(b.p + b.from, "hush-hush"));
	assert_non_null(strstr(b.p + b.from, "password = \"(hidden)\""));
	buf_fini(&b);
	buf_fini(&b2);
	config_free(c);
	config_free(again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),     cmocka_unit_test(values), cmocka_unit_test(includes),
		cmocka_unit_test(secret_files), cmocka_unit_test(reload), cmocka_unit_test(dump),
	};

	return cmocka_run_group_tests_name("config load", tests, fixture_open, fixture_close);
}
