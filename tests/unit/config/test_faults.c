/* test_faults.c - bad configurations: every fault has its line and says what was expected. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* libconfig 1.5 itself loses the text that stands where a syntax error is. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig.so";
}

/* A good start on line 1, so that the text under test begins on line 2. */
#define CLIENT "certificate = \"chain.pem\"; certificate_key = \"key.pem\"; "
#define UP     "upstreams = ( { name = \"isp\"; host = \"smtp.isp.example\"; } ); "
#define START  HOST CERT UP "\n"

static const struct row keys[] = {
	{ CERT UP "postmaster = \"p@a.example\";", 0, "hostname" },
	{ CERT UP "hostname = \"relay.example.org\";", 0, "postmaster" },
	{ HOST UP, 0, "expected the key certificates" },
	{ HOST CERT "\nupstreams = ( { host = \"h\"; } );", 2, "expected the key upstreams.name" },
	{ HOST CERT "\nupstreams = ( { name = \"a\"; } );", 2, "expected the key upstreams.host" },
	{ HOST CERT "\nupstreams = ( { name = \"a\"; host = \"\"; } );", 2, "expected the key upstreams.host" },
	{ START "routes = ( { senders = [ \"*\" ]; } );", 2, "expected the key routes.via" },
	{ HOST CERT "\nupstreams = ( { name = \"a\"; profil = \"gmail\"; host = \"h\"; } );", 2,
	  "did you mean upstreams.profile?" },
	{ START "hostnam = \"x\";", 2, "unknown key hostnam; did you mean hostname?" },
	{ START "\n\nqueue = {\n lifetmie = \"5d\"; };", 5, "unknown key queue.lifetmie; did you mean queue.lifetime?" },
	{ START "message_size = \"5M\";", 2, "did you mean limits.message_size?" },
	{ START "xyzzy = 1;", 2, "unknown key xyzzy" },
	{ START "listen = (\n{ port = 25;\n tls = \"starttls\";\n prot = 26; } );", 5,
	  "unknown key listen.prot; did you mean listen.port?" },
	{ HOST CERT "\nupstreams = ( { name = \"a\"; host = \"b\";\n ca_pem = \"x\"; } );", 3, "unknown key upstreams.ca_pem" },
	{ START "log = { level_file = \"x\"; };", 2, "unknown key log.level_file" },
	{ START "hostname = \"b.example\";", 2, "duplicate" },
	{ START "listen = ( { tls = \"starttls\"; } );", 2, "expected the key listen.port" },
	{ START "\nlisten = (\n{ port = 25; } );", 4, "expected the key listen.tls" },
	{ START "senders = ( { user = \"a\"; } );", 2, "expected the key senders.addresses" },
};

static const struct row types[] = {
	{ START "metrics = \"9587\";", 2, "an address and a port" },
	{ START "metrics = \"127.0.0.1:65536\";", 2, "an address and a port" },
	{ START "metrics = \"localhost:9587\";", 2, "an address and a port" },
	{ START "metrics = \"::1:9587\";", 2, "an address and a port" },
	{ START "metrics = \"[127.0.0.1]:9587\";", 2, "an address and a port" },
	{ HOST CERT UP "\nshutdown_grace = 20;", 2, "shutdown_grace: expected a duration" },
	{ START "shutdown_grace = \"20\";", 2, "not \"20\"" },
	{ START "shutdown_grace = \"20m\";", 2, "from \"0s\" to \"10m\"" },
	{ START "submission = { errors = 0; };", 2, "a whole number, from 1 to 1000" },
	{ START "submission = { errors = -5; };", 2, "a whole number, from 1 to 1000" },
	{ START "submission = { errors = \"5\"; };", 2, "a whole number" },
	{ START "submission = { errors = 5.5; };", 2, "a whole number" },
	{ START "queue = { max_messages = 4294967297000; };", 2, "from 1 to 100000000" },
	{ START "queue = { max_messages = 4294967297; };", 2, "from 1 to 100000000" },
	{ START "queue = { max_messages = 0x100000001; };", 2, "from 1 to 100000000" },
	{ START "queue = { max_messages = 99999999999999999999; };", 2, "expected a smaller number" },
	{ START "queue = { retry = [ ]; };", 2, "at least one element" },
	{ START "doctor = { spamhaus_key = \"a.b\"; };", 2, "expected letters and digits" },
	{ START "tls_report = { from = \"example.org\"; };", 2, "tls_report.from: expected" },
	{ START "queue = { retry = \"5m\"; };", 2, "queue.retry: expected a list" },
	{ START "queue = { retry = [ \"5m\",\n \"x\" ]; };", 3, "queue.retry: expected" },
	{ START "delivery = { ipv4 = \"yes\"; };", 2, "true or false" },
	{ START "delivery = { ipv4 = false; ipv6 = false; };", 2, "expected ipv4 or ipv6" },
	{ START "log = { level = \"loud\"; };", 2, "expected one of \"debug\", \"info\", \"warning\", \"error\", not \"loud\"" },
	{ START "log = \"info\";", 2, "log: expected a group" },
	{ START "listen = { port = 25; };", 2, "listen: expected a list of groups" },
	{ START "listen = ( );", 2, "at least one element" },
	{ START "listen = ( 25 );", 2, "listen: expected each element to be a group" },
	{ START "listen = ( { port = 70000; tls = \"starttls\"; } );", 2, "from 1 to 65535" },
	{ START "listen = ( { port = 25; tls = \"starttls\"; address = \"localhost\"; } );", 2, "an IPv4 or IPv6 address" },
	{ START "queue = { warn_after = \"31d\"; };", 2, "from \"0s\" to \"30d\"" },
	{ START "delivery = { port = 0; };", 2, "from 1 to 65535" },
	{ START "delivery = { source = \"192.0.2.1\"; };", 2, "delivery.source: expected a list" },
	{ START "delivery = { source = [ \"*\" ]; };", 2, "address of this machine" },
	{ START "delivery = { source = [ \"0.0.0.0\" ]; };", 2, "address of this machine" },
	{ START "delivery = { source = [ \"192.0.2.1\",\n \"::\" ]; };", 3, "address of this machine" },
	{ START "delivery = { source = [ \"224.0.0.1\" ]; };", 2, "address of this machine" },
	{ START "delivery = { source = [ \"255.255.255.255\" ]; };", 2, "address of this machine" },
	{ START "delivery = { source = [ \"ff02::1\" ]; };", 2, "address of this machine" },
	{ START "delivery = { source = [ \"::ffff:192.0.2.1\" ]; };", 2, "address of this machine" },
	{ START "delivery = { source = [ \"relay.example.org\" ]; };", 2, "address of this machine" },
	{ START "delivery = { resolver = \"dns.example.org\"; };", 2, "delivery.resolver: expected \"recursive\"" },
	{ START "delivery = { resolver = \"127.0.0.1:53\"; };", 2, "delivery.resolver: expected" },
	{ START "delivery = { resolver = \"127.0.0.1@0\"; };", 2, "delivery.resolver: expected" },
	{ START "delivery = { resolver = \"127.0.0.1@65536\"; };", 2, "delivery.resolver: expected" },
	{ START "delivery = { resolver = \"127.0.0.1 recursive\"; };", 2, "delivery.resolver: expected" },
	{ START "delivery = { resolver = \"127.0.0.1,::1\"; };", 2, "delivery.resolver: expected" },
	{ START "delivery = { resolver = \" \"; };", 2, "delivery.resolver: expected" },
	{ START "delivery = { resolver = \"::1 ::1 ::1 ::1 ::1 ::1 ::1 ::1 ::1\"; };", 2, "delivery.resolver: expected" },
	{ START "delivery = { trust_anchor = \"nowhere.key\"; };", 2, "No such file" },
	{ START "delivery = { trust_anchor = \".\"; };", 2, "is a directory" },
	{ START "delivery = { trust_anchor = \"empty\"; };", 2, "is empty" },
	{ START "routes = ( { via = \"isp\"; } );", 2, "routes.via: expected a list" },
	{ START "routes = ( { via = [ \"a b\" ]; } );", 2, "a name of letters" },
	{ START "routes = ( { via = [ \"isp\" ]; senders = [ \"example.org\" ]; }, { via = [ \"isp\" ]; } );", 2,
	  "routes.senders: expected" },
	{ START "routes = ( { via = [ \"isp\" ]; recipients = \"*\"; }, { via = [ \"isp\" ]; } );", 2,
	  "routes.recipients: expected a list" },
	{ START "routes = ( { via = [ \"isp\" ]; users = [ \"a b\" ]; }, { via = [ \"isp\" ]; } );", 2,
	  "routes.users: expected" },
	{ START "routes = ( { via = [ \"isp\" ]; users = [ \"alice/phone\" ]; }, { via = [ \"isp\" ]; } );", 2,
	  "routes.users: expected" },
	{ START "routes = ( { via = [ \"isp\" ]; users = [ \"a@\" ]; }, { via = [ \"isp\" ]; } );", 2, "routes.users: expected" },
	{ HOST CERT "\nupstreams = ( { name = \"a\"; host = \"h\"; login = \"me\"; } );", 2,
	  "password_file (or password) beside login" },
	{ HOST CERT
	  "\nupstreams = ( { name = \"a\"; host = \"h\"; login = \"me\"; oauth = { provider = \"fastmail\"; client_id = \"i\"; };\n"
	  "mechanisms = [ \"XOAUTH2\", \"PLAIN\" ]; } );",
	  3, "expected \"PLAIN\" only beside a login with a password; a login by oauth never uses one" },
	{ HOST CERT
	  "\nupstreams = ( { name = \"a\"; host = \"h\"; login = \"me\"; password = \"p\";\nmechanisms = [ \"XOAUTH2\" ]; } );",
	  3, "expected \"XOAUTH2\" only beside oauth" },
	{ HOST CERT "\nupstreams = ( { name = \"a\"; host = \"h\"; login = \"me\"; password = \"p\";\n"
		    "mechanisms = [ \"EXTERNAL\" ]; } );",
	  3, "expected \"EXTERNAL\" only beside certificate" },
	{ HOST CERT "\nupstreams = ( { name = \"a\"; host = \"h\"; certificate = \"chain.pem\"; } );", 2,
	  "expected both certificate and certificate_key" },
	{ HOST CERT "\nupstreams = ( { name = \"a\"; host = \"h\"; certificate_key = \"key.pem\"; } );", 2,
	  "expected both certificate and certificate_key" },
	{ HOST CERT
	  "\nupstreams = ( { name = \"a\"; host = \"h\"; certificate = \"chain.pem\";\ncertificate_key = \"rsa.key\"; } );",
	  3, "upstreams.certificate_key: expected the key that belongs to the certificate" },
	{ HOST CERT
	  "\nupstreams = ( { name = \"a\"; host = \"h\"; certificate = \"ed448.pem\";\ncertificate_key = \"ed448.key\"; } );",
	  3, "upstreams.certificate_key: expected a key of the kind RSA, EC" },
	{ HOST CERT
	  "\nupstreams = ( { name = \"a\"; host = \"h\"; certificate = \"key.pem\"; certificate_key = \"key.pem\"; } );",
	  2, "upstreams.certificate: expected a certificate" },
	{ HOST CERT "\nupstreams = ( { name = \"a\"; host = \"h\"; " CLIENT "\ntls = \"none\"; } );", 3,
	  "a certificate is shown in TLS" },
	{ HOST CERT "\nupstreams = ( { name = \"a\"; host = \"h\"; login = \"me\"; " CLIENT "\nmechanisms = [ \"PLAIN\" ]; } );",
	  3, "expected \"PLAIN\" only beside a login with a password" },
	{ HOST CERT "\nupstreams = ( { name = \"a\"; profile = \"gnail\"; } );", 2,
	  "upstreams.profile: expected one of \"gmail\", \"google-workspace\", " },
	{ HOST CERT "\nupstreams = ( { name = \"a\"; profile = \"gnail\"; } );", 2, "\"unisender\", not \"gnail\"" },
	{ HOST CERT "\nupstreams = ( { name = \"a\"; host = \"h\"; messages = [ \"5\" ]; } );", 2, "a rate such as" },
	{ HOST CERT "\nupstreams = ( { name = \"a\"; host = \"h\"; messages = [ \"0/1m\" ]; } );", 2, "a rate such as" },
	{ HOST CERT "\nupstreams = ( { name = \"a\"; host = \"h\"; messages = \"5/1m\"; } );", 2,
	  "upstreams.messages: expected a list" },
	{ HOST CERT "\nupstreams = ( { name = \"a\"; host = \"h\"; report_sender = \"<>\"; } );", 2, "a mail address" },
	{ START "tls_minimum = 1.2;", 2, "tls_minimum: expected one of" },
	{ START "tls_minimum = \"1.0\";", 2, "one of \"1.2\", \"1.3\"; hosts that can do only older ones are listed in devices" },
	{ START "auth = { failures = \"10\"; };", 2, "or \"\" for none, not \"10\"" },
	{ START "auth = { options = \"x\"; };", 2, "auth.options: expected a group" },
	{ START "auth = { options = [ ]; };", 2, "auth.options: expected a group" },
	{ START "auth = { options = {\n x = [ 1 ]; }; };", 3, "auth.options.x: expected a text, a whole number, true or false" },
	{ START "limits = { messages = [ \"\" ]; };", 2, "limits.messages: expected" },
	{ START "limits = { messages = \"5/1h\"; };", 2, "limits.messages: expected a list" },
	{ START "limits = { over = \"later\"; };", 2, "one of \"reject\", \"hold\"" },
	{ START "limits = { users = ( { user = \"a\"; over = \"later\"; } ); };", 2, "expected one of \"reject\", \"hold\"" },
	{ START "limits = { users = ( { user = \"a/\"; } ); };", 2, "limits.users.user: expected a login" },
	{ START "limits = { priority = 10; };", 2, "from 0 to 9" },
	{ START "rewrite = ( { sender = \"*\"; to = \"@\"; } );", 2, "a mail address, or \"@domain\"" },
	{ START "rewrite = ( { sender = \"*\"; } );", 2, "expected the key rewrite.to" },
	{ START "devices = ( { x = 1; networks = [ \"240.0.2.1\" ]; user = \"a\"; sender = \"a@b\"; recipients = [ \"*\" ]; } );",
	  2, "unknown key devices.x" },
	{ START "devices = ( { networks = [ \"240.0.2.1\" ]; user = \"a\"; sender = \"a@b\"; recipients = [ ]; } );", 2,
	  "at least one" },
	{ START "auth = { mechanisms = [ ]; };", 2, "at least one element" },
	{ START "limits = { message_size = \"50MB\"; };", 2, "a size such as" },
	{ "hostname = \"relay\"; postmaster = \"p@a.example\"; " CERT UP, 1, "a full host name" },
	{ "hostname = \"192.0.2.1\"; postmaster = \"p@a.example\"; " CERT UP, 1, "a full host name" },
	{ "hostname = \"relay.example.org\"; postmaster = \"root\"; " CERT UP, 1, "a mail address" },
	{ START "senders = ( { user = \"a b\"; addresses = [ \"*\" ]; } );", 2, "a login" },
	{ START "senders = ( { user = \"a\"; addresses = [ \"example.org\" ]; } );", 2, "a pattern" },
	{ START "senders = ( { user = \"a\"; addresses = [ \"a@b\", \"@\" ]; } );", 2, "a pattern" },
	{ START "state_dir = \"\";", 2, "the path of a file or directory" },
	{ START "run_as = \"a\\x01\";", 2, "a name of letters" },
	{ HOST CERT "\nupstreams = ( { name = \"a b\"; host = \"h\"; } );", 2, "a name of letters" },
	{ HOST CERT "\nupstreams = ( { name = \"a\"; host = \"smtp://h\"; } );", 2, "a host name or an IP address" },
	{ HOST CERT "\nupstreams = ( { name = \"a\"; host = \"h\"; tls = \"yes\"; } );", 2, "one of \"implicit\", \"starttls\"" },
};

static const struct row together[] = {
	{ START "listen = ( { port = 25; tls = \"starttls\"; },\n { port = 25; tls = \"implicit\"; address = \"127.0.0.1\"; } );",
	  3, "25 is taken" },
	{ START "senders = ( { user = \"a\"; addresses = [ \"*\" ]; },\n { user = \"A\"; addresses = [ \"*\" ]; } );", 3,
	  "one entry for the login" },
	{ START "routes = ( { via = [\n \"other\" ]; } );", 3, "there is none called \"other\"" },
	{ START "routes = ( { via = [ \"mx\",\n \"MX\" ]; } );", 3, "there is none called \"MX\"" },
	{ START "routes = ( { via = [ \"isp\", \"mx\",\n \"isp\" ]; } );", 3, "\"isp\" is named already" },
	{ START "routes = ( { via = [ \"isp\" ]; },\n { via = [ \"mx\" ]; senders = [ \"@a.example\" ]; } );", 3,
	  "never reached: element 1", true },
	{ START
	  "routes = ( { via = [ \"isp\" ]; senders = [ \"@a.example\", \"*\" ]; users = [ \"*\" ]; },\n { via = [ \"mx\" ]; } );",
	  3, "never reached: element 1", true },
	{ START "routes = ( { via = [ \"mx\" ]; recipients = [ \"@a.example\" ]; },\n"
		"{ via = [ \"isp\" ]; users = [ \"web\" ]; } );",
	  3, "expected a last one without conditions", true },
	{ START "routes = ( { via = [ \"mx\" ]; } );", 1, "\"isp\" is named by no route", true },
	{ HOST CERT "\nupstreams = ( { name = \"a\"; host = \"h\"; messages = [ \"5/1m\", \"100/1h\",\n \"7/60s\" ]; } );", 3,
	  "element 1 of the list has the same" },
	{ START "delivery = { source = [ \"192.0.2.1\", \"::1\",\n \"192.0.2.2\" ]; };", 3, "at most one IPv4 address" },
	{ START "delivery = { source = [ \"192.0.2.1\",\n \"::1\", \"::2\" ]; };", 3, "at most one IPv6 address" },
	{ START "delivery = { ipv6 = false; source = [ \"::1\" ]; };", 2, "is not used while ipv6 is false", true },
	{ START "queue = { lifetime = \"3h\"; warn_after = \"3h\"; };", 2, "nobody will be warned", true },
	{ START "routes = ( { via = [ ]; } );", 2, "at least one element" },
	{ HOST CERT "\nupstreams = ( { name = \"a\"; host = \"h\"; }, { name = \"b\"; host = \"h\"; } );", 2,
	  "expected the key routes" },
	{ HOST CERT
	  "routes = ( { via = [ \"a\" ]; } );\nupstreams = ( { name = \"a\"; host = \"h\"; },\n { name = \"a\"; host = \"h\"; } );",
	  3, "a name of its own" },
	{ HOST CERT
	  "routes = ( { via = [ \"a\" ]; } );\nupstreams = ( { name = \"a\"; host = \"h\"; },\n { name = \"b\"; host = \"h\"; } );",
	  3, "no route", true },
	{ HOST CERT "\nupstreams = ( { name = \"MX\"; host = \"h\"; } );", 2, "direct delivery" },
	{ HOST CERT "\nupstreams = ( { name = \"a\"; host = \"h\"; login = \"me\"; } );", 2, "expected password_file" },
	{ HOST CERT "\nupstreams = ( { name = \"a\"; host = \"h\"; password = \"x\"; } );", 2, "expected login" },
	{ HOST CERT
	  "\nupstreams = ( { name = \"a\"; host = \"h\"; login = \"me\"; password = \"x\"; password_file = \"password\"; } );",
	  2, "not both" },
	{ HOST CERT "\nupstreams = ( { name = \"a\"; host = \"h\"; login = \"me\"; password_file = \"nowhere\"; } );", 2,
	  "No such file" },
	{ HOST CERT "\nupstreams = ( { name = \"a\"; host = \"h\"; login = \"me\"; password_file = \".\"; } );", 2,
	  "is a directory" },
	{ HOST CERT "\nupstreams = ( { name = \"a\"; host = \"h\"; login = \"me\"; password_file = \"chain.pem\"; } );", 2,
	  "one line of text" },
	{ HOST CERT "\nupstreams = ( { name = \"a\"; host = \"h\"; login = \"me\"; password_file = \"readable\"; } );", 2,
	  "everybody can read", true },
	{ HOST CERT
	  "\nupstreams = ( { name = \"a\"; host = \"h\"; login = \"me\"; password_file = \"password\";\n tls = \"none\"; } );",
	  3, "never sent without TLS" },
	{ HOST CERT
	  "\nupstreams = ( { name = \"a\"; host = \"h\"; login = \"me\"; password_file = \"password\";\n tls = \"opportunistic\"; } );",
	  3, "whoever answers", true },
	{ START "control = \"\";", 2, "107 bytes" },
	{ START
	  "control = \"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789/x\";",
	  2, "directory is put before" },
	{ START
	  "control = \"/01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\";",
	  2, "107 bytes" },
};

static const struct row key_files[] = {
	{ HOST UP "\ncertificates = ( { chain = \"\";\n key = \"key.pem\"; } );", 2, "the path of a file" },
	{ HOST UP "\ncertificates = ( { chain = \"nowhere\";\n key = \"key.pem\"; } );", 2, "No such file" },
	{ HOST UP "\ncertificates = ( { chain = \"chain.pem\";\n key = \"nowhere\"; } );", 3, "No such file" },
	{ HOST UP "\ncertificates = ( { chain = \"key.pem\";\n key = \"key.pem\"; } );", 2,
	  "expected a certificate in PEM form" },
	{ HOST UP "\ncertificates = ( { chain = \"chain.pem\";\n key = \"chain.pem\"; } );", 3,
	  "expected a private key in PEM form" },
	{ HOST UP "\ncertificates = ( { chain = \"chain.pem\";\n key = \"locked.key\"; } );", 3, "without passphrase" },
	{ HOST UP "\ncertificates = ( { chain = \"chain.pem\";\n key = \"other.key\"; } );", 3,
	  "the key that belongs to the certificate" },
	{ HOST UP "\ncertificates = ( { chain = \"chain.pem\";\n key = \"weak.key\"; } );", 3, "a stronger key" },
	{ HOST UP "\ncertificates = ( { chain = \"old.pem\";\n key = \"key.pem\"; } );", 2, "has expired", true },
	{ HOST UP "\ncertificates = ( { chain = \"soon.pem\";\n key = \"key.pem\"; } );", 2, "expires in 3 days", true },
	{ "hostname = \"other.example\"; postmaster = \"p@a.example\"; " UP CERT, 1, "does not bear the name", true },
	{ START "sign = ( { domain = \"a.example\"; selector = \"s\";\n key = \"nowhere\"; } );", 3, "No such file" },
	{ START "sign = ( { domain = \"a.example\"; selector = \"s\"; key = \"key.pem\"; } );", 2, "an RSA or Ed25519 key" },
	{ START "sign = ( { domain = \"a.example\"; selector = \"s\"; key = \"tiny.key\"; } );", 2,
	  "at least 1024 bits, not 512" },
	{ START "sign = ( { domain = \"a.example\"; selector = \"s\"; key = \"weak.key\"; } );", 2, "is weak", true },
	{ START "sign = ( { domain = \"a.example\"; selector = \"s\"; key = \"rsa.key\";\n state = \"old\"; } );", 3, "state" },
	{ START "sign = ( { domain = \"a.example\"; selector = \"s\"; key = \"rsa.key\";\n since = \"yesterday\"; } );", 3,
	  "a time such as" },
	{ START "sign = ( { domain = \"a.example\"; selector = \"s\"; key = \"open.key\"; } );", 2,
	  "everybody can read the private key", true },
	{ START
	  "sign = ( { domain = \"a.example\"; selector = \"s\"; key = \"rsa.key\"; },\n { domain = \"A.example\"; selector = \"S\"; key = \"rsa.key\"; } );",
	  3, "a selector of its own" },
	{ HOST CERT "\nupstreams = ( { name = \"a\"; host = \"h\"; ca = \"password\"; } );", 2, "certificates in PEM form" },
};

static const struct row syntax[] = {
	{ START "queue = { lifetime \"5d\"; };", 2, "syntax error" },
	{ START "hostname = \"a.example\n\";", 2, "closing quote" },
	{ START "/* never ends\n\n", 2, "*/" },
	{ START "log = { level = \"info\";\n", 3, "syntax error" },
	{ START "@include \"nowhere.conf\"", 2, "No such file" },
	{ START "\n@include \"nowhere/*.conf\"", 3, "No such file" },
	{ START "@include \"*nf\"", 2, "fewer includes" },
	{ START "upstreams*2 = ( );", 2, "unknown key upstreams*2" },
	{ START "@include nowhere", 2, "@include \"path\"" },
	{ START "@include \"posthouse.conf\"", 2, "fewer includes" },
};

static bool has(const struct config_faults *faults, const struct row *row)
{
	for (size_t i = 0; i < faults->n; i++) {
		const struct config_fault *f = &faults->at[i];

		if (f->line == row->line && f->warning == row->warning && str_search(f->text, str_of(row->words)) < f->text.n &&
		    str_eq(f->file, str_of(fixture_path("posthouse.conf"))))
			return true;
	}
	return false;
}

/* A fault and no other, except where one thing is wrong in two ways. */
static void run(const struct row *rows, size_t n, size_t most)
{
	for (size_t i = 0; i < n; i++) {
		struct config_faults faults;
		struct config *c = fixture_load(rows[i].text, &faults);

		if (!has(&faults, &rows[i]) || faults.n > most)
			fail_msg("%s\nshould say %u: %s\nsaid %s", rows[i].text, rows[i].line, rows[i].words,
				 fixture_faults(&faults));
		config_free(c);
	}
}

#define TABLE(name, most)                                                                                                        \
	static void name##_table(void **state)                                                                                   \
	{                                                                                                                        \
		run(name, sizeof(name) / sizeof(name[0]), most);                                                                 \
	}
TABLE(keys, 1)
TABLE(types, 1)
TABLE(together, 1)
TABLE(key_files, 2)
TABLE(syntax, 1)

/* All in one run, in the order of the lines. */
static void several(void **state)
{
	static const char text[] = "hostname = \"relay\";\n"
				   "certificates = ( { chain = \"nowhere\"; key = \"key.pem\"; } );\n"
				   "upstreams = ( { name = \"isp\"; hots = \"h\"; } );\n"
				   "metrics = \"x\";\n"
				   "queue = { lifetime = 5; };\n"
				   "routes = ( { via = [ \"other\" ]; } );\n";
	static const struct {
		unsigned line;
		const char *words;
	} expected[] = {
		{ 0, "postmaster" },
		{ 1, "a full host name" },
		{ 2, "No such file" },
		{ 3, "did you mean upstreams.host" },
		{ 3, "expected the key upstreams.host" },
		{ 4, "an address and a port" },
		{ 5, "a duration" },
		{ 6, "there is none called" },
	};
	struct config_faults faults;
	struct config *c = fixture_load(text, &faults);

	if (faults.n != sizeof(expected) / sizeof(expected[0]))
		fail_msg("%s", fixture_faults(&faults));
	for (size_t i = 0; i < faults.n; i++)
		if (faults.at[i].line != expected[i].line ||
		    str_search(faults.at[i].text, str_of(expected[i].words)) == faults.at[i].text.n)
			fail_msg("number %zu in\n%s", i, fixture_faults(&faults));
	config_free(c);
}

/* A fault in an included file has that file's name and line; what follows the include has the right line again. */
static void in_includes(void **state)
{
	struct config_faults faults;
	struct config *c;

	fixture_write("more.conf", "\n\nlog = { levle = \"info\"; };", 0600);
	c = fixture_load(START "@include \"more.conf\"\nxyzzy = 1;\n", &faults);
	assert_int_equal(faults.n, 2);
	assert_true(str_ends(faults.at[0].file, S("/more.conf")));
	assert_int_equal(faults.at[0].line, 3);
	assert_true(str_ends(faults.at[1].file, S("/posthouse.conf")));
	assert_int_equal(faults.at[1].line, 3);
	config_free(c);
	fixture_write("more.conf", "log = {\n level \"info\"; };", 0600);
	c = fixture_load(START "@include \"more.conf\"\n", &faults);
	assert_int_equal(faults.n, 1);
	assert_true(str_ends(faults.at[0].file, S("/more.conf")));
	assert_int_equal(faults.at[0].line, 2);
	config_free(c);
}

static void load_path(const char *path, const char *words)
{
	struct config_faults faults;
	struct config *c = config_load(path, &faults);

	if (faults.n != 1 || faults.at[0].line != 0 || str_search(faults.at[0].text, str_of(words)) == faults.at[0].text.n)
		fail_msg("%s: %s", path, fixture_faults(&faults));
	config_free(c);
}

static void unreadable(void **state)
{
	assert_int_equal(mkfifo(fixture_path("fifo"), 0600), 0);
	load_path(fixture_path("nowhere.conf"), "No such file");
	load_path(fixture_dir(), "is a directory");
	load_path(fixture_path("fifo"), "is not a regular file");
	load_path("", "No such file");
}

static void too_large(void **state)
{
	FILE *f = fopen(fixture_path("large.conf"), "w");
	struct config_faults faults;
	struct config *c;

	assert_non_null(f);
	for (int i = 0; i < 500000; i++)
		fputs("# nothing\n", f);
	fclose(f);
	load_path(fixture_path("large.conf"), "is too large");
	/* Nested deeper than any parser's stack; and more faults than are kept. */
	f = fopen(fixture_path("deep.conf"), "w");
	assert_non_null(f);
	fputs("a = ", f);
	for (int i = 0; i < 100000; i++)
		fputs("(", f);
	fclose(f);
	c = config_load(fixture_path("deep.conf"), &faults);
	assert_true(faults.n > 0 && !faults.at[0].warning);
	config_free(c);
	f = fopen(fixture_path("many.conf"), "w");
	assert_non_null(f);
	for (int i = 0; i < 300; i++)
		fprintf(f, "unknown%d = 1;\n", i);
	fclose(f);
	c = config_load(fixture_path("many.conf"), &faults);
	assert_int_equal(faults.n, 100);
	config_free(c);
}

static int open_files(void **state)
{
	char *key;

	if (fixture_open(state) != 0)
		return -1;
	key = fixture_slurp(fixture_path("ed25519.key"));
	fixture_write("open.key", key, 0644);
	fixture_write("readable", "secret\n", 0644);
	fixture_write("empty", "", 0644);
	free(key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_table),      cmocka_unit_test(types_table),  cmocka_unit_test(together_table),
		cmocka_unit_test(key_files_table), cmocka_unit_test(syntax_table), cmocka_unit_test(several),
		cmocka_unit_test(in_includes),     cmocka_unit_test(unreadable),   cmocka_unit_test(too_large),
	};

	return cmocka_run_group_tests_name("config faults", tests, open_files, fixture_close);
}
