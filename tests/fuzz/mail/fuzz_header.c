/* fuzz_header.c - a message as it comes: the collector in pieces, fields, fix-up; what comes out must be stable. */
#include "rewriting.h"

#include "posthouse/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The section of a message, fed in pieces of `step` bytes; nothing of the body is lost, and the section is one. */
static struct str collect(struct arena *a, struct str message, size_t step, struct str *body_out)
{
	struct header_collector c;
	struct str rest = { 0 };
	struct header h;
	struct buf body;

	header_collector_init(&c);
	buf_init(&body, message.n + 1);
	for (size_t at = 0; at < message.n; at += step) {
		if (header_collector_feed(&c, str_head(str_from(message, at), step), &rest).class != OK)
			break;
		require(buf_add(&body, c.begun) && buf_add(&body, rest));
	}
	if (header_collector_end(&c).class == OK)
		require(buf_add(&body, c.begun));
	struct str section = arena_str(a, buf_view(&c.section));
	*body_out = arena_str(a, buf_view(&body));
	buf_fini(&body);
	header_collector_fini(&c);
	require(str_ends(message, *body_out) || body_out->n == 0);
	/* What was taken for a field is one, unless its lines end in other ways than they must. */
	bool clean = true;
	for (size_t i = 0; i < section.n; i++) {
		bool lf = section.p[i] == '\n', cr = i > 0 && section.p[i - 1] == '\r';
		clean = clean && section.p[i] != '\0' && lf == cr;
	}
	require(!clean || header_parse(a, section, &h).class == OK);
	return section;
}

static bool is_in(struct str name, const char *const *names)
{
	while (*names && !str_ieq(name, str_of(*names)))
		names++;
	return *names != NULL;
}

/* A line that cannot be folded is encoded: the field has other bytes then. */
static bool has_long_line(struct str s)
{
	struct str line;

	while (str_split(&s, '\n', &line))
		if (line.n > 999)
			return true;
	return false;
}

/* The bytes of a value that are not white space. */
static struct str without_space(struct arena *a, struct str s)
{
	char *out = arena_alloc(a, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != ' ' && s.p[i] != '\t' && s.p[i] != '\r' && s.p[i] != '\n')
			out[n++] = s.p[i];
	}
	return str_make(out, n);
}

/* The fields that came are there in their order, less those that go, and nothing of them but addresses and white space has changed. What can be
 * there once, or may be replaced, is others' matter (fuzz_address, the unit tests). */
static void check_kept(struct arena *a, const struct fixup_input *in, const struct fixup_result *r)
{
	static const char *const others[] = { "Bcc",
					      "Resent-Bcc",
					      "Return-Path",
					      "From",
					      "Sender",
					      "Reply-To",
					      "To",
					      "Cc",
					      "Date",
					      "Message-ID",
					      "X-Original-Date",
					      "X-Original-Message-ID",
					      "In-Reply-To",
					      "References",
					      "Subject",
					      "MIME-Version",
					      "Content-Type",
					      "Content-Disposition",
					      "Content-Transfer-Encoding",
					      "Content-ID",
					      "Content-Description",
					      "Authentication-Results",
					      "Resent-From",
					      "Resent-Sender",
					      "TLS-Required",
					      NULL };
	static const char *const lists[] = { "Resent-Reply-To",   "Resent-To", "Resent-Cc", "Disposition-Notification-To",
					     "Return-Receipt-To", NULL };
	struct str_list before, after;
	struct header h;
	size_t k = 0;

	require(header_parse(a, in->section, &h).class == OK);
	for (size_t i = 0; i < h.n; i++) {
		struct str name = h.fields[i].name;
		if (is_in(name, others))
			continue;
		while (k < r->header.n && is_in(r->header.fields[k].name, others))
			k++;
		require(k < r->header.n && str_eq(r->header.fields[k].name, name));
		bool list = is_in(name, lists) && (in->domain.n > 0 || in->rewrite);
		struct str was = h.fields[i].value, is = r->header.fields[k++].value;
		if (has_long_line(h.fields[i].whole))
			continue;
		/* an unreadable list has the skeleton of a text */
		was = list ? skeleton(a, was, in->domain.n > 0, &before) : was;
		is = list ? skeleton(a, is, in->domain.n > 0, &after) : is;
		require(!list || before.n == after.n);
		require(str_eq(without_space(a, was), without_space(a, is)));
	}
	for (size_t i = 0; i < r->header.n; i++) {
		struct str value = r->header.fields[i].value;
		for (size_t at = str_find(value, '\n') + 1; at < value.n; at += str_find(str_from(value, at), '\n') + 1)
			require(str_trim(str_head(str_from(value, at), str_find(str_from(value, at), '\n'))).n > 0);
	}
}

/* After the fix-up there is one such field at most, so it counts exactly when the first one says No. */
static void check_optional(const struct header *h)
{
	const struct header_field *f = header_find(h, S("TLS-Required"));

	require(mail_tls_optional(h) == (f && str_ieq(str_trim(f->value), S("No"))));
}

/* What people see of the message is one line of text that nothing can hide in. */
static void check_shown(struct arena *a, const struct header *h)
{
	struct str shown[] = { mail_subject(a, h), mail_message_id(a, h) };

	for (size_t k = 0; k < 2; k++) {
		uint32_t c;

		require(shown[k].n <= SUBJECT_KEPT + 3);
		for (size_t i = 0, n; i < shown[k].n; i += n) {
			n = utf8_char(str_from(shown[k], i), &c);
			require(n > 0 && !utf8_is_hidden(c));
		}
	}
}

/* What the caller is told is what is stored, and after one fix-up nothing is left to fix. */
static void check_fixup(struct arena *a, const struct fixup_input *first_in)
{
	struct fixup_input in = *first_in;
	struct fixup_result first, second;
	struct str_list again;

	if (mail_fixup(a, &in, &first).class != OK)
		return;
	check_kept(a, &in, &first);
	check_shown(a, &first.header);
	check_optional(&first.header);
	in.section = first.section;
	require(mail_fixup(a, &in, &second).class == OK);
	require(str_eq(first.section, second.section) && first.header.n == second.header.n);
	require(!header_find(&first.header, S("Bcc")) && !header_find(&first.header, S("Resent-Bcc")));
	require(header_find(&first.header, S("Date")) && header_find(&first.header, S("Message-ID")));
	require(header_addresses(a, header_find(&first.header, S("From"))->value, &again) && again.n == first.from.n &&
		again.n > 0);
	for (size_t i = 0; i < first.from.n; i++)
		require(str_eq(again.at[i], first.from.at[i]));
	for (size_t i = 0; i < first.header.n; i++) {
		require(str_eq(first.header.fields[i].whole, second.header.fields[i].whole));
		require(str_eq(first.header.fields[i].value, second.header.fields[i].value));
	}
	if (in.force_from.n > 0)
		require(first.from.n == 1 && str_eq(first.from.at[0], in.force_from) && first.sender.n == 0);
	require(first.from.n == 1 || header_find(&first.header, S("Sender")));
}

static void check_settings(struct arena *a, struct str section)
{
	struct fixup_input in = { .section = section,
				  .hostname = S("relay.example.org"),
				  .id = 1,
				  .now_ms = 1795289874000,
				  .envelope_sender = S("alice@example.org") };

	check_fixup(a, &in);
	in.domain = S("b");
	check_fixup(a, &in);
	in.rewrite = rewrite;
	check_fixup(a, &in);
	in.force_from = S("scan@example.org");
	check_fixup(a, &in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	struct str message = str_make(data, size);
	struct str at_once, in_pieces;

	if (size > 0) {
		struct str section = collect(&a, message, size, &at_once);
		struct str other = collect(&a, message, 1 + data[size - 1] % 7, &in_pieces);
		require(str_eq(section, other) && str_eq(at_once, in_pieces));
		check_settings(&a, section);
	}
	arena_fini(&a);
	return 0;
}
