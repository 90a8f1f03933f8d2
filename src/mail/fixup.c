/* fixup.c - what a submission server corrects in a header section (RFC 6409 8). Bytes that need no change
 * stay as they are, and so does the order. First fields are chosen and changed, as views; then all are copied once. */
#include "author.h"
#include "field.h"
#include "fixup.h"
#include "identity.h"
#include "repeated.h"

#include "text.h"

#include "posthouse/id.h"

#define RECEIVED_MAX 50   /* RFC 5321 6.3 */
#define RESENT_MAX   8192 /* bytes of all Resent-From and Resent-Sender that are read: each byte costs many bytes of memory */
#define ORIGINAL_MAX 900  /* bytes of a replaced Message-ID or Date that are kept */

#define ADDED_MAX 4 /* Date, From, Message-ID, Sender */

/* The new section. */
struct draft {
	struct arena *arena;
	const struct fixup_input *in;
	struct header header;
	size_t size; /* of all fields */
	size_t received;
	size_t resent_bytes; /* of the values of Resent-From and Resent-Sender */
	struct fixup_result *out;
};

static void put(struct draft *d, struct header_field f)
{
	d->size += f.whole.n;
	d->header.fields[d->header.n++] = f;
}

static void put_new(struct draft *d, const char *name, struct str value)
{
	put(d, field_make(d->arena, str_of(name), arena_printf(d->arena, " %.*s", STR_ARG(value))));
}

static struct verdict too_large(void)
{
	return perm(552, S("5.3.4"), S("the header section is too large with what was completed or added"));
}

/* Remove lines of only white space (RFC 5322 4.5 obs-FWS): many readers take such a line for the end of the header. */
static struct str without_blank_lines(struct arena *a, struct str value)
{
	char *out = NULL;
	size_t used = 0;

	for (size_t at = 0, n; at < value.n; at += n) {
		struct str rest = str_from(value, at);
		n = str_search(rest, S("\r\n")) + 2;
		n = n < rest.n ? n : rest.n;
		struct str line = str_head(rest, n);
		bool blank = at > 0 && str_trim(line).n == 0;
		if (blank && !out) {
			out = arena_alloc(a, value.n);
			memcpy(out, value.p, used = at);
		}
		if (out && !blank) {
			memcpy(out + used, line.p, n);
			used += n;
		}
	}
	if (!out)
		return value;
	/* The last line of a value has no CRLF. */
	return str_make(out, used - (used >= 2 && out[used - 1] == '\n' ? 2 : 0));
}

/* Add a field of the client with its new value. White space before the colon (RFC 5322 4.5) is removed: many readers do not
 * take "From :" for From. */
static struct verdict put_field(struct draft *d, struct header_field f, struct str value)
{
	value = without_blank_lines(d->arena, value);
	if (value.p != f.value.p || value.n != f.value.n || f.value.p != f.whole.p + f.name.n + 1)
		f = field_make(d->arena, f.name, value);
	fold_field(d->arena, &f);
	put(d, f);
	return d->size <= HEADER_MAX ? ok() : too_large();
}

/* From and Sender get their clear form; one without an address is removed. */
static struct verdict put_author(struct draft *d, struct header_field f)
{
	const struct fixup_input *in = d->in;
	bool is_from = str_ieq(f.name, S("From"));
	struct str value;

	if (in->force_from.n > 0) {
		if (!is_from || header_find(&d->header, S("From")))
			return ok();
		return put_field(d, f, author_with(d->arena, in, f.value, in->force_from));
	}
	struct verdict v = author_clear(d->arena, in, is_from ? "From" : "Sender", f.value, &d->out->shown, &value);
	return v.class != OK || value.n == 0 ? v : put_field(d, f, value);
}

/* Resent-From and Resent-Sender name the person who forwarded the message. They get their clear form too; the caller gets a
 * fault in them. */
static struct verdict clear_resender(struct draft *d, const struct header_field *f, struct str *value)
{
	struct str_list found;
	struct str cleared = S("");
	bool is_from = str_ieq(f->name, S("Resent-From"));
	struct verdict v = perm(550, S("5.6.0"), S("the message was sent on too often: its Resent fields are too long"));

	d->resent_bytes += f->value.n;
	if (d->resent_bytes <= RESENT_MAX)
		v = author_clear(d->arena, d->in, is_from ? "Resent-From" : "Resent-Sender", f->value, &d->out->resent, &cleared);
	if (v.class == OK && (cleared.n == 0 || !header_addresses(d->arena, cleared, &found)))
		v = perm(550, S("5.6.0"), arena_printf(d->arena, "the %.*s field has no address", STR_ARG(f->name)));
	if (v.class != OK) {
		d->out->resent_fault = v;
		return v;
	}
	struct str *at = ARENA_ARRAY(d->arena, struct str, d->out->resent.n + found.n);
	memcpy(at, found.at, found.n * sizeof *at);
	memcpy(at + found.n, d->out->resent.at, d->out->resent.n * sizeof *at);
	d->out->resent = (struct str_list){ at, d->out->resent.n + found.n };
	d->out->is_resent = d->out->is_resent || is_from;
	*value = cleared;
	return ok();
}

/* A Message-ID or Date that readers cannot use is replaced, and kept under another name. */
static struct verdict put_original(struct draft *d, struct header_field f)
{
	struct str old = text_clean(d->arena, f.value, ORIGINAL_MAX);

	if (old.n == 0)
		return ok();
	f.name = arena_printf(d->arena, "X-Original-%.*s", STR_ARG(f.name));
	return put_field(d, f, arena_printf(d->arena, " %.*s", STR_ARG(old)));
}

static struct verdict take_field(struct draft *d, struct header_field f)
{
	enum field_fixup fixup = field_find(f.name)->fixup;
	struct str value = f.value;

	if (fixup == REMOVED || (fixup == RESULT && is_result_of(d->arena, value, d->in->hostname)))
		return ok();
	if (fixup == AUTHOR)
		return put_author(d, f);
	if (fixup == COUNTED && ++d->received > RECEIVED_MAX)
		return perm(554, S("5.4.6"), S("the message has passed too many servers: it goes round in a loop"));
	if ((fixup == DATE && !date_valid(value)) || (fixup == MESSAGE_ID && !message_id_valid(value)))
		return put_original(d, f);
	if (fixup == RESENDER && clear_resender(d, &f, &value).class != OK)
		fixup = SENDERS; /* it stays as it is */
	if ((fixup == SENDERS || fixup == RECIPIENTS) && !rewrite_value(d->arena, d->in, fixup == SENDERS, &value))
		return too_large();
	return put_field(d, f, value);
}

static struct verdict choose_fields(struct draft *d, const struct header *h)
{
	struct verdict v = ok();

	for (size_t i = 0; i < h->n && v.class == OK; i++)
		v = take_field(d, h->fields[i]);
	return v;
}

/* A message without From gets the forced address, or the envelope sender. With the null sender it can stay without From. */
static struct verdict add_from(struct draft *d)
{
	struct str address = d->in->force_from.n > 0 ? d->in->force_from : d->in->envelope_sender;
	struct str_list made;

	if (header_find(&d->header, S("From")) || address.n == 0)
		return ok();
	if (!header_addresses(d->arena, address, &made) || made.n != 1)
		return perm(550, S("5.6.0"), S("the message has no From field, and none can be made from its sender"));
	put_new(d, "From", made.at[0]);
	return ok();
}

/* RFC 5322 3.6.2: a message with several authors needs a Sender. `from` are views of fields before they are copied. */
static void add_sender(struct draft *d)
{
	struct str sender = d->in->envelope_sender;
	struct str_list from, one;

	const struct header_field *f = header_find(&d->header, S("From"));

	if (!f || header_find(&d->header, S("Sender")) || d->in->force_from.n > 0 || sender.n == 0)
		return;
	if (str_find(f->value, ',') == f->value.n || !header_addresses(d->arena, f->value, &from) || from.n < 2)
		return;
	if (header_addresses(d->arena, sender, &one) && one.n == 1)
		put_new(d, "Sender", one.at[0]);
}

static void add_date_and_id(struct draft *d)
{
	char id[ID_TEXT_MAX];

	if (!header_find(&d->header, S("Date")))
		put_new(d, "Date", mail_date(d->arena, d->in->now_ms));
	if (!header_find(&d->header, S("Message-ID")))
		put_new(d, "Message-ID", arena_printf(d->arena, "<%s@%.*s>", id_format(d->in->id, id), STR_ARG(d->in->hostname)));
}

/* Copy the fields into one section, and point their views there. */
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

/* Read the authors from the section as stored: the login must own these. */
static struct verdict read_authors(struct arena *a, struct fixup_result *out)
{
	const struct header_field *from = header_find(&out->header, S("From")), *sender = header_find(&out->header, S("Sender"));
	struct str_list one;

	if (from && !header_addresses(a, from->value, &out->from))
		return perm(550, S("5.6.0"),
			    S("the From field cannot be read, without any doubt, as a list of addresses (RFC 5322 3.4)"));
	if (from && (out->from.n == 0 || out->from.n > AUTHORS_MAX))
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
	struct draft d = { .arena = a, .in = in, .out = out };
	struct header h;
	struct verdict v = header_parse(a, in->section, &h);

	*out = (struct fixup_result){ .resent_fault = ok() };
	if (v.class == OK)
		v = merge_repeated(a, &h, in->force_from.n > 0);
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
	v = read_authors(a, out);
	if (v.class != OK)
		return v;
	out->has_8bit = !str_is_ascii(out->section);
	return ok();
}
