/* fuzz_server.c - the server machine against arbitrary clients. The first byte says how the input is cut and how its user answers. */
#include "posthouse/smtp_server.h"

#include <assert.h>

static const struct smtp_server_config config = {
	.hostname = { "relay.example.org", 17 },
	.mechanisms = { "PLAIN LOGIN", 11 },
	.message_size = 500,
	.recipients = 5,
	.commands = 100,
	.errors = 50,
	.can_starttls = true,
};

static void act(struct smtp_server *s, const struct smtp_event *e, unsigned how)
{
	struct verdict v = (how & 2) != 0 ? ok() : temp(451, S("4.3.0"), S("later"));

	switch (e->type) {
	case SMTP_MAIL:
		assert(e->address.n == 0 || smtp_address_valid(e->address, false));
		assert(e->mail.ret <= RET_HDRS && e->mail.envid.n <= 100);
		break;
	case SMTP_RCPT:
		assert(smtp_address_valid(e->address, false) || str_ieq(e->address, S("postmaster")));
		assert(e->rcpt.notify <= 15 && e->rcpt.orcpt.n <= 500);
		assert((e->rcpt.notify & NOTIFY_NEVER) == 0 || e->rcpt.notify == NOTIFY_NEVER);
		break;
	case SMTP_TEXT: /* promise: no lone CR or LF passes */
		for (size_t i = 0; i < e->bytes.n; i++)
			assert(e->bytes.p[i] != '\0' &&
			       (e->bytes.p[i] != '\r' || (i + 1 < e->bytes.n && e->bytes.p[i + 1] == '\n')) &&
			       (e->bytes.p[i] != '\n' || (i > 0 && e->bytes.p[i - 1] == '\r')));
		return;
	case SMTP_AUTH:
	case SMTP_AUTH_RESPONSE:
		if ((how & 4) != 0 && e->initial.n < 5)
			v = ok_text(334, S(""), e->initial);
		break;
	case SMTP_TEXT_END:
		if (e->fault.class != OK)
			v = e->fault;
		break;
	case SMTP_STARTTLS:
	case SMTP_DATA: break;
	default: return;
	}
	smtp_server_reply(s, v);
	if (e->type == SMTP_STARTTLS && v.class == OK)
		smtp_server_tls_started(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_server *s = smtp_server_new(&config);
	struct str input = str_make(data, size);
	unsigned how = size > 0 ? data[0] : 0;
	size_t step = (how & 1) != 0 ? 1 : 1 + (how >> 3);
	struct smtp_event e;

	smtp_server_greet(s);
	for (input = str_from(input, 1); input.n > 0; input = str_from(input, step)) {
		if (!smtp_server_feed(s, str_head(input, step)))
			break;
		while (smtp_server_next(s, &e))
			act(s, &e, how);
		assert(smtp_server_output(s)->n < 40000);
		buf_clear(smtp_server_output(s));
	}
	smtp_server_free(s);
	return 0;
}
