/* test_fetch.c - the real process of the role; master, vault and the HTTPS server are the test's. */
#include "../role/played.h"
#include "server.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define ANSWERS_MAX 512

static const char *program;

static struct world {
	struct played role;
	struct config config;
	struct cfg_upstream upstream;
	char token_url[64];
	struct server server;
	uv_loop_t loop;
	unsigned answers, numbers[ANSWERS_MAX]; /* which requests were answered, in order */
	struct msg_fetched last;
	struct msg_text_fetched text;
	char file[64];
	char why[256], fields[256];
} world;

static void on_fetched(void *ctx, struct verdict v, const struct msg_fetched *m, int fd)
{
	struct world *w = &world;

	assert_true(w->answers < ANSWERS_MAX);
	w->numbers[w->answers++] = (unsigned)(uintptr_t)ctx;
	w->last = m ? *m : (struct msg_fetched){ .verdict = v };
	snprintf(w->why, sizeof w->why, "%.*s", STR_ARG(w->last.verdict.text));
	w->fields[0] = '\0';
	for (size_t i = 0; i < w->last.fields.n; i++)
		snprintf(w->fields + strlen(w->fields), sizeof w->fields - strlen(w->fields), "%.*s=%.*s;",
			 STR_ARG(w->last.fields.at[i].name), STR_ARG(w->last.fields.at[i].value));
}

static void ask(struct world *w, struct str url, unsigned number)
{
	struct msg_fetch m = { .url = url, .content_type = S("text/plain"), .body = S("x") };

	ipc_call_fetch(w->role.peers[ROLE_VAULT], &m, -1, on_fetched, (void *)(uintptr_t)number);
}

static struct str at(struct world *w, const char *path)
{
	return arena_printf(&w->role.arena, "https://127.0.0.1:%u%s", w->server.port, path);
}

static void ask_and_wait(struct world *w, struct str url)
{
	unsigned before = w->answers;

	ask(w, url, 0);
	assert_true(run_until(&w->loop, &w->answers, before + 1));
}

static const struct page pages[] = {
	{ "/token", "HTTP/1.1 200 OK\r\nDate: Sun, 29 Nov 2026 12:00:00 GMT\r\n\r\n"
		    "{\"access_token\":\"at\",\"expires_in\":3599,\"more\":{\"a\":1}}" },
	{ "/refused", "HTTP/1.1 400 Bad Request\r\nRetry-After: 9\r\n\r\n{\"error\":\"invalid_grant\"}" },
	{ "/html", "HTTP/1.1 502 Bad Gateway\r\n\r\n<html>" },
	{ "/held", NULL },
};

static int setup(void **state)
{
	static const struct ipc_handlers none;
	struct world *w = &world;

	*w = (struct world){ 0 };
	uv_loop_init(&w->loop);
	w->role = (struct played){ .loop = &w->loop, .role = ROLE_FETCH, .program = program };
	server_start(&w->server, &w->loop, "IP:127.0.0.1,DNS:localhost", 0, pages, sizeof pages / sizeof pages[0]);
	w->config.https.ca_pem = w->server.ca_pem;
	snprintf(w->token_url, sizeof w->token_url, "https://127.0.0.1:%u/", w->server.port);
	w->upstream = (struct cfg_upstream){ .name = S("hop"), .oauth.token_url = str_of(w->token_url) };
	w->config.upstreams = &w->upstream; /* fetch connects to the ports of token servers only */
	w->config.upstreams_n = 1;
	played_start(&w->role, &w->config);
	played_connect(&w->role, ROLE_VAULT, &none);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	server_end(&w->server);
	played_end(&w->role);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	return uv_loop_close(&w->loop);
}

static void test_answers(void **state)
{
	struct world *w = *state;

	ask_and_wait(w, at(w, "/token?secret"));
	assert_int_equal(w->last.verdict.class, OK);
	assert_int_equal(w->last.status, 200);
	assert_int_equal(w->last.date, 1795953600000);
	assert_string_equal(w->fields, "access_token=at;expires_in=3599;");
	ask_and_wait(w, at(w, "/refused"));
	assert_int_equal(w->last.status, 400);
	assert_int_equal(w->last.retry_after_ms, 9000);
	assert_string_equal(w->fields, "error=invalid_grant;");
	ask_and_wait(w, at(w, "/html"));
	assert_int_equal(w->last.verdict.class, OK);
	assert_int_equal(w->last.status, 502);
	assert_string_equal(w->fields, "");
}

static void test_what_is_no_url(void **state)
{
	static const char *const urls[] = { "",
					    "http://127.0.0.1/",
					    "https://",
					    "https://user:pw@127.0.0.1/",
					    "ftp://127.0.0.1/",
					    "file:///etc/passwd",
					    "/token",
					    "https://127.0.0.1:99999/",
					    "https://127.0.0.1:0/",
					    "https:/%33",
					    "https://a%2eexample/" };
	struct world *w = *state;

	for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
		ask_and_wait(w, str_of(urls[i]));
		assert_int_equal(w->last.verdict.class, TEMP);
		assert_string_equal(w->why, "the URL is not one of https");
	}
	assert_int_equal(w->server.accepted, 0);
}

static void test_a_host_that_is_not_there(void **state)
{
	struct world *w = *state;

	ask_and_wait(w, S("https://no-such-host.invalid/token"));
	assert_int_equal(w->last.verdict.class, TEMP);
	assert_non_null(strstr(w->why, "no-such-host.invalid"));
}

/* Names that mean the same host; the addresses are found for each of them. */
static void test_forms_of_a_host(void **state)
{
	static const char *const hosts[] = { "localhost", "LocalHost", "127.1", "0x7f.0.0.1" };
	struct world *w = *state;

	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
		ask_and_wait(w, arena_printf(&w->role.arena, "https://%s:%u/token", hosts[i], w->server.port));
		if (w->last.verdict.class != OK)
			fail_msg("%s: %s", hosts[i], w->why);
		assert_int_equal(w->last.status, 200);
	}
}

/* ---- texts ---- */
static const struct page texts[] = {
	{ "/policy", "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nversion: STSv1\r\n" },
	{ "/elsewhere", "HTTP/1.1 301 Moved\r\nLocation: /policy\r\n\r\n" },
	{ "/held", NULL },
};

static void on_text(void *ctx, struct verdict v, const struct msg_text_fetched *m, int fd)
{
	struct world *w = &world;

	w->numbers[w->answers++] = (unsigned)(uintptr_t)ctx;
	w->text = m ? *m : (struct msg_text_fetched){ .verdict = v };
	snprintf(w->why, sizeof w->why, "%.*s", STR_ARG(w->text.verdict.text));
	snprintf(w->fields, sizeof w->fields, "%.*s|%.*s", STR_ARG(w->text.content_type), STR_ARG(w->text.text));
}

static void ask_text(struct world *w, const char *path, const char *addresses, struct str body)
{
	struct msg_fetch_text m = { .url = arena_printf(&w->role.arena, "https://mta-sts.example.net:%u%s", w->server.port, path),
				    .addresses = str_of(addresses),
				    .content_type = S("application/tlsrpt+gzip"),
				    .body = body };

	ipc_call_fetch_text(w->role.peers[ROLE_TLSPOLICY], &m, -1, on_text, NULL);
}

static void ask_text_and_wait(struct world *w, const char *path, const char *addresses)
{
	unsigned before = w->answers;

	ask_text(w, path, addresses, S(""));
	assert_true(run_until(&w->loop, &w->answers, before + 1));
}

/* For tlspolicy the authorities of the system count, which the variable names here. */
static int setup_texts(void **state)
{
	static const struct ipc_handlers none;
	struct world *w = &world;
	char file[] = "/tmp/posthouse-test-ca-XXXXXX";
	int fd = mkstemp(file);

	*w = (struct world){ 0 };
	*state = w;
	uv_loop_init(&w->loop);
	w->role = (struct played){ .loop = &w->loop, .role = ROLE_FETCH, .program = program };
	server_start(&w->server, &w->loop, "DNS:mta-sts.example.net", 0, texts, sizeof texts / sizeof texts[0]);
	assert_int_equal(write(fd, w->server.ca_pem.p, w->server.ca_pem.n), w->server.ca_pem.n);
	close(fd);
	setenv("SSL_CERT_FILE", file, 1);
	snprintf(w->token_url, sizeof w->token_url, "https://127.0.0.1:%u/", w->server.port);
	w->upstream = (struct cfg_upstream){ .name = S("hop"), .oauth.token_url = str_of(w->token_url) };
	w->config.https.ca_pem = S("nothing that counts here");
	w->config.upstreams = &w->upstream;
	w->config.upstreams_n = 1;
	played_start(&w->role, &w->config);
	played_connect(&w->role, ROLE_TLSPOLICY, &none);
	snprintf(w->file, sizeof w->file, "%s", file);
	return 0;
}

static int teardown_texts(void **state)
{
	unlink(world.file);
	unsetenv("SSL_CERT_FILE");
	return teardown(state);
}

static void test_texts(void **state)
{
	struct world *w = *state;

	ask_text_and_wait(w, "/policy", "127.0.0.1");
	assert_int_equal(w->text.verdict.class, OK);
	assert_int_equal(w->text.status, 200);
	assert_string_equal(w->fields, "text/plain; charset=utf-8|version: STSv1\r\n");
	assert_non_null(strstr(w->server.last, "Accept: text/plain"));
	ask_text_and_wait(w, "/elsewhere", "nonsense 127.0.0.1"); /* redirects are told, not followed */
	assert_int_equal(w->text.status, 301);
	assert_int_equal(w->server.requests, 2);
	ask_text_and_wait(w, "/policy", ""); /* no name is looked up here */
	assert_int_equal(w->text.verdict.class, TEMP);
	ask_text(w, "/policy", "127.0.0.1", S("a report"));
	assert_true(run_until(&w->loop, &w->answers, 4));
	assert_int_equal(w->text.status, 200);
	assert_non_null(strstr(w->server.last, "POST /policy"));
	assert_non_null(strstr(w->server.last, "Content-Type: application/tlsrpt+gzip"));
}

static void test_text_of_an_untrusted_host(void **state)
{
	struct world *w = *state;
	struct msg_fetch_text m = { .url = at(w, "/policy"), .addresses = S("127.0.0.1") };

	ipc_call_fetch_text(w->role.peers[ROLE_TLSPOLICY], &m, -1, on_text, NULL);
	assert_true(run_until(&w->loop, &w->answers, 1));
	assert_int_equal(w->text.verdict.class, TEMP);
	assert_int_equal(w->text.untrusted, 1);
	assert_int_equal(w->server.requests, 0);
}

/* Texts that are slow do not keep tokens waiting. */
static void test_tokens_beside_texts(void **state)
{
	static const struct ipc_handlers none;
	struct world *w = *state;

	for (unsigned i = 0; i < 20; i++)
		ask_text(w, "/held", "127.0.0.1", S(""));
	assert_true(run_until(&w->loop, &w->server.held, 16));
	played_connect(&w->role, ROLE_VAULT, &none);
	ask(w, S("https://127.0.0.1:1/token"), 7);
	assert_true(run_until(&w->loop, &w->answers, 1));
	assert_int_equal(w->numbers[0], 7);
}

/* ---- secrets ---- */
#define CHUNK       ((size_t)1 << 20)
#define MAPPING_MAX ((size_t)1 << 28) /* larger ones are the sanitizer's own */

/* How often the text is in what the process can write. */
static unsigned copies_in(pid_t pid, struct str text)
{
	struct arena a = { 0 };
	FILE *maps = fopen(arena_printf(&a, "/proc/%d/maps", (int)pid).p, "r");
	int memory = open(arena_printf(&a, "/proc/%d/mem", (int)pid).p, O_RDONLY | O_CLOEXEC);
	char line[512], rights[8], *chunk = arena_alloc(&a, CHUNK);
	size_t from, to;
	unsigned found = 0;

	if (!maps || memory < 0)
		skip(); /* only root can look into a role */
	while (fgets(line, sizeof line, maps)) {
		if (sscanf(line, "%zx-%zx %7s", &from, &to, rights) != 3 || rights[1] != 'w' || to - from > MAPPING_MAX)
			continue;
		for (ssize_t n; from < to && (n = pread(memory, chunk, CHUNK, (off_t)from)) > 0; from += CHUNK - 64)
			for (char *at = chunk; (at = memmem(at, (size_t)(chunk + n - at), text.p, text.n)); at++)
				found++;
	}
	close(memory);
	fclose(maps);
	arena_fini(&a);
	return found;
}

/* What a request and its answer have carried is nowhere in the role when the answer has been given. */
static void test_secrets_are_wiped(void **state)
{
	static const struct page secret = { "/", "HTTP/1.1 200 OK\r\n\r\n{\"access_token\":\"ya29.Secret_Of_The_Answer\"}" };
	static const struct page silent = { "/", NULL };
	struct world *w = *state;
	struct msg_fetch m = { .url = at(w, "/?Secret_Of_The_Query"), .body = S("refresh_token=Secret_Of_The_Body") };

	w->server.pages = &silent;
	w->server.pages_n = 1;
	ipc_call_fetch(w->role.peers[ROLE_VAULT], &m, -1, on_fetched, NULL);
	assert_true(run_until(&w->loop, &w->server.held, 1));
	assert_true(copies_in(w->role.pid, S("Secret_Of_The_Body")) > 0);
	server_release(&w->server, secret.answer);
	assert_true(run_until(&w->loop, &w->answers, 1));
	assert_string_equal(w->fields, "access_token=ya29.Secret_Of_The_Answer;");
	run_for(&w->loop, 50);
	assert_int_equal(copies_in(w->role.pid, S("Secret_Of_The_Body")), 0);
	assert_int_equal(copies_in(w->role.pid, S("Secret_Of_The_Answer")), 0);
	assert_int_equal(copies_in(w->role.pid, S("Secret_Of_The_Query")), 0);
}

/* The new certificates count from the next request on. */
static void test_a_reload(void **state)
{
	struct world *w = *state;

	w->config.https.ca_pem = S("");
	assert_true(played_configure(&w->role, &w->config));
	ask_and_wait(w, at(w, "/token"));
	assert_int_equal(w->last.verdict.class, TEMP);
	assert_non_null(strstr(w->why, "no authority"));
}

/* Some run, and the rest waits in order; the first answers let the next ones run. */
static void test_more_than_run_at_once(void **state)
{
	struct world *w = *state;
	unsigned n = 16 + 5;

	for (unsigned i = 1; i <= n; i++)
		ask(w, at(w, "/held"), i);
	assert_true(run_until(&w->loop, &w->server.held, 16));
	run_for(&w->loop, 50);
	assert_int_equal(w->server.held, 16);
	server_release(&w->server, pages[0].answer);
	assert_true(run_until(&w->loop, &w->answers, 16));
	assert_true(run_until(&w->loop, &w->server.held, n));
	for (unsigned i = 0; i < 16; i++)
		assert_true(w->numbers[i] <= 16);
	server_release(&w->server, pages[0].answer);
	assert_true(run_until(&w->loop, &w->answers, n));
	assert_int_equal(w->last.status, 200);
}

/* More than can wait get an answer at once. */
static void test_far_too_many(void **state)
{
	struct world *w = *state;

	for (unsigned i = 1; i <= 16 + 256 + 3; i++)
		ask(w, at(w, "/held"), i);
	assert_true(run_until(&w->loop, &w->answers, 3));
	assert_string_equal(w->why, "too many requests at once");
	run_for(&w->loop, 50);
	assert_int_equal(w->answers, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(w->numbers[i], 16 + 256 + 1 + i);
}

/* Nobody waits for the answers any more: the connections close, and other roles' requests run. */
static void test_the_caller_is_gone(void **state)
{
	static const struct ipc_handlers none;
	struct world *w = *state;

	for (unsigned i = 1; i <= 20; i++)
		ask(w, at(w, "/held"), i);
	assert_true(run_until(&w->loop, &w->server.held, 16));
	played_disconnect(&w->role, ROLE_VAULT);
	while (w->server.open > 0)
		uv_run(&w->loop, UV_RUN_ONCE);
	assert_int_equal(w->server.held, 16);
	played_connect(&w->role, ROLE_VAULT, &none);
	w->answers = 0;
	ask_and_wait(w, at(w, "/token"));
	assert_int_equal(w->last.status, 200);
}

/* An answer can have a token that is given only once: a role that stops waits for it. */
static void test_the_role_stops(void **state)
{
	struct world *w = *state;

	ask(w, at(w, "/held"), 1);
	assert_true(run_until(&w->loop, &w->server.held, 1));
	played_stop(&w->role, 20000);
	run_for(&w->loop, 50);
	assert_int_equal(w->role.stopped, 0);
	server_release(&w->server, pages[0].answer);
	assert_true(run_until(&w->loop, &w->answers, 1));
	assert_int_equal(w->last.status, 200);
	played_wait(&w->role);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_no_url, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_host_that_is_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forms_of_a_host, setup, teardown),
		cmocka_unit_test_setup_teardown(test_texts, setup_texts, teardown_texts),
		cmocka_unit_test_setup_teardown(test_text_of_an_untrusted_host, setup_texts, teardown_texts),
		cmocka_unit_test_setup_teardown(test_tokens_beside_texts, setup_texts, teardown_texts),
		cmocka_unit_test_setup_teardown(test_secrets_are_wiped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_reload, setup, teardown),
		cmocka_unit_test_setup_teardown(test_more_than_run_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_far_too_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_caller_is_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_role_stops, setup, teardown),
	};

	assert_int_equal(argc, 2);
	program = argv[1];
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
