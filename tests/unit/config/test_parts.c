/* test_parts.c - a configuration of several files: which are read, what is joined, and what is said twice; secrets by name. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Parts in the order of their names, whatever else lies there: groups are one, lists of groups are joined, and places are right. */
static void include_directory(void **state)
{
	struct str file;
	unsigned line;
	struct config *c;

	fixture_make_dir("conf.d");
	fixture_write("conf.d/20-b.conf",
		      "senders = (\n  { user = \"b\"; addresses = [ \"@b.example\" ]; } );\n"
		      "limits = { connections = 7; users = ( { user = \"b\"; connections = 8; } ); };",
		      0600);
	fixture_write("conf.d/10-a.conf",
		      "senders = ( { user = \"a\"; addresses = [ \"@a.example\" ]; } );\n"
		      "limits = { message_size = 2147483648; users = ( { user = \"a\"; connections = 9; } ); };",
		      0600);
	fixture_write("conf.d/.hidden.conf", "xyzzy = 1;", 0600);
	fixture_write("conf.d/10-a.conf~", "xyzzy = 1;", 0600);
	for (int i = 0; i < 2; i++) {
		fixture_write("conf.d/30.conf", i ? "limits = { message_size = \"1G\"; };" : "", 0600);
		c = fixture_good(
			i ? BASICS "@include \"conf.d/[12]*.conf\"\n@include \"conf.d/*.none\"\nlimits = { over = \"hold\"; };"
			  : BASICS "@include \"conf.d\"\nlimits = { over = \"hold\"; };");
		assert_int_equal(c->senders_n, 2);
		assert_true(str_eq(c->senders[0].user, S("a")));
		assert_true(str_eq(c->senders[1].user, S("b")));
		assert_int_equal(c->limits.users_n, 2);
		assert_int_equal(c->limits.users[0].connections, 9);
		assert_int_equal(c->limits.connections, 7);
		assert_int_equal(c->limits.over, OVER_HOLD);
		assert_int_equal(c->limits.message_size, UINT64_C(2) << 30);
		assert_true(config_place(c, &c->arena, S("senders"), 1, &file, &line));
		assert_true(str_ends(file, S("/conf.d/20-b.conf")));
		assert_int_equal(line, 2);
		config_free(c);
	}
}

/* Of the service manager, with its name alone; without the variable they are where systemd has those of the unit. */
static void credentials(void **state)
{
	static const char text[] =
		"hostname = \"a.example\"; postmaster = \"p@a.example\";\n"
		"certificates = ( { chain = \"chain.pem\"; key = \"credential:tls\"; } );\n"
		"upstreams = ( { name = \"isp\"; host = \"h\"; login = \"me\"; password_file = \"credential:password\"; } );";
	struct config_faults faults;
	struct config *c;

	fixture_make_dir("credentials");
	fixture_write("credentials/password", "one\n", 0400);
	setenv("CREDENTIALS_DIRECTORY", fixture_path("credentials"), 1);
	if (access(fixture_path("credentials/tls"), F_OK) != 0)
		assert_int_equal(symlink("../key.pem", fixture_path("credentials/tls")), 0);
	c = fixture_good(text);
	assert_true(str_eq(c->upstreams[0].password, S("one")));
	assert_int_equal(c->certificates[0].key_pem.n > 0, 1);
	config_free(c);
	unsetenv("CREDENTIALS_DIRECTORY");
	c = fixture_load(text, &faults);
	assert_true(strstr(fixture_faults(&faults), "/run/credentials/posthouse.service/password: No such file") != NULL);
	config_free(c);
}

/* What a fault in parts is about, and where. */
static const struct {
	const char *first, *second, *words;
} twice[] = {
	{ "shutdown_grace = \"3s\";", "shutdown_grace = \"4s\";", "shutdown_grace is a duplicate" },
	{ "limits = { connections = 3; };", "limits = { over = \"hold\";\nconnections = 4; };", "connections is a duplicate" },
	{ "delivery = { avoid = [ \"CHUNKING\" ]; };", "delivery = { avoid = [ \"DSN\" ]; };", "avoid is a duplicate" },
	{ "rewrite = ( { sender = \"a@b.example\"; to = \"c@d.example\"; } );\nrewrite = ( );", "", "rewrite is a duplicate" },
	{ "limits = { };", "limits = ( );", "limits is a duplicate" },
	{ "senders = ( { user = \"a\"; addresses = [ \"*\" ]; } );", "senders = ( { user = \"a\"; addresses = [ \"*\" ]; } );",
	  "one entry for the login" },
};

static void twice_in_parts(void **state)
{
	char text[512];

	fixture_make_dir("parts");
	for (size_t i = 0; i < sizeof(twice) / sizeof(twice[0]); i++) {
		struct config_faults faults;
		struct config *c;
		const struct config_fault *f;

		fixture_write("parts/1.conf", twice[i].first, 0600);
		fixture_write("parts/2.conf", twice[i].second, 0600);
		c = fixture_load(BASICS "@include \"parts\"\n", &faults);
		if (faults.n != 1)
			fail_msg("%s: %s", twice[i].first, fixture_faults(&faults));
		f = &faults.at[0];
		if (str_search(f->text, str_of(twice[i].words)) == f->text.n)
			fail_msg("%.*s", STR_ARG(f->text));
		assert_true(str_ends(f->file, *twice[i].second ? S("/parts/2.conf") : S("/parts/1.conf")));
		snprintf(text, sizeof text, "/parts/1.conf:1 has it already");
		if (strstr(twice[i].words, "is a duplicate"))
			assert_true(str_search(f->text, str_of(text)) < f->text.n);
		config_free(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(include_directory), cmocka_unit_test(credentials),
					    cmocka_unit_test(twice_in_parts) };

	return cmocka_run_group_tests_name("config parts", tests, fixture_open, fixture_close);
}
