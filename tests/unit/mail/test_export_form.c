/* test_export_form.c - a queued message as a file: what is written is read again, and what is malformed is refused by its line. */
#include "mail_test.h"

#include "posthouse/export_form.h"

static struct arena a;

static struct exported example(void)
{
	static struct export_recipient recipients[] = {
		{ .address = { "bob@example.net", 15 }, .notify = 3, .orcpt = { "rfc822;bob+2Bx@example.net", 26 } },
		{ .address = { "\"a > b\"@example.net", 19 }, .via = { "isp", 3 }, .held = true },
		{ .address = { "j\xc3\xb6rg@example.net", 17 } },
	};
	return (struct exported){
		.id = 0x123456789abcdef,
		.token = UINT64_MAX,
		.received_at = 1700000000123,
		.expires_at = 1700000500000,
		.device = S("phone"),
		.held = S("100 % \"odd\""),
		.envelope = { .login = S("alice@example.org"),
			      .sender = S("alice@example.org"),
			      .envid = S("QQ314159"),
			      .ret = 2,
			      .body = 1,
			      .utf8 = 2,
			      .options = 3,
			      .release_at = 1700000400000,
			      .deliver_by_mode = 6,
			      .priority = 18,
			      .sign_domain = S("example.org") },
		.recipients = recipients,
		.recipients_n = 3,
		.prefix_size = 10,
		.header_size = 20,
		.size = 70000,
	};
}

static struct str written(const struct exported *x)
{
	struct str all = export_write_head(&a, x);

	for (size_t i = 0; i < x->recipients_n; i++)
		all = arena_printf(&a, "%.*s%.*s", STR_ARG(all), STR_ARG(export_write_recipient(&a, &x->recipients[i])));
	return arena_printf(&a, "%.*s%.*s", STR_ARG(all), STR_ARG(export_write_end(&a, x)));
}

static void what_is_written_is_read(void **state)
{
	struct exported x = example(), y;
	struct str text = written(&x);
	size_t length;

	assert_true(str_is_ascii(text));
	assert_int_equal(export_read(&a, arena_printf(&a, "%.*sReceived: x\r\n", STR_ARG(text)), &y, &length).class, OK);
	assert_int_equal(length, text.n);
	assert_true(str_eq(written(&y), text));
	assert_int_equal(y.id, x.id);
	assert_int_equal(y.token, x.token);
	assert_int_equal(y.envelope.priority, 18);
	assert_true(str_eq(y.held, x.held));
	for (size_t i = 0; i < 3; i++) {
		assert_true(str_eq(y.recipients[i].address, x.recipients[i].address));
		assert_true(str_eq(y.recipients[i].orcpt, x.recipients[i].orcpt));
		assert_true(str_eq(y.recipients[i].via, x.recipients[i].via));
		assert_int_equal(y.recipients[i].notify, x.recipients[i].notify);
		assert_int_equal(y.recipients[i].held, x.recipients[i].held);
	}
}

static void what_is_malformed_is_refused(void **state)
{
	static const char first[] = "Posthouse-Export: 1\r\n", id[] = "Posthouse-id: 0m5k2x7q9abcd\r\n";
	static const char to[] = "Posthouse-recipient: b@a.org notify=0\r\n", end[] = "Posthouse-text: 0 1 2\r\n";
	static const struct {
		const char *one, *two, *three, *four, *fault;
	} rows[] = {
		{ first, id, to, end, "" },
		{ "", "", "", "", "line 1: " },
		{ "Subject: x\r\n", id, to, end, "line 1: " },
		{ "Posthouse-Export: 2\r\n", id, to, end, "line 1: " },
		{ first, id, to, "", "line 4: " },
		{ first, id, to, "Subject: x\r\n", "line 4: the line" },
		{ first, "", to, end, "line 3: there is no Posthouse-id" },
		{ first, id, "", end, "line 3: there is no Posthouse-recipient" },
		{ first, id, to, "Posthouse-text: 0 3 2\r\n", "line 4: sizes" },
		{ first, id, to, "Posthouse-text: 0 2\r\n", "line 4: three" },
		{ first, "Posthouse-id: x\r\n", to, end, "line 2: no id" },
		{ first, id, "Posthouse-recipient: b@a.org notify=0 color=red\r\n", end, "line 3: a recipient" },
		{ first, id, "Posthouse-recipient: b@a.org notify=16\r\n", end, "line 3: a recipient" },
		{ first, id, "Posthouse-recipient: b%0D%0A@a.org notify=0\r\n", end, "line 3: a control" },
		{ first, id, "Posthouse-recipient: b%20SIZE=1@a.org\r\n", end, "line 3: no address" },
		{ first, id, "Posthouse-recipient: b@a.org orcpt=rfc822;%20\r\n", end, "line 3: a recipient" },
		{ first, "Posthouse-color: red\r\n", to, end, "line 2: this version" },
		{ first, "Posthouse-ret: 3\r\n", to, end, "line 2: no number" },
		{ first, "Posthouse-ret: 1\r\nPosthouse-ret: 1\r\n", to, end, "line 3: the field is there twice" },
		{ first, "Posthouse-held: 100%\r\n", to, end, "line 2: a '%'" },
		{ first, "Posthouse-held: a b\r\n", to, end, "line 2: a character" },
		{ first, "Posthouse-id: 0m5k2x7q9abcd\r\nPosthouse-sender: <a\r\n", to, end, "line 5: sender" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct exported x;
		size_t length;
		struct str text = arena_printf(&a, "%s%s%s%s", rows[i].one, rows[i].two, rows[i].three, rows[i].four);
		struct verdict v = export_read(&a, text, &x, &length);

		assert_int_equal(v.class, rows[i].fault[0] ? PERM : OK);
		if (v.class != OK && !str_starts(v.text, str_of(rows[i].fault)))
			fail_msg("row %zu: %.*s", i, STR_ARG(v.text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(what_is_written_is_read),
					    cmocka_unit_test(what_is_malformed_is_refused) };
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	arena_fini(&a);
	return failed;
}
