/* fuzz_command.c - one command line of any bytes, in each state where a command may come: it has one answer, and the session lives on or
 * ends in good order. The first byte chooses the state. */
#include "posthouse/smtp_server.h"

#include "replies.h"

static uint64_t now_ms(void)
{
	return 1795301717000;
}

static const struct smtp_server_config config = {
	.hostname = { "relay.example.org", 17 },
	.mechanisms = { "PLAIN LOGIN", 11 },
	.domain = { "example.org", 11 },
	.future_release_s = 86400,
	.now_ms = now_ms,
	.message_size = 100000,
	.recipients = 5,
	.can_starttls = true,
};

/* Say yes to everything; was a text begun, or the connection ended? */
static bool advance(struct smtp_server *s, bool *closed_out)
{
	struct smtp_event e;
	bool special = false;

	while (smtp_server_next(s, &e)) {
		*closed_out |= e.type == SMTP_QUIT || e.type == SMTP_CLOSE;
		special |= e.type == SMTP_DATA || e.type == SMTP_STARTTLS;
		if (e.type == SMTP_AUTH)
			smtp_server_reply(s, perm(535, S("5.7.8"), S("No")));
		else if (e.type == SMTP_TEXT_END)
			smtp_server_reply(s, e.fault);
		else if (e.type == SMTP_STARTTLS || (e.type >= SMTP_MAIL && e.type <= SMTP_DATA))
			smtp_server_reply(s, ok());
	}
	return special;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct {
		struct str before;
	} states[] = {
		{ S("") },
		{ S("EHLO x\r\n") },
		{ S("EHLO x\r\nMAIL FROM:<a@b> SMTPUTF8\r\n") },
		{ S("EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n") },
		{ S("EHLO x\r\nMAIL FROM:<a@b> BODY=BINARYMIME\r\nRCPT TO:<c@d>\r\nBDAT 1\r\nx") },
		{ S("EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 1\r\n\n") },
	};
	struct str line = str_from(str_make(data, size), 1);
	struct smtp_server *s = smtp_server_new(&config);
	bool closed = false, special;
	size_t replies;

	smtp_server_trust(s, false);
	smtp_server_greet(s);
	smtp_server_feed(s, states[size > 0 ? data[0] % (sizeof(states) / sizeof(states[0])) : 0].before);
	advance(s, &closed);
	assert(!closed);
	check_replies(smtp_server_output(s));
	if (str_find(line, '\n') == line.n && smtp_server_feed(s, line)) {
		smtp_server_feed(s, S("\r\n"));
		special = advance(s, &closed);
		replies = check_replies(smtp_server_output(s));
		if (!smtp_server_in_text(s) && !special)
			assert(replies == 1 || (closed && replies <= 2));
		if (!smtp_server_in_text(s) && !special && !closed) {
			smtp_server_feed(s, S("NOOP\r\n"));
			advance(s, &closed);
			assert(check_replies(smtp_server_output(s)) == 1);
		}
	}
	smtp_server_free(s);
	return 0;
}
