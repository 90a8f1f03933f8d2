/* test_openings.c - what the walls leave open follows from roles.def and the configuration, and what is missing is found. */
#include "unit.h"

#include "needs.h"
#include "openings.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool opens(const struct openings *o, const char *path, bool writes)
{
	for (size_t i = 0; i < o->places_n; i++)
		if (strcmp(o->places[i].path, path) == 0)
			return o->places[i].writes == writes;
	return false;
}

static bool connects(const struct openings *o, uint64_t port)
{
	for (size_t i = 0; i < o->ports_n; i++)
		if (o->ports[i] == port)
			return true;
	return false;
}

static void the_ports_are_those_of_the_configuration(void **state)
{
	struct cfg_upstream upstreams[] = { { .port = 587, .oauth.token_url = S("https://id.example:8443/token") },
					    { .port = 465, .oauth.device_url = S("https://id.example/device") } };
	struct config c = { .upstreams = upstreams, .upstreams_n = 2, .delivery = { .port = 25 } };
	struct openings o;

	c.delivery.resolver = S("192.0.2.53@5353 2001:db8::53");
	openings_of(&o, ROLE_RELAY, &c);
	assert_true(connects(&o, 25) && connects(&o, 465) && connects(&o, 587));
	assert_false(connects(&o, 8443) || connects(&o, 80) || connects(&o, 53));
	arena_fini(&o.arena);
	openings_of(&o, ROLE_FETCH, &c);
	assert_true(connects(&o, 443) && connects(&o, 8443));
	assert_false(connects(&o, 25) || connects(&o, 587));
	arena_fini(&o.arena);
	openings_of(&o, ROLE_RESOLVER, &c);
	assert_true(connects(&o, 53) && connects(&o, 853) && connects(&o, 5353));
	assert_false(connects(&o, 25));
	arena_fini(&o.arena);
	for (unsigned role = 0; role < ROLE_COUNT; role++) {
		if (role_facts[role].can & CAN_CONNECT)
			continue;
		openings_of(&o, (enum role_id)role, &c);
		assert_int_equal(o.ports_n, 0);
		arena_fini(&o.arena);
	}
}

static void each_role_has_its_own_files(void **state)
{
	struct config c = { .state_dir = S("/nowhere/state") };
	struct openings o;

	c.local.drop = S("/nowhere/drop");
	openings_of(&o, ROLE_QUEUE, &c);
	assert_true(opens(&o, "/nowhere/state", true) && o.places_n == 1);
	arena_fini(&o.arena);
	openings_of(&o, ROLE_VAULT, &c);
	assert_true(opens(&o, "/nowhere/state/tokens", true) && o.places_n == 1);
	arena_fini(&o.arena);
	openings_of(&o, ROLE_PICKUP, &c);
	assert_true(opens(&o, "/nowhere/drop", true) && o.places_n == 1);
	arena_fini(&o.arena);
	openings_of(&o, ROLE_RELAY, &c);
	assert_true(opens(&o, "/etc/ssl/certs", false));
	for (size_t i = 0; i < o.places_n; i++)
		assert_false(o.places[i].writes);
	arena_fini(&o.arena);
	openings_of(&o, ROLE_SUBMISSION, &c);
	assert_int_equal(o.places_n, 0);
	arena_fini(&o.arena);
}

/* Only a back-end of Cyrus SASL opens more to login: libraries, sockets, and what its options name. */
static void a_back_end_opens_what_it_needs(void **state)
{
	struct str options[] = { S("sql_hostnames=db.example:5433"), S("sql_database=/srv/mail/users") };
	struct config c = { .state_dir = S("/nowhere/state") };
	struct openings o;

	c.auth.backend = S("accounts");
	openings_of(&o, ROLE_LOGIN, &c);
	assert_false(o.all || opens(&o, "/etc", false) || o.ports_n > 0);
	arena_fini(&o.arena);
	c.auth.backend = S("sql");
	c.auth.options.at = options;
	c.auth.options.n = 2;
	openings_of(&o, ROLE_LOGIN, &c);
	assert_true(o.all && opens(&o, "/etc", false) && opens(&o, "/srv/mail/users", true));
	assert_true(opens(&o, "/srv/mail", true) && connects(&o, 88) && connects(&o, 3269)); /* SQLite's journal; Kerberos */
	assert_true(connects(&o, 5433) && connects(&o, 5432) && !connects(&o, 25));
	arena_fini(&o.arena);
}

/* Only what store.connection names, and with a file as the queue nothing of it. */
static void a_database_opens_what_it_needs(void **state)
{
	static const struct {
		struct str host;
		unsigned can, reaches;
	} cases[] = {
		{ S("/run/postgresql"), CAN_JOIN, 0 },
		{ S("192.0.2.1"), CAN_CONNECT, 0 },
		{ S("2001:db8::1"), CAN_CONNECT, 0 },
		{ S("db.example.org"), CAN_CONNECT, AT_RESOLVER | TO_NAME_SERVERS },
	};
	struct str hosts[1], places[] = { S("/run/postgresql"), S("/etc/posthouse/ca.pem") }, ports[] = { S("5433") };
	struct config c = { .state_dir = S("/nowhere/state") };
	unsigned can = role_can(ROLE_QUEUE, &c);
	struct openings o;

	c.store.hosts = (struct str_list){ hosts, 1 };
	c.store.places = (struct str_list){ places, 2 };
	c.store.ports = (struct str_list){ ports, 1 };
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		hosts[0] = cases[i].host;
		c.store.engine = ENGINE_SQLITE;
		assert_int_equal(role_can(ROLE_QUEUE, &c), can);
		assert_int_equal(role_reaches(ROLE_QUEUE, &c), AT_STATE);
		c.store.engine = ENGINE_POSTGRESQL;
		assert_int_equal(role_can(ROLE_QUEUE, &c), can | cases[i].can);
		assert_int_equal(role_reaches(ROLE_QUEUE, &c), AT_STATE | AT_DATABASE | cases[i].reaches);
		assert_int_equal(role_can(ROLE_RELAY, &c), role_facts[ROLE_RELAY].can);
		openings_of(&o, ROLE_QUEUE, &c);
		assert_true(opens(&o, "/nowhere/state", true) && opens(&o, "/etc/posthouse/ca.pem", false));
		assert_false(i == 0 && opens(&o, "/run/postgresql", false)); /* connect() needs no place */
		assert_int_equal(connects(&o, 5433), i > 0);
		assert_int_equal(connects(&o, 53), cases[i].reaches != 0);
		assert_int_equal(opens(&o, "/etc/hosts", false), cases[i].reaches != 0);
		arena_fini(&o.arena);
	}
}

static void what_is_missing_after_a_reload_is_said(void **state)
{
	struct cfg_upstream before[] = { { .port = 587 } }, after[] = { { .port = 2525 } };
	struct config old = { .upstreams = before, .upstreams_n = 1, .delivery = { .port = 25 } }, new = old;
	struct arena a = { 0 };
	struct openings o;

	openings_of(&o, ROLE_RELAY, &old);
	assert_true(openings_lack(&o, &a, ROLE_RELAY, &new).n == 0);
	new.upstreams_n = 0; /* less is no reason */
	assert_true(openings_lack(&o, &a, ROLE_RELAY, &new).n == 0);
	new.upstreams = after;
	new.upstreams_n = 1;
	assert_true(str_eq(openings_lack(&o, &a, ROLE_RELAY, &new), S("it connects to port 2525")));
	arena_fini(&o.arena);
	arena_fini(&a);
}

static void a_file_that_was_replaced_is_found(void **state)
{
	char path[] = "/tmp/posthouse-openings-XXXXXX", fresh[64];
	int fd = mkstemp(path);
	struct openings o = { 0 };
	struct arena a = { 0 };

	assert_true(fd >= 0);
	close(fd);
	openings_add(&o, (struct opening){ .path = path, .watched = true });
	assert_true(openings_moved(&o, &a).n == 0);
	snprintf(fresh, sizeof fresh, "%s.new", path);
	fd = creat(fresh, 0600);
	assert_true(fd >= 0 && rename(fresh, path) == 0);
	close(fd);
	assert_true(openings_moved(&o, &a).n > 0);
	unlink(path);
	assert_true(openings_moved(&o, &a).n == 0); /* it is away for a moment, or for good: there is nothing to open */
	arena_fini(&o.arena);
	arena_fini(&a);
}

/* Certificates that are kept elsewhere: the directories are open in which the links end, and never those of keys. */
static void links_to_certificates_are_followed(void **state)
{
	char root[] = "/tmp/posthouse-openings-XXXXXX", certificates[64], elsewhere[64], file[96], links[3][96];
	struct config c = { .state_dir = S("/nowhere/state") };
	struct openings o;
	size_t before;

	assert_non_null(mkdtemp(root));
	snprintf(certificates, sizeof certificates, "%s/certs", root);
	snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", root);
	snprintf(file, sizeof file, "%s/ca.pem", elsewhere);
	for (size_t i = 0; i < 3; i++)
		snprintf(links[i], sizeof links[i], "%s/%zu.0", certificates, i);
	assert_true(mkdir(certificates, 0700) == 0 && mkdir(elsewhere, 0700) == 0);
	close(creat(file, 0600));
	setenv("SSL_CERT_DIR", certificates, 1);
	openings_of(&o, ROLE_RELAY, &c);
	assert_true(opens(&o, certificates, false) && !opens(&o, elsewhere, false));
	before = o.places_n;
	arena_fini(&o.arena);
	assert_true(symlink(file, links[0]) == 0 && symlink(links[0], links[1]) == 0 &&
		    symlink("/etc/ssl/private", links[2]) == 0);
	openings_of(&o, ROLE_RELAY, &c);
	assert_true(opens(&o, elsewhere, false) && o.places_n == before + 1);
	arena_fini(&o.arena);
	unsetenv("SSL_CERT_DIR");
	for (size_t i = 0; i < 3; i++)
		unlink(links[i]);
	unlink(file);
	rmdir(elsewhere);
	rmdir(certificates);
	rmdir(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_ports_are_those_of_the_configuration), cmocka_unit_test(each_role_has_its_own_files),
		cmocka_unit_test(a_back_end_opens_what_it_needs),           cmocka_unit_test(a_database_opens_what_it_needs),
		cmocka_unit_test(what_is_missing_after_a_reload_is_said),   cmocka_unit_test(a_file_that_was_replaced_is_found),
		cmocka_unit_test(links_to_certificates_are_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
