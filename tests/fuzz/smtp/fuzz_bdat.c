/* fuzz_bdat.c - a message in chunks, against a plain reading of the same rules. Byte 0: bits of how (1 BODY=BINARYMIME, 2 the user refuses
 * the message, the others how packets are cut). Then chunks: a byte with their length, and their bytes; the last of them is LAST. */
#include "posthouse/smtp_server.h"

#include "replies.h"

static const struct smtp_server_config config = {
	.hostname = { "relay.example.org", 17 },
	.message_size = 600,
};

struct user {
	struct smtp_server *s;
	struct buf text;
	bool refuses;
	unsigned data, ends, resets;
	struct verdict fault;
};

static void advance(struct user *u)
{
	struct smtp_event e;

	while (smtp_server_next(u->s, &e)) {
		u->data += e.type == SMTP_DATA;
		u->ends += e.type == SMTP_TEXT_END;
		u->resets += e.type == SMTP_RESET;
		assert(e.type != SMTP_CLOSE && e.type != SMTP_QUIT);
		if (e.type == SMTP_TEXT)
			buf_add(&u->text, e.bytes);
		if (e.type == SMTP_TEXT_END)
			u->fault = e.fault;
		if (e.type == SMTP_TEXT_END)
			smtp_server_reply(u->s, e.fault);
		else if (e.type == SMTP_DATA && u->refuses)
			smtp_server_reply(u->s, temp(451, S("4.3.0"), S("later")));
		else if (e.type >= SMTP_MAIL && e.type <= SMTP_DATA)
			smtp_server_reply(u->s, ok());
	}
}

/* Feed it in pieces; how many replies came. */
static size_t say(struct user *u, struct str bytes, size_t step)
{
	size_t replies = 0;

	for (; bytes.n > 0; bytes = str_from(bytes, step)) {
		if (!smtp_server_feed(u->s, str_head(bytes, step)))
			assert(!"there is room");
		advance(u);
		replies += check_replies(smtp_server_output(u->s));
	}
	return replies;
}

/* The rules of a text of lines, as one would write them down: a LF and the CRs before it end a line. False: a CR ends none, or there is a
 * NUL. */
static bool read_lines(struct str text, struct buf *to)
{
	for (size_t i = 0, crs = 0; i < text.n; i++) {
		char c = text.p[i];

		crs += c == '\r';
		if (c == '\r')
			continue;
		if (c == '\0' || (crs > 0 && c != '\n'))
			return false;
		if (c == '\n')
			buf_add(to, S("\r\n"));
		else
			buf_add_char(to, c);
		crs = 0;
	}
	return text.n == 0 || text.p[text.n - 1] != '\r';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct user u = { .s = smtp_server_new(&config), .refuses = size > 0 && (data[0] & 2) != 0 };
	bool binary = size > 0 && (data[0] & 1) != 0, good;
	size_t step = size > 0 && (data[0] & 4) != 0 ? 1 : 1 + (size > 0 ? data[0] >> 3 : 0), chunks = 0;
	struct str input = str_from(str_make(data, size), 1);
	struct buf stream, whole, lines;

	buf_init(&u.text, 1 << 20);
	buf_init(&stream, 1 << 22);
	buf_init(&whole, 1 << 20);
	buf_init(&lines, 1 << 21);
	smtp_server_trust(u.s, false);
	smtp_server_greet(u.s);
	say(&u, S("EHLO x\r\nMAIL FROM:<a@b>"), 100);
	say(&u, binary ? S(" BODY=BINARYMIME\r\nRCPT TO:<c@d>\r\n") : S("\r\nRCPT TO:<c@d>\r\n"), 100);
	do {
		struct str chunk = str_head(str_from(input, 1), input.n > 0 ? (unsigned char)input.p[0] : 0);

		input = str_from(input, 1 + chunk.n);
		buf_printf(&stream, "BDAT %zu%s\r\n", chunk.n, input.n == 0 ? " LAST" : "");
		buf_add(&stream, chunk);
		buf_add(&whole, chunk);
		chunks++;
	} while (input.n > 0 && whole.n < 10000);
	if (input.n > 0) {
		buf_add(&stream, S("BDAT 0 LAST\r\n"));
		chunks++;
	}
	assert(say(&u, buf_view(&stream), step) == chunks); /* an answer to each */
	if (!binary)
		good = read_lines(buf_view(&whole), &lines);
	else
		good = buf_add(&lines, buf_view(&whole));
	good = good && !u.refuses && lines.n <= config.message_size;
	assert(u.data == 1 && u.ends == !u.refuses && u.resets == u.refuses);
	/* A chunk is looked at as it comes: one that is too large by itself is refused, though CRs that are dropped would make it fit. */
	assert(u.refuses || u.fault.class != OK || good);
	assert(u.refuses || u.fault.class == OK || !good || whole.n > config.message_size);
	if (good && !binary && lines.n > 0 && !str_ends(buf_view(&lines), S("\r\n")))
		buf_add(&lines, S("\r\n"));
	assert(u.fault.class != OK || !good || str_eq(buf_view(&lines), buf_view(&u.text)));
	assert(say(&u, S("RSET\r\nMAIL FROM:<a@b>\r\n"), 100) == 2 && u.resets == u.refuses);
	smtp_server_free(u.s);
	buf_fini(&u.text);
	buf_fini(&stream);
	buf_fini(&whole);
	buf_fini(&lines);
	return 0;
}
