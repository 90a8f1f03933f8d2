/* test_local.c - users of this machine: their logins and senders, and the names that they use for addresses. */
#include "posthouse/policy.h"

/* clang-format off */
#include "unit.h"
/* clang-format on */

#define assert_str(s, z) assert_true(str_eq((s), str_of(z)))

static struct cfg_local_user entries[] = {
	{ .user = { "www-data", 8 }, .login = { "web@example.org", 15 }, .sender = { "robot@example.org", 17 } },
	{ .user = { "1000", 4 }, .refuse = true },
	{ .user = { "*", 1 }, .login = { "all@example.org", 15 } },
};

static struct cfg_rewrite rules[] = { { .recipient = { "backup@example.org", 18 }, .to = { "ops@example.net", 15 } } };

static struct config make_config(size_t users)
{
	return (struct config){ .hostname = S("relay.example.org"),
				.auth.realm = S("example.org"),
				.postmaster = S("postmaster@example.net"),
				.local = { .users = entries, .users_n = users },
				.rewrite = rules,
				.rewrite_n = 1 };
}

static void test_users(void **state)
{
	static const struct {
		size_t users; /* of the entries */
		const char *name;
		uint64_t uid;
		const char *known_as, *login, *sender;
		bool refused;
	} rows[] = {
		{ 0, "Alice", 1001, "Alice", "alice@example.org", "alice@example.org", false },
		{ 0, "", 54321, "54321", "54321@example.org", "54321@example.org", false },
		{ 0, "a/b", 7, "7", "7@example.org", "7@example.org", false }, /* it would be the device b of a */
		{ 0, "DOM\\alice", 7, "7", "7@example.org", "7@example.org", false },
		{ 0, "alice@ad.example", 7, "alice@ad.example", "alice@ad.example", "alice@ad.example", false },
		{ 1, "www-data", 33, "www-data", "web@example.org", "robot@example.org", false },
		{ 2, "alice", 1000, "alice", "alice@example.org", "alice@example.org", true },
		{ 2, "bob", 1001, "bob", "bob@example.org", "bob@example.org", false },
		{ 3, "bob", 1001, "bob", "all@example.org", "all@example.org", false },
		{ 3, "www-data", 33, "www-data", "web@example.org", "robot@example.org", false },
		{ 3, "*", 9, "9", "all@example.org", "all@example.org", false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct config c = make_config(rows[i].users);
		struct arena a = { 0 };
		struct local_user u;

		local_user_of(&c, &a, str_of(rows[i].name), rows[i].uid, &u);
		assert_str(u.name, rows[i].known_as);
		assert_str(u.login, rows[i].login);
		assert_str(u.sender, rows[i].sender);
		assert_int_equal(u.refused, rows[i].refused);
		arena_fini(&a);
	}
}

static void test_senders(void **state)
{
	static const struct {
		const char *address, *sender;
	} rows[] = {
		{ "www-data", "robot@example.org" },
		{ "WWW-Data@localhost", "robot@example.org" },
		{ "33", "robot@example.org" },
		{ "*", "robot@example.org" },
		{ "1000", "1000@example.org" }, /* its number in another namespace */
		{ "www-data@relay.example.org", "robot@example.org" },
		{ "www-data@example.org", "www-data@example.org" }, /* an address like others */
		{ "root", "root@example.org" },
		{ "x@elsewhere.example", "x@elsewhere.example" },
	};
	struct config c = make_config(1);

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena a = { 0 };
		struct local_user u;

		local_user_of(&c, &a, S("www-data"), 33, &u);
		assert_str(local_sender(&c, &a, &u, str_of(rows[i].address)), rows[i].sender);
		arena_fini(&a);
	}
}

static void test_fields(void **state)
{
	static const struct {
		uint64_t uid;
		bool is_sender;
		const char *address, *becomes;
	} rows[] = {
		{ 33, true, "root@localhost", "robot@example.org" }, /* From: root (Cron Daemon) */
		{ 33, true, "www-data@localhost", "robot@example.org" },
		{ 33, true, "root@relay.example.org", "robot@example.org" },
		{ 33, true, "root@example.org", "root@example.org" },
		{ 33, false, "root@localhost", "root@example.org" },
		{ 0, true, "www-data@localhost", "robot@example.org" }, /* the user's own name */
		{ 0, true, "fail2ban@localhost", "fail2ban@example.org" },
		{ 0, true, "x@elsewhere.example", "x@elsewhere.example" },
	};
	struct config c = make_config(1);

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena a = { 0 };
		struct local_user u;

		local_user_of(&c, &a, S("www-data"), rows[i].uid, &u);
		assert_str(local_field(&c, &a, &u, rows[i].is_sender, str_of(rows[i].address)), rows[i].becomes);
		arena_fini(&a);
	}
}

static void test_recipients(void **state)
{
	static const struct {
		const char *address, *recipient;
		bool postmaster;
	} rows[] = {
		{ "root", "postmaster@example.net", true },
		{ "Postmaster", "postmaster@example.net", true },
		{ "mailer-daemon@localhost", "postmaster@example.net", true },
		{ "www-data@relay.example.org", "postmaster@example.net", true },
		{ "daemon", "postmaster@example.net", true },
		{ "www", "www@example.org", false },
		{ "alice@localhost.localdomain", "alice@example.org", false },
		{ "backup", "ops@example.net", false }, /* a rule comes first */
		{ "backup@example.org", "ops@example.net", false },
		{ "root@example.org", "root@example.org", false }, /* perhaps somebody has this mailbox */
		{ "bob@example.net", "bob@example.net", false },
	};
	struct config c = make_config(0);

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena a = { 0 };
		bool postmaster;

		assert_str(local_recipient(&c, &a, S("daemon www-data backup"), str_of(rows[i].address), &postmaster),
			   rows[i].recipient);
		assert_int_equal(postmaster, rows[i].postmaster);
		arena_fini(&a);
	}
}

/* Where the realm is the host's name, an address there is one like others. */
static void test_realm_of_the_host(void **state)
{
	struct config c = make_config(0);
	struct str name;

	assert_true(local_name(&c, S("root@relay.example.org"), &name));
	c.auth.realm = c.hostname;
	assert_false(local_name(&c, S("root@relay.example.org"), &name));
	assert_true(local_name(&c, S("root"), &name));
	assert_false(local_name(&c, S(""), &name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_users),      cmocka_unit_test(test_senders),           cmocka_unit_test(test_fields),
		cmocka_unit_test(test_recipients), cmocka_unit_test(test_realm_of_the_host),
	};

	return cmocka_run_group_tests_name("policy local", tests, NULL, NULL);
}
