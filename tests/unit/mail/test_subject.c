/* test_subject.c - Subject and Message-ID as people see them. */
#include "mail_test.h"

static const struct {
	const char *header, *subject, *message_id;
} rows[] = {
	{ "Subject: Invoice 17\r\nMessage-ID: <c1@laptop>\r\n", "Invoice 17", "<c1@laptop>" },
	{ "To: x\r\n", "", "" },
	{ "Subject:\r\n", "", "" },
	{ "subject: a long one\r\n that is\r\n\tfolded \r\n", "a long one that is folded", "" },
	{ "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n",
	  "Gr\xc3\xbc\xc3\x9f"
	  "e",
	  "" },
	{ "Subject: =?utf-8?q?one?=\r\n =?utf-8?q?_two?= =?UTF-8?B?IQ==?=\r\n", "one two!", "" },
	{ "Subject: a =?utf-8?q?b?= c\r\n", "a b c", "" },
	{ "Subject: =?iso-8859-1?Q?B=FCcher?=\r\n",
	  "B\xc3\xbc"
	  "cher",
	  "" },
	{ "Subject: =?iso-8859-1?Q?B=FC?=\r\n =?iso-8859-1?Q?cher?= now\r\n",
	  "B\xc3\xbc"
	  "cher now",
	  "" },
	{ "Subject: =?windows-1252?Q?100_=80?= =?iso-8859-15?Q?=A4?=\r\n", "100 \xe2\x82\xac\xe2\x82\xac", "" },
	{ "Subject: =?koi8-r?B?z9Q=?=\r\n", "\xef\xbf\xbd\xef\xbf\xbd", "" },
	{ "Subject: caf\xe9\r\n", "caf\xc3\xa9", "" },
	{ "Subject: \xc3\x84rger\r\n", "\xc3\x84rger", "" },
	{ "Subject: red \x1b[31m\xe2\x80\xae"
	  "dog\r\n",
	  "red [31m\xef\xbf\xbd"
	  "dog",
	  "" },
	{ "Subject: =?utf-8?q?two=0D=0Alines?=\r\n", "two lines", "" },
	{ "Subject: =?utf-8?q?broken\r\n", "=?utf-8?q?broken", "" },
	{ "Message-ID:\r\n <c1@laptop> \r\n", "", "<c1@laptop>" },
};

static void test_rows(void **state)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct arena a = { 0 };
		struct header h;

		assert_int_equal(header_parse(&a, str_of(rows[i].header), &h).class, OK);
		if (!str_eq(mail_subject(&a, &h), str_of(rows[i].subject)))
			fail_msg("%zu: \"%.*s\"", i, STR_ARG(mail_subject(&a, &h)));
		assert_true(str_eq(mail_message_id(&a, &h), str_of(rows[i].message_id)));
		arena_fini(&a);
	}
}

static void test_length(void **state)
{
	struct arena a = { 0 };
	char text[2000] = "Subject: ";
	struct header h;

	memset(text + 9, 'x', 1000);
	memcpy(text + 1009, "\r\n", 3);
	assert_int_equal(header_parse(&a, str_of(text), &h).class, OK);
	assert_int_equal(mail_subject(&a, &h).n, SUBJECT_KEPT + 3);
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_length) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
