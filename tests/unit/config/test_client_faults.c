/* test_client_faults.c - what `check` says of auth, proxies, devices, limits, rewriting and several certificates: one fault or warning each, with its line. */
#include "fixture.h"

#include "loader.h"

#include <stdio.h>

#define START HOST CERT "\n"

/* A device whose networks stand on line 3. */
#define DEVICE(networks, more)                                                                                                   \
	START "devices = ( { user = \"printer\"; sender = \"s@example.org\"; recipients = [ \"@example.org\" ];\n"               \
	      " networks = [ " networks " ]; " more " } );"

static const struct row auth[] = {
	{ START "auth = { backend = \"saslauthd\"; };", 0, NULL },
	{ START "auth = { backend = \"saslauthd\"; options = { saslauthd_path = \"/run/saslauthd/mux\"; }; };", 0, NULL },
	{ START "auth = { backend = \"saslauthd\"; mechanisms = [ \"PLAIN\",\n \"SCRAM-SHA-256\" ]; };", 3,
	  "cannot do \"SCRAM-SHA-256\"" },
	{ START "auth = { backend = \"sasldb\"; };", 0, NULL },
	{ START "auth = { backend = \"ldap\"; };", 2, "one of \"accounts\", \"sasldb\", \"saslauthd\", \"ldapdb\", \"sql\"" },
	{ START "auth = { backend = \"ldapdb\"; };", 2, "expected ldapdb_uri beside backend = \"ldapdb\"" },
	{ START "auth = { backend = \"sql\";\n options = { sql_database = \"d\"; sql_engine = \"sqlite3\"; }; };", 3,
	  "expected sql_select" },
	{ START "auth = { backend = \"sasldb\";\n options = { mech_list = \"PLAIN\"; }; };", 3,
	  "expected the key auth.mechanisms instead of mech_list" },
	{ START "auth = { backend = \"sasldb\"; options = {\n x = \"1\";\n x_file = \"password\"; }; };", 4, "not both" },
	{ START "auth = { backend = \"sasldb\"; options = {\n x_file = \"nowhere\"; }; };", 3, "auth.options.x_file: " },
	{ START "auth = { options = { x = \"1\"; }; };", 2, "not used while auth.backend is \"accounts\"", true },
	{ START "auth = { failures = \"\"; };", 0, NULL },
};

static const struct row proxies[] = {
	{ START "listen = ( { port = 25; tls = \"starttls\"; proxy_protocol = [ \"192.0.2.0/24\" ]; } );", 0, NULL },
	{ START "listen = ( { port = 25; tls = \"starttls\"; proxy_protocol = [ \"192.0.2.0/24\",\n \"0.0.0.0/0\" ]; } );", 3,
	  "\"0.0.0.0/0\" is everybody", true },
	{ START "listen = ( { port = 25; tls = \"starttls\"; proxy_protocol = [ \"::/0\" ]; } );", 2, "\"::/0\" is everybody",
	  true },
};

/* Addresses that no machine can have as its gateway. */
static const struct row devices[] = {
	/* the host or its network? */
	{ DEVICE("\"240.0.2.20/24\"", ""), 3, "an address, or a network such as" },
	{ DEVICE("\"240.0.2.1/31\"", "i_know = true;"), 3, "no bits set" },
	{ DEVICE("\"240.0.2.0/31\", \"240.0.3.0\", \"240.0.3.128/25\"", ""), 0, NULL },
	{ DEVICE("\"2001:db8:770::1/64\"", ""), 3, "not \"2001:db8:770::1/64\"" },
	{ DEVICE("\"2001:db8:770::8000:0:0:0/65\"", ""), 0, NULL },
	{ DEVICE("\"240.0.2.20/32\"", ""), 0, NULL },
	{ DEVICE("\"240.77.0.0/16\", \"2001:db8:770::/48\"", ""), 0, NULL },
	{ DEVICE("\"240.0.2.20\",\n \"240.18.0.0/15\"", ""), 4, "is larger than a /16" },
	{ DEVICE("\"2001:db8:770::/47\"", ""), 3, "is larger than a /16" },
	{ START "tls_report = { from = \"tls@example.org\"; };", 2, "no key for \"example.org\" in sign", true },
	{ START "tls_report = {\n contact = \"tls@example.org\"; };", 2, "no reports without tls_report.from", true },
	{ DEVICE("\"240.18.0.0/15\"", "i_know = true;"), 3, "is larger than a /16", true },
	{ DEVICE("\"240.0.2.0/24\"", "") "listen = ( { port = 25; tls = \"starttls\"; proxy_protocol = [ \"240.0.2.7\" ]; } );",
	  3, "the proxies 240.0.2.7" },
	{ DEVICE("\"240.0.2.7\"",
		 "i_know = true;") "listen = ( { port = 25; tls = \"starttls\"; proxy_protocol = [ \"240.0.2.0/24\" ]; } );",
	  3, "the proxies 240.0.2.0/24", true },
	{ DEVICE("\"127.0.0.1\"", ""), 3, "this machine's own address 127.0.0.1", true },
	{ DEVICE("\"127.0.0.1\"", "i_know = true;"), 0, NULL },
	{ DEVICE("\"240.0.2.20\"", "messages = [ \"5/1d\",\n \"7/24h\" ];"), 4,
	  "devices.messages: expected one rate for each time" },
};

static const struct row limits[] = {
	{ START "limits = { messages = [ \"5/1h\",\n \"6/60m\" ]; };", 3,
	  "limits.messages: expected one rate for each time; element 1" },
	{ START "limits = { users = ( { user = \"a\"; messages = [ \"5/1h\" ]; },\n { user = \"A@relay.example.org\"; } ); };", 3,
	  "expected one entry for \"a@relay.example.org\"; element 1" },
	{ START
	  "limits = { users = ( { user = \"a\"; }, { user = \"a/x\"; }, { user = \"a/y\"; }, { user = \"a@b.example\"; } ); };",
	  0, NULL },
	{ START "limits = { users = ( { user = \"a/x\"; }, { user = \"a\"; },\n { user = \"a/X\"; } ); };", 3,
	  "expected one entry" },
	{ START "limits = { users = ( { user = \"a\"; bytes = [ \"5M/1h\",\n \"7M/1h\" ]; } ); };", 3,
	  "limits.users.bytes: expected one rate" },
	{ START "limits = { users = ( { user = \"a/x\"; connections = 5; } ); };", 2, "expected only messages, recipients" },
};

static const struct row rewriting[] = {
	{ START
	  "rewrite = ( { sender = \"@a.lan\"; to = \"@example.org\"; },\n { recipient = \"*\"; to = \"a@example.org\"; } );",
	  0, NULL },
	{ START "rewrite = ( { sender = \"@a.lan\"; to = \"@example.org\"; },\n { to = \"a@example.org\"; } );", 3,
	  "expected either sender or recipient, the pattern" },
	{ START "rewrite = ( { sender = \"@a.lan\"; recipient = \"@a.lan\"; to = \"@example.org\"; } );", 2, "not both" },
};

#define SEVERAL(two) HOST "\ncertificates = ( { chain = \"chain.pem\"; key = \"key.pem\"; },\n { " two " } );"
static const struct row certificates[] = {
	{ SEVERAL("chain = \"ca.pem\"; key = \"other.key\";"), 0, NULL },
	{ SEVERAL("chain = \"ca.pem\";\n key = \"key.pem\";"), 4, "the key that belongs to the certificate" },
	{ SEVERAL("chain = \"ca.pem\";\n key = \"nowhere\";"), 4, "No such file" },
	{ SEVERAL("key = \"key.pem\";\n chain = \"key.pem\";"), 4, "expected a certificate in PEM form" },
	{ SEVERAL("chain = \"old.pem\"; key = \"key.pem\";"), 3, "has expired", true },
	{ "hostname = \"other.example\"; postmaster = \"p@example.org\";\n"
	  "certificates = ( { chain = \"chain.pem\"; key = \"key.pem\"; }, { chain = \"ca.pem\"; key = \"other.key\"; } );",
	  2, "none of the certificates bears the name \"other.example\"", true },
};

/* Names and values that people bring from other programs. */
static const struct row foreign[] = {
	{ START "mynetworks = \"127.0.0.0/8\";", 2,
	  "unknown key mynetworks; what Postfix calls so is devices here: one sender each" },
	{ START "MyHostname = \"a.example\";", 2, "unknown key MyHostname; what Postfix calls so is hostname here" },
	{ START "mydestination = \"a\";", 2, "it is Postfix's, and has no key here: there are no mailboxes" },
	{ START "queue = { maximal_queue_lifetime = \"5d\"; };", 2, "what Postfix calls so is queue.lifetime here" },
	{ START "dc_smarthost = \"x\";", 2, "what Exim calls so is upstreams here" },
	{ START "\nmyhostname = mail.example.org", 3, "missing); myhostname: what Postfix calls so is hostname here" },
	{ START "queue.lifetime = \"5d\";", 2, "queue.lifetime is written queue = { lifetime = ...; };" },
	{ HOST CERT "\nupstreams = ( { name = \"b\"; host = \"[smtp.isp.example]:587\"; } );", 2,
	  "upstreams.host: expected host = \"smtp.isp.example\"; port = 587;" },
	{ HOST CERT "\nupstreams = ( { name = \"b\"; host = \"[smtp.isp.example]\"; } );", 2, "without brackets" },
	{ START "report_sender = \"$mydomain\";", 2, "report_sender: expected the value itself" },
	{ START "rewrite = ( { sender = \"hash:/etc/postfix/canonical\"; to = \"a@a.example\"; } );", 2, "there are no tables" },
};

static bool as_expected(const struct config_faults *faults, const struct row *row)
{
	const struct config_fault *f = faults->at;

	if (!row->words)
		return faults->n == 0;
	return faults->n == 1 && f->line == row->line && f->warning == row->warning &&
	       str_search(f->text, str_of(row->words)) < f->text.n;
}

static void run(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct config_faults faults;
		struct config *c = fixture_load(rows[i].text, &faults);

		if (!as_expected(&faults, &rows[i]))
			fail_msg("%s\nshould say %u: %s\nsaid %s", rows[i].text, rows[i].line,
				 rows[i].words ? rows[i].words : "nothing", fixture_faults(&faults));
		config_free(c);
	}
}

#define TABLE(name)                                                                                                              \
	static void name##_table(void **state)                                                                                   \
	{                                                                                                                        \
		run(name, sizeof(name) / sizeof(name[0]));                                                                       \
	}
TABLE(auth)
TABLE(proxies)
TABLE(devices)
TABLE(limits)
TABLE(rewriting)
TABLE(certificates)
TABLE(foreign)

static const struct row local[] = {
	{ START "local = { socket = \"\"; drop = \"\"; };", 0, NULL },
	{ START "local = { socket = \"/run/x.sock\"; drop = \"drop\"; users = ( { user = \"daemon\"; }, { user = \"*\"; } ); };",
	  0, NULL },
	{ START "local = { sockt = \"x\"; };", 2, "unknown key local.sockt; did you mean local.socket?" },
	{ START "control = \"c.sock\";\nlocal = { socket = \"c.sock\"; };", 3, "expected another path than that of the control" },
	{ START "local = { users = (\n { login = \"web\"; } ); };", 3, "expected the key local.users.user" },
	{ START "local = { users = (\n { user = \"a b\"; } ); };", 3, "the name of a user of this machine, its number, or" },
	{ START "local = { users = ( { user = \"daemon\"; },\n { user = \"daemon\"; } ); };", 3, "element 1 of the list is one" },
	{ START "local = { users = ( { user = \"daemon\";\n refuse = true; login = \"web\"; } ); };", 3, "expected no login" },
	{ START "local = { users = (\n { user = \"nobody-has-this\"; } ); };", 3, "is no user of this machine", true },
	{ START "local = { users = ( { user = \"33\"; login = \"web\";\n sender = \"x@example.org\"; } ); };", 3,
	  "a sender that the login \"web@relay.example.org\" is allowed to use" },
	{ START "local = { users = ( { user = \"daemon\";\n sender = \"x@example.org\"; } ); };", 3,
	  "a sender that the login \"daemon@relay.example.org\" is allowed to use" },
	{ START
	  "local = { users = ( { user = \"root\"; sender = \"x@example.org\"; },\n { user = \"0\"; sender = \"y@z.example\"; }, "
	  "{ user = \"*\"; sender = \"y@z.example\"; } ); };",
	  0, NULL },
	{ START "senders = ( { user = \"web\"; addresses = [ \"@example.org\" ]; } );\n"
		"local = { users = ( { user = \"daemon\"; login = \"WEB\"; sender = \"x@example.org\"; } ); };",
	  0, NULL },
};
TABLE(local)

/* The gateway of this machine, if it has one. */
static void gateway(void **state)
{
	static char text[4096];
	struct arena a = { 0 };
	struct str_list found = gateways_read(&a);
	struct config_faults faults;
	struct config *c;

	if (found.n == 0) {
		arena_fini(&a);
		skip();
	}
	for (int i_know = 0; i_know < 2; i_know++) {
		struct row row = { text, 3, "default gateway", i_know };

		snprintf(
			text, sizeof(text),
			"%sdevices = ( { user = \"p\"; sender = \"s@example.org\"; recipients = [ \"*\" ];\n networks = [ \"%.*s\" ]; %s } );",
			START, STR_ARG(found.at[0]), i_know ? "i_know = true;" : "");
		c = fixture_load(text, &faults);
		if (!as_expected(&faults, &row))
			fail_msg("%s\nsaid %s", text, fixture_faults(&faults));
		config_free(c);
	}
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(auth_table),    cmocka_unit_test(proxies_table),   cmocka_unit_test(devices_table),
		cmocka_unit_test(limits_table),  cmocka_unit_test(rewriting_table), cmocka_unit_test(certificates_table),
		cmocka_unit_test(foreign_table), cmocka_unit_test(local_table),     cmocka_unit_test(gateway),
	};

	return cmocka_run_group_tests_name("config client faults", tests, fixture_open, fixture_close);
}
