/* test_slice.c - what each role may see: what is meant for it arrives, what is not is not in the bytes. */
#include "fixture.h"

#include "posthouse/ipc.h"
#include "posthouse/mail.h"
#include "posthouse/policy.h"

#include <stdlib.h>

#define SLICE_MAX (16 * 1024 * 1024)

static const char full[] =
	"hostname = \"relay.example.org\"; postmaster = \"postmaster@example.org\";\n"
	"certificates = ( { chain = \"chain.pem\"; key = \"key.pem\"; } );\n"
	"sign = ( { domain = \"example.org\"; selector = \"selector1\"; key = \"rsa.key\"; since = \"2027-03-02T14:02:11Z\";\n"
	"           seen = \"2027-03-01T14:02:11Z\"; } );\n"
	"senders = ( { user = \"alice\"; addresses = [ \"alice@example.org\", \"@example.net\" ]; } );\n"
	"auth = { backend = \"ldapdb\"; options = { ldapdb_uri = \"ldapi:///\"; ldapdb_pw = \"open-sesame\"; }; };\n"
	"limits = { users = ( { user = \"web\"; messages = [ \"77/1h\" ]; priority = 9; over = \"hold\"; } ); };\n"
	"devices = ( { networks = [ \"240.0.2.20\" ]; user = \"printer\"; sender = \"scan@example.org\"; recipients = [ \"@to.example\" ];\n"
	"              messages = [ \"20/1d\" ]; } );\n"
	"rewrite = ( { sender = \"root@.lan\"; to = \"root@rewritten.example\"; } );\n"
	"upstreams = ( { name = \"isp\"; host = \"smtp.isp.example\"; login = \"me-at-isp\"; password_file = \"password\";\n"
	"                ca = \"ca.pem\"; certificate = \"client.pem\"; certificate_key = \"other.key\"; connections = 3; messages = [ \"30/1m\", \"500/1d\" ]; report_sender = \"bounces@example.org\"; },\n"
	"              { name = \"tok\"; host = \"smtp.tok.example\"; login = \"me@tok.example\"; oauth = { provider = \"google\"; "
	"client_id = \"a-client\"; client_secret = \"a-client-secret\"; refresh_token = \"a-refresh-token\"; }; } );\n"
	"routes = ( { senders = [ \"@routed.example\" ]; users = [ \"web\" ]; via = [ \"mx\", \"isp\" ]; }, { via = [ \"isp\" ]; } );\n"
	"queue = { retry = [ \"1s\", \"2s\", \"3s\" ]; }; delivery = { ipv6 = false; resolver = \"127.0.0.1@5353\"; source = [ \"127.0.0.9\" ]; }; log = { level = \"debug\"; };\n"
	"store = { engine = \"postgresql\"; connection = \"host=/run/socket-of-the-database dbname=mail user=posthouse\";\n"
	"          password_file = \"database.password\"; durability = \"local\"; patience = \"50s\"; };\n";

static struct config *whole;

static int load(void **state)
{
	if (fixture_open(state) != 0)
		return -1;
	fixture_write("database.password", "s3cret-of-the-database\n", 0600);
	whole = fixture_good(full);
	return 0;
}

static int unload(void **state)
{
	config_free(whole);
	return fixture_close(state);
}

static struct config *slice(unsigned role)
{
	struct config *c;
	struct buf b;

	buf_init(&b, SLICE_MAX);
	assert_true(config_slice_encode(whole, role, &b));
	c = config_slice_decode(role, buf_view(&b));
	assert_non_null(c);
	buf_fini(&b); /* the decoded one stands alone */
	return c;
}

/* The line in the middle of a PEM text: a piece of the key itself. */
static struct str middle(struct str pem)
{
	return str_head(str_from(pem, pem.n / 2), 24);
}

/* Whose bytes may have what. */
static void secrets(void **state)
{
	const struct {
		const char *what;
		struct str bytes;
		unsigned roles;
	} rows[] = {
		{ "TLS key", middle(whole->certificates[0].key_pem), 1u << ROLE_SUBMISSION },
		{ "DKIM key", middle(whole->sign[0].key_pem), 1u << ROLE_VAULT },
		{ "upstream password", S("s3cret-of-the-upstream"), 1u << ROLE_VAULT },
		{ "upstream login", S("me-at-isp"), 1u << ROLE_VAULT | 1u << ROLE_RELAY | 1u << ROLE_QUEUE },
		{ "upstream host", S("smtp.isp.example"), 1u << ROLE_RELAY | 1u << ROLE_QUEUE | 1u << ROLE_VAULT },
		{ "OAuth client", S("a-client-secret"), 1u << ROLE_VAULT },
		{ "OAuth token", S("a-refresh-token"), 1u << ROLE_VAULT },
		{ "upstream CA", middle(whole->upstreams[0].ca_pem), 1u << ROLE_RELAY },
		{ "our certificate there", middle(whole->upstreams[0].certificate_pem), 1u << ROLE_RELAY },
		{ "its key", middle(whole->upstreams[0].certificate_key_pem), 1u << ROLE_VAULT },
		{ "ticket key", str_head(whole->tls_ticket_secret, 40), 1u << ROLE_SUBMISSION },
		{ "where the database is", S("/run/socket-of-the-database"), 1u << ROLE_QUEUE },
		{ "password of the database", S("s3cret-of-the-database"), 1u << ROLE_QUEUE },
		{ "key of session tickets", whole->ticket_secret, 1u << ROLE_QUEUE },
		{ "Cyrus' options", S("open-sesame"), 1u << ROLE_LOGIN },
		{ "rewritten", S("root@rewritten.example"), 1u << ROLE_SUBMISSION | 1u << ROLE_QUEUE },
		{ "device's recipients", S("@to.example"), 1u << ROLE_SUBMISSION | 1u << ROLE_QUEUE },
		{ "device's user", S("printer@relay.example.org"), 1u << ROLE_SUBMISSION | 1u << ROLE_LOGIN | 1u << ROLE_QUEUE },
		{ "TLS chain", middle(whole->certificates[0].chain_pem), 1u << ROLE_SUBMISSION },
		{ "sign selector", S("selector1"),
		  1u << ROLE_SUBMISSION | 1u << ROLE_QUEUE | 1u << ROLE_RELAY | 1u << ROLE_VAULT },
		{ "report sender", S("bounces@example.org"), 1u << ROLE_RELAY | 1u << ROLE_QUEUE },
		{ "route", S("@routed.example"), 1u << ROLE_QUEUE },
		{ "resolver", S("127.0.0.1@5353"), 1u << ROLE_RESOLVER },
		{ "source", S("127.0.0.9"), 1u << ROLE_RELAY },
		{ "postmaster", S("postmaster@example.org"), 1u << ROLE_SUBMISSION | 1u << ROLE_QUEUE | 1u << ROLE_CONSOLE },
		{ "senders", S("@example.net"), 1u << ROLE_SUBMISSION | 1u << ROLE_QUEUE },
		{ "control", S("/run/posthouse/control.sock"), 1u << ROLE_CONSOLE },
		{ "state_dir", S("/var/lib/posthouse"),
		  1u << ROLE_VAULT | 1u << ROLE_LOGIN | 1u << ROLE_QUEUE | 1u << ROLE_CONSOLE },
		{ "hostname", S("relay.example.org"),
		  (((1u << ROLE_CONSOLE) * 2 - 1) | 1u << ROLE_RESOLVER) & ~(1u << ROLE_MASTER) },
	};

	for (unsigned role = ROLE_SUBMISSION; role <= ROLE_RESOLVER; role++) {
		struct buf b;

		if (role > ROLE_CONSOLE && role < ROLE_RESOLVER)
			continue; /* they run when needed, each with a test of its own */

		buf_init(&b, SLICE_MAX);
		assert_true(config_slice_encode(whole, role, &b));
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			bool there = str_search(buf_view(&b), rows[i].bytes) < b.n;

			assert_true(rows[i].bytes.n > 0);
			if (there != (rows[i].roles >> role & 1))
				fail_msg("%s is %sin the slice of role %u", rows[i].what, there ? "" : "not ", role);
		}
		buf_fini(&b);
	}
}

static void submission(void **state)
{
	struct config *c = slice(ROLE_SUBMISSION);
	struct user_limits limits;

	assert_true(str_eq(c->hostname, whole->hostname));
	assert_int_equal(c->listen_n, 2);
	assert_int_equal(c->listen[1].port, 465);
	assert_int_equal(c->listen[1].tls, LISTEN_IMPLICIT);
	assert_true(str_eq(c->certificates[0].chain_pem, whole->certificates[0].chain_pem));
	assert_true(str_eq(c->certificates[0].key_pem, whole->certificates[0].key_pem));
	assert_int_equal(c->tls_minimum, TLS_1_2);
	assert_int_equal(c->auth.mechanisms.n, 3);
	assert_true(str_eq(c->auth.mechanisms.at[1], S("LOGIN")));
	assert_int_equal(c->senders_n, 1);
	assert_true(sender_allowed(c, S("alice@relay.example.org"), S("x@example.net")));
	assert_int_equal(c->limits.message_size, 50 << 20);
	assert_int_equal(c->sign_n, 1);
	assert_true(str_eq(c->sign[0].domain, S("example.org")));
	assert_int_equal(c->sign[0].algorithm, DKIM_RSA_SHA256);
	assert_int_equal(c->sign[0].key_pem.n, 0);
	assert_int_equal(c->submission.idle_ms, 300000);
	assert_int_equal(c->log.level, whole->log.level);
	assert_int_equal(c->upstreams_n, 0);
	assert_int_equal(c->queue.retry_n, 0);
	assert_true(str_eq(c->tls_ticket_secret, whole->tls_ticket_secret));
	assert_true(str_eq(device_at(c, S("240.0.2.20"))->user, S("printer@relay.example.org")));
	limits_of_login(c, S("web@relay.example.org"), &limits);
	assert_int_equal(limits.priority, 9);
	assert_int_equal(limits.messages.n, 0); /* those are for the one who counts */
	config_free(c);
}

static void others(void **state)
{
	struct config *vault = slice(ROLE_VAULT), *queue = slice(ROLE_QUEUE), *relay = slice(ROLE_RELAY),
		      *login = slice(ROLE_LOGIN), *console = slice(ROLE_CONSOLE), *doctor = slice(ROLE_DOCTOR);
	struct user_limits limits;

	assert_int_equal(login->auth.options.n, 2);
	assert_true(str_eq(login->auth.options.at[1], S("ldapdb_pw=open-sesame")));
	limits_of_login(queue, S("web@relay.example.org"), &limits);
	assert_true(limits.hold && limits.breaker);
	assert_int_equal(limits.messages.at[0].amount, 77);
	limits_of_device(queue, S("printer@relay.example.org"), S("@240.0.2.20"), &limits);
	assert_int_equal(limits.messages.at[0].amount, 20);
	assert_true(str_eq(vault->sign[0].key_pem, whole->sign[0].key_pem));
	assert_int_equal(vault->sign[0].algorithm, DKIM_RSA_SHA256);
	assert_true(str_eq(vault->upstreams[0].password, S("s3cret-of-the-upstream")));
	assert_true(str_eq(vault->upstreams[0].login, S("me-at-isp")));
	assert_int_equal(queue->queue.retry_n, 3);
	assert_int_equal(queue->queue.retry_ms[2], 3000);
	assert_int_equal(queue->queue.warn_after_ms, UINT64_C(4) * 3600000);
	assert_int_equal(queue->routes_n, 2);
	assert_true(str_eq(queue->routes[0].via.at[0], S("mx")));
	assert_true(str_eq(queue->routes[0].users.at[0], S("web@relay.example.org")));
	assert_true(str_eq(queue->upstreams[0].host, S("smtp.isp.example")));
	assert_int_equal(queue->upstreams[0].port, 587);
	assert_int_equal(queue->upstreams[0].messages.n, 2);
	assert_int_equal(queue->upstreams[0].messages.at[1].amount, 500);
	assert_true(str_eq(queue->sign[0].domain, S("example.org")));
	assert_true(str_eq(relay->sign[0].domain, S("example.org")));
	assert_true(str_eq(relay->sign[0].selector, S("selector1")));
	assert_int_equal(relay->sign[0].algorithm, DKIM_RSA_SHA256);
	assert_int_equal(relay->sign[0].key_pem.n, 0);
	assert_int_equal(relay->delivery.port, 25);
	assert_int_equal(relay->delivery.source.n, 1);
	assert_int_equal(queue->upstreams[0].connections, 3);
	assert_int_equal(queue->upstreams[0].password.n, 0);
	assert_true(str_eq(relay->upstreams[0].host, S("smtp.isp.example")));
	assert_true(str_eq(relay->upstreams[0].ca_pem, whole->upstreams[0].ca_pem));
	assert_int_equal(relay->upstreams[0].port, 587);
	assert_true(relay->delivery.ipv4 && !relay->delivery.ipv6);
	assert_int_equal(relay->delivery.timeouts.data_ms, 600000);
	assert_true(str_eq(login->state_dir, S("/var/lib/posthouse")));
	assert_true(str_eq(login->auth.realm, S("relay.example.org")));
	assert_true(str_eq(console->control, S("/run/posthouse/control.sock")));
	assert_true(str_eq(console->run_as, S("posthouse")));
	/* what dkim.match and dkim.rotation need, without the key */
	assert_true(whole->sign[0].record.n > 100 && str_eq(doctor->sign[0].record, whole->sign[0].record));
	assert_true(str_eq(doctor->sign[0].since, S("2027-03-02T14:02:11Z")) && doctor->sign[0].state == SIGN_ACTIVE);
	assert_true(str_eq(doctor->sign[0].seen, S("2027-03-01T14:02:11Z")));
	assert_int_equal(doctor->sign[0].key_pem.n + doctor->sign[0].key.n, 0);
	config_free(doctor);
	config_free(vault);
	config_free(queue);
	config_free(relay);
	config_free(login);
	config_free(console);
}

/* What queue talks to the database with. */
static void database(void **state)
{
	struct config *c = slice(ROLE_QUEUE);

	assert_int_equal(c->store.engine, ENGINE_POSTGRESQL);
	assert_int_equal(c->store.durability, DURABILITY_LOCAL);
	assert_int_equal(c->store.node_timeout_ms, 20000);
	assert_int_equal(c->store.patience_ms, 50000);
	assert_int_equal(c->store.places.n, 1);
	assert_true(str_eq(c->store.places.at[0], S("/run/socket-of-the-database")));
	assert_true(str_eq(c->store.ports.at[0], S("5432")));
	assert_true(str_eq(c->store.password, S("s3cret-of-the-database")));
	config_free(c);
}

/* Any cut, any one changed byte: NULL, or a config that can be read; never more than the bytes justify. */
static void damaged(void **state)
{
	struct config *c;
	struct buf b;
	char *copy;

	buf_init(&b, SLICE_MAX);
	assert_true(config_slice_encode(whole, ROLE_QUEUE, &b));
	assert_null(config_slice_decode(ROLE_RELAY, buf_view(&b)));
	for (size_t n = 0; n < b.n; n++)
		assert_null(config_slice_decode(ROLE_QUEUE, str_head(buf_view(&b), n)));
	copy = malloc(b.n + 1);
	assert_non_null(copy);
	memcpy(copy, buf_view(&b).p, b.n);
	copy[b.n] = 0;
	assert_null(config_slice_decode(ROLE_QUEUE, str_make(copy, b.n + 1)));
	for (size_t i = 0; i < b.n; i++) {
		copy[i] = (char)(copy[i] ^ 0xff);
		c = config_slice_decode(ROLE_QUEUE, str_make(copy, b.n));
		if (i < 20)
			assert_null(c);
		config_free(c);
		copy[i] = (char)(copy[i] ^ 0xff);
	}
	c = config_slice_decode(ROLE_QUEUE, str_make(copy, b.n));
	assert_non_null(c);
	config_free(c);
	free(copy);
	buf_fini(&b);
}

static void bounded(void **state)
{
	struct buf b;

	buf_init(&b, 100);
	assert_false(config_slice_encode(whole, ROLE_SUBMISSION, &b));
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secrets),  cmocka_unit_test(submission), cmocka_unit_test(others),
		cmocka_unit_test(database), cmocka_unit_test(damaged),    cmocka_unit_test(bounded),
	};

	return cmocka_run_group_tests_name("config slice", tests, load, unload);
}
