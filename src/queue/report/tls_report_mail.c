/* tls_report_mail.c - see tls_report_mail.h. */
#include "report/tls_report_mail.h"

#include "report/asked_mail.h"
#include "report/report.h"

#include "posthouse/address.h"
#include "posthouse/clock.h"
#include "posthouse/smtp_server.h"
#include "posthouse/units.h"
#include "posthouse/utf8.h"

/* Of a tlspolicy that was taken over; a day has two million domains then. */
#define PER_HOUR   100000
#define REPORT_MAX (64 * 1024)

/* RFC 8460 5.5: up to a day. */
#define LIFETIME_MS DAY_MS

static bool is_too_many(struct reports *rs)
{
	uint64_t now = clock_now_ms();

	if (now < rs->tls_reports_since || now - rs->tls_reports_since >= HOUR_MS) {
		rs->tls_reports_since = now;
		rs->tls_reports = 0;
	}
	return rs->tls_reports++ >= PER_HOUR;
}

static struct verdict judge(struct reports *rs, struct arena *a, const struct msg_tls_report_send *m, struct str *recipient_out)
{
	struct str from = role_config(rs->role)->tls_report.from, to = address_with_canonical_domain(a, m->recipient);
	struct dkim_key keys[DKIM_KEYS_MAX];

	if (from.n == 0)
		return temp(451, S("4.3.5"), S("tls_report.from is not set"));
	if (id_worker(m->id) != ID_WORKER_TLSPOLICY || m->report.n > REPORT_MAX || m->domain.n > 255)
		return perm(554, S("5.3.4"), S("this is no report about TLS"));
	if (address_domain(to).n == 0 || utf8_is_deceptive(to) || !smtp_address_valid(to, true))
		return perm(550, S("5.1.3"), S("this is no mail address"));
	if (config_dkim_keys(a, role_config(rs->role), address_domain(from), keys) == 0) /* RFC 8460 3: it would be ignored */
		return perm(550, S("5.7.20"), S("the domain of tls_report.from has no key in sign"));
	if (is_too_many(rs))
		return temp(451, S("4.3.2"), S("too many reports in this hour"));
	*recipient_out = to;
	return ok();
}

/* The text, and what makes the envelope that of a report: who sends it; nobody is told when it fails; TLS is used where it works,
 * whatever the domain demands, and its sessions are not counted (RFC 8460 3). */
static void send_report(struct asked_mail *mail, const struct msg_tls_report_send *m, struct str recipient)
{
	const struct config *c = role_config(mail->reports->role);
	struct own_message *own = &mail->mail;
	struct tls_report_input in = { .hostname = c->hostname,
				       .from = c->tls_report.from,
				       .to = recipient,
				       .id = m->id,
				       .now_ms = own->m.received_at,
				       .domain = m->domain,
				       .submitter = address_domain(c->tls_report.from),
				       .report_id = m->report_id,
				       .file_name = m->file_name,
				       .report = m->report };
	struct report_text text = { .is_8bit = false };

	own->author = (struct report_author){ .from = in.from, .sender = in.from };
	own->recipient.notify = NOTIFY_NEVER;
	own->m.id = m->id;
	own->m.token = m->token;
	own->m.kind = KIND_MAIL;
	own->m.origin = S("tls-report");
	own->m.expires_at = own->m.received_at + LIFETIME_MS;
	own->m.envelope.sender = arena_str(&mail->arena, in.from);
	own->m.envelope.options = OPTION_TLS_OPTIONAL | OPTION_TLS_UNREPORTED;
	own->m.envelope.priority = PRIORITY_NORMAL - 1;
	mail_tls_report(&mail->arena, &in, &text.header, &text.body);
	text.is_8bit = !str_is_ascii(text.header);
	asked_mail_send(mail, &text);
}

void tls_report_mail_send(struct reports *rs, const struct msg_tls_report_send *m,
			  void (*done)(void *ctx, struct verdict v, uint64_t id), void *ctx)
{
	struct arena a = { 0 };
	struct str recipient;
	struct verdict v = judge(rs, &a, m, &recipient);
	struct own_envelope envelope = { .kind = KIND_NOTICE };
	struct asked_mail *mail;

	if (v.class != OK) {
		done(ctx, v, 0);
	} else {
		envelope.recipient = recipient;
		mail = asked_mail_begin(rs, &envelope, done, ctx);
		if (mail)
			send_report(mail, m, recipient);
	}
	arena_fini(&a);
}
