/* test_idn.c - addresses with A-labels for next hops without SMTPUTF8 (mail_address_to_ascii). */
#include "unit.h"

#include "posthouse/mail.h"

static const struct {
	const char *address, *ascii; /* NULL: needs UTF-8, or is none */
} rows[] = {
	{ "alice@example.org", "alice@example.org" },
	{ "Alice@EXAMPLE.org", "Alice@EXAMPLE.org" },
	{ "", "" },
	{ "postmaster", "postmaster" },
	{ "alice@[192.0.2.1]", "alice@[192.0.2.1]" },
	{ "alice@m\xc3\xbcnchen.example", "alice@xn--mnchen-3ya.example" },
	{ "Alice@M\xc3\x9cNCHEN.Example", "Alice@xn--mnchen-3ya.example" },
	{ "alice@mu\xcc\x88nchen.example", "alice@xn--mnchen-3ya.example" }, /* not in NFC */
	{ "a@stra\xc3\x9f"
	  "e.example",
	  "a@xn--strae-oqa.example" }, /* not "strasse" */
	{ "a@m\xc3\xbcnchen\xe3\x80\x82"
	  "example",
	  "a@xn--mnchen-3ya.example" }, /* an ideographic full stop */
	{ "\"a@b\"@m\xc3\xbcnchen.example", "\"a@b\"@xn--mnchen-3ya.example" },
	{ "\xd0\xbf\xd0\xbe\xd1\x87\xd1\x82\xd0\xb0@example.org", NULL },
	{ "m\xc3\xbcller@m\xc3\xbcnchen.example", NULL },
	{ "m\xc3\xbcller", NULL },
	{ "a@m\xc3\xbc\xef\xbc\xa0nchen.example", NULL }, /* a full-width "@" */
	{ "a@m\xc3\xbc nchen.example", NULL },
	{ "a@m\xc3\xbcnchen..example", NULL },
	{ "a@\xc3\x28.example", NULL },
	{ "a@[m\xc3\xbcnchen]", NULL },
	{ "a@-\xc3\xbc.example", NULL },
};

static void test_rows(void **state)
{
	struct arena a = { 0 };
	struct str ascii;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool good = mail_address_to_ascii(&a, str_of(rows[i].address), &ascii);

		if (good != (rows[i].ascii != NULL) || (good && !str_eq(ascii, str_of(rows[i].ascii))))
			fail_msg("%s: %d %.*s", rows[i].address, good, STR_ARG(ascii));
	}
	assert_false(mail_address_to_ascii(&a, str_make("a@m\xc3\xbc\0x", 7), &ascii));
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
