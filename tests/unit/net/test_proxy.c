/* test_proxy.c - PROXY headers: who the client is, what is refused, every beginning of a good one; and TLS and the address behind one. */
#include "fixture.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define V2   "\r\n\r\n\0\r\nQUIT\n"
#define FOUR "\xc0\x00\x02\x01\xc6\x33\x64\x02\x04\xd2\x02\x4b"
#define SIX  "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x04\xd2\x02\x4b"
#define TLV  "\x02\0\x04mail\x20\0\x05\x01\0\0\0\0"
#define L(literal)                                                                                                               \
	{                                                                                                                        \
		(literal), sizeof(literal) - 1                                                                                   \
	}
#define LONG_V6       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
#define FIFTY         "01234567890123456789012345678901234567890123456789"
#define V2_UNIX_BYTES FIFTY FIFTY FIFTY FIFTY "0123456789012345"

static const struct {
	struct str bytes;
	enum proxy_result result;
	const char *client; /* address and port */
} cases[] = {
	/* version 1 */
	{ L("PROXY TCP4 192.0.2.1 198.51.100.2 1234 587\r\n"), PROXY_ADDRESS, "192.0.2.1 1234" },
	{ L("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n"), PROXY_ADDRESS, "0.0.0.0 0" },
	{ L("PROXY TCP6 2001:db8::1 2001:db8::2 65535 465\r\n"), PROXY_ADDRESS, "2001:db8::1 65535" },
	{ L("PROXY TCP6 " LONG_V6 " " LONG_V6 " 65535 65535\r\n"), PROXY_ADDRESS, LONG_V6 " 65535" },
	{ L("PROXY TCP6 ::ffff:192.0.2.1 ::1 1234 465\r\n"), PROXY_ADDRESS, "::ffff:192.0.2.1 1234" },
	{ L("PROXY UNKNOWN\r\n"), PROXY_LOCAL, NULL },
	{ L("PROXY UNKNOWN " LONG_V6 " " LONG_V6 " 65535 65535\r\n"), PROXY_LOCAL, NULL },
	{ L("PROXY UNKNOWN what ever it says\r\n"), PROXY_LOCAL, NULL },
	{ L("PROXY UNKNOWN " FIFTY "0123456789012345678901234567890123456789\r\n"), PROXY_LOCAL, NULL },  /* 106 */
	{ L("PROXY UNKNOWN " FIFTY "01234567890123456789012345678901234567890\r\n"), PROXY_LOCAL, NULL }, /* 107 */
	{ L("PROXY UNKNOWN " FIFTY "012345678901234567890123456789012345678901\r\n"), PROXY_BAD, NULL },  /* 108 */
	{ L("PROXY UNKNOWNX\r\n"), PROXY_BAD, NULL },
	{ L("PROXY TCP4 192.0.2.1 198.51.100.2 1234 587\r"), PROXY_MORE, NULL },
	{ L("PROXY TCP4 192.0.2.1 198.51.100.2 1234 587\rX"), PROXY_BAD, NULL },
	{ L("PROXY TCP4 192.0.2.1 198.51.100.2 1234 587\n\r\n"), PROXY_BAD, NULL },
	{ L("PROXY TCP4 192.0.2.1 198.51.100.2 01234 587\r\n"), PROXY_BAD, NULL },
	{ L("PROXY TCP4 192.0.2.1 198.51.100.2 1234 65536\r\n"), PROXY_BAD, NULL },
	{ L("PROXY TCP4 192.0.2.1 198.51.100.2 1234 -1\r\n"), PROXY_BAD, NULL },
	{ L("PROXY TCP4 192.0.2.1 198.51.100.2 +1 1\r\n"), PROXY_BAD, NULL },
	{ L("PROXY TCP4 192.0.2.1 198.51.100.2 1234\r\n"), PROXY_BAD, NULL },
	{ L("PROXY TCP4 192.0.2.1 198.51.100.2 1234 587 \r\n"), PROXY_BAD, NULL },
	{ L("PROXY TCP4 192.0.2.1 198.51.100.2 1234 587 1\r\n"), PROXY_BAD, NULL },
	{ L("PROXY TCP4  192.0.2.1 198.51.100.2 1234 587\r\n"), PROXY_BAD, NULL },
	{ L("PROXY TCP4 192.0.2.01 198.51.100.2 1234 587\r\n"), PROXY_BAD, NULL },
	{ L("PROXY TCP4 192.0.2.256 198.51.100.2 1234 587\r\n"), PROXY_BAD, NULL },
	{ L("PROXY TCP4 192.0.2 198.51.100.2 1234 587\r\n"), PROXY_BAD, NULL },
	{ L("PROXY TCP4 192.0.2.1\0 198.51.100.2 1234 587\r\n"), PROXY_BAD, NULL },
	{ L("PROXY TCP4 2001:db8::1 2001:db8::2 1234 587\r\n"), PROXY_BAD, NULL },
	{ L("PROXY TCP4 192.0.2.1 2001:db8::2 1234 587\r\n"), PROXY_BAD, NULL },
	{ L("PROXY TCP6 192.0.2.1 198.51.100.2 1234 587\r\n"), PROXY_BAD, NULL },
	{ L("PROXY TCP6 fe80::1%eth0 fe80::2 1234 587\r\n"), PROXY_BAD, NULL },
	{ L("PROXY TCP5 192.0.2.1 198.51.100.2 1234 587\r\n"), PROXY_BAD, NULL },
	{ L("PROXY TCP4\r\n"), PROXY_BAD, NULL },
	{ L("PROXY \r\n"), PROXY_BAD, NULL },
	{ L("PROXY\r\n"), PROXY_BAD, NULL },
	{ L("proxy TCP4 192.0.2.1 198.51.100.2 1234 587\r\n"), PROXY_BAD, NULL },
	{ L("EHLO client.example\r\n"), PROXY_BAD, NULL },
	{ L("\x16\x03\x01"), PROXY_BAD, NULL },
	{ L(""), PROXY_MORE, NULL },
	/* version 2 */
	{ L(V2 "\x21\x11\0\x0c" FOUR), PROXY_ADDRESS, "192.0.2.1 1234" },
	{ L(V2 "\x21\x21\0\x24" SIX), PROXY_ADDRESS, "2001:db8::1 1234" },
	{ L(V2 "\x21\x11\0\x1b" FOUR TLV), PROXY_ADDRESS, "192.0.2.1 1234" },
	{ L(V2 "\x20\x00\0\0"), PROXY_LOCAL, NULL },
	{ L(V2 "\x20\x11\0\x0c" FOUR), PROXY_LOCAL, NULL }, /* LOCAL: whatever the addresses say */
	{ L(V2 "\x20\xff\0\x01X"), PROXY_LOCAL, NULL },
	{ L(V2 "\x21\x00\0\0"), PROXY_LOCAL, NULL },
	{ L(V2 "\x21\x00\0\x0f" TLV), PROXY_LOCAL, NULL },
	{ L(V2 "\x21\x31\0\xd8" V2_UNIX_BYTES), PROXY_LOCAL, NULL },
	{ L(V2 "\x21\x31\0\xd7" V2_UNIX_BYTES), PROXY_BAD, NULL },
	{ L(V2 "\x21\x12\0\x0c" FOUR), PROXY_BAD, NULL }, /* datagrams */
	{ L(V2 "\x21\x41\0\x0c" FOUR), PROXY_BAD, NULL },
	{ L(V2 "\x21\x13\0\x0c" FOUR), PROXY_BAD, NULL },
	{ L(V2 "\x21\x11\0\x0b" FOUR), PROXY_BAD, NULL },
	{ L(V2 "\x21\x21\0\x23" SIX), PROXY_BAD, NULL },
	{ L(V2 "\x11\x11"), PROXY_BAD, NULL },
	{ L(V2 "\x22\x11"), PROXY_BAD, NULL },
	{ L(V2 "\x21\x11\x0f\xf1"), PROXY_BAD, NULL }, /* 16 + 4081 */
	{ L(V2 "\x21\x11\x0f\xf0"), PROXY_MORE, NULL },
	{ L("\r\n\r\n\0\r\nQUIT\r\n"), PROXY_BAD, NULL },
	{ L("\r\nEHLO"), PROXY_BAD, NULL },
};

static void expect(size_t i, struct str bytes, enum proxy_result result, size_t length)
{
	struct sockaddr_storage client;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&client;
	struct sockaddr_in *four = (struct sockaddr_in *)&client;
	char address[INET6_ADDRSTRLEN], both[80];
	char *copy = malloc(bytes.n ? bytes.n : 1); /* exactly as long: the sanitizer sees a look past the end */
	enum proxy_result got;
	size_t n;

	memcpy(copy, bytes.p, bytes.n);
	got = proxy_parse(str_make(copy, bytes.n), &n, &client);
	free(copy);
	if (got != result || n != length)
		fail_msg("case %zu, %zu bytes: result %d, length %zu", i, bytes.n, got, n);
	if (got != PROXY_ADDRESS)
		return;
	if (client.ss_family == AF_INET6)
		inet_ntop(AF_INET6, &six->sin6_addr, address, sizeof address);
	else
		inet_ntop(AF_INET, &four->sin_addr, address, sizeof address);
	snprintf(both, sizeof both, "%s %d", address, ntohs(client.ss_family == AF_INET6 ? six->sin6_port : four->sin_port));
	assert_string_equal(both, cases[i].client);
}

static void test_table(void **state)
{
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		bool good = cases[i].result == PROXY_ADDRESS || cases[i].result == PROXY_LOCAL;

		expect(i, cases[i].bytes, cases[i].result, good ? cases[i].bytes.n : 0);
	}
}

/* Every beginning of a good header asks for more; what follows one is not part of it. */
static void test_beginnings(void **state)
{
	char more[512];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct str whole = cases[i].bytes;

		if (cases[i].result != PROXY_ADDRESS && cases[i].result != PROXY_LOCAL)
			continue;
		for (size_t n = 0; n < whole.n; n++)
			expect(i, str_head(whole, n), PROXY_MORE, 0);
		memcpy(more, whole.p, whole.n);
		memcpy(more + whole.n, "EHLO\r\n", 6);
		expect(i, str_make(more, whole.n + 6), cases[i].result, whole.n);
	}
}

/* ---- on a stream ---- */

#define HEADER "PROXY TCP6 ::ffff:192.0.2.7 ::1 1234 465\r\n"

#define HEADER_BYTES (sizeof(HEADER) - 1)

struct behind {
	struct tls_context *server, *client;
	bool later; /* TLS begins outside of on_input */
};

static void begin(struct end *e)
{
	struct behind *b = e->extra;
	struct sockaddr_storage client;
	size_t n;

	assert_int_equal(proxy_parse(buf_view(&e->got), &n, &client), PROXY_ADDRESS);
	assert_int_equal(n, e->got.n);
	stream_set_peer(e->st, (const struct sockaddr *)&client);
	buf_clear(&e->got);
	e->input_hook = NULL;
	e->take_max = 0;
	stream_start_server_tls_behind(e->st, b->server);
}

/* What is taken is the header alone, however it comes. */
static void take_header(struct end *e)
{
	struct behind *b = e->extra;

	e->take_max = HEADER_BYTES - e->got.n;
	if (e->got.n == HEADER_BYTES && !b->later)
		begin(e);
}

static void say_hello(struct end *e)
{
	stream_write(e->st, S("EHLO\r\n"));
}

/* The header and the client's hello in one piece, in pieces, and TLS begun now or later. */
static void test_tls_behind(void **state)
{
	for (unsigned variant = 0; variant < 4; variant++) {
		struct behind b = { .later = variant & 1 };
		struct verdict why;
		struct str chain, key;
		struct fixture *f;
		void *own;

		fixture_setup(&own);
		f = own;
		make_certificate(&f->arena, "mail.example.org", &chain, &key);
		b.server = server_context(f, chain, key, TLS_1_2, &why);
		b.client = tls_client_context(chain, &f->arena, &why);
		fixture_connect(f);
		f->server.extra = &b;
		f->server.take_max = HEADER_BYTES;
		f->server.input_hook = take_header;
		f->client.tls_hook = say_hello;
		if (variant & 2) {
			stream_write(f->client.st, str_head(S(HEADER), 9));
			assert_true(run_until_received(&f->loop, &f->server, 9));
			stream_write(f->client.st, str_from(S(HEADER), 9));
		} else {
			stream_write(f->client.st, S(HEADER));
		}
		client_tls(&f->client, b.client, S("mail.example.org"), true);
		assert_true(run_until_received(&f->loop, &f->server, HEADER_BYTES));
		if (b.later)
			begin(&f->server);
		assert_true(run_until_received(&f->loop, &f->server, HEADER_BYTES + 6));
		assert_int_equal(f->server.tls.class, OK);
		assert_true(str_eq(buf_view(&f->server.got), S("EHLO\r\n")));
		assert_true(str_eq(stream_peer_address(f->server.st), S("192.0.2.7")));
		tls_context_unref(b.server);
		tls_context_unref(b.client);
		assert_int_equal(fixture_teardown(&own), 0);
	}
}

/* What follows the header and is no TLS. */
static void test_no_tls_behind(void **state)
{
	struct fixture *f = *state;
	struct behind b = { 0 };
	struct verdict why;
	struct str chain, key;

	make_certificate(&f->arena, "mail.example.org", &chain, &key);
	b.server = server_context(f, chain, key, TLS_1_2, &why);
	fixture_connect(f);
	f->server.extra = &b;
	f->server.take_max = HEADER_BYTES;
	f->server.input_hook = take_header;
	stream_write(f->client.st, S(HEADER "EHLO I do not speak TLS\r\n"));
	assert_true(run_until(&f->loop, &f->server.handshakes, 1));
	assert_int_equal(f->server.tls.class, TEMP);
	assert_int_equal(f->server.received, HEADER_BYTES);
	tls_context_unref(b.server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_beginnings),
		cmocka_unit_test(test_tls_behind),
		cmocka_unit_test_setup_teardown(test_no_tls_behind, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
