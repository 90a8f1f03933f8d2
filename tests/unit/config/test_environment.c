/* test_environment.c - configurations of the variables of env.def: what each becomes, and what is said of those that are wrong. */
#include "fixture.h"

#include "environment.h"

#include "posthouse/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char state[512];

/* Variables as "NAME=value", with line ends between; FIXTURE stands for the directory of the fixture. What a relay needs is there. */
static void set_all(const char *text)
{
	struct arena a = { 0 };
	struct str rest = str_of(text), line;

	clearenv();
	setenv("POSTHOUSE_STATE_DIR", state, 1);
	setenv("POSTHOUSE_CERTIFICATE", fixture_path("chain.pem"), 1);
	setenv("POSTHOUSE_KEY", fixture_path("key.pem"), 1);
	setenv("HOSTNAME", "f73792d540a5", 1);
	while (str_split(&rest, '\n', &line)) {
		size_t equals = str_find(line, '='), at;
		struct str value = str_from(line, equals + 1);

		at = str_search(value, S("FIXTURE"));
		if (at < value.n)
			value = arena_printf(&a, "%.*s%s%.*s", STR_ARG(str_head(value, at)), fixture_dir(),
					     STR_ARG(str_from(value, at + 7)));
		setenv(arena_cstr(&a, str_head(line, equals)), arena_cstr(&a, value), 1);
	}
	arena_fini(&a);
}

static struct config *load(const char *text, struct config_faults *faults)
{
	set_all(text);
	config_use_environment(true);
	return config_load(CONFIG_ENVIRONMENT, faults);
}

static struct config *good(const char *text)
{
	struct config_faults faults;
	struct config *c = load(text, &faults);

	for (size_t i = 0; i < faults.n; i++)
		if (!faults.at[i].warning)
			fail_msg("%s\n%s", text, fixture_faults(&faults));
	return c;
}

#define DOMAINS "POSTHOUSE_DOMAINS=example.org, Example.NET\n"

/* ---- what a variable becomes ---- */

/* A line of the dump that is there. */
static const struct {
	const char *variables, *line;
} becomes[] = {
	{ DOMAINS, "hostname = \"relay.example.org\";" },
	{ DOMAINS, "postmaster = \"postmaster@example.org\";" },
	{ DOMAINS, "realm = \"example.org\";" },
	{ DOMAINS, "addresses = [ \"@example.org\", \"@example.net\" ];" },
	{ "SERVER_HOSTNAME=helpdesk.example.com", "postmaster = \"postmaster@example.com\";" },
	{ DOMAINS "HOSTNAME=mail.example.org", "hostname = \"mail.example.org\";" },
	{ DOMAINS "POSTFIX_MYHOSTNAME=mx.example.org", "hostname = \"mx.example.org\";" },
	{ DOMAINS "SERVER_HOSTNAME=mx.example.org\nPOSTHOUSE_HOSTNAME=own.example.org", "hostname = \"own.example.org\";" },
	{ DOMAINS "POSTHOUSE_LOCAL_SOCKET=/srv/submit.sock", "socket = \"/srv/submit.sock\";" },
	{ DOMAINS "POSTHOUSE_LOCAL_DROP=/srv/drop", "drop = \"/srv/drop\";" },
	{ DOMAINS "POSTHOUSE_LOG_LEVEL=", "level = \"info\";" },
	{ DOMAINS "INBOUND_DEBUGGING=1", "level = \"debug\";" },
	{ DOMAINS "LOG_FORMAT=json", "format = \"json\";" },
	{ DOMAINS "POSTHOUSE_LOG_FORMAT_FILE=FIXTURE/format", "format = \"json\";" },
	{ DOMAINS "POSTFIX_message_size_limit=0", "message_size = \"2G\";" },
	{ DOMAINS "MESSAGE_SIZE_LIMIT=10485760", "message_size = \"10M\";" },
	{ DOMAINS "POSTHOUSE_LIMITS_MESSAGES=200/1h, 1000/1d", "messages = [ \"200/1h\", \"1000/1d\" ];" },
	{ DOMAINS "POSTFIX_maximal_queue_lifetime=2", "lifetime = \"2d\";" },
	{ DOMAINS "POSTFIX_maximal_queue_lifetime=1w", "lifetime = \"7d\";" },
	{ DOMAINS "POSTHOUSE_SET_queue__lifetime=3d\n", "lifetime = \"3d\";" },
	{ DOMAINS "POSTHOUSE_SET_delivery__timeouts__connect=11s", "connect = \"11s\";" },
	{ DOMAINS "POSTHOUSE_SET_auth__old_clients=yes", "old_clients = true;" },
	{ DOMAINS "POSTHOUSE_SET_delivery__avoid=CHUNKING 8BITMIME", "avoid = [ \"CHUNKING\", \"8BITMIME\" ];" },
	{ DOMAINS "POSTHOUSE_SET_routes=( { via = [ \"mx\" ]; } )", "via = [ \"mx\" ];" },
	{ DOMAINS "POSTFIX_inet_protocols=ipv4", "ipv6 = false;" },
	{ DOMAINS "POSTFIX_inet_protocols=ipv6", "ipv4 = false;" },
	{ DOMAINS "POSTFIX_inet_protocols=all", "ipv6 = true;" },
	{ DOMAINS "POSTHOUSE_STARTTLS_PORT=1587\nPOSTHOUSE_TLS_PORT=none", "port = 1587;" },
	{ DOMAINS "POSTHOUSE_PROXIES=192.0.2.0/24", "proxy_protocol = [ \"192.0.2.0/24\" ];" },
	{ DOMAINS "RELAYHOST=[smtp.isp.example]:2525", "port = 2525;" },
	{ DOMAINS "RELAYHOST=[smtp.isp.example]", "host = \"smtp.isp.example\";" },
	{ DOMAINS "RELAYHOST=smtp.isp.example", "port = 25;" },
	{ DOMAINS "RELAYHOST=smtp.isp.example", "tls = \"opportunistic\";" },
	{ DOMAINS "RELAYHOST=[2001:db8::1]:26", "host = \"2001:db8::1\";" },
	{ DOMAINS "RELAYHOST=h.example:465\nRELAYHOST_USERNAME=me\nRELAYHOST_PASSWORD=x", "tls = \"implicit\";" },
	{ DOMAINS "RELAYHOST=h.example\nRELAYHOST_TLS_LEVEL=may\nRELAYHOST_USERNAME=me\nRELAYHOST_PASSWORD=x",
	  "tls = \"starttls\";" },
	{ DOMAINS "RELAYHOST=h.example\nPOSTFIX_smtp_tls_security_level=encrypt", "tls = \"starttls\";" },
	{ DOMAINS "RELAYHOST=h.example\nRELAYHOST_TLS_LEVEL=none", "tls = \"none\";" },
	{ DOMAINS "SMTP_SERVER=h.example\nSMTP_PORT=2525", "port = 2525;" },
	{ DOMAINS "SMTP_SERVER=h.example\nSMTP_PORT=tcp://10.0.0.1:25", "port = 587;" },
	{ DOMAINS "SMTP_SERVER=h.example\nSMTP_USERNAME=me\nSMTP_PASSWORD_FILE=FIXTURE/password", "login = \"me\";" },
	{ DOMAINS "POSTHOUSE_UPSTREAM_PROFILE=gmail\nPOSTHOUSE_UPSTREAM_LOGIN=a@gmail.com\nPOSTHOUSE_UPSTREAM_PASSWORD=x",
	  "host = \"smtp.gmail.com\";" },
	{ DOMAINS "RELAYHOST=smtp.gmail.com:587\nRELAYHOST_USERNAME=a@gmail.com\nXOAUTH2_CLIENT_ID=1\nXOAUTH2_SECRET=s\n"
		  "XOAUTH2_INITIAL_REFRESH_TOKEN=r\nXOAUTH2_INITIAL_ACCESS_TOKEN=a\n"
		  "XOAUTH2_TOKEN_ENDPOINT=https://accounts.google.com/o/oauth2/token",
	  "provider = \"google\";" },
	{ DOMAINS "MASQUERADED_DOMAINS=example.org", "sender = \"@.example.org\";" },
	{ DOMAINS "OVERWRITE_FROM=\"Our Name\" <all@example.org>", "to = \"all@example.org\";" },
	{ "POSTHOUSE_HOSTNAME=a.example.org\nPOSTMASTER_ADDRESS=p@example.org\nALLOW_EMPTY_SENDER_DOMAINS=true",
	  "addresses = [ \"*\" ];" },
	{ DOMAINS "MYNETWORKS=[2001:db8::]/64\nPOSTHOUSE_DEVICE_SENDER=app@example.org", "networks = [ \"2001:db8::/64\" ];" },
	{ DOMAINS "POSTHOUSE_DEVICES=192.0.2.8/30\nPOSTHOUSE_DEVICE_SENDER=app@example.org", "networks = [ \"192.0.2.8/30\" ];" },
	{ DOMAINS
	  "POSTHOUSE_CONFIG_EXTRA=queue = { lifetime = \"4d\"; }; limits = { connections = 9; };\nPOSTHOUSE_MESSAGE_SIZE=1M",
	  "connections = 9;" },
};

static void values(void **state_)
{
	struct buf b;

	for (size_t i = 0; i < sizeof becomes / sizeof becomes[0]; i++) {
		struct config *c = good(becomes[i].variables);

		buf_init(&b, 1 << 20);
		assert_true(config_dump(c, &b));
		if (str_search(buf_view(&b), str_of(becomes[i].line)) == b.n)
			fail_msg("%s\nshould give %s in\n%.*s", becomes[i].variables, becomes[i].line, STR_ARG(buf_view(&b)));
		buf_fini(&b);
		config_free(c);
	}
}

/* ---- what is wrong ---- */

static const struct {
	const char *variables, *variable, *words;
	bool warning;
} faulty[] = {
	{ DOMAINS "POSTHOUSE_HOSTNMAE=x", "POSTHOUSE_HOSTNMAE", "did you mean POSTHOUSE_HOSTNAME?", false },
	{ DOMAINS "POSTHOUSE_XYZZY_PLUGH_FROBNICATE=x", "POSTHOUSE_XYZZY_PLUGH_FROBNICATE", "no such variable", false },
	{ DOMAINS "POSTHOUSE_MESSAGE_SIZE=much", "POSTHOUSE_MESSAGE_SIZE", "expected a size", false },
	{ DOMAINS "POSTFIX_maximal_queue_lifetime=soon", "POSTFIX_maximal_queue_lifetime", "expected a duration", false },
	{ DOMAINS "POSTHOUSE_SET_queue__lifetmie=3d", "POSTHOUSE_SET_queue__lifetmie", "did you mean queue.lifetime", false },
	{ DOMAINS "POSTHOUSE_SET_routes=( { via = [ \"mx\" ];", "POSTHOUSE_SET_routes", "closing brackets", false },
	{ DOMAINS "POSTHOUSE_SET_log__level=debug\nPOSTHOUSE_LOG_LEVEL=info", "POSTHOUSE_SET_log__level",
	  "POSTHOUSE_LOG_LEVEL has it", false },
	{ DOMAINS "RELAYHOST=h.example\nRELAYHOST_USERNAME=me", "RELAYHOST_USERNAME", "password", false },
	{ DOMAINS "RELAYHOST=h.example\nRELAYHOST_TLS_LEVEL=sometimes", "RELAYHOST_TLS_LEVEL", "expected one of", false },
	{ DOMAINS "RELAYHOST=h.example\nRELAYHOST_TLS_LEVEL=encrpt", "RELAYHOST_TLS_LEVEL", "did you mean encrypt?", false },
	{ DOMAINS "RELAYHOST=h.example\nPOSTHOUSE_UPSTREAM=other.example", "RELAYHOST", "POSTHOUSE_UPSTREAM is set too", true },
	{ DOMAINS "ALLOWED_SENDER_DOMAINS=example.com", "ALLOWED_SENDER_DOMAINS", "POSTHOUSE_DOMAINS is set too", true },
	{ DOMAINS "LOG_FORMAT=xml", "LOG_FORMAT", "expected plain or json", true },
	{ DOMAINS "RELAYHOST=h.example:smtps", "RELAYHOST", "expected a number as port", false },
	{ DOMAINS "RELAYHOST=h.example\nRELAYHOST_USERNAME=me\nRELAYHOST_PASSWORD_FILE=/nowhere", "RELAYHOST_PASSWORD_FILE",
	  "No such file", false },
	{ DOMAINS "POSTHOUSE_LOG_LEVEL=info\nPOSTHOUSE_LOG_LEVEL_FILE=FIXTURE/format", "POSTHOUSE_LOG_LEVEL", "not both", false },
	{ DOMAINS "POSTHOUSE_USERS_FILE=FIXTURE/empty", "POSTHOUSE_USERS_FILE", "which is empty", false },
	{ DOMAINS "POSTHOUSE_USERS=alice", "POSTHOUSE_USERS", "NAME:PASSWORD", false },
	{ DOMAINS "POSTHOUSE_USER=alice", "POSTHOUSE_USER", "both POSTHOUSE_USER and", false },
	{ DOMAINS "POSTHOUSE_TLS_PORT=imaps", "POSTHOUSE_TLS_PORT", "expected a port", false },
	{ DOMAINS "POSTHOUSE_DEVICES=10.0.0.0/8\nPOSTHOUSE_DEVICE_SENDER=a@example.org", "POSTHOUSE_DEVICES", "larger than a /16",
	  false },
	{ DOMAINS "POSTHOUSE_DEVICES=0.0.0.0/0\nPOSTHOUSE_DEVICE_SENDER=a@example.org", "POSTHOUSE_DEVICES", "", false },
	{ DOMAINS "POSTHOUSE_DEVICES=192.0.2.8/30", "POSTHOUSE_DEVICES", "expected POSTHOUSE_DEVICE_SENDER", false },
	{ DOMAINS "POSTHOUSE_DEVICES=192.0.2.8/30\nPOSTHOUSE_DEVICE_SENDER=a@example.org", "POSTHOUSE_DEVICES",
	  "without a password", true },
	{ DOMAINS "MYNETWORKS=172.20.0.0/16", "MYNETWORKS", "only with POSTHOUSE_DEVICE_SENDER", true },
	{ DOMAINS "SMTP_HEADER_CHECKS=1", "SMTP_HEADER_CHECKS", "no rules for header fields", true },
	{ DOMAINS "OPENDKIM_Canonicalization=relaxed/simple", "OPENDKIM_Canonicalization", "DKIM is built in", true },
	{ DOMAINS "POSTFIX_smtpd_milters=inet:x:1", "POSTFIX_smtpd_milters", "DKIM is built in", true },
	{ DOMAINS "POSTFIX_frobnicate=1", "POSTFIX_frobnicate", "not known here", true },
	{ "POSTHOUSE_USERS=a@example.org:x", CONFIG_ENVIRONMENT, "the variable POSTHOUSE_HOSTNAME", false },
};

static void faults_of_variables(void **state_)
{
	for (size_t i = 0; i < sizeof faulty / sizeof faulty[0]; i++) {
		struct config_faults faults;
		struct config *c = load(faulty[i].variables, &faults);
		bool found = false;

		for (size_t k = 0; k < faults.n; k++)
			found |= faults.at[k].warning == faulty[i].warning && faults.at[k].line == 0 &&
				 str_starts(faults.at[k].file, str_of(faulty[i].variable)) &&
				 str_search(faults.at[k].text, str_of(faulty[i].words)) < faults.at[k].text.n + !*faulty[i].words;
		if (!found)
			fail_msg("%s\nshould say %s: %s\nsaid %s", faulty[i].variables, faulty[i].variable, faulty[i].words,
				 fixture_faults(&faults));
		config_free(c);
	}
}

/* What orchestrators set for services that are called so is not ours, and what is empty is not set. */
static void nothing_to_say(void **state_)
{
	struct config_faults faults;
	struct config *c = load(
		DOMAINS
		"POSTHOUSE_SERVICE_HOST=10.0.0.1\nPOSTHOUSE_SERVICE_PORT=587\nPOSTHOUSE_PORT=tcp://10.0.0.1:587\n"
		"POSTHOUSE_PORT_587_TCP=tcp://10.0.0.1:587\nPOSTHOUSE_PORT_587_TCP_PROTO=tcp\n"
		"POSTHOUSE_PORT_587_TCP_PORT=587\nPOSTHOUSE_PORT_587_TCP_ADDR=10.0.0.1\nPOSTHOUSE_UPSTREAM=\n"
		"POSTHOUSE_SERVICE_PORT_SMTP=587\nTZ=Europe/Prague\nPOSTHOUSE_ENV=yes\nPOSTHOUSE_LOCAL_DROP=/drop\nPATH=/bin\n"
		"POSTFIX_smtp_tls_wrappermode=yes\nDKIM_AUTOGENERATE=true",
		&faults);

	if (faults.n > 0)
		fail_msg("%s", fixture_faults(&faults));
	assert_int_equal(c->upstreams_n, 0);
	config_free(c);
}

/* Who cannot read all of it finds the relay nevertheless: beside the control socket, or where the variables say. */
static void places_with_faults(void **state_)
{
	struct config_faults faults;
	struct config *c = load(DOMAINS "POSTHOUSE_CONTROL=/srv/control.sock\nRELAYHOST_PASSWORD_FILE=/nowhere", &faults);

	assert_true(faults_serious(&faults));
	assert_true(str_eq(c->local.socket, S("/srv/submit.sock")));
	config_free(c);
	c = load(DOMAINS "POSTHOUSE_LOCAL_SOCKET=/a/s\nPOSTHOUSE_LOCAL_DROP=/a/d\nRELAYHOST_PASSWORD_FILE=/nowhere", &faults);
	assert_true(faults_serious(&faults));
	assert_true(str_eq(c->local.socket, S("/a/s")));
	assert_true(str_eq(c->local.drop, S("/a/d")));
	config_free(c);
}

/* ---- users, and what the command line makes ---- */
static void made(void **state_)
{
	struct config *c =
		good(DOMAINS "SMTPD_SASL_USERS=alice:one,bob@example.net:t:wo\nPOSTHOUSE_USER=carol\nPOSTHOUSE_PASSWORD=a,b\n"
			     "DKIM_SELECTOR=foo,example.net=bar");

	assert_int_equal(c->environment->users_n, 3);
	assert_true(str_eq(c->environment->users[0].login, S("alice")));
	assert_true(str_eq(c->environment->users[1].password, S("t:wo")));
	assert_true(str_eq(c->environment->users[2].password, S("a,b")));
	assert_int_equal(c->environment->selectors.n, 2);
	assert_true(c->environment->dkim);
	config_free(c);
	c = good("OPENDKIM_DOMAINS=example.org=sel example.net\nPOSTHOUSE_USERS_FILE=FIXTURE/users\nPOSTHOUSE_DKIM=no");
	assert_int_equal(c->environment->users_n, 2);
	assert_true(str_eq(c->environment->users[1].password, S("with, comma")));
	assert_true(str_eq(c->environment->domains.at[1], S("example.net")));
	assert_true(str_eq(c->environment->selectors.at[1], S("example.net=mail")));
	assert_false(c->environment->dkim);
	config_free(c);
}

/* ---- with a file ---- */

/* Variables replace what the file says, key by key and lists as a whole; what is built in gives way to the file. */
static void over_file(void **state_)
{
	struct config_faults faults;
	unsigned serious = 0;
	struct config *c;

	fixture_write("posthouse.conf",
		      "hostname = \"file.example.org\"; postmaster = \"file@example.org\";\n"
		      "log = { level = \"error\"; format = \"json\"; };\n"
		      "senders = ( { user = \"a\"; addresses = [ \"*\" ]; } );\n"
		      "upstreams = ( { name = \"file\"; host = \"f\"; } );\n"
		      "queue = { lifetmie = \"3d\"; };\n",
		      0600);
	set_all(DOMAINS "POSTHOUSE_LOG_LEVEL=debug\nRELAYHOST=h.example");
	config_use_environment(true);
	c = config_load(fixture_path("posthouse.conf"), &faults);
	for (size_t i = 0; i < faults.n; i++) /* the certificate does not bear that name */
		if (!faults.at[i].warning) {
			assert_true(str_ends(faults.at[i].file, S("/posthouse.conf")));
			assert_int_equal(faults.at[i].line, 5);
			serious++;
		}
	assert_int_equal(serious, 1);
	assert_true(str_eq(c->hostname, S("file.example.org")));
	assert_true(str_eq(c->postmaster, S("file@example.org")));
	assert_int_equal(c->log.level, LOG_DEBUG);
	assert_int_equal(c->log.format, LOG_FORMAT_JSON);
	assert_int_equal(c->senders_n, 1);
	assert_true(str_eq(c->senders[0].user, S("*")));
	assert_int_equal(c->upstreams_n, 1);
	assert_true(str_eq(c->upstreams[0].host, S("h.example")));
	config_free(c);
	config_use_environment(false);
	c = config_load(fixture_path("posthouse.conf"), &faults);
	assert_true(str_eq(c->upstreams[0].name, S("file")));
	assert_null(c->environment);
	config_free(c);
}

static int open_all(void **state_)
{
	int result = fixture_open(state_);

	snprintf(state, sizeof state, "%s/state", fixture_dir());
	fixture_write("format", "json\n\n", 0444);
	fixture_write("empty", "\n", 0444);
	fixture_write("users", "# of the mail team\nalice:one\n\nbob:with, comma\r\n", 0444);
	return result;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(values),         cmocka_unit_test(faults_of_variables),
					    cmocka_unit_test(nothing_to_say), cmocka_unit_test(places_with_faults),
					    cmocka_unit_test(made),           cmocka_unit_test(over_file) };

	return cmocka_run_group_tests_name("config environment", tests, open_all, fixture_close);
}
