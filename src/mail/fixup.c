/* fixup.c - what a submission server corrects in a header section (RFC 6409 8). What stays of a field is not touched, and the order is
 * kept. First the fields are chosen and changed, as views; then they are copied together, once. */
#include "author.h"
#include "fixup.h"

#include "text.h"

#include "posthouse/id.h"

#define RECEIVED_MAX   50  /* RFC 5321 6.3 */
#define FROM_MAX       100 /* mailboxes in From: more than a person would write */
#define MESSAGE_ID_MAX 998

/* SINGLE: RFC 5322 3.6 allows one, and readers differ on which of two they believe. ALIKE: so do they with RFC 2045's fields, but two
 * that say the same do no harm, and scripts write them. */
enum rule { KEEP, SINGLE, ALIKE, REMOVE, COUNT };
enum holds { TEXT, SENDERS, RECIPIENTS };

/* Fields that are more than kept. */
static const struct {
	struct str name;
	enum rule rule;
	enum holds holds;
} rules[] = {
	{ S("From"), SINGLE, SENDERS },
	{ S("Sender"), SINGLE, SENDERS },
	{ S("Date"), SINGLE, TEXT },
	{ S("Reply-To"), SINGLE, SENDERS },
	{ S("To"), SINGLE, RECIPIENTS },
	{ S("Cc"), SINGLE, RECIPIENTS },
	{ S("Message-ID"), SINGLE, TEXT },
	{ S("In-Reply-To"), SINGLE, TEXT },
	{ S("References"), SINGLE, TEXT },
	{ S("Subject"), SINGLE, TEXT },
	{ S("MIME-Version"), ALIKE, TEXT },
	{ S("Content-Type"), ALIKE, TEXT },
	{ S("Content-Transfer-Encoding"), ALIKE, TEXT },
	{ S("Content-ID"), ALIKE, TEXT },
	{ S("Content-Description"), ALIKE, TEXT },
	{ S("Content-Disposition"), ALIKE, TEXT },
	{ S("Bcc"), REMOVE, TEXT },
	{ S("Resent-Bcc"), REMOVE, TEXT },
	{ S("Return-Path"), REMOVE, TEXT },
	{ S("Received"), COUNT, TEXT },
	{ S("Resent-From"), KEEP, SENDERS },
	{ S("Resent-Sender"), KEEP, SENDERS },
	{ S("Resent-Reply-To"), KEEP, SENDERS },
	{ S("Resent-To"), KEEP, RECIPIENTS },
	{ S("Resent-Cc"), KEEP, RECIPIENTS },
	{ S("Disposition-Notification-To"), KEEP, SENDERS },
	{ S("Return-Receipt-To"), KEEP, SENDERS },
};
#define RULES       (sizeof rules / sizeof *rules)
#define RULE_FROM   0
#define RULE_SENDER 1
#define ADDED_MAX   4 /* Date, From, Message-ID, Sender */

/* The section being made. */
struct draft {
	struct arena *arena;
	const struct fixup_input *in;
	struct header header;
	size_t size; /* of all fields */
	const struct header_field *first[RULES];
	size_t received;
	struct str_list shown;
};

struct header_field field_make(struct arena *a, struct str name, struct str value)
{
	struct str whole = arena_printf(a, "%.*s:%.*s\r\n", STR_ARG(name), STR_ARG(value));

	return (struct header_field){ .name = str_head(whole, name.n),
				      .value = str_make(whole.p + name.n + 1, value.n),
				      .whole = whole };
}

static void put(struct draft *d, struct header_field f)
{
	d->size += f.whole.n;
	d->header.fields[d->header.n++] = f;
}

static void put_new(struct draft *d, const char *name, struct str value)
{
	put(d, field_make(d->arena, str_of(name), arena_printf(d->arena, " %.*s", STR_ARG(value))));
}

/* Which row of the table a field is; RULES for none. */
static size_t find_rule(struct str name)
{
	size_t i = 0;

	while (i < RULES && (rules[i].name.n != name.n || !str_ieq(rules[i].name, name)))
		i++;
	return i;
}

/* Whether the message may have this field of row `r` as well. */
static struct verdict check_number(struct draft *d, size_t r, const struct header_field *f)
{
	const struct header_field *first = d->first[r];

	if (!first)
		d->first[r] = f;
	if (rules[r].rule == COUNT && ++d->received > RECEIVED_MAX)
		return perm(554, S("5.4.6"), S("the message has passed too many servers: it goes round in a loop"));
	if (rules[r].rule == SINGLE && first)
		return perm(550, S("5.6.0"),
			    arena_printf(d->arena, "the message has more than one %s field (RFC 5322 3.6)", rules[r].name.p));
	if (rules[r].rule == ALIKE && first && !str_ieq(str_trim(first->value), str_trim(f->value)))
		return perm(550, S("5.6.0"),
			    arena_printf(d->arena, "the message has two %s fields that differ", rules[r].name.p));
	return ok();
}

static struct verdict too_large(void)
{
	return perm(552, S("5.3.4"), S("the header section is too large with what was completed or added"));
}

/* Put a field that stays, with what must be changed in it. RFC 5322 4.5's white space before the colon goes: many readers do not take
 * "From :" for From. */
static struct verdict put_field(struct draft *d, size_t r, struct header_field f)
{
	struct str value = f.value;
	struct verdict v;

	if (r == RULE_FROM && d->in->force_from.n > 0) {
		value = author_with(d->arena, d->in, value, d->in->force_from);
	} else if (r == RULE_FROM || r == RULE_SENDER) {
		v = author_clear(d->arena, d->in, rules[r].name.p, f.value, &d->shown, &value);
		if (v.class != OK || value.n == 0) {
			d->first[r] = v.class == OK ? NULL : d->first[r]; /* of nobody: as if it were not there */
			return v;
		}
	} else if (r < RULES && rules[r].holds != TEXT && !rewrite_value(d->arena, d->in, rules[r].holds == SENDERS, &value)) {
		return too_large();
	}
	if (value.p != f.value.p || f.value.p != f.whole.p + f.name.n + 1)
		f = field_make(d->arena, f.name, value);
	fold_field(d->arena, &f);
	put(d, f);
	return d->size <= HEADER_MAX ? ok() : too_large();
}

/* Choose the fields that stay, and count those that may not be many. */
static struct verdict choose_fields(struct draft *d, const struct header *h)
{
	bool forced = d->in->force_from.n > 0;

	for (size_t i = 0; i < h->n; i++) {
		const struct header_field *f = &h->fields[i];
		size_t r = find_rule(f->name);
		if (r < RULES && rules[r].rule == REMOVE)
			continue;
		if (forced && (r == RULE_SENDER || (r == RULE_FROM && d->first[r])))
			continue;
		struct verdict v = r < RULES ? check_number(d, r, f) : ok();
		if (v.class == OK)
			v = put_field(d, r, *f);
		if (v.class != OK)
			return v;
	}
	return ok();
}

/* A message without From gets the forced one, or the envelope sender's. One of the null sender may be without. */
static struct verdict add_from(struct draft *d)
{
	struct str address = d->in->force_from.n > 0 ? d->in->force_from : d->in->envelope_sender;
	struct str_list made;

	if (d->first[RULE_FROM] || address.n == 0)
		return ok();
	if (!header_addresses(d->arena, address, &made) || made.n != 1)
		return perm(550, S("5.6.0"), S("the message has no From field, and none can be made from its sender"));
	put_new(d, "From", made.at[0]);
	return ok();
}

/* RFC 5322 3.6.2: with several authors it must be said who sends. `from` are views of fields that are not yet in their place. */
static void add_sender(struct draft *d)
{
	struct str sender = d->in->envelope_sender;
	struct str_list from, one;

	if (d->first[RULE_SENDER] || !d->first[RULE_FROM] || d->in->force_from.n > 0 || sender.n == 0)
		return;
	const struct header_field *f = header_find(&d->header, S("From"));
	if (str_find(f->value, ',') == f->value.n || !header_addresses(d->arena, f->value, &from) || from.n < 2)
		return;
	if (header_addresses(d->arena, sender, &one) && one.n == 1)
		put_new(d, "Sender", one.at[0]);
}

/* The message's id as one word for logs and history: what stands before white space. */
static struct str read_message_id(const struct header *h)
{
	struct str value = str_trim(header_find(h, S("Message-ID"))->value);
	size_t n = 0;

	while (n < value.n && n < MESSAGE_ID_MAX && value.p[n] != ' ' && !is_control(value.p[n]))
		n++;
	return str_head(value, n);
}

static void add_date_and_id(struct draft *d)
{
	char id[ID_TEXT_MAX];

	if (!header_find(&d->header, S("Date")))
		put_new(d, "Date", mail_date(d->arena, d->in->now_ms));
	if (!header_find(&d->header, S("Message-ID")))
		put_new(d, "Message-ID", arena_printf(d->arena, "<%s@%.*s>", id_format(d->in->id, id), STR_ARG(d->in->hostname)));
}

/* Copy the fields together; their views move with them. */
static struct str join(struct draft *d)
{
	char *text = arena_alloc(d->arena, d->size), *to = text;

	for (size_t i = 0; i < d->header.n; i++) {
		struct header_field *f = &d->header.fields[i];
		size_t value_at = (size_t)(f->value.p - f->whole.p);
		memcpy(to, f->whole.p, f->whole.n);
		*f = (struct header_field){ .name = str_make(to, f->name.n),
					    .value = str_make(to + value_at, f->value.n),
					    .whole = str_make(to, f->whole.n) };
		to += f->whole.n;
	}
	return str_make(text, d->size);
}

/* Who writes, read from what is stored: it is this that the login must own. */
static struct verdict read_authors(struct arena *a, struct fixup_result *out)
{
	const struct header_field *from = header_find(&out->header, S("From")), *sender = header_find(&out->header, S("Sender"));
	struct str_list one;

	if (from && !header_addresses(a, from->value, &out->from))
		return perm(550, S("5.6.0"),
			    S("the From field cannot be read, without any doubt, as a list of addresses (RFC 5322 3.4)"));
	if (from && (out->from.n == 0 || out->from.n > FROM_MAX))
		return perm(550, S("5.6.0"), S("the From field has no address, or too many"));
	out->sender = S("");
	if (!sender)
		return ok();
	if (!header_addresses(a, sender->value, &one) || one.n != 1)
		return perm(550, S("5.6.0"), S("the Sender field is not one address (RFC 5322 3.6.2)"));
	out->sender = one.at[0];
	return ok();
}

struct verdict mail_fixup(struct arena *a, const struct fixup_input *in, struct fixup_result *out)
{
	struct draft d = { .arena = a, .in = in };
	struct header h;
	struct verdict v = header_parse(a, in->section, &h);

	*out = (struct fixup_result){ 0 };
	if (v.class != OK)
		return v;
	d.header.fields = ARENA_ARRAY(a, struct header_field, h.n + ADDED_MAX);
	v = choose_fields(&d, &h);
	if (v.class == OK)
		v = add_from(&d);
	if (v.class != OK)
		return v;
	add_sender(&d);
	add_date_and_id(&d);
	if (d.size > HEADER_MAX)
		return too_large();
	out->section = join(&d);
	out->header = d.header;
	out->shown = d.shown;
	v = read_authors(a, out);
	if (v.class != OK)
		return v;
	out->message_id = read_message_id(&out->header);
	out->has_8bit = !text_is_ascii(out->section);
	return ok();
}
