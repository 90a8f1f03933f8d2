/* dsn_build.c - a report, or a note to the postmaster, as a message to be stored. */
#include "report/dsn_private.h"
#include "report/dsn_text.h"

#include "posthouse/clock.h"
#include "posthouse/smtp_server.h"

/* The envelope: one recipient. There is no warning about it, and nobody to tell of its failure but the postmaster. `refused_by`: the route by
 * which it failed in another form; "". */
static void begin(struct report *r, enum message_kind kind, struct str recipient, struct str refused_by)
{
	const struct config *c = role_config(r->queue->role);
	struct accepted *to = &r->accepted;

	to->received_at = clock_now_ms();
	to->id = id_next(&r->queue->ids, to->received_at);
	to->token = random_u64();
	to->kind = kind;
	to->parent = r->parent.id;
	to->expires_at = to->received_at + c->queue.lifetime_ms;
	to->login = S("");
	to->origin = kind == KIND_NOTICE ? S("notice") : S("report");
	r->recipient = (struct new_recipient){ .address = arena_str(&r->arena, recipient) };
	r->author = report_author(&r->arena, c, r->form.reporter, refused_by, r->recipient.address);
	to->sender = arena_str(&r->arena, r->author.sender);
	to->options = form_options(r->form);
	to->recipients = &r->recipient;
	to->recipients_n = 1;
	to->priority = PRIORITY_NORMAL;
}

/* RFC 5321 4.5.3.1.6: then relay writes them in another way. */
static bool lines_are_long(struct str body)
{
	struct str line;

	while (str_split(&body, '\n', &line))
		if (line.n > 999)
			return true;
	return false;
}

/* The text is written: on to the signatures. */
static void end(struct report *r, const struct report_text *text)
{
	struct accepted *to = &r->accepted;

	r->numbers_n = text->covered;
	to->body = text->is_8bit ? 1 : 0;
	to->utf8 = (words_are_ascii(r->recipient.address) ? 0 : 2) | (words_are_ascii(text->header) ? 0 : 4);
	to->options |= lines_are_long(text->body) ? OPTION_LONG_LINES : 0;
	to->text = arena_printf(&r->arena, "%.*s\r\n%.*s", STR_ARG(text->header), STR_ARG(text->body));
	to->size = to->text.n;
	to->header_size = text->header.n;
	to->place = PLACE_ROW;
	r->signing = (struct signing){
		.queue = r->queue,
		.arena = &r->arena,
		.m = to,
		.header = text->header,
		.body = text->body,
		.from = r->author.from,
		.done = report_signed,
		.ctx = r,
	};
	sign(&r->signing);
}

void report_build(struct report *r)
{
	const struct config *c = role_config(r->queue->role);
	struct report_text text;
	struct report_request request = {
		.hostname = c->hostname,
		.about = r->about,
		.parent = &r->parent,
		.n = r->wanted,
		.quoted = r->quoted,
		.whole = r->whole,
	};

	begin(r, r->about, r->parent.sender, S(""));
	request.from = r->author.from;
	request.id = r->accepted.id;
	request.now = r->accepted.received_at;
	text = report_write(&r->arena, &request);
	end(r, &text);
}

void report_build_notice(struct report *r)
{
	const struct config *c = role_config(r->queue->role);
	struct report_text text;

	begin(r, KIND_NOTICE, c->postmaster, S(""));
	text = notice_write(&r->arena, c->hostname, r->author.from, r->accepted.id, r->accepted.received_at, r->recipient.address,
			    &r->parent);
	end(r, &text);
}

void report_build_again(struct report *r)
{
	const struct failed_recipient *f = r->parent.failed;
	struct report_text text = { .covered = r->parent.failed_n };
	struct again_input in = {
		.header = str_head(r->whole, r->parent.header_size),
		.body = str_from(r->whole, r->parent.header_size + 2), /* after the blank line */
		.returns = r->form.size == REPORT_AS_WISHED ? AGAIN_ALL
			   : r->form.size == REPORT_HEADERS ? AGAIN_HEADER
							    : AGAIN_WORDS,
		.hostname = role_config(r->queue->role)->hostname,
	};

	begin(r, r->parent.kind, f->address, f->route);
	in.from = r->author.from;
	in.id = r->accepted.id;
	in.now_ms = r->accepted.received_at;
	mail_report_again(&r->arena, &in, &text.header, &text.body, &text.is_8bit);
	log_info(&(struct log){ .message = r->parent.id }, "report.again", kv_id("report", in.id), kv("to", f->address),
		 kv("from", in.from), kv("form", form_name(r->form)), kv("reply", f->verdict.text));
	end(r, &text);
}
