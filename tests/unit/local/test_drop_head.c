/* test_drop_head.c - the lines in front of the message: what is written is read, and what is wrong is named with its line. */
#include "posthouse/local.h"

/* clang-format off */
#include "unit.h"
/* clang-format on */

#define assert_str(s, z) assert_true(str_eq((s), str_of(z)))

static void test_round_trip(void **state)
{
	struct local_recipient to[] = { { S("bob@example.net"), S("NOTIFY=SUCCESS ORCPT=rfc822;b+40example.net"), ok() },
					{ S("root"), S(""), ok() },
					{ S("\"a>b\\\" c\"@example.net"), S("NOTIFY=NEVER"), ok() },
					{ S("jos\xc3\xa9@example.net"), S(""), ok() } };
	struct local_message m = { true, S("alice@example.org"), S("RET=HDRS ENVID=QQ1"), to, 4 }, read;
	struct arena a = { 0 };
	struct buf b;
	size_t length;

	buf_init(&b, 4096);
	drop_head_write(&b, &m);
	length = b.n;
	buf_add(&b, S("Subject: hello\n\nto: <nobody@example.net>\n\n"));
	size_t found = 0;
	assert_int_equal(drop_head_read(&a, buf_view(&b), &read, &found).class, OK);
	assert_int_equal(found, length);
	assert_true(read.has_sender);
	assert_str(read.sender, "alice@example.org");
	assert_str(read.parameters, "RET=HDRS ENVID=QQ1");
	assert_int_equal(read.recipients_n, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_true(str_eq(read.recipients[i].address, to[i].address));
		assert_true(str_eq(read.recipients[i].parameters, to[i].parameters));
	}
	buf_fini(&b);
	arena_fini(&a);
}

static void test_read(void **state)
{
	static const struct {
		const char *text, *fault; /* NULL: none */
		bool has_sender;
		size_t recipients;
	} rows[] = {
		{ "to: <bob@example.net>\n\n", NULL, false, 1 },
		{ "from: <>\nto: <bob>\n\nx", NULL, true, 1 },
		{ "to: <b>\nfrom: <a> RET=FULL\nto: <c> NOTIFY=NEVER\n\n", NULL, true, 2 },
		{ "", "line 1 of the file: the empty line in front of the message is missing", false, 0 },
		{ "to: <bob>\n", "line 2 of the file: the empty line in front of the message is missing", false, 0 },
		{ "\nSubject: x\n", "line 1 of the file: no recipient", false, 0 },
		{ "from: <a>\n\n", "line 2 of the file: no recipient", false, 0 },
		{ "from: <a>\nfrom: <b>\nto: <c>\n\n", "line 2 of the file: a second sender", false, 0 },
		{ "to: bob\n\n", "line 1 of the file: expected to: <ADDRESS> PARAMETERS", false, 0 },
		{ "to: <>\n\n", "line 1 of the file: expected to: <ADDRESS> PARAMETERS", false, 0 },
		{ "to: <bob\n\n", "line 1 of the file: expected to: <ADDRESS> PARAMETERS", false, 0 },
		{ "to: <bob>x\n\n", "line 1 of the file: expected to: <ADDRESS> PARAMETERS", false, 0 },
		{ "to: <bob>  x\n\n", "line 1 of the file: expected to: <ADDRESS> PARAMETERS", false, 0 },
		{ "to: <bob> \n\n", "line 1 of the file: expected to: <ADDRESS> PARAMETERS", false, 0 },
		{ "to: <bob>\r\n\r\n", "line 1 of the file: expected to: <ADDRESS> PARAMETERS", false, 0 },
		{ "to: <bob>\nRCPT TO:<x>\n\n", "line 2 of the file: expected from:, to: or an empty line", false, 0 },
		{ "To: <bob>\n\n", "line 1 of the file: expected from:, to: or an empty line", false, 0 },
		{ "from: <a>b> x\nto: <c>\n\n", "line 1 of the file: expected from: <ADDRESS> PARAMETERS", false, 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena a = { 0 };
		struct local_message m;
		size_t length = 0;
		struct verdict v = drop_head_read(&a, str_of(rows[i].text), &m, &length);

		assert_int_equal(v.class, rows[i].fault ? PERM : OK);
		if (rows[i].fault) {
			assert_str(v.text, rows[i].fault);
		} else {
			assert_int_equal(m.has_sender, rows[i].has_sender);
			assert_int_equal(m.recipients_n, rows[i].recipients);
		}
		arena_fini(&a);
	}
}

static void test_valid(void **state)
{
	static const struct {
		const char *sender, *parameters, *address, *of_recipient;
		bool has_sender, valid;
	} rows[] = {
		{ "", "", "bob", "", false, true },
		{ "", "", "bob", "", true, true },
		{ "a", "RET=FULL", "bob", "NOTIFY=NEVER", true, true },
		{ "", "RET=FULL", "bob", "", false, false }, /* they would have no line */
		{ "a\nto: <c>", "", "bob", "", true, false },
		{ "a", "x\ny", "bob", "", true, false },
		{ "a", "", "bob\n", "", true, false },
		{ "a", "", "bob", "\r", true, false },
		{ "a>", "", "bob", "", true, false },
		{ "a", "", "", "", true, false },
		{ "a", "", "b\"o>b", "", true, true },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct local_recipient r = { str_of(rows[i].address), str_of(rows[i].of_recipient), ok() };
		struct local_message m = { rows[i].has_sender, str_of(rows[i].sender), str_of(rows[i].parameters), &r, 1 };

		assert_int_equal(local_message_valid(&m), rows[i].valid);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
