/* fuzz_server.c - the server machine, with everything on, against arbitrary clients. The first byte says how the input is cut and how its
 * user answers, the second what kind of client it is. */
#include "posthouse/smtp_server.h"

#include "replies.h"

static uint64_t now_ms(void)
{
	return 1795301717000;
}

static const struct smtp_server_config config = {
	.hostname = { "relay.example.org", 17 },
	.mechanisms = { "PLAIN LOGIN SCRAM-SHA-256-PLUS", 30 },
	.auth_equals = true,
	.domain = { "example.org", 11 },
	.messages = 20,
	.future_release_s = 86400,
	.now_ms = now_ms,
	.message_size = 500,
	.recipients = 5,
	.commands = 100,
	.errors = 50,
	.tls_required = true,
	.can_starttls = true,
};

enum kind { KIND_TLS = 1, KIND_TRUSTED = 2, KIND_TRUSTED_TLS = 4 };

/* What the machine's user knows of the transaction. */
struct user {
	struct smtp_server *s;
	unsigned how;
	bool in_mail, in_text, binary, utf8;
	uint64_t text_bytes;
	char last; /* byte of the text */
};

/* Promise: without BODY=BINARYMIME no lone CR or LF passes, and no NUL. */
static void check_text(struct user *u, struct str bytes)
{
	assert(u->in_text && bytes.n > 0);
	u->text_bytes += bytes.n;
	assert(u->text_bytes <= config.message_size + 2); /* the machine may put a CRLF to the end of the last chunk */
	for (size_t i = 0; i < bytes.n && !u->binary; i++)
		assert(bytes.p[i] != '\0' && (bytes.p[i] != '\r' || (i + 1 < bytes.n && bytes.p[i + 1] == '\n')) &&
		       (bytes.p[i] != '\n' || (i > 0 && bytes.p[i - 1] == '\r')));
	u->last = bytes.p[bytes.n - 1];
}

static void check_mail(struct user *u, const struct smtp_event *e)
{
	assert(!u->in_mail);
	assert(e->address.n == 0 || smtp_address_valid(e->address, e->mail.utf8));
	assert(e->mail.ret <= RET_HDRS && e->mail.envid.n <= 100 && e->mail.priority <= PRIORITY_MAX);
	assert(e->mail.release_at == 0 || (e->mail.release_at > now_ms() && e->mail.release_at <= now_ms() + 86400000));
	u->binary = e->mail.body == BODY_BINARYMIME;
	u->utf8 = e->mail.utf8;
}

static void act(struct user *u, const struct smtp_event *e)
{
	struct verdict v = (u->how & 2) != 0 ? ok() : temp(451, S("4.3.0"), S("later"));

	switch (e->type) {
	case SMTP_MAIL:
		check_mail(u, e);
		u->in_mail = v.class == OK;
		break;
	case SMTP_RCPT:
		assert(u->in_mail && !u->in_text);
		assert(smtp_address_valid(e->address, u->utf8) || str_ieq(e->address, S("postmaster")));
		assert(e->rcpt.notify <= 15 && e->rcpt.orcpt.n <= 500);
		assert((e->rcpt.notify & NOTIFY_NEVER) == 0 || e->rcpt.notify == NOTIFY_NEVER);
		v = ok();
		break;
	case SMTP_TEXT: check_text(u, e->bytes); return;
	case SMTP_AUTH:
	case SMTP_AUTH_RESPONSE:
		if ((u->how & 4) != 0 && e->initial.n < 5)
			v = ok_text(334, S(""), e->initial);
		break;
	case SMTP_TEXT_END:
		assert(u->in_text);
		assert(e->fault.class != OK || u->binary || u->text_bytes == 0 || u->last == '\n');
		if (e->fault.class != OK)
			v = e->fault;
		u->in_mail = u->in_text = false;
		break;
	case SMTP_RESET:
		assert(u->in_mail);
		u->in_mail = u->in_text = false;
		return;
	case SMTP_DATA:
		assert(u->in_mail && !u->in_text);
		u->in_text = v.class == OK;
		u->text_bytes = 0;
		break;
	case SMTP_STARTTLS: assert(!u->in_mail); break;
	default: return;
	}
	smtp_server_reply(u->s, v);
	if (e->type == SMTP_STARTTLS && v.class == OK)
		smtp_server_tls_started(u->s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct user u = { .s = smtp_server_new(&config), .how = size > 0 ? data[0] : 0 };
	struct str input = str_from(str_make(data, size), 2);
	unsigned kind = size > 1 ? data[1] : 0;
	size_t step = (u.how & 1) != 0 ? 1 : 1 + (u.how >> 3);
	struct smtp_event e;

	if ((kind & KIND_TLS) != 0)
		smtp_server_tls_started(u.s);
	if ((kind & KIND_TRUSTED) != 0)
		smtp_server_trust(u.s, (kind & KIND_TRUSTED_TLS) != 0);
	smtp_server_greet(u.s);
	for (; input.n > 0; input = str_from(input, step)) {
		if (!smtp_server_feed(u.s, str_head(input, step)))
			break;
		while (smtp_server_next(u.s, &e))
			act(&u, &e);
		check_replies(smtp_server_output(u.s));
	}
	smtp_server_free(u.s);
	return 0;
}
