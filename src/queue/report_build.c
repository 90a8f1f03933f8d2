/* report_build.c - a report, or a note to the postmaster, as a message to be stored. */
#include "report_private.h"
#include "report_text.h"

#include "posthouse/clock.h"

/* The envelope: null sender, one recipient. There is no warning about it, and nobody to tell of its failure but the postmaster. */
static void begin(struct report *r, enum message_kind kind, struct str recipient)
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
	to->sender = S("");
	r->recipient = (struct new_recipient){ .address = arena_str(&r->arena, recipient) };
	to->recipients = &r->recipient;
	to->recipients_n = 1;
	to->priority = PRIORITY_NORMAL;
}

/* The text is written: on to the signatures. */
static void end(struct report *r, const struct report_text *text)
{
	struct accepted *to = &r->accepted;

	r->numbers_n = text->covered;
	to->body = text->is_8bit ? 1 : 0;
	to->utf8 = (words_are_ascii(r->recipient.address) ? 0 : 2) | (words_are_ascii(text->header) ? 0 : 4);
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

	begin(r, r->about, r->parent.sender);
	request.id = r->accepted.id;
	request.now = r->accepted.received_at;
	text = report_write(&r->arena, &request);
	end(r, &text);
}

void report_build_notice(struct report *r)
{
	const struct config *c = role_config(r->queue->role);
	struct report_text text;

	begin(r, KIND_NOTICE, c->postmaster);
	text = notice_write(&r->arena, c->hostname, r->accepted.id, r->accepted.received_at, r->recipient.address, &r->parent);
	end(r, &text);
}
