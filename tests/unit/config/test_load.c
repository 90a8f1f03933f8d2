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
	assert_int_equal(c->shutdown_grace_ms, 8000);
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
	assert_int_equal(c->auth.mechanisms.n, 3);
	assert_str(c->auth.mechanisms.at[0], "PLAIN");
	assert_str(c->auth.mechanisms.at[2], "SCRAM-SHA-256");
	assert_int_equal(c->auth.options.n, 0);
	assert_int_equal(c->auth.failures.amount, 10);
	assert_int_equal(c->auth.failures.window_ms, 600000);
	assert_int_equal(c->auth.timeout_ms, 10000);
	assert_false(c->auth.old_clients);
	assert_int_equal(c->tls_ticket_secret.n, 40);
	assert_str(c->auth.backend, "accounts");
	assert_str(c->auth.realm, "relay.example.org");
	assert_int_equal(c->senders_n, 0);
	assert_int_equal(c->limits.recipients_per_message, 100);
	assert_int_equal(c->limits.message_size, 50 << 20);
	assert_int_equal(c->limits.connections, 50);
	assert_int_equal(c->limits.connections_per_network, 100);
	assert_int_equal(c->limits.messages_per_session, 0);
	assert_int_equal(c->limits.messages.n, 0);
	assert_int_equal(c->limits.priority, 4);
	assert_int_equal(c->limits.over, OVER_REJECT);
	assert_int_equal(c->limits.breaker, BREAKER_ON);
	assert_int_equal(c->limits.users_n, 0);
	assert_int_equal(c->breaker.new_recipients.amount, 200);
	assert_int_equal(c->breaker.bounces, 30);
	assert_int_equal(c->breaker.networks.amount, 10);
	assert_int_equal(c->devices_n, 0);
	assert_int_equal(c->rewrite_n, 0);
	assert_int_equal(c->submission.future_release_ms, UINT64_C(30) * 86400000);
	assert_false(c->submission.show_client);
	assert_int_equal(c->sign_n, 0);
	assert_int_equal(c->upstreams_n, 1);
	assert_int_equal(c->upstreams[0].port, 587);
	assert_int_equal(c->upstreams[0].tls, UPSTREAM_STARTTLS);
	assert_int_equal(c->upstreams[0].connections, 10);
	assert_str(c->upstreams[0].login, "");
	assert_str(c->upstreams[0].ca_pem, "");
	assert_str(c->upstreams[0].profile, "");
	assert_str(c->upstreams[0].report_sender, "");
	assert_int_equal(c->upstreams[0].messages.n, 0);
	assert_int_equal(c->routes_n, 1);
	assert_int_equal(c->routes[0].via.n, 1);
	assert_str(c->routes[0].via.at[0], "isp");
	assert_int_equal(c->queue.retry_n, 7);
	for (size_t i = 0; i < 7; i++)
		assert_int_equal(c->queue.retry_ms[i], minutes[i] * 60000);
	assert_int_equal(c->queue.lifetime_ms, UINT64_C(5) * 86400000);
	assert_int_equal(c->queue.warn_after_ms, UINT64_C(4) * 3600000);
	assert_int_equal(c->queue.min_free, 100 << 20);
	assert_int_equal(c->queue.keep_history_ms, UINT64_C(30) * 86400000);
	assert_int_equal(c->queue.max_messages, 1000000);
	assert_int_equal(c->delivery.connections_per_destination, 10);
	assert_int_equal(c->delivery.reuse, 100);
	assert_int_equal(c->delivery.port, 25);
	assert_int_equal(c->delivery.source.n, 0);
	assert_str(c->delivery.resolver, "");
	assert_str(c->delivery.trust_anchor, "");
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
		"              { name = \"b\"; host = \"localhost\"; port = 2526; tls = \"opportunistic\"; login = \"me\"; password_file = \"password\"; } );\n"
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

/* Mail leaves by upstreams, or directly: what of it is filled in. */
static void routes(void **state)
{
	static const char basics[] = "hostname = \"relay.example.org\"; postmaster = \"postmaster@example.org\";\n"
				     "certificates = ( { chain = \"chain.pem\"; key = \"key.pem\"; } );\n";
	char text[4096];
	struct config *c;
	struct config_faults faults;

	c = fixture_load(basics, &faults);
	if (faults.n > 0)
		fail_msg("%s", fixture_faults(&faults));
	assert_int_equal(c->upstreams_n, 0);
	assert_int_equal(c->routes_n, 1);
	assert_int_equal(c->routes[0].via.n, 1);
	assert_str(c->routes[0].via.at[0], "mx");
	config_free(c);

	snprintf(text, sizeof(text), "%supstreams = ( ); routes = ( ); queue = { warn_after = \"0s\"; };", basics);
	c = fixture_load(text, &faults);
	assert_int_equal(faults.n, 0);
	assert_str(c->routes[0].via.at[0], "mx");
	assert_int_equal(c->queue.warn_after_ms, 0);
	config_free(c);

	snprintf(
		text, sizeof(text),
		"%sauth = { realm = \"example.org\"; };\n"
		"upstreams = ( { name = \"a\"; host = \"a.example\"; messages = [ \"30/1m\", \"500/1d\" ]; report_sender = \"b@example.org\"; },\n"
		"              { name = \"b\"; host = \"b.example\"; } );\n"
		"routes = ( { recipients = [ \"@corp.example\" ]; via = [ \"mx\" ]; },\n"
		"           { senders = [ \"@example.net\", \"@.example.net\" ]; users = [ \"web\", \"@dev.example\", \"*\" ]; via = [ \"b\", \"a\", \"mx\" ]; },\n"
		"           { via = [ \"a\", \"b\" ]; } );\n"
		"delivery = { port = 2525; source = [ \"192.0.2.1\", \"::1\" ]; resolver = \"127.0.0.1@5353 ::1\"; trust_anchor = \"password\"; };\n",
		basics);
	c = fixture_load(text, &faults);
	if (faults.n > 0)
		fail_msg("%s", fixture_faults(&faults));
	assert_int_equal(c->upstreams[0].messages.n, 2);
	assert_int_equal(c->upstreams[0].messages.at[0].amount, 30);
	assert_int_equal(c->upstreams[0].messages.at[1].window_ms, 86400000);
	assert_str(c->upstreams[0].report_sender, "b@example.org");
	assert_int_equal(c->routes_n, 3);
	assert_str(c->routes[0].recipients.at[0], "@corp.example");
	assert_int_equal(c->routes[1].via.n, 3);
	assert_str(c->routes[1].via.at[2], "mx");
	assert_str(c->routes[1].users.at[0], "web@example.org"); /* logins have their realm */
	assert_str(c->routes[1].users.at[1], "@dev.example");
	assert_str(c->routes[1].users.at[2], "*");
	assert_int_equal(c->routes[2].senders.n, 0);
	assert_int_equal(c->delivery.port, 2525);
	assert_int_equal(c->delivery.source.n, 2);
	assert_str(c->delivery.resolver, "127.0.0.1@5353 ::1");
	assert_true(str_ends(c->delivery.trust_anchor, S("/password")) && c->delivery.trust_anchor.p[0] == '/');
	config_free(c);
}

/* What a profile knows holds where the file says nothing. */
static void profiled(void **state)
{
	static const struct {
		const char *keys, *host;
		unsigned port, tls, connections;
		size_t rates;
		struct rate last;
	} rows[] = {
		{ "profile = \"gmail\";", "smtp.gmail.com", 587, UPSTREAM_STARTTLS, 3, 1, { 250, 86400000 } },
		{ "profile = \"gmail\"; host = \"\";", "smtp.gmail.com", 587, UPSTREAM_STARTTLS, 3, 1, { 250, 86400000 } },
		{ "profile = \"office365\";", "smtp.office365.com", 587, UPSTREAM_STARTTLS, 3, 1, { 15, 60000 } },
		{ "profile = \"mail.ru\";", "smtp.mail.ru", 465, UPSTREAM_IMPLICIT, 1, 1, { 1, 60000 } },
		{ "profile = \"brevo\";", "smtp-relay.brevo.com", 587, UPSTREAM_STARTTLS, 5, 2, { 4500, UINT64_C(2592000000) } },
		{ "profile = \"yandex\"; host = \"smtp.yandex.com\";",
		  "smtp.yandex.com",
		  465,
		  UPSTREAM_IMPLICIT,
		  2,
		  0,
		  { 0, 0 } },
		{ "profile = \"yandex\"; tls = \"starttls\";", "smtp.yandex.ru", 587, UPSTREAM_STARTTLS, 2, 0, { 0, 0 } },
		{ "profile = \"yandex\"; port = 2025;", "smtp.yandex.ru", 2025, UPSTREAM_IMPLICIT, 2, 0, { 0, 0 } },
		{ "profile = \"gmail\"; messages = [ \"2000/1d\" ]; connections = 8;",
		  "smtp.gmail.com",
		  587,
		  UPSTREAM_STARTTLS,
		  8,
		  1,
		  { 2000, 86400000 } },
		{ "profile = \"gmail\"; messages = [ ];", "smtp.gmail.com", 587, UPSTREAM_STARTTLS, 3, 0, { 0, 0 } },
		{ "profile = \"\"; host = \"h\";", "h", 587, UPSTREAM_STARTTLS, 10, 0, { 0, 0 } },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[2048];
		struct config *c;
		const struct cfg_upstream *u;

		snprintf(text, sizeof(text),
			 "hostname = \"relay.example.org\"; postmaster = \"p@example.org\";\n"
			 "certificates = ( { chain = \"chain.pem\"; key = \"key.pem\"; } );\n"
			 "upstreams = ( { name = \"isp\"; %s } );",
			 rows[i].keys);
		c = fixture_good(text);
		u = &c->upstreams[0];
		if (!str_eq(u->host, str_of(rows[i].host)) || u->port != rows[i].port || u->tls != rows[i].tls ||
		    u->connections != rows[i].connections || u->messages.n != rows[i].rates)
			fail_msg("%s: %.*s %u %u %u %zu", rows[i].keys, STR_ARG(u->host), (unsigned)u->port, u->tls,
				 (unsigned)u->connections, u->messages.n);
		if (rows[i].rates > 0) {
			assert_int_equal(u->messages.at[rows[i].rates - 1].amount, rows[i].last.amount);
			assert_int_equal(u->messages.at[rows[i].rates - 1].window_ms, rows[i].last.window_ms);
		}
		config_free(c);
	}
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

/* A load apart, everything is the same but the key for session tickets: that alone is no change. */
static void ticket_keys(void **state)
{
	struct config *a = fixture_good(BASICS), *b = fixture_good(BASICS);

	assert_int_equal(b->tls_ticket_secret.n, 40);
	assert_false(str_eq(a->tls_ticket_secret, b->tls_ticket_secret));
	assert_null(config_needs_restart(a, b));
	config_free(a);
	config_free(b);
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
		{ "routes = ( { via = [ \"mx\", \"isp\" ]; senders = [ \"@a.example\" ]; }, { via = [ \"isp\" ]; } );", NULL },
		{ "queue = { warn_after = \"1h\"; };", NULL },
		{ "delivery = { port = 26; source = [ \"127.0.0.1\" ]; resolver = \"recursive\"; trust_anchor = \"password\"; };",
		  NULL },
		{ "sign = ( { domain = \"a.example\"; selector = \"s\"; key = \"ed25519.key\"; } );", NULL },
		{ "tls_minimum = \"1.3\";", NULL },
		{ "auth = { failures = \"5/1m\"; timeout = \"1s\"; old_clients = true; };", NULL },
		{ "limits = { messages = [ \"5/1m\" ]; users = ( { user = \"a\"; over = \"hold\"; } ); }; breaker = { bounces = 0; };",
		  NULL },
		{ "devices = ( { networks = [ \"240.0.2.1\" ]; user = \"a\"; sender = \"a@b\"; recipients = [ \"*\" ]; } );",
		  NULL },
		{ "rewrite = ( { sender = \"a@b\"; to = \"@c\"; } );", NULL },
		{ "auth = { options = { a = \"1\"; }; };", "auth.options" },
		{ "auth = { backend = \"saslauthd\"; mechanisms = [ \"PLAIN\", \"LOGIN\" ]; };", "auth.mechanisms" },
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

/* Only active keys sign, and only of these there can be no more than DKIM_KEYS_MAX. */
static void signing_keys(void **state)
{
	struct config *c = fixture_good(
		BASICS
		"sign = ( { domain = \"a.example\"; selector = \"p1\"; key = \"rsa.key\"; state = \"retired\"; },\n"
		"  { domain = \"a.example\"; selector = \"p2\"; key = \"rsa.key\"; since = \"2027-03-02T14:02:11Z\"; },\n"
		"  { domain = \"a.example\"; selector = \"p3\"; key = \"ed25519.key\"; state = \"pending\"; seen = \"\"; },\n"
		"  { domain = \"b.example\"; selector = \"p1\"; key = \"rsa.key\"; state = \"pending\"; },\n"
		"  { domain = \"a.example\"; selector = \"p4\"; key = \"rsa.key\"; },\n"
		"  { domain = \"a.example\"; selector = \"p5\"; key = \"rsa.key\"; },\n"
		"  { domain = \"a.example\"; selector = \"p6\"; key = \"rsa.key\"; } );");
	struct dkim_key keys[DKIM_KEYS_MAX];
	struct arena a = { 0 };

	assert_int_equal(config_dkim_keys(&a, c, S("A.example"), keys), 4);
	assert_str(keys[0].selector, "p2");
	assert_str(keys[3].selector, "p6");
	assert_int_equal(config_dkim_keys(&a, c, S("b.example"), keys), 0);
	assert_int_equal(config_dkim_keys(&a, c, S("x.y.a.example"), keys), 4);
	assert_int_equal(config_dkim_keys(&a, c, S("xa.example"), keys), 0);
	assert_true(config_signs(c, S("a.example")) && !config_signs(c, S("b.example")));
	assert_true(str_starts(c->sign[0].record, S("v=DKIM1; k=rsa; p=MIIB")) &&
		    str_starts(c->sign[2].record, S("v=DKIM1; k=ed25519; p=")));
	arena_fini(&a);
	config_free(c);
}

/* What is dumped loads again, to the same; and has no secret. */
static void dump(void **state)
{
	struct config *
		c = fixture_good(
		       BASICS
		       "sign = ( { domain = \"a.example\"; selector = \"s\"; key = \"rsa.key\"; } );\n"
		       "senders = ( { user = \"a\"; addresses = [ \"a@b\", \"*\" ]; } );"
		       "routes = ( { users = [ \"a\", \"*\" ]; via = [ \"isp:3\", \"mx:1\" ]; } );"
		       "delivery = { source = [ \"::1\" ]; resolver = \"::1@53\"; };"
		       "limits = { bytes = [ \"5M/1h\" ]; users = ( { user = \"web\"; messages = [ \"5/1m\" ]; },"
		       "  { user = \"web/x\"; bytes = [ \"1000/1m\" ]; } ); };"
		       "breaker = { networks = \"\"; };"
		       "devices = ( { networks = [ \"240.0.2.1\" ]; user = \"p\"; sender = \"p@q.example\"; recipients = [ \"*\" ]; } );"
		       "rewrite = ( { sender = \"@a.b\"; to = \"@c.d\"; headers = true; }, { recipient = \"*\"; to = \"e@f\"; } );"
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
		"auth = { backend = \"ldapdb\"; options = { ldapdb_uri = \"ldapi:///\"; ldapdb_pw = \"hush-hush\"; }; };"
		"upstreams = ( { name = \"isp\"; profile = \"gmail\"; login = \"me\"; password = \"hush-hush\"; } );");
	buf_clear(&b);
	assert_true(config_dump(c, &b));
	buf_add_char(&b, '\0');
	assert_null(strstr(b.p + b.from, "hush-hush"));
	assert_non_null(strstr(b.p + b.from, "password = \"(hidden)\""));
	assert_non_null(strstr(b.p + b.from, "options = { ldapdb_uri = \"(hidden)\"; ldapdb_pw = \"(hidden)\"; }"));
	assert_non_null(strstr(b.p + b.from, "messages = [ \"250/1d\" ]"));
	buf_fini(&b);
	buf_fini(&b2);
	config_free(c);
	config_free(again);
}

/* Where the relay is can be found in a file that cannot be parsed. */
static void rescued(void **state)
{
	static const struct {
		const char *text, *control, *state_dir, *realm;
	} rows[] = {
		{ "hostname = \"h.example\"\ncontrol = \"/c/sock\"; state_dir = \"/s\";\n", "/c/sock", "/s", "h.example" },
		{ "control = \"/c/sock\";\nlisten = ( { port = 25; };\nauth = { realm = \"r.example\"; };\n", "/c/sock",
		  "/var/lib/posthouse", "r.example" },
		{ "hostname = \"h.example;\ncontrol = \"/c/sock\";\n", "/c/sock", "/var/lib/posthouse", "" },
		{ "# control = \"/no\";\n// control = \"/no\"\n/* control = \"/no\"; */ }} control: \"/c/sock\";", "/c/sock",
		  "/var/lib/posthouse", "" },
		{ "x = \"control = \\\"/no\\\"\"; ) controls = \"/no\"; control = \"/c\\\"k\";", "/c\"k", "/var/lib/posthouse",
		  "" },
		{ "= = =\n", "/run/posthouse/control.sock", "/var/lib/posthouse", "" },
		{ "control = ; ", "/run/posthouse/control.sock", "/var/lib/posthouse", "" },
		{ "control = \"/c/sock", "/c/sock", "/var/lib/posthouse", "" },
		{ "/* control = \"/no\";", "/run/posthouse/control.sock", "/var/lib/posthouse", "" },
		{ "control /* of all */ = # where\n \"/c/\" // two\n \"sock\"; }", "/c/sock", "/var/lib/posthouse", "" },
		/* these can be parsed, and are wrong */
		{ "hostname = \"h.example\"; control = 5; state_dir = \"/s\";\n", "/run/posthouse/control.sock", "/s",
		  "h.example" },
		{ "hostname = \"h.example\"; control = \"/c/sock\"; bogus = 1; state_dir = [ \"/s\" ];\n", "/c/sock",
		  "/var/lib/posthouse", "h.example" },
		{ "control = \"/c/sock\"; auth = { realm = \"r.example\"; backend = \"bogus\"; };\n", "/c/sock",
		  "/var/lib/posthouse", "r.example" },
	};
	struct config_faults faults;
	struct config *c;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		c = fixture_load(rows[i].text, &faults);
		if (faults.n == 0 || !str_eq(c->control, str_of(rows[i].control)) ||
		    !str_eq(c->state_dir, str_of(rows[i].state_dir)) || !str_eq(c->auth.realm, str_of(rows[i].realm)))
			fail_msg("%s: %.*s, %.*s, %.*s", rows[i].text, STR_ARG(c->control), STR_ARG(c->state_dir),
				 STR_ARG(c->auth.realm));
		config_free(c);
	}
	/* of a file that is not there nothing is guessed */
	c = config_load(fixture_path("nowhere.conf"), &faults);
	assert_int_equal(c->control.n, 0);
	assert_int_equal(c->state_dir.n, 0);
	config_free(c);
}

/* The same text, whatever the file has become, with the keys as they are now. */
static void again(void **state)
{
	struct config_faults faults;
	struct config *c = fixture_load(BASICS "auth = { realm = \"first.example\"; };\n", &faults), *next;

	assert_int_equal(faults.n, 0);
	fixture_write("posthouse.conf", "half = edited", 0600);
	next = config_load_again(c, &faults);
	assert_int_equal(faults.n, 0);
	assert_str(next->auth.realm, "first.example");
	assert_null(config_needs_restart(c, next));
	config_free(c);
	c = config_load_again(next, &faults); /* as often as one likes */
	assert_int_equal(faults.n, 0);
	config_free(next);
	fixture_write("chain.pem", "no certificate", 0600);
	next = config_load_again(c, &faults);
	assert_int_equal(faults.n, 1);
	assert_non_null(strstr(fixture_faults(&faults), "certificate in PEM form"));
	config_free(next);
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),    cmocka_unit_test(values),   cmocka_unit_test(includes),
		cmocka_unit_test(routes),      cmocka_unit_test(profiled), cmocka_unit_test(secret_files),
		cmocka_unit_test(reload),      cmocka_unit_test(dump),     cmocka_unit_test(signing_keys),
		cmocka_unit_test(ticket_keys), cmocka_unit_test(rescued),  cmocka_unit_test(again),
	};

	return cmocka_run_group_tests_name("config load", tests, fixture_open, fixture_close);
}
