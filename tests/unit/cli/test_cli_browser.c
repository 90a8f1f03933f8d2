/* test_cli_browser.c - what a browser, or anybody else on this machine, asks the command line for during a sign-in. */
#include "unit.h"

#include "browser.h"

static const struct row {
	const char *request;
	enum browser_request found;
	const char *code, *error;
} rows[] = {
	{ "GET /?code=4%2F0Ab&state=s-1_x HTTP/1.1\r\nHost: 127.0.0.1:4711\r\n\r\n", BROWSER_SIGNED_IN, "4/0Ab", "" },
	{ "GET /?state=s-1_x&iss=https://a.example&code=abc+d&scope=x HTTP/1.0\r\n\r\n", BROWSER_SIGNED_IN, "abc d", "" },
	{ "GET /?error=access_denied&state=s-1_x HTTP/1.1\r\n\r\n", BROWSER_SIGNED_IN, "", "access_denied" },
	{ "GET /?code=abc&state=s-1%5Fx HTTP/1.1\r\n\r\n", BROWSER_SIGNED_IN, "abc", "" },
	/* not complete */
	{ "", BROWSER_MORE, "", "" },
	{ "GET /?code=abc&state=s-1_x HTTP/1.1\r\nHost: x\r\n", BROWSER_MORE, "", "" },
	{ "GET /?code=abc&state=s-1_x HTTP/1.1\n\n", BROWSER_MORE, "", "" },
	/* another sign-in, or none */
	{ "GET /?code=abc&state=other HTTP/1.1\r\n\r\n", BROWSER_OTHER, "", "" },
	{ "GET /?code=abc HTTP/1.1\r\n\r\n", BROWSER_OTHER, "", "" },
	{ "GET /?code=abc&state= HTTP/1.1\r\n\r\n", BROWSER_OTHER, "", "" },
	{ "GET /?state=s-1_x HTTP/1.1\r\n\r\n", BROWSER_OTHER, "", "" },
	{ "GET /?error=access_denied HTTP/1.1\r\n\r\n", BROWSER_OTHER, "", "" },
	{ "GET /?code=a&state=s-1_x&state=s-1_x HTTP/1.1\r\n\r\n", BROWSER_OTHER, "", "" },
	{ "GET /?code=a&code=b&state=s-1_x HTTP/1.1\r\n\r\n", BROWSER_OTHER, "", "" },
	/* other requests */
	{ "GET / HTTP/1.1\r\n\r\n", BROWSER_OTHER, "", "" },
	{ "GET /favicon.ico HTTP/1.1\r\n\r\n", BROWSER_OTHER, "", "" },
	{ "GET /x?code=abc&state=s-1_x HTTP/1.1\r\n\r\n", BROWSER_OTHER, "", "" },
	{ "POST /?code=abc&state=s-1_x HTTP/1.1\r\n\r\n", BROWSER_OTHER, "", "" },
	{ "get /?code=abc&state=s-1_x HTTP/1.1\r\n\r\n", BROWSER_OTHER, "", "" },
	{ "GET http://127.0.0.1/?code=abc&state=s-1_x HTTP/1.1\r\n\r\n", BROWSER_OTHER, "", "" },
	{ "GET /?code=abc&state=s-1_x\r\n\r\n", BROWSER_OTHER, "", "" },
	{ "GET /?code=abc&state=s-1_x HTTP/2\r\n\r\n", BROWSER_OTHER, "", "" },
	{ "GET /?code=abc&state=s-1_x x HTTP/1.1\r\n\r\n", BROWSER_OTHER, "", "" },
	{ "\r\n\r\n", BROWSER_OTHER, "", "" },
	/* encodings that are none */
	{ "GET /?code=%&state=s-1_x HTTP/1.1\r\n\r\n", BROWSER_OTHER, "", "" },
	{ "GET /?code=%4&state=s-1_x HTTP/1.1\r\n\r\n", BROWSER_OTHER, "", "" },
	{ "GET /?code=%4x&state=s-1_x HTTP/1.1\r\n\r\n", BROWSER_OTHER, "", "" },
	{ "GET /?code=a%00b&state=s-1_x HTTP/1.1\r\n\r\n", BROWSER_OTHER, "", "" },
	{ "GET /?code=a%0d%0ab&state=s-1_x HTTP/1.1\r\n\r\n", BROWSER_OTHER, "", "" },
	{ "GET /?code=a\xc3\xa4&state=s-1_x HTTP/1.1\r\n\r\n", BROWSER_OTHER, "", "" },
};

static void requests(void **state)
{
	struct arena a = { 0 };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct row *r = &rows[i];
		struct browser_answer answer;

		if (browser_read(&a, str_of(r->request), S("s-1_x"), &answer) != r->found ||
		    (r->found == BROWSER_SIGNED_IN &&
		     (!str_eq(answer.code, str_of(r->code)) || !str_eq(answer.error, str_of(r->error)))))
			fail_msg("%s", r->request);
	}
	arena_fini(&a);
}

/* A request without an end is not read for ever. */
static void bounds(void **state)
{
	struct arena a = { 0 };
	struct browser_answer answer;
	char *long_request = arena_alloc(&a, BROWSER_REQUEST_MAX);

	memset(long_request, 'x', BROWSER_REQUEST_MAX);
	assert_int_equal(browser_read(&a, str_make(long_request, BROWSER_REQUEST_MAX), S("s"), &answer), BROWSER_OTHER);
	assert_int_equal(browser_read(&a, str_make(long_request, BROWSER_REQUEST_MAX - 1), S("s"), &answer), BROWSER_MORE);
	/* a URL without a state: nothing is the answer to it */
	assert_int_equal(browser_read(&a, S("GET /?code=a&state= HTTP/1.1\r\n\r\n"), S(""), &answer), BROWSER_OTHER);
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(requests), cmocka_unit_test(bounds) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
