/* dsn_build.c - envelope and text of a DSN, or of the postmaster's copy. There is no warning about such a message, and only the
 * postmaster is told of its failure. */
#include "report/dsn_private.h"

#include "posthouse/log.h"
#include "posthouse/smtp_server.h"

/* RFC 8689 5 and 6: what concerns a message is protected as the message was, and goes without TLS where that could. */
static uint64_t tls_options(const struct envelope *parent)
{
	if (parent->options & (OPTION_REQUIRETLS | OPTION_REQUIRETLS_OFFERED))
		return OPTION_REQUIRETLS_OFFERED;
	return parent->options & (OPTION_TLS_OPTIONAL | OPTION_TLS_UNREPORTED);
}

/* `refused_by`: the route that refused the parent in another form; "". */
static void begin(struct dsn *dsn, enum message_kind kind, struct str recipient, struct str refused_by)
{
	own_message_begin(&dsn->mail, dsn->reports, &dsn->arena,
			  &(struct own_envelope){
				  .kind = kind,
				  .recipient = recipient,
				  .parent = dsn->parent.id,
				  .form = dsn->form,
				  .refused_by = refused_by,
				  .options = tls_options(&dsn->parent.envelope),
			  });
}

struct report_text dsn_build(struct dsn *dsn)
{
	struct report_request request = {
		.hostname = role_config(dsn->reports->role)->hostname,
		.about = dsn->about,
		.parent = &dsn->parent,
		.n = dsn->wanted,
		.quoted = dsn->quoted,
		.whole = dsn->whole,
	};

	begin(dsn, dsn->about, dsn->parent.envelope.sender, S(""));
	request.from = dsn->mail.author.from;
	request.id = dsn->mail.m.id;
	request.now = dsn->mail.m.received_at;
	return report_write(&dsn->arena, &request);
}

struct report_text dsn_build_postmaster_copy(struct dsn *dsn)
{
	const struct config *c = role_config(dsn->reports->role);
	const struct own_message *mail = &dsn->mail;

	begin(dsn, KIND_NOTICE, c->postmaster, S(""));
	return postmaster_copy_write(&dsn->arena, c->hostname, mail->author.from, mail->m.id, mail->m.received_at,
				     mail->recipient.address, &dsn->parent);
}

struct report_text dsn_build_again(struct dsn *dsn)
{
	const struct failed_recipient *f = dsn->parent.failed;
	struct report_text text = { .covered = dsn->parent.failed_n };
	struct again_input in = {
		.header = str_head(dsn->whole, dsn->parent.header_size),
		.body = str_from(dsn->whole, dsn->parent.header_size + 2), /* after the blank line */
		.returns = dsn->form.size == REPORT_AS_WISHED ? AGAIN_ALL
			   : dsn->form.size == REPORT_HEADERS ? AGAIN_HEADER
							      : AGAIN_WORDS,
		.hostname = role_config(dsn->reports->role)->hostname,
	};

	begin(dsn, dsn->parent.kind, f->address, f->route);
	in.from = dsn->mail.author.from;
	in.id = dsn->mail.m.id;
	in.now_ms = dsn->mail.m.received_at;
	mail_report_again(&dsn->arena, &in, &text.header, &text.body, &text.is_8bit);
	log_info(&(struct log){ .message = dsn->parent.id }, "report.again", kv_id("report", in.id), kv("to", f->address),
		 kv("from", in.from), kv("form", form_name(dsn->form)), kv("reply", f->verdict.text));
	return text;
}
