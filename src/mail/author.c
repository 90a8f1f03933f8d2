/* author.c - finds the authors of a message. The tokens of a field (author_tokens.c) are joined to mailboxes as a person would
 * read them. If any part could be read in another way, the field is rewritten: then even a simple reader finds the one address
 * between "<" and ">", and the caller learns of everything else in the field that looks like an address. */
#include "author.h"

#include "author_tokens.h"
#include "phrase.h"
#include "text.h"

#define AUTHOR_MAX 16384 /* bytes: a hundred authors with long names */
#define SHOWN_MAX  100   /* bytes of the faulty text in a reply */

/* A mailbox as its writer meant it. */
struct author {
	struct str name;        /* joined, without quotes */
	struct mailbox mailbox; /* no spec: only a name */
};

struct reading {
	struct arena *arena;
	const struct token *tokens;
	size_t n, at;
	struct author *authors;
	size_t authors_n;
	size_t pending;   /* of the first token that has not been given to a mailbox */
	bool clear;       /* every reader sees the same */
	struct str fault; /* "" = none */
};

/* The text of tokens but one as a name; comments keep their parentheses unless they are all there is. */
static struct str join(struct arena *a, const struct token *from, const struct token *to, const struct token *without)
{
	size_t room = 1, used = 0, n = (size_t)(to - from) - (without >= from && without < to);

	for (const struct token *t = from; t < to; t++)
		room += t->text.n + 3;
	char *out = arena_alloc(a, room);
	for (const struct token *t = from; t < to; t++) {
		bool comment = t->type == TOKEN_COMMENT && n > 1;
		if (t == without)
			continue;
		if (used > 0 && (t->spaced || t[-1].type == TOKEN_ANGLE))
			out[used++] = ' ';
		if (comment)
			out[used++] = '(';
		memcpy(out + used, t->text.p, t->text.n);
		used += t->text.n;
		if (comment)
			out[used++] = ')';
	}
	return str_make(out, used);
}

static void add_author(struct reading *r, struct str name, const struct mailbox *m)
{
	r->authors[r->authors_n++] = (struct author){ name, *m };
}

/* How many tokens of a kind there are; *last_out is the last of them. */
static size_t count(const struct token *from, const struct token *to, enum token_type type, const struct token **last_out)
{
	size_t n = 0;

	for (const struct token *t = from; t < to; t++) {
		if (t->type == type) {
			*last_out = t;
			n++;
		}
	}
	return n;
}

static const struct token *segment_end(const struct token *from, const struct token *end)
{
	while (from < end && from->type != TOKEN_SEPARATOR)
		from++;
	return from;
}

/* A mailbox with "<address>": its name is the text before it, from the last mailbox on, and the text behind it. */
static void take_angle(struct reading *r, const struct token *angle, const struct token *to)
{
	const struct token *first = r->tokens + r->pending;

	for (const struct token *t = first; t < to; t++) {
		bool in_place = t < angle ? t->type == TOKEN_TEXT || t->type == TOKEN_QUOTED
					  : t == angle || (t->type == TOKEN_COMMENT && t + 1 == to);
		r->clear = r->clear && t->clear && in_place && (t == first || t->spaced);
	}
	add_author(r, join(r->arena, first, to, angle), &angle->mailbox);
	r->pending = (size_t)(to - r->tokens) + 1;
}

/* A word that can be a local part by itself ("root (Cron Daemon)"). */
static bool is_lone_local(const struct token *from, const struct token *to)
{
	const struct token *last;

	return from < to && from->type == TOKEN_TEXT && from->mailbox.spec.n > 0 &&
	       count(from + 1, to, TOKEN_COMMENT, &last) == (size_t)(to - from) - 1;
}

/* Tokens that waited for "<address>" when there is none: a word that can be a local part is an address; in a segment with one
 * address somebody forgot the brackets; other text is a fault. */
static void flush(struct reading *r, const struct token *end)
{
	const struct token *address = NULL;

	for (const struct token *from = r->tokens + r->pending, *to; from < end; from = to + 1) {
		to = segment_end(from, end);
		if (from == to)
			continue;
		if (is_lone_local(from, to)) {
			r->clear = r->clear && from->clear && to - from <= 2 && to[-1].clear;
			add_author(r, join(r->arena, from, to, from), &from->mailbox);
		} else if (count(from, to, TOKEN_ADDRESS, &address) == 1) {
			r->clear = false;
			add_author(r, join(r->arena, from, to, address), &address->mailbox);
		} else {
			r->clear = false; /* also for what holds no text, as "()" */
			r->fault = r->fault.n > 0 ? r->fault : join(r->arena, from, to, NULL);
		}
	}
	if (end > r->tokens + r->pending)
		r->pending = (size_t)(end - r->tokens);
}

/* An address by itself, with comments, or as the first member of a group, whose name it then gets. */
static void take_bare(struct reading *r, const struct token *from, const struct token *address, const struct token *to)
{
	bool group = address > from && address[-1].type == TOKEN_TEXT && str_ends(address[-1].text, S(":"));

	for (const struct token *t = from; t < to; t++) {
		if (t != address && t->type != TOKEN_COMMENT && (!group || t > address))
			return; /* it can be part of a longer name */
	}
	flush(r, from);
	r->clear = r->clear && address == from && address->clear && to - address <= 2 && to[-1].clear;
	struct str name = join(r->arena, from, to, address);
	if (group && str_ends(name, S(":")))
		name = str_head(name, name.n - 1);
	add_author(r, name, &address->mailbox);
	r->pending = (size_t)(to - r->tokens) + 1;
}

/* No token is an address or was meant as one: all of the value is a name. */
static bool is_only_name(const struct reading *r, const struct token *end, struct str all)
{
	bool locals = true;

	for (const struct token *from = r->tokens, *to; from < end; from = to + 1) {
		to = segment_end(from, end);
		locals = locals && (from == to || is_lone_local(from, to));
	}
	return r->authors_n == 0 && r->n > 0 && !locals && str_find(all, '@') == all.n;
}

/* Segments without an address are part of the name of the next mailbox; flush() decides on those at the end. */
static void read_all(struct reading *r)
{
	const struct token *end = r->tokens + r->n, *one = NULL;

	for (const struct token *from = r->tokens, *to; from < end; from = to + 1) {
		to = segment_end(from, end);
		r->clear = r->clear && (to == end || to->clear);
		size_t angles = count(from, to, TOKEN_ANGLE, &one);
		r->clear = r->clear && from < to;
		if (from == to && from == r->tokens + r->pending) {
			r->pending++; /* an empty element (RFC 5322 4.4) */
		} else if (angles > 1) {
			r->fault = join(r->arena, from, to, NULL);
		} else if (angles == 1) {
			take_angle(r, one, to);
		} else if (count(from, to, TOKEN_ADDRESS, &one) == 1) {
			take_bare(r, from, one, to);
		}
	}
	r->clear = r->clear && (r->n == 0 || end[-1].type != TOKEN_SEPARATOR);
	struct str all = join(r->arena, r->tokens, end, NULL);
	if (is_only_name(r, end, all)) {
		while (str_ends(all, S(";")) || str_ends(all, S(",")))
			all.n--;
		add_author(r, str_ends(all, S(":")) ? S("") : all, &(struct mailbox){ .spec = S("") });
	} else if (r->pending < r->n) {
		flush(r, end);
	}
}

static struct reading read_value(struct arena *a, const struct fixup_input *in, struct str value)
{
	struct reading r = { .arena = a, .clear = true, .fault = S("") };

	r.tokens = author_tokens(a, str_head(value, AUTHOR_MAX), in->domain.n > 0, &r.n);
	if (r.n == 1 && r.tokens->type == TOKEN_QUOTED && str_find(r.tokens->text, '<') < r.tokens->text.n) {
		/* A script has put all of it into quotes. */
		r.clear = false;
		r.tokens = author_tokens(a, r.tokens->text, in->domain.n > 0, &r.n);
	}
	r.authors = ARENA_ARRAY(a, struct author, r.n + 1);
	read_all(&r);
	return r;
}

/* ---- the clear form ---- */

static struct verdict refuse(struct arena *a, const char *field, struct str why)
{
	return perm(550, S("5.6.0"),
		    arena_printf(a, "the %s field cannot be read: %.*s; write it as \"Name\" <address> (RFC 5322 3.4)", field,
				 STR_ARG(why)));
}

/* The address of each author, completed and rewritten; an author without one gets the envelope's. False when that cannot be
 * used. */
static bool find_addresses(struct reading *r, const struct fixup_input *in, struct str_list *out)
{
	struct str_list one;

	*out = (struct str_list){ ARENA_ARRAY(r->arena, struct str, r->authors_n + 1), r->authors_n };
	for (size_t i = 0; i < r->authors_n; i++) {
		const struct mailbox *m = &r->authors[i].mailbox;
		if (m->spec.n > 0) {
			out->at[i] = rewritten_address(r->arena, in, true, m);
			continue;
		}
		r->clear = false;
		if (!header_addresses(r->arena, in->envelope_sender, &one) || one.n != 1)
			return false;
		out->at[i] = one.at[0];
	}
	return true;
}

/* Does a reader find these addresses, and no others? */
static bool is_read_as(struct arena *a, struct str value, const struct str_list *addresses)
{
	struct str_list read;
	bool same = header_addresses(a, value, &read) && read.n == addresses->n;

	for (size_t i = 0; same && i < read.n; i++)
		same = str_eq(read.at[i], addresses->at[i]);
	return same;
}

/* Replace the addresses of a clear value. */
static struct str put_addresses(const struct reading *r, struct str value, const struct str_list *addresses)
{
	size_t room = value.n, used = 0, done = 0;

	for (size_t i = 0; i < addresses->n; i++)
		room += addresses->at[i].n;
	char *out = arena_alloc(r->arena, room + 1);
	for (size_t i = 0; i <= addresses->n; i++) {
		struct str spec = i < addresses->n ? r->authors[i].mailbox.spec : str_from(value, value.n);
		size_t at = (size_t)(spec.p - value.p);
		memcpy(out + used, value.p + done, at - done);
		used += at - done;
		done = at + spec.n;
		if (i < addresses->n) {
			memcpy(out + used, addresses->at[i].p, addresses->at[i].n);
			used += addresses->at[i].n;
		}
	}
	return str_make(out, used);
}

static bool write_author(struct arena *a, struct str name, struct str address, bool first, struct buf *b)
{
	bool fits = buf_add(b, first ? S(" ") : S(", "));

	if (name.n == 0)
		return fits && buf_add(b, address);
	/* The address gets a line of its own if the line would be long. */
	struct str gap = name.n + address.n > 70 ? S("\r\n ") : S(" ");
	return fits && buf_add(b, name) && buf_add(b, gap) && buf_add(b, arena_printf(a, "<%.*s>", STR_ARG(address)));
}

/* Read the names, and rewrite the value unless it is clear. */
static struct verdict write_value(struct reading *r, const struct fixup_input *in, const char *field,
				  const struct str_list *addresses, struct str_list *shown, struct str *value)
{
	struct phrase p;
	struct buf b;
	bool fits = true;
	struct str kept = *value, fault = S("");

	buf_init(&b, HEADER_MAX);
	for (size_t i = 0; i < r->authors_n; i++) {
		phrase_read(r->arena, in, r->authors[i].name, &p);
		fault = p.fault.n > 0 ? p.fault : fault;
		phrase_addresses(r->arena, &p, shown);
		r->clear = r->clear && !p.mended;
		fits = fits && write_author(r->arena, phrase_write(r->arena, &p), addresses->at[i], i == 0, &b);
	}
	*value = arena_str(r->arena, buf_view(&b));
	buf_fini(&b);
	if (fault.n > 0)
		return refuse(r->arena, field, fault);
	if (r->clear)
		kept = put_addresses(r, kept, addresses);
	if (r->clear && is_read_as(r->arena, kept, addresses))
		*value = kept;
	else if (!fits || !is_read_as(r->arena, *value, addresses))
		return refuse(r->arena, field, S("it has no form that all programs read alike"));
	return ok();
}

struct verdict author_clear(struct arena *a, const struct fixup_input *in, const char *field, struct str value,
			    struct str_list *shown, struct str *value_out)
{
	struct str_list addresses;

	if (value.n > AUTHOR_MAX)
		return refuse(a, field, S("it is too long"));
	struct reading r = read_value(a, in, value);
	if (r.fault.n > 0)
		return refuse(a, field,
			      arena_printf(a, "\"%.*s\" is neither a name with one address nor an address",
					   STR_ARG(text_clean(a, r.fault, SHOWN_MAX))));
	*value_out = S("");
	bool nobody = r.authors_n == 0 ||
		      (r.authors_n == 1 && r.authors[0].mailbox.spec.n == 0 && str_iends(str_of(field), S("Sender")));
	if (nobody || !find_addresses(&r, in, &addresses))
		return ok();
	struct verdict v = write_value(&r, in, field, &addresses, shown, &value);
	if (v.class == OK)
		*value_out = value;
	return v;
}

struct str author_with(struct arena *a, const struct fixup_input *in, struct str value, struct str address)
{
	struct reading r = read_value(a, in, value);
	struct str name = S("");
	struct phrase p;

	for (size_t i = 0; i < r.authors_n && name.n == 0; i++)
		name = r.authors[i].name;
	if (r.authors_n == 0) {
		const struct token *end = r.tokens;
		while (end < r.tokens + r.n && end->type != TOKEN_ANGLE)
			end++;
		name = join(a, r.tokens, end, NULL);
	}
	phrase_read(a, in, name, &p);
	struct str_list shown = { NULL, 0 };
	phrase_addresses(a, &p, &shown);
	for (size_t i = 0; i < shown.n; i++)
		p.fault = str_ieq(shown.at[i], address) ? p.fault : S("it is another's");
	if (p.shown.n == 0 || p.fault.n > 0)
		return arena_printf(a, " %.*s", STR_ARG(address));
	struct str named = arena_printf(a, " %.*s <%.*s>", STR_ARG(phrase_write(a, &p)), STR_ARG(address));
	struct str_list one = { &address, 1 };
	return is_read_as(a, named, &one) ? named : arena_printf(a, " %.*s", STR_ARG(address));
}
