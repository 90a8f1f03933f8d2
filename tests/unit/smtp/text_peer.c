/* text_peer.c - what the server machine makes of texts, for text_peer.py: each line of the input is "data", "chunks" or "binary", in which
 * pieces the bytes come, and in hexadecimal what the client says behind 354, or with BDAT. Each line of the output is the text in
 * hexadecimal, "refused", or "open" when its end has not come. */
#include "posthouse/smtp_server.h"

#include <stdio.h>
#include <stdlib.h>

static const struct smtp_server_config config = { .hostname = { "relay.example.org", 17 } };

struct user {
	struct smtp_server *s;
	struct buf text;
	bool ended;
	struct verdict fault;
};

static void advance(struct user *u)
{
	struct smtp_event e;

	while (!u->ended && smtp_server_next(u->s, &e)) {
		if (e.type == SMTP_TEXT)
			buf_add(&u->text, e.bytes);
		else if (e.type == SMTP_TEXT_END)
			u->fault = e.fault;
		u->ended = e.type == SMTP_TEXT_END;
		if (e.type >= SMTP_MAIL && e.type <= SMTP_DATA)
			smtp_server_reply(u->s, ok());
	}
	buf_clear(smtp_server_output(u->s));
}

static void say(struct user *u, struct str bytes, size_t step)
{
	for (; bytes.n > 0 && !u->ended; bytes = str_from(bytes, step)) {
		if (!smtp_server_feed(u->s, str_head(bytes, step)))
			abort();
		advance(u);
	}
}

static void answer(const char *how, size_t step, struct str stream)
{
	struct user u = { .s = smtp_server_new(&config) };

	buf_init(&u.text, SIZE_MAX / 2);
	smtp_server_trust(u.s, false);
	smtp_server_greet(u.s);
	say(&u, S("EHLO x\r\nMAIL FROM:<a@b>"), 100);
	say(&u, str_of(strcmp(how, "binary") == 0 ? " BODY=BINARYMIME\r\nRCPT TO:<c@d>\r\n" : "\r\nRCPT TO:<c@d>\r\n"), 100);
	if (strcmp(how, "data") == 0)
		say(&u, S("DATA\r\n"), 100);
	say(&u, stream, step);
	if (!u.ended || u.fault.class != OK)
		printf("%s", u.ended ? "refused" : "open");
	for (size_t i = 0; u.ended && u.fault.class == OK && i < u.text.n; i++)
		printf("%02x", (unsigned char)buf_view(&u.text).p[i]);
	printf("\n");
	smtp_server_free(u.s);
	buf_fini(&u.text);
}

/* Decoded in place; the number of bytes. */
static size_t unhex(char *line)
{
	size_t n = 0;
	char pair[3] = { 0 };

	for (const char *p = line; p[0] > ' ' && p[1] > ' '; p += 2) {
		memcpy(pair, p, 2);
		line[n++] = (char)strtoul(pair, NULL, 16);
	}
	return n;
}

int main(void)
{
	char *line = NULL, how[8];
	size_t capacity = 0, step;
	int at;

	while (getline(&line, &capacity, stdin) > 0)
		if (sscanf(line, "%7s %zu %n", how, &step, &at) == 2)
			answer(how, step, str_make(line + at, unhex(line + at)));
	free(line);
	return 0;
}
