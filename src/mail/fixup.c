/* fixup.c - what a submission server corrects in a header section (RFC 6409 8). Fields that stay are not touched: not folded anew,
 * not put into another order. */
#include "posthouse/id.h"
#include "posthouse/mail.h"
#include "text.h"

#define RECEIVED_MAX   50  /* RFC 5321 6.3 */
#define FROM_MAX       100 /* mailboxes in From: more than a person would write */
#define MESSAGE_ID_MAX 998

enum rule { KEEP, SINGLE, REMOVE, COUNT };

/* Fields that are more than kept. SINGLE: RFC 5322 3.6 allows one, and readers differ on which of two they believe. */
static const struct {
	struct str name;
	enum rule rule;
} rules[] = {
	{ S("Date"), SINGLE },        { S("From"), SINGLE },    { S("Sender"), SINGLE },     { S("Reply-To"), SINGLE },
	{ S("To"), SINGLE },          { S("Cc"), SINGLE },      { S("Message-ID"), SINGLE }, { S("In-Reply-To"), SINGLE },
	{ S("References"), SINGLE },  { S("Subject"), SINGLE }, { S("Bcc"), REMOVE },        { S("Resent-Bcc"), REMOVE },
	{ S("Return-Path"), REMOVE }, { S("Received"), COUNT },
};
#define RULES     (sizeof rules / sizeof *rules)
#define ADDED_MAX 3 /* Date, From, Message-ID */

/* The section being written, and its fields, which point into it. */
struct draft {
	char *text;
	size_t used;
	struct header header;
};

/* Append a field to the draft, its views moved to their new place. */
static void append(struct draft *d, const struct header_field *f)
{
	char *to = d->text + d->used;

	memcpy(to, f->whole.p, f->whole.n);
	d->header.fields[d->header.n++] = (struct header_field){
		.name = str_make(to, f->name.n),
		.value = str_make(to + (f->value.p - f->whole.p), f->value.n),
		.whole = str_make(to, f->whole.n),
	};
	d->used += f->whole.n;
}

/* Append a new field; its length is in the room that draft_begin() made. */
static void append_new(struct arena *a, struct draft *d, struct str name, struct str value)
{
	struct str whole = arena_printf(a, "%.*s: %.*s\r\n", STR_ARG(name), STR_ARG(value));
	struct header_field f = { .name = str_head(whole, name.n),
				  .value = str_make(whole.p + name.n + 1, value.n + 1),
				  .whole = whole };

	append(d, &f);
}

/* Which row of the table a field is; RULES for none. */
static size_t find_rule(struct str name)
{
	size_t i = 0;

	while (i < RULES && !str_ieq(rules[i].name, name))
		i++;
	return i;
}

/* Copy the fields that stay, and count those that may not be many. */
static struct verdict copy_fields(struct arena *a, const struct header *h, struct draft *d)
{
	size_t seen[RULES + 1] = { 0 };

	for (size_t i = 0; i < h->n; i++) {
		size_t r = find_rule(h->fields[i].name);
		enum rule rule = r < RULES ? rules[r].rule : KEEP;
		seen[r]++;
		if (rule == SINGLE && seen[r] > 1)
			return perm(550, S("5.6.0"),
				    arena_printf(a, "the message has more than one %s field (RFC 5322 3.6)", rules[r].name.p));
		if (rule == COUNT && seen[r] > RECEIVED_MAX)
			return perm(554, S("5.4.6"), S("the message has passed too many servers: it goes round in a loop"));
		if (rule != REMOVE)
			append(d, &h->fields[i]);
	}
	return ok();
}

/* From: read, or made from the envelope sender. A message of the null sender may be without. */
static struct verdict settle_from(struct arena *a, const struct fixup_input *in, struct draft *d, struct str_list *from_out)
{
	const struct header_field *f = header_find(&d->header, S("From"));

	*from_out = (struct str_list){ NULL, 0 };
	if (!f && in->envelope_sender.n == 0)
		return ok();
	if (!f) {
		if (!header_addresses(a, in->envelope_sender, from_out) || from_out->n != 1)
			return perm(550, S("5.6.0"), S("the message has no From field, and none can be made from its sender"));
		append_new(a, d, S("From"), from_out->at[0]);
		return ok();
	}
	if (!header_addresses(a, f->value, from_out))
		return perm(550, S("5.6.0"), S("the From field is not a list of addresses (RFC 5322 3.4)"));
	if (from_out->n == 0 || from_out->n > FROM_MAX)
		return perm(550, S("5.6.0"), S("the From field has no address, or too many"));
	return ok();
}

/* Sender: one address if it is there at all (RFC 5322 3.6.2). */
static struct verdict read_sender(struct arena *a, const struct header *h, struct str *sender_out)
{
	const struct header_field *f = header_find(h, S("Sender"));
	struct str_list addresses;

	*sender_out = S("");
	if (!f)
		return ok();
	if (!header_addresses(a, f->value, &addresses) || addresses.n != 1)
		return perm(550, S("5.6.0"), S("the Sender field is not one address (RFC 5322 3.6.2)"));
	*sender_out = addresses.at[0];
	return ok();
}

/* The message's id as one word for logs and history: what stands before white space. */
static struct str settle_message_id(struct arena *a, const struct fixup_input *in, struct draft *d)
{
	const struct header_field *f = header_find(&d->header, S("Message-ID"));
	char id[ID_TEXT_MAX];
	size_t n = 0;

	if (!f) {
		struct str made = arena_printf(a, "<%s@%.*s>", id_format(in->id, id), STR_ARG(in->hostname));
		append_new(a, d, S("Message-ID"), made);
		return made;
	}
	struct str value = str_trim(f->value);
	while (n < value.n && n < MESSAGE_ID_MAX && value.p[n] != ' ' && !is_control(value.p[n]))
		n++;
	return str_head(value, n);
}

/* Room for all that may be copied or added. */
static struct draft draft_begin(struct arena *a, const struct fixup_input *in, const struct header *h)
{
	size_t added = in->envelope_sender.n + in->hostname.n + 256;

	return (struct draft){ .text = arena_alloc(a, in->section.n + added),
			       .header.fields = ARENA_ARRAY(a, struct header_field, h->n + ADDED_MAX) };
}

struct verdict mail_fixup(struct arena *a, const struct fixup_input *in, struct fixup_result *out)
{
	struct header h;
	struct verdict v = header_parse(a, in->section, &h);

	*out = (struct fixup_result){ 0 };
	if (v.class != OK)
		return v;
	struct draft d = draft_begin(a, in, &h);
	v = copy_fields(a, &h, &d);
	if (v.class != OK)
		return v;
	v = settle_from(a, in, &d, &out->from);
	if (v.class != OK)
		return v;
	v = read_sender(a, &d.header, &out->sender);
	if (v.class != OK)
		return v;
	if (!header_find(&d.header, S("Date")))
		append_new(a, &d, S("Date"), mail_date(a, in->now_ms));
	out->message_id = settle_message_id(a, in, &d);
	out->section = str_make(d.text, d.used);
	out->header = d.header;
	out->has_8bit = !text_is_ascii(out->section);
	return ok();
}
