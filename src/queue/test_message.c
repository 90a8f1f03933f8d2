/* test_message.c - the console asks for a test message. No limit is charged: it is the relay's own. */
#include "admin.h"

#include "report/test_mail.h"

#include "posthouse/address.h"
#include "posthouse/policy.h"
#include "posthouse/utf8.h"

static void on_done(void *ctx, struct verdict v, uint64_t id)
{
	struct admin_call *c = ctx;

	ipc_send_test_message_queued(c->channel, &(struct msg_test_message_queued){ .call = c->call, .verdict = v, .id = id },
				     -1);
	admin_end(c);
}

/* As submission judges RCPT. */
static struct verdict choose_recipient(struct admin_call *c, struct str address, struct str *recipient_out)
{
	const struct config *config = role_config(c->queue->role);

	if (address_domain(address).n == 0 && str_ieq(address, S("postmaster")))
		address = config->postmaster;
	address = address_with_canonical_domain(&c->arena, address);
	if (address_domain(address).n == 0 || utf8_is_deceptive(address) || !smtp_address_valid(address, true))
		return perm(550, S("5.1.3"), S("this is no mail address"));
	address = address_canonical(&c->arena, address);
	*recipient_out = rewrite_address(config, &c->arena, false, false, address);
	return ok();
}

void handle_test_message(void *ctx, struct channel *ch, const struct msg_test_message *m, int fd)
{
	struct admin_call *c = admin_begin(ctx, ch, m->call);
	struct verdict v = c->refusal;
	struct str recipient;

	if (v.class == OK)
		v = intake_takes_mail(&c->queue->intake);
	if (v.class == OK)
		v = choose_recipient(c, m->recipient, &recipient);
	if (v.class == OK)
		test_mail_send(&c->queue->reports, recipient, on_done, c);
	else
		on_done(c, v, 0);
}
