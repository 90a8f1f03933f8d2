/* test_pattern.c - the pattern grammar, and who may send as whom. */
#include "unit.h"

#include "posthouse/policy.h"
#include "schema.h"

static void validity(void **state)
{
	static const struct {
		const char *pattern;
		bool good;
	} rows[] = {
		{ "*", true },
		{ "a@example.org", true },
		{ "@example.org", true },
		{ "@.example.org", true },
		{ "root@.lan", true },
		{ "a+tag@b.example", true },
		{ "a@localhost", true },
		{ "ü@example.org", true },
		{ "@xn--bcher-kva.example", true },
		{ "", false },
		{ "a", false },
		{ "example.org", false },
		{ "@", false },
		{ "a@", false },
		{ "@.", false },
		{ "@..b", false },
		{ "a@b@c", false },
		{ "**", false },
		{ "*@b.example", true },
		{ "*@.b.example", true },
		{ "al*@b.example", false },
		{ "*a@b.example", false },
		{ "**@b.example", false },
		{ "*+tag@b.example", false },
		{ "@*.b", false },
		{ "a b@c", false },
		{ "@bücher.example", false },
		{ "@b.", false },
		{ "a@.b.", false },
		{ ".a@b", true },
		{ "a\n@b", false },
		{ "\"a b\"@c", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (format_pattern.valid(str_of(rows[i].pattern)) != rows[i].good)
			fail_msg("\"%s\"", rows[i].pattern);
}

static void matching(void **state)
{
	static const struct {
		const char *pattern, *address;
		bool matches;
	} rows[] = {
		{ "*", "a@b", true },
		{ "*", "", true },
		{ "a@b.example", "a@b.example", true },
		{ "a@b.example", "A@B.Example", true },
		{ "A@B.example", "a@b.example", true },
		{ "a@b.example", "a+tag@b.example", true },
		{ "a@b.example", "a+x+y@b.example", true },
		{ "a+tag@b.example", "a+tag@b.example", true },
		{ "a+tag@b.example", "a@b.example", false },
		{ "a+tag@b.example", "a+other@b.example", false },
		{ "a+tag@b.example", "a+tag+x@b.example", false },
		{ "a@b.example", "ab@b.example", false },
		{ "a@b.example", "+a@b.example", false },
		{ "a@b.example", "a@b.example.org", false },
		{ "a@b.example", "a@x.b.example", false },
		{ "@b.example", "anybody@b.example", true },
		{ "@b.example", "a@x.b.example", false },
		{ "*@b.example", "anybody@b.example", true },
		{ "*@b.example", "a@x.b.example", false },
		{ "*@b.example", "@b.example", false },
		{ "*@.b.example", "a@x.b.example", true },
		{ "*@.b.example", "a@b.example", false },
		{ "@b.example", "b.example", false },
		{ "@b.example", "@b.example", false },
		{ "@b.example", "a@evil@b.example", true }, /* the last @ counts, as in RFC 5321 4.1.2 with a quoted local part */
		{ "@b.example", "a@b.example@evil", false },
		{ "@.b.example", "a@x.b.example", true },
		{ "@.b.example", "a@x.y.B.example", true },
		{ "@.b.example", "a@b.example", false },
		{ "@.b.example", "a@xb.example", false },
		{ "@.b.example", "a@.b.example", false },
		{ "root@.lan", "root@host.lan", true },
		{ "root@.lan", "root+cron@host.lan", true },
		{ "root@.lan", "user@host.lan", false },
		{ "a@b.example", "\"a+x\"@b.example", true },
		{ "a@b.example", "", false },
		{ "a@b.example", "@", false },
		{ "", "a@b", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (pattern_matches(str_of(rows[i].pattern), str_of(rows[i].address)) != rows[i].matches)
			fail_msg("\"%s\" and \"%s\"", rows[i].pattern, rows[i].address);
}

static void senders(void **state)
{
	struct str alice[] = { S("alice@example.org"), S("@example.net") }, web[] = { S("*") },
		   bob[] = { S("bob@other.example") };
	struct cfg_senders entries[] = { { S("alice"), { alice, 2 } },
					 { S("web"), { web, 1 } },
					 { S("bob@other.example"), { bob, 1 } },
					 { S("nobody"), { NULL, 0 } } };
	struct config c = {
		.hostname = S("relay.example.org"), .auth.realm = S("example.org"), .senders = entries, .senders_n = 4
	};
	static const struct {
		const char *user, *address;
		bool allowed;
	} rows[] = {
		{ "alice@example.org", "alice@example.org", true },
		{ "alice", "alice@example.org", true },
		{ "Alice@Example.org", "ALICE@example.org", true },
		{ "alice/phone", "alice@example.org", true },
		{ "alice@example.org/phone", "alice+shop@example.org", true },
		{ "alice/phone@example.org", "any@example.net", true },
		{ "alice@example.org", "bob@example.org", false },
		{ "alice@other.example", "alice@example.org", false },
		{ "alice@other.example", "alice@other.example", true }, /* another account: its own address */
		{ "web@example.org", "anybody@anywhere.example", true },
		{ "web@example.org", "", false },
		{ "bob@other.example", "bob@other.example", true },
		{ "bob", "bob@other.example", false },
		{ "carol@example.org", "carol@example.org", true },
		{ "carol@example.org", "Carol+x@Example.org", true },
		{ "carol@example.org/pc", "carol@example.org", true },
		{ "carol@example.org", "dave@example.org", false },
		{ "carol@example.org", "carol@example.net", false },
		{ "carol", "carol@example.org", false }, /* no address */
		{ "nobody@example.org", "nobody@example.org", false },
		{ "carol@example.org", "", false },
		{ "carol@example.org", "carol", false },
		{ "carol@example.org", "carol@", false },
		{ "", "carol@example.org", false },
		{ "@example.org", "a@example.org", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (sender_allowed(&c, str_of(rows[i].user), str_of(rows[i].address)) != rows[i].allowed)
			fail_msg("\"%s\" as \"%s\"", rows[i].user, rows[i].address);
}

static void the_entry_of_all_other_logins(void **state)
{
	struct str all[] = { S("me@isp.example") }, bob[] = { S("bob@example.org") };
	struct cfg_senders senders[] = { { .user = S("*"), .addresses = { all, 1 } },
					 { .user = S("bob"), .addresses = { bob, 1 } } };
	const struct config c = { .auth.realm = S("nas.lan"), .senders = senders, .senders_n = 2 };

	assert_true(sender_allowed(&c, S("home@nas.lan"), S("me@isp.example")));
	assert_false(sender_allowed(&c, S("home@nas.lan"), S("home@nas.lan")));
	assert_true(sender_allowed(&c, S("bob@nas.lan"), S("bob@example.org")));
	assert_false(sender_allowed(&c, S("bob@nas.lan"), S("me@isp.example")));
	assert_false(sender_allowed(&c, S(""), S("me@isp.example")));
}

/* The entry that decides about a login's addresses decides about this too. */
static void resenders(void **state)
{
	struct str any = S("*");
	struct cfg_senders entries[] = { { .user = S("desk@example.org"), .addresses = { &any, 1 }, .resent = true },
					 { .user = S("web"), .addresses = { &any, 1 } },
					 { .user = S("WEB@example.org"), .addresses = { &any, 1 }, .resent = true } };
	struct config c = {
		.hostname = S("relay.example.org"), .auth.realm = S("example.org"), .senders = entries, .senders_n = 3
	};

	(void)state;
	assert_true(sender_may_resend(&c, S("desk@example.org")));
	assert_true(sender_may_resend(&c, S("desk/phone")));
	assert_false(sender_may_resend(&c, S("web@example.org")));
	assert_false(sender_may_resend(&c, S("alice@example.org")));
	assert_false(sender_may_resend(&c, S("")));
}

/* A listed host has one address, root has all, and others have those of their login. */
static void sending(void **state)
{
	struct str both[] = { S("a@example.org"), S("b@example.org") };
	struct str_list list = { both, 2 };
	struct config c = { .hostname = S("relay.example.org"), .auth.realm = S("example.org") };
	const struct sending_user a = { .login = S("a@example.org") }, root = { .login = S("x@example.org"), .any = true };
	const struct sending_user host = { .login = S("a@example.org"), .forced = S("b@example.org") };

	(void)state;
	assert_ptr_equal(first_foreign(&c, &a, &list), &both[1]);
	assert_ptr_equal(first_foreign(&c, &host, &list), &both[0]);
	assert_null(first_foreign(&c, &root, &list));
	assert_true(sends_as(&c, &host, both[1]));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(sending),   cmocka_unit_test(validity),
					    cmocka_unit_test(matching),  cmocka_unit_test(senders),
					    cmocka_unit_test(resenders), cmocka_unit_test(the_entry_of_all_other_logins) };

	return cmocka_run_group_tests_name("config pattern", tests, NULL, NULL);
}
