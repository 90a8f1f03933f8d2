/* test_store.c - the keys of store: which belong to which engine, and what a connection to a database is allowed to say. */
#include "fixture.h"

#include "loader.h"

#include <stdio.h>

/* A connection by a socket, and one over a network, to be continued. */
#define NEAR "host=/run/postgresql dbname=m user=u"
#define FAR  "host=db1.example,192.0.2.2 dbname=m user=u sslmode=verify-full sslrootcert=/etc/ca.pem"

static void defaults(void **state)
{
	struct config *c = fixture_good(BASICS);

	assert_int_equal(c->store.engine, ENGINE_SQLITE);
	assert_int_equal(c->store.durability, DURABILITY_STANDBY);
	assert_int_equal(c->store.node_timeout_ms, 20000);
	assert_int_equal(c->store.patience_ms, 30000);
	assert_false(c->store.i_know);
	config_free(c);
	c = fixture_good(BASICS "store = { engine = \"postgresql\"; connection = \"" NEAR "\"; password_file = \"password\";\n"
				"          durability = \"local\"; node_timeout = \"10m\"; patience = \"0s\"; i_know = true; };");
	assert_int_equal(c->store.engine, ENGINE_POSTGRESQL);
	assert_true(str_eq(c->store.connection, S(NEAR)));
	assert_true(str_eq(c->store.password, S("s3cret-of-the-upstream")));
	assert_int_equal(c->store.durability, DURABILITY_LOCAL);
	assert_int_equal(c->store.node_timeout_ms, 600000);
	assert_int_equal(c->store.patience_ms, 0);
	assert_true(c->store.i_know);
	assert_int_equal(c->secret_files_n >= 1, 1);
	config_free(c);
}

/* A dump of either engine can be read again, without the password. */
static void dumped(void **state)
{
	static const char *const texts[] = { BASICS, BASICS "store = { engine = \"postgresql\"; connection = \"" NEAR
							    "\"; password_file = \"password\"; };" };

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct config *c = fixture_good(texts[i]), *again;
		struct buf b;

		buf_init(&b, 1 << 20);
		assert_true(config_dump(c, &b));
		assert_int_equal(str_search(buf_view(&b), S("s3cret-of-the-upstream")), b.n);
		again = fixture_good(arena_cstr(&c->arena, buf_view(&b)));
		assert_int_equal(again->store.engine, c->store.engine);
		assert_true(str_eq(again->store.connection, c->store.connection));
		config_free(again);
		config_free(c);
		buf_fini(&b);
	}
}

static uint64_t agreement(const char *more)
{
	char text[2000];
	struct config *c;
	uint64_t hash;

	snprintf(text, sizeof text, "%sstore = { engine = \"postgresql\"; connection = \"" NEAR "\"; %s", BASICS, more);
	c = fixture_good(text);
	hash = c->store.agreement;
	config_free(c);
	return hash;
}

/* What nodes are to have the same is in the hash, and what is the machine's own, or a secret, is not. */
static void agreements(void **state)
{
	uint64_t hash = agreement("};");

	assert_int_not_equal(hash, 0);
	assert_int_equal(
		agreement(
			"password = \"x\"; patience = \"1s\"; }; metrics = \"127.0.0.1:9587\"; queue = { min_free = \"1G\"; };"),
		hash);
	assert_int_not_equal(agreement("node_timeout = \"21s\"; };"), hash);
	assert_int_not_equal(agreement("durability = \"local\"; };"), hash);
	assert_int_not_equal(agreement("}; limits = { messages = [ \"7/1h\" ]; };"), hash);
	assert_int_not_equal(agreement("}; queue = { lifetime = \"4d\"; };"), hash);
	assert_int_not_equal(agreement("}; senders = ( { user = \"a@example.org\"; addresses = [ \"b@example.org\" ]; } );"),
			     hash);
}

#define PG     "engine = \"postgresql\"; connection = \"" NEAR "\"; "
#define SQLITE "expected engine = \"postgresql\" beside it; with \"sqlite\""

static void faults(void **state)
{
	static const struct row rows[] = {
		{ "engine = \"sqlite\";", 5, NULL },
		{ "engine = \"sqlite\"; connection = \"\"; durability = \"standby\"; node_timeout = \"20s\"; i_know = false;", 5,
		  NULL },
		{ PG, 5, NULL },
		{ "connection = \"" NEAR "\";", 5, "store.connection: " SQLITE },
		{ "password = \"x\";", 5, "store.password: " SQLITE },
		{ "password_file = \"password\";", 5, "store.password_file: " SQLITE },
		{ "engine = \"sqlite\"; durability = \"local\";", 5, "store.durability: " SQLITE },
		{ "engine = \"sqlite\"; node_timeout = \"21s\";", 5, "store.node_timeout: " SQLITE },
		{ "engine = \"sqlite\"; patience = \"0s\";", 5, "store.patience: " SQLITE },
		{ "engine = \"sqlite\"; i_know = true;", 5, "store.i_know: " SQLITE },
		{ "engine = \"mysql\";", 5, "expected one of \"sqlite\", \"postgresql\"" },
		{ "engine = \"postgresql\";", 5, "store: expected connection beside engine" },
		{ "engine = \"postgresql\"; connection = \"\";", 5, "store: expected connection beside engine" },
		{ "engine = \"postgresql\"; connection = \"host=/x\\tdbname=m\";", 5, "without control characters" },
		{ "engine = \"postgresql\"; connection = 5;", 5, "expected a text" },
		{ PG "durability = \"none\";", 5, "one of \"standby\", \"local\"" },
		{ PG "node_timeout = \"10s\"; patience = \"50s\";", 5, NULL },
		{ PG "node_timeout = \"9s\";", 5, "from \"10s\" to \"10m\"" },
		{ PG "node_timeout = \"11m\";", 5, "from \"10s\" to \"10m\"" },
		{ PG "patience = \"51s\";", 5, "from \"0s\" to \"50s\"" },
		{ PG "password = \"x\"; password_file = \"password\";", 5, "one of password and password_file" },
		{ PG "password_file = \"missing.password\";", 5, "store.password_file: " },
		{ PG "password_file = \"chain.pem\";", 5, "expected one line of text" },
		{ PG "password_file = \"open.password\";", 5, "everybody can read", true },
		{ PG "}; submission = { workers = 60;", 5, NULL },
		{ PG "}; submission = { workers = 61;", 5, "submission.workers: at most 60 with store.engine" },
		{ PG "pasword = \"x\";", 5, "did you mean store.password" },
		{ "engine = \"postgresql\"; connection = \"" NEAR " user=x\";", 5, "store.connection: expected user once in it" },
		{ "engine = \"postgresql\"; connection = \"" NEAR " sslrootcert=/nonexistent/ca.pem\";", 5,
		  "store.connection: sslrootcert: /nonexistent/ca.pem cannot be read: No such file" },
	};

	fixture_write("open.password", "x\n", 0644);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct config_faults f;
		struct config *c;
		char text[4096];

		snprintf(text, sizeof text, "%sstore = { %s };\n", BASICS, rows[i].text);
		c = fixture_load(text, &f);
		if (rows[i].words ? f.n != 1 || f.at[0].line != rows[i].line || f.at[0].warning != rows[i].warning ||
					    !strstr(fixture_faults(&f), rows[i].words)
				  : f.n > 0)
			fail_msg("%s: %s", rows[i].text, fixture_faults(&f));
		config_free(c);
	}
}

/* The files of a connection: read where they are, and the key is a secret. With the directories of sockets they are what queue
 * must be able to reach. */
static void files(void **state)
{
	struct config_faults f;
	struct config *c;
	char text[4096];

	for (int i = 0; i < 2; i++) {
		fixture_write("database.key", "key\n", i ? 0644 : 0600);
		snprintf(
			text, sizeof text,
			BASICS
			"store = { engine = \"postgresql\"; connection = \"host=db1.example,/run/pg port=1,2 dbname=m user=u sslmode=verify-full "
			"sslrootcert=%s/chain.pem sslcert=%s/client.pem sslkey=%s/database.key\"; };",
			fixture_dir(), fixture_dir(), fixture_dir());
		c = fixture_load(text, &f);
		assert_int_equal(f.n, i);
		assert_int_equal(c->store.places.n, 4);
		assert_true(str_eq(c->store.places.at[0], S("/run/pg")));
		assert_true(str_ends(c->store.places.at[3], S("/database.key")));
		assert_int_equal(c->store.ports.n, 2);
		assert_int_equal(c->store.hosts.n, 2);
		assert_true(str_eq(c->store.hosts.at[0], S("db1.example")) && str_eq(c->store.hosts.at[1], S("/run/pg")));
		assert_true(str_eq(c->store.ports.at[1], S("2")));
		assert_true(i == 0 || (f.at[0].warning && strstr(fixture_faults(&f), "everybody can read the private key")));
		config_free(c);
	}
}

/* The words of a connection, "KEY|VALUE|KEY|VALUE|", as PQconninfoParse() reads them. */
static void words(void **state)
{
	static const struct {
		const char *text, *words;
		bool wrong;
	} rows[] = {
		{ "", "" },
		{ " \t\n", "" },
		{ "a=b", "a|b|" },
		{ "  a = b\tc=d  ", "a|b|c|d|" },
		{ "a= b=c", "a|b=c|" },
		{ "a=", "a||" },
		{ "a='' b=", "a||b||" },
		{ "a='b c'd=e", "a|b c|d|e|" },
		{ "a='b\\'c\\\\'", "a|b'c\\|" },
		{ "a=b\\ c\\'", "a|b c'|" },
		{ "a=b'c d=e'", "a|b'c|d|e'|" },
		{ "a=b\\", "a|b|" },
		{ "=b", "|b|" },
		{ "a=b c", "a|b|", true },
		{ "a b=c", "", true },
		{ "a='b", "", true },
		{ "a='b\\'", "", true },
		{ "a='b\\", "", true },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct str rest = str_of(rows[i].text), key, value, got = S("");
		struct arena a = { 0 };
		const char *why;

		while (database_word_read(&a, &rest, &key, &value, &why))
			got = arena_printf(&a, "%.*s%.*s|%.*s|", STR_ARG(got), STR_ARG(key), STR_ARG(value));
		if (!str_eq(got, str_of(rows[i].words)) || (why != NULL) != rows[i].wrong)
			fail_msg("%s: %.*s %s", rows[i].text, STR_ARG(got), why ? why : "");
		arena_fini(&a);
	}
}

/* What is said of a connection; NULL: nothing. */
static const struct {
	const char *text, *words;
	bool i_know;
} connections[] = {
	{ NEAR, NULL },
	{ FAR, NULL },
	{ FAR " sslcert=/c.pem sslkey=/k.pem sslcrl=/l.pem port=5432", NULL },
	{ FAR " tcp_user_timeout=10000 keepalives=1 keepalives_idle=60 keepalives_interval=5 keepalives_count=3", NULL },
	{ "host=db-1.example,db2 port=5432,5433 dbname='mail queue' user=u sslmode=verify-full sslrootcert=/ca.pem", NULL },
	{ "host=localhost,127.0.0.9,::1,/run/postgresql dbname=m user=u", NULL },
	{ "host=127.0.0.1 dbname=m user=u sslmode=disable", NULL },
	{ "host=db1 dbname=m user=u", NULL, true },
	{ "host=db1 dbname=m user=u sslmode=require", NULL, true },
	/* who could answer */
	{ "host=db1.example dbname=m user=u", "expected sslmode=verify-full in it: the database at db1.example sees all mail" },
	{ "host=/run/postgresql,db1 dbname=m user=u", "the password could be given to a stranger; i_know = true" },
	{ "host=192.0.2.1 dbname=m user=u sslmode=disable", "at 192.0.2.1 sees all mail" },
	{ "host=db1 dbname=m user=u sslmode=prefer", "expected sslmode=verify-full" },
	{ "host=db1 dbname=m user=u sslmode=require", "expected sslmode=verify-full" },
	{ "host=db1 dbname=m user=u sslmode=verify-ca sslrootcert=/ca.pem", "expected sslmode=verify-full" },
	{ "host=localhost.example dbname=m user=u", "expected sslmode=verify-full" },
	{ "host=db1 dbname=m user=u sslmode=verify-full", "expected sslrootcert beside sslmode=verify-full" },
	{ "host=db1 dbname=m user=u sslmode=verify-ca", "expected sslrootcert beside sslmode=verify-ca", true },
	/* what is not for a connection */
	{ NEAR " password=hunter2", "expected no password in it: a secret does not belong into a file that many can read" },
	{ NEAR " sslpassword=hunter2", "expected no sslpassword in it" },
	{ NEAR " passfile=/x", "expected no passfile in it: the password is in the file that store.password_file names" },
	{ NEAR " service=x", "expected no service in it" },
	{ NEAR " options='-c fsync=off'", "expected no options in it: Posthouse sets by itself" },
	{ NEAR " target_session_attrs=any", "expected no target_session_attrs in it: Posthouse asks all hosts" },
	{ NEAR " application_name=x", "expected no application_name in it: Posthouse sets it" },
	{ NEAR " replication=true", "expected no replication in it" },
	{ NEAR " client_encoding=auto", "expected no client_encoding in it" },
	{ NEAR " hostaddr=192.0.2.1", "expected no hostaddr in it" },
	{ NEAR " connect_timeout=1", "expected no connect_timeout in it: connections that do not wait ignore it" },
	{ NEAR " gssencmode=prefer", "unknown key gssencmode in it" },
	{ NEAR " Host=db1", "unknown key Host in it" },
	{ "=x", "unknown key  in it" },
	{ "postgresql://u:hunter2@db1/m?sslmode=verify-full", "not an address with \"://\"" },
	{ "postgres://u:hunter2@db1/m", "not an address with \"://\"" },
	/* values */
	{ NEAR " host=/x", "expected host once in it" },
	{ NEAR " hunter2", "expected words KEY=VALUE" },
	{ NEAR " port='5432", "expected a single quote" },
	{ "dbname=m user=u", "expected host=… in it" },
	{ "host=/x user=u", "expected dbname=… in it" },
	{ "host=/x dbname=m", "expected user=… in it" },
	{ "", "expected host=… in it" },
	{ "host='' dbname=m user=u", "expected host names, IP addresses or directories" },
	{ "host=/x, dbname=m user=u", "expected host names" },
	{ "host=,/x dbname=m user=u", "expected host names" },
	{ "host=/x,,/y dbname=m user=u", "expected host names" },
	{ "host='/x, db1' dbname=m user=u", "expected host names" },
	{ "host=@abstract dbname=m user=u", "expected host names" },
	{ "host=/x dbname= user=u", "expected the name of a database" },
	{ "host=/x dbname='host=db1' user=u", "expected the name of a database behind dbname=" },
	{ "host=/x dbname=postgres://db1 user=u", "expected the name of a database behind dbname=" },
	{ "host=/x dbname=m user=''", "expected a value behind user=" },
	{ NEAR " port=0", "expected a port from 1 to 65535" },
	{ NEAR " port=65536", "expected a port from 1 to 65535" },
	{ NEAR " port=5432,", "expected a port from 1 to 65535" },
	{ NEAR " port=1,2", "expected one port, or as many as hosts" },
	{ "host=/x,/y,/z port=1,2 dbname=m user=u", "expected one port, or as many as hosts" },
	{ NEAR " sslmode=verify_full", "expected verify-full, verify-ca, require, prefer, allow or disable behind sslmode=" },
	{ NEAR " sslrootcert=ca.pem", "expected the whole path of a file behind sslrootcert=" },
	{ NEAR " sslrootcert=system", "expected the whole path of a file" },
	{ NEAR " sslkey=engine:x", "expected the whole path of a file" },
	{ NEAR " sslcert=/c.pem", "expected both sslcert and sslkey" },
	{ NEAR " sslkey=/k.pem", "expected both sslcert and sslkey" },
	{ NEAR " keepalives=on", "expected a whole number behind keepalives=" },
	{ NEAR " tcp_user_timeout=-1", "expected a whole number" },
};

static void judged(void **state)
{
	for (size_t i = 0; i < sizeof connections / sizeof *connections; i++) {
		struct arena a = { 0 };
		struct str wrong = database_judge(&a, str_of(connections[i].text), connections[i].i_know);

		if (connections[i].words ? str_search(wrong, str_of(connections[i].words)) == wrong.n : wrong.n > 0)
			fail_msg("%s: %.*s", connections[i].text, STR_ARG(wrong));
		assert_int_equal(str_search(wrong, S("hunter2")), wrong.n);
		arena_fini(&a);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(defaults),   cmocka_unit_test(dumped),
						   cmocka_unit_test(agreements), cmocka_unit_test(faults),
						   cmocka_unit_test(files),      cmocka_unit_test(words),
						   cmocka_unit_test(judged) };

	return cmocka_run_group_tests_name("config store", tests, fixture_open, fixture_close);
}
