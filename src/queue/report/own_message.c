/* own_message.c - see own_message.h. */
#include "report/own_message.h"

#include "common/format.h"
#include "report/report.h"

#include "posthouse/address.h"
#include "posthouse/clock.h"
#include "posthouse/smtp_server.h"

#include <assert.h>

/* ---- the envelope ---- */

void own_message_begin(struct own_message *own, struct reports *rs, struct arena *a, const struct own_envelope *e)
{
	const struct config *c = role_config(rs->role);
	uint64_t now = clock_now_ms();

	own_message_end(own); /* of an earlier try */
	own->reports = rs;
	own->arena = a;
	own->recipient = (struct new_recipient){ .address = arena_str(a, e->recipient) };
	own->author = report_author(a, c, e->form.reporter, e->refused_by, own->recipient.address);
	own->m = (struct accepted){
		.id = id_next(&rs->ids, now),
		.token = random_u64(),
		.kind = e->kind,
		.parent = e->parent,
		.received_at = now,
		.expires_at = now + c->queue.lifetime_ms,
		.envelope = { .sender = arena_str(a, own->author.sender),
			      .options = form_options(e->form) | e->options,
			      .priority = PRIORITY_NORMAL },
		.origin = e->kind == KIND_NOTICE ? S("notice") : S("report"),
		.recipients = &own->recipient,
		.recipients_n = 1,
	};
}

/* RFC 5321 4.5.3.1.6: relay encodes such lines. */
static bool lines_are_long(struct str body)
{
	struct str line;

	while (str_split(&body, '\n', &line))
		if (line.n > 999)
			return true;
	return false;
}

/* RFC 8689 3: the next hops hear of it too. A message that is written again can have the field already. */
static void mark_optional(struct own_message *own, struct report_text *text)
{
	struct header header;

	if ((own->m.envelope.options & OPTION_TLS_OPTIONAL) && header_parse(own->arena, text->header, &header).class == OK &&
	    !mail_tls_optional(&header))
		text->header = arena_printf(own->arena, "%.*s" TLS_REQUIRED_NO, STR_ARG(text->header));
}

static void take_text(struct own_message *own, const struct report_text *text)
{
	struct accepted *to = &own->m;
	struct header header;

	if (header_parse(own->arena, text->header, &header).class == OK) {
		to->envelope.subject = mail_subject(own->arena, &header);
		to->envelope.message_id = mail_message_id(own->arena, &header);
	}
	to->envelope.body = text->is_8bit ? 1 : 0;
	to->envelope.utf8 = (words_are_ascii(own->recipient.address) ? 0 : 2) | (words_are_ascii(text->header) ? 0 : 4);
	to->envelope.options |= lines_are_long(text->body) ? OPTION_LONG_LINES : 0;
	to->text = arena_printf(own->arena, "%.*s\r\n%.*s", STR_ARG(text->header), STR_ARG(text->body));
	to->size = to->text.n;
	to->header_size = text->header.n;
	to->place = PLACE_ROW;
}

/* ---- signatures ---- */

static void choose_keys(struct own_message *own)
{
	own->keys_n = config_dkim_keys(own->arena, role_config(own->reports->role), address_domain(own->author.from), own->keys);
}

static const struct rec_signature *signature_of(const struct msg_signatures *m, const struct dkim_key *key)
{
	for (size_t i = 0; i < m->signatures.n; i++)
		if (str_eq(m->signatures.at[i].selector, key->selector) && m->signatures.at[i].algorithm == key->algorithm)
			return &m->signatures.at[i];
	return NULL;
}

static void on_signatures(void *ctx, struct verdict v, const struct msg_signatures *m, int fd)
{
	struct own_message *own = ctx;
	struct str prefix = S("");

	own->call = 0;
	if (v.class == OK)
		v = m->verdict;
	for (size_t i = 0; v.class == OK && i < own->keys_n; i++) {
		const struct rec_signature *signature = signature_of(m, &own->keys[i]);

		if (!signature) {
			v = temp(451, S("4.3.0"), S("vault left a signature out"));
			break;
		}
		prefix = arena_printf(own->arena, "%.*s%.*s", STR_ARG(prefix),
				      STR_ARG(dkim_field(own->arena, own->dkim, i, signature->signature)));
	}
	if (v.class == OK) {
		own->m.prefix = prefix;
		own->m.envelope.sign_domain = own->keys[0].domain;
	}
	own->done(own->ctx, v);
}

void own_message_sign(struct own_message *own, const struct report_text *given, void (*done)(void *ctx, struct verdict v),
		      void *ctx)
{
	struct report_text text = *given;
	struct str digests[DKIM_KEYS_MAX];
	struct rec_digest list[DKIM_KEYS_MAX];
	struct msg_sign m = { .message = own->m.id };
	struct header header;
	struct verdict v;

	own->done = done;
	own->ctx = ctx;
	mark_optional(own, &text);
	take_text(own, &text);
	choose_keys(own);
	if (own->keys_n == 0) { /* unsigned by rule */
		own->done(own->ctx, ok());
		return;
	}
	v = header_parse(own->arena, text.header, &header);
	assert(v.class == OK); /* we wrote it */
	own->dkim = dkim_new();
	dkim_body(own->dkim, text.body);
	dkim_finish(own->dkim, &header, own->keys, own->keys_n, own->m.received_at, digests);
	for (size_t i = 0; i < own->keys_n; i++)
		list[i] = (struct rec_digest){
			.selector = own->keys[i].selector,
			.algorithm = own->keys[i].algorithm,
			.digest = digests[i],
		};
	m.domain = own->keys[0].domain;
	m.digests.at = list;
	m.digests.n = own->keys_n;
	own->call = ipc_call_sign(own->reports->vault, &m, -1, on_signatures, own);
}

bool own_message_waits_for_vault(const struct own_message *own)
{
	return own->call != 0;
}

bool own_message_cancel(struct own_message *own)
{
	if (own->call == 0)
		return false;
	ipc_cancel(own->call);
	own->call = 0;
	return true;
}

void own_message_end(struct own_message *own)
{
	dkim_free(own->dkim);
	own->dkim = NULL;
}
