/* tls_report.c - tlspolicy has a report about TLS for a domain: it goes as mail. No limit is charged: it is the relay's own. */
#include "admin.h"

#include "report/tls_report_mail.h"

static void on_done(void *ctx, struct verdict v, uint64_t id)
{
	struct admin_call *c = ctx;

	ipc_send_tls_report_taken(c->channel, &(struct msg_tls_report_taken){ .call = c->call, .verdict = v }, -1);
	admin_end(c);
}

void handle_tls_report_send(void *ctx, struct channel *ch, const struct msg_tls_report_send *m, int fd)
{
	struct admin_call *c = admin_begin(ctx, ch, m->call);
	struct verdict v = c->refusal;

	if (v.class == OK)
		v = intake_takes_mail(&c->queue->intake);
	if (v.class == OK)
		tls_report_mail_send(&c->queue->reports, m, on_done, c);
	else
		on_done(c, v, 0);
}
