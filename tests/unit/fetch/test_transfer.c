/* test_transfer.c - requests by libcurl on the loop, to a server that is the test's. */
#include "server.h"

#include "client.h"

#include <stdlib.h>
#include <unistd.h>

#define HOST "login.example"

static struct client *client;
static uv_loop_t loop;

/* What has come back. */
static struct result {
	unsigned n;
	struct verdict verdict;
	char why[512], body[256];
	struct transfer_answer answer;
	size_t body_n;
} result;

static void on_done(void *ctx, struct verdict v, const struct transfer_answer *answer)
{
	result.n++;
	result.verdict = v;
	snprintf(result.why, sizeof result.why, "%.*s", STR_ARG(v.text));
	result.answer = *answer;
	result.body_n = answer->body.n;
	snprintf(result.body, sizeof result.body, "%.*s", STR_ARG(str_head(answer->body, 200)));
}

struct asked {
	const char *path;
	const char *host; /* NULL: HOST */
	struct str body, ca_pem;
	unsigned port;
	uint64_t time_ms;
};

static struct transfer *begin(const struct asked *asked, struct arena *a)
{
	struct sockaddr_storage address = { 0 };
	struct transfer_request request = { .host = str_of(asked->host ? asked->host : HOST),
					    .port = asked->port,
					    .addresses = &address,
					    .addresses_n = 1,
					    .content_type = S("application/x-www-form-urlencoded"),
					    .accept = "application/json",
					    .body = asked->body,
					    .ca_pem = asked->ca_pem,
					    .time_ms = asked->time_ms ? asked->time_ms : 20000 };

	uv_ip4_addr("127.0.0.1", (int)asked->port, (struct sockaddr_in *)&address);
	request.url = arena_printf(a, "https://%.*s:%u%s", STR_ARG(request.host), asked->port, asked->path);
	return transfer_new(client, &request, on_done, NULL);
}

/* Ask and wait. */
static void ask(const struct asked *asked)
{
	struct arena a = { 0 };

	result = (struct result){ 0 };
	begin(asked, &a);
	assert_true(run_until(&loop, &result.n, 1));
	arena_fini(&a);
}

static void assert_fails(const struct asked *asked, const char *why)
{
	ask(asked);
	assert_int_equal(result.verdict.class, TEMP);
	assert_string_equal(result.why, why);
}

/* ---- answers ---- */
#define JSON "Content-Type: application/json\r\n"

static const struct page pages[] = {
	{ "/good", "HTTP/1.1 200 OK\r\n" JSON "Date: Sun, 29 Nov 2026 12:00:00 GMT\r\nContent-Length: 7\r\n\r\n{\"a\":1}" },
	{ "/chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n3\r\n:1}\r\n0\r\n\r\n" },
	{ "/to-the-end", "HTTP/1.0 200 OK\r\n\r\n{\"a\":1}" },
	{ "/interim", "HTTP/1.1 103 Early Hints\r\nRetry-After: 7\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}" },
	{ "/bad-request", "HTTP/1.1 400 Bad Request\r\n" JSON "Content-Length: 25\r\n\r\n{\"error\":\"invalid_grant\"}" },
	{ "/busy", "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 120\r\nContent-Length: 4\r\n\r\nbusy" },
	{ "/until", "HTTP/1.1 429 Slow\r\nDate: Sun, 29 Nov 2026 12:00:00 GMT\r\nRetry-After: Sun, 29 Nov 2026 12:10:00 GMT\r\n"
		    "Content-Length: 0\r\n\r\n" },
	{ "/past", "HTTP/1.1 429 Slow\r\nDate: Sun, 29 Nov 2026 12:00:00 GMT\r\nRetry-After: Sun, 29 Nov 2026 11:00:00 GMT\r\n"
		   "Content-Length: 0\r\n\r\n" },
	{ "/absurd", "HTTP/1.1 429 Slow\r\nRetry-After: 99999999999999\r\nDate: tomorrow\r\nContent-Length: 0\r\n\r\n" },
	{ "/nonsense", "HTTP/1.1 429 Slow\r\nRetry-After: -5\r\nContent-Length: 0\r\n\r\n" },
	{ "/moved", "HTTP/1.1 302 Found\r\nLocation: /good\r\nContent-Length: 0\r\n\r\n" },
	{ "/cookie", "HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n" },
};

static struct server server;

static int setup(void **state)
{
	server_start(&server, &loop, "DNS:" HOST, 0, pages, sizeof pages / sizeof pages[0]);
	return 0;
}

static int teardown(void **state)
{
	server_end(&server);
	return 0;
}

static struct asked at(const char *path)
{
	return (struct asked){ .path = path, .ca_pem = server.ca_pem, .port = server.port };
}

static void assert_answer(const char *path, unsigned status, const char *body)
{
	struct asked asked = at(path);

	ask(&asked);
	if (result.verdict.class != OK)
		fail_msg("%s: %s", path, result.why);
	assert_int_equal(result.answer.status, status);
	assert_string_equal(result.body, body);
}

static void test_answers(void **state)
{
	assert_answer("/good?secret=1", 200, "{\"a\":1}");
	assert_int_equal(result.answer.date, 1795953600000);
	assert_int_equal(result.answer.retry_after_ms, 0);
	assert_answer("/chunked", 200, "{\"a\":1}");
	assert_int_equal(result.answer.date, 0);
	assert_answer("/to-the-end", 200, "{\"a\":1}");
	assert_answer("/interim", 200, "{}");
	assert_int_equal(result.answer.retry_after_ms, 0);
	assert_answer("/bad-request", 400, "{\"error\":\"invalid_grant\"}");
}

static void test_retry_after(void **state)
{
	assert_answer("/busy", 503, "busy");
	assert_int_equal(result.answer.retry_after_ms, 120000);
	assert_answer("/until", 429, "");
	assert_int_equal(result.answer.retry_after_ms, 600000);
	assert_answer("/past", 429, "");
	assert_int_equal(result.answer.retry_after_ms, 0);
	assert_answer("/absurd", 429, "");
	assert_int_equal(result.answer.retry_after_ms, RETRY_AFTER_MAX);
	assert_int_equal(result.answer.date, 0);
	assert_answer("/nonsense", 429, "");
	assert_int_equal(result.answer.retry_after_ms, 0);
}

/* What the server sees of a GET and of a POST, and that it sees nothing of earlier answers. */
static void test_requests(void **state)
{
	struct asked post = at("/cookie");

	assert_answer("/cookie", 200, "");
	assert_non_null(strstr(server.last, "GET /cookie HTTP/1.1\r\n"));
	assert_null(strstr(server.last, "Cookie"));
	post.body = S("grant_type=refresh_token&refresh_token=x");
	ask(&post);
	assert_int_equal(result.answer.status, 200);
	assert_non_null(strstr(server.last, "POST /cookie HTTP/1.1\r\n"));
	assert_non_null(strstr(server.last, "\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
	assert_non_null(strstr(server.last, "\r\n\r\ngrant_type=refresh_token&refresh_token=x"));
	assert_null(strstr(server.last, "Cookie"));
	assert_null(strstr(server.last, "Expect"));
	assert_int_equal(server.accepted, 2);
}

/* libcurl finds the addresses that it was given, and compares the name of the certificate. */
static void test_forms_of_a_name(void **state)
{
	static const char *const hosts[] = { "LOGIN.Example", "login.example." };

	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
		struct asked asked = at("/good");

		asked.host = hosts[i];
		ask(&asked);
		if (result.verdict.class != OK)
			fail_msg("%s: %s", hosts[i], result.why);
	}
}

static void test_redirects_are_not_followed(void **state)
{
	assert_answer("/moved", 302, "");
	assert_int_equal(server.requests, 1);
}

/* Variables that libcurl would heed. */
static void test_no_proxy_of_the_environment(void **state)
{
	setenv("https_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	assert_answer("/good", 200, "{\"a\":1}");
	unsetenv("https_proxy");
	unsetenv("ALL_PROXY");
}

/* ---- limits ---- */
static void serve(const struct page *page)
{
	server.pages = page;
	server.pages_n = 1;
}

static void test_large_answers(void **state)
{
	struct arena a = { 0 };
	struct str most = str_make(memset(arena_alloc(&a, ANSWER_MAX + 1), 'x', ANSWER_MAX + 1), ANSWER_MAX);
	struct str head = arena_printf(&a, "HTTP/1.1 200 OK\r\nX: %.*s\r\n\r\n", 20000, most.p);
	struct str heads = arena_printf(&a, "HTTP/1.1 200 OK\r\nX: %.*s\r\nY: %.*s\r\n\r\n", 20000, most.p, 20000, most.p);
	struct page page = { "/", "HTTP/1.1 200 OK\r\n\r\n", .more = most };
	struct asked asked = at("/");

	serve(&page);
	ask(&asked);
	assert_int_equal(result.verdict.class, OK);
	assert_int_equal(result.body_n, ANSWER_MAX);
	page.more.n++;
	assert_fails(&asked, "the answer of " HOST " is too large");
	page = (struct page){ "/", head.p };
	ask(&asked);
	assert_int_equal(result.verdict.class, OK);
	page.answer = heads.p;
	assert_fails(&asked, "the answer of " HOST " is too large");
	arena_fini(&a);
}

static void test_a_server_that_is_slow(void **state)
{
	struct page page = { "/", NULL };
	struct asked asked = at("/");

	asked.time_ms = 300;
	serve(&page);
	assert_fails(&asked, HOST " has not answered in time");
	page = (struct page){ "/", "HTTP/1.1 200 OK\r\nContent-Le", .open = true }; /* within the head */
	assert_fails(&asked, HOST " has not answered in time");
	page.answer = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"; /* within the body */
	assert_fails(&asked, HOST " has not answered in time");
}

static void test_a_server_that_breaks_off(void **state)
{
	struct page page = { "/", "" };
	struct asked asked = at("/");

	serve(&page);
	assert_fails(&asked, HOST " has closed the connection before its answer was complete");
	page.answer = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{";
	assert_fails(&asked, HOST " has closed the connection before its answer was complete");
	page.answer = "220 mail.example ESMTP\r\n";
	assert_fails(&asked, "what " HOST " has sent is no answer of HTTP");
}

/* ---- connections and certificates ---- */
static void test_a_dead_port(void **state)
{
	struct asked asked = at("/good");
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* bound, but nobody listens */
	uv_ip4_addr("127.0.0.1", 0, &address);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	asked.port = ntohs(address.sin_port);
	assert_fails(&asked, "no connection to " HOST ": Connection refused");
	close(fd);
}

static void test_a_server_without_tls(void **state)
{
	struct server silent;
	struct asked asked = at("/");

	server_start(&silent, &loop, NULL, 0, NULL, 0);
	asked.port = silent.port;
	asked.time_ms = 300;
	assert_fails(&asked, "no connection to " HOST ": timed out");
	server_end(&silent);
}

/* The words of a handshake that fails: a server of clear text, one that closes. */
static void test_handshakes(void **state)
{
	static const struct page clear = { "", "220 mail.example ESMTP\r\n" }, closes = { "", "" };
	struct server other;
	struct asked asked = at("/");

	server_start(&other, &loop, NULL, 0, &clear, 1);
	asked.port = other.port;
	assert_fails(&asked, "no TLS with " HOST ": wrong version number");
	other.pages = &closes;
	assert_fails(&asked, "no TLS with " HOST ": the connection was closed");
	server_end(&other);
}

static void assert_certificate(const char *name, long ends_s, bool own_ca, const char *why)
{
	struct server other;
	struct asked asked = { .path = "/good" };

	server_start(&other, &loop, name, ends_s, pages, sizeof pages / sizeof pages[0]);
	asked.port = other.port;
	asked.ca_pem = own_ca ? other.ca_pem : server.ca_pem;
	assert_fails(&asked, why);
	assert_int_equal(other.requests, 0);
	server_end(&other);
}

static void test_certificates(void **state)
{
	struct asked asked = at("/good");

	assert_certificate("DNS:" HOST, -60, true, "the certificate of " HOST " has expired");
	assert_certificate("DNS:other.example", 0, true, "the certificate of " HOST " is for another name");
	assert_certificate("DNS:" HOST, 0, false,
			   "the certificate of " HOST " is from no authority that https.ca or this machine knows");
	asked.ca_pem = S(""); /* the system's */
	assert_fails(&asked, "the certificate of " HOST " is from no authority that https.ca or this machine knows");
}

/* ---- several ---- */
static void test_cancelled(void **state)
{
	struct page page = { "/", NULL };
	struct asked asked = at("/");
	struct arena a = { 0 };
	struct transfer *t;

	serve(&page);
	result = (struct result){ 0 };
	transfer_cancel(begin(&asked, &a)); /* before it is connected */
	t = begin(&asked, &a);
	assert_true(run_until(&loop, &server.held, 1));
	transfer_cancel(t);
	while (server.open > 0)
		uv_run(&loop, UV_RUN_ONCE);
	assert_int_equal(result.n, 0);
	arena_fini(&a);
}

static void test_many_at_once(void **state)
{
	struct page page = { "/", NULL };
	struct asked asked = at("/");
	struct arena a = { 0 };

	serve(&page);
	result = (struct result){ 0 };
	for (int i = 0; i < 20; i++)
		begin(&asked, &a);
	assert_true(run_until(&loop, &server.held, 20));
	server_release(&server, pages[0].answer);
	assert_true(run_until(&loop, &result.n, 20));
	assert_int_equal(result.answer.status, 200);
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_retry_after, setup, teardown),
		cmocka_unit_test_setup_teardown(test_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forms_of_a_name, setup, teardown),
		cmocka_unit_test_setup_teardown(test_redirects_are_not_followed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_proxy_of_the_environment, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_server_that_is_slow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_server_that_breaks_off, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_dead_port, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_server_without_tls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_handshakes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_certificates, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancelled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_at_once, setup, teardown),
	};

	signal(SIGPIPE, SIG_IGN);
	uv_loop_init(&loop);
	client = client_new(&loop); /* first of all, because of OpenSSL's memory */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
